//! The app manager: installs, checks, loads, starts, stops and serves third-party apps.
//!
//! It is the parent of the sandboxes and the only one that they can talk to. Everything that an app may reach, it reaches by way of
//! the app manager, which holds each request against the permissions of the app's signed manifest. The app manager waits
//! for nobody: what takes time goes by ring to the service that does it, and the answer comes as an event.
//!
//! [`Manager`] has the state and decides; what it does to the world goes through the trait [`World`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod area;
pub mod calls;
pub mod catalogue;
pub mod commands;
pub mod events;
pub mod fault;
pub mod launch;
pub mod loader;
pub mod manager;
pub mod memory;
pub mod requests;
pub mod restart;
pub mod services;
pub mod slot;
pub mod world;

pub use manager::Manager;
pub use world::World;

/// The most slots that a system can have.
pub const MAX_SLOTS: usize = 8;
/// The most apps that can be installed.
pub const MAX_APPS: usize = 16;
