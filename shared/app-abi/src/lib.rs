//! The binary interface between apps and the app manager: where an app lies, what it may be allowed to do, and how it asks.
//!
//! `docs/app-abi.md` describes it for those who use neither SDK. Whoever changes anything here in a way that an existing app
//! notices raises [`API_VERSION`].
#![no_std]
#![forbid(unsafe_code)]

pub mod call;
pub mod info;
pub mod map;
pub mod permission;
pub mod ring;
pub mod status;

pub use permission::{Permission, Permissions};

/// Version of this interface. An app states the one that it was built for; a device runs apps of its own and of earlier
/// versions.
pub const API_VERSION: u32 = 1;
