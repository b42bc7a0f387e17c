//! The driver restarts, between calls and within any of them.

use super::device::World;

#[test]
fn timers_survive_a_restart_between_calls() {
    let world = World::new();
    let mut client = world.caller(20);
    client.set_after(1, 1_000_000).unwrap();
    client.set_every(2, 1_000_000).unwrap();
    client.set_after(3, 500_000).unwrap();
    world.pass(600_000);
    // Timer 3 has expired, and its client does not know yet.
    world.restart();
    assert!(world.take_notified(20), "whoever has timers must look");
    assert_eq!(client.take_expired().unwrap().iter().collect::<Vec<_>>(), [(3, 1)]);
    world.pass(500_000);
    assert_eq!(client.take_expired().unwrap().iter().collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    world.restart();
    world.pass(5_000_000);
    assert_eq!(client.take_expired().unwrap().iter().collect::<Vec<_>>(), [(2, 5)]);
}

#[test]
fn a_restart_within_any_call_loses_no_expiry() {
    for crash in 0..12 {
        let world = World::new();
        let mut client = world.caller(20);
        let mut counts = [0; 4];
        world.crash_in.set(Some(crash));
        let start = client.now_ns().unwrap();
        client.set_at(1, start + 1_000_000).unwrap();
        client.set_every(2, 1_000_000).unwrap();
        client.set_at(3, start + 2_000_000).unwrap();
        assert_eq!(client.cancel(3), Ok(true));
        for _ in 0..6 {
            world.pass(1_000_000);
            for (id, count) in client.take_expired().unwrap().iter() {
                counts[id] += count;
            }
        }
        assert_eq!(counts, [0, 1, 6, 0], "restart within call {crash}");
    }
}
