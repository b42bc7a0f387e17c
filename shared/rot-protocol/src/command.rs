//! Commands: four letters each. The table says what data they take and give ([`crate::data`]).
//!
//! | command | data | answer |
//! |---|---|---|
//! | [`SYNC`] | eight bytes of the host's choice | the same |
//! | [`INFO`] | | [`Info`](crate::data::Info) |
//! | [`SELF_TEST`] | | [`SelfTest`](crate::data::SelfTest) |
//! | [`RANDOM`] | how many bytes, `u16` | the bytes |
//! | [`EXTEND`] | [`Measurement`](crate::data::Measurement) | the register's new value |
//! | [`REGISTERS`] | | the values of all registers |
//! | [`LOG`] | number of the first entry, `u16` | [`LogHead`](crate::data::LogHead), then [`Measurement`](crate::data::Measurement)s |
//! | [`END_BOOT`] | | |
//! | [`VERIFY`] | [`Verify`](crate::data::Verify) | |
//! | [`KEYS`] | | [`Key`](crate::data::Key)s |
//! | [`ENROLL`] | a public key, 32 bytes | its kid, 8 bytes |
//! | [`REVOKE`] | kid, 8 bytes | |
//! | [`QUOTE`] | nonce: 32, 48 or 64 bytes | a PSA attestation token |
//! | [`SEAL`] | mask of registers, one byte, then the secret | the sealed secret |
//! | [`UNSEAL`] | a sealed secret | the secret |
//! | [`COUNTER_READ`] | id, 32 bytes | value, `u64`; 0 if there is no such counter |
//! | [`COUNTER_INCREMENT`] | id | the new value |
//! | [`COUNTER_ADVANCE`] | [`Advance`](crate::data::Advance) | the value |
//! | [`COUNTERS`] | number of the first one, `u16` | how many there are, `u16`, then [`Counter`](crate::data::Counter)s |

const fn code(letters: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*letters)
}

/// Begins anew: answers remembered from before are forgotten.
pub const SYNC: u32 = code(b"SYNC");
/// Who this is, and how it is.
pub const INFO: u32 = code(b"INFO");
/// Tries every algorithm on known answers.
pub const SELF_TEST: u32 = code(b"TEST");
/// Gives random bytes.
pub const RANDOM: u32 = code(b"RAND");
/// Adds a measurement to a register.
pub const EXTEND: u32 = code(b"EXTD");
/// Reads the registers.
pub const REGISTERS: u32 = code(b"REGS");
/// Reads what was measured, in order.
pub const LOG: u32 = code(b"MLOG");
/// Ends the boot: the boot's registers are closed, and keys are no longer enrolled or revoked.
pub const END_BOOT: u32 = code(b"BOOT");
/// Checks a publisher's signature.
pub const VERIFY: u32 = code(b"VRFY");
/// Lists the publisher keys.
pub const KEYS: u32 = code(b"KEYS");
/// Adds a publisher key: before the boot has ended, and only while the provisioning strap is set.
pub const ENROLL: u32 = code(b"ENRL");
/// Revokes a publisher key for good, under the same conditions.
pub const REVOKE: u32 = code(b"REVK");
/// Signs the registers and the caller's nonce.
pub const QUOTE: u32 = code(b"QUOT");
/// Encrypts a secret so that it can be read only in a state where the chosen registers are as they are now.
pub const SEAL: u32 = code(b"SEAL");
/// Decrypts such a secret.
pub const UNSEAL: u32 = code(b"UNSL");
/// Reads a counter.
pub const COUNTER_READ: u32 = code(b"CTRD");
/// Adds 1 to a counter.
pub const COUNTER_INCREMENT: u32 = code(b"CTIN");
/// Sets a counter to a value that is not below its own.
pub const COUNTER_ADVANCE: u32 = code(b"CTAD");
/// Lists the counters.
pub const COUNTERS: u32 = code(b"CTLS");

/// Whether executing it once more would make a difference, so that its answer is remembered.
pub fn changes_state(command: u32) -> bool {
    matches!(command, EXTEND | END_BOOT | ENROLL | REVOKE | COUNTER_INCREMENT | COUNTER_ADVANCE)
}
