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
    // Sends that would be silent, with labels of thread, scheduling and page invocations.
    for capability in (0..512u64).chain((1..64).map(|slot| slot << 58)).filter(|number| !matches!(number, 2 | 10)) {
        for label in [2u64, 3, 12, 13, 27, 34, 35, 41] {
            raw::system_call(NB_SEND, capability, label << 12);
        }
    }
    info!(app, "nothing has happened");
    raw::system_call(CALL, 202, 12 << 12);
    info!(app, "FAIL: it called a child's thread");
}
