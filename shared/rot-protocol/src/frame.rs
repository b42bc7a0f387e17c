//! Frames: how a message lies on the line, and is found again after garbage.
//!
//! A message is a [`Head`], its data, and a CRC-32 (the one of Ethernet and zlib) over both. On the line it is encoded
//! by COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999), so that it has no byte 0, and stands between two
//! bytes 0. Whatever was on the line before, the next 0 begins anew: one damaged frame never costs a second one.

use core::fmt;
use crc::{CRC_32_ISO_HDLC, Crc};
use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{MAX_REPLY_DATA, MAX_REQUEST_DATA};

/// Version of frames, commands and their data.
pub const VERSION: u8 = 1;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const CRC_BYTES: usize = 4;
/// Bytes of a message without data.
pub const LEAST_BYTES: usize = size_of::<Head>() + CRC_BYTES;

const fn encoded_bytes(data_bytes: usize) -> usize {
    let bytes = LEAST_BYTES + data_bytes;
    bytes + bytes.div_ceil(254)
}

/// Bytes on the line of the longest request, with both its delimiters.
pub const MAX_REQUEST_BYTES: usize = encoded_bytes(MAX_REQUEST_DATA) + 2;
/// Bytes on the line of the longest reply, with both its delimiters.
pub const MAX_REPLY_BYTES: usize = encoded_bytes(MAX_REPLY_DATA) + 2;

/// Which way a message goes. One that comes back to its sender is none for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// From the host.
    Request = b'Q',
    /// From the root of trust.
    Reply = b'R',
}

/// Start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    /// A [`Kind`].
    pub kind: u8,
    /// [`VERSION`].
    pub version: u8,
    /// Bytes of data.
    pub length: U16,
    /// Number of the request.
    pub id: U32,
    /// One of [`crate::command`].
    pub command: U32,
    /// One of [`crate::status`]; 0 in a request.
    pub status: U32,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Which way it goes.
    pub kind: Kind,
    /// Number of the request.
    pub id: u32,
    /// One of [`crate::command`].
    pub command: u32,
    /// One of [`crate::status`]; 0 in a request.
    pub status: u32,
    /// The data.
    pub data: &'a [u8],
}

/// Why bytes between two delimiters are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// More bytes than any message has.
    TooLong,
    /// Not an encoding, or too short.
    Malformed,
    /// The checksum is wrong.
    Checksum,
    /// Another version of this protocol.
    Version(u8),
    /// The head says another length or an unknown kind, though the checksum is right.
    Head,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong => f.write_str("frame: longer than any message"),
            FrameError::Malformed => f.write_str("frame: not an encoded message"),
            FrameError::Checksum => f.write_str("frame: the checksum is wrong"),
            FrameError::Version(version) => write!(f, "frame: version {version} of the protocol, not {VERSION}"),
            FrameError::Head => f.write_str("frame: the head does not fit the message"),
        }
    }
}

impl core::error::Error for FrameError {}

impl<'a> Frame<'a> {
    /// A request.
    pub fn request(id: u32, command: u32, data: &'a [u8]) -> Self {
        Frame { kind: Kind::Request, id, command, status: 0, data }
    }

    /// The reply to a request.
    pub fn reply(id: u32, command: u32, status: u32, data: &'a [u8]) -> Self {
        Frame { kind: Kind::Reply, id, command, status, data }
    }

    /// Writes the frame, delimiters included, and gives its length; `None` if the data is too long for its kind or `line`
    /// too short.
    pub fn encode(&self, line: &mut [u8]) -> Option<usize> {
        let most = if self.kind == Kind::Request { MAX_REQUEST_DATA } else { MAX_REPLY_DATA };
        if self.data.len() > most || line.len() < encoded_bytes(self.data.len()) + 2 {
            return None;
        }
        let head = Head {
            kind: self.kind as u8,
            version: VERSION,
            length: U16::new(self.data.len() as u16),
            id: U32::new(self.id),
            command: U32::new(self.command),
            status: U32::new(self.status),
        };
        let mut digest = CRC.digest();
        digest.update(head.as_bytes());
        digest.update(self.data);
        line[0] = 0;
        let mut encoder = cobs::CobsEncoder::new(&mut line[1..]);
        for part in [head.as_bytes(), self.data, &digest.finalize().to_le_bytes()] {
            encoder.push(part).ok()?;
        }
        let end = 1 + encoder.finalize();
        *line.get_mut(end)? = 0;
        Some(end + 1)
    }

    /// The message in decoded bytes.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(FrameError::Malformed)?;
        let (head, data) = Head::read_from_prefix(body).map_err(|_| FrameError::Malformed)?;
        if CRC.checksum(body) != u32::from_le_bytes(*crc) {
            return Err(FrameError::Checksum);
        }
        if head.version != VERSION {
            return Err(FrameError::Version(head.version));
        }
        let (kind, most) = match head.kind {
            b'Q' => (Kind::Request, MAX_REQUEST_DATA),
            b'R' => (Kind::Reply, MAX_REPLY_DATA),
            _ => return Err(FrameError::Head),
        };
        if usize::from(head.length.get()) != data.len() || data.len() > most {
            return Err(FrameError::Head);
        }
        Ok(Frame { kind, id: head.id.get(), command: head.command.get(), status: head.status.get(), data })
    }
}

/// Finds frames in a stream of bytes. `BYTES` is at least [`MAX_REQUEST_BYTES`] or [`MAX_REPLY_BYTES`] for who
/// receives those; what is longer is dropped as a whole.
#[derive(Debug)]
pub struct Decoder<const BYTES: usize> {
    buffer: [u8; BYTES],
    length: usize,
    /// More came since the last delimiter than fits.
    overflown: bool,
}

impl<const BYTES: usize> Decoder<BYTES> {
    /// A decoder that has seen nothing.
    pub const fn new() -> Self {
        Self { buffer: [0; BYTES], length: 0, overflown: false }
    }

    /// Takes one byte. With the delimiter that ends a message it gives the message, or what is wrong with it.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<'_>, FrameError>> {
        if byte != 0 {
            match self.buffer.get_mut(self.length) {
                Some(slot) => {
                    *slot = byte;
                    self.length += 1;
                }
                None => self.overflown = true,
            }
            return None;
        }
        let length = core::mem::take(&mut self.length);
        if core::mem::take(&mut self.overflown) {
            return Some(Err(FrameError::TooLong));
        }
        // Between the delimiters of two frames lies nothing.
        if length == 0 {
            return None;
        }
        Some(match cobs::decode_in_place(&mut self.buffer[..length]) {
            Ok(decoded) => Frame::parse(&self.buffer[..decoded]),
            Err(_) => Err(FrameError::Malformed),
        })
    }
}

impl<const BYTES: usize> Default for Decoder<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;
    use proptest::prelude::*;

    type Replies = Decoder<MAX_REPLY_BYTES>;

    fn line(frame: &Frame) -> Vec<u8> {
        let mut line = vec![0; MAX_REPLY_BYTES];
        let length = frame.encode(&mut line).unwrap();
        line.truncate(length);
        line
    }

    /// What a decoder makes of a line: ids and data of frames, and how many were bad.
    fn decode(bytes: &[u8]) -> (Vec<(u32, Vec<u8>)>, usize) {
        let (mut decoder, mut frames, mut bad) = (Replies::new(), Vec::new(), 0);
        for byte in bytes {
            match decoder.push(*byte) {
                Some(Ok(frame)) => frames.push((frame.id, frame.data.to_vec())),
                Some(Err(_)) => bad += 1,
                None => {}
            }
        }
        (frames, bad)
    }

    #[test]
    fn the_longest_messages_fit_exactly() {
        for fill in [0, 1, 0xff] {
            let data = [fill; MAX_REPLY_DATA];
            let reply = Frame::reply(u32::MAX, u32::MAX, u32::MAX, &data);
            let bytes = line(&reply);
            assert!(bytes.len() <= MAX_REPLY_BYTES);
            assert_eq!(decode(&bytes), (vec![(u32::MAX, data.to_vec())], 0));
            assert_eq!(Frame { kind: Kind::Request, ..reply }.encode(&mut [0; 4096]), None);
            let request = Frame::request(1, 2, &data[..MAX_REQUEST_DATA]);
            assert!(line(&request).len() <= MAX_REQUEST_BYTES);
            assert_eq!(request.encode(&mut [0; 100]), None);
        }
        let data = [7; MAX_REPLY_DATA + 1];
        assert_eq!(Frame::reply(1, 2, 3, &data).encode(&mut [0; 4096]), None);
    }

    #[test]
    fn what_is_too_long_costs_only_itself() {
        let mut bytes = vec![1; 10 * MAX_REPLY_BYTES];
        bytes.extend(line(&Frame::reply(5, command::INFO, 0, b"hello")));
        assert_eq!(decode(&bytes), (vec![(5, b"hello".to_vec())], 1));
    }

    #[test]
    fn heads_that_do_not_fit_are_refused() {
        let message = |kind: u8, version: u8, length: u16| {
            let (length, zero) = (U16::new(length), U32::new(0));
            let head = Head { kind, version, length, id: zero, command: zero, status: zero };
            let mut bytes = [head.as_bytes(), b"abc"].concat();
            bytes.extend(CRC.checksum(&bytes).to_le_bytes());
            bytes
        };
        assert!(Frame::parse(&message(b'Q', VERSION, 3)).is_ok());
        assert_eq!(Frame::parse(&message(b'Q', VERSION, 4)), Err(FrameError::Head));
        assert_eq!(Frame::parse(&message(b'X', VERSION, 3)), Err(FrameError::Head));
        assert_eq!(Frame::parse(&message(b'Q', 9, 3)), Err(FrameError::Version(9)));
        assert_eq!(Frame::parse(&message(b'Q', VERSION, 3)[1..]), Err(FrameError::Checksum));
        assert_eq!(Frame::parse(&message(b'Q', VERSION, 3)[..19]), Err(FrameError::Malformed));
    }

    proptest! {
        #[test]
        fn frames_come_back_through_garbage(
            messages in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..400)), 1..5),
            garbage in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = garbage;
            for (id, data) in &messages {
                bytes.extend(line(&Frame::reply(*id, command::LOG, 0, data)));
            }
            // Garbage has a right checksum once in four thousand million.
            prop_assert_eq!(decode(&bytes).0, messages);
        }

        #[test]
        fn a_flipped_bit_costs_one_frame_and_is_never_believed(
            data in prop::collection::vec(any::<u8>(), 0..300), bit in any::<prop::sample::Index>(),
        ) {
            let good = line(&Frame::reply(2, command::LOG, 0, b"next"));
            let mut bytes = line(&Frame::reply(1, command::LOG, 0, &data));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.extend(good);
            let (frames, _) = decode(&bytes);
            // A delimiter that became something else takes nothing away, for frames have one at each end.
            let whole = frames.iter().filter(|(id, _)| *id == 1).all(|(_, found)| *found == data);
            prop_assert!(whole);
            prop_assert_eq!(frames.last(), Some(&(2, b"next".to_vec())));
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            let _ = decode(&bytes);
            let _ = Frame::parse(&bytes);
        }
    }
}
