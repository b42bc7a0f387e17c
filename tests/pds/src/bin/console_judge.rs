//! Owns the terminal while another client floods the console: keys must come through, and a third client's lines too, and
//! the console must count what is lost.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use protocols::console::{ClientStatus, FromClient, FromConsole, Lines, Outbox, PROTOCOL, VERSION, kind};
use ring::Link;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::{shared, verdict};
use zerocopy::FromBytes;

const TALKER: Channel = Channel::new(20);
const TYPED_LINES: u64 = 5;
/// Names the question in its answer.
const QUESTION: u32 = 1;
/// Lines of the flooder that must be printed, and that must be dropped.
const ENOUGH_LINES: u64 = 500;

struct Judge {
    console: Link<FromClient, FromConsole>,
    lines: Lines,
    typed: heapless::String<80>,
    typed_lines: u64,
    /// Of judge, flooder and talker.
    statuses: [ClientStatus; 3],
}

#[protection_domain]
fn init() -> Judge {
    verdict::become_judge();
    let console = ring::link!(console: FromClient, FromConsole, PROTOCOL, VERSION).expect("a link").expect("a console");
    let mut judge = Judge {
        console,
        lines: Lines::new(),
        typed: heapless::String::new(),
        typed_lines: 0,
        statuses: Default::default(),
    };
    judge.lines.output(&mut judge.console, format_args!("ready"));
    judge.work();
    judge
}

impl Judge {
    fn work(&mut self) {
        self.console.poll().expect("a console that behaves");
        while let Some(entry) = self.console.pop().expect("a session") {
            match entry.kind {
                kind::INPUT => entry.text().iter().for_each(|byte| self.key(*byte)),
                kind::STATUS => self.status(&entry),
                kind::DONE if entry.argument == QUESTION => self.answered(),
                kind::DONE => verdict::exit(verdict::PASS_CODE),
                other => panic!("an entry of kind {other}"),
            }
        }
    }

    fn key(&mut self, byte: u8) {
        if byte != b'\n' {
            self.typed.push(char::from(byte)).expect("short lines are typed");
            return;
        }
        self.typed_lines += 1;
        self.lines.output(&mut self.console, format_args!("typed {}: {}", self.typed_lines, self.typed));
        self.typed.clear();
        if self.typed_lines <= TYPED_LINES {
            TALKER.notify();
        } else {
            Outbox::push(&mut self.console, FromClient::new(kind::QUERY).with_argument(QUESTION));
        }
    }

    fn status(&mut self, entry: &FromConsole) {
        let (status, _) = ClientStatus::read_from_prefix(entry.text()).expect("a status");
        self.statuses[entry.argument as usize] = status;
    }

    /// Ends the test well, or asks again while there was not enough of a flood: how fast it comes is the host's matter.
    fn answered(&mut self) {
        let [own, flooder, talker] = self.statuses;
        assert_eq!((own.printed, own.dropped), (TYPED_LINES + 2, 0));
        assert_eq!((talker.printed, talker.dropped), (TYPED_LINES, 0));
        let made = shared()[0].load(Ordering::Relaxed);
        assert!(flooder.printed + flooder.dropped <= made, "more than the {made} lines that were made");
        if flooder.printed < ENOUGH_LINES || flooder.dropped < ENOUGH_LINES {
            return Outbox::push(&mut self.console, FromClient::new(kind::QUERY).with_argument(QUESTION));
        }
        let ClientStatus { printed, dropped, .. } = flooder;
        self.lines.output(&mut self.console, format_args!("{made} lines made, {printed} printed, {dropped} dropped"));
        self.lines.output(&mut self.console, format_args!("PASS"));
        Outbox::push(&mut self.console, FromClient::new(kind::FLUSH).with_argument(QUESTION + 1));
    }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.work();
        Ok(())
    }
}
