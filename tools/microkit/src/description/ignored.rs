//! What Microkit's tool takes without a word although it means nothing: text within elements, elements within elements
//! that have none, attributes of `system`. The verdict is the same here, but the author hears of it.

use super::xml::{Lines, shown};
use crate::error::Error;
use roxmltree::{Document, Node};

/// The elements that have content; what they accept is checked where they are read.
const CONTAINERS: [&str; 6] = ["system", "protection_domain", "channel", "cspace", "domains", "domain_schedule"];

/// Warnings about ignored parts of an accepted description.
pub(super) fn warnings(document: &Document, lines: &Lines) -> Vec<Error> {
    let at = |offset: usize, message: String| Error::at(lines.locate(offset), message);
    let root = document.root_element();
    let attributes = root.attributes().map(|attribute| {
        at(attribute.range().start, format!("<system> has no attributes; '{}' is ignored", shown(attribute.name())))
    });
    let nodes = root.descendants().skip(1).filter(|node| is_ignored(node)).map(|node| {
        let parent = node.parent().map_or("", |parent| parent.tag_name().name());
        let what = match node.text() {
            Some(text) if node.is_text() => format!("text: '{}'", shown(text.trim())),
            _ => format!("<{}>", shown(node.tag_name().name())),
        };
        at(node.range().start, format!("ignored within <{}>: {what}", shown(parent)))
    });
    attributes.chain(nodes).collect()
}

fn is_ignored(node: &Node) -> bool {
    let is_text = node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty());
    let in_leaf = node.parent().is_some_and(|parent| !CONTAINERS.contains(&parent.tag_name().name()));
    is_text || node.is_element() && in_leaf
}
