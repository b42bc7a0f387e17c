//! Files from the terminal program on the other end of the serial line, by XMODEM or YMODEM, into a file on the disk.
//!
//! While a transfer runs, the console leaves the terminal to it alone and typed bytes are the sender's. Each block is on the disk before it is
//! acknowledged, so nothing is kept here but the block.

use super::{Activity, Shell};
use crate::world::World;
use core::fmt;
use heapless::String;
use protocols::console::{CHUNK, FromClient, kind};
use protocols::storage::{Ask, Event, MAX_PATH, code};
use xmodem::{CANCEL, Outcome, PADDING, Receiver, SILENCE_MS, Step};

/// Where `install -` puts what it receives.
const RECEIVED: &str = "received.klb";
/// How long the storage service may take for a block, in microseconds. A sender waits about ten seconds before it repeats.
const STORE_US: u64 = 8_000_000;

/// A transfer that runs. All zeros at first.
pub(super) struct Transfer {
    receiver: Receiver,
    path: String<MAX_PATH>,
    /// What was received is an app to be installed.
    install: bool,
    /// Bytes on the disk.
    stored: u64,
    /// How many of them, at the end, look like XMODEM's filling.
    filling: u64,
}

/// What a transfer waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// The storage service makes the file, while the terminal is not yet taken.
    Making,
    /// Bytes from the sender.
    Line,
    /// The storage service takes a block.
    Storing,
    /// The storage service cuts XMODEM's filling off an app.
    Trimming,
}

impl Transfer {
    pub(super) const fn new() -> Self {
        Self { receiver: Receiver::new(), path: String::new(), install: false, stored: 0, filling: 0 }
    }
}

impl Shell<'_> {
    /// Receives a file, which must not exist yet, or an app that is installed when it is here.
    pub(super) fn receive_file(&mut self, path: &str, install: bool, world: &mut impl World) {
        self.transfer.receiver = Receiver::new();
        self.transfer.path.clear();
        let path = if install { RECEIVED } else { path };
        if self.transfer.path.push_str(path).is_err() {
            return world.print(format_args!("receive: the name is too long"));
        }
        (self.transfer.install, self.transfer.stored, self.transfer.filling) = (install, 0, 0);
        let path = &self.transfer.path;
        let asked = world.ask_storage(&if install { Ask::replace(path, &[]) } else { Ask::create(path, &[]) });
        match asked {
            Ok(request) => self.await_line(Stage::Making, request, STORE_US, world),
            Err(error) => world.print(format_args!("receive: {error}")),
        }
    }

    fn await_line(&mut self, stage: Stage, request: u32, limit_us: u64, world: &mut impl World) {
        self.activity = Activity::Receiving { stage, request, give_up_us: world.now_us() + limit_us };
    }

    /// Goes on with a transfer. False if it waits.
    pub(super) fn go_on_receiving(&mut self, stage: Stage, request: u32, due_us: u64, world: &mut impl World) -> bool {
        let is_due = world.now_us() >= due_us;
        let outcome = match stage {
            Stage::Line => return self.take_sent(is_due, world),
            Stage::Making | Stage::Storing | Stage::Trimming => match world.storage_event(&mut []) {
                Some(Event::Reply(reply, _)) if reply.id != request => return true,
                Some(Event::Reply(reply, _)) if reply.code == code::DONE => Ok(()),
                Some(Event::Reply(reply, _)) => Err(code::text(reply.code)),
                Some(Event::Restarted) => Err("the storage service restarted"),
                None if is_due => Err("the storage service does not answer"),
                None => return false,
            },
        };
        match (outcome, stage) {
            (Ok(()), Stage::Making) => {
                world.print(format_args!("send the file by XMODEM or YMODEM now; ^C gives up"));
                world.control(FromClient::new(kind::RAW_BEGIN));
                self.keys.clear();
                let step = self.transfer.receiver.silence();
                self.take_step(step, world);
            }
            (Ok(()), Stage::Trimming) => self.install_received(world),
            (Ok(()), _) => {
                let step = self.transfer.receiver.stored();
                self.take_step(step, world);
            }
            (Err(why), Stage::Making | Stage::Trimming) => {
                self.activity = Activity::Idle;
                world.print(format_args!("receive: {}: {why}", self.transfer.path));
            }
            (Err(why), _) => self.give_up(format_args!("{}: {why}", self.transfer.path.clone()), world),
        }
        true
    }

    /// Gives the receiver what came over the line.
    fn take_sent(&mut self, is_silent: bool, world: &mut impl World) -> bool {
        if self.keys.is_empty() {
            if is_silent {
                let step = self.transfer.receiver.silence();
                self.take_step(step, world);
            }
            return is_silent;
        }
        let (front, _) = self.keys.as_slices();
        let (taken, step) = self.transfer.receiver.accept(front);
        (0..taken).for_each(|_| {
            self.keys.pop_front();
        });
        self.take_step(step, world);
        true
    }

    fn take_step(&mut self, step: Step, world: &mut impl World) {
        match step {
            Step::More => self.await_line(Stage::Line, 0, SILENCE_MS * 1_000, world),
            Step::Send(bytes) => {
                send_raw(bytes, world);
                self.await_line(Stage::Line, 0, SILENCE_MS * 1_000, world);
            }
            // The file is the one that was named here; what the sender calls it does not matter.
            Step::Begin => {
                let step = self.transfer.receiver.stored();
                self.take_step(step, world);
            }
            Step::Store => {
                let Transfer { receiver, path, stored, filling, .. } = &mut self.transfer;
                let data = receiver.data();
                let asked = world.ask_storage(&Ask::write(path, *stored, data));
                *stored += data.len() as u64;
                *filling = data.iter().rev().take_while(|byte| **byte == PADDING).count() as u64;
                match asked {
                    Ok(request) => self.await_line(Stage::Storing, request, STORE_US, world),
                    Err(error) => self.give_up(format_args!("{error}"), world),
                }
            }
            Step::Done(bytes, outcome) => {
                send_raw(bytes, world);
                self.finish_receiving(outcome, world);
            }
            Step::Failed(error) => self.give_up(format_args!("{error}"), world),
        }
    }

    fn finish_receiving(&mut self, outcome: Outcome, world: &mut impl World) {
        world.control(FromClient::new(kind::RAW_END));
        self.activity = Activity::Idle;
        let Transfer { ref path, install, stored, filling, .. } = self.transfer;
        if !outcome.padded || filling == 0 {
            world.print(format_args!("{path}: {stored} bytes received"));
        } else if !install {
            world.print(format_args!(
                "{path}: {stored} bytes received, {filling} of them at the end are perhaps XMODEM's filling"
            ));
        } else {
            // A bundle that really ends so is refused as too short; by YMODEM it arrives as it is.
            world.print(format_args!("{path}: {} bytes received, without XMODEM's filling", stored - filling));
            let asked = world.ask_storage(&Ask::truncate(path, stored - filling));
            return match asked {
                Ok(request) => self.await_line(Stage::Trimming, request, STORE_US, world),
                Err(error) => world.print(format_args!("receive: {error}")),
            };
        }
        if install {
            self.install_received(world);
        }
    }

    fn install_received(&mut self, world: &mut impl World) {
        self.activity = Activity::Idle;
        self.ask_apps(protocols::apps::op::INSTALL, RECEIVED, 0, world);
    }

    /// Ends a transfer that failed, and removes what was stored of the file.
    fn give_up(&mut self, why: fmt::Arguments<'_>, world: &mut impl World) {
        send_raw(CANCEL, world);
        world.control(FromClient::new(kind::RAW_END));
        self.activity = Activity::Idle;
        world.print(format_args!("receive: {why}"));
        // Without storage the file stays as it is; that was said then.
        let _ = world.ask_storage(&Ask::remove(&self.transfer.path));
    }
}

fn send_raw(bytes: &[u8], world: &mut impl World) {
    for part in bytes.chunks(CHUNK) {
        world.control(FromClient::new(kind::RAW).with_text(part));
    }
}
