//! What a reply of the root of trust must look like. The checksum says that it arrived as it was sent; this says that
//! it can be an answer to what was asked. A client never sees more, less or other data than its command gives.

use protocols::rot::data::{Counter, Info, Key, LogHead, Measurement, SelfTest};
use protocols::rot::{MAX_KEYS, MAX_SECRET, REGISTERS, command, status};

/// Whether a reply with this status and data can be the answer to that request.
pub fn is_plausible(code: u32, request: &[u8], answer: u32, data: &[u8]) -> bool {
    if answer != status::OK {
        // What the driver says about the root of trust, the root of trust cannot say itself.
        return answer < status::FIRST_OF_DRIVER && data.is_empty();
    }
    let length = data.len();
    let entries = |head: usize, size: usize| length >= head && (length - head).is_multiple_of(size);
    match code {
        command::SYNC => data == request,
        command::INFO => length == size_of::<Info>(),
        command::SELF_TEST => length == size_of::<SelfTest>(),
        command::RANDOM => request.try_into().is_ok_and(|wanted| length == usize::from(u16::from_le_bytes(wanted))),
        command::EXTEND => length == 32,
        command::REGISTERS => length == REGISTERS * 32,
        command::LOG => entries(size_of::<LogHead>(), size_of::<Measurement>()),
        command::VERIFY => length == 0,
        command::KEYS => entries(0, size_of::<Key>()) && length <= MAX_KEYS * size_of::<Key>(),
        command::QUOTE => length > 0,
        command::SEAL => length > request.len(),
        command::UNSEAL => length <= MAX_SECRET && length < request.len(),
        command::COUNTER_READ | command::COUNTER_INCREMENT => length == 8,
        // It says where the counter is now, which must be where it was to go.
        command::COUNTER_ADVANCE => length == 8 && request.get(32..) == Some(data),
        command::COUNTERS => entries(2, size_of::<Counter>()),
        _ => false,
    }
}
