//! Reading descriptions: XML with places in errors, and numbers as Microkit writes them.

use std::fmt::Display;

use roxmltree::{Document, Node};

/// Parses a description; an error starts with its line and column.
pub fn parse(source: &str) -> Result<Document<'_>, String> {
    Document::parse(source).map_err(|error| format!("{}:{}: {error}", error.pos().row, error.pos().col))
}

/// `LINE:COLUMN: ` and the message.
pub fn at(document: &Document, position: usize, message: impl Display) -> String {
    let place = document.text_pos_at(position);
    format!("{}:{}: {message}", place.row, place.col)
}

/// A number: decimal, or hexadecimal after `0x`; underscores separate digits.
pub fn parse_number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// The number in an attribute, if the element has that attribute; an error starts with line and column.
pub fn number(document: &Document, node: Node, attribute: &str) -> Result<Option<u64>, String> {
    let Some(text) = node.attribute(attribute) else { return Ok(None) };
    let error = || at(document, node.range().start, format!("{attribute}=\"{text}\" is not a number"));
    parse_number(text).map(Some).ok_or_else(error)
}
