//! The system description: from XML to a checked [`System`].
//!
//! The rules and the verdicts are those of Microkit 2.3's tool for RISC-V without a hypervisor. Three kinds of differences
//! are deliberate: where that tool panics, there is an error here; what it accepts and the kernel then refuses at boot is
//! refused here; and what would leave a PD unsafe (a map that touches its stack) is refused too.
//!
//! Memory regions are read first, since maps refer to them; then the protection domains in the order of the file; then the
//! channels, which refer to those. Rules that concern the system as a whole are in [`check`].

mod channel;
mod check;
mod domains;
pub mod files;
mod ignored;
mod pd;
mod region;
pub mod xml;

use crate::board::Board;
use crate::error::{Error, Result};
use crate::model::{Location, SetVar, SetVarValue, System};
use files::SearchPath;
use std::collections::{HashMap, HashSet};
use xml::{Element, Lines, shown};

/// A description is at most this long. The largest system that fits the other limits takes a small part of it.
pub const MAX_DESCRIPTION_BYTES: u64 = 16 << 20;

/// An accepted description.
#[derive(Clone, Debug)]
pub struct Description {
    /// What it describes.
    pub system: System,
    /// What is suspicious, though valid.
    pub warnings: Vec<Error>,
}

/// Reads a description. Prefill files are looked for in `search`.
pub fn parse(text: &str, board: &Board, search: &SearchPath) -> Result<Description> {
    if text.len() as u64 > MAX_DESCRIPTION_BYTES {
        return Err(Error::new(format!("the description is longer than {MAX_DESCRIPTION_BYTES} bytes")));
    }
    let document = roxmltree::Document::parse(text).map_err(|e| {
        let position = e.pos();
        let location = Location { line: position.row, column: position.col };
        Error::at(location, format!("this is not well-formed XML: {e}"))
    })?;
    let lines = Lines::new(text);
    let root = Element::new(document.root_element(), &lines);
    if root.tag() != "system" {
        return Err(root.error("the outermost element of a description must be <system>"));
    }
    if let Some((text, location)) = root.text() {
        let message = format!("text has no place in <system>: '{}'; use a comment, <!-- … -->", shown(text.trim()));
        return Err(Error::at(location, message));
    }
    let mut reader = Reader::new(board, search);
    reader.read(&root)?;
    check::check(&reader.system)?;
    reader.warn_about_unused_regions();
    reader.warnings.extend(ignored::warnings(&document, &lines));
    Ok(Description { system: reader.system, warnings: reader.warnings })
}

/// What is needed of a region while the description is read, besides what the model has.
struct RegionFacts {
    /// The description fixes the page size.
    page_size_is_fixed: bool,
}

/// A shared capability whose PD may come later in the file.
struct PendingCap<'a> {
    holder: usize,
    index: usize,
    target: xml::Attribute<'a>,
}

/// The state of reading a description from top to bottom.
struct Reader<'a> {
    board: &'a Board,
    search: &'a SearchPath,
    system: System,
    region_facts: Vec<RegionFacts>,
    region_names: HashMap<&'a str, usize>,
    pd_names: HashMap<&'a str, usize>,
    domain_names: HashMap<&'a str, u8>,
    setvar_symbols: HashSet<(usize, &'a str)>,
    pending_caps: Vec<PendingCap<'a>>,
    warnings: Vec<Error>,
}

impl<'a> Reader<'a> {
    fn new(board: &'a Board, search: &'a SearchPath) -> Reader<'a> {
        Reader {
            board,
            search,
            system: System::default(),
            region_facts: Vec::new(),
            region_names: HashMap::new(),
            pd_names: HashMap::new(),
            domain_names: HashMap::new(),
            setvar_symbols: HashSet::new(),
            pending_caps: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn read(&mut self, root: &Element<'a>) -> Result<()> {
        for element in root.children().filter(|child| child.tag() == "memory_region") {
            self.memory_region(&element)?;
        }
        for element in root.children() {
            match element.tag() {
                "memory_region" | "channel" => {}
                "protection_domain" => self.protection_domain(&element, None, 0)?,
                "domains" => self.domains(&element)?,
                "virtual_machine" => {
                    return Err(
                        element.error("virtual machines are children of a protection domain, and need a hypervisor")
                    );
                }
                "io_address_space" => {
                    return Err(element.error("the board has no IOMMU that the kernel could program"));
                }
                _ => {
                    let valid = "protection_domain, memory_region, channel, domains";
                    return Err(root.unknown_child(&element, valid));
                }
            }
        }
        if self.system.pds.is_empty() {
            return Err(root.error("there must be at least one <protection_domain>"));
        }
        for element in root.children().filter(|child| child.tag() == "channel") {
            self.channel(&element)?;
        }
        self.resolve_shared_caps()?;
        self.choose_page_sizes();
        Ok(())
    }

    /// Adds a variable to a PD. Each symbol is set once.
    fn add_setvar(&mut self, pd: usize, symbol: xml::Attribute<'a>, value: SetVarValue) -> Result<()> {
        if !self.setvar_symbols.insert((pd, symbol.value)) {
            let name = &self.system.pds[pd].name;
            return Err(
                symbol.error(format!("this symbol of '{}' is set elsewhere already; each is set once", shown(name)))
            );
        }
        let setvar = SetVar { symbol: symbol.value.to_string(), value, location: symbol.location };
        self.system.pds[pd].setvars.push(setvar);
        Ok(())
    }

    /// The region that an attribute names.
    fn region_named(&self, attribute: &xml::Attribute<'_>) -> Result<usize> {
        self.region_names.get(attribute.value).copied().ok_or_else(|| {
            attribute.error(format!("there is no such memory region{}", one_of(self.region_names.keys())))
        })
    }

    fn warn_about_unused_regions(&mut self) {
        let mut used = vec![false; self.system.regions.len()];
        for map in self.system.pds.iter().flat_map(|pd| &pd.maps) {
            used[map.region] = true;
        }
        for (region, _) in self.system.regions.iter().zip(used).filter(|(_, used)| !used) {
            let message = format!("no protection domain maps the memory region '{}'", shown(&region.name));
            self.warnings.push(Error::at(region.location, message));
        }
    }
}

/// A short list of names for an error, or nothing when there are too many to help.
fn one_of<'n>(names: impl Iterator<Item = &'n &'n str>) -> String {
    let mut names: Vec<String> = names.take(13).map(|name| shown(name)).collect();
    if names.is_empty() || names.len() > 12 {
        return String::new();
    }
    names.sort();
    format!("; there are {}", names.join(", "))
}
