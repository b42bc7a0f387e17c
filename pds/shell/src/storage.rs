//! Files and keys on the console: what is asked of the storage service, and how its answers are shown.

use core::fmt::{self, Write};
use heapless::String;
use protocols::storage::{
    Ask, DiskInfo, Entries, FileInfo, KvUsage, Listed, MAX_KEY, MAX_PATH, MAX_VALUE, Reply, Volume, code, kind,
};

use crate::units::Bytes;
use crate::words::Words;
use crate::world::World;

/// Bytes of a file that one request of `cat` reads.
const CAT_BYTES: usize = 4096;
/// Bytes of a row of text; longer lines go on in the next row.
const ROW_BYTES: usize = 900;
/// Bytes in a row of hexadecimal.
const HEX_BYTES: usize = 16;

/// What can stand behind `kv`.
pub const KV_WORDS: [&str; 4] = ["read", "write", "delete", "list"];

/// A command about files or keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// `ls`
    #[default]
    List,
    /// `cat`
    Cat,
    /// `put` with its text.
    Put,
    /// A line of a `put` whose text is typed in lines.
    PutLine,
    /// `rm`
    Remove,
    /// `mkdir`
    MakeFolder,
    /// `mv`
    Move,
    /// `df`
    DiskInfo,
    /// `kv read`
    KvRead,
    /// `kv write`
    KvWrite,
    /// `kv delete`
    KvDelete,
    /// `kv list`
    KvList,
    /// What follows `kv list`.
    KvUsage,
}

impl Action {
    /// The command's name, for what is said of it.
    pub fn name(self) -> &'static str {
        match self {
            Action::List => "ls",
            Action::Cat => "cat",
            Action::Put | Action::PutLine => "put",
            Action::Remove => "rm",
            Action::MakeFolder => "mkdir",
            Action::Move => "mv",
            Action::DiskInfo => "df",
            Action::KvRead | Action::KvWrite | Action::KvDelete | Action::KvList | Action::KvUsage => "kv",
        }
    }

    /// The action of the second word of `kv`, and how many words it takes at least and at most after that.
    pub fn of_kv(word: &str) -> Option<(Action, usize, usize)> {
        match word {
            "read" => Some((Action::KvRead, 1, 1)),
            "write" => Some((Action::KvWrite, 2, usize::MAX)),
            "delete" => Some((Action::KvDelete, 1, 1)),
            "list" => Some((Action::KvList, 0, 0)),
            _ => None,
        }
    }
}

/// What is shown of the bytes that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
enum Shape {
    /// Nothing, or it is shown already.
    #[default]
    Nothing,
    Entries,
    Text,
    Hex,
}

/// A command that runs, with the bytes that it sends or got. All zeros at first.
pub struct Job {
    action: Action,
    /// Path or key.
    name: String<MAX_PATH>,
    bytes: [u8; MAX_VALUE],
    length: usize,
    /// Bytes that are shown.
    shown: usize,
    shape: Shape,
    /// Where the next request goes on, in entries or bytes; 0 at first, and when there is nothing to go on with.
    next: u64,
    /// Bytes of the file before `bytes`.
    before: u64,
    /// Things listed.
    count: u32,
    /// The file to which typed lines are added.
    typing: bool,
}

/// What is to be done after a reply or a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Show the next row.
    Show,
    /// Ask for more.
    Ask,
    /// The command is done.
    Done,
}

impl Job {
    /// Nothing to do.
    pub const fn new() -> Self {
        Self {
            action: Action::List,
            name: String::new(),
            bytes: [0; MAX_VALUE],
            length: 0,
            shown: 0,
            shape: Shape::Nothing,
            next: 0,
            before: 0,
            count: 0,
            typing: false,
        }
    }

    /// Takes a command's words. False if one is too long.
    pub fn set(&mut self, action: Action, words: &Words) -> bool {
        let of_keys = matches!(action, Action::KvRead | Action::KvWrite | Action::KvDelete | Action::KvList);
        let name_at = if of_keys { 2 } else { 1 };
        self.begin(action);
        self.name.clear();
        let name = words.get(name_at).unwrap_or("");
        if self.name.push_str(name).is_err() || (of_keys && name.len() > MAX_KEY) {
            return false;
        }
        for (index, word) in words.iter().skip(name_at + 1).enumerate() {
            if index > 0 {
                self.add(b" ");
            }
            self.add(word.as_bytes());
        }
        if action == Action::Put {
            // Without text, lines follow.
            self.typing = words.len() == 2;
            if !self.typing {
                self.add(b"\n");
            }
        }
        true
    }

    /// Takes a line that was typed after `put FILE`.
    pub fn set_line(&mut self, line: &str) {
        self.begin(Action::PutLine);
        self.add(line.as_bytes());
        self.add(b"\n");
    }

    fn begin(&mut self, action: Action) {
        self.action = action;
        (self.length, self.shown, self.shape) = (0, 0, Shape::Nothing);
        (self.next, self.before, self.count) = (0, 0, 0);
    }

    /// A line of the console is shorter than a value, so there is room.
    fn add(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    /// The command's name.
    pub fn command(&self) -> &'static str {
        self.action.name()
    }

    /// Whether lines that are typed belong to a file.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Lines that are typed are commands again.
    pub fn end_typing(&mut self) {
        self.typing = false;
    }

    /// What is to be asked.
    pub fn ask(&self) -> Ask<'_> {
        let (name, bytes) = (self.name.as_str(), &self.bytes[..self.length]);
        match self.action {
            Action::List => Ask::list(name, self.next, CAT_BYTES),
            Action::Cat => Ask::read(name, self.next, CAT_BYTES),
            Action::Put => Ask::replace(name, bytes),
            Action::PutLine => Ask::append(name, bytes),
            Action::Remove => Ask::remove(name),
            Action::MakeFolder => Ask::make_folder(name),
            Action::Move => Ask::rename(name, core::str::from_utf8(bytes).unwrap_or("")),
            Action::DiskInfo => Ask::disk_info(),
            Action::KvRead => Ask::kv_read(name.as_bytes(), MAX_VALUE),
            Action::KvWrite => Ask::kv_write(name.as_bytes(), bytes),
            Action::KvDelete => Ask::kv_delete(name.as_bytes()),
            Action::KvList => Ask::kv_list(self.next, CAT_BYTES),
            Action::KvUsage => Ask::kv_usage(),
        }
    }

    /// Where the reply's bytes go.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Takes the reply to what was asked; `length` bytes came with it.
    pub fn replied(&mut self, reply: &Reply, length: usize, world: &mut impl World) -> Next {
        self.shown = 0;
        if reply.code != code::DONE {
            self.typing = false;
            self.shape = Shape::Nothing;
            let about = if self.name.is_empty() || self.action == Action::DiskInfo { "" } else { self.name.as_str() };
            let colon = if about.is_empty() { "" } else { ": " };
            world.print(format_args!("{}: {about}{colon}{}", self.command(), code::text(reply.code)));
            return Next::Done;
        }
        match reply.kind {
            kind::LIST | kind::KV_LIST => {
                let listed: Listed = reply.body();
                (self.length, self.shape, self.next) = (length, Shape::Entries, listed.next);
                Next::Show
            }
            kind::READ => {
                let info: FileInfo = reply.body();
                let from = self.next;
                // The first bytes decide how all of them are shown.
                if from == 0 {
                    self.shape = if is_text(&self.bytes[..length]) { Shape::Text } else { Shape::Hex };
                }
                (self.length, self.before) = (length, from);
                let end = from + length as u64;
                self.next = if end < info.bytes && length > 0 { end } else { 0 };
                Next::Show
            }
            kind::KV_READ => {
                self.length = length;
                self.shape = if is_text(&self.bytes[..length]) { Shape::Text } else { Shape::Hex };
                Next::Show
            }
            kind::DISK_INFO => {
                print_disk(&reply.body(), world);
                Next::Done
            }
            kind::KV_USAGE => {
                print_usage(&reply.body(), world);
                Next::Done
            }
            _ => Next::Done,
        }
    }

    /// Shows the next row of what came.
    pub fn show(&mut self, world: &mut impl World) -> Next {
        let rest = self.bytes.get(self.shown..self.length).unwrap_or(&[]);
        let used = match self.shape {
            Shape::Entries => self.show_entry(rest, world),
            Shape::Text => show_text(rest, self.next == 0, self.shown == 0, world),
            Shape::Hex => show_hex(self.before + self.shown as u64, rest, world),
            Shape::Nothing => 0,
        };
        if used > 0 {
            self.shown += used;
            self.count = self.count.saturating_add(1);
            return Next::Show;
        }
        if self.next != 0 {
            // A line that goes on in what comes next is shown with that.
            if self.shape == Shape::Text {
                self.next = self.before + self.shown as u64;
            }
            return Next::Ask;
        }
        match self.action {
            Action::KvList => {
                self.action = Action::KvUsage;
                Next::Ask
            }
            Action::KvRead | Action::Cat if self.count == 0 => {
                world.print(format_args!("{}: {}: empty", self.command(), self.name));
                Next::Done
            }
            _ => Next::Done,
        }
    }

    fn show_entry(&self, rest: &[u8], world: &mut impl World) -> usize {
        let mut entries = Entries(rest);
        let Some(entry) = entries.next() else { return 0 };
        let name = Shown(entry.name);
        match (entry.folder, self.action) {
            (true, _) => world.print(format_args!("{:>12}  {name}/", "")),
            (false, Action::KvList) => world.print(format_args!("{:>10} B  {name}", entry.bytes)),
            (false, _) => world.print(format_args!("{:>12}  {name}", entry.bytes)),
        }
        rest.len() - entries.0.len()
    }
}

impl Default for Job {
    fn default() -> Self {
        Self::new()
    }
}

/// Text or bytes as they may be shown on a line: what is no text, in hexadecimal.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(text) if !text.chars().any(char::is_control) => f.write_str(text),
            _ => self.0.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}")),
        }
    }
}

/// Whether bytes are text, as far as they go: the last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    text.chars().all(|character| !character.is_control() || "\t\r\n".contains(character))
}

/// Prints a line, or as much of it as fits on a row; gives the bytes that this was. 0 when the line's end is not there, and
/// more is to come.
fn show_text(rest: &[u8], is_end: bool, is_start: bool, world: &mut impl World) -> usize {
    let line_end = rest.iter().position(|byte| *byte == b'\n');
    let line = &rest[..line_end.unwrap_or(rest.len())];
    if rest.is_empty() || (line_end.is_none() && !is_end && !is_start && line.len() <= ROW_BYTES) {
        return 0;
    }
    let mut cut = line.len().min(ROW_BYTES);
    // Not within a character.
    while cut < line.len() && cut > ROW_BYTES - 4 && line[cut] & 0xc0 == 0x80 {
        cut -= 1;
    }
    let shown = &line[..cut];
    let shown = shown.strip_suffix(b"\r").unwrap_or(shown);
    match core::str::from_utf8(shown) {
        Ok(text) => world.print(format_args!("{text}")),
        Err(_) => world.print(format_args!("{}", Shown(&shown[..shown.len().min(ROW_BYTES / 4)]))),
    }
    if cut == line.len() && line_end.is_some() { cut + 1 } else { cut }
}

/// Prints a row of hexadecimal; gives the bytes that it shows.
fn show_hex(offset: u64, rest: &[u8], world: &mut impl World) -> usize {
    let row = &rest[..rest.len().min(HEX_BYTES)];
    if row.is_empty() {
        return 0;
    }
    let (mut hex, mut text) = (String::<{ 3 * HEX_BYTES }>::new(), String::<HEX_BYTES>::new());
    for byte in row {
        let _ = write!(hex, "{byte:02x} ");
        let _ = text.push(if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' });
    }
    world.print(format_args!("{offset:08x}  {hex:<48} {text}"));
    row.len()
}

fn print_disk(info: &DiskInfo, world: &mut impl World) {
    if info.disk_bytes == 0 {
        return world.print(format_args!("df: {}", code::text(info.files.code)));
    }
    let read_only = if info.read_only != 0 { ", read-only" } else { "" };
    world.print(format_args!("disk of {}{read_only}", Bytes(info.disk_bytes)));
    let mut row = |what: &str, volume: &Volume| {
        let Volume { code, unit_bytes, bytes, free } = *volume;
        if code == code::DONE {
            let used = Bytes(bytes.saturating_sub(free));
            let (bytes, free) = (Bytes(bytes), Bytes(free));
            world.print(format_args!(
                "{what:<6} {bytes:>10}, used {used:>10}, free {free:>10}, in units of {unit_bytes} B"
            ));
        } else {
            world.print(format_args!("{what:<6} {}", code::text(code)));
        }
    };
    let name = match info.fat_bits {
        12 => "FAT12",
        16 => "FAT16",
        32 => "FAT32",
        _ => "files",
    };
    row(name, &info.files);
    row("keys", &info.keys);
}

fn print_usage(usage: &KvUsage, world: &mut impl World) {
    let KvUsage { keys, bytes, quota_keys, quota_bytes, broken } = *usage;
    world.print(format_args!("{keys} of {quota_keys} keys, {} of {}", Bytes(bytes), Bytes(quota_bytes)));
    if broken > 0 {
        world.print(format_args!("{broken} unfinished or broken records were left out when the store was opened"));
    }
}
