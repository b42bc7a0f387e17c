//! Boots the systems in tests/systems under QEMU and checks what they print.
//!
//! Each folder there is one test: a description and what to expect, `expect.toml`. The description is `system.system`, a plain
//! Microkit one, or `system.xml`, which `kinglet expand` makes a plain one of. Each file in tests/console is a test of
//! the whole system's image: what is typed on its console, and what to expect. Programs and image are built before (see
//! the Makefile); this program composes, boots and judges.
#![forbid(unsafe_code)]

mod bench;
mod disk;
mod emulator;
mod expect;
mod models;
mod trust;

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
    /// Folders of the finished programs, built for the configuration; those of the tests first
    #[arg(long, num_args = 1.., required = true)]
    programs: Vec<PathBuf>,
    /// The program `kinglet`, for descriptions that are to be expanded
    #[arg(long)]
    kinglet: PathBuf,
    /// Folder of the tests of the whole system's image
    #[arg(long, default_value = "tests/console")]
    console: PathBuf,
    /// The whole system's image; without it, it is not tested
    #[arg(long)]
    image: Option<PathBuf>,
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

/// One test, read from its file.
struct Test {
    name: String,
    image: Image,
    expect: Expect,
}

/// What a test boots.
enum Image {
    /// Composed of what is in this folder.
    Composed(PathBuf),
    /// This file.
    Ready(PathBuf),
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
        let baseline = bench::firmware_instructions(&board, &args.programs[0], &args.output)?;
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
    let mut tests = Vec::new();
    for folder in entries(&args.systems)?.into_iter().filter(|path| path.is_dir()) {
        let expect = Expect::read(&folder.join("expect.toml"))?;
        tests.push(Test { name: name(&folder), image: Image::Composed(folder), expect });
    }
    if let Some(image) = &args.image {
        for file in entries(&args.console)? {
            let name = format!("console-{}", name(&file));
            tests.push(Test { name, image: Image::Ready(image.clone()), expect: Expect::read(&file)? });
        }
    }
    tests.retain(|test| test.name.contains(&args.filter) && test.expect.bench == args.bench.is_some());
    if tests.is_empty() {
        return Err(format!("no test has \"{}\" in its name", args.filter));
    }
    let (skipped, tests): (Vec<Test>, Vec<Test>) =
        tests.into_iter().partition(|test| args.official && test.expect.only_built_in);
    for test in &skipped {
        println!("skipped: {} ({})", test.name, test.expect.why_skipped());
    }
    Ok((tests, skipped.len()))
}

/// What is in a folder, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// The name of a file or folder, without its ending.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
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
    let image = match &test.image {
        Image::Composed(folder) => compose(args, &test.name, folder)?,
        Image::Ready(image) => image.clone(),
    };
    let disk = test.expect.disk.map(|disk| disk.make(&args.kinglet, &args.output, &test.name)).transpose()?;
    let (mut stage, mut last) = (Some(&test.expect), None);
    let mut console = args.output.join(format!("{}.console", test.name));
    while let Some(expect) = stage {
        last = Some(run_stage(args, board, test, &image, expect, disk.as_deref(), &console)?);
        stage = expect.then.as_deref();
        console.set_extension("then.console");
    }
    last.ok_or_else(|| "nothing was booted".into())
}

/// Boots once, and holds that against what is expected of it.
fn run_stage(
    args: &Args,
    board: &Board,
    test: &Test,
    image: &Path,
    expect: &Expect,
    disk: Option<&str>,
    console: &Path,
) -> Result<Outcome, String> {
    // The whole system is composed for all that the board has.
    let whole = matches!(test.image, Image::Ready(_));
    let expect = Expect {
        accelerator: expect.accelerator || whole && board.has("npu"),
        root_of_trust_line: expect.root_of_trust_line || whole && board.has("rot"),
        ..expect.clone()
    };
    let trust = expect.root_of_trust.map(|behaviour| {
        let folder = args.output.join(format!("{}.rot", test.name));
        trust::start(behaviour, &args.kinglet, &args.programs[0].join("rot-firmware.elf"), folder)
    });
    let trust = trust.transpose()?;
    let runner = trust.as_ref().map(|trust| runner(args, image, trust));
    let outcome = emulator::boot(board, image, &args.programs[0], disk, &expect, runner)?;
    std::fs::write(console, outcome.lines.join("\n")).map_err(|why| format!("{}: {why}", console.display()))?;
    let judged = expect.judge(&outcome, &args.config).and_then(|()| match &trust {
        Some(trust) if expect.attested => {
            let mut arguments = given(args);
            arguments.extend(expect.nonce.iter().flat_map(|nonce| ["--nonce".into(), nonce.clone()]));
            trust::verify(&args.kinglet, &arguments, image, console, &trust.folder)
        }
        _ => Ok(()),
    });
    match judged {
        Ok(()) => Ok(outcome),
        Err(why) => Err(format!("{why}; its console is in {}:\n{}", console.display(), outcome.tail())),
    }
}

/// What host commands about the whole system need to know beside its image.
fn given(args: &Args) -> Vec<String> {
    let firmware = args.programs[0].join("npu-firmware.elf");
    let text = |path: &Path| path.display().to_string();
    ["--board".into(), args.board.clone(), "--boards".into(), text(&args.boards), "--npu".into(), text(&firmware)]
        .into()
}

/// The command that boots the whole system with this root of trust.
fn runner(args: &Args, image: &Path, trust: &trust::Trust) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let mut line = vec![text(&args.kinglet), "run".into(), text(image), "--raw".into(), "--rot-line".into()];
    line.push(text(&trust.line));
    line.extend(given(args));
    line
}

/// Runs the composer of the SDK on the description in `folder`; gives the image.
fn compose(args: &Args, name: &str, folder: &Path) -> Result<PathBuf, String> {
    let image = args.output.join(format!("{name}.img"));
    // The system table of an expanded description has the same name in each of them.
    let made = args.output.join(format!("{name}.made"));
    let mut description = folder.join("system.system");
    if !description.exists() {
        std::fs::create_dir_all(&made).map_err(|why| format!("{}: {why}", made.display()))?;
        description = made.join("system.system");
        let mut expand = Command::new(&args.kinglet);
        expand.arg("expand").arg(folder.join("system.xml")).args(["--board", &args.board]);
        expand.arg("--boards").arg(&args.boards).arg("--output").arg(&description);
        expand.arg("--table").arg(made.join("system_table.bin")).arg("--search-path").args(&args.programs);
        run_tool(expand)?;
    }
    let mut compose = Command::new(args.sdk.join("bin/microkit"));
    compose.arg(description).args(["--board", &args.board, "--config", &args.config, "--search-path"]);
    compose.arg(&made).args(&args.programs).arg(folder).arg("-o").arg(&image);
    compose.arg("-r").arg(image.with_extension("report")).env("MICROKIT_SDK", &args.sdk);
    run_tool(compose)?;
    Ok(image)
}

/// Runs a tool; the error is what it says.
fn run_tool(mut command: Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|why| format!("{program}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} refused it: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
