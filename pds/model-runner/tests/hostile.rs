//! Clients that ask anything and write anything into their rings: the runner comes to rest, and an engine sees only jobs
//! whose tensors lie inside their region, apart from each other.

#[path = "hostile/drive.rs"]
mod drive;

use drive::{EVENT_BYTES, drive};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_clients_say_the_runner_stands(
        events in prop::collection::vec(prop::array::uniform32(any::<[u8; EVENT_BYTES / 32]>()), 1..200),
    ) {
        drive(events.as_flattened().as_flattened());
    }

    #[test]
    fn nearly_right_requests_too(
        events in prop::collection::vec((any::<[u8; 32]>(), any::<[u8; 32]>()), 1..200),
    ) {
        let bytes: Vec<u8> = events.iter().flat_map(|(first, second)| {
            let mut event = [*first, *second].concat();
            event[0] |= 0xc4;
            event
        }).collect();
        drive(&bytes);
    }
}
