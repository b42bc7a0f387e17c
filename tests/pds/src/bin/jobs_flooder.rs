//! A client of the model runner that wants everything: word 0 of the shared page says what. 1: as many jobs as it may have, at
//! the highest priority, at all times. 2: nonsense in its side of the ring. Word 1 has the number of the digits model.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use protocols::model::{self, MAX_PRIORITY, Reply, Request};
use ring::{Link, Span};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use test_pds::shared;

const RUNNER: Channel = Channel::new(0);
/// Bytes of an input and an output of the model, each in a part of the region of its own.
const PART: u32 = 96;

struct Flooder {
    link: Link<Request, Reply>,
    next: u32,
}

#[protection_domain]
fn init() -> Flooder {
    let link = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION);
    let mut link = link.expect("a link").expect("the link is wired");
    let _ = link.poll();
    let _ = (var!(models_data: usize = 0), var!(models_data_size: usize = 0));
    Flooder { link, next: 0 }
}

impl Handler for Flooder {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        let _ = self.link.poll();
        while let Ok(Some(_)) = self.link.pop() {}
        match shared()[0].load(Ordering::Relaxed) {
            1 => self.flood(),
            2 => scribble(),
            _ => {}
        }
        Ok(())
    }
}

impl Flooder {
    /// Submits until the ring is full: what is too much is refused, and the refusals wake this program again.
    fn flood(&mut self) {
        let model = shared()[1].load(Ordering::Relaxed) as u32;
        for _ in 0..8 {
            let start = self.next % 32 * PART;
            let (input, output) = (Span { offset: start, bytes: 64 }, Span { offset: start + 64, bytes: 10 });
            let request = Request::submit(self.next, model, input, output, 0);
            if self.link.push(&Request { priority: MAX_PRIORITY, ..request }).is_err() {
                return;
            }
            self.next += 1;
        }
    }
}

/// Fills the own side of the ring, its indices first, with numbers of a kind that word 2 of the shared page says.
fn scribble() {
    let page = memory_region_symbol!(scribble: *mut [AtomicU64], n = 1024);
    // SAFETY: the composer maps the region there; it is used by atomic words only, here and in the ring.
    let words = unsafe { page.as_ref() };
    let round = shared()[2].load(Ordering::Relaxed);
    let mut random = 88_172_645_463_325_252u64.wrapping_add(round);
    for word in words {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let value = match round % 5 {
            0 => random,
            1 => u64::MAX,
            2 => random % 64,
            3 => word.load(Ordering::Relaxed) ^ 1 << (random % 64),
            _ => 0,
        };
        word.store(value, Ordering::Relaxed);
    }
    RUNNER.notify();
}
