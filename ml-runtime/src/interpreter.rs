//! Running a loaded model.

use core::ops::ControlFlow;

use crate::accelerate::Kernels;
use crate::error::InvokeError;
use crate::memory::Memory;
use crate::model::{Io, Model, Step};
use crate::pace::Pace;
use crate::plan::ARENA_ALIGN;
use crate::tensor::{Place, Tensor};

/// Someone who wants to know of each operator, to measure it or to stop the run between two of them.
pub trait Observer {
    /// Called before each operator; [`ControlFlow::Break`] ends the run with [`InvokeError::Stopped`].
    fn before(&mut self, step: &Step) -> ControlFlow<()>;
    /// Called now and then within long operators: after so many multiply-accumulates, some ten thousand instructions. Operators
    /// that go over each element but once or twice (softmax, reductions, resizing, elementwise ones, moves) run in one go. [`ControlFlow::Break`] as before an operator.
    fn during(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    /// Called after each operator that finished.
    fn after(&mut self, step: &Step) {
        let _ = step;
    }
}

/// Nobody.
impl Observer for () {
    fn before(&mut self, _: &Step) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A model and its working memory.
pub struct Interpreter<'a, 'm> {
    model: &'a Model<'m>,
    arena: &'a mut [u8],
    bytes_copied: u64,
    /// Whether the variables are yet to get their first values.
    fresh: bool,
}

impl<'a, 'm> Interpreter<'a, 'm> {
    /// `arena` needs [`Model::arena_bytes`] bytes and an alignment of [`ARENA_ALIGN`]. The model's variables, if it has
    /// any, begin anew; from then on they stay from one run to the next.
    pub fn new(model: &'a Model<'m>, arena: &'a mut [u8]) -> Result<Self, InvokeError> {
        let needed = InvokeError::Arena { needed: model.arena_bytes() as u32 };
        if !(arena.as_ptr() as usize).is_multiple_of(ARENA_ALIGN) {
            return Err(needed);
        }
        let arena = arena.get_mut(..model.arena_bytes()).ok_or(needed)?;
        Ok(Interpreter { model, arena, bytes_copied: 0, fresh: true })
    }

    /// The same, where the first [`Model::state_bytes`] bytes of `arena` are as a run of this model left them: its variables
    /// go on from there.
    pub fn resume(model: &'a Model<'m>, arena: &'a mut [u8]) -> Result<Self, InvokeError> {
        Ok(Interpreter { fresh: false, ..Self::new(model, arena)? })
    }

    /// Gives the model's variables the values they had before the first run. After a run that was stopped, some of them
    /// may have got new values and others not; this is the way to something that is defined.
    pub fn reset(&mut self) {
        self.fresh = true;
    }

    fn range(tensor: Option<Tensor<'_>>) -> Option<core::ops::Range<usize>> {
        let tensor = tensor?;
        match tensor.record.place() {
            Place::Arena(at) => Some(at as usize..at as usize + tensor.bytes()),
            _ => None,
        }
    }

    /// The bytes of input `index` in the arena, to be filled before each run: a run may overwrite them. `None` if there
    /// is no such input or the model was loaded with [`Io::Caller`].
    pub fn input_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let range = Self::range(self.model.inputs().nth(index))?;
        self.arena.get_mut(range)
    }

    /// The bytes of output `index` in the arena after a run, under the same conditions.
    pub fn output(&self, index: usize) -> Option<&[u8]> {
        self.arena.get(Self::range(self.model.outputs().nth(index))?)
    }

    /// Bytes of tensors that all runs so far moved without computing anything: only a reshape between two of the
    /// caller's buffers does that.
    pub fn bytes_copied(&self) -> u64 {
        self.bytes_copied
    }

    /// Runs a model loaded with [`Io::Arena`].
    pub fn invoke(&mut self) -> Result<(), InvokeError> {
        self.run(&[], &mut [], &mut ())
    }

    /// Runs a model. With [`Io::Caller`], `inputs` and `outputs` are buffers of exactly the tensors' sizes, read and
    /// written in place; with [`Io::Arena`] both are empty.
    pub fn run(
        &mut self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        observer: &mut impl Observer,
    ) -> Result<(), InvokeError> {
        self.run_with(inputs, outputs, observer, &mut ())
    }

    /// The same, with heavy operators offered to `kernels` first.
    pub fn run_with(
        &mut self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        observer: &mut impl Observer,
        kernels: &mut impl Kernels,
    ) -> Result<(), InvokeError> {
        self.check_edges(inputs, outputs)?;
        for index in 0..self.model.operator_count() {
            self.step(index, inputs, outputs, observer, kernels)?;
        }
        Ok(())
    }

    /// Runs operator `index` alone. To run a model is to run its operators in order, with the same buffers; between two of
    /// them, nothing else may use the arena.
    pub fn run_operator(
        &mut self,
        index: usize,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        observer: &mut impl Observer,
    ) -> Result<(), InvokeError> {
        self.check_edges(inputs, outputs)?;
        self.step(index, inputs, outputs, observer, &mut ())
    }

    fn step(
        &mut self,
        index: usize,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        observer: &mut impl Observer,
        kernels: &mut impl Kernels,
    ) -> Result<(), InvokeError> {
        if self.fresh && index == 0 {
            self.model.reset(self.arena);
        }
        let (node, op, step) = self.model.decode(index).ok_or(InvokeError::ModelChanged)?;
        let last = index + 1 == self.model.operator_count();
        if step.once && !self.fresh {
            return Ok(());
        }
        if observer.before(&step).is_break() {
            return Err(InvokeError::Stopped);
        }
        let mut memory = Memory { arena: self.arena, inputs, outputs };
        let mut look = || observer.during();
        let mut pace = Pace::new(&mut look);
        let result = op.run(&node, step.scratch.0, &mut memory, kernels, &mut pace);
        if pace.is_stopped() {
            return Err(InvokeError::Stopped);
        }
        self.bytes_copied += result?;
        observer.after(&step);
        self.fresh &= !last;
        Ok(())
    }

    fn check_edges(&self, inputs: &[&[u8]], outputs: &[&mut [u8]]) -> Result<(), InvokeError> {
        if self.model.io() == Io::Caller {
            check(self.model.inputs(), inputs.iter().map(|buffer| buffer.len()))?;
            check(self.model.outputs(), outputs.iter().map(|buffer| buffer.len()))?;
        }
        Ok(())
    }
}

fn check<'t>(
    tensors: impl ExactSizeIterator<Item = Tensor<'t>>,
    mut lens: impl ExactSizeIterator<Item = usize>,
) -> Result<(), InvokeError> {
    if tensors.len() != lens.len() {
        return Err(InvokeError::Buffer { needed: 0 });
    }
    for tensor in tensors {
        if lens.next() != Some(tensor.bytes()) {
            return Err(InvokeError::Buffer { needed: tensor.bytes() as u32 });
        }
    }
    Ok(())
}
