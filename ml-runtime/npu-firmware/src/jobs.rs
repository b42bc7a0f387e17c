//! Jobs: models run where they lie.

use core::arch::asm;
use core::hint::black_box;
use core::ops::ControlFlow;

use ml_runtime::{Interpreter, InvokeError, Io, LoadError, Model, Observer, Step};
use npu::layout::{Answer, Command, command_fits, operation, provoke, status};
use npu_firmware::reach::TABLE_BYTES;

use crate::machine::{instructions, ticks};
use crate::vector::Vectors;

/// Models that stay loaded.
const SLOTS: usize = 8;

#[repr(C, align(16))]
struct Tables([[u8; TABLE_BYTES]; SLOTS]);

#[unsafe(link_section = ".scratch")]
static mut TABLES: Tables = Tables([[0; TABLE_BYTES]; SLOTS]);

/// A loaded model, and the command's words that name it.
struct Loaded {
    at: u32,
    bytes: u32,
    model: Model<'static>,
}

/// Runs jobs in the shared memory.
pub struct Jobs {
    shared: usize,
    shared_bytes: usize,
    loaded: [Option<Loaded>; SLOTS],
    /// The slot that the next model takes.
    next: usize,
    vectors: Vectors,
}

/// Shows each operator, and counts them.
struct Beat<F> {
    beat: F,
    operators: u32,
    macs: u64,
}

impl<F: FnMut()> Observer for Beat<F> {
    fn before(&mut self, step: &Step) -> ControlFlow<()> {
        (self.beat)();
        self.operators += 1;
        self.macs += step.macs;
        ControlFlow::Continue(())
    }
}

impl Jobs {
    /// Nothing is loaded yet.
    pub fn new(shared: usize, shared_bytes: usize) -> Self {
        // SAFETY: there is one `Jobs`, which begins with the firmware; after a reset, which begins anew, the old one is not used.
        let vectors = unsafe { Vectors::new() };
        Jobs { shared, shared_bytes, loaded: [const { None }; SLOTS], next: 0, vectors }
    }

    /// Does what `command` says, and calls `beat` before each operator.
    pub fn run(&mut self, command: &Command, beat: impl FnMut()) -> Answer {
        let (start_ticks, start, extra) = (ticks(), instructions(), self.vectors.extra_work);
        let mut answer = Answer { job: command.job, ..Answer::default() };
        (answer.status, answer.detail) = match command.operation {
            operation::RUN if command_fits(command, self.shared_bytes) => {
                match self.infer(command, beat, &mut answer) {
                    Ok(()) => (status::DONE, 0),
                    Err(failure) => failure,
                }
            }
            operation::PROVOKE => self.provoke(command, &mut answer),
            _ => (status::BAD_COMMAND, 0),
        };
        answer.ticks = ticks().wrapping_sub(start_ticks);
        answer.instructions = instructions().wrapping_sub(start);
        answer.vector_work = answer.instructions + self.vectors.extra_work.wrapping_sub(extra);
        answer
    }

    fn bytes(&self, at: u32, bytes: u32) -> &'static [u8] {
        // SAFETY: `command_fits` has found the span inside the shared memory, which is mapped for ever and apart from the
        // firmware's own. The system is bound by the protocol not to write it during the job. If it does, values change
        // between two loads: the runtime checks all indices where it uses them, so results are wrong and nothing else is.
        unsafe { core::slice::from_raw_parts((self.shared + at as usize) as *const u8, bytes as usize) }
    }

    fn bytes_mut(&mut self, at: u32, bytes: u32) -> &'static mut [u8] {
        // SAFETY: as above; `command_fits` has also found the arena and the output apart from everything else, and the
        // slices are dropped at the end of the job.
        unsafe { core::slice::from_raw_parts_mut((self.shared + at as usize) as *mut u8, bytes as usize) }
    }

    fn infer(&mut self, command: &Command, beat: impl FnMut(), answer: &mut Answer) -> Result<(), (u32, u32)> {
        let input = self.bytes(command.input_at, command.input_bytes);
        let output = self.bytes_mut(command.output_at, command.output_bytes);
        let arena = self.bytes_mut(command.arena_at, command.arena_bytes);
        let slot = self.load(command).map_err(|error| match error {
            LoadError::TableMemory { needed } => (status::BAD_MODEL, needed),
            _ => (status::BAD_MODEL, 0),
        })?;
        let Some(Loaded { model, .. }) = &self.loaded[slot] else { return Err((status::BAD_MODEL, 0)) };
        let mut observer = Beat { beat, operators: 0, macs: 0 };
        let taken = self.vectors.taken;
        let result = Interpreter::new(model, arena).and_then(|mut interpreter| {
            let result = interpreter.run_with(&[input], &mut [output], &mut observer, &mut self.vectors);
            answer.bytes_copied = interpreter.bytes_copied();
            result
        });
        (answer.operators, answer.macs) = (observer.operators, observer.macs);
        answer.vector_operators = self.vectors.taken.wrapping_sub(taken);
        result.map_err(|error| match error {
            InvokeError::Arena { needed } => (status::SMALL_ARENA, needed),
            InvokeError::Buffer { needed } => (status::BAD_BUFFER, needed),
            InvokeError::Stopped | InvokeError::ModelChanged => {
                // What was loaded no longer fits the file.
                self.loaded[slot] = None;
                (status::MODEL_CHANGED, 0)
            }
        })
    }

    /// The slot of the command's model, which is loaded if it is not yet.
    fn load(&mut self, command: &Command) -> Result<usize, LoadError> {
        let same = |loaded: &Loaded| (loaded.at, loaded.bytes) == (command.model_at, command.model_bytes);
        if let Some(slot) = self.loaded.iter().position(|loaded| loaded.as_ref().is_some_and(same)) {
            return Ok(slot);
        }
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        self.loaded[slot] = None;
        // SAFETY: the slot's model, which borrowed its tables, is gone, and the other slots have tables of their own.
        let tables = unsafe { &mut *(&raw mut TABLES.0[slot]) };
        let file = self.bytes(command.model_at, command.model_bytes);
        let model = Model::load(file, tables, Io::Caller)?;
        self.loaded[slot] = Some(Loaded { at: command.model_at, bytes: command.model_bytes, model });
        Ok(slot)
    }

    fn provoke(&self, command: &Command, answer: &mut Answer) -> (u32, u32) {
        match command.model_at {
            provoke::HANG => {
                // SAFETY: it touches nothing. Only the trap of a doorbell with a reset ends it.
                unsafe { asm!("1: j 1b", options(nomem, nostack, noreturn)) }
            }
            provoke::CRASH => {
                // One byte behind the window that the hart is locked into.
                let outside = black_box(self.shared.wrapping_add(1 << 28)) as *const u8;
                // SAFETY: it traps, and the handler does not come back.
                (status::DONE, u32::from(unsafe { outside.read_volatile() }))
            }
            provoke::NONSENSE => {
                answer.job = !answer.job;
                (u32::MAX, u32::MAX)
            }
            _ => (status::BAD_COMMAND, 0),
        }
    }
}
