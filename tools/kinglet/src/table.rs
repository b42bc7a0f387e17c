//! Builds the system table (see `protocols::system_table`) from a plain description.
//!
//! The composer judges the description; here what is wrong or missing is only named where the table cannot be built.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use object::read::elf::{ElfFile64, ProgramHeader};
use protocols::system_table::{
    ANYWHERE, ChannelEntry, Header, MAGIC, NO_PARENT, PD_FPU, PD_PASSIVE, PdEntry, RegionEntry,
};
use roxmltree::{Document, Node};
use zerocopy::IntoBytes;

use crate::board::Board;
use crate::xml::{at, number, parse};

/// The table's bytes; an error starts with its line and column in the description.
pub fn build(plain: &str, board: &Board, search_path: &[PathBuf]) -> Result<Vec<u8>, String> {
    let document = parse(plain)?;
    let nodes: Vec<_> = document.descendants().filter(|node| node.has_tag_name("protection_domain")).collect();
    let names: HashMap<_, _> =
        nodes.iter().enumerate().filter_map(|(index, node)| Some((node.attribute("name")?, index as u16))).collect();

    let mut pds = Vec::new();
    for node in &nodes {
        pds.push(pd_entry(&document, *node, &names, search_path)?);
    }
    let mut channels = Vec::new();
    for channel in document.descendants().filter(|node| node.has_tag_name("channel")) {
        let ends: Vec<_> = channel.children().filter(|node| node.has_tag_name("end")).collect();
        let [a, b] = ends[..] else { continue };
        let end = |node: Node| {
            let pd = node.attribute("pd").and_then(|name| names.get(name)).copied();
            let id = node.attribute("id").and_then(|id| id.parse().ok());
            pd.zip(id).ok_or_else(|| at(&document, node.range().start, "<end> needs the name of a PD and an id"))
        };
        let ((pd_a, id_a), (pd_b, id_b)) = (end(a)?, end(b)?);
        channels.push(ChannelEntry { pd_a, id_a, pd_b, id_b });
    }
    let mut regions = Vec::new();
    for region in document.descendants().filter(|node| node.has_tag_name("memory_region")) {
        let bytes = match (number(&document, region, "size")?, region.attribute("prefill_path")) {
            (Some(bytes), _) => bytes,
            (None, Some(path)) => {
                let found = find(search_path, path).and_then(|path| fs::metadata(path).ok());
                found.map_or(0, |file| file.len().next_multiple_of(0x1000))
            }
            (None, None) => 0,
        };
        regions.push(RegionEntry {
            name: padded(&document, region)?,
            bytes,
            paddr: number(&document, region, "phys_addr")?.unwrap_or(ANYWHERE),
        });
    }

    let mut board_name = [0; 32];
    let length = board.name.len().min(board_name.len());
    board_name[..length].copy_from_slice(&board.name.as_bytes()[..length]);
    let header = Header {
        magic: MAGIC,
        timebase_hz: board.kernel.timebase_hz,
        pds: pds.len() as u32,
        channels: channels.len() as u32,
        regions: regions.len() as u32,
        reserved: 0,
        board: board_name,
    };
    Ok([header.as_bytes(), pds.as_bytes(), channels.as_bytes(), regions.as_bytes()].concat())
}

fn pd_entry(
    document: &Document,
    node: Node,
    names: &HashMap<&str, u16>,
    search_path: &[PathBuf],
) -> Result<PdEntry, String> {
    let number = |attribute| number(document, node, attribute);
    let budget_us = number("budget")?.unwrap_or(1000);
    let parent = node.parent().filter(|parent| parent.has_tag_name("protection_domain"));
    let flag = |attribute, default| match node.attribute(attribute) {
        Some(text) => text == "true",
        None => default,
    };
    let image = node.children().find(|child| child.has_tag_name("program_image"));
    let image_bytes = match image.and_then(|image| image.attribute("path")).and_then(|path| find(search_path, path)) {
        Some(path) => {
            loaded_bytes(&path).map_err(|why| at(document, node.range().start, format!("{}: {why}", path.display())))?
        }
        None => 0,
    };
    Ok(PdEntry {
        name: padded(document, node)?,
        budget_us,
        period_us: number("period")?.unwrap_or(budget_us),
        stack_bytes: number("stack_size")?.unwrap_or(0x2000),
        image_bytes,
        priority: number("priority")?.unwrap_or(0) as u16,
        flags: if flag("passive", false) { PD_PASSIVE } else { 0 } | if flag("fpu", true) { PD_FPU } else { 0 },
        parent: parent.and_then(|parent| names.get(parent.attribute("name")?)).copied().unwrap_or(NO_PARENT),
        child_id: number("id")?.unwrap_or(0) as u16,
    })
}

fn padded(document: &Document, node: Node) -> Result<[u8; 64], String> {
    let name = node.attribute("name").unwrap_or_default();
    let mut padded = [0; 64];
    let error = || at(document, node.range().start, format!("the name '{name}' has more than 64 bytes"));
    padded.get_mut(..name.len()).ok_or_else(error)?.copy_from_slice(name.as_bytes());
    Ok(padded)
}

fn find(search_path: &[PathBuf], name: &str) -> Option<PathBuf> {
    search_path.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Memory that the segments of a program take, in bytes, whole pages.
fn loaded_bytes(path: &PathBuf) -> Result<u64, String> {
    let data = fs::read(path).map_err(|why| why.to_string())?;
    let elf = ElfFile64::<object::LittleEndian>::parse(&*data).map_err(|why| why.to_string())?;
    let loads =
        elf.elf_program_headers().iter().filter(|header| header.p_type(object::LittleEndian) == object::elf::PT_LOAD);
    Ok(loads
        .map(|header| {
            let start = header.p_vaddr(object::LittleEndian);
            let end = start.saturating_add(header.p_memsz(object::LittleEndian));
            end.saturating_add(0xfff) / 0x1000 * 0x1000 - start / 0x1000 * 0x1000
        })
        .sum())
}

#[cfg(test)]
mod tests {
    use protocols::system_table::{SystemTable, text};

    use super::*;

    fn board() -> Board {
        toml::from_str("name='b'\ndescription=''\nkernel={timebase_hz=7}").unwrap()
    }

    #[test]
    fn the_table_says_what_the_description_says() {
        let plain = r#"<system>
            <memory_region name="m" size="0x2000" phys_addr="0x10_0000"/>
            <protection_domain name="p" priority="9"><program_image path="p.elf"/>
              <protection_domain name="q" id="4" budget="10" period="100" fpu="false"><program_image path="q.elf"/>
              </protection_domain>
            </protection_domain>
            <channel><end pd="q" id="3"/><end pd="p" id="5"/></channel></system>"#;
        let bytes = build(plain, &board(), &[]).unwrap();
        let words: Vec<u64> = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let table = SystemTable::parse(words.as_bytes()).unwrap();
        assert_eq!(table.header.timebase_hz, 7);
        let q = &table.pds[table.pd_by_name("q").unwrap()];
        assert_eq!((q.parent, q.child_id, q.budget_us, q.period_us, q.flags), (0, 4, 10, 100, 0));
        assert_eq!((table.pds[0].parent, table.pds[0].priority, table.pds[0].period_us), (NO_PARENT, 9, 1000));
        assert_eq!(table.peer(1, 3), Some(0));
        assert_eq!((text(&table.regions[0].name), table.regions[0].paddr), ("m", 0x10_0000));
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let wrong = r#"<system><protection_domain name="p" budget="many"/></system>"#;
        assert_eq!(build(wrong, &board(), &[]).unwrap_err(), "1:9: budget=\"many\" is not a number");
        let long = format!(r#"<system><protection_domain name="{}"/></system>"#, "n".repeat(65));
        assert!(build(&long, &board(), &[]).unwrap_err().contains("64 bytes"));
    }
}
