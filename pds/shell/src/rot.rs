//! `attest` and `rot`: what the shell asks the root of trust, and how it tells the answers, row by row.

use core::fmt;

use crate::world::World;
use protocols::rot::data::{
    FLAG_CORRUPT, FLAG_PROVISIONED, FLAG_SELF_TEST_FAILED, FLAG_STORAGE_FAILED, FLAG_STRAP, Info, Key, PHASE_BOOT,
    SELF_TESTS, SelfTest,
};
use protocols::rot::{
    DRIVER_STATUS, DriverStatus, MAX_COUNTERS, MAX_KEYS, Reply, Request, STATE_DOWN, STATE_NO_DEVICE, STATE_UP,
    STATE_WAITING, command, status,
};
use rot_protocol::armour;
use sha2::{Digest, Sha256};

/// Bytes of the longest nonce.
const MAX_NONCE: usize = 64;
/// Bytes of the nonce that is made here if none is given.
const OWN_NONCE: u16 = 32;

/// What a verifier gives so that it knows the quote to be fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    bytes: [u8; MAX_NONCE],
    length: usize,
}

impl Nonce {
    /// The nonce in hexadecimal digits. RFC 9783 allows 32, 48 and 64 bytes.
    pub fn from_hex(text: &str) -> Option<Nonce> {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let mut nonce = Nonce { bytes: [0; MAX_NONCE], length: text.len() / 2 };
        if !matches!(text.len(), 64 | 96 | 128) {
            return None;
        }
        for (byte, [high, low]) in nonce.bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(nonce)
    }

    /// The nonce in these bytes.
    pub fn new(bytes: &[u8]) -> Option<Nonce> {
        let mut nonce = Nonce { bytes: [0; MAX_NONCE], length: bytes.len() };
        nonce.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(nonce)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One request of a command; the next one follows when its answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `attest`: a nonce of the shell's own.
    Nonce,
    /// `attest`: the quote.
    Quote(Nonce),
    /// `attest`: the log, from this entry on.
    Log(usize),
    /// `rot`: what the driver has counted.
    Driver,
    /// `rot`: who is there.
    Info,
    /// `rot`: the publishers.
    Keys,
    /// `rot`: the counters, from this one on.
    Counters(usize),
    /// `rot test`
    Test,
}

impl Stage {
    /// What the user typed, for messages.
    pub fn command(self) -> &'static str {
        match self {
            Stage::Nonce | Stage::Quote(_) | Stage::Log(_) => "attest",
            _ => "rot",
        }
    }

    /// The request.
    pub fn request(self, token: u64) -> Request {
        let with = |code, data: &[u8]| Request::new(token, code, data).unwrap_or(Request::plain(token, code));
        match self {
            Stage::Nonce => Request::random(token, OWN_NONCE),
            Stage::Quote(nonce) => with(command::QUOTE, nonce.bytes()),
            Stage::Log(first) => with(command::LOG, &(first as u16).to_le_bytes()),
            Stage::Driver => Request::plain(token, DRIVER_STATUS),
            Stage::Info => Request::plain(token, command::INFO),
            Stage::Keys => Request::plain(token, command::KEYS),
            Stage::Counters(first) => with(command::COUNTERS, &(first as u16).to_le_bytes()),
            Stage::Test => Request::plain(token, command::SELF_TEST),
        }
    }

    /// What is asked once this is told.
    pub fn next(self, reply: &Reply) -> Option<Stage> {
        match self {
            Stage::Nonce => Nonce::new(reply.data()).map(Stage::Quote),
            Stage::Quote(_) => Some(Stage::Log(0)),
            Stage::Log(first) => {
                let (head, entries) = reply.log()?;
                let next = first + entries.len();
                (next < usize::from(head.total.get()) && !entries.is_empty()).then_some(Stage::Log(next))
            }
            Stage::Driver => Some(Stage::Info),
            Stage::Info => (reply.body::<Info>()?.flags & FLAG_PROVISIONED != 0).then_some(Stage::Keys),
            Stage::Keys => Some(Stage::Counters(0)),
            Stage::Counters(first) => {
                let (total, counters) = reply.counters()?;
                let next = first + counters.len();
                (next < total && !counters.is_empty()).then_some(Stage::Counters(next))
            }
            Stage::Test => None,
        }
    }

    /// Prints a row of the answer. False if there is no such row.
    pub fn print_row(self, reply: &Reply, row: usize, world: &mut impl World) -> bool {
        match self {
            Stage::Nonce => false,
            Stage::Quote(nonce) => quote_row(&nonce, reply.data(), row, world),
            Stage::Log(first) => log_row(first, reply, row, world),
            Stage::Driver => driver_row(reply, row, world),
            Stage::Info => info_row(reply, row, world),
            Stage::Keys => key_row(reply, row, world),
            Stage::Counters(first) => counter_row(first, reply, row, world),
            Stage::Test => test_row(reply, row, world),
        }
    }
}

fn quote_row(nonce: &Nonce, quote: &[u8], row: usize, world: &mut impl World) -> bool {
    let lines = quote.len().div_ceil(armour::LINE_BYTES);
    match row {
        0 => world.print(format_args!("quote of {} bytes for the nonce {}", quote.len(), Hex(nonce.bytes()))),
        1 => world.print(format_args!("-----BEGIN {}-----", armour::QUOTE)),
        row if row < lines + 2 => {
            let rest = quote.get((row - 2) * armour::LINE_BYTES..).unwrap_or(&[]);
            let line = armour::Line::new(&rest[..rest.len().min(armour::LINE_BYTES)]);
            world.print(format_args!("{}", line.text()));
        }
        row if row == lines + 2 => world.print(format_args!("-----END {}-----", armour::QUOTE)),
        _ => return false,
    }
    true
}

/// A line of the log is register, digest and name.
fn log_row(first: usize, reply: &Reply, row: usize, world: &mut impl World) -> bool {
    let Some((head, entries)) = reply.log() else { return false };
    let begin = usize::from(first == 0);
    if row < begin {
        world.print(format_args!("-----BEGIN {}-----", armour::LOG));
        return true;
    }
    if let Some(entry) = entries.get(row - begin) {
        world.print(format_args!("{} {} {}", entry.register, Hex(&entry.digest), entry.name()));
        return true;
    }
    let last = first + entries.len() >= usize::from(head.total.get()) || entries.is_empty();
    match row - begin - entries.len() {
        0 if last => world.print(format_args!("-----END {}-----", armour::LOG)),
        1 if last && head.lost.get() > 0 => {
            world.print(format_args!("the log was full: {} measurements are not in it", head.lost.get()));
        }
        _ => return false,
    }
    true
}

fn driver_row(reply: &Reply, row: usize, world: &mut impl World) -> bool {
    let Some(DriverStatus {
        state, answered, timed_out, garbled, refused, resent, bad_frames, stray, line_errors, ..
    }) = reply.body::<DriverStatus>()
    else {
        return false;
    };
    let state = match state {
        STATE_NO_DEVICE => "the board has none",
        STATE_WAITING => "waiting for its first answer",
        STATE_UP => "there",
        STATE_DOWN => "does not answer",
        _ => "?",
    };
    match row {
        0 => world.print(format_args!("root of trust: {state}")),
        1 => world.print(format_args!(
            "requests: {answered} answered, {timed_out} timed out, {garbled} garbled, {refused} refused; {resent} sent again"
        )),
        2 => world.print(format_args!(
            "line: {bad_frames} damaged frames, {stray} stray replies, {line_errors} errors of the device"
        )),
        _ => return false,
    }
    true
}

fn info_row(reply: &Reply, row: usize, world: &mut impl World) -> bool {
    let Some(info) = reply.body::<Info>() else { return false };
    let has = |flag: u8| info.flags & flag != 0;
    match row {
        0 => {
            let [major, minor, patch] = info.firmware;
            let phase = if info.phase == PHASE_BOOT { "boot has not ended" } else { "boot has ended" };
            let strap = if has(FLAG_STRAP) { ", provisioning strap set" } else { "" };
            let starts = info.starts;
            world.print(format_args!("firmware {major}.{minor}.{patch}, start {starts}, {phase}{strap}"));
        }
        1 => world.print(format_args!("firmware sha256 {}", Hex(&info.implementation_id))),
        2 if has(FLAG_PROVISIONED) => world.print(format_args!("device key {}", Hex(&info.public_key))),
        2 if has(FLAG_CORRUPT) => world.print(format_args!("{}", status::text(status::STATE_CORRUPT))),
        2 => world.print(format_args!("{}", status::text(status::NOT_PROVISIONED))),
        3 => world.print(format_args!(
            "executed {}, repeated {}, damaged frames {}, state written {} times, {} measurements",
            info.executed, info.repeated, info.bad_frames, info.state_writes, info.log_entries
        )),
        4 if has(FLAG_STORAGE_FAILED) => world.print(format_args!("{}", status::text(status::STORAGE_FAILED))),
        4 if has(FLAG_SELF_TEST_FAILED) => world.print(format_args!("{}", status::text(status::SELF_TEST_FAILED))),
        _ => return false,
    }
    true
}

fn key_row(reply: &Reply, row: usize, world: &mut impl World) -> bool {
    let keys: &[Key] = reply.entries();
    let Some(row) = row.checked_sub(1) else {
        world.print(format_args!("{} of {MAX_KEYS} publisher keys", keys.len()));
        return true;
    };
    let Some(key) = keys.get(row) else { return false };
    let digest: [u8; 32] = Sha256::digest(key.public).into();
    let state = if key.revoked == 0 { "" } else { ", revoked" };
    world.print(format_args!("  {} (key {}){state}", Hex(&digest[..8]), Hex(&key.public)));
    true
}

fn counter_row(first: usize, reply: &Reply, row: usize, world: &mut impl World) -> bool {
    let Some((total, counters)) = reply.counters() else { return false };
    let head = usize::from(first == 0);
    if row < head {
        world.print(format_args!("{total} of {MAX_COUNTERS} counters"));
        return true;
    }
    let Some(counter) = counters.get(row - head) else { return false };
    world.print(format_args!("  {}: {}", Hex(&counter.id[..8]), counter.value));
    true
}

fn test_row(reply: &Reply, row: usize, world: &mut impl World) -> bool {
    let (Some(result), Some(name)) = (reply.body::<SelfTest>(), SELF_TESTS.get(row)) else { return false };
    let failed = result.failed.get() >> row & 1 != 0;
    world.print(format_args!("{name}: {}", if failed { "FAILED" } else { "good" }));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_have_three_lengths() {
        assert_eq!(Nonce::from_hex(&"0aF".repeat(32)).unwrap().bytes()[..3], [0x0a, 0xf0, 0xaf]);
        for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32)] {
            assert_eq!(Nonce::from_hex(text), None, "{text}");
        }
    }
}
