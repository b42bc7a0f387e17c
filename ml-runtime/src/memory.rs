//! Where operators find their operands during a run: in the file, the arena, or the caller's buffers.

use zerocopy::FromBytes;

use crate::error::InvokeError;
use crate::tensor::{Place, Tensor};

/// The same bytes as signed numbers.
pub(crate) fn signed(bytes: &[u8]) -> &[i8] {
    // Never empty-handed: every byte is an `i8`, of the same size and alignment.
    <[i8]>::ref_from_bytes(bytes).unwrap_or_default()
}

/// The same bytes as signed numbers.
pub(crate) fn signed_mut(bytes: &mut [u8]) -> &mut [i8] {
    <[i8]>::mut_from_bytes(bytes).unwrap_or_default()
}

/// The memory of one run.
pub(crate) struct Memory<'r, 'o> {
    /// The working memory.
    pub arena: &'r mut [u8],
    /// The caller's buffers for the model's inputs, where they do not lie in the arena.
    pub inputs: &'r [&'r [u8]],
    /// The caller's buffers for the model's outputs, likewise.
    pub outputs: &'r mut [&'o mut [u8]],
}

/// What one operator works on.
pub(crate) struct Operands<'b, const N: usize> {
    pub inputs: [&'b [u8]; N],
    pub output: &'b mut [u8],
    pub scratch: &'b mut [u8],
}

/// Most tensors that an operator reads at once.
const MOST_INPUTS: usize = 2;

impl Memory<'_, '_> {
    /// Takes apart the memory: the plan lets nothing overlap that one operator uses, and this makes sure of it.
    pub fn operands<'b, const N: usize>(
        &'b mut self,
        inputs: [&Tensor<'b>; N],
        output: &Tensor<'_>,
        (scratch_at, scratch_bytes): (u32, usize),
    ) -> Result<Operands<'b, N>, InvokeError> {
        const { assert!(N <= MOST_INPUTS) };
        let range = |tensor: &Tensor<'_>| match tensor.record.place() {
            Place::Arena(at) => at as usize..at as usize + tensor.bytes(),
            _ => 0..0,
        };
        let mut ranges: [_; MOST_INPUTS + 2] = core::array::from_fn(|_| 0..0);
        ranges[MOST_INPUTS] = range(output);
        ranges[MOST_INPUTS + 1] = scratch_at as usize..scratch_at as usize + scratch_bytes;
        for (i, tensor) in inputs.iter().enumerate() {
            // The same tensor twice is taken once.
            if !ranges[..i].contains(&range(tensor)) {
                ranges[i] = range(tensor);
            }
        }
        let [first, second, out, scratch] =
            self.arena.get_disjoint_mut(ranges.clone()).map_err(|_| InvokeError::ModelChanged)?;
        let parts: [&[u8]; MOST_INPUTS] = [first, second];
        let mut sources: [&[u8]; N] = [&[]; N];
        for (source, tensor) in sources.iter_mut().zip(inputs) {
            *source = match tensor.record.place() {
                Place::Arena(_) => {
                    let wanted = range(tensor);
                    let part =
                        ranges[..N].iter().position(|range| *range == wanted).ok_or(InvokeError::ModelChanged)?;
                    parts[part]
                }
                Place::Constant(_) => tensor.constant().ok_or(InvokeError::ModelChanged)?,
                Place::Input(index) => self.inputs.get(index as usize).ok_or(InvokeError::ModelChanged)?,
                Place::Output(_) | Place::Unused => return Err(InvokeError::ModelChanged),
            };
        }
        let output = match output.record.place() {
            Place::Arena(_) => out,
            Place::Output(index) => self.outputs.get_mut(index as usize).ok_or(InvokeError::ModelChanged)?,
            _ => return Err(InvokeError::ModelChanged),
        };
        Ok(Operands { inputs: sources, output, scratch })
    }
}
