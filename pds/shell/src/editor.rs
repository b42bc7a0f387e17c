//! The line that is being typed.

use crate::history::History;
use crate::keys::Key;
use protocols::console::{CHUNK, MAX_LINE};

/// Columns of a terminal that the prompt and the visible part of the line may use.
const COLUMNS: usize = 79;

/// What a key led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At most the line or the cursor changed.
    Editing,
    /// The line is finished: see [`Editor::line`], then [`Editor::clear`].
    Entered,
    /// The line is finished, and longer than [`MAX_LINE`]: it had this many bytes, and all of it is refused.
    TooLong(usize),
    /// The line was given up.
    Cancelled,
    /// The screen is to be cleared.
    ClearScreen,
    /// The word at the cursor is to be completed.
    Complete,
}

/// What is to be seen of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Prompt and text, one column a character.
    pub bytes: [u8; CHUNK],
    /// Valid bytes.
    pub length: usize,
    /// The cursor's column.
    pub cursor: usize,
}

/// A line of at most [`MAX_LINE`] bytes, with a cursor.
#[derive(Debug)]
pub struct Editor {
    bytes: [u8; MAX_LINE],
    length: usize,
    /// Byte offset of the cursor, always at the start of a character.
    cursor: usize,
    /// Bytes beyond [`MAX_LINE`] that were typed; the line is refused once there is one.
    excess: usize,
    /// How far back in the history the line came from, if it did.
    age: Option<usize>,
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

impl Editor {
    /// An empty line.
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_LINE], length: 0, cursor: 0, excess: 0, age: None }
    }

    /// The whole line.
    pub fn line(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }

    /// The part before the cursor.
    pub fn before_cursor(&self) -> &str {
        &self.line()[..self.cursor]
    }

    /// Begins a new line.
    pub fn clear(&mut self) {
        (self.length, self.cursor, self.excess, self.age) = (0, 0, 0, None);
    }

    /// Acts on a key.
    pub fn key(&mut self, key: Key, history: &History) -> Outcome {
        let line = self.line();
        let previous = line[..self.cursor].char_indices().next_back().map_or(0, |(index, _)| index);
        let next = line[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8());
        match key {
            Key::Enter if self.excess > 0 => return Outcome::TooLong(self.length + self.excess),
            Key::Enter => return Outcome::Entered,
            Key::Cancel => return Outcome::Cancelled,
            Key::ClearScreen => return Outcome::ClearScreen,
            Key::Tab => return Outcome::Complete,
            Key::Char(character) => {
                self.insert(character.encode_utf8(&mut [0; 4]));
            }
            Key::Backspace => self.remove(previous, self.cursor),
            Key::Delete => self.remove(self.cursor, next),
            Key::KillToEnd => self.remove(self.cursor, self.length),
            Key::KillToStart => {
                self.excess = 0;
                self.remove(0, self.cursor);
            }
            Key::KillWord => {
                let before = line[..self.cursor].trim_end_matches(' ');
                let start = before.rfind(' ').map_or(0, |space| space + 1);
                self.remove(start, self.cursor);
            }
            Key::Left => self.cursor = previous,
            Key::Right => self.cursor = next,
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.length,
            Key::Up => self.recall(self.age.map_or(0, |age| age + 1), history),
            Key::Down => match self.age {
                Some(0) => self.clear(),
                Some(age) => self.recall(age - 1, history),
                None => {}
            },
        }
        Outcome::Editing
    }

    /// Inserts `text` at the cursor. If it does not fit the line is too long from now on, until all before the cursor is
    /// removed or the line given up.
    pub fn insert(&mut self, text: &str) {
        let end = self.length + text.len();
        if end > MAX_LINE || self.excess > 0 {
            self.excess = self.excess.saturating_add(text.len());
            return;
        }
        self.bytes.copy_within(self.cursor..self.length, self.cursor + text.len());
        self.bytes[self.cursor..self.cursor + text.len()].copy_from_slice(text.as_bytes());
        self.length = end;
        self.cursor += text.len();
    }

    fn remove(&mut self, start: usize, end: usize) {
        self.bytes.copy_within(end..self.length, start);
        self.length -= end - start;
        self.cursor = start;
    }

    fn recall(&mut self, age: usize, history: &History) {
        if let Some(line) = history.get(age) {
            self.clear();
            self.insert(line);
            self.age = Some(age);
        }
    }

    /// What is to be seen, with `prompt` before it. A line that is wider than the terminal is shown in part: the part
    /// that has the cursor, which moves by half its width at a time.
    pub fn view(&self, prompt: &str) -> View {
        let columns = COLUMNS - prompt.chars().count();
        let budget = CHUNK - prompt.len();
        let line = self.line();
        let cursor = self.before_cursor().chars().count();
        let half = columns / 2;
        let hidden = if cursor < columns { 0 } else { ((cursor - columns) / half + 1) * half };
        let mut start = line.char_indices().nth(hidden).map_or(line.len(), |(index, _)| index);
        // Characters of several bytes: the cursor has to be in sight even so.
        start = start.max(line.ceil_boundary(self.cursor.saturating_sub(budget)));
        let shown = line[start..]
            .char_indices()
            .take(columns)
            .map(|(index, character)| index + character.len_utf8())
            .take_while(|end| *end <= budget)
            .last()
            .unwrap_or(0);
        let mut view = View { bytes: [0; CHUNK], length: prompt.len() + shown, cursor: 0 };
        view.bytes[..prompt.len()].copy_from_slice(prompt.as_bytes());
        view.bytes[prompt.len()..view.length].copy_from_slice(&line.as_bytes()[start..start + shown]);
        view.cursor = prompt.chars().count() + line[start..self.cursor].chars().count();
        view
    }
}

trait Boundary {
    /// The first start of a character at or after `index`.
    fn ceil_boundary(&self, index: usize) -> usize;
}

impl Boundary for str {
    fn ceil_boundary(&self, index: usize) -> usize {
        (index..self.len()).find(|index| self.is_char_boundary(*index)).unwrap_or(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Decoder;
    use proptest::prelude::*;

    fn typed(bytes: &[u8], history: &History) -> (Editor, Outcome) {
        let (mut editor, mut decoder, mut outcome) = (Editor::new(), Decoder::new(), Outcome::Editing);
        for key in bytes.iter().filter_map(|byte| decoder.key(*byte)) {
            outcome = editor.key(key, history);
        }
        (editor, outcome)
    }

    fn line(bytes: &[u8]) -> String {
        typed(bytes, &History::new()).0.line().to_string()
    }

    #[test]
    fn editing() {
        assert_eq!(line(b"helo\x1b[Dl"), "hello");
        assert_eq!(line(b"xhelp\x01\x1b[3~"), "help");
        assert_eq!(line(b"helpp\x7f"), "help");
        assert_eq!(line("aé\x08b".as_bytes()), "ab");
        assert_eq!(line(b"one two\x1b[D\x1b[D\x1b[D\x0b"), "one ");
        assert_eq!(line(b"one two\x1b[D\x1b[D\x1b[D\x15"), "two");
        assert_eq!(line(b"one two  \x17"), "one ");
        assert_eq!(line(b"\x08\x1b[D\x1b[C\x1b[3~\x0b\x15\x17ok\x05!"), "ok!");
    }

    #[test]
    fn history_by_arrows() {
        let mut history = History::new();
        history.add("first");
        history.add("second");
        let at = |bytes: &[u8]| typed(bytes, &history).0.line().to_string();
        assert_eq!(at(b"\x1b[A"), "second");
        assert_eq!(at(b"\x1b[A\x1b[A\x1b[A"), "first");
        assert_eq!(at(b"\x1b[A\x1b[A\x1b[B!"), "second!");
        assert_eq!(at(b"\x1b[A\x1b[B"), "");
        assert_eq!(at(b"kept\x1b[B"), "kept");
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_whole() {
        let history = History::new();
        let (editor, outcome) = typed(&[&[b'x'; MAX_LINE][..], b"\r"].concat(), &history);
        assert_eq!((editor.line().len(), outcome), (MAX_LINE, Outcome::Entered));
        let (_, outcome) = typed(&[&[b'x'; MAX_LINE + 1][..], b"\x7f\x7f\x7fy\r"].concat(), &history);
        assert!(matches!(outcome, Outcome::TooLong(_)), "no part of it may run");
        let (editor, outcome) = typed(&[&[b'x'; 5000][..], b"\x15ps\r"].concat(), &history);
        assert_eq!((editor.line(), outcome), ("ps", Outcome::Entered));
        let (_, outcome) = typed(&[&[b'x'; 5000][..], b"\r"].concat(), &history);
        assert_eq!(outcome, Outcome::TooLong(5000));
    }

    #[test]
    fn a_wide_line_is_shown_in_part() {
        let (editor, _) = typed(&[&b"abcdefghij".repeat(20)[..], b"\x1b[D"].concat(), &History::new());
        let view = editor.view("> ");
        let text = core::str::from_utf8(&view.bytes[..view.length]).unwrap();
        assert!(text.len() <= 79 && text.starts_with("> ") && text.ends_with("hij"));
        assert_eq!(view.cursor, text.len() - 1);
    }

    proptest! {
        /// Against a line of characters, edited in the obvious way.
        #[test]
        fn behaves_like_a_list_of_characters(keys in prop::collection::vec((0u8..12, any::<char>()), 0..200)) {
            let (mut editor, history) = (Editor::new(), History::new());
            let (mut model, mut at): (Vec<char>, usize) = (Vec::new(), 0);
            for (action, character) in keys {
                let key = match action {
                    0..=4 => { model.insert(at, character); at += 1; Key::Char(character) }
                    5 => { if at > 0 { at -= 1; model.remove(at); } Key::Backspace }
                    6 => { if at < model.len() { model.remove(at); } Key::Delete }
                    7 => { at = at.saturating_sub(1); Key::Left }
                    8 => { at = (at + 1).min(model.len()); Key::Right }
                    9 => { at = 0; Key::Home }
                    10 => { at = model.len(); Key::End }
                    _ => { model.truncate(at); Key::KillToEnd }
                };
                prop_assert_eq!(editor.key(key, &history), Outcome::Editing);
                prop_assert_eq!(editor.line(), model.iter().collect::<String>());
                prop_assert_eq!(editor.before_cursor().chars().count(), at);
                let view = editor.view("$ ");
                let text = core::str::from_utf8(&view.bytes[..view.length]).unwrap();
                let columns = text.chars().count();
                prop_assert!(columns <= COLUMNS && view.cursor <= columns);
                // The cursor stands where it says: the characters around it are the line's.
                let shown: Vec<char> = text.chars().collect();
                let before = model[..at].iter().rev().take(view.cursor - 2);
                prop_assert!(shown[2..view.cursor].iter().rev().eq(before));
                let after = &shown[view.cursor..];
                prop_assert_eq!(after, &model[at..at + after.len()]);
            }
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let (editor, _) = typed(&bytes, &History::new());
            prop_assert!(editor.line().len() <= MAX_LINE);
            editor.view("> ");
        }
    }
}
