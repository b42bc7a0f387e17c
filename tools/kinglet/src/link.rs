//! `<link>`: how two protection domains (PDs) talk by ring, as one element of `system.xml`.
//!
//! ```xml
//! <link bytes="0x4000">
//!     <end pd="shell" name="models" />
//!     <end pd="model_runner" name="client0" />
//! </link>
//! ```
//!
//! stands for two memory regions (`shell.models` written by the shell alone, `model_runner.client0` by the model runner
//! alone), each mapped `rw` in its writer and `r` in the other, and one channel with notifications both ways. In the PD
//! at an end called `NAME` it sets the symbols `NAME_tx`, `NAME_tx_size` (own region), `NAME_rx`, `NAME_rx_size` (the
//! peer's region) and `NAME_channel`. With `data="0x8000"` on the link, both map a further region `rw`: `NAME_data`, `NAME_data_size`.
//! `id` on an end fixes the channel's id; otherwise it is the lowest free one. `window="npu"` on the link places that region in
//! the memory that the device shares with the system ([`crate::window`]); there, an end with `data_address="true"` also gets
//! `NAME_data_address`, the region's physical address, by which it names places in it to the device.
//!
//! Addresses are chosen in the 2 MiB that hold the stack's top, so that a link costs no page table: from
//! [`FIRST_VADDR`] up, an unmapped page after each region.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

use crate::board::Board;
use crate::expand::{Edit, apply, blank};
use crate::xml::{at, number, parse};

/// Where the maps of a PD's links start.
pub const FIRST_VADDR: u64 = 0x3f_ffe0_0000;
/// Stack top of a PD; the stack grows down from here.
const STACK_TOP: u64 = 0x3f_ffff_d000;
const DEFAULT_STACK_BYTES: u64 = 0x2000;
const PAGE: u64 = 0x1000;
/// The highest id of a channel in Microkit 2.3.
const MAX_CHANNEL_ID: u64 = 61;

/// One end of a link.
struct End<'a> {
    pd: &'a str,
    name: &'a str,
    id: u64,
    data_address: bool,
}

/// What is added to one PD.
struct Pd {
    /// Where maps go: before its closing tag, or instead of the `/>` of an element without content.
    insert_at: usize,
    used_ids: BTreeSet<u64>,
    next_vaddr: u64,
    stack_bottom: u64,
    maps: String,
}

/// Replaces every `<link>` in `source`; errors start with line and column.
pub fn expand(source: &str, board: &Board) -> Result<String, String> {
    let document = parse(source)?;
    let mut pds = collect_pds(source, &document)?;
    let mut edits = Vec::new();
    for node in document.root_element().children().filter(|node| node.has_tag_name("link")) {
        let text = expand_link(&document, node, board, &mut pds)?;
        let range = node.range();
        let mut edit = blank(source, range);
        edit.text.insert_str(0, &text);
        edits.push(edit);
    }
    if let Some(stray) =
        document.descendants().find(|node| node.has_tag_name("link") && node.parent() != Some(document.root_element()))
    {
        return Err(at(&document, stray.range().start, "<link> belongs directly below <system>"));
    }
    edits.extend(pds.into_values().map(|pd| Edit { range: pd.insert_at..pd.insert_at, text: pd.maps }));
    Ok(apply(source, edits))
}

fn collect_pds<'a>(source: &str, document: &'a Document) -> Result<BTreeMap<&'a str, Pd>, String> {
    let mut pds: BTreeMap<&str, Pd> = BTreeMap::new();
    for node in document.descendants().filter(|node| node.has_tag_name("protection_domain")) {
        let Some(name) = node.attribute("name") else { continue };
        let stack_bytes = number(document, node, "stack_size")?.unwrap_or(DEFAULT_STACK_BYTES);
        let text = &source[node.range()];
        // An element without content cannot run a program; the composer will say so in its own words.
        let Some(closing) = text.rfind("</") else { continue };
        pds.insert(
            name,
            Pd {
                insert_at: node.range().start + closing,
                used_ids: node.children().filter(|child| child.has_tag_name("irq")).filter_map(id_of).collect(),
                next_vaddr: FIRST_VADDR,
                stack_bottom: STACK_TOP.saturating_sub(stack_bytes),
                maps: String::new(),
            },
        );
    }
    for end in document.descendants().filter(|node| node.has_tag_name("end")) {
        if let (Some(id), Some(pd)) = (id_of(end), end.attribute("pd").and_then(|pd| pds.get_mut(pd))) {
            pd.used_ids.insert(id);
        }
    }
    Ok(pds)
}

fn id_of(node: Node) -> Option<u64> {
    node.attribute("id")?.parse().ok()
}

fn expand_link(document: &Document, node: Node, board: &Board, pds: &mut BTreeMap<&str, Pd>) -> Result<String, String> {
    let error = |node: Node, message: String| at(document, node.range().start, message);
    let allow = |node: Node, known: &[&str]| match node.attributes().find(|a| !known.contains(&a.name())) {
        Some(other) => {
            let (tag, name) = (node.tag_name().name(), other.name());
            Err(error(node, format!("<{tag}> has no attribute '{name}'; it has: {}", known.join(", "))))
        }
        None => Ok(()),
    };
    allow(node, &["bytes", "data", "window"])?;
    let bytes = number(document, node, "bytes")?;
    let bytes = bytes.ok_or_else(|| error(node, "<link> needs bytes=\"SIZE\" of a region".into()))?;
    let data = number(document, node, "data")?;
    for (what, size) in [("bytes", Some(bytes)), ("data", data)] {
        if let Some(size) = size.filter(|size| *size == 0 || !size.is_multiple_of(PAGE)) {
            return Err(error(node, format!("{what}=\"{size:#x}\" should be a multiple of {PAGE:#x} and not 0")));
        }
    }

    let window = node.attribute("window");
    if window.is_some() && data.is_none() {
        return Err(error(node, "window=\"DEVICE\" is about the region of data=\"SIZE\", which is missing".into()));
    }

    let elements: Vec<_> = node.children().filter(Node::is_element).collect();
    let [first, second] = elements[..] else {
        return Err(error(node, format!("<link> takes two <end> elements, not {}", elements.len())));
    };
    let mut take_end = |node: Node<'_, '_>| -> Result<(String, String, u64, bool), String> {
        if !node.has_tag_name("end") {
            return Err(error(node, format!("<link> takes <end> elements, not <{}>", node.tag_name().name())));
        }
        allow(node, &["pd", "name", "id", "data_address"])?;
        let pd_name = node.attribute("pd").ok_or_else(|| error(node, "<end> needs pd=\"NAME\"".into()))?;
        let name = node.attribute("name").ok_or_else(|| error(node, "<end> needs name=\"NAME\"".into()))?;
        let pd = pds
            .get_mut(pd_name)
            .ok_or_else(|| error(node, format!("there is no protection domain '{pd_name}' with content")))?;
        let id = match number(document, node, "id")? {
            Some(id) => id,
            None => (0..=MAX_CHANNEL_ID)
                .find(|id| !pd.used_ids.contains(id))
                .ok_or_else(|| error(node, format!("'{pd_name}' has no free channel id")))?,
        };
        pd.used_ids.insert(id);
        let data_address = match node.attribute("data_address") {
            None | Some("false") => false,
            Some("true") if window.is_some() => true,
            Some(_) => return Err(error(node, "data_address is true or false, on a link with a window".into())),
        };
        Ok((pd_name.to_owned(), name.to_owned(), id, data_address))
    };
    let (first_pd, first_name, id, data_address) = take_end(first)?;
    let a = End { pd: &first_pd, name: &first_name, id, data_address };
    let (second_pd, second_name, id, data_address) = take_end(second)?;
    let b = End { pd: &second_pd, name: &second_name, id, data_address };

    let mut text = String::new();
    for (own, peer) in [(&a, &b), (&b, &a)] {
        let region = format!("{}.{}", own.pd, own.name);
        text += &format!(r#"<memory_region name="{region}" size="{bytes:#x}"/>"#);
        map(pds, own, &region, bytes, "rw", "tx").map_err(|message| error(node, message))?;
        map(pds, peer, &region, bytes, "r", "rx").map_err(|message| error(node, message))?;
    }
    if let Some(bytes) = data {
        let region = format!("{}.{}.data", b.pd, b.name);
        let place = window.map(|device| format!(r#" window="{device}""#)).unwrap_or_default();
        text += &format!(r#"<memory_region name="{region}" size="{bytes:#x}"{place}/>"#);
        for end in [&a, &b] {
            map(pds, end, &region, bytes, "rw", "data").map_err(|message| error(node, message))?;
            let placed = window.is_some_and(|device| board.devices.contains_key(device));
            if let Some(pd) = pds.get_mut(end.pd).filter(|_| placed && end.data_address) {
                let symbol = format!("{}_data_address", end.name);
                pd.maps += &format!(r#"<setvar symbol="{symbol}" region_paddr="{region}"/>"#);
            }
        }
    }
    text += "<channel>";
    for end in [&a, &b] {
        text += &format!(r#"<end pd="{}" id="{}" setvar_id="{}_channel"/>"#, end.pd, end.id, end.name);
    }
    text += "</channel>";
    Ok(text)
}

fn map(
    pds: &mut BTreeMap<&str, Pd>,
    end: &End,
    region: &str,
    bytes: u64,
    perms: &str,
    suffix: &str,
) -> Result<(), String> {
    let pd = pds.get_mut(end.pd).ok_or_else(|| format!("there is no protection domain '{}'", end.pd))?;
    let vaddr = pd.next_vaddr;
    let after = bytes.checked_add(PAGE).and_then(|step| vaddr.checked_add(step));
    pd.next_vaddr = after.filter(|end_vaddr| *end_vaddr <= pd.stack_bottom).ok_or_else(|| {
        format!("the links of '{}' do not fit below its stack; make them or the stack smaller", end.pd)
    })?;
    let symbol = format!("{}_{suffix}", end.name);
    pd.maps += &format!(
        r#"<map mr="{region}" vaddr="{vaddr:#x}" perms="{perms}" setvar_vaddr="{symbol}" setvar_size="{symbol}_size"/>"#
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = r#"<system>
<protection_domain name="p"><program_image path="p.elf"/><irq irq="1" id="0"/></protection_domain>
<protection_domain name="q"><program_image path="q.elf"/>
</protection_domain>
LINK
</system>"#;

    fn board(devices: &str) -> Board {
        toml::from_str(&format!("name='b'\ndescription=''\nkernel={{timebase_hz=7}}\n{devices}")).unwrap()
    }

    fn with(link: &str) -> Result<String, String> {
        expand(&SYSTEM.replace("LINK", link), &board(""))
    }

    #[test]
    fn a_link_becomes_regions_maps_and_a_channel() {
        let plain =
            with(r#"<link bytes="0x2000" data="0x3000"><end pd="p" name="x"/><end pd="q" name="y"/></link>"#).unwrap();
        let document = Document::parse(&plain).unwrap();
        let pd = |name| document.descendants().find(|node| node.attribute("name") == Some(name)).unwrap();
        let maps = |name| {
            let maps = pd(name).children().filter(|node| node.has_tag_name("map"));
            maps.map(|map| (map.attribute("mr").unwrap(), map.attribute("perms").unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(maps("p"), [("p.x", "rw"), ("q.y", "r"), ("q.y.data", "rw")]);
        assert_eq!(maps("q"), [("p.x", "r"), ("q.y", "rw"), ("q.y.data", "rw")]);
        let ends: Vec<_> = document.descendants().filter(|node| node.has_tag_name("end")).collect();
        assert_eq!(ends[0].attribute("id"), Some("1"), "id 0 is the interrupt's");
        assert_eq!(ends[1].attribute("id"), Some("0"));
        assert_eq!(ends[1].attribute("setvar_id"), Some("y_channel"));
        assert_eq!(plain.lines().count(), SYSTEM.lines().count(), "lines keep their numbers");
    }

    #[test]
    fn an_end_may_know_where_the_data_lie_in_the_window() {
        let link = r#"<link bytes="0x2000" data="0x3000" window="npu"><end pd="p" name="x"/><end pd="q" name="y" data_address="true"/></link>"#;
        let plain = expand(&SYSTEM.replace("LINK", link), &board("[devices.npu]")).unwrap();
        assert!(plain.contains(r#"<memory_region name="q.y.data" size="0x3000" window="npu"/>"#));
        assert!(plain.contains(r#"<setvar symbol="y_data_address" region_paddr="q.y.data"/>"#));
        assert!(!plain.contains("x_data_address"));
        assert!(!with(link).unwrap().contains("data_address"), "a board without the device");
    }

    #[test]
    fn maps_of_one_domain_do_not_touch() {
        let link = r#"<link bytes="0x2000"><end pd="p" name="x"/><end pd="q" name="y"/></link>"#;
        let plain = with(&link.repeat(3)).unwrap();
        let document = Document::parse(&plain).unwrap();
        let vaddrs: Vec<_> = document
            .descendants()
            .find(|node| node.attribute("name") == Some("p"))
            .unwrap()
            .children()
            .filter_map(|node| node.attribute("vaddr"))
            .map(|text| u64::from_str_radix(&text[2..], 16).unwrap())
            .collect();
        assert_eq!(vaddrs.len(), 6);
        assert!(vaddrs.windows(2).all(|pair| pair[1] - pair[0] == 0x3000));
    }

    #[test]
    fn mistakes_are_named() {
        let ends = r#"<end pd="p" name="x"/><end pd="q" name="y"/>"#;
        let cases = [
            (format!("<link>{ends}</link>"), "needs bytes"),
            (format!(r#"<link bytes="5">{ends}</link>"#), "multiple of 0x1000"),
            (format!(r#"<link bytes="x">{ends}</link>"#), "not a number"),
            (format!(r#"<link bytes="0x1000" size="3">{ends}</link>"#), "no attribute 'size'"),
            (format!(r#"<link bytes="0x1000">{ends}{ends}</link>"#), "two <end> elements, not 4"),
            (r#"<link bytes="0x1000"><end pd="p" name="x"/><end pd="r" name="y"/></link>"#.into(), "domain 'r'"),
            (r#"<link bytes="0x1000"><end name="x"/><end pd="q" name="y"/></link>"#.into(), "needs pd"),
            (r#"<link bytes="0x1000"><map/><end pd="q" name="y"/></link>"#.into(), "not <map>"),
            (format!(r#"<link bytes="0x200000">{ends}</link>"#), "do not fit"),
            (format!(r#"<link bytes="0x1000" window="npu">{ends}</link>"#), "which is missing"),
            (
                r#"<link bytes="0x1000" data="0x1000"><end pd="p" name="x" data_address="true"/><end pd="q" name="y"/></link>"#.into(),
                "on a link with a window",
            ),
            (format!(r#"<x><link bytes="0x1000">{ends}</link></x>"#), "directly below"),
        ];
        for (link, expected) in cases {
            let error = with(&link).unwrap_err();
            assert!(error.starts_with("5:") && error.contains(expected), "{link}: {error}");
        }
    }
}
