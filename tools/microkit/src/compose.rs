//! From the command line to the files: all steps in order.

use crate::args::{self, Args, Command};
use crate::board::Board;
use crate::description::files::{SearchPath, read_bounded};
use crate::description::{self, MAX_DESCRIPTION_BYTES};
use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::model::{ProtectionDomain, System};
use crate::sdk::Sdk;
use crate::{image, patch, report};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// More warnings than these help nobody.
const MAX_WARNINGS: usize = 20;

/// Does what the command line asks for, with warnings to the standard error output.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<()> {
    let words: Vec<OsString> = words.into_iter().collect();
    let sdk = Sdk::discover();
    if words.iter().any(|word| word == "-h" || word == "--help") && sdk.is_err() {
        print!("{}", args::help(None));
        return Ok(());
    }
    let sdk = sdk?;
    match args::parse(words, &sdk)? {
        Command::Help => print!("{}", args::help(Some(&sdk))),
        Command::Compose(args) => compose(&args, &sdk)?,
    }
    Ok(())
}

fn compose(args: &Args, sdk: &Sdk) -> Result<()> {
    let target = sdk.select(&args.board, &args.config)?;
    let board = &target.board;
    let kernel = target.kernel(args.override_kernel.as_deref())?;
    let (system, mut elfs) = read(args, board)?;
    let in_system = |e: Error| e.in_file(&args.system);
    let placement = image::place(&system, &elfs, &kernel, board).map_err(in_system)?;
    patch::patch(&system, &mut elfs, &placement.region_paddrs).map_err(in_system)?;
    let (file, facts) = image::write(&placement, &system, &elfs, board, args.image_type).map_err(in_system)?;

    write(&args.output, &file)?;
    write(&args.report, report::text(&system, board, &facts)?.as_bytes())?;
    println!("{}: {} for {} ({})", args.output.display(), report::size(file.len() as u64), args.board, args.config);
    Ok(())
}

/// Reads the description and the program images, one for each PD, and checks them against each other.
pub fn read(args: &Args, board: &Board) -> Result<(System, Vec<Elf>)> {
    let search = SearchPath { folders: args.search_path.iter().cloned().chain([PathBuf::from(".")]).collect() };
    let text = read_bounded(&args.system, MAX_DESCRIPTION_BYTES)?;
    let in_system = |e: Error| e.in_file(&args.system);
    let text = std::str::from_utf8(&text).map_err(|e| {
        in_system(Error::new(format!("a description is text in UTF-8, and byte {} is not", e.valid_up_to())))
    })?;
    let description = description::parse(text, board, &search).map_err(in_system)?;
    let system = description.system;
    let more = description.warnings.len().saturating_sub(MAX_WARNINGS);
    for warning in description.warnings.into_iter().take(MAX_WARNINGS) {
        eprintln!("{}", warning.in_file(&args.system).labelled("warning"));
    }
    if more > 0 {
        eprintln!("{}", in_system(Error::new(format!("{more} more like these"))).labelled("warning"));
    }
    let mut elfs = Vec::new();
    for pd in &system.pds {
        elfs.push(load(pd, &system, board, &search).map_err(in_system)?);
    }
    Ok((system, elfs))
}

/// Reads the program image of a PD and checks it against the system.
fn load(pd: &ProtectionDomain, system: &System, board: &Board, search: &SearchPath) -> Result<Elf> {
    let describe = |path: &Path, e: Error| {
        let message = format!("protection domain '{}' ({}): {}", pd.name, path.display(), e.message());
        Error::at(e.location().unwrap_or(pd.location), message)
    };
    let read = |path: &Path| {
        let found = search.find(path).map_err(|e| describe(path, e))?;
        read_bounded(&found, board.kernel.ram_bytes).map_err(|e| describe(path, e))
    };
    let file = read(&pd.program_image)?;
    let symbols = pd.program_image_for_symbols.as_deref().map(read).transpose()?;
    let elf =
        Elf::parse(&file, symbols.as_deref(), board.kernel.ram_bytes).map_err(|e| describe(&pd.program_image, e))?;
    elf.check(system, pd).map_err(|e| describe(&pd.program_image, e))?;
    if !elf.entry_is_executable() {
        let message = format!("'{}' will fault at once: its entry {:#x} is not executable", pd.name, elf.entry);
        eprintln!("{}", describe(&pd.program_image, Error::new(message)).labelled("warning"));
    }
    Ok(elf)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))
}
