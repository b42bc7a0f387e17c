//! One client: puts its chunks together to lines, and counts what becomes of each line.

use protocols::console::{FLAG_FIRST, FLAG_LAST, FromClient, Level, MAX_LINE};

/// One client as the console knows it.
#[derive(Debug)]
pub struct Client {
    line: [u8; MAX_LINE],
    length: usize,
    state: State,
    /// Dropped lines that the terminal was not told of yet.
    unreported: u64,
    /// Lines less urgent than this are not printed.
    pub threshold: Level,
    /// Lines printed.
    pub printed: u64,
    /// Lines held back by the threshold.
    pub filtered: u64,
    /// Lines lost: dropped by the client for want of room, broken off, or longer than [`MAX_LINE`].
    pub dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two lines.
    Idle,
    /// Some chunks of a line are here.
    Collecting,
    /// The rest of a line that is counted as lost.
    Skipping,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client that has sent nothing, and of which nothing is printed. All zeros, so that it takes no room in the program.
    pub const fn new() -> Self {
        Self {
            line: [0; MAX_LINE],
            length: 0,
            state: State::Idle,
            unreported: 0,
            threshold: Level::Off,
            printed: 0,
            filtered: 0,
            dropped: 0,
        }
    }

    /// The client began anew: what it had begun to say is lost.
    pub fn restarted(&mut self) {
        if self.state == State::Collecting {
            self.lose(1);
        }
        self.state = State::Idle;
    }

    /// Adds the drops that an entry tells of.
    pub fn count_drops(&mut self, entry: &FromClient) {
        self.lose(u64::from(entry.dropped));
    }

    /// Adds a chunk. True if it completes a line, which [`Client::line`] then gives.
    pub fn add_chunk(&mut self, entry: &FromClient) -> bool {
        if entry.flags & FLAG_FIRST != 0 {
            if self.state == State::Collecting {
                self.lose(1);
            }
            self.state = State::Collecting;
            self.length = 0;
        } else if self.state == State::Idle {
            // A line without a beginning.
            self.lose(1);
            self.state = State::Skipping;
        }
        let text = entry.text();
        if self.state == State::Collecting {
            if self.length + text.len() <= MAX_LINE {
                self.line[self.length..self.length + text.len()].copy_from_slice(text);
                self.length += text.len();
            } else {
                self.lose(1);
                self.state = State::Skipping;
            }
        }
        let last = entry.flags & FLAG_LAST != 0;
        let complete = last && self.state == State::Collecting;
        if last {
            self.state = State::Idle;
        }
        complete
    }

    /// The line that [`Client::add_chunk`] has just completed.
    pub fn line(&self) -> &[u8] {
        &self.line[..self.length]
    }

    /// How many lines were lost since the last time this was asked.
    pub fn take_unreported(&mut self) -> u64 {
        core::mem::take(&mut self.unreported)
    }

    fn lose(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
        self.unreported = self.unreported.saturating_add(lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::console::{CHUNK, kind};

    fn chunk(flags: u8, length: usize) -> FromClient {
        FromClient { flags, ..FromClient::new(kind::LINE).with_text(&[b'x'; CHUNK][..length]) }
    }

    #[test]
    fn broken_lines_are_lost_once_each() {
        let mut client = Client::new();
        assert!(!client.add_chunk(&chunk(0, 1)), "no beginning");
        assert!(!client.add_chunk(&chunk(0, 1)));
        assert!(!client.add_chunk(&chunk(FLAG_LAST, 1)));
        assert_eq!(client.take_unreported(), 1);
        assert!(!client.add_chunk(&chunk(FLAG_FIRST, 1)), "no end");
        assert!(client.add_chunk(&chunk(FLAG_FIRST | FLAG_LAST, 3)));
        assert_eq!((client.line().len(), client.take_unreported()), (3, 1));
        assert!(!client.add_chunk(&chunk(FLAG_FIRST, CHUNK)), "too long");
        for _ in 0..20 {
            assert!(!client.add_chunk(&chunk(0, CHUNK)));
        }
        assert!(!client.add_chunk(&chunk(FLAG_LAST, 0)));
        assert_eq!(client.take_unreported(), 1);
        client.add_chunk(&chunk(FLAG_FIRST, 1));
        client.restarted();
        assert_eq!((client.take_unreported(), client.dropped), (1, 4));
    }
}
