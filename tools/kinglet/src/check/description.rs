//! A plain description as the checker sees it.
//!
//! The composer judges the elements and attributes themselves; here what cannot be read is left out, so that each mistake is
//! told once and by who knows best.

use crate::xml::parse_number;
use std::collections::BTreeMap;
use std::path::Path;

use roxmltree::{Document, Node};

/// Microkit's defaults.
const DEFAULT_BUDGET_US: u64 = 1000;
const DEFAULT_STACK_BYTES: u64 = 0x2000;
const PAGE_BYTES: u64 = 0x1000;

/// The parts of a description that the rules look at.
pub struct System<'a> {
    pub pds: Vec<Pd<'a>>,
    pub regions: BTreeMap<&'a str, Region>,
    pub channels: Vec<Channel<'a>>,
}

/// A protection domain. `at` here and below is where the element begins, in bytes of the text.
pub struct Pd<'a> {
    pub name: &'a str,
    pub at: usize,
    /// Whether it has a parent, which can restart it.
    pub is_child: bool,
    pub priority: Option<u64>,
    pub budget_us: Option<u64>,
    pub period_us: Option<u64>,
    pub passive: bool,
    pub stack_bytes: Option<u64>,
    /// Where its notes and symbols are: file name, and place of the element.
    pub image: Option<(&'a str, usize)>,
    pub maps: Vec<Map<'a>>,
    /// What the composer writes into the program, in the order of the text.
    pub settings: Vec<Setting<'a>>,
}

/// A mapped region.
pub struct Map<'a> {
    pub region: &'a str,
    pub writable: bool,
}

/// A symbol that the composer sets.
pub struct Setting<'a> {
    pub symbol: &'a str,
    pub at: usize,
    pub to: Value<'a>,
}

/// What a symbol is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The address of a map, by its index.
    Address(usize),
    /// The size of a map's region, by its index.
    Size(usize),
    /// Physical address of a region.
    Physical(&'a str),
    /// Id of a channel: index of the channel and of the end.
    ChannelId(usize, usize),
    /// Anything else: an interrupt's id, a child's id, the bytes of a prefill.
    Other,
}

/// A region; `bytes` is `None` if it is not known.
pub struct Region {
    pub at: usize,
    pub bytes: Option<u64>,
    pub is_used: bool,
}

/// A channel with its two ends.
pub struct Channel<'a> {
    pub at: usize,
    pub ends: [End<'a>; 2],
}

/// One end of a channel.
pub struct End<'a> {
    pub at: usize,
    /// Index of the protection domain.
    pub pd: usize,
    pub id: &'a str,
    pub may_call: bool,
    pub may_notify: bool,
    pub symbol: Option<&'a str>,
}

impl<'a> System<'a> {
    /// Reads a description. `file_bytes` gives the length of a file that a region is filled with.
    pub fn read(document: &'a Document<'a>, file_bytes: impl Fn(&Path) -> Option<u64>) -> Self {
        let elements = |tag: &'static str| document.descendants().filter(move |node| node.has_tag_name(tag));
        let mut regions = BTreeMap::new();
        for node in elements("memory_region") {
            let Some(name) = node.attribute("name") else { continue };
            let filled = || node.attribute("prefill_path").and_then(|path| file_bytes(Path::new(path)));
            let bytes = match node.attribute("size") {
                Some(text) => parse_number(text),
                None => filled().and_then(|bytes| bytes.checked_next_multiple_of(PAGE_BYTES)),
            };
            regions.insert(name, Region { at: node.range().start, bytes, is_used: false });
        }
        let mut pds: Vec<Pd> = elements("protection_domain").filter_map(read_pd).collect();
        let channels = read_channels(elements("channel"), &mut pds);
        for pd in &pds {
            let physical = pd.settings.iter().filter_map(|setting| match setting.to {
                Value::Physical(region) => Some(region),
                _ => None,
            });
            for name in pd.maps.iter().map(|map| map.region).chain(physical) {
                if let Some(region) = regions.get_mut(name) {
                    region.is_used = true;
                }
            }
        }
        // A virtual machine's maps use regions too.
        for map in elements("map") {
            if let Some(region) = map.attribute("mr").and_then(|name| regions.get_mut(name)) {
                region.is_used = true;
            }
        }
        Self { pds, regions, channels }
    }

    /// Bytes of the region of a map, if they are known.
    pub fn map_bytes(&self, pd: &Pd, map: usize) -> Option<u64> {
        self.regions.get(pd.maps[map].region)?.bytes
    }
}

fn read_pd<'a>(node: Node<'a, 'a>) -> Option<Pd<'a>> {
    let value = |attribute, default| node.attribute(attribute).map_or(Some(default), parse_number);
    let budget_us = value("budget", DEFAULT_BUDGET_US);
    let mut pd = Pd {
        name: node.attribute("name")?,
        at: node.range().start,
        is_child: node.parent().is_some_and(|parent| parent.has_tag_name("protection_domain")),
        priority: value("priority", 0),
        budget_us,
        period_us: node.attribute("period").map_or(budget_us, parse_number),
        passive: node.attribute("passive") == Some("true"),
        stack_bytes: value("stack_size", DEFAULT_STACK_BYTES),
        image: None,
        maps: Vec::new(),
        settings: Vec::new(),
    };
    let mut set = |symbol: Option<&'a str>, at: usize, to: Value<'a>| {
        pd.settings.extend(symbol.map(|symbol| Setting { symbol, at, to }));
    };
    for child in node.children().filter(Node::is_element) {
        let at = child.range().start;
        match child.tag_name().name() {
            "program_image" => {
                // Names may be in another file than the program, which can then be without.
                pd.image = child.attribute("path_for_symbols").or(child.attribute("path")).map(|path| (path, at));
            }
            "map" => {
                let Some(region) = child.attribute("mr") else { continue };
                let map = pd.maps.len();
                let writable = child.attribute("perms").unwrap_or("rw").contains('w');
                pd.maps.push(Map { region, writable });
                set(child.attribute("setvar_vaddr"), at, Value::Address(map));
                set(child.attribute("setvar_size"), at, Value::Size(map));
                set(child.attribute("setvar_prefill_size"), at, Value::Other);
            }
            "setvar" => {
                let to = child.attribute("region_paddr").map_or(Value::Other, Value::Physical);
                set(child.attribute("symbol"), at, to);
            }
            "irq" => set(child.attribute("setvar_id"), at, Value::Other),
            // The id of a child goes into its parent.
            "protection_domain" | "virtual_machine" => set(child.attribute("setvar_id"), at, Value::Other),
            _ => {}
        }
    }
    Some(pd)
}

fn read_channels<'a>(nodes: impl Iterator<Item = Node<'a, 'a>>, pds: &mut [Pd<'a>]) -> Vec<Channel<'a>> {
    let names: BTreeMap<&str, usize> = pds.iter().enumerate().map(|(index, pd)| (pd.name, index)).collect();
    let mut channels = Vec::new();
    for node in nodes {
        let read_end = |end: Node<'a, 'a>| {
            Some(End {
                at: end.range().start,
                pd: *names.get(end.attribute("pd")?)?,
                id: end.attribute("id")?,
                may_call: end.attribute("pp") == Some("true"),
                may_notify: end.attribute("notify") != Some("false"),
                symbol: end.attribute("setvar_id"),
            })
        };
        let ends: Vec<_> = node.children().filter(|child| child.has_tag_name("end")).filter_map(read_end).collect();
        let Ok(ends) = <[End; 2]>::try_from(ends) else { continue };
        for (index, end) in ends.iter().enumerate() {
            let to = Value::ChannelId(channels.len(), index);
            pds[end.pd].settings.extend(end.symbol.map(|symbol| Setting { symbol, at: end.at, to }));
        }
        channels.push(Channel { at: node.range().start, ends });
    }
    channels
}
