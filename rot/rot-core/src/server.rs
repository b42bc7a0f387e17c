//! Frames in, frames out.
//!
//! A host that gets no answer in time sends the same frame again. Its first copy may have been lost, or the answer; so answers to
//! requests that change something are remembered, and a repeated request gets the answer that it should have had.

use rot_protocol::command;
use rot_protocol::frame::{Decoder, Frame, Kind, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};
use rot_protocol::{MAX_REPLY_DATA, REMEMBERED};

use crate::device::{Device, Out};
use crate::storage::Flash;

/// The longest data of a request that changes something, and of its answer.
const REMEMBERED_DATA: usize = 64;

/// A request that was executed, and its answer.
#[derive(Clone, Copy, Debug)]
struct Past {
    id: u32,
    command: u32,
    data: [u8; REMEMBERED_DATA],
    data_length: usize,
    status: u32,
    answer: [u8; REMEMBERED_DATA],
    answer_length: usize,
}

/// The device's end of the line.
pub struct Server<F> {
    device: Device<F>,
    decoder: Decoder<MAX_REQUEST_BYTES>,
    /// The last requests that changed something, oldest first in turn.
    past: [Option<Past>; REMEMBERED],
    next_past: usize,
    executed: u32,
    repeated: u32,
    bad_frames: u32,
}

impl<F: Flash> Server<F> {
    /// Serves `device`.
    pub fn new(device: Device<F>) -> Self {
        Self {
            device,
            decoder: Decoder::new(),
            past: [None; REMEMBERED],
            next_past: 0,
            executed: 0,
            repeated: 0,
            bad_frames: 0,
        }
    }

    /// Takes a byte from the line. When it ends a request, that is executed, and the answer is in `line`, this long.
    pub fn receive(&mut self, byte: u8, line: &mut [u8; MAX_REPLY_BYTES]) -> Option<usize> {
        let frame = match self.decoder.push(byte)? {
            Ok(frame) if frame.kind == Kind::Request => frame,
            // A reply is the echo of what was sent from here.
            Ok(_) | Err(_) => {
                self.bad_frames = self.bad_frames.saturating_add(1);
                return None;
            }
        };
        let (id, code, data) = (frame.id, frame.command, frame.data);
        if let Some(past) = self.past.iter().flatten().find(|past| past.is_of(id, code, data)) {
            self.repeated = self.repeated.saturating_add(1);
            return Frame::reply(id, code, past.status, &past.answer[..past.answer_length]).encode(line);
        }
        let mut out: Out = [0; MAX_REPLY_DATA];
        let (status, length) = self.device.execute(code, data, &mut out);
        self.executed = self.executed.saturating_add(1);
        if code == command::SYNC {
            self.past = [None; REMEMBERED];
        }
        if code == command::INFO {
            add_counts(&mut out[..length], self.executed, self.repeated, self.bad_frames);
        }
        if command::changes_state(code)
            && let Some(past) = Past::new(id, code, data, status, &out[..length])
        {
            self.past[self.next_past] = Some(past);
            self.next_past = (self.next_past + 1) % REMEMBERED;
        }
        Frame::reply(id, code, status, &out[..length]).encode(line)
    }

    /// The device.
    pub fn device(&mut self) -> &mut Device<F> {
        &mut self.device
    }
}

/// The counts of the line in an `INFO` answer.
fn add_counts(out: &mut [u8], executed: u32, repeated: u32, bad_frames: u32) {
    use rot_protocol::data::Info;
    use zerocopy::FromBytes;
    if let Ok(info) = Info::mut_from_bytes(out) {
        info.executed = executed.into();
        info.repeated = repeated.into();
        info.bad_frames = bad_frames.into();
    }
}

impl Past {
    /// `None` if data or answer are longer than any that changes something; such a request was refused anyway.
    fn new(id: u32, command: u32, data: &[u8], status: u32, answer: &[u8]) -> Option<Self> {
        let mut past = Past {
            id,
            command,
            data: [0; REMEMBERED_DATA],
            data_length: data.len(),
            status,
            answer: [0; REMEMBERED_DATA],
            answer_length: answer.len(),
        };
        past.data.get_mut(..data.len())?.copy_from_slice(data);
        past.answer.get_mut(..answer.len())?.copy_from_slice(answer);
        Some(past)
    }

    fn is_of(&self, id: u32, command: u32, data: &[u8]) -> bool {
        self.id == id && self.command == command && self.data[..self.data_length] == *data
    }
}
