//! The receiver against a sender that follows the reference, on a line that damages, loses and repeats.

use super::*;
use proptest::prelude::*;

/// A sender as the reference describes it: sends a block until it is acknowledged.
struct Sender<'a> {
    file: &'a [u8],
    name: Option<&'a str>,
    block_length: usize,
    at: usize,
    number: u8,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Header,
    AfterHeader,
    Blocks,
    Ending,
    Closing,
    CloseSent,
    Over,
}

impl<'a> Sender<'a> {
    fn new(file: &'a [u8], name: Option<&'a str>, block_length: usize) -> Self {
        let state = if name.is_some() { State::Header } else { State::Blocks };
        Self { file, name, block_length, at: 0, number: 1, state }
    }

    fn block(number: u8, data: &[u8], length: usize, filling: u8) -> Vec<u8> {
        let mut padded = data.to_vec();
        padded.resize(length, filling);
        let mut block = vec![if length == 128 { SOH } else { STX }, number, !number];
        block.extend_from_slice(&padded);
        block.extend_from_slice(&CRC.checksum(&padded).to_be_bytes());
        block
    }

    fn header(&self) -> Vec<u8> {
        let mut data = self.name.unwrap_or("").as_bytes().to_vec();
        if self.state == State::Header {
            data.push(0);
            data.extend_from_slice(format!("{} 0 100644", self.file.len()).as_bytes());
        }
        Self::block(0, &data, 128, 0)
    }

    fn current(&self) -> Vec<u8> {
        let end = self.file.len().min(self.at + self.block_length);
        if self.at >= self.file.len() {
            return vec![EOT];
        }
        Self::block(self.number, &self.file[self.at..end], self.block_length, PADDING)
    }

    /// What it says to one byte from the receiver.
    fn hear(&mut self, byte: u8) -> Vec<u8> {
        match (self.state, byte) {
            (State::Header, INVITE | NAK) => self.header(),
            (State::Header, ACK) => {
                self.state = State::AfterHeader;
                Vec::new()
            }
            (State::AfterHeader, INVITE) => {
                self.state = State::Blocks;
                self.current()
            }
            (State::Blocks, INVITE | NAK) => self.current(),
            (State::Blocks, ACK) => {
                self.at += self.block_length;
                self.number = self.number.wrapping_add(1);
                if self.at >= self.file.len() {
                    self.state = State::Ending;
                }
                self.current()
            }
            (State::Ending, NAK) => vec![EOT],
            (State::Ending, ACK) => {
                self.state = if self.name.is_some() { State::Closing } else { State::Over };
                Vec::new()
            }
            (State::Closing | State::CloseSent, INVITE | NAK) => {
                self.state = State::CloseSent;
                Self::block(0, &[], 128, 0)
            }
            (State::CloseSent, ACK) => {
                self.state = State::Over;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// What happens to the bytes from the sender, one entry a message.
#[derive(Clone, Debug)]
enum Fault {
    None,
    Flip(usize),
    Lose(usize),
    LoseAll,
}

type Received = Result<(Vec<u8>, Outcome, Vec<u8>), Error>;

fn transfer(sender: &mut Sender, faults: &mut dyn Iterator<Item = Fault>, chunk: usize) -> Received {
    let mut receiver = Receiver::new();
    let mut stored = Vec::new();
    let mut pending = receiver.silence();
    let mut line: Vec<u8> = Vec::new();
    for _ in 0..200_000 {
        match pending {
            Step::More if line.is_empty() => pending = receiver.silence(),
            Step::More => {
                let given = chunk.min(line.len());
                let (taken, step) = receiver.accept(&line[..given]);
                line.drain(..taken);
                pending = step;
            }
            Step::Send(bytes) => {
                for byte in bytes {
                    let mut said = sender.hear(*byte);
                    if !said.is_empty() {
                        match faults.next().unwrap_or(Fault::None) {
                            Fault::None => {}
                            Fault::Flip(at) => {
                                let at = at % said.len();
                                said[at] ^= 0x40;
                            }
                            Fault::Lose(at) => {
                                said.remove(at % said.len());
                            }
                            Fault::LoseAll => said.clear(),
                        }
                    }
                    line.extend(said);
                }
                pending = Step::More;
            }
            Step::Begin => pending = receiver.stored(),
            Step::Store => {
                stored.extend_from_slice(receiver.data());
                pending = receiver.stored();
            }
            Step::Done(bytes, outcome) => {
                for byte in bytes {
                    sender.hear(*byte);
                }
                return Ok((stored, outcome, receiver.name().to_vec()));
            }
            Step::Failed(error) => return Err(error),
        }
    }
    panic!("the transfer does not end");
}

fn plain(file: &[u8], name: Option<&str>, block_length: usize) -> Received {
    transfer(&mut Sender::new(file, name, block_length), &mut std::iter::empty(), 7)
}

#[test]
fn ymodem_gives_the_file_exactly() {
    let file: Vec<u8> = (0..5000u32).map(|index| (index * 7) as u8).collect();
    for length in [0, 1, 127, 128, 129, 1024, 5000] {
        for block_length in [128, 1024] {
            let (stored, outcome, name) = plain(&file[..length], Some("hello.kb"), block_length).unwrap();
            assert_eq!(stored, file[..length]);
            assert_eq!(outcome, Outcome { bytes: length as u64, padded: false });
            assert_eq!(name, b"hello.kb");
        }
    }
}

#[test]
fn xmodem_gives_whole_blocks() {
    let (stored, outcome, name) = plain(b"abc", None, 128).unwrap();
    assert_eq!(&stored[..3], b"abc");
    assert!(stored[3..].iter().all(|byte| *byte == PADDING));
    assert_eq!(outcome, Outcome { bytes: 128, padded: true });
    assert!(name.is_empty());
}

#[test]
fn block_numbers_wrap() {
    let file = vec![0x55; 300 * 128];
    assert_eq!(plain(&file, Some("long"), 128).unwrap().0, file);
}

#[test]
fn silence_and_cancel_end_it() {
    let mut receiver = Receiver::new();
    for _ in 0..MAX_INVITATIONS {
        assert_eq!(receiver.silence(), Step::Send(&[INVITE]));
    }
    assert_eq!(receiver.silence(), Step::Failed(Error::NoSender));

    let mut receiver = Receiver::new();
    assert_eq!(receiver.accept(&[CAN, b'x', CAN]), (3, Step::More), "a single one may be noise");
    assert_eq!(receiver.accept(&[CAN]), (1, Step::Failed(Error::CancelledBySender)));
    assert_eq!(Receiver::new().accept(&[INTERRUPT]), (1, Step::Failed(Error::Interrupted)));
}

#[test]
fn a_sender_that_falls_silent_fails() {
    let mut receiver = Receiver::new();
    let block = Sender::block(1, b"x", 128, 0);
    assert_eq!(receiver.accept(&block), (133, Step::Store));
    assert_eq!(receiver.stored(), Step::Send(&[ACK]));
    for _ in 1..MAX_ERRORS {
        assert_eq!(receiver.silence(), Step::Send(&[NAK]));
    }
    assert_eq!(receiver.silence(), Step::Failed(Error::LineTooBad));
}

#[test]
fn wrong_headers_and_orders_are_named() {
    let header = |data: &[u8]| Receiver::new().accept(&Sender::block(0, data, 128, 0)).1;
    assert_eq!(header(b""), Step::Failed(Error::BadHeader));
    assert_eq!(header(b"name\0-5"), Step::Failed(Error::BadHeader));
    assert_eq!(header(b"name\x0099999999999999999999"), Step::Failed(Error::BadHeader));
    assert_eq!(header(b"name"), Step::Begin, "the size may be missing");
    let block = Sender::block(5, b"x", 128, 0);
    assert_eq!(Receiver::new().accept(&block).1, Step::Failed(Error::OutOfOrder { expected: 1, got: 5 }));
}

#[test]
fn fewer_bytes_than_announced_are_an_error() {
    let mut receiver = Receiver::new();
    receiver.accept(&Sender::block(0, b"name\x00200", 128, 0));
    receiver.stored();
    receiver.accept(&Sender::block(1, b"x", 128, 0));
    receiver.stored();
    receiver.accept(&[EOT]);
    let (_, step) = receiver.accept(&[EOT]);
    assert_eq!(step, Step::Failed(Error::TooShort { announced: 200, got: 128 }));
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        2 => (0usize..2000).prop_map(Fault::Flip),
        2 => (0usize..2000).prop_map(Fault::Lose),
        1 => Just(Fault::LoseAll),
    ]
}

proptest! {
    /// However the line errs, the file that is reported complete is the file that was sent.
    #[test]
    fn no_wrong_file_is_complete(
        file in prop::collection::vec(any::<u8>(), 0..6000),
        long: bool,
        faults in prop::collection::vec(fault(), 0..12),
        chunk in 1usize..2000,
    ) {
        let length = if long { 1024 } else { 128 };
        let mut sender = Sender::new(&file, Some("file"), length);
        if let Ok((stored, outcome, _)) = transfer(&mut sender, &mut faults.into_iter(), chunk) {
            prop_assert_eq!(stored, file);
            prop_assert!(!outcome.padded);
        }
    }

    #[test]
    fn any_bytes_are_harmless(bytes: Vec<u8>, chunk in 1usize..50) {
        let mut receiver = Receiver::new();
        for part in bytes.chunks(chunk) {
            let mut rest = part;
            while !rest.is_empty() {
                let (taken, step) = receiver.accept(rest);
                rest = &rest[taken..];
                match step {
                    Step::Begin | Step::Store => { receiver.stored(); }
                    Step::Done(..) | Step::Failed(_) => return Ok(()),
                    Step::More if taken == 0 => return Ok(()),
                    Step::More | Step::Send(_) => {}
                }
            }
        }
    }
}
