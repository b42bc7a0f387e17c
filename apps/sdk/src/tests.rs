//! Calls against an app manager that answers from a script.

use super::*;
use app_abi::info::padded;
use app_abi::ring::{CONSUMED, ENTRY_BYTES, PRODUCED, Request, slot_at};
use app_abi::status;
use core::sync::atomic::{AtomicU64, Ordering};
use std::cell::RefCell;
use zerocopy::{FromBytes, IntoBytes};

type Page = &'static [AtomicU64];
/// What the app manager answers to a request.
type Script = fn(&Request) -> std::vec::Vec<Reply>;

thread_local! {
    static PEER: RefCell<Option<(Page, Page, Script)>> = const { RefCell::new(None) };
}

fn page() -> Page {
    (0..512).map(|_| AtomicU64::new(0)).collect::<std::vec::Vec<_>>().leak()
}

fn serve() {
    PEER.with_borrow(|peer| {
        let (requests, replies, script) = peer.expect("an app");
        while replies[CONSUMED].load(Ordering::Relaxed) != requests[PRODUCED].load(Ordering::Relaxed) {
            let number = replies[CONSUMED].load(Ordering::Relaxed);
            let words = &requests[slot_at(number) / 8..][..ENTRY_BYTES / 8];
            let bytes: std::vec::Vec<u8> = words.iter().flat_map(|w| w.load(Ordering::Relaxed).to_ne_bytes()).collect();
            replies[CONSUMED].store(number + 1, Ordering::Relaxed);
            for reply in script(&Request::read_from_bytes(&bytes).unwrap()) {
                let put = replies[PRODUCED].load(Ordering::Relaxed);
                let slot = &replies[slot_at(put) / 8..];
                for (word, bytes) in slot.iter().zip(reply.as_bytes().chunks(8)) {
                    word.store(u64::from_ne_bytes(bytes.try_into().unwrap()), Ordering::Relaxed);
                }
                replies[PRODUCED].store(put + 1, Ordering::Relaxed);
            }
        }
    });
}

fn app(script: Script) -> App {
    let (requests, replies) = (page(), page());
    PEER.set(Some((requests, replies, script)));
    let info: &'static mut Info = Box::leak(Box::new(Info::read_from_bytes(&[0; size_of::<Info>()]).unwrap()));
    info.name = padded("test");
    info.models[1] = padded("digits");
    info.timebase_hz = 10;
    info.permissions = Permissions::NONE.with(Permission::Kv).bits();
    App::new(Port::new(requests, replies, info, serve, || panic!("it would wait for ever"), || 25))
}

fn done(request: &Request, values: [u64; 2]) -> Reply {
    Reply::new(request.call, request.token, status::OK, values)
}

#[test]
fn what_the_page_says() {
    let app = app(|_| vec![]);
    assert_eq!((app.name(), app.now_ns(), app.model("digits"), app.model("")), ("test", 2_500_000_000, Some(1), None));
    assert!(app.may(Permission::Kv) && !app.may(Permission::Log));
}

#[test]
fn events_before_a_reply_are_kept() {
    let mut app = app(|request| {
        let timer = Reply::new(event::TIMER, 0, status::OK, [3, 2]);
        vec![timer, done(request, [0, 0]), Reply::new(event::STOP, 0, status::OK, [])]
    });
    app.set_timer(3, 10).unwrap();
    assert_eq!(app.wait(), Event::Timer { id: 3, times: 2 });
    assert_eq!(app.wait(), Event::Stop);
    assert_eq!(app.poll(), None);
}

#[test]
fn a_cancelled_timer_is_not_told_of() {
    let mut app = app(|request| match request.call {
        call::TIMER_SET => vec![done(request, [0, 0]), Reply::new(event::TIMER, 0, status::OK, [1, 1])],
        _ => vec![done(request, [0, 0])],
    });
    app.set_periodic(1, 1_000_000).unwrap();
    assert_eq!(app.cancel_timer(1), Ok(true));
    assert_eq!((app.poll(), app.cancel_timer(1)), (None, Ok(false)));
    assert_eq!(app.set_periodic(1, 0), Err(Error::BadArgument));
}

#[test]
fn errors_come_as_they_are() {
    let mut app = app(|request| vec![Reply::new(request.call, request.token, status::NOT_PERMITTED, [])]);
    assert_eq!(app.log(Level::Info, format_args!("x")), Err(Error::NotPermitted));
    assert_eq!(app.kv_read("key", &mut [0; 4]), Err(Error::NotPermitted));
    let job = app.submit(0, 0, 64, 0).unwrap();
    assert_eq!(app.wait(), Event::Job { job, outcome: Err(Error::NotPermitted) });
}

#[test]
fn a_thousand_calls_go_round_the_rings() {
    let mut app = app(|request| vec![done(request, [request.arguments[0] * 2, 7])]);
    for number in 0..1000 {
        let [first, second, ..] = app.ask(call::EXIT, [number]).unwrap();
        assert_eq!((first, second), (number * 2, 7));
    }
}

#[test]
fn a_full_ring_is_busy() {
    let mut app = app(|_| vec![]);
    PEER.with_borrow_mut(|peer| peer.as_mut().unwrap().2 = |_| unreachable!());
    app.port = Port::new(page(), page(), app.port.info(), || {}, || {}, || 0);
    for _ in 0..app_abi::ring::SLOTS {
        app.submit(0, 0, 0, 0).unwrap();
    }
    assert_eq!(app.submit(0, 0, 0, 0), Err(Error::Busy));
}
