//! `kinglet attest verify`: what a device says of itself, held against its key and against an image.
//!
//! The evidence is what `attest` printed on the console. Only the quote is signed. The log says in which steps the registers
//! came to be what the quote says they are; it is believed exactly if computing them anew gives those values.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rot_core::measure::extended;
use rot_protocol::data::{Digest, Measurement};
use rot_protocol::{BOOT_REGISTERS, REGISTER_NAMES, REGISTERS, armour};

use crate::board::Board;
use crate::bundle::keys::PublicKey;
use crate::bundle::report::hex;
use crate::rot::DEVICE_KEY;
use crate::rot::parts::{Given, measure};

mod quote;
#[cfg(test)]
mod tests;

use quote::Quote;

/// Arguments of `kinglet attest`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say whether a device runs an image, from what `attest` printed on its console
    Verify(Verify),
    /// Write the quote alone, a COSE_Sign1, for other tools
    Extract {
        /// What the console printed; standard input without it
        evidence: Option<PathBuf>,
        /// The file to write
        #[arg(short, long)]
        output: PathBuf,
    },
}

/// Arguments of `kinglet attest verify`.
#[derive(clap::Args)]
pub struct Verify {
    /// What the console printed; standard input without it
    evidence: Option<PathBuf>,
    /// The image that the device should run
    #[arg(long)]
    image: PathBuf,
    /// Firmware of the accelerator, on boards that have one
    #[arg(long)]
    npu: Option<PathBuf>,
    /// The board's name or alias
    #[arg(long, default_value = "qemu_virt_riscv64")]
    board: String,
    /// Folder of the boards
    #[arg(long, default_value = "boards")]
    boards: PathBuf,
    /// The nonce that was given to `attest`, in hexadecimal digits
    #[arg(long)]
    nonce: Option<String>,
    /// File with the device's public key
    #[arg(long)]
    key: Option<PathBuf>,
    /// Without --key: the folder of the root of trust's state, which has it
    #[arg(long, default_value = "build/rot")]
    state: PathBuf,
    /// Firmware that the root of trust should run
    #[arg(long)]
    firmware: Option<PathBuf>,
}

/// Runs the command; the error is the message for the user.
pub fn command(args: &Args) -> Result<ExitCode, String> {
    match &args.command {
        Command::Verify(verify) => {
            let report = verify.run()?;
            report.lines.iter().for_each(|line| println!("{line}"));
            Ok(if report.good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Extract { evidence, output } => {
            let evidence = Evidence::read(&read_text(evidence.as_deref())?)?;
            fs::write(output, evidence.quote)
                .map_err(|why| format!("{}: {why}", output.display()))
                .map(|()| ExitCode::SUCCESS)
        }
    }
}

fn read_text(path: Option<&Path>) -> Result<String, String> {
    let mut bytes = Vec::new();
    match path {
        Some(path) => bytes = fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?,
        None => {
            std::io::stdin().read_to_end(&mut bytes).map_err(|why| format!("standard input: {why}"))?;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Verify {
    fn run(&self) -> Result<Report, String> {
        let evidence = Evidence::read(&read_text(self.evidence.as_deref())?)?;
        let key = PublicKey::read(&self.key.clone().unwrap_or_else(|| self.state.join(DEVICE_KEY)))?;
        let nonce = self.nonce.as_deref().map(|text| bytes_of_hex(text).ok_or(format!("'{text}' is not a nonce")));
        let board = Board::find(&self.boards, &self.board).map_err(|error| error.to_string())?;
        let built = measure(Given { image: &self.image, npu: self.npu.as_deref() }, &board)?;
        let firmware = self.firmware.as_deref().map(quote::firmware_digest).transpose()?;
        Ok(judge(&evidence, &key, nonce.transpose()?.as_deref(), &built, firmware))
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What `attest` printed.
#[derive(Debug)]
pub struct Evidence {
    quote: Vec<u8>,
    log: Vec<Measurement>,
}

impl Evidence {
    /// Finds the last quote and the last log in a console's output.
    fn read(text: &str) -> Result<Evidence, String> {
        let mut quote = Vec::new();
        for line in block(text, armour::QUOTE)? {
            let (groups, rest) = line.as_bytes().as_chunks::<4>();
            if !rest.is_empty() || !groups.iter().all(|group| armour::decode_group(*group, |byte| quote.push(byte))) {
                return Err(format!("the quote has a line that is no base64: {line}"));
            }
        }
        let log = block(text, armour::LOG)?.into_iter().map(|line| {
            let mut words = line.splitn(3, ' ');
            let register = words.next().and_then(|word| word.parse().ok()).filter(|register| *register < REGISTERS);
            let digest = words.next().and_then(bytes_of_hex).and_then(|bytes| Digest::try_from(bytes).ok());
            let measurement = register.zip(digest).zip(words.next());
            let measurement = measurement.map(|((register, digest), name)| Measurement::new(register, name, digest));
            measurement.ok_or(format!("the log has a line that is no measurement: {line}"))
        });
        Ok(Evidence { quote, log: log.collect::<Result<_, _>>()? })
    }
}

/// The lines of the last whole block of this kind.
fn block<'a>(text: &'a str, kind: &str) -> Result<Vec<&'a str>, String> {
    let (begin, end) = (format!("-----BEGIN {kind}-----"), format!("-----END {kind}-----"));
    let missing = || format!("there is no {kind} in it; `attest` on the console prints one");
    let (before, _) = text.rsplit_once(&end).ok_or_else(missing)?;
    let (_, inside) = before.rsplit_once(&begin).ok_or_else(missing)?;
    Ok(inside.lines().map(str::trim).filter(|line| !line.is_empty()).collect())
}

/// What is found out, line by line.
#[derive(Debug)]
pub struct Report {
    lines: Vec<String>,
    good: bool,
}

impl Report {
    fn say(&mut self, what: &str, text: impl std::fmt::Display) {
        self.lines.push(format!("{what:<12} {text}"));
    }

    fn check(&mut self, what: &str, good: bool, text: impl std::fmt::Display) {
        self.say(what, text);
        self.good &= good;
    }
}

/// Holds evidence against all that is known.
fn judge(
    evidence: &Evidence,
    key: &PublicKey,
    nonce: Option<&[u8]>,
    built: &[Measurement],
    firmware: Option<Digest>,
) -> Report {
    let mut report = Report { lines: Vec::new(), good: true };
    let quote = match Quote::read(&evidence.quote, key) {
        Ok(quote) => quote,
        Err(why) => {
            report.check("signature", false, why);
            report.check("verdict", false, "NOTHING IS KNOWN of what the device runs");
            return report;
        }
    };
    report.say("signature", format_args!("good; device {}", hex(key.bytes())));
    match nonce {
        Some(nonce) if nonce == quote.nonce => report.say("nonce", "the one that was given: the quote is fresh"),
        Some(_) => report.check("nonce", false, format_args!("WRONG: {}", hex(&quote.nonce))),
        None => report.say("nonce", format_args!("not checked, so the quote may be old: {}", hex(&quote.nonce))),
    }
    let secured = quote.lifecycle & 0xff00 == rot_core::token::SECURED;
    let lifecycle = if secured { "secured" } else { "NOT SECURED: the provisioning strap is set" };
    report.check("lifecycle", secured, format_args!("{lifecycle} ({:#06x})", quote.lifecycle));
    match firmware {
        Some(digest) if digest == quote.implementation => report.say("firmware", "the root of trust's own is as built"),
        Some(_) => report.check("firmware", false, "the root of trust runs ANOTHER firmware than was built"),
        None => report.say("firmware", format_args!("{} (not compared; --firmware)", hex(&quote.implementation))),
    }
    let same = compare(&mut report, evidence, &quote, built);
    report.good &= same;
    report.lines.push(String::new());
    let verdict = match (report.good, same) {
        (true, _) => "the device runs exactly this image",
        (false, true) => "the image is the right one, but SOMETHING ELSE IS WRONG, see above",
        (false, false) => "the device DOES NOT RUN this image",
    };
    report.say("verdict", verdict);
    report
}

/// Compares what was measured with what was built. Whether the boot's part of it is the same.
fn compare(report: &mut Report, evidence: &Evidence, quote: &Quote, built: &[Measurement]) -> bool {
    let replayed = replay(&evidence.log);
    let agrees = |register: usize| replayed[register] == quote.registers[register];
    for register in (0..REGISTERS).filter(|register| !agrees(*register)) {
        report.check(
            "log",
            false,
            format_args!("DISAGREES with the signed register {register} ({})", REGISTER_NAMES[register]),
        );
    }
    let boot = |log: &[Measurement]| -> Vec<Measurement> {
        log.iter().filter(|entry| usize::from(entry.register) < BOOT_REGISTERS).copied().collect()
    };
    let measured = boot(&evidence.log);
    if measured.is_empty() {
        report.check("boot", false, "NOTHING WAS MEASURED when the device started");
        return false;
    }
    report.say("log", format_args!("{} measurements, {} of them at the boot", evidence.log.len(), measured.len()));
    report.lines.push(String::new());
    let title = |entry: &Measurement| format!("{} {}", REGISTER_NAMES[usize::from(entry.register)], entry.name());
    let same_part = |a: &Measurement, b: &Measurement| a.register == b.register && a.name() == b.name();
    for entry in &measured {
        let state = match built.iter().find(|part| same_part(part, entry)) {
            Some(part) if part.digest == entry.digest => "as built".into(),
            Some(part) => format!("DIFFERS: runs {}, built {}", short(&entry.digest), short(&part.digest)),
            None => format!("IS NOT in the built image: {}", short(&entry.digest)),
        };
        report.lines.push(format!("  {:<36} {state}", title(entry)));
    }
    for part in built.iter().filter(|part| !measured.iter().any(|entry| same_part(part, entry))) {
        report.lines.push(format!("  {:<36} IS MISSING on the device: built {}", title(part), short(&part.digest)));
    }
    for entry in evidence.log.iter().filter(|entry| usize::from(entry.register) >= BOOT_REGISTERS) {
        report.lines.push(format!("  {:<36} loaded later, {}", title(entry), hex(&entry.digest)));
    }
    // The registers alone decide; names are only for people.
    let wanted = replay(built);
    (0..BOOT_REGISTERS).all(|register| quote.registers[register] == wanted[register])
}

fn short(digest: &Digest) -> String {
    hex(&digest[..8])
}

/// The registers after these measurements.
fn replay(log: &[Measurement]) -> [Digest; REGISTERS] {
    let mut registers = [[0; 32]; REGISTERS];
    for entry in log {
        let register = &mut registers[usize::from(entry.register)];
        *register = extended(register, &entry.digest);
    }
    registers
}
