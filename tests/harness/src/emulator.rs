//! Boots an image in the board's emulator, types what the test types, and gathers what it prints.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::expect::{Expect, Input};

/// The exit status of `timeout` when it had to stop its command, by a signal that could be caught or not.
const TIMED_OUT: [i32; 2] = [124, 137];
/// More output than this of one test is not kept.
const MOST_OUTPUT_BYTES: usize = 16 << 20;

/// What is needed of a board's file.
#[derive(Debug, Deserialize)]
pub struct Board {
    emulator: Emulator,
    #[serde(default)]
    devices: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
struct Emulator {
    command: Vec<String>,
    exact: Vec<String>,
    #[serde(default)]
    accelerator: Vec<String>,
    #[serde(default)]
    disk: Vec<String>,
    #[serde(default)]
    root_of_trust: Vec<String>,
    #[serde(default)]
    clip: Vec<String>,
}

/// What a machine did.
#[derive(Debug)]
pub struct Outcome {
    /// What it printed, without the firmware's lines being told apart.
    pub lines: Vec<String>,
    /// Its exit code; `None` when it had to be stopped.
    pub exit: Option<i32>,
    /// It was killed because it printed what it was to be killed at.
    pub killed: bool,
    /// What it did not print, and the next input waited for.
    pub awaited: Option<String>,
}

impl Outcome {
    /// The last lines, for the report of a failure.
    pub fn tail(&self) -> String {
        let first = self.lines.len().saturating_sub(12);
        self.lines[first..].iter().map(|line| format!("          | {line}\n")).collect()
    }
}

impl Board {
    /// Reads the board's file.
    ///
    /// # Errors
    /// When there is none or it has no emulator.
    pub fn read(boards: &Path, name: &str) -> Result<Self, String> {
        let path = boards.join(name).join("board.toml");
        let text = std::fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        toml::from_str(&text).map_err(|why| format!("{}: {why}", path.display()))
    }
}

impl Board {
    /// Whether it has this device.
    pub fn has(&self, device: &str) -> bool {
        self.devices.contains_key(device)
    }
}

/// Boots `image` and waits for its end; by the command `instead` of the board's, if there is one.
///
/// # Errors
/// When the emulator cannot be started or talked to.
pub fn boot(
    board: &Board,
    image: &Path,
    programs: &Path,
    disk: Option<&str>,
    expect: &Expect,
    instead: Option<Vec<String>>,
) -> Result<Outcome, String> {
    let image = image.display().to_string();
    let firmware = programs.join("npu-firmware.elf").display().to_string();
    let line = board.emulator.command.iter().chain(expect.exact.then_some(&board.emulator.exact).into_iter().flatten());
    let line = line.chain(expect.accelerator.then_some(&board.emulator.accelerator).into_iter().flatten());
    let line = line.chain(disk.iter().flat_map(|_| &board.emulator.disk));
    let disk = disk.unwrap_or_default();
    // Nothing is at the other end of that line.
    let line = line.chain(expect.root_of_trust_line.then_some(&board.emulator.root_of_trust).into_iter().flatten());
    let line = line.chain(expect.clip.iter().flat_map(|_| &board.emulator.clip));
    let clip = programs.join(expect.clip.as_deref().unwrap_or_default()).display().to_string();
    let fill = |part: &String| {
        let part = part.replace("{image}", &image).replace("{npu}", &firmware);
        part.replace("{rot}", "null").replace("{clip}", &clip).replace("{disk}", disk)
    };
    let command: Vec<String> = instead.unwrap_or_else(|| line.map(fill).collect());
    // The limit holds whatever becomes of this program, and for an emulator that does not listen to signals.
    let mut emulator = Command::new("timeout")
        .args(["-k", "2", &expect.timeout_s.to_string()])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("timeout: {why}"))?;
    let mut input = emulator.stdin.take().ok_or("the emulator has no standard input")?;
    let mut output = emulator.stdout.take().ok_or("the emulator has no standard output")?;
    let mut typist = Typist::new(&expect.input);
    let mut printed = Vec::new();
    let mut buffer = [0; 4096];
    let mut killed = false;
    // The console stays open to the end: closed, it would be the end of the guest's input.
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        if printed.len() < MOST_OUTPUT_BYTES {
            printed.extend_from_slice(&buffer[..count]);
        }
        if let Some(text) = expect.kill_at.as_ref().filter(|_| !killed)
            && printed.windows(text.len()).any(|part| part == text.as_bytes())
        {
            killed = true;
            kill(emulator.id())?;
        }
        while let Some(text) = typist.next(&printed) {
            // A machine that has ended reads nothing; its exit code tells.
            let _ = input.write_all(&text).and_then(|()| input.flush());
        }
    }
    let status = emulator.wait().map_err(|why| format!("the emulator: {why}"))?;
    let text = String::from_utf8_lossy(&printed);
    let lines = text.split('\n').map(|line| line.trim_end_matches('\r').to_string()).collect();
    let awaited = typist.inputs.first().map(|input| input.after.clone());
    let awaited = awaited.filter(|_| !killed);
    Ok(Outcome { lines, exit: status.code().filter(|code| !TIMED_OUT.contains(code)), killed, awaited })
}

/// Ends `timeout` and the emulator, which are a process group of their own, at once: neither can do anything about it.
fn kill(group: u32) -> Result<(), String> {
    let status = Command::new("sh").args(["-c", &format!("kill -KILL -{group}")]).status();
    status.map(|_| ()).map_err(|why| format!("sh: {why}"))
}

/// Types each input once what it waits for is printed, after what the one before waited for.
struct Typist<'a> {
    inputs: &'a [Input],
    /// Where what was not looked through yet begins.
    from: usize,
}

impl<'a> Typist<'a> {
    fn new(inputs: &'a [Input]) -> Self {
        Self { inputs, from: 0 }
    }

    /// What is to be typed now.
    fn next(&mut self, printed: &[u8]) -> Option<Vec<u8>> {
        let (input, rest) = self.inputs.split_first()?;
        let wanted = input.after.as_bytes();
        let unseen = printed.get(self.from..)?;
        let found =
            if wanted.is_empty() { Some(0) } else { unseen.windows(wanted.len()).position(|part| part == wanted) };
        let Some(found) = found else {
            // Its beginning may be the end of what was printed.
            self.from += (unseen.len() + 1).saturating_sub(wanted.len());
            return None;
        };
        self.from += found + wanted.len();
        self.inputs = rest;
        Some(input.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_wait_for_their_turn() {
        let input = |after: &str, text: &str| Input { after: after.into(), text: text.into(), ..Input::default() };
        let inputs = [input("> ", "one"), input("> ", "two")];
        let mut typist = Typist::new(&inputs);
        assert_eq!(typist.next(b"hello"), None);
        assert_eq!(typist.next(b"hello>"), None);
        assert_eq!(typist.next(b"hello> "), Some(b"one".to_vec()));
        assert_eq!(typist.next(b"hello> "), None);
        assert_eq!(typist.next(b"hello> one\n> "), Some(b"two".to_vec()));
        assert_eq!(typist.next(b"hello> one\n> > "), None);
    }

    #[test]
    fn an_input_is_text_then_bytes_so_many_times() {
        let input = Input { text: "ab".into(), raw: vec![0xff], times: 2, ..Input::default() };
        assert_eq!(input.bytes(), b"ab\xffab\xff");
    }
}
