//! The auditor: what a finished image lets every protection domain do, against what the description grants.
//!
//! It starts from the file that the machine will be given, follows the boot code, and reads page tables and capability
//! tables as the processor and the kernel will. What it finds it says in sentences. The description is put into
//! the same sentences, by code that shares nothing with the composer's back end, and both must agree exactly:
//! a sentence that only the image has is authority that nobody granted.
//!
//! Beyond that, some things must hold for any description: no two owners share memory, no PD reaches the kernel's memory, its
//! page tables or devices that are kept back, nothing that the kernel maps is writable and executable, and all RAM
//! that a PD sees has been filled or cleared, with exactly the content that it was promised.

mod authority;
pub mod loader;
mod memory;
pub mod view;

use crate::board::Board;
use crate::elf::Elf;
use crate::error::Result;
use crate::model::System;
use loader::Machine;
use std::collections::BTreeSet;
use view::View;

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// What the image permits and does, one sentence each, grouped by PD.
    pub facts: Vec<String>,
    /// What must not be. Empty: the image is what the description says.
    pub findings: Vec<String>,
}

/// Audits an image against the system it should have been made from. `elfs` are the unpatched program images.
///
/// # Errors
/// The image cannot be read at all.
pub fn audit(file: &[u8], system: &System, elfs: &[Elf], board: &Board) -> Result<Audit> {
    let machine = Machine::load(file, board.kernel.kernel_paddr)?;
    let view = View::read(&machine)?;
    let mut audit = Audit::default();
    let names: Vec<&str> = system.pds.iter().map(|pd| pd.name.as_str()).collect();
    if view.pds.len() != system.pds.len() {
        let message = format!("the image has {} protection domains, the description {}", view.pds.len(), names.len());
        audit.findings.push(message);
        return Ok(audit);
    }
    let mut found = authority::of_image(&view, &names);
    let mut granted = authority::of_system(system, elfs, board);
    let (memory, findings) = memory::check(&machine, &view, system, elfs, board);
    for (index, (seen, shown)) in memory.into_iter().enumerate() {
        found[index].extend(seen);
        granted[index].extend(shown);
    }
    for (pd, (found, granted)) in found.into_iter().zip(granted).enumerate() {
        audit.compare(&subject(names.get(pd)), found, granted);
    }
    audit.findings.extend(findings);
    Ok(audit)
}

/// The last group of sentences is about the system as a whole.
fn subject(pd: Option<&&str>) -> String {
    pd.map_or("the system".to_string(), |name| format!("'{name}'"))
}

impl Audit {
    fn compare(&mut self, subject: &str, found: Vec<String>, granted: Vec<String>) {
        let granted: BTreeSet<String> = granted.into_iter().collect();
        let mut seen = BTreeSet::new();
        for fact in found {
            if !granted.contains(&fact) {
                self.findings.push(format!("{subject} {fact}, and the description does not say so"));
            }
            self.facts.push(format!("{subject} {fact}"));
            seen.insert(fact);
        }
        for fact in granted.difference(&seen) {
            self.findings.push(format!("the description says that {subject} {fact}, and the image differs"));
        }
    }
}
