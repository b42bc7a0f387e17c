//! What the driver is to its client: the requests of `protocols::block`.

use protocols::block::{Info, MAX_REQUESTS, MAX_SECTORS, Reply, Request, SECTOR_BYTES, code, kind};
use ring::{Link, LinkError, Notify, PushError};

use crate::disk::{Disk, Operation, StartError};
use crate::queue::SLOTS;
use crate::registers::Registers;

const _: () = assert!(SLOTS == MAX_REQUESTS);

/// How long the device may take for a request, in nanoseconds; at most twice as long goes by before it is reset.
pub const PATIENCE_NS: u64 = 5_000_000_000;

/// The data region, as client and device share it.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Where it lies for the device.
    pub address: u64,
    /// Its length.
    pub bytes: usize,
}

/// A request that the device has.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    request: Request,
    /// It was there when patience ran out the last time.
    overdue: bool,
}

/// The driver.
#[derive(Debug)]
pub struct Driver<'a, R, N> {
    disk: Disk<'a, R>,
    started: Result<(), StartError>,
    client: Link<Reply, Request, N>,
    region: Region,
    slots: [Option<UnderWay>; SLOTS],
    answered: u64,
    failed: u64,
    resets: u64,
}

impl<'a, R: Registers, N: Notify> Driver<'a, R, N> {
    /// Resets the device, whatever it was doing for an earlier life of this driver, and takes it over.
    pub fn new(mut disk: Disk<'a, R>, client: Link<Reply, Request, N>, region: Region) -> Self {
        let started = disk.start().map(|_| ());
        Self { disk, started, client, region, slots: [None; SLOTS], answered: 0, failed: 0, resets: 0 }
    }

    /// Whether the device could be started, and if not, why.
    pub fn started(&self) -> Result<(), StartError> {
        self.started
    }

    /// Requests that the device has.
    pub fn under_way(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// The device interrupted.
    pub fn interrupt(&mut self) {
        self.disk.acknowledge();
        self.turn();
    }

    /// Answers what the device has done, and gives it what the client asks for, as far as both can take it.
    pub fn turn(&mut self) {
        self.complete();
        if let Err(_misbehaved) = self.serve() {
            self.forget_client();
        }
    }

    /// [`PATIENCE_NS`] went by since the device had nothing to do, or since this was called.
    pub fn patience_ran_out(&mut self) {
        // An interrupt may have been lost; what is done is done.
        self.complete();
        if self.slots.iter().flatten().any(|under_way| under_way.overdue) {
            self.reset(code::TIMED_OUT);
        }
        self.slots.iter_mut().flatten().for_each(|under_way| under_way.overdue = true);
        self.turn();
    }

    /// The client began anew, or makes no sense. Its memory must not change under its next life, so that the device is reset
    /// if it still has requests.
    fn forget_client(&mut self) {
        if self.under_way() > 0 {
            self.slots = [None; SLOTS];
            self.restart();
        }
    }

    fn serve(&mut self) -> Result<(), LinkError> {
        if self.client.poll()? {
            self.forget_client();
        }
        // A request is taken only if there is room for all replies that are due. The client, below the driver in priority,
        // takes none of them meanwhile, so this ends by one of its returns, which ask for a notification.
        for _ in 0..=self.client.capacity() {
            if !self.client.reserve(self.under_way() + 1)? {
                return Ok(());
            }
            let Some(request) = self.client.pop()? else { return Ok(()) };
            if let Err(code) = self.take(&request) {
                self.answer(&request, code);
            }
        }
        Ok(())
    }

    /// Gives a request to the device, or says why not.
    fn take(&mut self, request: &Request) -> Result<(), u32> {
        if request.kind == kind::INFO && self.started.is_err() {
            // A disk may have been attached meanwhile.
            self.started = self.disk.start().map(|_| ());
        }
        if !matches!(request.kind, kind::READ | kind::WRITE | kind::FLUSH | kind::INFO) {
            return Err(code::BAD_REQUEST);
        }
        if self.started.is_err() {
            return Err(code::NO_DEVICE);
        }
        let facts = self.disk.facts();
        let operation = match request.kind {
            kind::INFO => return Err(code::DONE),
            // Without a cache all is durable already.
            kind::FLUSH if !facts.has_cache => return Err(code::DONE),
            kind::FLUSH => Operation::Flush,
            kind::WRITE if facts.read_only => return Err(code::READ_ONLY),
            _ => {
                let (address, bytes) = self.place(request, facts.sectors)?;
                let sector = request.sector;
                if request.kind == kind::READ {
                    Operation::Read { sector, address, bytes }
                } else {
                    Operation::Write { sector, address, bytes }
                }
            }
        };
        let slot = self.slots.iter().position(Option::is_none).ok_or(code::BUSY)?;
        self.slots[slot] = Some(UnderWay { request: *request, overdue: false });
        let submitted = self.disk.submit(slot, operation);
        debug_assert!(submitted, "the slot is free here, so it is free there");
        Ok(())
    }

    /// Checks where a request wants to read or write; gives the memory's address for the device.
    fn place(&self, request: &Request, disk_sectors: u64) -> Result<(u64, u32), u32> {
        let (offset, bytes) = (request.buffer.offset as usize, request.buffer.bytes as usize);
        let sectors = bytes / SECTOR_BYTES;
        let whole = offset.is_multiple_of(SECTOR_BYTES) && bytes.is_multiple_of(SECTOR_BYTES);
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.region.bytes);
        if !whole || !inside || sectors == 0 || sectors > MAX_SECTORS {
            return Err(code::BAD_REQUEST);
        }
        let end = request.sector.checked_add(sectors as u64);
        if end.is_none_or(|end| end > disk_sectors) {
            return Err(code::OUT_OF_RANGE);
        }
        Ok((self.region.address + offset as u64, bytes as u32))
    }

    /// Answers all requests that the device has done.
    fn complete(&mut self) {
        // It cannot have done more than it was given.
        for _ in 0..=SLOTS {
            match self.disk.take() {
                Ok(None) => return,
                Ok(Some((slot, well))) => {
                    if let Some(UnderWay { request, .. }) = self.slots[slot].take() {
                        self.answer(&request, if well { code::DONE } else { code::IO_ERROR });
                    }
                }
                // Without a disk there is nothing to make sense of.
                Err(_) if self.started.is_err() => return,
                Err(_) => return self.reset(code::IO_ERROR),
            }
        }
    }

    /// Resets the device; what it had ends with this code.
    fn reset(&mut self, code: u32) {
        self.restart();
        for slot in 0..SLOTS {
            if let Some(UnderWay { request, .. }) = self.slots[slot].take() {
                self.answer(&request, code);
            }
        }
    }

    fn restart(&mut self) {
        self.resets += 1;
        self.started = self.disk.start().map(|_| ());
    }

    fn answer(&mut self, request: &Request, code: u32) {
        self.answered += 1;
        self.failed += u64::from(code != code::DONE);
        let mut reply = Reply::new(request, code);
        if request.kind == kind::INFO && code == code::DONE {
            let facts = self.disk.facts();
            reply.info = Info {
                sectors: facts.sectors,
                read_only: facts.read_only.into(),
                has_cache: facts.has_cache.into(),
                answered: self.answered,
                failed: self.failed,
                resets: self.resets,
            };
        }
        match self.client.push(&reply) {
            // There was room when the request was taken; a client that restarted since has nobody to read it.
            Ok(()) | Err(PushError::Full | PushError::Link(_)) => {}
        }
    }
}
