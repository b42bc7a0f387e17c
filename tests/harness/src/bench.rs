//! Figures: gathered from the benchmarks' lines, printed, and kept as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use object::{Object, ObjectSegment};
use serde::{Deserialize, Serialize};

use crate::emulator::{self, Board, Outcome};
use crate::expect::Expect;
use crate::models;

/// One figure.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

/// Figures by their names.
pub type Figures = BTreeMap<String, Figure>;

/// The figure from which the firmware's own instructions are taken off.
const BOOT: &str = "boot_to_first_pd";

/// Reads `bench NAME VALUE UNIT`.
fn parse(line: &str) -> Option<(String, Figure)> {
    let mut words = line.split_whitespace();
    let (Some("bench"), Some(name), Some(value), Some(unit), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return None;
    };
    Some((name.into(), Figure { value: value.parse().ok()?, unit: unit.into() }))
}

/// Gathers the figures of all outcomes.
///
/// # Errors
/// When two benchmarks measure the same thing, or the machine booted in fewer instructions than its firmware takes.
pub fn collect(outcomes: &[Outcome], firmware_instructions: u64) -> Result<Figures, String> {
    let mut figures = Figures::new();
    for (name, mut figure) in outcomes.iter().flat_map(|outcome| &outcome.lines).filter_map(|line| parse(line)) {
        if name == BOOT {
            figure.value -= firmware_instructions as f64;
            if figure.value < 0.0 {
                return Err(format!("{BOOT}: fewer instructions than the firmware's {firmware_instructions}"));
            }
        }
        if figures.insert(name.clone(), figure).is_some() {
            return Err(format!("two benchmarks measure {name}"));
        }
    }
    Ok(figures)
}

/// Figures in bytes from the totals of a composer's report.
///
/// # Errors
/// When the report cannot be read or has no such total.
pub fn totals(report: &Path, names: &[&str]) -> Result<Figures, String> {
    let text = std::fs::read_to_string(report).map_err(|why| format!("{}: {why}", report.display()))?;
    let total = |name: &str| {
        let mut lines = text.lines().skip_while(|line| *line != "[totals]").filter_map(|line| line.split_once(" = "));
        let value = lines.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok());
        let value = value.ok_or_else(|| format!("{}: there is no total '{name}'", report.display()))?;
        Ok((name.to_owned(), Figure { value, unit: "bytes".into() }))
    };
    names.iter().map(|name| total(name)).collect()
}

/// Prints the figures and adds them to those in `file`.
///
/// # Errors
/// When the file cannot be read or written.
pub fn report(figures: &Figures, file: &Path) -> Result<(), String> {
    for (name, Figure { value, unit }) in figures.iter().filter(|(name, _)| !models::of_an_operator(name)) {
        println!("bench {name} {value} {unit}");
    }
    print!("{}", models::tables(figures));
    let context = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let mut all: Figures = match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|why| context(&why))?,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Figures::new(),
        Err(why) => return Err(context(&why)),
    };
    all.extend(figures.clone());
    let mut text = serde_json::to_vec_pretty(&all).map_err(|why| context(&why))?;
    text.push(b'\n');
    std::fs::write(file, text).map_err(|why| context(&why))
}

/// How many instructions the firmware takes until it enters what it boots, measured by a program that prints just that.
///
/// # Errors
/// When the program is missing or prints no number.
pub fn firmware_instructions(board: &Board, programs: &Path, output: &Path) -> Result<u64, String> {
    let path = programs.join("firmware_probe.elf");
    let context = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = std::fs::read(&path).map_err(|why| context(&why))?;
    let elf = object::File::parse(&*bytes).map_err(|why| context(&why))?;
    let code = elf.segments().find(|segment| segment.address() == elf.entry());
    let code = code.ok_or_else(|| context(&"no segment begins at the entry"))?;
    // The emulator loads a file that is no ELF where the firmware enters it.
    let flat = output.join("firmware_probe.bin");
    std::fs::write(&flat, code.data().map_err(|why| context(&why))?).map_err(|why| context(&why))?;
    let expect = Expect { exact: true, ..Expect::default() };
    let outcome = emulator::boot(board, &flat, programs, None, &expect, None)?;
    let number = outcome.lines.iter().find_map(|line| line.strip_prefix("firmware instructions 0x"));
    number
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .ok_or_else(|| format!("the probe of the firmware printed no number:\n{}", outcome.tail()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_gathered_and_the_firmware_is_taken_off() {
        let lines = ["noise", "bench a 12 instructions", "bench boot_to_first_pd 100 instructions", "bench x y z"];
        let outcome = |lines: &[&str]| Outcome {
            lines: lines.iter().map(|line| line.to_string()).collect(),
            exit: None,
            killed: false,
            awaited: None,
        };
        let figures = collect(&[outcome(&lines)], 40).unwrap();
        assert_eq!(figures.len(), 2);
        assert_eq!(figures["a"].value, 12.0);
        assert_eq!(figures[BOOT].value, 60.0);
        assert!(collect(&[outcome(&lines)], 101).is_err());
        assert!(collect(&[outcome(&lines), outcome(&lines)], 0).unwrap_err().contains("two benchmarks"));
    }
}
