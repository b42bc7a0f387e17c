//! The root of trust, as its driver offers it to clients: requests by ring, replies by ring.
//!
//! Commands, their data and the status words are those of the serial line ([`rot_protocol`]), so that there is one
//! definition of each. The driver adds a token of the client's choice, a time after which the client no longer wants to wait,
//! and status words of its own (from [`status::FIRST_OF_DRIVER`] on).
//!
//! Every request gets exactly one reply, whatever the root of trust does: if it is dead, slow or lies, the reply says so at the
//! latest when the request's time is over. Only if the driver itself restarts are requests lost; then the link begins a
//! new session ([`ring::Link::poll`] tells). The driver takes [`MAX_UNDER_WAY`] requests of a client at a time; more wait
//! in the ring.
//!
//! ```ignore
//! link.push(&rot::Request::verify(token, kid, digest, signature))?;
//! // … once the link is notified:
//! let reply = link.pop()?;                        // reply.token == token
//! if reply.status == status::OK { /* the publisher signed this digest */ }
//! ```

pub use rot_protocol::data::{
    Advance, Counter, Digest, Info, Key, Kid, LogHead, Measurement, NAME_BYTES, SelfTest, Verify,
};
pub use rot_protocol::{
    BOOT_REGISTERS, MAX_COUNTERS, MAX_KEYS, MAX_LOG, MAX_RANDOM, MAX_REPLY_DATA, MAX_REQUEST_DATA, MAX_SECRET,
    REGISTER_NAMES, REGISTERS, command, data, status,
};
use zerocopy::byteorder::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"ROTC");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Clients of the driver: its links `client0` and so on.
pub const CLIENTS: usize = 4;
/// Requests of one client that may be under way at once.
pub const MAX_UNDER_WAY: usize = 4;
/// Milliseconds that a request with a time of 0 gets.
pub const DEFAULT_TIMEOUT_MS: u32 = 4_000;
/// The most milliseconds that a request gets.
pub const MAX_TIMEOUT_MS: u32 = 60_000;

/// Command for the driver alone: what it has counted, a [`DriverStatus`]. Answered at once.
pub const DRIVER_STATUS: u32 = u32::from_le_bytes(*b"DRVS");

/// [`DriverStatus::state`]: the board has no such line.
pub const STATE_NO_DEVICE: u32 = 0;
/// [`DriverStatus::state`]: no answer has come yet.
pub const STATE_WAITING: u32 = 1;
/// [`DriverStatus::state`]: it answers.
pub const STATE_UP: u32 = 2;
/// [`DriverStatus::state`]: it has answered nothing for some seconds. Each request makes the driver look once more, for
/// a second.
pub const STATE_DOWN: u32 = 3;

/// From a client to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// Comes back in the reply.
    pub token: u64,
    /// One of [`command`], or [`DRIVER_STATUS`].
    pub command: u32,
    /// Milliseconds until the request is given up; 0 stands for [`DEFAULT_TIMEOUT_MS`].
    pub timeout_ms: u32,
    /// Bytes of data.
    pub length: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The data.
    pub data: [u8; MAX_REQUEST_DATA],
}

/// From the driver to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The request's.
    pub token: u64,
    /// The request's.
    pub command: u32,
    /// One of [`status`].
    pub status: u32,
    /// Bytes of data.
    pub length: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The data.
    pub data: [u8; MAX_REPLY_DATA],
}

/// Reply to [`DRIVER_STATUS`]: counts since the driver started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DriverStatus {
    /// `STATE_*`.
    pub state: u32,
    /// Requests under way now.
    pub under_way: u32,
    /// Requests answered by the root of trust.
    pub answered: u64,
    /// Requests whose time was over first.
    pub timed_out: u64,
    /// Requests answered with something that is no answer to them.
    pub garbled: u64,
    /// Requests refused by the driver.
    pub refused: u64,
    /// Times that a request was sent again.
    pub resent: u64,
    /// Damaged frames received.
    pub bad_frames: u64,
    /// Whole replies to nothing that was asked, or to what was given up.
    pub stray: u64,
    /// Errors of the line that the device reports: bytes lost or damaged.
    pub line_errors: u64,
}

impl Request {
    /// A request; `None` if there are more bytes of data than fit.
    pub fn new(token: u64, command: u32, data: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_REQUEST_DATA];
        bytes.get_mut(..data.len())?.copy_from_slice(data);
        Some(Request { token, command, timeout_ms: 0, length: data.len() as u32, reserved: 0, data: bytes })
    }

    /// A request whose data surely fits.
    fn fixed<const N: usize>(token: u64, command: u32, data: &[u8; N]) -> Self {
        const { assert!(N <= MAX_REQUEST_DATA) };
        let mut bytes = [0; MAX_REQUEST_DATA];
        bytes[..N].copy_from_slice(data);
        Request { token, command, timeout_ms: 0, length: N as u32, reserved: 0, data: bytes }
    }

    /// A command without data.
    pub fn plain(token: u64, command: u32) -> Self {
        Self::fixed(token, command, &[])
    }

    /// Is this the signature of the publisher `kid` over `digest`? [`status::OK`] says yes.
    pub fn verify(token: u64, kid: Kid, digest: Digest, signature: [u8; 64]) -> Self {
        let data: [u8; size_of::<Verify>()] = zerocopy::transmute!(Verify { kid, digest, signature });
        Self::fixed(token, command::VERIFY, &data)
    }

    /// `bytes` random bytes, at most [`MAX_RANDOM`].
    pub fn random(token: u64, bytes: u16) -> Self {
        Self::fixed(token, command::RANDOM, &bytes.to_le_bytes())
    }

    /// Adds a measurement to a register. The reply has the register's new value.
    pub fn extend(token: u64, register: usize, name: &str, digest: Digest) -> Self {
        let data: [u8; size_of::<Measurement>()] = zerocopy::transmute!(Measurement::new(register, name, digest));
        Self::fixed(token, command::EXTEND, &data)
    }

    /// A quote with this nonce, which has 32, 48 or 64 bytes; others are refused.
    pub fn quote(token: u64, nonce: &[u8]) -> Option<Self> {
        Self::new(token, command::QUOTE, nonce)
    }

    /// Seals a secret to the registers in `mask`; `None` if it is longer than [`MAX_SECRET`].
    pub fn seal(token: u64, mask: u8, secret: &[u8]) -> Option<Self> {
        let mut request = Self::fixed(token, command::SEAL, &[mask]);
        request.data.get_mut(1..1 + secret.len()).filter(|_| secret.len() <= MAX_SECRET)?.copy_from_slice(secret);
        request.length += secret.len() as u32;
        Some(request)
    }

    /// The value of a counter, 0 if it was never used: see [`Reply::value`].
    pub fn counter_read(token: u64, id: Digest) -> Self {
        Self::fixed(token, command::COUNTER_READ, &id)
    }

    /// Adds 1 to a counter.
    pub fn counter_increment(token: u64, id: Digest) -> Self {
        Self::fixed(token, command::COUNTER_INCREMENT, &id)
    }

    /// Sets a counter to `value`, or says [`status::ROLLBACK`] if it is beyond it.
    pub fn counter_advance(token: u64, id: Digest, value: u64) -> Self {
        let data: [u8; size_of::<Advance>()] = zerocopy::transmute!(Advance { id, value: U64::new(value) });
        Self::fixed(token, command::COUNTER_ADVANCE, &data)
    }

    /// The same with another time.
    pub fn with_timeout_ms(self, timeout_ms: u32) -> Self {
        Self { timeout_ms, ..self }
    }

    /// The data; `None` if the length is impossible.
    pub fn data(&self) -> Option<&[u8]> {
        self.data.get(..self.length as usize)
    }
}

impl Reply {
    /// The reply to `request`.
    pub fn new(token: u64, command: u32, status: u32, data: &[u8]) -> Self {
        let mut bytes = [0; MAX_REPLY_DATA];
        let length = data.len().min(MAX_REPLY_DATA);
        bytes[..length].copy_from_slice(&data[..length]);
        Reply { token, command, status, length: length as u32, reserved: 0, data: bytes }
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.data[..(self.length as usize).min(MAX_REPLY_DATA)]
    }

    /// The data as one structure, if it is exactly that long.
    pub fn body<T: FromBytes>(&self) -> Option<T> {
        T::read_from_bytes(self.data()).ok()
    }

    /// The value of a counter.
    pub fn value(&self) -> Option<u64> {
        self.body::<U64>().map(U64::get)
    }

    /// The entries of a reply that is nothing but entries.
    pub fn entries<T: FromBytes + Immutable + Unaligned>(&self) -> &[T] {
        <[T]>::ref_from_bytes(self.data()).unwrap_or(&[])
    }

    /// The head and the entries of a part of the log.
    pub fn log(&self) -> Option<(LogHead, &[Measurement])> {
        let (head, rest) = LogHead::read_from_prefix(self.data()).ok()?;
        Some((head, <[Measurement]>::ref_from_bytes(rest).ok()?))
    }

    /// How many counters there are, and some of them.
    pub fn counters(&self) -> Option<(usize, &[Counter])> {
        let (total, rest) = U16::read_from_prefix(self.data()).ok()?;
        Some((total.get().into(), <[Counter]>::ref_from_bytes(rest).ok()?))
    }
}

/// The commands that clients may send: the boot's belong to who boots, and what begins a session to the driver.
pub fn is_for_clients(code: u32) -> bool {
    use command::*;
    matches!(
        code,
        INFO | SELF_TEST
            | RANDOM
            | EXTEND
            | REGISTERS
            | LOG
            | VERIFY
            | KEYS
            | QUOTE
            | SEAL
            | UNSEAL
            | COUNTER_READ
            | COUNTER_INCREMENT
            | COUNTER_ADVANCE
            | COUNTERS
    )
}

const _: () = assert!(size_of::<Request>().is_multiple_of(8) && size_of::<Reply>().is_multiple_of(8));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_carry_what_they_say() {
        let request = Request::verify(7, [1; 8], [2; 32], [3; 64]);
        let verify = Verify::read_from_bytes(request.data().unwrap()).unwrap();
        assert_eq!((verify.kid, verify.digest, verify.signature), ([1; 8], [2; 32], [3; 64]));
        assert_eq!(Request::quote(1, &[0; 400]), None);
        assert_eq!(Request::seal(1, 1, &[0; MAX_SECRET + 1]), None);
        assert_eq!(Request::seal(1, 15, b"abc").unwrap().data(), Some(&b"\x0fabc"[..]));
        let wrong = Request { length: 321, ..request };
        assert_eq!(wrong.data(), None);
        let measured = Request::extend(1, 4, "app", [9; 32]);
        assert_eq!(Measurement::read_from_bytes(measured.data().unwrap()).unwrap().name(), "app");
    }

    #[test]
    fn replies_give_what_they_carry_or_nothing() {
        let reply = Reply::new(1, command::COUNTER_READ, 0, &5u64.to_le_bytes());
        assert_eq!(reply.value(), Some(5));
        assert_eq!(reply.body::<Info>(), None);
        assert_eq!(Reply { length: u32::MAX, ..reply }.data().len(), MAX_REPLY_DATA);
        let key = Key { public: [4; 32], revoked: 1 };
        let keys = Reply::new(1, command::KEYS, 0, [key, key].as_bytes());
        assert_eq!(keys.entries::<Key>(), [key, key]);
        assert_eq!(Reply { length: 34, ..keys }.entries::<Key>(), []);
        assert_eq!(Reply { length: 3, ..keys }.log(), None);
        let counters = Reply::new(1, command::COUNTERS, 0, &[&[1u8, 0][..], Counter::default().as_bytes()].concat());
        assert_eq!(counters.counters(), Some((1, &[Counter::default()][..])));
    }

    #[test]
    fn who_boots_and_who_drives_have_commands_of_their_own() {
        assert!(is_for_clients(command::VERIFY));
        for code in [command::SYNC, command::END_BOOT, command::ENROLL, command::REVOKE, DRIVER_STATUS, 0] {
            assert!(!is_for_clients(code));
        }
    }
}
