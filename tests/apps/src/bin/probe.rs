//! Tries capabilities that it should not have; the first that it has not is its end.
#![no_std]
#![no_main]

use sdk::{App, info};
use test_apps::raw;

sdk::main!(main);

fn main(app: &mut App) {
    info!(app, "probes");
    const NB_SEND: i64 = -6;
    const CALL: i64 = -1;
    const RECEIVE: i64 = -7;
    const SUSPEND: u64 = 12;
    // Sends that would be silent, with labels of thread, scheduling and page invocations.
    for capability in (0..512u64).chain((1..64).map(|slot| slot << 58)).filter(|number| !matches!(number, 2 | 10)) {
        for label in [2u64, 3, SUSPEND, 13, 27, 34, 35, 41] {
            raw::system_call(NB_SEND, capability, label << 12);
        }
    }
    // The first child's thread, if there were one: an error and nothing else.
    if raw::system_call(CALL, 202, SUSPEND << 12) >> 12 == 0 {
        info!(app, "FAIL: it stopped a thread");
    }
    info!(app, "nothing has happened");
    raw::system_call(RECEIVE, 202, 0);
    info!(app, "FAIL: it received");
}
