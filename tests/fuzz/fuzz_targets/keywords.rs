//! The keyword spotter between an audio driver and a model runner that say anything, by rings whose memory is theirs to spoil.
#![no_main]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use keywords::{History, Machine, REGION_BYTES, Spotter, Words};
use libfuzzer_sys::fuzz_target;
use protocols::{audio, model};
use ring::{Link, region_bytes};

struct Clock(u64);

impl Machine for Clock {
    fn now_ns(&mut self) -> Option<u64> {
        Some(self.0)
    }
    fn instructions(&self) -> u64 {
        self.0
    }
}

const SILENT: fn() = || {};

/// Memory of a region, which is not given back: a link keeps it for ever.
fn memory(entry_bytes: usize) -> &'static [AtomicU64] {
    (0..region_bytes(4, entry_bytes) / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
}

fuzz_target!(|bytes: &[u8]| {
    let data: &'static [AtomicU8] = (0..REGION_BYTES).map(|_| AtomicU8::new(0)).collect::<Vec<_>>().leak();
    let words = Words::parse(b"yes\nno\n(silence)\n").expect("three words");
    let mut spotter = Spotter::new(words, History::new(data).expect("enough memory"));
    let (sound, replies) = (memory(size_of::<audio::Block>()), memory(size_of::<model::Reply>()));
    let own = |entry_bytes| ring::Words::from_static(memory(entry_bytes));
    let peer = ring::Words::from_static;
    let mut listening: Link<audio::Request, audio::Block, _> =
        Link::open(own(size_of::<audio::Request>()), peer(sound), SILENT, audio::PROTOCOL, audio::VERSION)
            .expect("regions of that size");
    let mut asking: Link<model::Request, model::Reply, _> =
        Link::open(own(size_of::<model::Request>()), peer(replies), SILENT, model::PROTOCOL, model::VERSION)
            .expect("regions of that size");
    let mut clock = Clock(0);
    // Each step spoils a word of one of the regions, then the spotter has a turn.
    for step in bytes.chunks_exact(11) {
        let region = if step[0] & 1 == 0 { sound } else { replies };
        let at = usize::from(u16::from_le_bytes([step[1], step[2]]));
        let word = u64::from_le_bytes([step[3], step[4], step[5], step[6], step[7], step[8], step[9], step[10]]);
        region[at % region.len()].store(word, Ordering::Relaxed);
        clock.0 = clock.0.wrapping_add(word);
        spotter.listen(&mut listening, &mut clock);
        spotter.ask(&mut asking, &mut clock);
        assert!(spotter.recent().count() <= protocols::keywords::RECENT);
    }
});
