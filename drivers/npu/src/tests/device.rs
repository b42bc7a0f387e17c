//! An accelerator that takes one command a step, and does with it what its operation says.

use std::cell::RefCell;
use std::rc::Rc;

use crate::layout::{Answer, Command, ID, RING_ENTRIES, VERSION, operation, provoke, state};
use crate::registers::{Counters, Registers};

pub struct State {
    pub id: u32,
    pub state: u32,
    pub reset: u32,
    pub reset_done: u32,
    pub given: u32,
    pub taken: u32,
    pub answered: u32,
    pub seen: u32,
    pub crashes: u32,
    pub heartbeat: u32,
    /// Does not even hear the doorbell.
    pub deaf: bool,
    pub interrupt: bool,
    pub commands: [Command; RING_ENTRIES as usize],
    pub answers: [Answer; RING_ENTRIES as usize],
}

/// The memory that it shares with the system.
pub const WINDOW: (u64, u64) = (0x1_0000_0000, 0x10_0000);

/// The device. Clones are the same one.
#[derive(Clone)]
pub struct Fake(pub Rc<RefCell<State>>);

impl Fake {
    pub fn new() -> Self {
        Fake(Rc::new(RefCell::new(State {
            id: ID,
            state: state::IDLE,
            reset: 0,
            reset_done: 0,
            given: 0,
            taken: 0,
            answered: 0,
            seen: 0,
            crashes: 0,
            heartbeat: 0,
            deaf: false,
            interrupt: false,
            commands: Default::default(),
            answers: Default::default(),
        })))
    }

    /// Hears a reset, or does the next command.
    pub fn step(&self) {
        let s = &mut *self.0.borrow_mut();
        if s.deaf {
            return;
        }
        if s.reset != s.reset_done {
            (s.taken, s.answered, s.state) = (s.given, s.seen, state::IDLE);
            s.reset_done = s.reset;
            return;
        }
        if s.state == state::CRASHED || s.state == state::BUSY || s.taken == s.given {
            return;
        }
        let command = s.commands[(s.taken % RING_ENTRIES) as usize];
        s.taken = s.taken.wrapping_add(1);
        let mut answer = Answer { job: command.job, ticks: 5, instructions: 70, vector_work: 90, ..Answer::default() };
        if command.operation == operation::PROVOKE {
            match command.model_at {
                provoke::HANG => {
                    s.state = state::BUSY;
                    return;
                }
                provoke::CRASH => {
                    (s.state, s.interrupt) = (state::CRASHED, true);
                    s.crashes += 1;
                    return;
                }
                _ => answer.job = !answer.job,
            }
        }
        s.answers[(s.answered % RING_ENTRIES) as usize] = answer;
        s.answered = s.answered.wrapping_add(1);
        s.interrupt = true;
    }
}

impl Registers for Fake {
    fn identity(&self) -> (u32, u32) {
        (self.0.borrow().id, VERSION)
    }

    fn state(&self) -> u32 {
        self.0.borrow().state
    }

    fn reset_done(&self) -> u32 {
        self.0.borrow().reset_done
    }

    fn taken(&self) -> u32 {
        self.0.borrow().taken
    }

    fn answered(&self) -> u32 {
        self.0.borrow().answered
    }

    fn counters(&self) -> Counters {
        Counters { error_cause: 5, crashes: self.0.borrow().crashes, ..Counters::default() }
    }

    fn heartbeat(&self) -> u32 {
        self.0.borrow().heartbeat
    }

    fn window(&self) -> (u64, u64) {
        WINDOW
    }

    fn given(&self) -> u32 {
        self.0.borrow().given
    }

    fn set_reset(&self, value: u32) {
        self.0.borrow_mut().reset = value;
    }

    fn set_given(&self, value: u32) {
        self.0.borrow_mut().given = value;
    }

    fn set_seen(&self, value: u32) {
        self.0.borrow_mut().seen = value;
    }

    fn join(&self) {}

    fn put_command(&self, place: usize, command: &Command) {
        self.0.borrow_mut().commands[place] = *command;
    }

    fn answer(&self, place: usize) -> Answer {
        self.0.borrow().answers[place]
    }

    fn ring(&self) {}

    fn acknowledge(&self) {
        self.0.borrow_mut().interrupt = false;
    }
}
