//! `kinglet check`: is the wiring of a system what its programs expect?
//!
//! The composer refuses what cannot be composed. This refuses what would be composed and then not work, or not safely: it
//! holds a plain description (as `kinglet expand` writes it) against the notes in the programs' ELF files. Programs without
//! notes are checked by structure only.
//!
//! | module | rules about |
//! |---|---|
//! | [`links`] | the two ends of a link, and their regions |
//! | [`calls`] | protected calls: who may call whom, and whether caller and callee mean the same |
//! | [`symbols`] | what the composer writes into programs; regions, stacks, channel ends |

use crate::xml;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use roxmltree::Document;

mod calls;
mod description;
mod links;
mod program;
mod symbols;
#[cfg(test)]
mod tests;

use description::System;
use program::{Interface, Program};

/// Arguments of `kinglet check`.
#[derive(clap::Args)]
pub struct Args {
    /// A plain system description, as `kinglet expand` writes it
    system: PathBuf,
    /// Folders with the programs and the files that regions are filled with; the current folder is searched too
    #[arg(long, num_args = 1..)]
    search_path: Vec<PathBuf>,
    /// The file that the description was expanded from: messages name it, because its lines are the same
    #[arg(long)]
    source: Option<PathBuf>,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Where, in bytes of the description.
    at: usize,
    /// Whether the system may be composed all the same.
    is_warning: bool,
    /// What, and how to mend it.
    message: String,
}

/// A description and its programs, and what was found so far.
struct Check<'a> {
    text: &'a str,
    system: System<'a>,
    /// By index of the protection domain; `None` if its program cannot be read.
    programs: Vec<Option<Program>>,
    findings: BTreeSet<Finding>,
}

impl Check<'_> {
    fn error(&mut self, at: usize, message: String) {
        self.findings.insert(Finding { at, is_warning: false, message });
    }

    fn warn(&mut self, at: usize, message: String) {
        self.findings.insert(Finding { at, is_warning: true, message });
    }

    /// What the program of a protection domain declares, if it declares anything.
    fn interface(&self, pd: usize) -> Option<&Interface> {
        self.programs[pd].as_ref()?.interface.as_ref()
    }

    /// Whether a program has this variable.
    fn has_variable(&self, pd: usize, symbol: &str) -> bool {
        self.programs[pd].as_ref().is_some_and(|program| program.variables.contains(symbol))
    }
}

/// Runs the command. What does not fit is printed; the error is what kept it from checking.
pub fn command(args: &Args) -> Result<ExitCode, String> {
    let text = fs::read_to_string(&args.system).map_err(|why| format!("{}: {why}", args.system.display()))?;
    let name = args.source.as_ref().unwrap_or(&args.system).display();
    let document = xml::parse(&text).map_err(|why| format!("{name}:{why}"))?;
    let find = |path: &Path| {
        let here = PathBuf::from(".");
        args.search_path.iter().chain([&here]).map(|folder| folder.join(path)).find(|path| path.is_file())
    };
    let file_bytes = |path: &Path| Some(fs::metadata(find(path)?).ok()?.len());
    let load = |path: &str| {
        let found = find(Path::new(path)).ok_or_else(|| format!("there is no file '{path}' in the search path"))?;
        let file = fs::read(&found).map_err(|why| format!("{}: {why}", found.display()))?;
        Program::parse(&file).map_err(|why| format!("{}: {why}", found.display()))
    };
    let findings = check(&text, &document, file_bytes, load);
    for finding in &findings {
        let place = document.text_pos_at(finding.at);
        let warning = if finding.is_warning { "warning: " } else { "" };
        eprintln!("kinglet: {name}:{}:{}: {warning}{}", place.row, place.col, finding.message);
    }
    Ok(if findings.iter().all(|finding| finding.is_warning) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All that does not fit, in the order of the text.
fn check(
    text: &str,
    document: &Document,
    file_bytes: impl Fn(&Path) -> Option<u64>,
    load: impl Fn(&str) -> Result<Program, String>,
) -> Vec<Finding> {
    let system = System::read(document, file_bytes);
    let mut check = Check { text, system, programs: Vec::new(), findings: BTreeSet::new() };
    for index in 0..check.system.pds.len() {
        // The composer knows best what to say of a protection domain without a program.
        let program = check.system.pds[index].image.and_then(|(path, at)| match load(path) {
            Ok(program) => Some(program),
            Err(why) => {
                let name = check.system.pds[index].name;
                check.error(at, format!("the program of '{name}' cannot be checked: {why}"));
                None
            }
        });
        check.programs.push(program);
    }
    links::check(&mut check);
    calls::check(&mut check);
    symbols::check(&mut check);
    check.findings.into_iter().collect()
}

/// Names in a row, at most a dozen, or `nothing`.
fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        0 => "nothing".to_owned(),
        1..=MOST => names.join(", "),
        more => format!("{} and {} more", names[..MOST].join(", "), more - MOST),
    }
}

/// `; did you mean 'NAME'?` if one of the names is close to what was written.
fn suggest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let most = (written.chars().count() / 3).clamp(1, 3);
    let near = names.into_iter().map(|name| (distance(written, name), name)).filter(|(distance, _)| *distance <= most);
    near.min().map_or(String::new(), |(_, name)| format!("; did you mean '{name}'?"))
}

/// How many letters must be added, removed, changed or swapped with the next to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
