//! Two clients of the console in one: the terminal's owner, and one that sends entries which no library would.
#![no_std]
#![no_main]

use protocols::console::{
    CHUNK, ClientStatus, FLAG_FIRST, FLAG_LAST, FLAG_OUTPUT, FromClient, FromConsole, Level, Lines, MAX_LINE, Outbox,
    PROTOCOL, VERSION, kind,
};
use ring::Link;
use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{raw, verdict};
use zerocopy::FromBytes;

type Console = Link<FromClient, FromConsole>;

struct Judge {
    owner: Console,
    plain: Console,
    printed: u64,
    dropped: u64,
}

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let owner = ring::link!(owner: FromClient, FromConsole, PROTOCOL, VERSION).expect("a link").expect("a console");
    let plain = ring::link!(plain: FromClient, FromConsole, PROTOCOL, VERSION).expect("a link").expect("a console");
    let mut judge = Judge { owner, plain, printed: 0, dropped: 0 };
    judge.poll();
    judge.longest();
    judge.broken_off();
    judge.strange();
    judge.not_the_owner();
    judge.told_of_drops();
    let mut lines = Lines::new();
    lines.output(&mut judge.owner, format_args!("<{:o<1$}>", "", MAX_LINE - 2));
    lines.output(&mut judge.owner, format_args!("PASS"));
    judge.ask(kind::FLUSH, 1, |_| ());
    verdict::exit(verdict::PASS_CODE)
}

/// An entry of a line.
fn part(flags: u8, text: &[u8]) -> FromClient {
    let mut entry = FromClient::new(kind::LINE).with_text(text);
    (entry.flags, entry.level) = (flags, Level::Info as u8);
    entry
}

impl Judge {
    fn send(&mut self, entry: FromClient) {
        while !self.plain.reserve(1).expect("a session") {
            raw::wait_input();
            self.poll();
        }
        Outbox::push(&mut self.plain, entry);
    }

    fn poll(&mut self) {
        self.owner.poll().expect("a console");
        self.plain.poll().expect("a console");
    }

    /// A line between < and > of so many bytes in all.
    fn line(&mut self, fill: u8, bytes: usize) {
        let mut text = [fill; MAX_LINE + 1];
        (text[0], text[bytes - 1]) = (b'<', b'>');
        let last = (bytes - 1) / CHUNK;
        for (index, chunk) in text[..bytes].chunks(CHUNK).enumerate() {
            let flags = if index == 0 { FLAG_FIRST } else { 0 } | if index == last { FLAG_LAST } else { 0 };
            self.send(part(flags, chunk));
        }
    }

    /// Asks the console as its terminal's owner, and waits for the end of its answer.
    fn ask(&mut self, question: u8, token: u32, mut each: impl FnMut(&FromConsole)) {
        self.poll();
        Outbox::push(&mut self.owner, FromClient::new(question).with_argument(token));
        loop {
            while let Some(entry) = self.owner.pop().expect("a session") {
                if (entry.kind, entry.argument) == (kind::DONE, token) {
                    return;
                }
                each(&entry);
            }
            raw::wait_input();
            self.poll();
        }
    }

    /// Holds what the console has counted for the plain client against what was sent.
    fn check(&mut self, printed: u64, dropped: u64) {
        self.printed += printed;
        self.dropped += dropped;
        // Its entries must all be taken before.
        while !self.plain.reserve(self.plain.capacity()).expect("a session") {
            raw::wait_input();
            self.poll();
        }
        let mut counted = None;
        self.ask(kind::QUERY, 7, |entry| {
            if entry.kind == kind::STATUS && entry.argument == 1 {
                counted = ClientStatus::read_from_prefix(entry.text()).ok().map(|(status, _)| status);
            }
        });
        let status = counted.expect("a status");
        assert_eq!((status.printed, status.dropped), (self.printed, self.dropped));
    }

    fn longest(&mut self) {
        self.line(b'a', MAX_LINE);
        self.line(b'b', MAX_LINE + 1);
        self.line(b'c', MAX_LINE - 1);
        self.check(2, 1);
    }

    fn broken_off(&mut self) {
        self.send(part(0, b"without a beginning"));
        self.send(part(FLAG_LAST, b"and its end"));
        self.send(part(FLAG_FIRST, b"without an end"));
        self.send(part(FLAG_FIRST | FLAG_LAST, b"whole"));
        self.check(1, 2);
    }

    fn strange(&mut self) {
        self.send(part(FLAG_FIRST | FLAG_LAST, b"[\x1b[2J\x07\x08\x00\r\n\x7f\xff\xc3\x28\xe2\x80\xae]"));
        self.send(FromClient { length: 255, ..part(FLAG_FIRST | FLAG_LAST, b"wrong length") });
        for level in [0, 9, 255] {
            self.send(FromClient { level, ..part(FLAG_FIRST | FLAG_LAST, b"a level of its own") });
        }
        self.send(part(0xff, b"all flags"));
        self.check(6, 0);
        for unknown in (0..=u8::MAX).filter(|one| *one != kind::LINE) {
            self.send(FromClient { argument: u32::MAX, level: 0, ..FromClient::new(unknown).with_text(b"kind") });
        }
        self.check(0, 0);
    }

    /// What only the terminal's owner may do has no effect.
    fn not_the_owner(&mut self) {
        self.send(part(FLAG_FIRST | FLAG_LAST | FLAG_OUTPUT, b"not an answer"));
        self.check(1, 0);
        assert!(self.plain.pop().expect("a session").is_none(), "only the owner is answered");
    }

    fn told_of_drops(&mut self) {
        self.send(FromClient { dropped: 3, ..FromClient::new(kind::DROPPED) });
        self.send(FromClient { dropped: u32::MAX, ..part(FLAG_FIRST | FLAG_LAST, b"after many") });
        self.check(1, 3 + u64::from(u32::MAX));
    }
}
