//! `FULLY_CONNECTED`.
//!
//! A weight is used once an inference, so the cost is in taking it out of memory. Eight of them are loaded at once and,
//! made unsigned by flipping their sign bits, multiplied in four steps of two. Let `v = Σ bᵢ·2^8ⁱ` be the eight bytes,
//! `Mᵢ = bᵢ + bᵢ₊₄·2^32`, and `Xᵢ = xᵢ₊₄ + xᵢ·2^32` the inputs: the upper half of `Mᵢ·Xᵢ` is `bᵢ·xᵢ + bᵢ₊₄·xᵢ₊₄`. As
//! `v = Σ Mᵢ·2^8ⁱ`, the sum `Σ Mᵢ·Xᵢ` is also `v·X₀ + Σᵢ₌₁..₃ Mᵢ·(Xᵢ − 2^8ⁱ·X₀)` modulo 2^64, which saves a mask. The `X`
//! are prepared once for all outputs. 16 instructions for 8 multiply-accumulates.

use zerocopy::FromBytes;

use super::gemm::unpack;
use super::hart::{self, Factors, ROWS};
use crate::accelerate::{DenseLayer, Factor, Kernels};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::memory::signed;
use crate::node::Node;
use crate::tensor::Tensor;

/// Inputs that are prepared at once.
const BLOCK: usize = 128;

/// A decoded fully connected layer.
pub(crate) struct FullyConnected<'t> {
    batches: usize,
    inputs: usize,
    outputs: usize,
    weights: &'t [u8],
    scales: Tensor<'t>,
    bias: Option<&'t [[u8; 4]]>,
    input_scale: f32,
    output_scale: f32,
    finish: Finish,
    zero_point: i32,
}

impl<'t> FullyConnected<'t> {
    pub fn decode(node: &Node<'t>) -> Result<Self, LoadError> {
        node.arity(2..=3, 1)?;
        node.options_of(8)?;
        node.require(node.option_u8(1, 0)? == 0, "shuffled weights are not supported")?;
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        let &[outputs, inputs] = node.input(1)?.dims() else {
            return Err(node.refuse("its weights must have two dimensions"));
        };
        let [outputs, inputs] = [outputs, inputs].map(|number| number as usize);
        node.require(inputs <= 1 << 14, "more than 16,384 inputs are not supported")?;
        let batches = input.elements() / inputs;
        let fits = batches * inputs == input.elements()
            && batches * outputs == output.elements()
            && output.dims().last().is_some_and(|last| *last as usize == outputs);
        node.require(fits, "its weights do not fit its input and output")?;
        let (scales, weights) = node.weights(1, 0, outputs)?;
        let layer = FullyConnected {
            batches,
            inputs,
            outputs,
            weights,
            scales,
            bias: node.bias(2, outputs)?,
            input_scale: input.scale(),
            output_scale: output.scale(),
            finish: node.finish(&output, node.option_u8(0, 0)?)?,
            zero_point: input.zero_point(),
        };
        for channel in 0..(scales.record.scale_count as usize) {
            node.multiplier(layer.real(channel))?;
        }
        Ok(layer)
    }

    fn real(&self, channel: usize) -> f64 {
        if self.scales.record.scale_count == 1 {
            // With one scale the reference multiplies in single precision.
            f64::from(self.input_scale * self.scales.scale()) / f64::from(self.output_scale)
        } else {
            f64::from(self.input_scale) * f64::from(self.scales.channel_scale(channel)) / f64::from(self.output_scale)
        }
    }

    /// Offers the layer to other kernels.
    pub fn offer(&self, kernels: &mut impl Kernels, input: &[i8], output: &mut [i8]) -> bool {
        let single = (self.scales.record.scale_count == 1).then(|| Multiplier::from_real(self.real(0)));
        let factor = |index: usize| {
            let bias = self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
            Factor::new(bias, single.unwrap_or_else(|| Multiplier::from_real(self.real(index))))
        };
        let layer = DenseLayer {
            batches: self.batches,
            inputs: self.inputs,
            outputs: self.outputs,
            weights: signed(self.weights),
            zero_point: self.zero_point,
            bounds: self.finish.into(),
            bias: self.bias,
            uniform: single.map(|multiplier| Factor::new(0, multiplier)),
            factor: &factor,
        };
        kernels.fully_connected(&layer, input, output)
    }

    pub fn scratch_bytes(&self) -> usize {
        let factors = self.inputs.min(BLOCK).div_ceil(8) * size_of::<Factors>();
        factors + if self.inputs > BLOCK { self.outputs * size_of::<i32>() } else { 0 }
    }

    pub fn macs(&self) -> u64 {
        (self.batches * self.inputs) as u64 * self.outputs as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8]) -> Option<()> {
        // Two loops, each with its own way to a factor, so that a common one stays in registers.
        if self.scales.record.scale_count == 1 {
            let single = Requantize::new(Multiplier::from_real(self.real(0)));
            self.run_with(input, output, scratch, |_| single)
        } else {
            let each = |index| Requantize::new(Multiplier::from_real(self.real(index)));
            self.run_with(input, output, scratch, each)
        }
    }

    #[inline(always)]
    fn run_with(
        &self,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u8],
        factor: impl Fn(usize) -> Requantize,
    ) -> Option<()> {
        let (factors, sums) =
            <[Factors]>::mut_from_prefix_with_elems(scratch, self.inputs.min(BLOCK).div_ceil(8)).ok()?;
        let finish = |index: usize, sum: i32| {
            let bias = self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
            self.finish.apply(factor(index).apply(sum.wrapping_add(bias)))
        };
        for (input, output) in input.chunks_exact(self.inputs).zip(output.chunks_exact_mut(self.outputs)) {
            if self.inputs <= BLOCK {
                self.block(0, input, factors, |index, sum| {
                    if let Some(value) = output.get_mut(index) {
                        *value = finish(index, sum);
                    }
                })?;
                continue;
            }
            let (sums, _) = <[i32]>::mut_from_prefix_with_elems(sums, self.outputs).ok()?;
            sums.fill(0);
            for first in (0..self.inputs).step_by(BLOCK) {
                self.block(first, input, factors, |index, sum| {
                    if let Some(total) = sums.get_mut(index) {
                        *total = total.wrapping_add(sum);
                    }
                })?;
            }
            for (index, (value, sum)) in output.iter_mut().zip(sums).enumerate() {
                *value = finish(index, *sum);
            }
        }
        Some(())
    }

    /// The part of all sums that comes from up to [`BLOCK`] inputs from `first` on.
    fn block(
        &self,
        first: usize,
        input: &[i8],
        factors: &mut [Factors],
        mut store: impl FnMut(usize, i32),
    ) -> Option<()> {
        let input = input.get(first..)?;
        let input = &input[..input.len().min(BLOCK)];
        let count = input.len() / 8;
        let zero_point = i64::from(self.zero_point);
        let mut total = 0;
        let (eights, rest) = input.as_chunks::<8>();
        for (factors, eight) in factors.iter_mut().zip(eights) {
            let x = eight.map(|value| i64::from(value) - zero_point);
            total += x.iter().sum::<i64>();
            let words: Factors = core::array::from_fn(|i| x[i + 4].wrapping_add(x[i] << 32));
            *factors =
                core::array::from_fn(|i| if i == 0 { words[0] } else { words[i].wrapping_sub(words[0] << (8 * i)) });
        }
        let factors = factors.get(..count)?;
        // The weights were made unsigned by adding 128 to each.
        let excess = 128 * total as i32;
        let tail = |row: &[u8]| {
            if rest.is_empty() {
                return 0;
            }
            let weights = row.get(first + 8 * count..).unwrap_or_default();
            let pairs = weights.iter().zip(rest);
            pairs.map(|(weight, value)| i32::from(*weight as i8) * (i32::from(*value) - self.zero_point)).sum::<i32>()
        };
        let whole = self.outputs / ROWS * ROWS;
        let words = <[u64]>::ref_from_bytes(self.weights).ok().filter(|_| self.inputs.is_multiple_of(8));
        if let Some(words) = words {
            // Every row is aligned: the usual case, without a check a row.
            let stride = self.inputs / 8;
            let start = words.get(first / 8..)?;
            for index in (0..whole).step_by(ROWS) {
                // One check for all four rows.
                let rows = start.get(index * stride..)?;
                let rows = rows.get(..rows.len().min(ROWS * stride))?;
                let last = rows.get((ROWS - 1) * stride..)?;
                let four = [rows, rows.get(stride..)?, rows.get(2 * stride..)?, last];
                for (row, sum) in hart::dots(factors, four).into_iter().enumerate() {
                    store(index + row, unpack(sum)[1].wrapping_sub(excess));
                }
            }
        }
        let from = if words.is_some() { whole } else { 0 };
        for (index, row) in self.weights.chunks_exact(self.inputs).enumerate().skip(from) {
            let sum = dot(factors, row.get(first..).unwrap_or_default());
            store(index, sum.wrapping_sub(excess).wrapping_add(tail(row)));
        }
        Some(())
    }
}

/// The sum of one row of weights, each weight plus 128, with prepared inputs.
fn dot(factors: &[Factors], row: &[u8]) -> i32 {
    let words = row.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight));
    unpack(hart::portable::dot(factors, words))[1]
}
