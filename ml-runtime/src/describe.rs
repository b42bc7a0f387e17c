//! What a loaded model looks like inside, for tools that show it: what operators read and write, who would take them, and
//! how long what lies where in the arena.

use crate::accelerate::Kernels;
use crate::model::Model;
use crate::op::Op;
use crate::tensor::{Place, Tensor};

/// What occupies a part of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The tensor with this index, and those that share its memory.
    Tensor(u32),
    /// The variable that the tensor with this index names: it stays from one run to the next.
    Variable(u32),
    /// The operator with this index, for what it notes while it runs.
    Scratch(u32),
}

/// A part of the arena, for a part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Whose it is.
    pub owner: Owner,
    /// First byte.
    pub at: u32,
    /// Bytes.
    pub bytes: u32,
    /// The first operator during which it is occupied.
    pub first: u32,
    /// The last one.
    pub last: u32,
}

impl Model<'_> {
    /// The arena's plan: tensors and variables in the order of their indices, then operators.
    pub fn arena_plan(&self) -> impl Iterator<Item = Stay> {
        let end = self.operators.len() as u32 - 1;
        let tensors = self.tensors.iter().enumerate().filter_map(move |(index, record)| {
            let Place::Arena(at) = record.place() else { return None };
            let (owner, first, last) = match record.is_variable() {
                true => (Owner::Variable(index as u32), 0, end),
                false => (Owner::Tensor(index as u32), record.first.into(), record.last.into()),
            };
            (usize::from(record.storage) == index).then_some(Stay { owner, at, bytes: record.bytes, first, last })
        });
        let scratch = self.operators.iter().enumerate().filter(|(_, operator)| operator.scratch_bytes > 0);
        let scratch = scratch.map(|(index, operator)| {
            let (index, at, bytes) = (index as u32, operator.slot.at, operator.scratch_bytes);
            Stay { owner: Owner::Scratch(index), at, bytes, first: index, last: index }
        });
        tensors.chain(scratch)
    }

    /// Tensor number `index`.
    pub fn tensor(&self, index: u32) -> Option<Tensor<'_>> {
        self.tensors.get(index as usize).map(|record| Tensor { file: self.file, index, record })
    }

    /// Input `i` of operator `index`; none if it has fewer, or leaves this one out.
    pub fn operator_input(&self, index: usize, i: usize) -> Option<Tensor<'_>> {
        self.decode(index)?.0.optional_input(i).ok().flatten()
    }

    /// Output `i` of operator `index`, if it has so many.
    pub fn operator_output(&self, index: usize, i: usize) -> Option<Tensor<'_>> {
        self.decode(index)?.0.output(i).ok()
    }

    /// How many inputs and outputs operator `index` has.
    pub fn operator_arity(&self, index: usize) -> Option<(usize, usize)> {
        self.decode(index).map(|(node, ..)| (node.inputs.len(), node.outputs.len()))
    }

    /// Offers operator `index` to `kernels` as a run does, but without any values: whether they take it. None if it is not
    /// one of those that are offered.
    pub fn offer(&self, index: usize, kernels: &mut impl Kernels) -> Option<bool> {
        match self.decode(index)?.1 {
            Op::Conv(op) => Some(op.offer(kernels, &[], &mut [])),
            Op::Depthwise(op) => Some(op.offer(kernels, &[], &mut [])),
            Op::FullyConnected(op) => Some(op.offer(kernels, &[], &mut [])),
            _ => None,
        }
    }
}
