//! Boots the systems in tests/systems under QEMU and checks what they print.
//!
//! Each folder there is one test: a plain Microkit description `system.system` and what to expect, `expect.toml`. The
//! programs are built and finished before (see the Makefile); this program composes, boots and judges.
#![forbid(unsafe_code)]

mod bench;
mod emulator;
mod expect;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;

use crate::emulator::{Board, Outcome};
use crate::expect::Expect;

#[derive(Parser)]
#[command(about = "Boots small systems in the emulator and checks what they do")]
struct Args {
    /// Folder of the tests
    #[arg(long, default_value = "tests/systems")]
    systems: PathBuf,
    /// Folder of the finished programs, built for the configuration
    #[arg(long)]
    programs: PathBuf,
    /// An SDK, the built-in or an official one: its bin/microkit composes
    #[arg(long)]
    sdk: PathBuf,
    /// The SDK is an official one: tests of what only the built-in kernel does are skipped
    #[arg(long)]
    official: bool,
    /// Microkit's configuration: debug or release
    #[arg(long)]
    config: String,
    /// The board
    #[arg(long, default_value = "qemu_virt_riscv64")]
    board: String,
    /// Folder of the boards
    #[arg(long, default_value = "boards")]
    boards: PathBuf,
    /// Where images and consoles' outputs go
    #[arg(long)]
    output: PathBuf,
    /// Only tests with this in their names
    #[arg(long, default_value = "")]
    filter: String,
    /// How many emulators run at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Run the benchmarks instead of the tests, and add what they measure to this JSON file
    #[arg(long)]
    bench: Option<PathBuf>,
    /// With --bench: the composer's report of the whole system, for its memory and size
    #[arg(long, requires = "bench")]
    system_report: Option<PathBuf>,
}

/// One test, read from its folder.
struct Test {
    name: String,
    folder: PathBuf,
    expect: Expect,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("system-tests: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; whether all of it passed.
fn run(args: &Args) -> Result<bool, String> {
    let board = Board::read(&args.boards, &args.board)?;
    let (tests, skipped) = find_tests(args)?;
    std::fs::create_dir_all(&args.output).map_err(|why| format!("{}: {why}", args.output.display()))?;
    let (passed, outcomes) = run_all(args, &board, &tests);
    if let Some(file) = &args.bench {
        let baseline = bench::firmware_instructions(&board, &args.programs, &args.output)?;
        let mut figures = bench::collect(&outcomes, baseline)?;
        if let Some(report) = &args.system_report {
            figures.extend(bench::totals(report, &["idle_ram_bytes", "image_bytes"])?);
        }
        // The smallest PD of a system of nearly empty ones is what a PD costs at least.
        let minimal = args.output.join("bench_boot.report");
        if minimal.exists() && !args.official {
            figures.extend(bench::totals(&minimal, &["pd_ram_bytes"])?);
        }
        bench::report(&figures, file)?;
    }
    println!("{passed} passed, {} failed, {skipped} skipped", tests.len() - passed);
    Ok(passed == tests.len())
}

/// The tests that apply here, in the order of their names, and how many do not.
fn find_tests(args: &Args) -> Result<(Vec<Test>, usize), String> {
    let entries = std::fs::read_dir(&args.systems).map_err(|why| format!("{}: {why}", args.systems.display()))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    let (mut tests, mut skipped) = (Vec::new(), 0);
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expect = Expect::read(&folder.join("expect.toml"))?;
        if !name.contains(&args.filter) || expect.bench != args.bench.is_some() {
            continue;
        }
        if args.official && expect.only_built_in {
            println!("skipped: {name} ({})", expect.why_skipped());
            skipped += 1;
            continue;
        }
        tests.push(Test { name, folder, expect });
    }
    if tests.is_empty() && skipped == 0 {
        return Err(format!("no test in {} has \"{}\" in its name", args.systems.display(), args.filter));
    }
    Ok((tests, skipped))
}

/// Runs the tests, some at a time; how many passed, and what the machines did.
fn run_all(args: &Args, board: &Board, tests: &[Test]) -> (usize, Vec<Outcome>) {
    let next = AtomicUsize::new(0);
    let passed = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let result = run_one(args, board, test);
                    let seconds = started.elapsed().as_secs_f32();
                    match result {
                        Ok(outcome) => {
                            println!("ok      {} ({}, {seconds:.1} s)", test.name, args.config);
                            passed.fetch_add(1, Ordering::Relaxed);
                            if let Ok(mut outcomes) = outcomes.lock() {
                                outcomes.push(outcome);
                            }
                        }
                        Err(why) => println!("FAILED  {} ({}, {seconds:.1} s): {why}", test.name, args.config),
                    }
                }
            });
        }
    });
    (passed.into_inner(), outcomes.into_inner().unwrap_or_default())
}

/// Composes and boots one system. The error says what is not as expected.
fn run_one(args: &Args, board: &Board, test: &Test) -> Result<Outcome, String> {
    let image = args.output.join(format!("{}.img", test.name));
    compose(args, test, &image)?;
    let outcome = emulator::boot(board, &image, &test.expect)?;
    let console = args.output.join(format!("{}.console", test.name));
    std::fs::write(&console, outcome.lines.join("\n")).map_err(|why| format!("{}: {why}", console.display()))?;
    match test.expect.judge(&outcome, &args.config) {
        Ok(()) => Ok(outcome),
        Err(why) => Err(format!("{why}; its console is in {}:\n{}", console.display(), outcome.tail())),
    }
}

/// Runs the composer of the SDK.
fn compose(args: &Args, test: &Test, image: &Path) -> Result<(), String> {
    let output = Command::new(args.sdk.join("bin/microkit"))
        .arg(test.folder.join("system.system"))
        .args(["--board", &args.board, "--config", &args.config, "--search-path"])
        .args([&args.programs, &test.folder])
        .arg("-o")
        .arg(image)
        .arg("-r")
        .arg(image.with_extension("report"))
        .env("MICROKIT_SDK", &args.sdk)
        .output()
        .map_err(|why| format!("{}: {why}", args.sdk.join("bin/microkit").display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("the composer refused it: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
