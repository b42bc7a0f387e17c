//! Client and parent of the UART driver: takes more input than anything in between can hold, sends more output, and
//! restarts the driver in the middle of it.
#![no_std]
#![no_main]

use protocols::uart::{CHUNK, PROTOCOL, Received, Transmit, VERSION};
use ring::Link;
use sel4_microkit::{Child, ENTRY, NullHandler, counters, protection_domain};
use test_pds::{TICKS_PER_MS, raw, verdict};

const DRIVER: Child = Child::new(0);
/// What is typed, again and again.
const PATTERN: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz-";
const TYPED_BYTES: usize = 400 * PATTERN.len();
const LINES: usize = 2000;

struct Judge {
    link: Link<Transmit, Received>,
    /// Sessions that began.
    sessions: usize,
}

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let link = ring::link!(uart: Transmit, Received, PROTOCOL, VERSION).expect("a link").expect("the UART is wired");
    let mut judge = Judge { link, sessions: 0 };
    judge.join();
    while judge.sessions == 0 {
        judge.wait();
    }
    judge.send(b"ready\r\n");
    // All that is typed meanwhile fills the ring, then the device, then what is behind it.
    let start = counters::rdtime();
    while counters::rdtime() - start < 50 * TICKS_PER_MS {}
    judge.take_typed(TYPED_BYTES);
    (0..LINES).for_each(|line| judge.send_line(b"line ", line));
    judge.restart();
    judge.send(b"again\r\n");
    judge.take_typed(PATTERN.len());
    // A driver that is restarted between any two entries sends on; what it had taken may be lost, no more.
    for line in 0..20 {
        judge.restart();
        judge.send_line(b"restart ", line);
    }
    judge.flush();
    verdict::pass()
}

impl Judge {
    fn wait(&mut self) {
        let channel = self.link.notifier().channel();
        assert_eq!(raw::wait_input(), 1 << channel, "something else than the driver's notification");
        self.join();
    }

    fn join(&mut self) {
        self.sessions += usize::from(self.link.poll().expect("a link"));
    }

    fn restart(&mut self) {
        self.flush();
        let before = self.sessions;
        DRIVER.restart(ENTRY).expect("a child");
        while self.sessions == before {
            self.wait();
        }
    }

    /// Waits until the driver has taken everything.
    fn flush(&mut self) {
        while !self.link.reserve(self.link.capacity()).expect("a session") {
            self.wait();
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(CHUNK) {
            while !self.link.reserve(1).expect("a session") {
                self.wait();
            }
            self.link.push(&Transmit::new(chunk)).expect("there is room");
        }
    }

    fn send_line(&mut self, word: &[u8], number: usize) {
        let digits = [1000, 100, 10, 1].map(|unit| b'0' + (number / unit % 10) as u8);
        self.send(word);
        self.send(&digits);
        self.send(b"\r\n");
    }

    /// Takes so many bytes, which must be the pattern without gap or error, then nothing.
    fn take_typed(&mut self, bytes: usize) {
        let mut typed = PATTERN.iter().cycle();
        let mut left = bytes;
        while left > 0 {
            let Some(entry) = self.link.pop().expect("a session") else {
                self.wait();
                continue;
            };
            assert_eq!((entry.errors, entry.error_count), (0, 0), "errors on the line");
            for byte in entry.data() {
                assert_eq!(Some(byte), typed.next(), "{} bytes before the end", left);
                left = left.checked_sub(1).expect("no more than was typed");
            }
        }
        assert!(self.link.pop().expect("a session").is_none());
    }
}
