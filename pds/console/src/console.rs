//! The multiplexer: which client's line comes next, and what it looks like.

use crate::clean::{GROWTH, clean};
use crate::client::Client;
use crate::output::Output;
use crate::terminal::{REDRAW, Terminal};
use core::fmt::{self, Write};
use protocols::console::{
    ALL_CLIENTS, CHUNK, ClientStatus, FLAG_OUTPUT, FromClient, FromConsole, Level, MAX_CHUNKS, MAX_CLIENTS, MAX_LINE,
    TERMINAL_OWNER, kind,
};
use zerocopy::IntoBytes;

/// The longest name of a client that is printed.
pub const MAX_NAME: usize = 64;
/// The most bytes that taking one entry adds to the output: a line, a report of drops before it, and the input line.
pub const WORST_LINE: usize = GROWTH * MAX_LINE + 2 * MAX_NAME + 128 + 2 * REDRAW;
/// Lines, or entries without text, that one client may send before the next one's turn.
const ITEMS_PER_CLIENT: usize = 1;
/// Rounds over all clients in one turn; then keys are looked at again.
const ROUNDS: usize = 16;
/// Entries of input that one turn passes on.
const INPUTS: usize = 16;

const _: () = assert!(WORST_LINE < crate::output::CAPACITY);

/// The console's links, as the multiplexer needs them. Nothing here waits.
pub trait Links {
    /// Takes the next entry of the client in `slot`.
    fn take(&mut self, slot: usize) -> Option<FromClient>;
    /// Whether an entry fits into the ring to the terminal's owner.
    fn owner_has_room(&mut self) -> bool;
    /// Sends an entry to the terminal's owner. Called only when there is room.
    fn send_owner(&mut self, entry: FromConsole);
    /// Gives bytes to the UART and says how many it took.
    fn write(&mut self, bytes: &[u8]) -> usize;
    /// Whether the UART has taken all bytes out of the ring.
    fn written(&mut self) -> bool;
    /// Bytes from the UART, at most as many as fit into `bytes`.
    fn read(&mut self, bytes: &mut [u8]) -> usize;
}

/// Who is behind a slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// Name that goes before each line.
    pub name: &'a str,
    /// Index in the system table, or `u64::MAX`.
    pub pd: u64,
}

/// The console's whole state.
#[derive(Debug)]
pub struct Console<'a> {
    slots: [Option<Slot<'a>>; MAX_CLIENTS],
    clients: [Client; MAX_CLIENTS],
    terminal: Terminal,
    output: Output,
    /// Whose turn it is.
    next: usize,
    /// Answers under way: the slot to tell of next, and the question's argument.
    query: Option<(usize, u32)>,
    flush: Option<u32>,
    /// Own lines that found no room.
    unsaid: u64,
    /// A file transfer has the terminal: a line in between would damage it.
    raw: bool,
}

impl<'a> Console<'a> {
    /// A console without clients. All zeros, so that it takes no room in the program.
    pub const fn new() -> Self {
        Self {
            slots: [None; MAX_CLIENTS],
            clients: [const { Client::new() }; MAX_CLIENTS],
            terminal: Terminal::new(),
            output: Output::new(),
            next: 0,
            query: None,
            flush: None,
            unsaid: 0,
            raw: false,
        }
    }

    /// Says who is behind a slot. Lines of level info and above are printed from now on.
    pub fn set_slot(&mut self, slot: usize, who: Slot<'a>) {
        self.slots[slot] = Some(who);
        self.clients[slot].threshold = Level::Info;
    }

    /// The client in `slot` began anew.
    pub fn restarted(&mut self, slot: usize) {
        self.clients[slot].restarted();
        if slot == TERMINAL_OWNER {
            self.terminal.drop_view(&mut self.output);
            self.query = None;
            self.flush = None;
            self.end_raw();
        }
    }

    /// Prints a line of the console's own.
    pub fn say(&mut self, text: fmt::Arguments<'_>) {
        if self.raw || self.output.room() < WORST_LINE {
            self.unsaid += 1;
            return;
        }
        self.terminal.begin_line(&mut self.output);
        // A queue of bytes takes everything; what is printed here is much shorter than the longest line.
        let _ = write!(self.output, "console: {text}\r\n");
    }

    /// Something between here and the screen broke off, perhaps within a line: goes to a new one and says so.
    pub fn say_interrupted(&mut self, text: fmt::Arguments<'_>) {
        if !self.raw {
            self.terminal.start_afresh(&mut self.output);
        }
        self.say(text);
    }

    /// One turn of bounded length: keys in, lines out, answers. True if more could be done at once.
    pub fn turn(&mut self, links: &mut impl Links) -> bool {
        let keys = self.pass_keys(links);
        let lines = self.take_lines(links);
        if self.unsaid > 0 && !self.raw && self.output.room() >= WORST_LINE {
            let unsaid = core::mem::take(&mut self.unsaid);
            self.say(format_args!("dropped {unsaid} lines of its own"));
        }
        self.terminal.settle(&mut self.output);
        self.push_out(links);
        let answered = self.answer(links);
        keys || lines || answered
    }

    /// True if there may be more keys. They wait while the owner waits for an answer, which would stand behind them.
    fn pass_keys(&mut self, links: &mut impl Links) -> bool {
        if self.query.is_some() || self.flush.is_some() {
            return false;
        }
        for _ in 0..INPUTS {
            if !links.owner_has_room() {
                return false;
            }
            let mut entry = FromConsole::new(kind::INPUT);
            let length = links.read(&mut entry.bytes).min(CHUNK);
            if length == 0 {
                return false;
            }
            entry.length = length as u8;
            links.send_owner(entry);
        }
        true
    }

    /// True if there may be more lines and room for them.
    fn take_lines(&mut self, links: &mut impl Links) -> bool {
        for _ in 0..ROUNDS {
            let mut idle = true;
            for _ in 0..MAX_CLIENTS {
                if self.output.room() < WORST_LINE {
                    self.push_out(links);
                    if self.output.room() < WORST_LINE {
                        return false;
                    }
                }
                let slot = self.next;
                self.next = (slot + 1) % MAX_CLIENTS;
                if self.slots[slot].is_some() && (!self.raw || slot == TERMINAL_OWNER) {
                    idle &= !self.take_items(slot, links);
                }
            }
            if idle {
                return false;
            }
        }
        true
    }

    /// Takes what one client may send in one round. False if it had nothing.
    fn take_items(&mut self, slot: usize, links: &mut impl Links) -> bool {
        let mut items = 0;
        for _ in 0..MAX_CHUNKS {
            let Some(entry) = links.take(slot) else { return items > 0 };
            items += usize::from(self.accept(slot, &entry));
            if items == ITEMS_PER_CLIENT {
                break;
            }
        }
        true
    }

    /// Acts on an entry. True if it was a line's end, or had no text.
    fn accept(&mut self, slot: usize, entry: &FromClient) -> bool {
        let client = &mut self.clients[slot];
        client.count_drops(entry);
        let owner = slot == TERMINAL_OWNER;
        match entry.kind {
            kind::LINE => {
                if !client.add_chunk(entry) {
                    return false;
                }
                let level = Level::from_raw(entry.level).filter(|level| *level != Level::Off).unwrap_or(Level::Info);
                if owner && entry.flags & FLAG_OUTPUT != 0 {
                    client.printed += 1;
                    self.print(slot, None);
                } else if level <= client.threshold {
                    client.printed += 1;
                    self.print(slot, Some(level));
                } else {
                    client.filtered += 1;
                    self.report_drops(slot);
                }
            }
            kind::VIEW if owner => {
                self.terminal.set_view(entry.text(), entry.argument as usize, &mut self.output);
            }
            kind::VIEW_DONE if owner => self.terminal.finish_view(&mut self.output),
            kind::RAW_BEGIN if owner => {
                self.terminal.drop_view(&mut self.output);
                self.raw = true;
            }
            kind::RAW if owner && self.raw => self.output.put(entry.text()),
            kind::RAW_END if owner => self.end_raw(),
            kind::CLEAR if owner => self.terminal.clear(&mut self.output),
            kind::SET_COLOUR if owner => self.terminal.colour = entry.argument == 1,
            kind::SET_LEVEL if owner => {
                if let Some(level) = Level::from_raw(entry.level) {
                    self.set_level(entry.argument, level);
                }
            }
            kind::QUERY if owner => self.query = Some((0, entry.argument)),
            kind::FLUSH if owner => self.flush = Some(entry.argument),
            // Nothing to do: its count of drops is taken over already, and what is unknown is harmless.
            _ => self.report_drops(slot),
        }
        true
    }

    fn end_raw(&mut self) {
        if core::mem::take(&mut self.raw) {
            self.terminal.start_afresh(&mut self.output);
        }
    }

    fn set_level(&mut self, slot: u32, level: Level) {
        for (index, client) in self.clients.iter_mut().enumerate() {
            if slot == index as u32 || (slot == ALL_CLIENTS && index != TERMINAL_OWNER) {
                client.threshold = level;
            }
        }
    }

    /// Prints the line that client `slot` has completed, with its name and urgency unless it is a command's answer.
    fn print(&mut self, slot: usize, level: Option<Level>) {
        self.report_drops(slot);
        self.terminal.begin_line(&mut self.output);
        let colour_level = level.unwrap_or(Level::Info);
        self.output.put(self.terminal.colour_on(colour_level));
        if let Some(level) = level {
            self.output.put(name(&self.slots, slot).as_bytes());
            self.output.put(match level {
                Level::Error => b": error: ",
                Level::Warning => b": warning: ",
                Level::Debug => b": debug: ",
                Level::Info | Level::Off => b": ",
            });
        }
        clean(self.clients[slot].line(), |piece| self.output.put(piece));
        self.output.put(self.terminal.colour_off(colour_level));
        self.output.put(b"\r\n");
    }

    /// Says how many lines of client `slot` are missing here, if any are.
    fn report_drops(&mut self, slot: usize) {
        let lost = self.clients[slot].take_unreported();
        if lost == 0 {
            return;
        }
        self.terminal.begin_line(&mut self.output);
        let lines = if lost == 1 { "line" } else { "lines" };
        let name = name(&self.slots, slot);
        // As in `say`, which asks for more room than this needs: the caller has made room for a line and its report.
        let _ = write!(self.output, "console: dropped {lost} {lines} of {name}\r\n");
    }

    fn push_out(&mut self, links: &mut impl Links) {
        while !self.output.is_empty() {
            let taken = links.write(self.output.front());
            if taken == 0 {
                break;
            }
            self.output.consume(taken);
        }
    }

    /// Sends the answers that are due, as far as the owner's ring has room. True if one was finished.
    fn answer(&mut self, links: &mut impl Links) -> bool {
        let mut finished = false;
        while let Some((slot, argument)) = self.query {
            if !links.owner_has_room() {
                return finished;
            }
            if slot == MAX_CLIENTS {
                links.send_owner(FromConsole::new(kind::DONE).with_argument(argument));
                self.query = None;
                finished = true;
                break;
            }
            self.query = Some((slot + 1, argument));
            if let Some(who) = self.slots[slot] {
                links.send_owner(self.status(slot, who.pd));
            }
        }
        if let Some(argument) = self.flush
            && self.output.is_empty()
            && links.written()
            && links.owner_has_room()
        {
            links.send_owner(FromConsole::new(kind::DONE).with_argument(argument));
            self.flush = None;
            finished = true;
        }
        finished
    }

    fn status(&self, slot: usize, pd: u64) -> FromConsole {
        let Client { printed, filtered, dropped, threshold, .. } = self.clients[slot];
        let status = ClientStatus { printed, filtered, dropped, pd };
        let mut entry = FromConsole::new(kind::STATUS).with_text(status.as_bytes()).with_argument(slot as u32);
        entry.level = threshold as u8;
        entry
    }
}

impl Default for Console<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The name of the client in `slot`, cut at [`MAX_NAME`] bytes.
fn name<'a>(slots: &[Option<Slot<'a>>; MAX_CLIENTS], slot: usize) -> &'a str {
    let name = slots[slot].map_or("?", |who| who.name);
    name.get(..name.len().min(MAX_NAME)).unwrap_or("?")
}
