//! The driver on a clip and on devices that misbehave, with a client that does so too.

mod device;
mod driver;
