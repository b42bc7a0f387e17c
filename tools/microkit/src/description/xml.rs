//! Elements and attributes of the description, with their positions and with errors that say what would be valid.

use crate::error::{Error, Result};
use crate::model::Location;
use roxmltree::Node;

/// How much of an offending value is repeated in an error.
const SHOWN_CHARS: usize = 80;

/// Marks in a text at each line, and often enough within long ones, so that a position is found without reading on from
/// the start: a hostile file is one long line.
pub struct Lines<'a> {
    text: &'a str,
    marks: Vec<(usize, Location)>,
}

impl<'a> Lines<'a> {
    const CHARS_PER_MARK: u32 = 256;

    /// Finds the lines.
    pub fn new(text: &'a str) -> Lines<'a> {
        let mut here = Location { line: 1, column: 1 };
        let mut marks = vec![(0, here)];
        for (index, character) in text.char_indices() {
            here.column += 1;
            if character == '\n' {
                here = Location { line: here.line + 1, column: 1 };
            }
            if here.column % Self::CHARS_PER_MARK == 1 {
                marks.push((index + character.len_utf8(), here));
            }
        }
        Lines { text, marks }
    }

    /// The position of a byte.
    pub fn locate(&self, byte: usize) -> Location {
        let (start, mark) = self.marks[self.marks.partition_point(|(start, _)| *start <= byte) - 1];
        let before = self.text.get(start..byte).unwrap_or_default();
        Location { line: mark.line, column: mark.column + before.chars().count() as u32 }
    }
}

/// An element.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    node: Node<'a, 'a>,
    lines: &'a Lines<'a>,
}

impl<'a> Element<'a> {
    /// Wraps an element of a parsed document. `lines` are those of its text.
    pub fn new(node: Node<'a, 'a>, lines: &'a Lines<'a>) -> Element<'a> {
        Element { node, lines }
    }

    /// The name.
    pub fn tag(&self) -> &'a str {
        self.node.tag_name().name()
    }

    /// Where the element begins.
    pub fn location(&self) -> Location {
        self.lines.locate(self.node.range().start)
    }

    /// The child elements. Comments and processing instructions mean nothing in a description.
    pub fn children(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let lines = self.lines;
        self.node.children().filter(|child| child.is_element()).map(move |node| Element { node, lines })
    }

    /// The first text directly in this element that is more than white space.
    pub fn text(&self) -> Option<(&'a str, Location)> {
        let text =
            self.node.children().find(|child| child.is_text() && !child.text().unwrap_or("").trim().is_empty())?;
        Some((text.text().unwrap_or(""), self.lines.locate(text.range().start)))
    }

    /// An error about this element.
    pub fn error(&self, message: impl AsRef<str>) -> Error {
        Error::at(self.location(), format!("<{}>: {}", shown(self.tag()), message.as_ref()))
    }

    /// The error for a child element that has no place here.
    pub fn unknown_child(&self, child: &Element, valid: &str) -> Error {
        let message = format!("<{}> has no place in <{}>; valid are {valid}", shown(child.tag()), self.tag());
        Error::at(child.location(), message)
    }

    /// Refuses attributes other than these.
    pub fn allow(&self, valid: &[&str]) -> Result<()> {
        let Some(unknown) = self.node.attributes().find(|attribute| !valid.contains(&attribute.name())) else {
            return Ok(());
        };
        let valid =
            if valid.is_empty() { "it has none".to_string() } else { format!("valid are {}", valid.join(", ")) };
        let message = format!("<{}> has no attribute '{}'; {valid}", self.tag(), shown(unknown.name()));
        Err(Error::at(self.lines.locate(unknown.range().start), message))
    }

    /// An attribute that may be absent.
    pub fn optional(&self, name: &str) -> Option<Attribute<'a>> {
        let node = self.node.attributes().find(|a| a.name() == name && a.namespace().is_none())?;
        let location = self.lines.locate(node.range().start);
        Some(Attribute { element: self.tag(), name: node.name(), value: node.value(), location })
    }

    /// An attribute that must be there.
    pub fn required(&self, name: &str) -> Result<Attribute<'a>> {
        self.optional(name).ok_or_else(|| self.error(format!("the attribute '{name}' is missing")))
    }

    /// A number that may be absent.
    pub fn number_or(&self, name: &str, default: u64) -> Result<u64> {
        self.optional(name).map_or(Ok(default), |attribute| attribute.number())
    }

    /// A truth value that may be absent.
    pub fn boolean_or(&self, name: &str, default: bool) -> Result<bool> {
        self.optional(name).map_or(Ok(default), |attribute| attribute.boolean())
    }
}

/// An attribute.
#[derive(Clone, Copy)]
pub struct Attribute<'a> {
    element: &'a str,
    name: &'a str,
    /// The value, with entities resolved.
    pub value: &'a str,
    /// Where the attribute begins.
    pub location: Location,
}

impl Attribute<'_> {
    /// An error about the value. The message says what would be valid.
    pub fn error(&self, message: impl AsRef<str>) -> Error {
        let message = format!("<{}> {}=\"{}\": {}", self.element, self.name, shown(self.value), message.as_ref());
        Error::at(self.location, message)
    }

    /// A number: decimal, or hexadecimal after `0x`; underscores separate digits.
    pub fn number(&self) -> Result<u64> {
        parse_number(self.value).ok_or_else(|| {
            self.error("must be a number below 2^64, decimal or hexadecimal with 0x; '_' may separate digits")
        })
    }

    /// A number with an upper limit.
    pub fn number_up_to(&self, limit: u64) -> Result<u64> {
        let number = self.number()?;
        if number > limit {
            return Err(self.error(format!("must be 0 to {limit}")));
        }
        Ok(number)
    }

    /// An id. Microkit takes these in decimal only, without separators.
    pub fn id(&self, limit: u64) -> Result<u8> {
        match self.value.parse::<i64>() {
            Ok(id) if (0..=limit as i64).contains(&id) => Ok(id as u8),
            _ => Err(self.error(format!("must be a decimal number from 0 to {limit}"))),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool> {
        match self.value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.error("must be 'true' or 'false'")),
        }
    }
}

/// A number as descriptions write it.
pub fn parse_number(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// A value in a form that is safe and short enough for a message: control characters are escaped.
pub fn shown(value: &str) -> String {
    let mut text: String = value.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN_CHARS).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, number) in [
            ("0", Some(0)),
            ("1_000", Some(1000)),
            ("0x20_0000", Some(0x20_0000)),
            ("0xffff_ffff_ffff_ffff", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("_", None),
            ("0x", None),
            ("0X10", None),
            ("-1", None),
            ("1k", None),
            (" 1", None),
        ] {
            assert_eq!(parse_number(text), number, "{text:?}");
        }
    }

    #[test]
    fn positions_count_from_one_and_in_characters() {
        let lines = Lines::new("ab\nä<x/>\n");
        assert_eq!(lines.locate(0), Location { line: 1, column: 1 });
        assert_eq!(lines.locate(3), Location { line: 2, column: 1 });
        assert_eq!(lines.locate(5), Location { line: 2, column: 2 });
        assert_eq!(lines.locate(10), Location { line: 3, column: 1 });
        let long = "ä".repeat(1000);
        let lines = Lines::new(&long);
        for column in 0..1000 {
            assert_eq!(lines.locate(2 * column), Location { line: 1, column: column as u32 + 1 });
        }
    }

    #[test]
    fn values_in_messages_are_short_and_harmless() {
        assert_eq!(shown("a\x1b[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), SHOWN_CHARS + 1);
    }
}
