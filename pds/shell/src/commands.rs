//! What can be typed: one table for running, help and completion.

use crate::jobs;
use crate::npu::Action;
use crate::rot::Nonce;
use crate::storage;
use crate::words::Words;
use core::fmt;
use protocols::apps::op;
use protocols::console::Level;

/// What a word of a command stands for, so that it can be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Name of a command.
    Command,
    /// Name of a protection domain.
    Pd,
    /// Name of a protection domain, or `all`.
    PdOrAll,
    /// Name of a log level.
    Level,
    /// Name of a model.
    Model,
    /// What can stand behind `jobs`.
    Jobs,
    /// `every`.
    Every,
    /// Name of a script.
    Script,
    /// `on` or `off`.
    Switch,
    /// What `kv` can do.
    Kv,
    /// What can be done with the accelerator.
    Npu,
    /// What the root of trust can be asked for.
    Rot,
    /// Anything.
    Free,
}

/// How a command is typed and what it does.
#[derive(Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as help shows them.
    pub usage: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What its words stand for; more words are an error, unless the last is [`Argument::Free`].
    pub arguments: &'static [Argument],
    /// How many words it needs at least.
    pub needs: usize,
}

const fn spec(
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    arguments: &'static [Argument],
    needs: usize,
) -> Spec {
    Spec { name, usage, summary, arguments, needs }
}

/// All commands, in the order in which help lists them.
pub const COMMANDS: &[Spec] = &[
    spec("help", "[COMMAND]", "what can be typed, or how one command is", &[Argument::Command], 0),
    spec(
        "ps",
        "[PD]",
        "protection domains: state, budget, CPU time, faults; of one, its last fault too",
        &[Argument::Pd],
        0,
    ),
    spec("mem", "", "memory of protection domains, and regions", &[], 0),
    spec("uptime", "", "time since the machine started", &[], 0),
    spec("models", "", "models: sizes, work of one inference, how often each ran, how many inputs there are", &[], 0),
    spec(
        "jobs",
        "[clients | cancel JOB | start MODEL every PERIOD [INPUT]]",
        "jobs of the model runner; what its clients used; end a job; run a model every 500ms, 2s…",
        &[Argument::Jobs, Argument::Model, Argument::Every, Argument::Free, Argument::Free],
        0,
    ),
    spec("infer", "MODEL INPUT", "run a model on one of its inputs, by number", &[Argument::Model, Argument::Free], 2),
    spec(
        "attest",
        "[NONCE]",
        "what runs here, signed by the root of trust: the quote, and the log of what was measured",
        &[Argument::Free],
        0,
    ),
    spec("rot", "[test]", "the root of trust: state, publishers, counters; or its self test", &[Argument::Rot], 0),
    spec(
        "npu",
        "[reset|hang|crash|nonsense]",
        "the accelerator: state and counts; reset it, or make its next job a fault",
        &[Argument::Npu],
        0,
    ),
    spec("ls", "[FOLDER]", "files and folders, with their bytes", &[Argument::Free], 0),
    spec("cat", "FILE", "what is in a file; in hexadecimal, unless it is text", &[Argument::Free], 1),
    spec(
        "put",
        "FILE [TEXT]...",
        "write a file: a line of text, or the lines that follow up to a single dot",
        &[Argument::Free, Argument::Free],
        1,
    ),
    spec("rm", "PATH", "remove a file or an empty folder", &[Argument::Free], 1),
    spec("mkdir", "FOLDER", "make a folder", &[Argument::Free], 1),
    spec("mv", "PATH NEW", "rename or move a file or folder", &[Argument::Free, Argument::Free], 2),
    spec("receive", "FILE", "receive a file from the terminal program, by XMODEM or YMODEM", &[Argument::Free], 1),
    spec("df", "", "the disk, and how full it is", &[], 0),
    spec(
        "kv",
        "read|write|delete|list [KEY [TEXT]...]",
        "values that are kept under keys; a value that is not text is shown in hexadecimal",
        &[Argument::Kv, Argument::Free, Argument::Free],
        1,
    ),
    spec("keywords", "", "the keyword spotter: what it heard last, windows, latency", &[], 0),
    spec(
        "log",
        "[PD|all [LEVEL]]",
        "what was logged and lost; or what is printed: off error warning info debug",
        &[Argument::PdOrAll, Argument::Level],
        0,
    ),
    spec("restart", "PD|APP", "start a protection domain or an app anew", &[Argument::Pd], 1),
    spec(
        "stop",
        "PD|APP",
        "stop a protection domain; ask an app to end, and end it after a second",
        &[Argument::Pd],
        1,
    ),
    spec("start", "PD|APP", "start a protection domain that is stopped, or an app", &[Argument::Pd], 1),
    spec("apps", "", "installed apps: version, state, slot, publisher", &[], 0),
    spec(
        "install",
        "FILE|-",
        "install the app in a signed bundle: on the disk, or - from the terminal program (XMODEM, YMODEM)",
        &[Argument::Free],
        1,
    ),
    spec(
        "uninstall",
        "APP [erase]",
        "remove an app; with erase, what it has stored under keys too",
        &[Argument::Free, Argument::Free],
        1,
    ),
    spec(
        "status",
        "APP",
        "what an app is doing: state, processor time, memory, messages, faults",
        &[Argument::Free],
        1,
    ),
    spec("caps", "APP", "what an app may touch", &[Argument::Free], 1),
    spec(
        "autostart",
        "APP on|off",
        "whether an app is started when the machine starts",
        &[Argument::Free, Argument::Switch],
        2,
    ),
    spec("source", "SCRIPT", "run the lines of a script", &[Argument::Script], 1),
    spec("echo", "[WORD]...", "print words", &[Argument::Free], 0),
    spec("sleep", "SECONDS", "wait; fractions are fine", &[Argument::Free], 1),
    spec("colour", "on|off", "errors and warnings in colour", &[Argument::Switch], 1),
    spec("poweroff", "[CODE]", "switch the machine off, with an exit status of 0 to 255", &[Argument::Free], 0),
];

/// A command, understood. Names are not looked up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `help`
    Help(Option<&'static Spec>),
    /// `ps`
    Ps(Option<&'a str>),
    /// `mem`
    Mem,
    /// `uptime`
    Uptime,
    /// `models`
    Models,
    /// `infer`
    Infer {
        /// Name of the model.
        model: &'a str,
        /// Number of the input.
        input: usize,
    },
    /// `jobs`
    Jobs(jobs::Action<'a>),
    /// `receive`
    Receive(&'a str),
    /// `install -`
    ReceiveApp,
    /// `ls` and its kin; names and text are in the words
    Storage(storage::Action),
    /// `attest`; without a nonce, one is made.
    Attest(Option<Nonce>),
    /// `rot`
    Rot {
        /// Its self test.
        test: bool,
    },
    /// `npu`
    Npu(Action),
    /// `keywords`
    Keywords,
    /// `log`; without a name, of all.
    Log {
        /// Whose.
        of: Option<&'a str>,
        /// The level to set.
        level: Option<Level>,
    },
    /// `restart`
    Restart(&'a str),
    /// `stop`
    Stop(&'a str),
    /// `start`
    Start(&'a str),
    /// A command about apps: one of `protocols::apps::op`, its text and its argument.
    Apps(u32, &'a str, u32),
    /// `source`
    Source(&'a str),
    /// `echo`
    Echo,
    /// `sleep`, in microseconds
    Sleep(u64),
    /// `colour`
    Colour(bool),
    /// `poweroff`
    PowerOff(u8),
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Spec {}

/// Why words are not a command. One line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError<'a> {
    /// There is no such command.
    Unknown(&'a str),
    /// Too few or too many words.
    Usage(&'static Spec),
    /// A word is not what it should be.
    Bad {
        /// The command.
        command: &'static str,
        /// The word.
        word: &'a str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl fmt::Display for CommandError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Unknown(name) => write!(f, "{name}: no such command; help lists them"),
            CommandError::Usage(spec) => write!(f, "usage: {}", Usage(spec)),
            CommandError::Bad { command, word, wanted } => write!(f, "{command}: '{word}' is not {wanted}"),
        }
    }
}

/// A command with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a>(pub &'a Spec);

impl fmt::Display for Usage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)?;
        if self.0.usage.is_empty() { Ok(()) } else { write!(f, " {}", self.0.usage) }
    }
}

/// The command with this name.
pub fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.iter().find(|spec| spec.name == name)
}

/// Understands the words of a command, of which there is at least one.
///
/// # Errors
/// See [`CommandError`].
pub fn parse(words: &Words) -> Result<Command<'_>, CommandError<'_>> {
    let name = words.get(0).unwrap_or("");
    let spec = find(name).ok_or(CommandError::Unknown(name))?;
    let given = words.len() - 1;
    let open_ended = matches!(spec.name, "echo" | "put" | "kv");
    if given < spec.needs || (given > spec.arguments.len() && !open_ended) {
        return Err(CommandError::Usage(spec));
    }
    let first = words.get(1);
    let second = words.get(2);
    let bad = |word, wanted| CommandError::Bad { command: spec.name, word, wanted };
    // Words that `needs` demands are there.
    let needed = first.unwrap_or("");
    Ok(match spec.name {
        "help" => match first {
            Some(name) => Command::Help(Some(find(name).ok_or(CommandError::Unknown(name))?)),
            None => Command::Help(None),
        },
        "ps" => Command::Ps(first),
        "mem" => Command::Mem,
        "uptime" => Command::Uptime,
        "models" => Command::Models,
        "infer" => {
            let word = second.unwrap_or("");
            Command::Infer { model: needed, input: word.parse().map_err(|_| bad(word, "the number of an input"))? }
        }
        "jobs" => Command::Jobs(parse_jobs(spec, words)?),
        "ls" => Command::Storage(storage::Action::List),
        "cat" => Command::Storage(storage::Action::Cat),
        "put" => Command::Storage(storage::Action::Put),
        "rm" => Command::Storage(storage::Action::Remove),
        "mkdir" => Command::Storage(storage::Action::MakeFolder),
        "mv" => Command::Storage(storage::Action::Move),
        "receive" => Command::Receive(needed),
        "df" => Command::Storage(storage::Action::DiskInfo),
        "kv" => {
            let wanted = "one of: read write delete list";
            let (action, least, most) = storage::Action::of_kv(needed).ok_or(bad(needed, wanted))?;
            if !(least..=most).contains(&(given - 1)) {
                return Err(CommandError::Usage(spec));
            }
            Command::Storage(action)
        }
        "attest" => {
            let wanted = "a nonce: 64, 96 or 128 hexadecimal digits";
            Command::Attest(first.map(|word| Nonce::from_hex(word).ok_or(bad(word, wanted))).transpose()?)
        }
        "rot" => match first {
            None => Command::Rot { test: false },
            Some("test") => Command::Rot { test: true },
            Some(word) => return Err(bad(word, "test")),
        },
        "npu" => match first {
            None => Command::Npu(Action::Status),
            Some(word) => {
                let wanted = "one of: reset hang crash nonsense";
                Command::Npu(Action::from_word(word).ok_or(bad(word, wanted))?)
            }
        },
        "keywords" => Command::Keywords,
        "log" => {
            let wanted = "a level: off error warning info debug";
            let level = second.map(|word| Level::from_name(word).ok_or(bad(word, wanted))).transpose()?;
            Command::Log { of: first, level }
        }
        "restart" => Command::Restart(needed),
        "stop" => Command::Stop(needed),
        "start" => Command::Start(needed),
        "apps" => Command::Apps(op::LIST, "", 0),
        "install" if needed == "-" => Command::ReceiveApp,
        "install" => Command::Apps(op::INSTALL, needed, 0),
        "uninstall" => match second {
            None => Command::Apps(op::UNINSTALL, needed, 0),
            Some("erase") => Command::Apps(op::UNINSTALL, needed, 1),
            Some(word) => return Err(bad(word, "erase")),
        },
        "status" => Command::Apps(op::STATUS, needed, 0),
        "caps" => Command::Apps(op::CAPABILITIES, needed, 0),
        "autostart" => match second {
            Some("on") => Command::Apps(op::AUTOSTART, needed, 1),
            Some("off") => Command::Apps(op::AUTOSTART, needed, 0),
            word => return Err(bad(word.unwrap_or(""), "on or off")),
        },
        "source" => Command::Source(needed),
        "echo" => Command::Echo,
        "sleep" => Command::Sleep(seconds(needed).ok_or(bad(needed, "a number of seconds up to 86400"))?),
        "colour" => match needed {
            "on" => Command::Colour(true),
            "off" => Command::Colour(false),
            word => return Err(bad(word, "on or off")),
        },
        "poweroff" => {
            let code = first.map(|word| word.parse().map_err(|_| bad(word, "an exit status from 0 to 255")));
            Command::PowerOff(code.transpose()?.unwrap_or(0))
        }
        // The table and this list are held together by a test.
        _ => return Err(CommandError::Unknown(name)),
    })
}

fn parse_jobs<'a>(spec: &'static Spec, words: &'a Words) -> Result<jobs::Action<'a>, CommandError<'a>> {
    let bad = |word, wanted| CommandError::Bad { command: spec.name, word, wanted };
    let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten();
    let word = |index| words.get(index).unwrap_or("");
    Ok(match (word(1), words.len()) {
        ("", _) => jobs::Action::List,
        ("clients", 2) => jobs::Action::Clients,
        ("cancel", 3) => {
            let serial = number(word(2)).ok_or(bad(word(2), "the number of a job"))?;
            jobs::Action::Cancel(u32::try_from(serial).map_err(|_| bad(word(2), "the number of a job"))?)
        }
        ("start", 5 | 6) if word(3) == "every" => {
            let wanted = "a period of at least 1ms, such as 500ms or 2s";
            let period_us = jobs::period(word(4)).filter(|us| *us >= 1_000).ok_or(bad(word(4), wanted))?;
            let input = if words.len() == 6 { number(word(5)) } else { Some(0) };
            let input = input.ok_or(bad(word(5), "the number of an input"))?;
            jobs::Action::Start { model: word(2), period_us, input }
        }
        ("clients" | "cancel" | "start", _) => return Err(CommandError::Usage(spec)),
        (word, _) => return Err(bad(word, "one of: cancel clients start")),
    })
}

/// The longest sleep.
const MAX_SLEEP_SECONDS: u64 = 86_400;

/// Microseconds of a decimal number of seconds such as `2` or `0.25`.
pub(crate) fn seconds(word: &str) -> Option<u64> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let scale = 10u64.pow(6 - fraction.len() as u32);
    let microseconds =
        whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction.parse::<u64>().ok()? * scale)?;
    (microseconds <= MAX_SLEEP_SECONDS * 1_000_000).then_some(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::first_command;
    use proptest::prelude::*;

    fn answer(line: &str) -> String {
        let (words, _) = first_command(line).unwrap();
        match parse(&words) {
            Ok(command) => format!("{command:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_command_of_the_table_is_understood() {
        for spec in COMMANDS {
            let words = if spec.name == "autostart" { ["hello", "on"] } else { ["on", "1"] };
            let line = format!("{} {}", spec.name, words[..spec.needs].join(" "));
            let answer = answer(&line);
            assert!(!answer.contains("no such command"), "{line}: {answer}");
        }
    }

    #[test]
    fn commands() {
        assert_eq!(answer("log all debug"), "Log { of: Some(\"all\"), level: Some(Debug) }");
        assert_eq!(answer("infer digits 3"), "Infer { model: \"digits\", input: 3 }");
        assert_eq!((answer("npu"), answer("npu reset")), ("Npu(Status)".into(), "Npu(Reset)".into()));
        assert_eq!(answer("npu explode"), "npu: 'explode' is not one of: reset hang crash nonsense");
        assert_eq!(answer("sleep 0.25"), "Sleep(250000)");
        assert_eq!(answer("sleep 86400"), "Sleep(86400000000)");
        assert_eq!(answer("poweroff"), "PowerOff(0)");
        assert_eq!(answer("poweroff 255"), "PowerOff(255)");
    }

    #[test]
    fn bad_commands_get_one_clear_line() {
        assert_eq!(answer("pss"), "pss: no such command; help lists them");
        assert_eq!(answer("help pss"), "pss: no such command; help lists them");
        assert_eq!(answer("restart"), "usage: restart PD|APP");
        assert_eq!(answer("autostart hello maybe"), "autostart: 'maybe' is not on or off");
        assert_eq!(answer("uninstall hello all"), "uninstall: 'all' is not erase");
        assert_eq!(answer("mem x"), "usage: mem");
        assert_eq!(answer("log a b"), "log: 'b' is not a level: off error warning info debug");
        assert_eq!(answer("poweroff 256"), "poweroff: '256' is not an exit status from 0 to 255");
        for word in ["-1", "1e3", ".", "1.", ".5", "", "86400.000001", "99999999999999999999", "0.0000001", "+1"] {
            assert!(answer(&format!("sleep '{word}'")).ends_with("is not a number of seconds up to 86400"), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_harmless(line in "(help|ps|mem|log|infer|sleep|poweroff|colour|echo|x) \\PC{0,60}") {
            if let Ok((words, _)) = first_command(&line) && !words.is_empty() {
                let _ = parse(&words);
            }
        }
    }
}
