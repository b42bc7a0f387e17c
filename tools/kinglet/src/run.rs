//! `kinglet run`: boots an image in the board's emulator.
//!
//! At a terminal the emulator takes over the terminal, and its console stays open until the user leaves. Otherwise (a
//! pipe, CI) standard input goes to the console, the main job's verdict is awaited, the system is powered off, and the
//! exit status says whether all was right.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use protocols::audio::SAMPLE_RATE;

use crate::board::{Board, Emulator};
use crate::clip::{self, Clip};
use crate::rot::boot;
use crate::rot::parts::Given;

/// Arguments of `kinglet run`.
#[derive(clap::Args)]
pub struct Args {
    /// The image that the composer made
    image: PathBuf,
    /// The board's name or alias
    #[arg(long)]
    board: String,
    /// Folder of the boards
    #[arg(long, default_value = "boards")]
    boards: PathBuf,
    /// Count instructions exactly: one takes one nanosecond of virtual time
    #[arg(long)]
    exact: bool,
    /// Firmware of the accelerator; boards that have the device `npu` need it
    #[arg(long)]
    npu: Option<PathBuf>,
    /// Image of the disk to attach, as `kinglet disk make` makes it; `none` for no disk
    #[arg(long, default_value = "none")]
    disk: PathBuf,
    /// WAV file that the machine hears; boards that have the device `audio` can
    #[arg(long)]
    clip: Option<PathBuf>,
    #[command(flatten)]
    rot: boot::Options,
    /// At a terminal: where the console's serial line goes instead, as the emulator names it: `pty` for a terminal program
    #[arg(long)]
    serial: Option<String>,
    /// Wait for a debugger before the first instruction
    #[arg(long)]
    debugger: bool,
    /// Judge nothing: pass standard input and output on, and end with the machine's exit status
    #[arg(long)]
    raw: bool,
    /// Without a terminal: a line that starts with this must come for the run to end well; may be given several times [default:
    /// digits: PASS, and what the demonstration of the clip says]
    #[arg(long)]
    pass: Vec<String>,
    /// Without a terminal: a line that starts with this ends the run badly; may be given several times [default: the same with FAIL]
    #[arg(long)]
    fail: Vec<String>,
    /// Without a terminal: standard input is passed on once the console has shown this; the firmware eats what comes earlier
    #[arg(long, default_value = "kinglet> ")]
    prompt: String,
    /// Without a terminal: a line that is typed before standard input is passed on
    #[arg(long)]
    first: Option<String>,
    /// Without a terminal: give up after so many seconds
    #[arg(long, default_value_t = 120)]
    timeout_s: u64,
}

impl Args {
    /// The disk's image, if there is to be a disk.
    fn disk(&self) -> Option<&PathBuf> {
        Some(&self.disk).filter(|disk| disk.as_os_str() != "none")
    }
}

/// Runs the command; the error is the message for the user.
pub fn command(args: &Args) -> Result<ExitCode, String> {
    let board = Board::find(&args.boards, &args.board).map_err(|error| error.to_string())?;
    let emulator = board
        .emulator
        .as_ref()
        .ok_or_else(|| format!("board {} has no emulator; write the image to the board itself", board.name))?;
    if !args.image.is_file() {
        return Err(format!("{}: there is no such image; `make image` builds it", args.image.display()));
    }
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let accelerated = board.devices.contains_key("npu");
    if accelerated != args.npu.is_some() {
        let hint = if accelerated { "has an accelerator: name its firmware with --npu" } else { "has no accelerator" };
        return Err(format!("board {} {hint}", board.name));
    }
    if let Some(disk) = args.disk() {
        if !board.devices.contains_key("disk") {
            return Err(format!("board {} has no disk; leave out --disk", board.name));
        }
        if !disk.is_file() {
            return Err(format!("{}: there is no such disk image; `make disk` makes one", disk.display()));
        }
    }
    let mut verdict = Verdict::new(&args.pass, &args.fail);
    let mut clip_file = None;
    if let Some(path) = &args.clip {
        let clip = clip_for(&board, path)?;
        verdict.expect_clip(&clip);
        let file = args.image.with_extension("clip");
        std::fs::write(&file, clip.bytes()).map_err(|why| format!("{}: {why}", file.display()))?;
        clip_file = Some(file);
    }
    let given = Given { image: &args.image, npu: args.npu.as_deref() };
    // It runs, and its line is open, for as long as the machine does.
    let rot = boot::boot(&args.rot, given, &board)?;
    let line = command_line(emulator, args, clip_file.as_deref(), rot.character_device().as_deref(), interactive);
    if args.raw {
        let status = start(&line, Stdio::inherit(), Stdio::inherit())?.wait().map_err(|why| why.to_string())?;
        return Ok(ExitCode::from(status.code().unwrap_or(1) as u8));
    }
    if interactive {
        args.first.iter().for_each(|line| eprintln!("Try this at the prompt: {line}"));
        eprintln!("Booting {} ({}). Leave with `poweroff`, or with Ctrl-A X.", board.name, board.description);
        let status = start(&line, Stdio::inherit(), Stdio::inherit())?.wait().map_err(|why| why.to_string())?;
        return Ok(ExitCode::from(status.code().unwrap_or(1) as u8));
    }
    watch(start(&line, Stdio::piped(), Stdio::piped())?, args, verdict)
}

/// Reads the clip, which must fit the board.
fn clip_for(board: &Board, path: &Path) -> Result<Clip, String> {
    if !board.devices.contains_key("audio") {
        return Err(format!("board {} has no device 'audio' that could play {}", board.name, path.display()));
    }
    let room = board.number("audio", "clip_bytes")?;
    let clip = clip::read(path)?;
    for remark in &clip.remarks {
        eprintln!("kinglet: {remark}");
    }
    let bytes = clip.bytes().len() as u64;
    if bytes > room {
        let longest_s = room / (2 * u64::from(SAMPLE_RATE));
        return Err(format!("{}: too long; board {} can hear {longest_s} s", path.display(), board.name));
    }
    Ok(clip)
}

/// The emulator's command line. At a terminal the emulator's own escape key stays, and Ctrl-C goes to the console.
fn command_line(
    emulator: &Emulator,
    args: &Args,
    clip: Option<&Path>,
    rot: Option<&str>,
    interactive: bool,
) -> Vec<String> {
    let mut line = emulator.command.clone();
    line.extend(args.npu.iter().flat_map(|_| &emulator.accelerator).cloned());
    line.extend(args.disk().iter().flat_map(|_| &emulator.disk).cloned());
    line.extend(clip.iter().flat_map(|_| &emulator.clip).cloned());
    line.extend(rot.iter().flat_map(|_| &emulator.root_of_trust).cloned());
    line.extend(args.exact.then_some(&emulator.exact).into_iter().flatten().cloned());
    line.extend(args.debugger.then_some(&emulator.debugger).into_iter().flatten().cloned());
    let image = args.image.display().to_string();
    for part in &mut line {
        *part = part.replace("{image}", &image).replace("{rot}", rot.unwrap_or_default());
        if let Some(npu) = &args.npu {
            *part = part.replace("{npu}", &npu.display().to_string());
        }
        if let Some(disk) = args.disk() {
            // A comma ends a value, unless there are two.
            *part = part.replace("{disk}", &disk.display().to_string().replace(',', ",,"));
        }
        if let Some(clip) = clip {
            // In an option of the emulator a comma is written twice.
            *part = part.replace("{clip}", &clip.display().to_string().replace(',', ",,"));
        }
    }
    if interactive {
        for index in 1..line.len() {
            if line[index - 1] == "-serial" && line[index] == "stdio" {
                line[index] = args.serial.clone().unwrap_or_else(|| "mon:stdio".into());
            }
        }
        if let Some(monitor) = line.iter().position(|part| part == "-monitor") {
            line.drain(monitor..(monitor + 2).min(line.len()));
        }
    }
    line
}

fn start(line: &[String], input: Stdio, output: Stdio) -> Result<Child, String> {
    let (program, arguments) = line.split_first().ok_or("the board's emulator command is empty")?;
    let started = Command::new(program).args(arguments).stdin(input).stdout(output).spawn();
    started.map_err(|why| format!("{program}: {why}; `make setup` installs it"))
}

/// Passes the console on until the verdict, then powers off.
fn watch(mut emulator: Child, args: &Args, mut verdict: Verdict) -> Result<ExitCode, String> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout_s);
    let mut console = emulator.stdin.take().ok_or("the emulator has no standard input")?;
    let mut output = emulator.stdout.take().ok_or("the emulator has no standard output")?;
    let (bytes_out, bytes_in) = mpsc::sync_channel::<Vec<u8>>(64);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            if bytes_out.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let (input_out, input_in) = mpsc::channel();
    let (ready_out, ready_in) = mpsc::channel::<()>();
    let first = args.first.iter().map(|line| format!("{line}\n")).collect::<String>();
    thread::spawn(move || {
        // An error means that the emulator ended before its console was ready.
        if ready_in.recv().is_err() {
            return;
        }
        // A console that is gone ends the forwarding; the main thread sees the emulator end.
        let ended = console.write_all(first.as_bytes()).and_then(|()| forward(&mut console));
        let _ = input_out.send((console, ended));
    });

    let mut ready = Some(ready_out);
    let mut line = Vec::new();
    // Once powered off it holds the console, which must stay open: closed, it would be the end of the guest's input.
    let mut powered_off = None;
    loop {
        match bytes_in.recv_timeout(Duration::from_millis(50)) {
            Ok(bytes) => {
                let mut stdout = io::stdout();
                // A reader that left does not end the run: its result is the exit status.
                let _ = stdout.write_all(&bytes).and_then(|()| stdout.flush());
                for byte in bytes {
                    if byte != b'\n' {
                        line.push(byte);
                        if line.ends_with(args.prompt.as_bytes())
                            && let Some(ready) = ready.take()
                        {
                            // Whoever waits for it is there until it came.
                            let _ = ready.send(());
                        }
                        continue;
                    }
                    verdict.judge(&line);
                    line.clear();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if verdict.is_known()
            && powered_off.is_none()
            && let Ok((mut console, _)) = input_in.try_recv()
        {
            // A console that is gone means that the emulator is ending anyway.
            let _ = console.write_all(b"poweroff\n").and_then(|()| console.flush());
            powered_off = Some(console);
        }
        if Instant::now() > deadline {
            let _ = emulator.kill();
            let _ = emulator.wait();
            return Err(format!("no end after {} s; stopped the emulator", args.timeout_s));
        }
    }
    let status = emulator.wait().map_err(|why| why.to_string())?;
    match (verdict.failed, verdict.missing.first()) {
        (Some(line), _) => Err(format!("the main job failed (see the line '{line}')")),
        (None, Some(line)) => Err(format!("the system ended ({status}) before the line '{line}'")),
        (None, None) if status.success() => Ok(ExitCode::SUCCESS),
        (None, None) => Err(format!("the emulator ended with {status}")),
    }
}

/// Copies standard input to the console until it ends.
fn forward(console: &mut ChildStdin) -> io::Result<()> {
    let mut buffer = [0; 256];
    loop {
        match io::stdin().read(&mut buffer)? {
            0 => return Ok(()),
            count => console.write_all(&buffer[..count]).and_then(|()| console.flush())?,
        }
    }
}

/// What the console must show.
#[derive(Debug, Default, PartialEq)]
struct Verdict {
    /// Lines that have not come yet and must.
    missing: Vec<String>,
    /// Lines that must not come.
    forbidden: Vec<String>,
    /// The one of them that came.
    failed: Option<String>,
    /// What is looked for was not chosen by the user.
    is_default: bool,
}

impl Verdict {
    /// What the user chose, or the main job's.
    fn new(pass: &[String], fail: &[String]) -> Self {
        let or = |chosen: &[String], default: &str| match chosen {
            [] => vec![default.to_owned()],
            chosen => chosen.to_vec(),
        };
        let is_default = pass.is_empty() && fail.is_empty();
        let (missing, forbidden) = (or(pass, "digits: PASS"), or(fail, "digits: FAIL"));
        Verdict { missing, forbidden, failed: None, is_default }
    }

    /// The machine hears a clip: that is a job too, unless the user looks for something else.
    fn expect_clip(&mut self, clip: &Clip) {
        if self.is_default {
            self.missing.push(if clip.said.is_some() { "keywords: PASS" } else { "keywords: END" }.into());
            self.forbidden.push("keywords: FAIL".into());
        }
    }

    /// Takes a line of the console. Whatever a terminal would not show before the text is passed over.
    fn judge(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        self.missing.retain(|wanted| !text.contains(wanted));
        if self.failed.is_none() {
            self.failed = self.forbidden.iter().find(|line| text.contains(*line)).cloned();
        }
    }

    fn is_known(&self) -> bool {
        self.failed.is_some() || self.missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verdict on these lines, with and without a clip.
    fn verdict(clip: Option<&Clip>, lines: &[&[u8]]) -> Verdict {
        let mut verdict = Verdict::new(&[], &[]);
        clip.iter().for_each(|clip| verdict.expect_clip(clip));
        lines.iter().for_each(|line| verdict.judge(line));
        verdict
    }

    #[test]
    fn verdicts_are_found_behind_prefixes() {
        let passed = |verdict: &Verdict| verdict.is_known() && verdict.failed.is_none();
        assert!(passed(&verdict(None, &[b"[digits_demo] digits: PASS 10 of 10\r"])));
        assert_eq!(verdict(None, &[b"\x1b[Kdigits: FAIL"]).failed.as_deref(), Some("digits: FAIL"));
        assert!(!verdict(None, &[b"\xff digits:"]).is_known());
    }

    #[test]
    fn a_clip_is_a_job_too() {
        let told = Clip { said: Some(Vec::new()), ..Clip::default() };
        let digits: &[u8] = b"digits: PASS";
        assert!(!verdict(Some(&told), &[digits]).is_known());
        assert!(verdict(Some(&told), &[b"keywords: PASS all", digits]).is_known());
        assert!(verdict(Some(&told), &[b"keywords: FAIL 1 of 2"]).failed.is_some());
        assert!(verdict(Some(&Clip::default()), &[digits, b"keywords: END 2 words"]).is_known());
        let mut chosen = Verdict::new(&["mine".into()], &[]);
        chosen.expect_clip(&told);
        chosen.judge(b"this is mine");
        assert!(chosen.is_known());
    }

    #[test]
    fn a_terminal_gets_the_escape_key() {
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        let emulator = Emulator {
            command: words("qemu -monitor none -serial stdio -kernel {image}"),
            exact: words("-icount x"),
            accelerator: Vec::new(),
            disk: words("-drive file={disk}"),
            clip: words("-device loader,file={clip},addr=1"),
            root_of_trust: words("-chardev {rot},id=rot"),
            debugger: words("-S"),
        };
        let args = Args {
            image: "a.img".into(),
            board: String::new(),
            boards: PathBuf::new(),
            exact: true,
            npu: None,
            disk: "none".into(),
            clip: None,
            rot: boot::Options::default(),
            serial: None,
            debugger: false,
            raw: false,
            pass: Vec::new(),
            fail: Vec::new(),
            prompt: String::new(),
            first: None,
            timeout_s: 1,
        };
        let line = command_line(&emulator, &args, None, None, true).join(" ");
        assert_eq!(line, "qemu -serial mon:stdio -kernel a.img -icount x");
        let plain = command_line(&emulator, &args, None, Some("null"), false).join(" ");
        assert_eq!(plain, "qemu -monitor none -serial stdio -kernel a.img -chardev null,id=rot -icount x");
        let heard = command_line(&emulator, &args, Some(Path::new("a,b.clip")), None, false).join(" ");
        assert!(heard.ends_with("-device loader,file=a,,b.clip,addr=1 -icount x"), "{heard}");
        let with_disk = command_line(&emulator, &Args { disk: "a,b.img".into(), ..args }, None, None, false).join(" ");
        assert_eq!(with_disk, "qemu -monitor none -serial stdio -kernel a.img -drive file=a,,b.img -icount x");
    }
}
