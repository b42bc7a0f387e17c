//! An operator as the file describes it, with the checks that all kernels share.

use crate::error::{LoadError, OpName};
use crate::fixed_point::{Finish, Multiplier};
use crate::flatbuffer::{Table, Vector};
use crate::tensor::{ElementType, Tensor, TensorRecord};

/// One operator of a model, not yet decoded.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    pub(crate) file: &'t [u8],
    /// The tensors from the first of its subgraph on.
    pub(crate) tensors: &'t [TensorRecord],
    /// The number of that first one.
    pub(crate) base: u32,
    /// How many of them are of its subgraph.
    pub(crate) count: u32,
    pub(crate) index: u32,
    pub(crate) name: OpName,
    pub(crate) inputs: Vector<'t, 4>,
    pub(crate) outputs: Vector<'t, 4>,
    pub(crate) options_kind: u8,
    pub(crate) options: Option<Table<'t>>,
}

impl<'t> Node<'t> {
    /// The error that this operator is not right.
    pub fn refuse(&self, reason: &'static str) -> LoadError {
        LoadError::Operator { index: self.index, name: self.name, reason }
    }

    /// `Ok` if `holds`, else the error with this reason.
    pub fn require(&self, holds: bool, reason: &'static str) -> Result<(), LoadError> {
        if holds { Ok(()) } else { Err(self.refuse(reason)) }
    }

    fn tensor(&self, index: i32) -> Result<Tensor<'t>, LoadError> {
        let inside = u32::try_from(index).ok().filter(|index| *index < self.count);
        match inside.and_then(|index| self.tensors.get(index as usize)) {
            Some(record) => Ok(Tensor { file: self.file, index: self.base + index as u32, record }),
            None => Err(self.refuse("it names a tensor that does not exist")),
        }
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Result<Tensor<'t>, LoadError> {
        if i >= self.inputs.len() {
            return Err(self.refuse("it has too few inputs"));
        }
        self.tensor(self.inputs.i32(i)?)
    }

    /// Input `i`, which may be left out (index −1, or fewer inputs).
    pub fn optional_input(&self, i: usize) -> Result<Option<Tensor<'t>>, LoadError> {
        if i >= self.inputs.len() || self.inputs.i32(i)? == -1 {
            return Ok(None);
        }
        self.input(i).map(Some)
    }

    /// Output `i`.
    pub fn output(&self, i: usize) -> Result<Tensor<'t>, LoadError> {
        if i >= self.outputs.len() {
            return Err(self.refuse("it has too few outputs"));
        }
        self.tensor(self.outputs.i32(i)?)
    }

    /// Checks how many inputs and outputs there are.
    pub fn arity(&self, inputs: core::ops::RangeInclusive<usize>, outputs: usize) -> Result<(), LoadError> {
        let fits = inputs.contains(&self.inputs.len()) && self.outputs.len() == outputs;
        self.require(fits, "it has another number of inputs or outputs than its kind")
    }

    /// Checks that the options are of the schema's kind `kind`; absent options are all default.
    pub fn options_of(&self, kind: u8) -> Result<(), LoadError> {
        let fits = self.options_kind == kind || (self.options_kind == 0 && self.options.is_none());
        self.require(fits, "its options are those of another operator")
    }

    /// An 8-bit option.
    pub fn option_u8(&self, field: usize, default: u8) -> Result<u8, LoadError> {
        Ok(self.options.map_or(Ok(default), |options| options.u8(field, default))?)
    }

    /// A 32-bit option.
    pub fn option_i32(&self, field: usize, default: i32) -> Result<i32, LoadError> {
        Ok(self.options.map_or(Ok(default), |options| options.i32(field, default))?)
    }

    /// A floating-point option.
    pub fn option_f32(&self, field: usize, default: f32) -> Result<f32, LoadError> {
        Ok(self.options.map_or(Ok(default), |options| options.f32(field, default))?)
    }

    /// Input `i`, which must be an int8 activation (or int8 constant) with one scale.
    pub fn int8_input(&self, i: usize) -> Result<Tensor<'t>, LoadError> {
        let tensor = self.input(i)?;
        self.require(tensor.is_activation(), "an input is not int8 with one scale")?;
        Ok(tensor)
    }

    /// Output `i`, which must be int8 with one scale.
    pub fn int8_output(&self, i: usize) -> Result<Tensor<'t>, LoadError> {
        let tensor = self.output(i)?;
        self.require(tensor.is_activation(), "an output is not int8 with one scale")?;
        Ok(tensor)
    }

    /// Input `i`, which must be constant, symmetric int8 weights with one scale or one for each of the `channels` of
    /// dimension `axis`.
    pub fn weights(&self, i: usize, axis: u8, channels: usize) -> Result<(Tensor<'t>, &'t [u8]), LoadError> {
        let tensor = self.input(i)?;
        self.require(tensor.element() == Some(ElementType::Int8), "its weights are not int8")?;
        self.require(tensor.zero_point() == 0, "its weights are not symmetric")?;
        let count = tensor.record.scale_count as usize;
        self.require(
            count == 1 || (count == channels && tensor.record.axis == axis),
            "the scales of its weights do not fit its output channels",
        )?;
        match tensor.constant() {
            Some(values) => Ok((tensor, values)),
            None => Err(self.refuse("its weights are not constant")),
        }
    }

    /// Input `i`, if present, which must be `channels` constant int32 values.
    pub fn bias(&self, i: usize, channels: usize) -> Result<Option<&'t [[u8; 4]]>, LoadError> {
        let Some(tensor) = self.optional_input(i)? else { return Ok(None) };
        let fits = tensor.element() == Some(ElementType::Int32) && tensor.elements() == channels;
        self.require(fits, "its bias is not int32 with one value a channel")?;
        match tensor.constant() {
            Some(values) => Ok(Some(values.as_chunks().0)),
            None => Err(self.refuse("its bias is not constant")),
        }
    }

    /// Input `i`, which must be constant whole numbers.
    pub fn constants(&self, i: usize, reason: &'static str) -> Result<Constants<'t>, LoadError> {
        let tensor = self.input(i)?;
        match (tensor.element(), tensor.constant()) {
            (Some(ElementType::Int32), Some(values)) => Ok(Constants { values, size: 4 }),
            (Some(ElementType::Int64), Some(values)) => Ok(Constants { values, size: 8 }),
            _ => Err(self.refuse(reason)),
        }
    }

    /// The dimension of `tensor` that `axis` names, where −1 is the last one.
    pub fn axis(&self, axis: i64, tensor: &Tensor<'_>) -> Result<usize, LoadError> {
        let rank = tensor.dims().len();
        let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        match usize::try_from(from_start) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => Err(self.refuse("its axis is not a dimension of its input")),
        }
    }

    /// Checks that `a` and `b` have elements of one type and, if they are quantised, mean the same by them.
    pub fn same_values(&self, a: &Tensor<'_>, b: &Tensor<'_>) -> Result<(), LoadError> {
        self.require(a.element() == b.element(), "its inputs and outputs have different types")?;
        let same = a.scale() == b.scale() && a.zero_point() == b.zero_point();
        self.require(same, "its inputs and outputs are quantised differently")
    }

    /// The first input and the output, which must be of one type, and the bytes of an element. For operators that only
    /// move values.
    pub fn movable(&self) -> Result<(Tensor<'t>, Tensor<'t>, u32), LoadError> {
        let (input, output) = (self.input(0)?, self.output(0)?);
        match input.element().filter(|kind| output.element() == Some(*kind) && *kind != ElementType::Resource) {
            Some(kind) => Ok((input, output, kind.size())),
            None => Err(self.refuse("its input and output have different types")),
        }
    }

    /// The multiplier for `real`, which must be a positive number that the arithmetic can represent.
    pub fn multiplier(&self, real: f64) -> Result<Multiplier, LoadError> {
        self.require(real > 0.0 && real < (1u64 << 30) as f64, "its scales give a factor that is out of range")?;
        Ok(Multiplier::from_real(real))
    }

    /// The bounds that the fused activation `kind` (the schema's number) puts on `output`.
    pub fn finish(&self, output: &Tensor<'_>, kind: u8) -> Result<Finish, LoadError> {
        let quantize = |real: f32| {
            // The reference computes this in single precision.
            let stored = output.zero_point() + round_away(real / output.scale());
            stored.clamp(-1 << 20, 1 << 20)
        };
        let (min, max) = match kind {
            0 => (-128, 127),
            1 => (quantize(0.0).max(-128), 127),
            2 => (quantize(-1.0).max(-128), quantize(1.0).min(127)),
            3 => (quantize(0.0).max(-128), quantize(6.0).min(127)),
            _ => return Err(self.refuse("its fused activation is not supported")),
        };
        Ok(Finish { zero_point: output.zero_point(), min, max })
    }
}

/// Constant whole numbers of 32 or 64 bits.
#[derive(Clone, Copy)]
pub struct Constants<'t> {
    values: &'t [u8],
    size: usize,
}

impl Constants<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.size
    }

    /// Number `index`; 0 behind the last one.
    pub fn get(&self, index: usize) -> i64 {
        let bytes = self.values.get(index * self.size..).unwrap_or_default();
        match (self.size, bytes.first_chunk(), bytes.first_chunk()) {
            (8, Some(wide), _) => i64::from_le_bytes(*wide),
            (4, _, Some(narrow)) => i64::from(i32::from_le_bytes(*narrow)),
            _ => 0,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Rounds to the nearest integer, ties away from zero; huge values are cut to ±2^20.
pub(crate) fn round_away(real: f32) -> i32 {
    let cut = real.clamp(-1_048_576.0, 1_048_576.0);
    let whole = cut as i32;
    let rest = cut - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_ties_away_from_zero() {
        let rounded = [0.5, 0.49, -0.5, -1.49, 2.5, -2.5, 1e30, f32::NEG_INFINITY].map(round_away);
        assert_eq!(rounded, [1, 0, -1, -1, 3, -3, 1 << 20, -1 << 20]);
    }
}
