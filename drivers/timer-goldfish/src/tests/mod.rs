//! The driver on a device made of fake registers, with clients that call and clients with links.

mod calls;
mod device;
mod links;
mod model;
mod restart;
