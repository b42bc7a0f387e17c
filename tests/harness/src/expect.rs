//! What a test expects, from its `expect.toml`.

use std::path::Path;

use serde::Deserialize;

use crate::disk::Disk;
use crate::emulator::Outcome;
use crate::trust::Behaviour;

/// The file's content. Every key has a default, so an empty file expects a judge that passes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Texts that lines of the console contain, in this order.
    pub lines: Vec<String>,
    /// The same in the debug configuration, where faults and debug output are printed; instead of `lines`.
    pub lines_debug: Option<Vec<String>>,
    /// Texts that no line contains.
    pub forbidden: Vec<String>,
    /// The machine's exit code.
    pub exit: i32,
    /// The machine is stopped after so many seconds, and the test has failed.
    pub timeout_s: u32,
    /// The machine has the accelerator, which runs `npu-firmware.elf` from the programs' folder; the whole system's machine
    /// has it where the board has.
    pub accelerator: bool,
    /// The machine has the line to the root of trust, with nothing at its other end. The whole system's always has it.
    pub root_of_trust_line: bool,
    /// There is a root of trust, which behaves like this once the boot has ended.
    pub root_of_trust: Option<Behaviour>,
    /// What `attest` prints is held against the image by `kinglet attest verify`.
    pub attested: bool,
    /// The nonce that is given to `attest`.
    pub nonce: Option<String>,
    /// What the machine hears: a clip in the programs' folder.
    pub clip: Option<String>,
    /// Count instructions exactly: one takes one nanosecond, and the run repeats.
    pub exact: bool,
    /// The disk that is attached, on boards that have one.
    pub disk: Option<Disk>,
    /// The machine is killed, without a warning, once it has printed this; its exit code then says nothing.
    pub kill_at: Option<String>,
    /// What is expected, and typed, when it is booted once more with the same disk.
    pub then: Option<Box<Expect>>,
    /// What is typed on the console.
    pub input: Vec<Input>,
    /// A benchmark: its lines `bench NAME VALUE UNIT` are figures.
    pub bench: bool,
    /// Skipped with an official SDK.
    pub only_built_in: bool,
    /// Why it is skipped there.
    pub because: String,
}

/// Something typed: the text, then the raw bytes, and both again as often as said.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Typed once the console has printed this, after what the input before waited for. Nothing: at once.
    pub after: String,
    /// Text to type.
    pub text: String,
    /// Bytes to type that need not be text.
    pub raw: Vec<u8>,
    /// How often.
    pub times: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self { after: String::new(), text: String::new(), raw: Vec::new(), times: 1 }
    }
}

impl Input {
    /// All that is typed.
    pub fn bytes(&self) -> Vec<u8> {
        [self.text.as_bytes(), &self.raw].concat().repeat(self.times)
    }
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            lines: vec!["PASS".into()],
            lines_debug: None,
            forbidden: vec!["FAIL".into()],
            exit: 42,
            timeout_s: 60,
            accelerator: false,
            root_of_trust_line: false,
            root_of_trust: None,
            attested: false,
            nonce: None,
            clip: None,
            exact: false,
            disk: None,
            kill_at: None,
            then: None,
            input: Vec::new(),
            bench: false,
            only_built_in: false,
            because: String::new(),
        }
    }
}

impl Expect {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or has a key that does not exist.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
        toml::from_str(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// Why the test does not apply to an official SDK.
    pub fn why_skipped(&self) -> &str {
        if self.because.is_empty() { "only for the built-in kernel" } else { &self.because }
    }

    /// Holds what happened against what is expected.
    ///
    /// # Errors
    /// What is not as expected.
    pub fn judge(&self, outcome: &Outcome, config: &str) -> Result<(), String> {
        if let Some(text) = self.forbidden.iter().find(|text| outcome.lines.iter().any(|line| line.contains(*text))) {
            return Err(format!("it printed \"{text}\""));
        }
        let expected = match &self.lines_debug {
            Some(lines) if config == "debug" => lines,
            _ => &self.lines,
        };
        let mut rest = outcome.lines.iter();
        for text in expected {
            if !rest.any(|line| line.contains(text)) {
                return Err(format!("it did not print \"{text}\" (in this place)"));
            }
        }
        if let Some(text) = &outcome.awaited {
            return Err(format!("it did not print \"{text}\", after which something was to be typed"));
        }
        match outcome.exit {
            _ if outcome.killed => Ok(()),
            None => Err(format!("it did not end within {} s", self.timeout_s)),
            Some(code) if code != self.exit => Err(format!("it ended with code {code}, expected {}", self.exit)),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(lines: &[&str], exit: Option<i32>) -> Outcome {
        Outcome { lines: lines.iter().map(|line| line.to_string()).collect(), exit, killed: false, awaited: None }
    }

    #[test]
    fn an_empty_file_expects_a_pass() {
        let expect: Expect = toml::from_str("").unwrap();
        assert_eq!(expect.judge(&outcome(&["hello", "PASS"], Some(42)), "debug"), Ok(()));
        assert!(expect.judge(&outcome(&["PASS"], Some(0)), "debug").unwrap_err().contains("code 0"));
        assert!(expect.judge(&outcome(&["PASS"], None), "debug").unwrap_err().contains("within 60 s"));
        assert!(expect.judge(&outcome(&["hello"], Some(42)), "debug").unwrap_err().contains("PASS"));
        assert!(expect.judge(&outcome(&["FAIL: x", "PASS"], Some(42)), "debug").is_err());
        let left = Outcome { awaited: Some("> ".into()), ..outcome(&["PASS"], Some(42)) };
        assert!(expect.judge(&left, "debug").is_err());
    }

    #[test]
    fn lines_come_in_order() {
        let expect: Expect = toml::from_str("lines = ['a', 'b']\nlines_debug = ['x']").unwrap();
        assert_eq!(expect.judge(&outcome(&["a", "-", "b"], Some(42)), "release"), Ok(()));
        assert!(expect.judge(&outcome(&["b", "a"], Some(42)), "release").is_err());
        assert!(expect.judge(&outcome(&["a", "b"], Some(42)), "debug").is_err());
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Expect>("exitcode = 3").is_err());
    }
}
