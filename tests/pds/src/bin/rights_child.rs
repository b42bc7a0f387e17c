//! Tries to receive from the endpoint of its server, from its parent's, and from its server's notification.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::raw::{self, Call, number};
use test_pds::shared;

const SERVER_ENDPOINT: u64 = 74;
const FAULT_ENDPOINT: u64 = 2;
const SERVER_NOTIFICATION: u64 = 10;
const REPLY: u64 = 4;

#[protection_domain]
fn init() -> NullHandler {
    let pointers = [SERVER_ENDPOINT, FAULT_ENDPOINT, SERVER_NOTIFICATION];
    let calls = [number::RECV, number::NB_RECV, number::WAIT, number::NB_WAIT, number::REPLY_RECV];
    let index = shared()[0].load(Ordering::Relaxed) as usize;
    let pointer = *pointers.get(index / calls.len()).expect("the last try is behind");
    shared()[1].store(pointer, Ordering::Relaxed);
    // SAFETY: no reference to the message registers exists.
    unsafe { raw::syscall(calls[index % calls.len()], Call { a: [pointer, 0, 0, 0, 0, 0, REPLY], t0: 0 }) };
    NullHandler::new()
}
