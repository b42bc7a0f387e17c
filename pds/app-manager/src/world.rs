//! What the app manager does to the world.

use core::fmt;
use protocols::apps::Answer;
use protocols::console::Level;
use protocols::{model, rot, storage};

use crate::fault::Place;

/// The sandboxes' threads, the services, the shell and the clock. None of it waits; replies of services come back as calls of
/// [`Manager`](crate::Manager).
pub trait World {
    /// Nanoseconds since the machine's start.
    fn now_ns(&mut self) -> u64;

    /// Stops a sandbox wherever it is.
    fn stop(&mut self, slot: usize);
    /// Starts a sandbox at its entry; what was written as its code is what it executes.
    fn start(&mut self, slot: usize);
    /// Lets a stopped sandbox go on.
    fn resume(&mut self, slot: usize);
    /// Notifies a sandbox.
    fn notify(&mut self, slot: usize);
    /// Where a stopped or faulted sandbox is.
    fn place(&mut self, slot: usize) -> Option<Place>;
    /// Microseconds of processor time since this was asked last.
    fn cpu_us(&mut self, slot: usize) -> Option<u64>;

    /// Prints a line. False if the console has no room: it is dropped and counted.
    fn say(&mut self, level: Level, text: fmt::Arguments<'_>) -> bool;
    /// Tells the shell. What finds no room is dropped: the shell gives up after a while.
    fn answer(&mut self, answer: Answer);

    /// Asks the storage service.
    ///
    /// # Errors
    /// When it takes nothing now.
    fn storage(&mut self, ask: &storage::Ask<'_>) -> Result<u32, storage::ClientError>;
    /// The most bytes that one request to the storage service may send or receive.
    fn storage_room(&self) -> usize;
    /// Asks the root of trust. False if its driver is not there, or takes nothing now.
    fn rot(&mut self, request: rot::Request) -> bool;
    /// Asks the model runner on behalf of a slot. False if it is not there, or takes nothing now.
    fn models(&mut self, slot: usize, request: model::Request) -> bool;
    /// Begins or ends the delivery of keywords to the app manager. False if there is nobody to deliver them.
    fn keywords(&mut self, wanted: bool) -> bool;
}
