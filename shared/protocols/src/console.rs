//! The console: whole lines from clients to the serial multiplexer, keys and answers back.
//!
//! A line is at most [`MAX_LINE`] bytes and goes as one or more [`FromClient`] chunks, of which the first carries
//! [`FLAG_FIRST`] and the last [`FLAG_LAST`]. A client never waits: [`Lines`] puts a line into the ring whole or drops it
//! whole and counts it, and the count travels with the next chunk, so the console can say how many lines are missing and
//! where. The client in slot 0 owns the terminal: it receives the keys, its output has no prefix, and it names the input
//! line that the console keeps below everything else.

use core::fmt::{self, Write};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"CONS");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// The longest line in bytes, without its end.
pub const MAX_LINE: usize = 1024;
/// Bytes of text in one entry.
pub const CHUNK: usize = 116;
/// The most chunks that one line takes.
pub const MAX_CHUNKS: usize = MAX_LINE.div_ceil(CHUNK);
/// Clients that a console can have.
pub const MAX_CLIENTS: usize = 16;
/// The slot whose client owns the terminal.
pub const TERMINAL_OWNER: usize = 0;
/// [`FromClient::argument`] of [`kind::SET_LEVEL`]: all slots but the owner's.
pub const ALL_CLIENTS: u32 = u32::MAX;

/// [`FromClient::flags`]: the line starts with this chunk.
pub const FLAG_FIRST: u8 = 1 << 0;
/// [`FromClient::flags`]: the line ends with this chunk.
pub const FLAG_LAST: u8 = 1 << 1;
/// [`FromClient::flags`]: the answer to a command, printed without prefix and at every log level. Only the terminal's
/// owner may say so; from others it is an ordinary line.
pub const FLAG_OUTPUT: u8 = 1 << 2;

/// Kinds of entries in both directions. All but [`LINE`](kind::LINE) and [`DROPPED`](kind::DROPPED) are for the
/// terminal's owner; the console ignores them from others.
pub mod kind {
    /// To the console: a part of a line.
    pub const LINE: u8 = 1;
    /// To the console: no text, only the count of dropped lines.
    pub const DROPPED: u8 = 2;
    /// To the console: the input line to keep at the bottom; `argument` is the cursor's column. Empty: none.
    pub const VIEW: u8 = 3;
    /// To the console: lines of slot `argument` (or of all) that are less urgent than `level` are not printed.
    pub const SET_LEVEL: u8 = 4;
    /// To the console: send a [`STATUS`] for each slot in use, then [`DONE`] with the same `argument`.
    pub const QUERY: u8 = 5;
    /// To the console: send [`DONE`] with the same `argument` when all that was printed before has left the console.
    pub const FLUSH: u8 = 6;
    /// To the console: `argument` 1 turns colours on, 0 off.
    pub const SET_COLOUR: u8 = 7;
    /// To the console: clear the screen.
    pub const CLEAR: u8 = 8;
    /// To the console: the input line is finished; it stays on the screen, and what follows begins on a new line.
    pub const VIEW_DONE: u8 = 9;
    /// To the console: a file transfer begins. Until [`RAW_END`], or until the owner restarts, [`RAW`] bytes alone go to the
    /// terminal; lines wait where they are.
    pub const RAW_BEGIN: u8 = 10;
    /// To the console: bytes that go to the terminal as they are. Ignored outside a transfer.
    pub const RAW: u8 = 11;
    /// To the console: the transfer is over.
    pub const RAW_END: u8 = 12;
    /// To the owner: bytes that were typed.
    pub const INPUT: u8 = 64;
    /// To the owner: what is known about slot `argument`: its log level, and a [`super::ClientStatus`] in `bytes`.
    pub const STATUS: u8 = 65;
    /// To the owner: the end of what [`QUERY`] or [`FLUSH`] asked for.
    pub const DONE: u8 = 66;
}

/// Whether a character takes one column on every terminal: what the input line consists of, because its columns are
/// counted. Scripts with wide, combining or right-to-left characters are left out; lines of output may have them.
pub fn is_one_column(character: char) -> bool {
    matches!(character,
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}'
        | '\u{1e00}'..='\u{1fff}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20bf}')
}

/// How urgent a line is, and up to what urgency a client's lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// As a threshold: print nothing.
    Off = 0,
    /// Something did not work.
    Error = 1,
    /// Something is odd, and the system goes on.
    Warning = 2,
    /// What a user wants to see; the threshold at the start.
    Info = 3,
    /// What a developer wants to see.
    Debug = 4,
}

impl Level {
    /// All levels with their names, from the most urgent on.
    pub const NAMES: [(Level, &'static str); 5] = [
        (Level::Off, "off"),
        (Level::Error, "error"),
        (Level::Warning, "warning"),
        (Level::Info, "info"),
        (Level::Debug, "debug"),
    ];

    /// The level with this number in an entry.
    pub fn from_raw(raw: u8) -> Option<Level> {
        Self::NAMES.get(usize::from(raw)).map(|(level, _)| *level)
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Level> {
        Self::NAMES.iter().find(|(_, own)| *own == name).map(|(level, _)| *level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }
}

/// An entry from a client to the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FromClient {
    /// One of [`kind`].
    pub kind: u8,
    /// The line's [`Level`].
    pub level: u8,
    /// `FLAG_*`.
    pub flags: u8,
    /// Valid bytes in `bytes`, at most [`CHUNK`].
    pub length: u8,
    /// What `kind` says.
    pub argument: u32,
    /// How many lines the client dropped between its previous entry and this one.
    pub dropped: u32,
    /// Text.
    pub bytes: [u8; CHUNK],
}

/// An entry from the console to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FromConsole {
    /// One of [`kind`].
    pub kind: u8,
    /// [`Level`] of a status.
    pub level: u8,
    /// Must be 0.
    pub flags: u8,
    /// Valid bytes in `bytes`, at most [`CHUNK`].
    pub length: u8,
    /// What `kind` says.
    pub argument: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Keys, or a [`ClientStatus`].
    pub bytes: [u8; CHUNK],
}

/// What the console has counted for one client since the console started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ClientStatus {
    /// Lines printed.
    pub printed: u64,
    /// Lines that the log level held back.
    pub filtered: u64,
    /// Lines that the client dropped, or that broke off because it restarted.
    pub dropped: u64,
    /// Index of the client in the system table; `u64::MAX` if the table does not know it.
    pub pd: u64,
}

macro_rules! entry {
    ($entry:ident, $last:ident) => {
        impl $entry {
            /// An entry of this kind without text.
            pub fn new(kind: u8) -> Self {
                Self { kind, level: 0, flags: 0, length: 0, argument: 0, $last: 0, bytes: [0; CHUNK] }
            }

            /// The same with `text`, of which only the first [`CHUNK`] bytes fit.
            pub fn with_text(mut self, text: &[u8]) -> Self {
                let length = text.len().min(CHUNK);
                self.bytes[..length].copy_from_slice(&text[..length]);
                self.length = length as u8;
                self
            }

            /// The same with `argument`.
            pub fn with_argument(mut self, argument: u32) -> Self {
                self.argument = argument;
                self
            }

            /// The text; a peer's wrong length ends at the entry's end.
            pub fn text(&self) -> &[u8] {
                &self.bytes[..usize::from(self.length).min(CHUNK)]
            }
        }
    };
}
entry!(FromClient, dropped);
entry!(FromConsole, reserved);

/// Where a client's entries go: its end of the link to the console.
pub trait Outbox {
    /// Whether this many entries fit now. If not, the client is notified once the console has made room.
    fn reserve(&mut self, entries: usize) -> bool;
    /// Adds an entry. Called only when there is room.
    fn push(&mut self, entry: FromClient);
}

impl<N: ring::Notify> Outbox for ring::Link<FromClient, FromConsole, N> {
    fn reserve(&mut self, entries: usize) -> bool {
        // A console that is gone takes nothing; what is printed meanwhile counts as dropped.
        ring::Link::reserve(self, entries).unwrap_or(false)
    }

    fn push(&mut self, entry: FromClient) {
        // There is room, and a console that restarted since the look at it has lost all it had anyway.
        let _ = ring::Link::push(self, &entry);
    }
}

/// A client's side of its lines: collects text, cuts it into chunks, and drops whole lines when there is no room.
#[derive(Debug)]
pub struct Lines {
    line: [u8; MAX_LINE],
    length: usize,
    dropped: u64,
    untold: u32,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines {
    /// An empty one.
    pub const fn new() -> Self {
        Self { line: [0; MAX_LINE], length: 0, dropped: 0, untold: 0 }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sends `text`, then ends the line. Line feeds in the text end lines too, and what is longer than [`MAX_LINE`] goes on
    /// in the next line.
    pub fn print(&mut self, outbox: &mut impl Outbox, level: Level, text: fmt::Arguments<'_>) {
        self.write(outbox, level, 0, text);
    }

    /// The same for the answer to a command; see [`FLAG_OUTPUT`].
    pub fn output(&mut self, outbox: &mut impl Outbox, text: fmt::Arguments<'_>) {
        self.write(outbox, Level::Info, FLAG_OUTPUT, text);
    }

    /// Whether a line of any length would go out whole now.
    pub fn has_room(&self, outbox: &mut impl Outbox) -> bool {
        outbox.reserve(MAX_CHUNKS)
    }

    /// To be called when the console has made room: tells it of drops that no later line has told it of.
    pub fn tell_drops(&mut self, outbox: &mut impl Outbox) {
        if self.untold > 0 && outbox.reserve(1) {
            outbox.push(FromClient { dropped: core::mem::take(&mut self.untold), ..FromClient::new(kind::DROPPED) });
        }
    }

    fn write(&mut self, outbox: &mut impl Outbox, level: Level, flags: u8, text: fmt::Arguments<'_>) {
        let mut writer = LineWriter { lines: self, outbox, level, flags };
        // Only a Display implementation that fails on purpose gives an error here; what it wrote before still counts.
        let _ = writer.write_fmt(text);
        self.end_line(outbox, level, flags);
    }

    fn add(&mut self, outbox: &mut impl Outbox, level: Level, flags: u8, text: &str) {
        for (index, part) in text.split('\n').enumerate() {
            if index > 0 {
                self.end_line(outbox, level, flags);
            }
            for character in part.chars() {
                if self.length + character.len_utf8() > MAX_LINE {
                    self.end_line(outbox, level, flags);
                }
                self.length += character.encode_utf8(&mut self.line[self.length..]).len();
            }
        }
    }

    fn end_line(&mut self, outbox: &mut impl Outbox, level: Level, flags: u8) {
        let chunks = self.length.div_ceil(CHUNK).max(1);
        let length = core::mem::take(&mut self.length);
        if !outbox.reserve(chunks) {
            self.dropped += 1;
            self.untold = self.untold.saturating_add(1);
            return;
        }
        for index in 0..chunks {
            let end = length.min((index + 1) * CHUNK);
            let mut entry = FromClient::new(kind::LINE).with_text(&self.line[index * CHUNK..end]);
            entry.level = level as u8;
            entry.dropped = core::mem::take(&mut self.untold);
            entry.flags =
                flags | if index == 0 { FLAG_FIRST } else { 0 } | if index + 1 == chunks { FLAG_LAST } else { 0 };
            outbox.push(entry);
        }
    }
}

struct LineWriter<'a, O: Outbox> {
    lines: &'a mut Lines,
    outbox: &'a mut O,
    level: Level,
    flags: u8,
}

impl<O: Outbox> fmt::Write for LineWriter<'_, O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.lines.add(self.outbox, self.level, self.flags, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ring {
        entries: Vec<FromClient>,
        capacity: usize,
    }

    impl Outbox for Ring {
        fn reserve(&mut self, entries: usize) -> bool {
            self.capacity - self.entries.len() >= entries
        }
        fn push(&mut self, entry: FromClient) {
            assert!(self.entries.len() < self.capacity);
            self.entries.push(entry);
        }
    }

    fn joined(entries: &[FromClient]) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind == kind::LINE) {
            if entry.flags & FLAG_FIRST != 0 {
                lines.push(Vec::new());
            }
            lines.last_mut().unwrap().extend_from_slice(entry.text());
        }
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let mut ring = Ring { entries: Vec::new(), capacity: 64 };
        let mut lines = Lines::new();
        let long = "é".repeat(600);
        lines.print(&mut ring, Level::Info, format_args!("one\n\nthree {}", 3));
        lines.print(&mut ring, Level::Debug, format_args!("{long}"));
        assert_eq!(joined(&ring.entries), ["one", "", "three 3", &long[..1024], &long[1024..]]);
        assert_eq!(lines.dropped(), 0);
        assert!(ring.entries.iter().all(|entry| usize::from(entry.length) <= CHUNK));
    }

    #[test]
    fn a_line_without_room_is_dropped_whole_and_told_later() {
        let mut ring = Ring { entries: Vec::new(), capacity: 2 };
        let mut lines = Lines::new();
        lines.print(&mut ring, Level::Info, format_args!("{}", "x".repeat(3 * CHUNK)));
        assert!(ring.entries.is_empty());
        lines.print(&mut ring, Level::Info, format_args!("{}", "y".repeat(2 * CHUNK)));
        lines.print(&mut ring, Level::Info, format_args!("z"));
        assert_eq!(joined(&ring.entries), ["y".repeat(2 * CHUNK)]);
        assert_eq!(ring.entries[0].dropped, 1);
        lines.tell_drops(&mut ring);
        ring.entries.clear();
        lines.tell_drops(&mut ring);
        lines.tell_drops(&mut ring);
        assert_eq!(ring.entries.len(), 1);
        assert_eq!((ring.entries[0].kind, ring.entries[0].dropped), (kind::DROPPED, 1));
        assert_eq!(lines.dropped(), 2);
    }

    #[test]
    fn levels_have_names_and_numbers() {
        for (level, name) in Level::NAMES {
            assert_eq!(Level::from_name(name), Some(level));
            assert_eq!(Level::from_raw(level as u8), Some(level));
            assert_eq!(level.name(), name);
        }
        assert_eq!(Level::from_raw(5), None);
        assert_eq!(Level::from_name("loud"), None);
    }

    #[test]
    fn a_wrong_length_from_a_peer_is_cut() {
        assert_eq!(FromClient { length: 255, ..FromClient::new(kind::LINE) }.text().len(), CHUNK);
    }
}
