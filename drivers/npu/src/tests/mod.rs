//! The driver on an accelerator made of fake registers, which works, or fails in every way.

mod device;
mod jobs;
mod layout;
mod server;
