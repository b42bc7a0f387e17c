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
pub(crate) struct Operands<'b, const N: usize, const M: usize> {
    pub inputs: [&'b [u8]; N],
    pub outputs: [&'b mut [u8]; M],
    pub scratch: &'b mut [u8],
}

/// Most tensors that an operator reads at once.
const MOST_INPUTS: usize = 2;
/// Most tensors that an operator writes at once.
const MOST_OUTPUTS: usize = 3;

impl Memory<'_, '_> {
    /// One tensor to read and one to write.
    pub fn pair<'b>(
        &'b mut self,
        input: &Tensor<'b>,
        output: &Tensor<'_>,
    ) -> Result<(&'b [u8], &'b mut [u8]), InvokeError> {
        let Operands { inputs: [source], outputs: [target], .. } = self.operands([input], [output], (0, 0))?;
        Ok((source, target))
    }

    /// Takes apart the memory: the plan lets nothing overlap that one operator uses, and this makes sure of it. Only the
    /// first of several outputs may lie in a buffer of the caller.
    pub fn operands<'b, const N: usize, const M: usize>(
        &'b mut self,
        inputs: [&Tensor<'b>; N],
        outputs: [&Tensor<'_>; M],
        (scratch_at, scratch_bytes): (u32, usize),
    ) -> Result<Operands<'b, N, M>, InvokeError> {
        const { assert!(N <= MOST_INPUTS && 0 < M && M <= MOST_OUTPUTS) };
        const CHANGED: InvokeError = InvokeError::ModelChanged;
        let range = |tensor: &Tensor<'_>| match tensor.record.place() {
            Place::Arena(at) => at as usize..at as usize + tensor.bytes(),
            _ => 0..0,
        };
        let mut ranges: [_; MOST_INPUTS + MOST_OUTPUTS + 1] = core::array::from_fn(|_| 0..0);
        ranges[MOST_INPUTS + MOST_OUTPUTS] = scratch_at as usize..scratch_at as usize + scratch_bytes;
        for (i, tensor) in outputs.iter().enumerate() {
            ranges[MOST_INPUTS + i] = range(tensor);
        }
        for (i, tensor) in inputs.iter().enumerate() {
            // The same tensor twice is taken once.
            if !ranges[..i].contains(&range(tensor)) {
                ranges[i] = range(tensor);
            }
        }
        let [first, second, target, more, most, scratch] =
            self.arena.get_disjoint_mut(ranges.clone()).map_err(|_| CHANGED)?;
        let parts: [&[u8]; MOST_INPUTS] = [first, second];
        // The caller's buffer that is written, and those before and behind it, which may be read.
        let written = match outputs[0].record.place() {
            Place::Output(index) => index as usize,
            _ => self.outputs.len(),
        };
        let (before, rest) = self.outputs.split_at_mut_checked(written).ok_or(CHANGED)?;
        let (target, behind): (_, &[&mut [u8]]) = match (outputs[0].record.place(), rest) {
            (Place::Arena(_), _) => (target, &[]),
            (Place::Output(_), [target, behind @ ..]) => (&mut **target, behind),
            _ => return Err(CHANGED),
        };
        let mut sources: [&[u8]; N] = [&[]; N];
        for (source, tensor) in sources.iter_mut().zip(inputs) {
            *source = match tensor.record.place() {
                Place::Arena(_) => {
                    let wanted = range(tensor);
                    let part = ranges[..N].iter().position(|range| *range == wanted).ok_or(CHANGED)?;
                    parts[part]
                }
                Place::Constant(_) => tensor.constant().ok_or(CHANGED)?,
                Place::Input(index) => self.inputs.get(index as usize).ok_or(CHANGED)?,
                Place::Output(index) => match (index as usize).checked_sub(written) {
                    None => before.get(index as usize).ok_or(CHANGED)?,
                    Some(0) => return Err(CHANGED),
                    Some(distance) => behind.get(distance - 1).ok_or(CHANGED)?,
                },
                Place::Unused => return Err(CHANGED),
            };
        }
        if outputs.iter().skip(1).any(|tensor| !matches!(tensor.record.place(), Place::Arena(_))) {
            return Err(CHANGED);
        }
        let mut targets = [Some(target), Some(more), Some(most)];
        let outputs = core::array::from_fn(|i| targets[i].take().unwrap_or_default());
        Ok(Operands { inputs: sources, outputs, scratch })
    }
}
