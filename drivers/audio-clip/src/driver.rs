//! What an audio driver is to its client: the protocol of `protocols::audio`, and what is counted.

use protocols::audio::{BLOCK, Block, Request, kind, request};
use ring::{Link, Notify, PushError};

use crate::capture::{Capture, Period};

/// Requests that one turn takes.
const REQUESTS: usize = 8;

/// What the driver has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples handed on.
    pub sent: u64,
    /// Samples that the device overwrote before they were read.
    pub overrun: u64,
    /// Samples that found no room in the client's ring.
    pub dropped: u64,
}

/// The driver of one device, with one client.
pub struct Driver<C, N> {
    device: C,
    client: Link<Block, Request, N>,
    /// Number of the first sample of period 0, while the device runs.
    running: Option<u64>,
    /// The next period to read.
    next: u64,
    /// The end that the client has not been told of yet.
    end: Option<Block>,
    counts: Counts,
}

impl<C: Capture, N: Notify> Driver<C, N> {
    /// The driver of `device`, which is stopped.
    pub fn new(device: C, client: Link<Block, Request, N>) -> Self {
        Driver { device, client, running: None, next: 0, end: None, counts: Counts::default() }
    }

    /// Does what the client asks, and hands on what the device has filled by now. To be called when the client notifies, and at
    /// least once in each round of the device. True while the device runs.
    ///
    /// A turn reads no more periods than the device holds, and takes a few requests.
    pub fn turn(&mut self, now_ns: u64) -> bool {
        // The device runs on while the client restarts, and what it takes meanwhile is lost: that is what a microphone
        // does. An end is told to whoever starts the source, and the client that did so is gone.
        if self.client.poll() == Ok(true) && self.running.is_none() {
            self.end = None;
        }
        for _ in 0..REQUESTS {
            let Ok(Some(Request { kind, number })) = self.client.pop() else { break };
            self.request(kind, number, now_ns);
        }
        self.pass_on(now_ns);
        if let Some(end) = self.end
            && self.client.push(&end).is_ok()
        {
            self.end = None;
        }
        self.running.is_some()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The device, for tests that change what it says.
    #[cfg(test)]
    pub(crate) fn device(&mut self) -> &mut C {
        &mut self.device
    }

    fn request(&mut self, kind: u64, number: u64, now_ns: u64) {
        match kind {
            request::START if self.running.is_none() => {
                self.device.start(number, now_ns);
                (self.running, self.next, self.end) = (Some(number), 0, None);
            }
            request::STOP => {
                self.device.stop();
                (self.running, self.end) = (None, None);
            }
            // It runs already, or the client says nonsense.
            _ => (),
        }
    }

    /// Hands on the periods that are there.
    fn pass_on(&mut self, now_ns: u64) {
        let Some(number) = self.running else { return };
        let filled = self.device.filled(now_ns);
        let oldest = filled.saturating_sub(self.device.depth());
        if self.next < oldest {
            self.counts.overrun += (oldest - self.next) * BLOCK as u64;
            self.next = oldest;
        }
        while self.next < filled {
            let first = number.saturating_add(self.next.saturating_mul(BLOCK as u64));
            let mut block = Block::new(kind::SAMPLES, first, now_ns);
            match self.device.read(self.next, &mut block.samples) {
                Period::Samples { taken_ns } => {
                    block.taken_ns = taken_ns;
                    self.send(block);
                }
                Period::Overwritten => self.counts.overrun += BLOCK as u64,
                Period::End => {
                    self.device.stop();
                    self.running = None;
                    self.end = Some(Block { kind: kind::END, ..block });
                    return;
                }
            }
            self.next += 1;
        }
    }

    /// Sends samples, or drops and counts them.
    fn send(&mut self, block: Block) {
        let Counts { overrun, dropped, .. } = self.counts;
        match self.client.push(&Block { overrun, dropped, ..block }) {
            Ok(()) => self.counts.sent += BLOCK as u64,
            Err(PushError::Full | PushError::Link(_)) => self.counts.dropped += BLOCK as u64,
        }
    }
}
