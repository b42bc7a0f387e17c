//! The auditor's program: the command line of `microkit`, but the image is read and held against the description.
#![forbid(unsafe_code)]

use microkit::args::{self, Command};
use microkit::audit::{Audit, audit};
use microkit::compose;
use microkit::error::{Error, Result};
use microkit::sdk::Sdk;
use std::process::ExitCode;

fn run() -> Result<Audit> {
    let sdk = Sdk::discover()?;
    let Command::Compose(args) = args::parse(std::env::args_os().skip(1), &sdk)? else {
        return Err(Error::new("microkit-audit takes the words that the image was composed with; see microkit --help"));
    };
    let board = sdk.select(&args.board, &args.config)?.board;
    let (system, elfs) = compose::read(&args, &board)?;
    let image = std::fs::read(&args.output);
    let image = image.map_err(|e| Error::new(format!("cannot read {}: {e}", args.output.display())))?;
    audit(&image, &system, &elfs, &board).map_err(|e| e.in_file(&args.output))
}

fn main() -> ExitCode {
    let audit = match run() {
        Ok(audit) => audit,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    audit.facts.iter().for_each(|fact| println!("{fact}"));
    if audit.findings.is_empty() {
        println!("audit: {} facts, all as described", audit.facts.len());
        return ExitCode::SUCCESS;
    }
    audit.findings.iter().for_each(|finding| eprintln!("finding: {finding}"));
    eprintln!("audit: the image is not what the description says ({} findings)", audit.findings.len());
    ExitCode::FAILURE
}
