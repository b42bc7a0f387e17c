//! What of an image is measured: everything that runs or is read before anything else could have been loaded.
//!
//! The parts are read from the finished image alone, as the boot code and the page tables make them. The plain
//! description beside it gives regions their names; the whole file is measured too, so nothing hides between the parts.
//!
//! | register | parts |
//! |---|---|
//! | 0 image | the image file, the description, the accelerator's firmware |
//! | 1 kernel | the kernel, the boot information (threads, budgets, capabilities, interrupts), all page tables |
//! | 2 programs | each protection domain: its pages with their addresses and rights |
//! | 3 regions | each prefilled region |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kernel_layout::STACK_TOP;
use microkit::audit::loader::Machine;
use microkit::audit::view::{PdView, View};
use microkit::image::paging::Mapping;
use rot_core::sha256;
use rot_protocol::data::Measurement;
use roxmltree::{Document, Node};

use crate::board::Board;

const PAGE: u64 = 0x1000;
const IMAGE: usize = 0;
const KERNEL: usize = 1;
const PROGRAMS: usize = 2;
const REGIONS: usize = 3;

/// What is given to the machine.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The image.
    pub image: &'a Path,
    /// The accelerator's firmware, on boards that have one.
    pub npu: Option<&'a Path>,
}

/// The measurements of all parts, in the order in which they are made.
///
/// # Errors
/// When a file cannot be read. An image for another kernel than the built-in one has fewer parts.
pub fn measure(given: Given<'_>, board: &Board) -> Result<Vec<Measurement>, String> {
    let image = read(given.image)?;
    let mut parts = vec![part(IMAGE, "image", &[&image])];
    let description = description_of(given.image).map(|path| read(&path)).transpose()?;
    if let Some(text) = &description {
        parts.push(part(IMAGE, "description", &[text]));
    }
    if let Some(path) = given.npu {
        parts.push(part(IMAGE, "npu-firmware", &[&read(path)?]));
    }
    let kernel_paddr = board.kernel.kernel_paddr;
    // Images of seL4 are measured as a whole.
    let Ok(machine) = Machine::load(&image, kernel_paddr) else { return Ok(parts) };
    let view = View::read(&machine).map_err(|error| format!("{}: {error}", given.image.display()))?;
    let description = description.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let wiring = Wiring::read(&description);
    parts.extend(kernel(&machine, &view, kernel_paddr));
    for pd in &view.pds {
        let name = name(pd);
        parts.push(part(PROGRAMS, &name, &[&program(&machine, pd, wiring.maps.get(&name))]));
    }
    parts.extend(regions(&machine, &view, &wiring));
    Ok(parts)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn part(register: usize, name: &str, bytes: &[&[u8]]) -> Measurement {
    Measurement::new(register, name, sha256(bytes))
}

/// The plain description that lies beside an image, if there is one alone.
fn description_of(image: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(image.parent()?).ok()?.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "system")).collect();
    if found.len() == 1 { found.pop() } else { None }
}

fn kernel(machine: &Machine, view: &View, kernel_paddr: u64) -> Vec<Measurement> {
    let code = machine.memory.read(kernel_paddr, machine.blob_paddr.saturating_sub(kernel_paddr)).unwrap_or_default();
    let all = view.pds.iter().flat_map(|pd| &pd.tables).chain(&view.kernel_tables);
    let tables: BTreeSet<u64> = all.copied().collect();
    let mut bytes = Vec::new();
    for table in tables {
        bytes.extend(table.to_le_bytes());
        bytes.extend(machine.memory.read(table, PAGE).unwrap_or_default());
    }
    vec![
        part(KERNEL, "kernel", &[&code]),
        part(KERNEL, "boot information", &[&machine.blob]),
        part(KERNEL, "page tables", &[&bytes]),
    ]
}

fn name(pd: &PdView) -> String {
    let end = pd.info.name.iter().position(|byte| *byte == 0).unwrap_or(pd.info.name.len());
    String::from_utf8_lossy(&pd.info.name[..end]).into_owned()
}

/// A PD's own pages: address, rights and content of each, without its regions, stack and IPC buffer.
fn program(machine: &Machine, pd: &PdView, regions: Option<&BTreeMap<u64, String>>) -> Vec<u8> {
    let starts: Vec<u64> = regions.into_iter().flat_map(|regions| regions.keys().copied()).collect();
    let region_pages: BTreeSet<u64> =
        starts.iter().flat_map(|start| run(&pd.mappings, *start, &starts)).map(|mapping| mapping.vaddr).collect();
    let own = |mapping: &&Mapping| {
        let data = (pd.info.stack_bottom..STACK_TOP + 2 * PAGE).contains(&mapping.vaddr);
        mapping.access.user && !data && !region_pages.contains(&mapping.vaddr)
    };
    let mut bytes = Vec::new();
    for mapping in pd.mappings.iter().filter(own) {
        let access = mapping.access;
        bytes.extend(mapping.vaddr.to_le_bytes());
        bytes.extend([u8::from(access.read), u8::from(access.write), u8::from(access.execute)]);
        bytes.extend(machine.memory.read(mapping.paddr, mapping.bytes).unwrap_or_default());
    }
    bytes
}

/// The pages from `start` on that follow each other, up to where another region starts.
fn run<'a>(mappings: &'a [Mapping], start: u64, starts: &'a [u64]) -> impl Iterator<Item = &'a Mapping> {
    let mut next = start;
    let from = mappings.iter().skip_while(move |mapping| mapping.vaddr < start);
    from.take_while(move |mapping| {
        let follows = mapping.vaddr == next && (mapping.vaddr == start || !starts.contains(&mapping.vaddr));
        next = mapping.vaddr.saturating_add(mapping.bytes);
        follows
    })
}

fn regions(machine: &Machine, view: &View, wiring: &Wiring) -> Vec<Measurement> {
    let mut parts = Vec::new();
    for region in &wiring.prefilled {
        // Whoever maps it sees the same pages.
        let seen = view.pds.iter().find_map(|pd| {
            let maps = wiring.maps.get(&name(pd))?;
            let start = maps.iter().find(|(_, mapped)| *mapped == region)?.0;
            let starts: Vec<u64> = maps.keys().copied().collect();
            let pages: Vec<Mapping> = run(&pd.mappings, *start, &starts).copied().collect();
            Some(pages)
        });
        let content = seen.map(|pages| {
            pages.iter().flat_map(|page| machine.memory.read(page.paddr, page.bytes).unwrap_or_default()).collect()
        });
        let content: Vec<u8> = content.unwrap_or_default();
        parts.push(part(REGIONS, region, &[&content]));
    }
    parts
}

/// What the description says of regions.
#[derive(Default)]
struct Wiring {
    /// Protection domain → address → region.
    maps: BTreeMap<String, BTreeMap<u64, String>>,
    /// Regions with content, in their order.
    prefilled: Vec<String>,
}

impl Wiring {
    /// Reads a plain description; what makes no sense has no names.
    fn read(text: &str) -> Wiring {
        let Ok(document) = Document::parse(text) else { return Wiring::default() };
        let mut wiring = Wiring::default();
        for node in document.descendants() {
            let named = |node: &Node<'_, '_>| node.attribute("name").map(str::to_owned);
            match node.tag_name().name() {
                "memory_region" if node.has_attribute("prefill_path") => wiring.prefilled.extend(named(&node)),
                "map" => {
                    let pd = node.parent().as_ref().and_then(named);
                    let vaddr = node.attribute("vaddr").and_then(crate::xml::parse_number);
                    if let (Some(pd), Some(vaddr), Some(region)) = (pd, vaddr, node.attribute("mr")) {
                        wiring.maps.entry(pd).or_default().insert(vaddr, region.to_owned());
                    }
                }
                _ => {}
            }
        }
        wiring
    }
}
