//! The disk behind a link: the client's side of `protocols::block`.
//!
//! A request to the driver is waited for, since nothing else can be done on the disk meanwhile; the wait ends by the driver's
//! reply, by its restart, or in bounded time. What is lost with a driver that restarts, or with a device that had to be reset, is
//! sent again: reading, writing and flushing the same twice changes nothing.

use core::sync::atomic::{AtomicU8, Ordering};

use protocols::block::{Info, MAX_SECTORS, Reply, Request, code, kind};
use ring::{Link, Notify, Span};

use crate::error::DiskError;
use crate::sectors::{Facts, SECTOR, Sectors};

/// How often a request is sent, at most.
const TRIES: usize = 4;

/// Waits for notifications.
pub trait Wait {
    /// A new wait begins.
    fn begin(&mut self);
    /// Waits until there may be something new. False if the wait that began has lasted long enough.
    fn wait(&mut self) -> bool;
}

/// A link to a disk's driver, and the region that the device reads and writes.
#[derive(Debug)]
pub struct BlockClient<'a, N, W> {
    link: Link<Request, Reply, N>,
    data: &'a [AtomicU8],
    wait: W,
    /// What the disk is, once it is known.
    info: Option<Info>,
    number: u32,
    /// The driver did not answer in this session of the link.
    silent: bool,
    /// Requests that were sent again.
    again: u64,
}

/// Why there is no reply.
enum NoReply {
    /// The driver restarted.
    Restarted,
    /// It does not answer.
    Silent,
}

impl<'a, N: Notify, W: Wait> BlockClient<'a, N, W> {
    /// A client that has not spoken with the driver yet.
    pub fn new(link: Link<Request, Reply, N>, data: &'a [AtomicU8], wait: W) -> Self {
        Self { link, data, wait, info: None, number: 0, silent: false, again: 0 }
    }

    /// How many requests were sent again, because the driver restarted or the device had to be reset.
    pub fn again(&self) -> u64 {
        self.again
    }

    /// One request, and its reply.
    fn ask(&mut self, kind: u32, sector: u64, bytes: usize) -> Result<Reply, DiskError> {
        let mut result = Err(DiskError::TimedOut);
        for attempt in 0..TRIES {
            self.again += u64::from(attempt > 0);
            match self.ask_once(kind, sector, bytes) {
                Ok(reply) => match reply.code {
                    code::DONE => return Ok(reply),
                    code::NO_DEVICE => return Err(DiskError::NoDisk),
                    code::READ_ONLY => return Err(DiskError::ReadOnly),
                    code::OUT_OF_RANGE => return Err(DiskError::OutOfRange),
                    code::TIMED_OUT | code::BUSY => result = Err(DiskError::TimedOut),
                    _ => return Err(DiskError::Failed),
                },
                Err(NoReply::Restarted) => result = Err(DiskError::TimedOut),
                Err(NoReply::Silent) => return Err(DiskError::TimedOut),
            }
        }
        result
    }

    fn ask_once(&mut self, kind: u32, sector: u64, bytes: usize) -> Result<Reply, NoReply> {
        self.number = self.number.wrapping_add(1);
        let buffer = Span { offset: 0, bytes: bytes as u32 };
        let request = Request { kind, id: self.number, sector, buffer };
        self.wait.begin();
        let mut sent = false;
        loop {
            // A driver that came up for the first time has the request that was left for it; one that came up anew has not.
            let first = self.link.counters().sessions == 0;
            match self.link.poll() {
                Ok(false) => {}
                Ok(true) => {
                    (self.silent, self.info) = (false, None);
                    if sent && !first {
                        return Err(NoReply::Restarted);
                    }
                }
                Err(_) => return Err(NoReply::Silent),
            }
            if self.silent {
                return Err(NoReply::Silent);
            }
            if !sent {
                sent = self.link.push(&request).is_ok();
            }
            // Replies to requests that were given up are still on their way.
            while let Ok(Some(reply)) = self.link.pop() {
                if reply.id == request.id {
                    return Ok(reply);
                }
            }
            if !self.wait.wait() {
                // Whatever it still does with the region, it does to a request of this session.
                self.silent = true;
                return Err(NoReply::Silent);
            }
        }
    }

    fn piece(&self) -> usize {
        (self.data.len() / SECTOR).clamp(1, MAX_SECTORS) * SECTOR
    }
}

impl<N: Notify, W: Wait> Sectors for BlockClient<'_, N, W> {
    fn facts(&mut self) -> Result<Facts, DiskError> {
        // A driver that restarts may find another disk.
        let info = match self.info {
            Some(info) if self.link.is_connected() => info,
            _ => {
                let info = self.ask(kind::INFO, 0, 0)?.info;
                self.info = Some(info);
                info
            }
        };
        Ok(Facts { sectors: info.sectors, read_only: info.read_only != 0 })
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let piece = self.piece();
        for (index, into) in into.chunks_mut(piece).enumerate() {
            self.ask(kind::READ, sector + (index * piece / SECTOR) as u64, into.len())?;
            for (to, byte) in into.iter_mut().zip(self.data) {
                *to = byte.load(Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        let piece = self.piece();
        for (index, from) in from.chunks(piece).enumerate() {
            for (byte, to) in from.iter().zip(self.data) {
                to.store(*byte, Ordering::Relaxed);
            }
            self.ask(kind::WRITE, sector + (index * piece / SECTOR) as u64, from.len())?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.ask(kind::FLUSH, 0, 0).map(|_| ())
    }
}
