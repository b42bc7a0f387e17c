//! Operators that put tensors together or take one apart: `CONCATENATION`, `PACK`, `SPLIT`, `SPLIT_V`, `UNPACK`.

use super::walk::Walk;
use crate::error::{InvokeError, LoadError};
use crate::memory::Memory;
use crate::node::Node;
use crate::tensor::Tensor;

/// A decoded operator. Seen along the axis, each part is a run of bytes in each of the `outer` runs of the whole.
pub(crate) struct Join {
    /// Runs of the whole: the product of the dimensions before the axis.
    outer: usize,
    /// Whether the whole is the output, or else the input.
    together: bool,
    /// The input that is the whole, if it is an input.
    whole: usize,
}

/// What is wrong if parts are not those of the whole.
const MISFIT: &str = "its parts do not make up the whole";

impl Join {
    pub fn decode_concatenation(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(1..=crate::MAX_EDGES, 1)?;
        node.options_of(10)?;
        node.require(node.option_u8(1, 0)? == 0, "its fused activation is not supported")?;
        let whole = node.output(0)?;
        let axis = node.axis(i64::from(node.option_i32(0, 0)?), &whole)?;
        let mut total = 0u64;
        for i in 0..node.inputs.len() {
            let part = node.input(i)?;
            node.same_values(&part, &whole)?;
            total += u64::from(along(node, &part, &whole, axis)?);
        }
        node.require(total == u64::from(whole.dims()[axis]), MISFIT)?;
        Ok(Join { outer: outer(&whole, axis), together: true, whole: 0 })
    }

    pub fn decode_pack(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(1..=crate::MAX_EDGES, 1)?;
        node.options_of(59)?;
        let whole = node.output(0)?;
        let axis = node.axis(i64::from(node.option_i32(1, 0)?), &whole)?;
        let count = usize::try_from(node.option_i32(0, 0)?).unwrap_or(0);
        node.require(count == node.inputs.len() && count == whole.dims()[axis] as usize, MISFIT)?;
        for i in 0..count {
            let part = node.input(i)?;
            node.same_values(&part, &whole)?;
            node.require(is_slice(&part, &whole, axis), MISFIT)?;
        }
        Ok(Join { outer: outer(&whole, axis), together: true, whole: 0 })
    }

    pub fn decode_unpack(node: &Node<'_>) -> Result<Self, LoadError> {
        node.require(node.inputs.len() == 1, "it has another number of inputs than its kind")?;
        node.options_of(64)?;
        let whole = node.input(0)?;
        let axis = node.axis(i64::from(node.option_i32(1, 0)?), &whole)?;
        let count = usize::try_from(node.option_i32(0, 0)?).unwrap_or(0);
        node.require(count == node.outputs.len() && count == whole.dims()[axis] as usize, MISFIT)?;
        for i in 0..count {
            let part = node.output(i)?;
            node.same_values(&part, &whole)?;
            node.require(is_slice(&part, &whole, axis), MISFIT)?;
        }
        Ok(Join { outer: outer(&whole, axis), together: false, whole: 0 })
    }

    pub fn decode_split(node: &Node<'_>) -> Result<Self, LoadError> {
        node.require(node.inputs.len() == 2, "it has another number of inputs than its kind")?;
        node.options_of(35)?;
        let whole = node.input(1)?;
        let axis = scalar_axis(node, 0, &whole)?;
        let count = u32::try_from(node.option_i32(0, 0)?).unwrap_or(0);
        node.require(count > 0 && count as usize == node.outputs.len(), MISFIT)?;
        for i in 0..node.outputs.len() {
            let part = node.output(i)?;
            node.same_values(&part, &whole)?;
            let size = along(node, &part, &whole, axis)?;
            node.require(u64::from(size) * u64::from(count) == u64::from(whole.dims()[axis]), MISFIT)?;
        }
        Ok(Join { outer: outer(&whole, axis), together: false, whole: 1 })
    }

    pub fn decode_split_v(node: &Node<'_>) -> Result<Self, LoadError> {
        node.require(node.inputs.len() == 3, "it has another number of inputs than its kind")?;
        node.options_of(79)?;
        let whole = node.input(0)?;
        let axis = scalar_axis(node, 2, &whole)?;
        let sizes = node.constants(1, "the sizes of its parts are not constant whole numbers")?;
        let count = node.outputs.len();
        node.require(count > 0 && sizes.len() == count, MISFIT)?;
        let mut total = 0u64;
        for i in 0..count {
            let part = node.output(i)?;
            node.same_values(&part, &whole)?;
            let size = along(node, &part, &whole, axis)?;
            // One size may be left open: −1.
            let fits = sizes.get(i) == i64::from(size) || sizes.get(i) == -1;
            node.require(fits, "an output has another size than its list of sizes says")?;
            total += u64::from(size);
        }
        node.require(sizes.iter().filter(|size| *size == -1).count() <= 1, "more than one of its sizes is left open")?;
        node.require(total == u64::from(whole.dims()[axis]), MISFIT)?;
        Ok(Join { outer: outer(&whole, axis), together: false, whole: 0 })
    }

    pub fn run(&self, node: &Node<'_>, memory: &mut Memory<'_, '_>) -> Result<(), InvokeError> {
        let changed = |_| InvokeError::ModelChanged;
        let whole = if self.together { node.output(0) } else { node.input(self.whole) }.map_err(changed)?;
        let parts = if self.together { node.inputs.len() } else { node.outputs.len() };
        let whole_run = whole.bytes() / self.outer;
        let mut at = 0;
        for i in 0..parts {
            let part = if self.together { node.input(i) } else { node.output(i) }.map_err(changed)?;
            let run = part.bytes() / self.outer;
            let (from, to) = if self.together { (&part, &whole) } else { (&whole, &part) };
            let (source, target) = memory.pair(from, to)?;
            let (run_step, whole_step) = (run as isize, whole_run as isize);
            let walk = if self.together {
                Walk::new(0, at).inside(self.outer, run_step, whole_step)
            } else {
                Walk::new(at, 0).inside(self.outer, whole_step, run_step)
            };
            walk.inside(run, 1, 1).copy(1, source, target).ok_or(InvokeError::ModelChanged)?;
            at += run;
        }
        Ok(())
    }
}

/// The product of the dimensions before `axis`.
fn outer(whole: &Tensor<'_>, axis: usize) -> usize {
    whole.dims()[..axis].iter().map(|dim| *dim as usize).product()
}

/// The size of `part` along `axis`; in all others it must be as large as the whole.
fn along(node: &Node<'_>, part: &Tensor<'_>, whole: &Tensor<'_>, axis: usize) -> Result<u32, LoadError> {
    let pairs = || part.dims().iter().zip(whole.dims()).enumerate();
    let fits = part.dims().len() == whole.dims().len() && pairs().all(|(i, (part, whole))| i == axis || part == whole);
    node.require(fits, MISFIT)?;
    Ok(part.dims()[axis])
}

/// Whether `part` is as large as the whole without dimension `axis`.
fn is_slice(part: &Tensor<'_>, whole: &Tensor<'_>, axis: usize) -> bool {
    let rest = whole.dims().iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, dim)| dim);
    part.dims().iter().eq(rest)
}

/// The axis that constant input `i` names.
fn scalar_axis(node: &Node<'_>, i: usize, whole: &Tensor<'_>) -> Result<usize, LoadError> {
    const REASON: &str = "its axis is not one constant whole number";
    let axis = node.constants(i, REASON)?;
    node.require(axis.len() == 1, REASON)?;
    node.axis(axis.get(0), whole)
}
