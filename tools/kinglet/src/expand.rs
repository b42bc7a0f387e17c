//! `kinglet expand`: from `system.xml` and a board to a description that any Microkit tool accepts.
//!
//! `system.xml` is a Microkit system description with four additions, so that one file serves every board and stays
//! readable:
//!
//! - `${device.key}` in an attribute is a value of `boards/BOARD/board.toml`;
//! - `<if device="npu">…</if>` keeps its content where the board has that device, `<if not="npu">…</if>` where it lacks it;
//! - `<link>` stands for the regions, maps and channel by which two protection domains talk (see [`crate::link`]);
//! - `window="npu"` places a region in the memory that a device shares with the system (see [`crate::window`]).
//!
//! Lines keep their numbers: what is left out becomes blank, what is added stands on the line of the element that asked
//! for it. So an error that the composer reports for the expanded file names the line in `system.xml` too.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use roxmltree::{Document, Node};

use crate::board::Board;
use crate::xml::{at, parse};
use crate::{link, table, window};

/// Arguments of `kinglet expand`.
#[derive(clap::Args)]
pub struct Args {
    /// The system description
    system: PathBuf,
    /// The board's name or alias
    #[arg(long)]
    board: String,
    /// Folder of the boards
    #[arg(long, default_value = "boards")]
    boards: PathBuf,
    /// Folders with the programs of the protection domains and the files that fill regions, for their sizes
    #[arg(long, num_args = 1..)]
    search_path: Vec<PathBuf>,
    /// The plain description to write
    #[arg(short, long)]
    output: PathBuf,
    /// The system table to write: what the system is composed of, for PDs to read
    #[arg(long)]
    table: Option<PathBuf>,
}

/// Runs the command; the error is the message for the user.
pub fn command(args: &Args) -> Result<(), String> {
    let board = Board::find(&args.boards, &args.board).map_err(|error| error.to_string())?;
    let source = fs::read_to_string(&args.system).map_err(|why| format!("{}: {why}", args.system.display()))?;
    let name = args.system.display().to_string();
    let plain = expand(&source, &board, &args.search_path).map_err(|error| format!("{name}:{error}"))?;
    fs::write(&args.output, &plain).map_err(|why| format!("{}: {why}", args.output.display()))?;
    if let Some(path) = &args.table {
        let bytes = table::build(&plain, &board, &args.search_path).map_err(|error| format!("{name}:{error}"))?;
        fs::write(path, bytes).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(())
}

/// A change of a text: these bytes give way to that string.
pub struct Edit {
    /// The bytes to replace; may be empty.
    pub range: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

/// Applies edits, which must not overlap; of several at one place the earlier in the list comes first.
pub fn apply(source: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let mut result = String::with_capacity(source.len());
    let mut done = 0;
    for edit in edits {
        result.push_str(&source[done..edit.range.start]);
        result.push_str(&edit.text);
        done = edit.range.end;
    }
    result.push_str(&source[done..]);
    result
}

/// An edit that removes bytes and keeps their line breaks.
pub fn blank(source: &str, range: Range<usize>) -> Edit {
    let text = source[range.clone()].chars().filter(|c| *c == '\n').collect();
    Edit { range, text }
}

/// The plain description of `source` for `board`; an error starts with its line and column.
pub fn expand(source: &str, board: &Board, search_path: &[PathBuf]) -> Result<String, String> {
    let chosen = choose(source, board)?;
    let filled = fill(&chosen, board)?;
    let linked = link::expand(&filled, board)?;
    window::expand(&linked, board, search_path)
}

/// Resolves `<if>`.
fn choose(source: &str, board: &Board) -> Result<String, String> {
    let document = parse(source)?;
    let mut edits = Vec::new();
    choose_below(source, &document, document.root(), board, &mut edits)?;
    Ok(apply(source, edits))
}

fn choose_below(
    source: &str,
    document: &Document,
    parent: Node,
    board: &Board,
    edits: &mut Vec<Edit>,
) -> Result<(), String> {
    for node in parent.children().filter(Node::is_element) {
        if !node.has_tag_name("if") {
            choose_below(source, document, node, board, edits)?;
            continue;
        }
        let attributes: Vec<_> = node.attributes().map(|attribute| (attribute.name(), attribute.value())).collect();
        let keep = match attributes[..] {
            [("device", device)] => board.devices.contains_key(device),
            [("not", device)] => !board.devices.contains_key(device),
            _ => {
                let message = "<if> takes one attribute: device=\"NAME\" or not=\"NAME\"";
                return Err(at(document, node.range().start, message));
            }
        };
        let range = node.range();
        match (keep, node.first_child(), node.last_child()) {
            (true, Some(first), Some(last)) => {
                edits.push(blank(source, range.start..first.range().start));
                choose_below(source, document, node, board, edits)?;
                edits.push(blank(source, last.range().end..range.end));
            }
            _ => edits.push(blank(source, range)),
        }
    }
    Ok(())
}

/// Replaces `${device.key}`.
fn fill(source: &str, board: &Board) -> Result<String, String> {
    let document = parse(source)?;
    let mut edits = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        for attribute in node.attributes() {
            let range = attribute.range_value();
            let raw = &source[range.clone()];
            let mut from = 0;
            while let Some(found) = raw[from..].find("${") {
                let start = from + found;
                let error = |message: String| at(&document, range.start + start, message);
                let length = raw[start..].find('}').ok_or_else(|| error("'${' without '}'".into()))?;
                let reference = &raw[start + 2..start + length];
                let (device, key) = reference
                    .split_once('.')
                    .ok_or_else(|| error(format!("'${{{reference}}}' should be ${{device.key}}")))?;
                let text = board.value(device, key).map_err(error)?;
                from = start + length + 1;
                edits.push(Edit { range: range.start + start..range.start + from, text });
            }
        }
    }
    Ok(apply(source, edits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(source: &str, board: &Board) -> Result<String, String> {
        super::expand(source, board, &[])
    }

    fn board() -> Board {
        toml::from_str(
            r#"
            name = "test"
            description = "for tests"
            kernel = { timebase_hz = 10_000_000 }
            [devices.uart]
            base = 0x1000_0000
            irq = 10
            "#,
        )
        .unwrap()
    }

    #[test]
    fn values_come_from_the_board() {
        let plain = expand(r#"<system><r a="${uart.base}" i="${uart.irq}-${uart.irq}"/></system>"#, &board());
        assert_eq!(plain.unwrap(), r#"<system><r a="0x10000000" i="10-10"/></system>"#);
    }

    #[test]
    fn unknown_values_are_named_with_their_place() {
        let error = |attribute: &str| expand(&format!("<system>\n  <r a=\"{attribute}\"/></system>"), &board());
        let text = error("${uart.speed}").unwrap_err();
        assert_eq!(text, "2:9: device uart of board test has no 'speed'; it has: base, irq");
        assert_eq!(error("${npu.base}").unwrap_err(), "2:9: board test has no device 'npu'; it has: uart");
        assert!(error("${uart}").unwrap_err().contains("${device.key}"));
        assert!(error("${uart.base").unwrap_err().contains("without"));
    }

    #[test]
    fn elements_depend_on_devices_and_lines_stay() {
        let source =
            "<system>\n<if device=\"npu\">\n<a x=\"${npu.base}\"/>\n</if>\n<if not=\"npu\"><b/>\n</if><c/></system>";
        let plain = expand(source, &board()).unwrap();
        assert!(!plain.contains("<a") && plain.contains("<b/>") && plain.contains("<c/>") && !plain.contains("if"));
        assert_eq!(plain.lines().count(), source.lines().count());
        assert!(plain.lines().nth(5).unwrap().contains("<c/>"));
    }

    #[test]
    fn an_if_without_condition_is_refused() {
        assert!(expand("<system><if/></system>", &board()).unwrap_err().starts_with("1:9: <if> takes one attribute"));
        assert!(expand("<system>", &board()).is_err());
    }
}
