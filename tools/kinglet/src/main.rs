//! `kinglet`: the host commands that go with the system, each a thin layer over a module here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod attest;
mod board;
mod bundle;
mod check;
mod clip;
mod describe;
mod disk;
mod expand;
mod features;
mod finish;
mod graph;
mod link;
mod pack;
mod rot;
mod run;
mod table;
mod window;
mod xml;

#[derive(Parser)]
#[command(name = "kinglet", about = "Host commands of the Kinglet operating system", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a plain Microkit description of system.xml for one board
    Expand(expand::Args),
    /// Hold a plain description against what the programs declare
    Check(check::Args),
    /// Draw a plain description as a Graphviz picture
    Graph(graph::Args),
    /// Complete the linked ELF file of a protection domain, so that it can be composed and restarted
    Finish(finish::Args),
    /// Say what is in a model, how it uses memory, what runs where, and whether it fits
    Describe(describe::Args),
    /// Make one file of all models and their samples
    Pack(pack::Args),
    /// Make keys, pack and sign apps, look into bundles
    Bundle(bundle::Args),
    /// Make the clip that a machine hears of a WAV file
    Clip(clip::Args),
    /// Compute the features of sound that a keyword model sees
    Features(features::Args),
    /// Make a disk image with a FAT partition and one for keys; look into it, copy files out and in
    Disk(disk::Args),
    /// Say what a device runs, from its own signed statement
    Attest(attest::Args),
    /// Provision the emulated root of trust, and enrol publishers in it
    Rot(rot::Args),
    /// Boot an image in the board's emulator
    Run(run::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Expand(args) => expand::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::command(&args),
        Command::Graph(args) => graph::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Finish(args) => finish::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Describe(args) => describe::command(&args),
        Command::Pack(args) => pack::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Bundle(args) => bundle::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Clip(args) => clip::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Features(args) => features::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Disk(args) => disk::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Attest(args) => attest::command(&args),
        Command::Rot(args) => rot::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run::command(&args),
    };
    result.unwrap_or_else(|message| {
        eprintln!("kinglet: {message}");
        ExitCode::FAILURE
    })
}
