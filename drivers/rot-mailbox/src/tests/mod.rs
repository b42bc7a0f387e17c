//! The mailbox against a root of trust that does what a test wants; the driver with clients and a card.

mod card;
mod clients;
mod faults;
mod requests;

use protocols::rot::{Reply, Request, status};
use rot_protocol::frame::{Decoder, Frame, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};

use crate::mailbox::Mailbox;

/// A millisecond.
pub const MS: u64 = 1_000_000;

/// A request as it came to the root of trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: u32,
    pub command: u32,
    pub data: Vec<u8>,
}

/// A mailbox, a clock, and the other end of the line.
pub struct World {
    pub mailbox: Mailbox,
    pub now: u64,
    decoder: Decoder<MAX_REQUEST_BYTES>,
}

impl World {
    /// A mailbox whose line is there, and nothing answered yet.
    pub fn new() -> Self {
        let mut mailbox = Mailbox::new();
        mailbox.start(0);
        World { mailbox, now: 0, decoder: Decoder::new() }
    }

    /// The same with a session.
    pub fn open() -> Self {
        let mut world = World::new();
        world.answer_all();
        assert!(world.asked().is_empty());
        world
    }

    /// What is sent now.
    pub fn asked(&mut self) -> Vec<Asked> {
        let (mut bytes, mut asked) = (Vec::new(), Vec::new());
        while self.mailbox.transmit(self.now, 64, |byte| {
            bytes.push(byte);
            true
        }) {}
        for byte in bytes {
            if let Some(frame) = self.decoder.push(byte) {
                let frame = frame.expect("what is sent is whole");
                asked.push(Asked { id: frame.id, command: frame.command, data: frame.data.to_vec() });
            }
        }
        asked
    }

    /// Bytes arrive.
    pub fn arrive(&mut self, bytes: &[u8]) -> Vec<(usize, Reply)> {
        bytes.iter().filter_map(|byte| self.mailbox.receive(*byte, self.now)).collect()
    }

    /// A reply arrives.
    pub fn reply(&mut self, id: u32, command: u32, status: u32, data: &[u8]) -> Vec<(usize, Reply)> {
        let bytes = line(&Frame::reply(id, command, status, data));
        self.arrive(&bytes)
    }

    /// Answers all that is sent by an echo of its data, which is right for `SYNC` alone.
    pub fn answer_all(&mut self) -> Vec<(usize, Reply)> {
        let asked = self.asked();
        asked.into_iter().flat_map(|Asked { id, command, data }| self.reply(id, command, status::OK, &data)).collect()
    }

    /// Time passes; what ends by it.
    pub fn pass(&mut self, ms: u64) -> Vec<(usize, u64, u32)> {
        self.now += ms * MS;
        self.mailbox.tick(self.now);
        core::iter::from_fn(|| self.mailbox.expired())
            .map(|(client, reply)| (client, reply.token, reply.status))
            .collect()
    }

    pub fn submit(&mut self, client: usize, request: &Request) {
        assert!(self.mailbox.submit(client, request, self.now).is_none());
    }
}

/// A frame's bytes.
pub fn line(frame: &Frame) -> Vec<u8> {
    let mut line = vec![0; MAX_REPLY_BYTES];
    let length = frame.encode(&mut line).unwrap();
    line.truncate(length);
    line
}
