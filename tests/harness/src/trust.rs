//! The root of trust in tests of the whole system: a real one, and something on its line that does it harm.
//!
//! The harness starts the root of trust itself and stands between it and the machine. While the machine boots it passes
//! everything on; once the boot has ended it does what the test says.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rot_host::{Machine, Setup};
use rot_protocol::command;
use rot_protocol::frame::{Decoder, Frame, MAX_REPLY_BYTES};
use serde::Deserialize;

/// How the root of trust behaves once the boot has ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// As it should.
    Good,
    /// It is killed.
    Killed,
    /// Each reply comes two and a half seconds late.
    Slow,
    /// Between replies the line invents bytes.
    Garbage,
    /// A bit of each reply is wrong the first time.
    Flipped,
    /// Replies are to requests that nobody made.
    WrongId,
    /// Replies lack their last byte, and are whole otherwise.
    WrongLength,
}

/// A running root of trust behind a socket.
pub struct Trust {
    /// The socket.
    pub line: PathBuf,
    /// The folder with its state.
    pub folder: PathBuf,
}

/// Makes a device in `folder` and serves it at the socket there, once.
///
/// # Errors
/// When it cannot be made or started.
pub fn start(behaviour: Behaviour, kinglet: &Path, firmware: &Path, folder: PathBuf) -> Result<Trust, String> {
    // A run before may have left one.
    let _ = std::fs::remove_dir_all(&folder);
    let mut provision = Command::new(kinglet);
    provision.args(["rot", "provision", "--firmware"]).arg(firmware).arg("--state").arg(&folder);
    crate::run_tool(provision)?;
    let (machine, socket) = Machine::start(Setup { firmware, folder: &folder, provisioning: false })?;
    // A socket's path must be short.
    let line = std::env::temp_dir().join(format!("kinglet-{}-{}.line", std::process::id(), machine.id()));
    let listener = UnixListener::bind(&line).map_err(|why| format!("{}: {why}", line.display()))?;
    thread::spawn(move || {
        // Who does not come needs no line; who goes has had it.
        if let Ok((host, _)) = listener.accept() {
            let _ = serve(behaviour, machine, &socket, host);
        }
    });
    Ok(Trust { line, folder })
}

impl Drop for Trust {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.line);
    }
}

/// Passes bytes on, both ways, until one side goes.
fn serve(behaviour: Behaviour, mut machine: Machine, socket: &UnixStream, host: UnixStream) -> std::io::Result<()> {
    let (mut to_machine, mut from_host) = (socket.try_clone()?, host.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from_host, &mut to_machine));
    let (mut from_machine, mut to_host) = (socket.try_clone()?, host);
    let mut decoder = Decoder::<MAX_REPLY_BYTES>::new();
    let (mut bytes, mut booted, mut damaged) = ([0; 4096], false, None);
    loop {
        let count = from_machine.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        for byte in &bytes[..count] {
            let Some(Ok(frame)) = decoder.push(*byte) else { continue };
            if booted {
                pass(behaviour, &frame, &mut damaged, &mut to_host)?;
            } else {
                to_host.write_all(&line(&frame))?;
            }
            if frame.command == command::END_BOOT {
                booted = true;
                if behaviour == Behaviour::Killed {
                    machine.kill();
                }
            }
        }
    }
}

fn line(frame: &Frame) -> Vec<u8> {
    let mut line = vec![0; MAX_REPLY_BYTES];
    let length = frame.encode(&mut line).unwrap_or(0);
    line.truncate(length);
    line
}

/// Passes a reply on, as the behaviour has it. `damaged` is the request whose reply was damaged last.
fn pass(
    behaviour: Behaviour,
    frame: &Frame,
    damaged: &mut Option<u32>,
    to_host: &mut UnixStream,
) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Good | Behaviour::Killed => to_host.write_all(&line(frame)),
        Behaviour::Slow => {
            // Replies overtake nothing: each is on its way for the same time.
            let (bytes, mut to_host) = (line(frame), to_host.try_clone()?);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(2500));
                // A machine that has ended needs no reply.
                let _ = to_host.write_all(&bytes);
            });
            Ok(())
        }
        Behaviour::Garbage => {
            // Zeros among them end frames that never were.
            let garbage: Vec<u8> = (0..300u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            to_host.write_all(&garbage)?;
            to_host.write_all(&line(frame))
        }
        Behaviour::Flipped => {
            let mut bytes = line(frame);
            if damaged.replace(frame.id) != Some(frame.id) {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            to_host.write_all(&bytes)
        }
        // The session still opens: what is tried is whether replies to requests are believed.
        Behaviour::WrongId | Behaviour::WrongLength if frame.command == command::SYNC => {
            to_host.write_all(&line(frame))
        }
        Behaviour::WrongId => to_host.write_all(&line(&Frame { id: frame.id ^ 0x8000_0000, ..*frame })),
        Behaviour::WrongLength => {
            let data = frame.data.split_last().map_or(&[][..], |(_, rest)| rest);
            to_host.write_all(&line(&Frame { data, ..*frame }))
        }
    }
}

/// Holds what `attest` printed against the image, and against the same image with one byte of it changed.
///
/// # Errors
/// When the verdict is not the right one.
pub fn verify(
    kinglet: &Path,
    arguments: &[String],
    image: &Path,
    evidence: &Path,
    folder: &Path,
) -> Result<(), String> {
    let verify = |image: &Path| -> Result<(bool, String), String> {
        let mut command = Command::new(kinglet);
        command.args(["attest", "verify"]).arg(evidence).arg("--image").arg(image).arg("--state").arg(folder);
        let output = command.args(arguments).output().map_err(|why| format!("{}: {why}", kinglet.display()))?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    };
    let (good, text) = verify(image)?;
    if !good || !text.contains("the device runs exactly this image") {
        return Err(format!("the quote is not accepted:\n{text}"));
    }
    // Its last byte is another one.
    let other = folder.join("other");
    std::fs::create_dir_all(&other).map_err(|why| format!("{}: {why}", other.display()))?;
    let mut bytes = std::fs::read(image).map_err(|why| format!("{}: {why}", image.display()))?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let changed = other.join("kinglet.img");
    std::fs::write(&changed, bytes).map_err(|why| format!("{}: {why}", changed.display()))?;
    let (good, text) = verify(&changed)?;
    if good || !text.contains("DIFFERS") || !text.contains("DOES NOT RUN this image") {
        return Err(format!("the quote is accepted for another image:\n{text}"));
    }
    Ok(())
}
