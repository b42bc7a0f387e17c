//! The terminal: lines that scroll away, and below them the input line that someone is typing.
//!
//! Only what every terminal, and every log file, can take is used: text, carriage return, backspace and line feed. So the
//! input line is removed by writing spaces over it, and it never reaches the last column, where terminals differ.

use crate::output::Output;
use protocols::console::{CHUNK, Level, is_one_column};

/// Columns that the input line may use.
pub const COLUMNS: usize = 79;
/// The most bytes that changing, or removing and drawing, the input line takes.
pub const REDRAW: usize = 4 * COLUMNS + CHUNK;

/// The input line: text of one column a character, and the cursor's column in it.
#[derive(Clone, Copy, Debug)]
struct View {
    bytes: [u8; CHUNK],
    length: usize,
    columns: usize,
    cursor: usize,
}

impl View {
    const EMPTY: View = View { bytes: [0; CHUNK], length: 0, columns: 0, cursor: 0 };

    /// Takes over as much of `text` as fits; a character that may not take one column becomes a question mark.
    fn new(text: &[u8], cursor: usize) -> View {
        let mut view = View::EMPTY;
        for chunk in text.utf8_chunks() {
            let broken = (!chunk.invalid().is_empty()).then_some('?');
            for character in chunk.valid().chars().chain(broken) {
                let character = if is_one_column(character) { character } else { '?' };
                let end = view.length + character.len_utf8();
                if view.columns == COLUMNS || end > CHUNK {
                    break;
                }
                character.encode_utf8(&mut view.bytes[view.length..end]);
                view.length = end;
                view.columns += 1;
            }
        }
        view.cursor = cursor.min(view.columns);
        view
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }

    /// The text from column `from` on, up to column `to`.
    fn part(&self, from: usize, to: usize) -> &[u8] {
        let text = self.text();
        let offset = |column| text.char_indices().nth(column).map_or(text.len(), |(index, _)| index);
        let (start, end) = (offset(from), offset(to));
        &text.as_bytes()[start.min(end)..end]
    }

    /// How many columns are the same from the left.
    fn common(&self, other: &View) -> usize {
        self.text().chars().zip(other.text().chars()).take_while(|(one, two)| one == two).count()
    }
}

/// The state of the screen's bottom line.
#[derive(Debug)]
pub struct Terminal {
    view: View,
    drawn: bool,
    /// Whether errors and warnings have colours; off until someone at the terminal asks.
    pub colour: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// A screen without input line.
    pub const fn new() -> Self {
        Self { view: View::EMPTY, drawn: false, colour: false }
    }

    /// Prepares for a line: removes the input line.
    pub fn begin_line(&mut self, output: &mut Output) {
        if core::mem::take(&mut self.drawn) && self.view.columns > 0 {
            output.put(b"\r");
            output.repeat(b' ', self.view.columns);
            output.put(b"\r");
        }
    }

    /// What comes before a line of this urgency.
    pub fn colour_on(&self, level: Level) -> &'static [u8] {
        match level {
            Level::Error if self.colour => b"\x1b[31m",
            Level::Warning if self.colour => b"\x1b[33m",
            _ => b"",
        }
    }

    /// What comes after it.
    pub fn colour_off(&self, level: Level) -> &'static [u8] {
        if self.colour_on(level).is_empty() { b"" } else { b"\x1b[0m" }
    }

    /// Draws the input line if lines have removed it.
    pub fn settle(&mut self, output: &mut Output) {
        if !core::mem::replace(&mut self.drawn, true) {
            output.put(self.view.part(0, COLUMNS));
            output.repeat(0x08, self.view.columns - self.view.cursor);
        }
    }

    /// Replaces the input line, and writes no more than what differs.
    pub fn set_view(&mut self, text: &[u8], cursor: usize, output: &mut Output) {
        let new = View::new(text, cursor);
        let old = core::mem::replace(&mut self.view, new);
        if !self.drawn {
            return;
        }
        let same = old.common(&new);
        let at = if new.columns == old.columns && same == new.columns { new.cursor } else { same };
        output.repeat(0x08, old.cursor.saturating_sub(at));
        output.put(new.part(old.cursor.min(at), at));
        if at == same {
            let rest = old.columns.saturating_sub(new.columns);
            output.put(new.part(same, COLUMNS));
            output.repeat(b' ', rest);
            output.repeat(0x08, new.columns + rest - new.cursor);
        }
    }

    /// Leaves the input line where it is and goes on below it.
    pub fn finish_view(&mut self, output: &mut Output) {
        self.settle(output);
        output.put(b"\r\n");
        self.view = View::EMPTY;
    }

    /// Goes to a new line, whatever the screen shows now.
    pub fn start_afresh(&mut self, output: &mut Output) {
        output.put(b"\r\n");
        self.drawn = false;
    }

    /// Forgets the input line: its owner is gone.
    pub fn drop_view(&mut self, output: &mut Output) {
        self.begin_line(output);
        self.view = View::EMPTY;
    }

    /// Clears the screen. Whoever asks for it sits at a terminal that knows this sequence.
    pub fn clear(&mut self, output: &mut Output) {
        output.put(b"\x1b[H\x1b[2J");
        self.drawn = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a terminal shows: finished lines, the current one, and where the cursor is.
    #[derive(Default, Debug)]
    struct Screen {
        lines: Vec<String>,
        row: Vec<char>,
        column: usize,
    }

    impl Screen {
        fn feed(&mut self, output: &mut Output) {
            let mut bytes = Vec::new();
            while !output.is_empty() {
                bytes.extend_from_slice(output.front());
                output.consume(output.front().len());
            }
            for character in String::from_utf8(bytes).unwrap().chars() {
                match character {
                    '\r' => self.column = 0,
                    '\n' => self.lines.push(core::mem::take(&mut self.row).into_iter().collect()),
                    '\x08' => self.column = self.column.checked_sub(1).expect("a backspace at the left edge"),
                    character => {
                        assert!(!character.is_control() && self.column < COLUMNS, "{character:?} at {}", self.column);
                        self.row.resize(self.row.len().max(self.column + 1), ' ');
                        self.row[self.column] = character;
                        self.column += 1;
                    }
                }
            }
        }

        fn bottom(&self) -> String {
            self.row.iter().collect::<String>().trim_end().to_string()
        }
    }

    #[test]
    fn typing_at_the_end_only_echoes() {
        let (mut terminal, mut output) = (Terminal::new(), Output::new());
        terminal.settle(&mut output);
        terminal.set_view(b"> ", 2, &mut output);
        terminal.set_view(b"> a", 3, &mut output);
        terminal.set_view(b"> ab", 4, &mut output);
        terminal.set_view(b"> a", 3, &mut output);
        terminal.finish_view(&mut output);
        assert_eq!(output.front(), b"> ab\x08 \x08\r\n");
    }

    proptest! {
        #[test]
        fn the_screen_shows_lines_then_the_input_line(
            steps in prop::collection::vec(("[aé ]{0,100}", 0usize..100, 0u8..4), 1..60),
        ) {
            let (mut terminal, mut output, mut screen) = (Terminal::new(), Output::new(), Screen::default());
            let (mut view, mut cursor, mut lines) = (String::new(), 0, Vec::new());
            for (text, column, action) in steps {
                match action {
                    0 => {
                        terminal.begin_line(&mut output);
                        output.put(b"line\r\n");
                        lines.push("line".to_string());
                    }
                    1 => {
                        terminal.finish_view(&mut output);
                        lines.push(view.trim_end().to_string());
                        view.clear();
                        cursor = 0;
                    }
                    _ => {
                        terminal.set_view(text.as_bytes(), column, &mut output);
                        let mut bytes = 0;
                        view = text.chars().take(COLUMNS).take_while(|c| { bytes += c.len_utf8(); bytes <= CHUNK }).collect();
                        cursor = column.min(view.chars().count());
                    }
                }
                terminal.settle(&mut output);
                screen.feed(&mut output);
                prop_assert_eq!(screen.bottom(), view.trim_end());
                prop_assert_eq!(screen.column, cursor);
                let shown: Vec<&str> = screen.lines.iter().map(|line| line.trim_end()).collect();
                prop_assert_eq!(&shown, &lines);
            }
        }

        #[test]
        fn any_view_is_harmless(first: Vec<u8>, second: Vec<u8>, cursor: u32) {
            let (mut terminal, mut output, mut screen) = (Terminal::new(), Output::new(), Screen::default());
            terminal.settle(&mut output);
            for view in [&first, &second] {
                terminal.set_view(view, cursor as usize, &mut output);
                prop_assert!(crate::output::CAPACITY - output.room() <= REDRAW);
                screen.feed(&mut output);
            }
            terminal.begin_line(&mut output);
            screen.feed(&mut output);
            prop_assert_eq!(screen.bottom(), "");
        }
    }
}
