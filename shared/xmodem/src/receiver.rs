//! The receiver's states: invitation, a block's bytes, the caller's turn to store, the end.

use crate::{
    ACK, CAN, CRC, EOT, Error, INTERRUPT, INVITE, MAX_DATA, MAX_ERRORS, MAX_INVITATIONS, MAX_NAME, NAK, SOH, STX,
};

/// What the caller must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give more bytes, or tell of silence.
    More,
    /// Send these bytes; then as for [`Step::More`].
    Send(&'static [u8]),
    /// The sender names the file ([`Receiver::name`], [`Receiver::size`]). Answer by [`Receiver::stored`], or refuse by
    /// dropping the receiver and sending [`crate::CANCEL`].
    Begin,
    /// Store [`Receiver::data`], then say so by [`Receiver::stored`]. Bytes that arrive meanwhile are not taken.
    Store,
    /// Send these bytes; the file is complete.
    Done(&'static [u8], Outcome),
    /// The transfer is over without the file. Send [`crate::CANCEL`], so that the sender knows too.
    Failed(Error),
}

/// A transfer that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that were to be stored.
    pub bytes: u64,
    /// The size was not known (XMODEM): the last block's filling may be among the bytes.
    pub padded: bool,
}

/// Where in a block the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before its first byte.
    Start,
    Number {
        length: usize,
    },
    Complement {
        length: usize,
        number: u8,
    },
    Data {
        length: usize,
        number: u8,
        /// The complement did not fit: the block is read to its end, and then asked for again.
        damaged: bool,
        at: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet; a sender is invited.
    Inviting,
    /// Blocks of the file.
    Blocks,
    /// The caller stores a block (or thinks about the name).
    Storing {
        header: bool,
    },
    /// YMODEM: after the file, an empty block 0 ends the session.
    Closing,
    Over,
}

/// One transfer.
#[derive(Debug)]
pub struct Receiver {
    phase: Phase,
    place: Place,
    /// Data and the two bytes of the CRC.
    block: [u8; MAX_DATA + 2],
    stored_length: usize,
    /// Number of the block before the next one, modulo 256.
    last: u8,
    size: Option<u64>,
    received: u64,
    name: [u8; MAX_NAME],
    name_length: usize,
    named: bool,
    errors: u32,
    invitations: u32,
    ends: u32,
    cancels: u32,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// A transfer that has not begun. Call [`Receiver::silence`] at once: it answers with the first invitation. All zeros,
    /// so that a static one takes no room in a program.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Inviting,
            place: Place::Start,
            block: [0; MAX_DATA + 2],
            stored_length: 0,
            last: 0,
            size: None,
            received: 0,
            name: [0; MAX_NAME],
            name_length: 0,
            named: false,
            errors: 0,
            invitations: 0,
            ends: 0,
            cancels: 0,
        }
    }

    /// The name that the sender gave (YMODEM), as it came: the caller decides whether it trusts it. Empty: none.
    pub fn name(&self) -> &[u8] {
        &self.name[..self.name_length]
    }

    /// The size that the sender announced (YMODEM).
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The data to be stored after [`Step::Store`].
    pub fn data(&self) -> &[u8] {
        &self.block[..self.stored_length]
    }

    /// Takes bytes up to the next step that needs the caller. Says how many it took.
    pub fn accept(&mut self, input: &[u8]) -> (usize, Step) {
        for (index, byte) in input.iter().enumerate() {
            if matches!(self.phase, Phase::Storing { .. } | Phase::Over) {
                return (index, Step::More);
            }
            match self.take(*byte) {
                Step::More => {}
                step => return (index + 1, step),
            }
        }
        (input.len(), Step::More)
    }

    /// Nothing came for [`crate::SILENCE_MS`], or the transfer is to begin.
    pub fn silence(&mut self) -> Step {
        match self.phase {
            Phase::Inviting => {
                self.place = Place::Start;
                if self.invitations == MAX_INVITATIONS {
                    return self.fail(Error::NoSender);
                }
                self.invitations += 1;
                Step::Send(&[INVITE])
            }
            Phase::Blocks => self.complain(),
            // The file is complete: a sender that does not close the session changes nothing about it.
            Phase::Closing => self.finish(&[]),
            Phase::Storing { .. } | Phase::Over => Step::More,
        }
    }

    /// The caller has stored what it was told to, or accepts the name.
    pub fn stored(&mut self) -> Step {
        let Phase::Storing { header } = self.phase else { return Step::More };
        self.phase = Phase::Blocks;
        self.stored_length = 0;
        if header { Step::Send(&[ACK, INVITE]) } else { Step::Send(&[ACK]) }
    }

    fn take(&mut self, byte: u8) -> Step {
        match self.place {
            Place::Start => self.take_first(byte),
            Place::Number { length } => {
                self.place = Place::Complement { length, number: byte };
                Step::More
            }
            Place::Complement { length, number } => {
                self.place = Place::Data { length, number, damaged: byte != !number, at: 0 };
                Step::More
            }
            Place::Data { length, number, damaged, at } => {
                self.block[at] = byte;
                if at + 1 < length + 2 {
                    self.place = Place::Data { length, number, damaged, at: at + 1 };
                    return Step::More;
                }
                self.place = Place::Start;
                let crc = u16::from_be_bytes([self.block[length], self.block[length + 1]]);
                if damaged || CRC.checksum(&self.block[..length]) != crc {
                    return self.complain();
                }
                self.take_block(number, length)
            }
        }
    }

    /// The first byte of a block, or a byte that stands alone.
    fn take_first(&mut self, byte: u8) -> Step {
        if byte == CAN {
            self.cancels += 1;
            return if self.cancels >= 2 { self.fail(Error::CancelledBySender) } else { Step::More };
        }
        self.cancels = 0;
        match byte {
            SOH => self.place = Place::Number { length: 128 },
            STX => self.place = Place::Number { length: MAX_DATA },
            EOT if self.phase == Phase::Blocks => return self.take_end(),
            INTERRUPT if self.phase == Phase::Inviting => return self.fail(Error::Interrupted),
            // Noise between blocks.
            _ => {}
        }
        Step::More
    }

    fn take_block(&mut self, number: u8, length: usize) -> Step {
        self.errors = 0;
        self.ends = 0;
        match self.phase {
            Phase::Inviting if number == 0 => self.take_header(length),
            Phase::Closing if number == 0 => self.finish(&[ACK]),
            // The acknowledgement of the header was lost.
            Phase::Blocks if number == 0 && self.named && self.received == 0 => Step::Send(&[ACK, INVITE]),
            Phase::Inviting | Phase::Blocks if number == self.last.wrapping_add(1) => {
                let left = self.size.map_or(u64::MAX, |size| size - self.received);
                self.stored_length = left.min(length as u64) as usize;
                self.received += self.stored_length as u64;
                self.last = number;
                self.phase = Phase::Storing { header: false };
                Step::Store
            }
            // The last acknowledgement was lost, and the block is here already.
            Phase::Blocks if number == self.last => Step::Send(&[ACK]),
            _ => self.fail(Error::OutOfOrder { expected: self.last.wrapping_add(1), got: number }),
        }
    }

    /// YMODEM's block 0: the name, a zero byte, and the size in decimal up to a space or a zero byte.
    fn take_header(&mut self, length: usize) -> Step {
        let mut fields = self.block[..length].split(|byte| *byte == 0);
        let name = fields.next().unwrap_or_default();
        let size = fields.next().unwrap_or_default().split(|byte| *byte == b' ').next().unwrap_or_default();
        if name.is_empty() {
            return self.fail(Error::BadHeader);
        }
        let parsed = core::str::from_utf8(size).ok().and_then(|digits| digits.parse::<u64>().ok());
        if parsed.is_none() && !size.is_empty() {
            return self.fail(Error::BadHeader);
        }
        self.name_length = name.len().min(MAX_NAME);
        self.name[..self.name_length].copy_from_slice(&name[..self.name_length]);
        self.size = parsed;
        self.named = true;
        self.phase = Phase::Storing { header: true };
        Step::Begin
    }

    /// A single end mark may be a damaged byte, so it is asked for twice.
    fn take_end(&mut self) -> Step {
        self.ends += 1;
        if self.ends < 2 {
            return Step::Send(&[NAK]);
        }
        if let Some(announced) = self.size.filter(|size| *size != self.received) {
            return self.fail(Error::TooShort { announced, got: self.received });
        }
        if !self.named {
            return self.finish(&[ACK]);
        }
        self.phase = Phase::Closing;
        Step::Send(&[ACK, INVITE])
    }

    fn complain(&mut self) -> Step {
        self.place = Place::Start;
        self.errors += 1;
        if self.errors >= MAX_ERRORS {
            return self.fail(Error::LineTooBad);
        }
        // A first block that came damaged is sent again after an invitation as after a complaint.
        Step::Send(if self.phase == Phase::Inviting { &[INVITE] } else { &[NAK] })
    }

    fn finish(&mut self, send: &'static [u8]) -> Step {
        self.phase = Phase::Over;
        Step::Done(send, Outcome { bytes: self.received, padded: self.size.is_none() })
    }

    fn fail(&mut self, error: Error) -> Step {
        self.phase = Phase::Over;
        Step::Failed(error)
    }
}
