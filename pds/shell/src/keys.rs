//! Bytes from the line to keys.
//!
//! Understands what common terminals send (ECMA-48 sequences as xterm and the VT220 have them), characters of one column in
//! UTF-8, and lines that end in CR, LF or both. What is none of that is swallowed: bytes from a bad line do no more than that.

use protocols::console::is_one_column;

/// A key that means something to the editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to insert.
    Char(char),
    /// The line is finished.
    Enter,
    /// Complete the word.
    Tab,
    /// Remove the character before the cursor.
    Backspace,
    /// Remove the character at the cursor.
    Delete,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// To the line before in the history.
    Up,
    /// To the line after in the history.
    Down,
    /// To the start of the line.
    Home,
    /// To its end.
    End,
    /// Remove all from the cursor on.
    KillToEnd,
    /// Remove all before the cursor.
    KillToStart,
    /// Remove the word before the cursor.
    KillWord,
    /// Give the line, or the running command, up.
    Cancel,
    /// Clear the screen.
    ClearScreen,
}

/// The byte of [`Key::Cancel`], which is looked for in input that waits as well.
pub const CANCEL_BYTE: u8 = 0x03;
/// Bytes after which a sequence that does not end is given up.
const MAX_SEQUENCE: u8 = 16;
const ESCAPE: u8 = 0x1b;

#[derive(Clone, Copy, Debug)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After `ESC [`: the first parameter and how many bytes there were.
    Sequence {
        parameter: u8,
        bytes: u8,
    },
    /// After `ESC O`.
    Application,
    /// Within a character of UTF-8.
    Character {
        bytes: [u8; 4],
        have: usize,
        need: usize,
    },
}

/// Turns bytes into keys, one at a time.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    after_return: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the start of input.
    pub const fn new() -> Self {
        Self { state: State::Ground, after_return: false }
    }

    /// The key that `byte` completes, if it completes one.
    pub fn key(&mut self, byte: u8) -> Option<Key> {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        if byte < 0x20 || byte == 0x7f {
            // Control characters end whatever was unfinished, so no sequence can swallow the end of a line.
            self.state = if byte == ESCAPE { State::Escape } else { State::Ground };
            return control(byte, after_return);
        }
        let (state, key) = match self.state {
            State::Ground => ground(byte),
            State::Escape => match byte {
                b'[' => (State::Sequence { parameter: 0, bytes: 0 }, None),
                b'O' => (State::Application, None),
                _ => (State::Ground, None),
            },
            State::Application => (State::Ground, final_letter(byte)),
            State::Sequence { parameter, bytes } => sequence(byte, parameter, bytes),
            State::Character { bytes, have, need } => character(byte, bytes, have, need),
        };
        self.state = state;
        key
    }
}

fn control(byte: u8, after_return: bool) -> Option<Key> {
    Some(match byte {
        b'\r' => Key::Enter,
        b'\n' if after_return => return None,
        b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x08 | 0x7f => Key::Backspace,
        0x01 => Key::Home,
        0x02 => Key::Left,
        CANCEL_BYTE => Key::Cancel,
        0x04 => Key::Delete,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x0b => Key::KillToEnd,
        0x0c => Key::ClearScreen,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x15 => Key::KillToStart,
        0x17 => Key::KillWord,
        _ => return None,
    })
}

fn ground(byte: u8) -> (State, Option<Key>) {
    let need = match byte {
        0x20..=0x7e => return (State::Ground, Some(Key::Char(char::from(byte)))),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (State::Ground, None),
    };
    (State::Character { bytes: [byte, 0, 0, 0], have: 1, need }, None)
}

fn character(byte: u8, mut bytes: [u8; 4], have: usize, need: usize) -> (State, Option<Key>) {
    if byte & 0xc0 != 0x80 {
        // The character is broken; this byte begins another.
        return ground(byte);
    }
    bytes[have] = byte;
    if have + 1 < need {
        return (State::Character { bytes, have: have + 1, need }, None);
    }
    let text = core::str::from_utf8(&bytes[..need]).unwrap_or("");
    (State::Ground, text.chars().next().filter(|character| is_one_column(*character)).map(Key::Char))
}

fn sequence(byte: u8, parameter: u8, bytes: u8) -> (State, Option<Key>) {
    match byte {
        b'0'..=b'9' if bytes < MAX_SEQUENCE => {
            let parameter = parameter.saturating_mul(10).saturating_add(byte - b'0');
            (State::Sequence { parameter, bytes: bytes + 1 }, None)
        }
        0x20..=0x3f if bytes < MAX_SEQUENCE => (State::Sequence { parameter, bytes: bytes + 1 }, None),
        b'~' => {
            let key = match parameter {
                1 | 7 => Some(Key::Home),
                3 => Some(Key::Delete),
                4 | 8 => Some(Key::End),
                _ => None,
            };
            (State::Ground, key)
        }
        _ => (State::Ground, final_letter(byte)),
    }
}

fn final_letter(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|byte| decoder.key(*byte)).collect()
    }

    #[test]
    fn lines_may_end_in_any_way() {
        use Key::{Char, Enter};
        assert_eq!(
            keys(b"a\rb\nc\r\nd\n\r\n"),
            [Char('a'), Enter, Char('b'), Enter, Char('c'), Enter, Char('d'), Enter, Enter]
        );
    }

    #[test]
    fn sequences_of_common_terminals() {
        let expected = [Key::Up, Key::Down, Key::Right, Key::Left, Key::Home, Key::End];
        assert_eq!(keys(b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F"), expected);
        assert_eq!(keys(b"\x1bOA\x1bOB\x1bOC\x1bOD\x1bOH\x1bOF"), expected);
        assert_eq!(
            keys(b"\x1b[1~\x1b[3~\x1b[4~\x1b[7~\x1b[8~"),
            [Key::Home, Key::Delete, Key::End, Key::Home, Key::End]
        );
        assert_eq!(keys(b"\x1b[1;5C\x1b[2~\x1b[200~x"), [Key::Right, Key::Char('x')]);
    }

    #[test]
    fn unfinished_sequences_do_not_swallow_a_line() {
        assert_eq!(keys(b"\x1b\r\x1b[\r\x1b[1;\nx"), [Key::Enter, Key::Enter, Key::Enter, Key::Char('x')]);
        let long = [b"\x1b[".as_slice(), &[b'1'; 40], b"x"].concat();
        assert_eq!(keys(&long).last(), Some(&Key::Char('x')));
    }

    #[test]
    fn characters_beyond_ascii() {
        assert_eq!(keys("éж€".as_bytes()), ['é', 'ж', '€'].map(Key::Char));
        assert_eq!(keys("a中e\u{301}😀\u{202e}z".as_bytes()), ['a', 'e', 'z'].map(Key::Char), "not of one column");
        assert_eq!(keys(b"\xc3x\xff\x80\xed\xa0\x80y\xc2\x9bz"), ['x', 'y', 'z'].map(Key::Char));
    }

    proptest! {
        #[test]
        fn text_comes_through(text in "[ -~à-ÿα-ω€]*") {
            let typed: String = keys(text.as_bytes()).iter().map(|key| match key {
                Key::Char(character) => *character,
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(typed, text);
        }

        #[test]
        fn enter_always_gets_through(noise: Vec<u8>) {
            let mut decoder = Decoder::new();
            noise.iter().for_each(|byte| { decoder.key(*byte); });
            prop_assert_eq!(decoder.key(b'\r'), Some(Key::Enter));
        }
    }
}
