//! The driver on a device made of fake registers, with a client at the other end of the link.

mod device;
mod operations;
mod scenes;
