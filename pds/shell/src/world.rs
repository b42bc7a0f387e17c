//! What the shell needs of the rest of the system. Nothing here waits.

use core::fmt;
use protocols::console::{FromClient, FromConsole};
use protocols::supervisor::{Answer, ChildStats, Request};

/// The shell's links and devices, or what a test puts in their place.
pub trait World {
    /// Microseconds since the machine started.
    fn now_us(&mut self) -> u64;
    /// Asks to be run again at this time, in place of any time asked for before. False if there is no timer.
    fn wake_at(&mut self, time_us: u64) -> bool;

    /// Whether this many entries fit into the ring to the console; if not, the shell is run again when they do.
    fn console_has_room(&mut self, entries: usize) -> bool;
    /// Prints a line.
    fn print(&mut self, text: fmt::Arguments<'_>);
    /// Sends an entry that is not a line.
    fn control(&mut self, entry: FromClient);
    /// The next entry from the console.
    fn receive(&mut self) -> Option<FromConsole>;

    /// Sends a request to the supervisor. False if that is not possible now.
    fn ask(&mut self, request: Request) -> bool;
    /// The next answer of the supervisor.
    fn answer(&mut self) -> Option<Answer>;
    /// What the supervisor publishes about a child.
    fn stats(&mut self, child: usize) -> Option<ChildStats>;

    /// Switches the machine off with this exit status. Returns only if the machine cannot do that.
    fn power_off(&mut self, code: u8);
}
