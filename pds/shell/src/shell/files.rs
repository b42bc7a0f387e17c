//! What the shell wants of the storage service.

use super::{Activity, Shell};
use crate::storage::{Action, Next};
use crate::words::Words;
use crate::world::World;
use protocols::storage::Event;

/// How long the storage service may take, which tries a disk that fails several times, in microseconds.
const STORAGE_TIMEOUT_US: u64 = 90_000_000;

impl Shell<'_> {
    pub(super) fn store(&mut self, action: Action, words: &Words, world: &mut impl World) {
        if self.storage.set(action, words) {
            self.ask_storage(world);
        } else {
            world.print(format_args!("{}: the name is too long", action.name()));
        }
    }

    /// A line was typed that belongs to a file; a single dot ends it.
    pub(super) fn store_line(&mut self, world: &mut impl World) {
        if self.line == "." {
            self.storage.end_typing();
        } else {
            self.storage.set_line(&self.line);
            self.ask_storage(world);
        }
        self.line.clear();
    }

    fn ask_storage(&mut self, world: &mut impl World) {
        match world.ask_storage(&self.storage.ask()) {
            Ok(request) => {
                let give_up_us = world.now_us() + STORAGE_TIMEOUT_US;
                self.activity = Activity::AskingStorage { request, give_up_us };
            }
            Err(error) => {
                self.activity = Activity::Idle;
                self.storage.end_typing();
                world.print(format_args!("{}: {error}", self.storage.command()));
            }
        }
    }

    /// Looks whether the reply has come. False if it may still come.
    pub(super) fn await_storage(&mut self, request: u32, give_up_us: u64, world: &mut impl World) -> bool {
        loop {
            let next = match world.storage_event(self.storage.room()) {
                // One to a request that was given up is of no use any more.
                Some(Event::Reply(reply, _)) if reply.id != request => continue,
                Some(Event::Reply(reply, length)) => self.storage.replied(&reply, length, world),
                Some(Event::Restarted) => {
                    self.storage.end_typing();
                    world.print(format_args!(
                        "{}: the storage service restarted; it is open whether this was done",
                        self.storage.command()
                    ));
                    Next::Done
                }
                None if world.now_us() < give_up_us => return false,
                None => {
                    self.storage.end_typing();
                    world.print(format_args!("{}: the storage service does not answer", self.storage.command()));
                    Next::Done
                }
            };
            self.go_on(next, world);
            return true;
        }
    }

    /// Shows the next row of a reply.
    pub(super) fn show_stored(&mut self, world: &mut impl World) {
        let next = self.storage.show(world);
        self.go_on(next, world);
    }

    fn go_on(&mut self, next: Next, world: &mut impl World) {
        match next {
            Next::Show => self.activity = Activity::ShowingStored,
            Next::Ask => self.ask_storage(world),
            Next::Done => self.activity = Activity::Idle,
        }
    }
}
