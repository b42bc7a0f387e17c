//! What apps in Rust are written with.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! use sdk::{App, Error, info};
//!
//! sdk::main!(main);
//!
//! fn main(app: &mut App) -> Result<(), Error> {
//!     info!(app, "hello from {}", app.name());
//!     Ok(())
//! }
//! ```
//!
//! Every call ends in a bounded time, with a value or an [`Error`]. An app that has nothing to do calls [`App::wait`], and is woken by
//! timers, keywords, jobs of models that have ended, and the wish that it ends. Bounds of each call are in
//! [`app_abi::call`].
#![cfg_attr(not(test), no_std)]

mod error;
mod models;
mod port;
#[cfg(target_os = "none")]
mod start;
mod store;

pub use app_abi::{Permission, Permissions, call};
pub use error::Error;
pub use models::{Job, ModelInfo, Run};
pub use port::Port;
#[cfg(target_os = "none")]
#[doc(hidden)]
pub use start::run;

use app_abi::call::event;
use app_abi::info::{Info, text};
use app_abi::map;
use app_abi::ring::Reply;
use core::fmt::{self, Write};
use heapless::{Deque, String};

/// Replies and events that came while another was waited for.
const INBOX: usize = app_abi::ring::SLOTS as usize + app_abi::ring::MAX_PENDING;

/// How urgent a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Level {
    /// Something did not work.
    Error = call::LEVEL_ERROR,
    /// Something is odd, and the app goes on.
    Warning = call::LEVEL_WARNING,
    /// What users want to see.
    Info = call::LEVEL_INFO,
    /// What developers want to see; not printed unless the console is told to.
    Debug = call::LEVEL_DEBUG,
}

/// What an app is woken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A timer expired.
    Timer {
        /// Which.
        id: usize,
        /// How often since it was told last: more than once only if it is periodic.
        times: u64,
    },
    /// The app is to end soon, by returning or with [`App::exit`].
    Stop,
    /// A keyword was detected.
    Keyword {
        /// The word.
        word: Word,
        /// How many were detected before, since the spotter started.
        number: u64,
        /// How sure the model is, in thousandths.
        confidence: u32,
        /// When, in nanoseconds since the machine's start.
        time_ns: u64,
        /// Keywords that were dropped before this one.
        dropped: u64,
    },
    /// A job of a model has ended.
    Job {
        /// Which.
        job: Job,
        /// How.
        outcome: Result<Run, Error>,
    },
}

/// A keyword's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word([u8; 16]);

impl Word {
    /// The text, of at most 16 bytes.
    pub fn as_str(&self) -> &str {
        text(&self.0)
    }
}

/// An app's way to everything outside of it.
pub struct App {
    port: Port,
    inbox: Deque<Reply, INBOX>,
}

impl App {
    /// The app behind these rings. [`main!`] makes it.
    pub fn new(port: Port) -> Self {
        Self { port, inbox: Deque::new() }
    }

    /// What the app manager says of the app and the device.
    pub fn info(&self) -> &Info {
        self.port.info()
    }

    /// The app's name, of its manifest.
    pub fn name(&self) -> &str {
        text(&self.info().name)
    }

    /// The app's publisher, of its manifest.
    pub fn publisher(&self) -> &str {
        text(&self.info().publisher)
    }

    /// The app's version: major, minor, patch.
    pub fn version(&self) -> [u16; 3] {
        let [major, minor, patch, _] = self.info().version;
        [major, minor, patch]
    }

    /// Whether the manifest asks for this permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.info().permissions >> permission as u32 & 1 != 0
    }

    /// How often the app was started since the machine's start, this time included.
    pub fn starts(&self) -> u64 {
        self.info().starts
    }

    /// Nanoseconds since the machine's start.
    pub fn now_ns(&self) -> u64 {
        (u128::from(self.port.ticks()) * 1_000_000_000 / u128::from(self.info().timebase_hz.max(1))) as u64
    }

    /// Prints a line of at most [`call::MAX_LOG_BYTES`]; what is longer is cut off. The macros [`error!`], [`warning!`], [`info!`] and
    /// [`debug!`] are shorter.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], or [`Error::Dropped`] when the console has no room.
    pub fn log(&mut self, level: Level, line: fmt::Arguments<'_>) -> Result<(), Error> {
        let mut cut = Cut(String::new());
        // It never fails: what does not fit is cut off.
        let _ = cut.write_fmt(line);
        self.ask(call::LOG, [level as u64, address(cut.0.as_bytes()), cut.0.len() as u64]).map(|_| ())
    }

    /// Sets timer `id`, below [`call::TIMERS`], to expire once, after so many nanoseconds.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], or [`Error::BadArgument`] when there is no such timer or the time is too long.
    pub fn set_timer(&mut self, id: usize, delay_ns: u64) -> Result<(), Error> {
        self.ask(call::TIMER_SET, [id as u64, delay_ns, 0]).map(|_| ())
    }

    /// Sets timer `id` to expire every so many nanoseconds, at least [`call::MIN_PERIOD_NS`], first that long from now. The
    /// times do not drift.
    ///
    /// # Errors
    /// As [`App::set_timer`].
    pub fn set_periodic(&mut self, id: usize, period_ns: u64) -> Result<(), Error> {
        if period_ns == 0 {
            return Err(Error::BadArgument);
        }
        self.ask(call::TIMER_SET, [id as u64, period_ns, period_ns]).map(|_| ())
    }

    /// Cancels timer `id`, and an expiry of it that [`App::wait`] has not told of yet. True if there was either.
    ///
    /// # Errors
    /// As [`App::set_timer`].
    pub fn cancel_timer(&mut self, id: usize) -> Result<bool, Error> {
        let [cancelled, ..] = self.ask(call::TIMER_CANCEL, [id as u64])?;
        let is_other = |reply: &Reply| reply.call != event::TIMER || reply.values[0] != id as u64;
        let before = self.inbox.len();
        for _ in 0..before {
            if let Some(reply) = self.inbox.pop_front().filter(is_other) {
                // One was taken out, so there is room.
                let _ = self.inbox.push_back(reply);
            }
        }
        Ok(cancelled != 0 || self.inbox.len() < before)
    }

    /// Fills `bytes` with random bytes of the root of trust.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], or [`Error::Unavailable`] when there is no root of trust.
    pub fn random(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        for part in bytes.chunks_mut(call::MAX_RANDOM_BYTES as usize) {
            self.ask(call::RANDOM, [address_mut(part), part.len() as u64])?;
        }
        Ok(())
    }

    /// Begins the delivery of keywords, or ends it.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], or [`Error::Unavailable`] when nothing listens for keywords.
    pub fn listen(&mut self, wanted: bool) -> Result<(), Error> {
        self.ask(call::KEYWORDS, [wanted.into()]).map(|_| ())
    }

    /// Waits for whatever comes first.
    pub fn wait(&mut self) -> Event {
        loop {
            if let Some(event) = self.poll() {
                return event;
            }
            self.port.wait();
        }
    }

    /// What has come already, if anything has.
    pub fn poll(&mut self) -> Option<Event> {
        while let Some(reply) = self.inbox.pop_front().or_else(|| self.port.take()) {
            let [first, second, third, fourth, fifth, sixth] = reply.values;
            return Some(match reply.call {
                event::TIMER => Event::Timer { id: first as usize, times: second },
                event::STOP => Event::Stop,
                event::KEYWORD => {
                    let word = Word((u128::from(fifth) | u128::from(sixth) << 64).to_le_bytes());
                    Event::Keyword { word, number: first, confidence: second as u32, time_ns: third, dropped: fourth }
                }
                call::MODEL_SUBMIT => Event::Job { job: Job(reply.token), outcome: Run::of(&reply) },
                // A reply that nobody waits for.
                _ => continue,
            });
        }
        None
    }

    /// Ends the app with this code.
    pub fn exit(&mut self, code: i64) -> ! {
        loop {
            // With no room for the request, replies are taken to make some.
            if self.port.put(call::EXIT, [code as u64]).is_err() {
                while self.port.take().is_some() {}
            }
            self.port.wait();
        }
    }

    /// Asks, and waits for the reply. What comes before it is kept for [`App::wait`].
    fn ask<const N: usize>(&mut self, number: u32, arguments: [u64; N]) -> Result<[u64; 6], Error> {
        let token = self.send(number, arguments)?;
        loop {
            let Some(reply) = self.port.take() else {
                self.port.wait();
                continue;
            };
            if (reply.call, reply.token) == (number, token) {
                return Error::of(reply.status).map_or(Ok(reply.values), Err);
            }
            if self.inbox.push_back(reply).is_err() {
                // More than there can be: requests under way and a whole ring of events.
                self.inbox.pop_front();
            }
        }
    }

    fn send<const N: usize>(&mut self, number: u32, arguments: [u64; N]) -> Result<u32, Error> {
        if let Ok(token) = self.port.put(number, arguments) {
            return Ok(token);
        }
        // The ring of requests is full: the app manager takes no more until it has room for the replies.
        while !self.inbox.is_full()
            && let Some(reply) = self.port.take()
        {
            let _ = self.inbox.push_back(reply);
        }
        self.port.put(number, arguments).map_err(|_| Error::Busy)
    }
}

/// Where bytes lie, for the app manager to read them.
fn address(bytes: &[u8]) -> u64 {
    // It must be the app's own memory, even if there are no bytes.
    if bytes.is_empty() { map::STACK } else { bytes.as_ptr().expose_provenance() as u64 }
}

/// Where bytes lie, for the app manager to write them while the app waits.
fn address_mut(bytes: &mut [u8]) -> u64 {
    if bytes.is_empty() { map::STACK } else { bytes.as_mut_ptr().expose_provenance() as u64 }
}

/// Text that is cut off where a line ends.
struct Cut(String<{ call::MAX_LOG_BYTES as usize }>);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.push(character).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Prints a line of [`Level::Error`]: `error!(app, "no {}", name)`. One that the console has no room for is dropped.
#[macro_export]
macro_rules! error {
    ($app:expr, $($text:tt)*) => {{ let line = $crate::line(::core::format_args!($($text)*)); let _ = $app.log($crate::Level::Error, ::core::format_args!("{line}")); }};
}

/// Prints a line of [`Level::Warning`].
#[macro_export]
macro_rules! warning {
    ($app:expr, $($text:tt)*) => {{ let line = $crate::line(::core::format_args!($($text)*)); let _ = $app.log($crate::Level::Warning, ::core::format_args!("{line}")); }};
}

/// Prints a line of [`Level::Info`].
#[macro_export]
macro_rules! info {
    ($app:expr, $($text:tt)*) => {{ let line = $crate::line(::core::format_args!($($text)*)); let _ = $app.log($crate::Level::Info, ::core::format_args!("{line}")); }};
}

/// Prints a line of [`Level::Debug`].
#[macro_export]
macro_rules! debug {
    ($app:expr, $($text:tt)*) => {{ let line = $crate::line(::core::format_args!($($text)*)); let _ = $app.log($crate::Level::Debug, ::core::format_args!("{line}")); }};
}

/// The text of a line, so that it may speak of the app that prints it.
#[doc(hidden)]
pub fn line(text: fmt::Arguments<'_>) -> String<{ call::MAX_LOG_BYTES as usize }> {
    let mut cut = Cut(String::new());
    let _ = cut.write_fmt(text);
    cut.0
}

/// Names the function that the app begins with: `main!(main)`, where `main` takes `&mut App` and gives `()`, an exit code, or a
/// `Result` of either, whose error ends the app with a line and the code 1.
#[macro_export]
macro_rules! main {
    ($main:path) => {
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        extern "C" fn __app_main() -> ! {
            $crate::run($main)
        }
    };
}

/// What an app's main function may give.
pub trait Exit {
    /// The exit code; says what went wrong.
    fn code(self, app: &mut App) -> i64;
}

impl Exit for () {
    fn code(self, _: &mut App) -> i64 {
        0
    }
}

impl Exit for i64 {
    fn code(self, _: &mut App) -> i64 {
        self
    }
}

impl<T: Exit, E: fmt::Display> Exit for Result<T, E> {
    fn code(self, app: &mut App) -> i64 {
        match self {
            Ok(value) => value.code(app),
            Err(error) => {
                error!(app, "ends: {error}");
                1
            }
        }
    }
}

#[cfg(test)]
mod tests;
