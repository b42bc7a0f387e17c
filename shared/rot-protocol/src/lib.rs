//! The mailbox of the root of trust: what goes over the serial line between it and its host.
//!
//! The shape is that of Caliptra's mailbox (a command, a length, data; a status word with every reply; checksums over
//! both), made fit for a line that loses, invents and repeats bytes: every message is a [frame](frame) that can be found
//! again after garbage, carries the number of its request, and may be sent once more without being executed twice.
//!
//! * The host sends [`frame::Kind::Request`]s, each with an id of its own choice; several may be under way. The root of trust
//!   executes them in order and answers each with one [`frame::Kind::Reply`] that repeats id and command.
//! * A frame whose checksum is wrong is dropped and counted. The host waits for a time and sends the *same frame* again; the
//!   root of trust remembers what it answered to the last [`REMEMBERED`] requests that change something, and repeats its answer
//!   instead of executing one twice.
//! * A host that (re)starts begins with [`command::SYNC`]: what was remembered is forgotten, so that its ids are new ones.
//!
//! All numbers are little-endian.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod armour;
pub mod command;
pub mod data;
pub mod frame;
pub mod status;

/// The most bytes of data in a request.
pub const MAX_REQUEST_DATA: usize = 320;
/// The most bytes of data in a reply.
pub const MAX_REPLY_DATA: usize = 1536;
/// How many answers to requests that change something are remembered.
pub const REMEMBERED: usize = 8;
/// Measurement registers, numbered from 0.
pub const REGISTERS: usize = 8;
/// The registers from 0 up to this one are the boot ROM's: nobody extends them once the boot has ended.
pub const BOOT_REGISTERS: usize = 4;
/// Publisher keys that can be enrolled, revoked ones included.
pub const MAX_KEYS: usize = 16;
/// Counters that can exist. A counter is made by its first use and never goes away.
pub const MAX_COUNTERS: usize = 64;
/// Measurements whose names are remembered since the last start.
pub const MAX_LOG: usize = 128;
/// Bytes of randomness that one request gives at most.
pub const MAX_RANDOM: usize = 256;
/// Bytes of the longest secret that can be sealed.
pub const MAX_SECRET: usize = 256;

/// What each register is for. A verifier prints these names.
pub const REGISTER_NAMES: [&str; REGISTERS] =
    ["image", "kernel", "programs", "regions", "apps", "models", "custom6", "custom7"];
