//! The disk behind a link: drivers that restart, reset their device, lie, or say nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use protocols::block::{Info, PROTOCOL, Reply, Request, VERSION, code, kind};
use ring::{Link, Words, region_bytes};
use storage::DiskError;
use storage::block_client::{BlockClient, Wait};
use storage::sectors::Sectors;

type Driver = Link<Reply, Request, fn()>;

/// What the driver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Answer(u32),
    /// An answer to something else first.
    AnswerAnother,
    Restart,
    Nothing,
}

/// The driver's side. It acts when the client waits.
struct Peer {
    link: Option<Driver>,
    own: Words,
    peer: Words,
    deeds: Vec<Deed>,
    disk: Vec<u8>,
    data: &'static [AtomicU8],
    patience: usize,
    asked: usize,
}

impl Peer {
    fn act(&mut self) {
        if self.link.is_none() {
            let link = Driver::open(self.own.clone(), self.peer.clone(), quiet, PROTOCOL, VERSION);
            self.link = Some(link.unwrap());
        }
        let Some(link) = &mut self.link else { return };
        let _ = link.poll();
        let Ok(Some(request)) = link.pop() else { return };
        self.asked += 1;
        let deed = if self.deeds.is_empty() { Deed::Answer(code::DONE) } else { self.deeds.remove(0) };
        match deed {
            Deed::Nothing => {}
            Deed::Restart => self.link = None,
            Deed::Answer(code) => self.answer(&request, code),
            Deed::AnswerAnother => {
                self.answer(&Request { id: request.id.wrapping_sub(7), ..request }, code::IO_ERROR);
                self.answer(&request, code::DONE);
            }
        }
    }

    fn answer(&mut self, request: &Request, code: u32) {
        let mut reply = Reply::new(request, code);
        let (at, span) = (request.sector as usize * 512, request.buffer.range());
        if code == code::DONE {
            match request.kind {
                kind::INFO => reply.info = Info { sectors: (self.disk.len() / 512) as u64, ..Info::default() },
                kind::READ => {
                    for (index, byte) in self.data[span].iter().enumerate() {
                        byte.store(self.disk[at + index], Ordering::Relaxed);
                    }
                }
                kind::WRITE => {
                    for (index, byte) in self.data[span].iter().enumerate() {
                        self.disk[at + index] = byte.load(Ordering::Relaxed);
                    }
                }
                _ => {}
            }
        }
        let _ = self.link.as_mut().unwrap().push(&reply);
    }
}

/// Time goes by only in waits.
struct Turns(Rc<RefCell<Peer>>);

impl Wait for Turns {
    fn begin(&mut self) {
        self.0.borrow_mut().patience = 5;
    }

    fn wait(&mut self) -> bool {
        let mut peer = self.0.borrow_mut();
        peer.act();
        peer.patience = peer.patience.saturating_sub(1);
        peer.patience > 0
    }
}

fn quiet() {}

fn scene(deeds: &[Deed]) -> (BlockClient<'static, fn(), Turns>, Rc<RefCell<Peer>>) {
    let words = || {
        let bytes = region_bytes(8, 64);
        Words::from_static((0..bytes / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
    };
    let (own, other) = (words(), words());
    let data: &'static [AtomicU8] = (0..2048).map(|_| AtomicU8::new(0)).collect::<Vec<_>>().leak();
    let link = Link::open(other.clone(), own.clone(), quiet as fn(), PROTOCOL, VERSION).unwrap();
    let peer = Rc::new(RefCell::new(Peer {
        link: None,
        own,
        peer: other,
        deeds: deeds.to_vec(),
        disk: (0..64 * 512).map(|at| (at / 512) as u8).collect(),
        data,
        patience: 0,
        asked: 0,
    }));
    (BlockClient::new(link, data, Turns(peer.clone())), peer)
}

#[test]
fn sectors_go_both_ways_in_pieces() {
    let (mut disk, peer) = scene(&[]);
    assert_eq!(disk.facts().unwrap().sectors, 64);
    let mut bytes = vec![0; 10 * 512];
    disk.read(3, &mut bytes).unwrap();
    assert!(bytes.chunks(512).enumerate().all(|(at, sector)| sector == [at as u8 + 3; 512]));
    disk.write(50, &[0xab; 5 * 512]).unwrap();
    disk.flush().unwrap();
    assert_eq!(peer.borrow().disk[50 * 512..55 * 512], [0xab; 5 * 512]);
    // The region holds four sectors; facts are asked for once.
    assert_eq!(peer.borrow().asked, 1 + 3 + 2 + 1);
    assert_eq!(disk.facts().unwrap().sectors, 64);
    assert_eq!(disk.again(), 0);
}

#[test]
fn what_a_restart_or_a_reset_lost_is_asked_again() {
    for deed in [Deed::Restart, Deed::Answer(code::TIMED_OUT), Deed::Answer(code::BUSY)] {
        let (mut disk, _) = scene(&[Deed::Answer(code::DONE), deed, deed, Deed::AnswerAnother]);
        disk.facts().unwrap();
        disk.write(7, &[9; 512]).unwrap();
        assert_eq!(disk.again(), 2, "{deed:?}");
        let mut bytes = [0; 512];
        disk.read(7, &mut bytes).unwrap();
        assert_eq!(bytes, [9; 512]);
    }
}

#[test]
fn errors_are_not_asked_again() {
    for (code, expected) in [
        (code::IO_ERROR, DiskError::Failed),
        (code::NO_DEVICE, DiskError::NoDisk),
        (code::READ_ONLY, DiskError::ReadOnly),
        (code::OUT_OF_RANGE, DiskError::OutOfRange),
        (code::BAD_REQUEST, DiskError::Failed),
        (99, DiskError::Failed),
    ] {
        let (mut disk, peer) = scene(&[Deed::Answer(code)]);
        assert_eq!(disk.read(0, &mut [0; 512]), Err(expected));
        assert_eq!(peer.borrow().asked, 1);
    }
}

#[test]
fn a_driver_that_never_stops_restarting_is_given_up() {
    let (mut disk, peer) = scene(&[Deed::Restart; 100]);
    assert_eq!(disk.read(0, &mut [0; 512]), Err(DiskError::TimedOut));
    assert_eq!(peer.borrow().asked, 4);
}

#[test]
fn a_silent_driver_costs_one_wait_until_it_restarts() {
    let (mut disk, peer) = scene(&[Deed::Nothing]);
    assert_eq!(disk.read(0, &mut [0; 512]), Err(DiskError::TimedOut));
    for _ in 0..10 {
        assert_eq!(disk.read(0, &mut [0; 512]), Err(DiskError::TimedOut));
    }
    assert_eq!(peer.borrow().asked, 1, "nobody waits for it again");
    peer.borrow_mut().link = None;
    peer.borrow_mut().act();
    disk.read(1, &mut [0; 512]).unwrap();
}
