//! `window="DEVICE"` on a memory region: its place in the memory that this device shares with the system.
//!
//! A device with a memory window (`shared`, `shared_bytes` in `board.toml`) reaches nothing else, so what it is to work on
//! lies there from the start. Regions get their physical addresses in the order in which they stand in the description,
//! packed by pages. Where a board lacks the device they are regions like any other.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use roxmltree::Node;

use crate::board::Board;
use crate::expand::{Edit, apply};
use crate::xml::{at, number, parse};

const PAGE: u64 = 0x1000;

/// The part of a device's window that is not given away yet.
struct Window {
    next: u64,
    end: u64,
}

impl Window {
    fn of(board: &Board, device: &str) -> Result<Option<Window>, String> {
        if !board.devices.contains_key(device) {
            return Ok(None);
        }
        let start = board.number(device, "shared")?;
        let bytes = board.number(device, "shared_bytes")?;
        let end = start.checked_add(bytes).filter(|_| start.is_multiple_of(PAGE) && bytes.is_multiple_of(PAGE));
        let end = end.ok_or_else(|| format!("the window of device {device} is not made of whole pages"))?;
        Ok(Some(Window { next: start, end }))
    }

    fn take(&mut self, bytes: u64) -> Option<u64> {
        let start = self.next;
        self.next = start.checked_add(bytes.checked_next_multiple_of(PAGE)?).filter(|next| *next <= self.end)?;
        Some(start)
    }
}

/// Replaces every `window` attribute in `source`; errors start with line and column. Files that fill regions are looked
/// for in `search_path`.
pub fn expand(source: &str, board: &Board, search_path: &[PathBuf]) -> Result<String, String> {
    let document = parse(source)?;
    let mut windows: BTreeMap<&str, Option<Window>> = BTreeMap::new();
    let mut edits = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        let Some(attribute) = node.attributes().find(|attribute| attribute.name() == "window") else { continue };
        let error = |message: String| at(&document, node.range().start, message);
        if !node.has_tag_name("memory_region") {
            return Err(error(format!("<{}> has no attribute 'window'", node.tag_name().name())));
        }
        let device = attribute.value();
        if !windows.contains_key(device) {
            windows.insert(device, Window::of(board, device).map_err(error)?);
        }
        let text = match windows.get_mut(device).and_then(Option::as_mut) {
            None => String::new(),
            Some(_) if node.has_attribute("phys_addr") => {
                return Err(error("a region takes window or phys_addr, not both".into()));
            }
            Some(window) => {
                let bytes = match (number(&document, node, "size")?, node.attribute("prefill_path")) {
                    (Some(bytes), _) => bytes,
                    (None, Some(path)) => file_bytes(search_path, path).map_err(error)?,
                    (None, None) => return Err(error("a region in a window needs size or prefill_path".into())),
                };
                let left = window.end - window.next;
                let start = window.take(bytes).ok_or_else(|| {
                    error(format!("{bytes:#x} bytes do not fit: the window of device {device} has {left:#x} left"))
                })?;
                format!("phys_addr=\"{start:#x}\"")
            }
        };
        edits.push(Edit { range: attribute.range(), text });
    }
    Ok(apply(source, edits))
}

fn file_bytes(search_path: &[PathBuf], path: &str) -> Result<u64, String> {
    let found = search_path.iter().map(|folder| folder.join(path)).find(|path| path.is_file());
    let found = found.ok_or_else(|| format!("there is no file '{path}', which would say how large the region is"))?;
    fs::metadata(&found).map(|file| file.len()).map_err(|why| format!("{}: {why}", found.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(devices: &str) -> Board {
        toml::from_str(&format!("name='b'\ndescription=''\nkernel={{timebase_hz=7}}\n{devices}")).unwrap()
    }

    const NPU: &str = "[devices.npu]\nshared=0x1_0100_0000\nshared_bytes=0x4000";

    #[test]
    fn regions_lie_in_the_window_one_after_another() {
        let source = "<s>\n<memory_region name='a' size='0x1001' window='npu'/><memory_region name='b' size='0x2000' window='npu'/></s>";
        let plain = expand(source, &board(NPU), &[]).unwrap();
        assert!(plain.contains("name='a' size='0x1001' phys_addr=\"0x101000000\""), "{plain}");
        assert!(plain.contains("name='b' size='0x2000' phys_addr=\"0x101002000\""), "{plain}");
        let without = expand(source, &board(""), &[]).unwrap();
        assert!(!without.contains("window") && !without.contains("phys_addr"), "{without}");
    }

    #[test]
    fn a_file_says_how_large_its_region_is() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let source =
            "<s><memory_region prefill_path='Cargo.toml' window='npu'/><memory_region size='1' window='npu'/></s>";
        let plain = expand(source, &board(NPU), &[folder]).unwrap();
        assert!(plain.contains("0x101000000") && plain.contains("0x101001000"), "{plain}");
        assert!(expand(source, &board(NPU), &[]).unwrap_err().contains("there is no file 'Cargo.toml'"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |region: &str| expand(&format!("<s>\n  {region}</s>"), &board(NPU), &[]).unwrap_err();
        assert_eq!(
            error("<memory_region size='0x5000' window='npu'/>"),
            "2:3: 0x5000 bytes do not fit: the window of device npu has 0x4000 left"
        );
        assert!(error("<memory_region size='0xffff_ffff_ffff_ffff' window='npu'/>").contains("do not fit"));
        assert!(error("<memory_region window='npu'/>").contains("needs size"));
        assert!(error("<memory_region size='1' window='npu' phys_addr='1'/>").contains("not both"));
        assert!(error("<map window='npu'/>").contains("<map> has no attribute"));
        let bare = expand("<s><memory_region size='1' window='x'/></s>", &board("[devices.x]\nirq=1"), &[]);
        assert_eq!(bare.unwrap_err(), "1:4: device x of board b has no 'shared'; it has: irq");
    }
}
