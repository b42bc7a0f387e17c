//! `FULLY_CONNECTED`.
//!
//! A weight is used once an inference, so the cost is in taking it out of memory. Eight of them are loaded at once and,
//! made unsigned by flipping their sign bits, multiplied in four steps of two. Let `v = Σ bᵢ·2^8ⁱ` be the eight bytes and
//! `u = v >> 16`. Masks give
//!
//! - `M₀ = b₀ + b₄·2^32` and `M₁ = b₁·2^8 + b₅·2^40` from `v`,
//! - `M₂ = b₂ + b₆·2^32` and `M₃ = b₃·2^8 + b₇·2^40` from `u`.
//!
//! With inputs `X₀ = x₄·2^8 + x₀·2^40`, `X₁ = x₅ + x₁·2^32`, and `X₂`, `X₃` alike from the inputs two further on, each
//! `Mᵢ·Xᵢ` has the sum of its two products at bit 40, and one useless product at bit 8. As
//! `v = M₀ + M₁ + 2^16·(M₂ + M₃)`, the sum `Σ Mᵢ·Xᵢ` is also `v·X₀ + M₁·(X₁ − X₀) + M₂·(X₂ − 2^16·X₀) + M₃·(X₃ − 2^16·X₀)`
//! modulo 2^64, which saves a mask. The factors are prepared once for all outputs. 14 instructions for 8
//! multiply-accumulates.

use zerocopy::{FromBytes, IntoBytes};

use super::hart::{self, Factors, ROWS};
use crate::accelerate::{DenseLayer, Factor, Kernels};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::memory::signed;
use crate::node::Node;
use crate::pace::Pace;
use crate::tensor::Tensor;

/// Inputs that are prepared at once: so many products of a weight plus 128 and an input less its zero point have room in
/// the 24 bits above bit 40.
const BLOCK: usize = 128;
const _: () = assert!(BLOCK * 255 * 255 < 1 << 23);

/// Rows whose sums are kept on the stack.
const MOST_ROWS: usize = 16 * ROWS;

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
            Factor::new(self.bias(index), single.unwrap_or_else(|| Multiplier::from_real(self.real(index))))
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

    #[inline(never)]
    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8], pace: &mut Pace<'_>) -> Option<()> {
        // Two loops, each with its own way to a factor, so that a common one stays in registers.
        if self.scales.record.scale_count == 1 {
            let single = Requantize::new(Multiplier::from_real(self.real(0)));
            self.run_with(input, output, scratch, pace, |_| single)
        } else {
            let each = |index| Requantize::new(Multiplier::from_real(self.real(index)));
            self.run_with(input, output, scratch, pace, each)
        }
    }

    #[inline(always)]
    fn run_with(
        &self,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u8],
        pace: &mut Pace<'_>,
        factor: impl Fn(usize) -> Requantize,
    ) -> Option<()> {
        let (factors, sums) =
            <[Factors]>::mut_from_prefix_with_elems(scratch, self.inputs.min(BLOCK).div_ceil(8)).ok()?;
        // Usually everything lies aligned; a bias that does not is put together byte by byte.
        let aligned = self.bias.and_then(|bias| <[i32]>::ref_from_bytes(bias.as_bytes()).ok());
        let last = |first: usize, sums: &[i32], output: &mut [i8]| {
            let output = output.get_mut(first..).unwrap_or_default();
            for (index, (value, sum)) in output.iter_mut().zip(sums).enumerate() {
                let bias = match aligned {
                    Some(bias) => bias.get(first + index).map_or(0, |bias| i32::from_le(*bias)),
                    None => self.bias(first + index),
                };
                *value = self.finish.apply(factor(first + index).apply(sum.wrapping_add(bias)));
            }
        };
        for (input, output) in input.chunks_exact(self.inputs).zip(output.chunks_exact_mut(self.outputs)) {
            if self.inputs <= BLOCK {
                self.block(0, input, factors, pace, |first, sums| last(first, sums, output))?;
                continue;
            }
            let (sums, _) = <[i32]>::mut_from_prefix_with_elems(sums, self.outputs).ok()?;
            sums.fill(0);
            for first in (0..self.inputs).step_by(BLOCK) {
                self.block(first, input, factors, pace, |first, parts| {
                    for (sum, part) in sums.get_mut(first..).unwrap_or_default().iter_mut().zip(parts) {
                        *sum = sum.wrapping_add(*part);
                    }
                })?;
            }
            last(0, sums, output);
        }
        Some(())
    }

    fn bias(&self, index: usize) -> i32 {
        self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes))
    }

    /// Gives the part of all sums that comes from up to [`BLOCK`] inputs from `first` on: some sums at a time, with the
    /// index of the first one.
    #[inline(always)]
    fn block(
        &self,
        first: usize,
        input: &[i8],
        factors: &mut [Factors],
        pace: &mut Pace<'_>,
        mut take: impl FnMut(usize, &[i32]),
    ) -> Option<()> {
        let input = input.get(first..)?;
        let input = &input[..input.len().min(BLOCK)];
        let (eights, rest) = input.as_chunks::<8>();
        let factors = factors.get_mut(..eights.len())?;
        // The weights were made unsigned by adding 128 to each.
        let excess = 128 * self.prepare(eights, factors);
        let tail = |row: &[u8]| {
            if rest.is_empty() {
                return 0;
            }
            let weights = row.get(first + 8 * eights.len()..).unwrap_or_default();
            let pairs = weights.iter().zip(rest);
            pairs.map(|(weight, value)| i32::from(*weight as i8) * (i32::from(*value) - self.zero_point)).sum::<i32>()
        };
        let whole = self.outputs / ROWS * ROWS;
        let words = <[u64]>::ref_from_bytes(self.weights).ok().filter(|_| self.inputs.is_multiple_of(8));
        if let Some(words) = words {
            // Every row is aligned: the usual case.
            let stride = self.inputs / 8;
            let start = words.get(first / 8..)?;
            let mut sums = [0; MOST_ROWS];
            for index in (0..whole).step_by(MOST_ROWS) {
                pace.worked(MOST_ROWS * input.len())?;
                let sums = &mut sums[..MOST_ROWS.min(whole - index)];
                hart::dots(factors, start.get(index * stride..)?, stride, sums);
                for sum in &mut *sums {
                    *sum = sum.wrapping_sub(excess);
                }
                take(index, sums);
            }
        }
        let from = if words.is_some() { whole } else { 0 };
        for (index, row) in self.weights.chunks_exact(self.inputs).enumerate().skip(from) {
            pace.worked(2 * input.len())?;
            let sum = dot(factors, row.get(first..).unwrap_or_default());
            take(index, &[sum.wrapping_sub(excess).wrapping_add(tail(row))]);
        }
        Some(())
    }

    /// Prepares inputs, and returns their sum.
    #[inline(never)]
    fn prepare(&self, eights: &[[i8; 8]], factors: &mut [Factors]) -> i32 {
        let zero_point = i64::from(self.zero_point);
        let mut total = 0;
        for (factors, eight) in factors.iter_mut().zip(eights) {
            let x = eight.map(|value| i64::from(value) - zero_point);
            total += x.iter().sum::<i64>();
            let even = |i: usize| (x[i + 4] << 8).wrapping_add(x[i] << 40);
            let odd = |i: usize| x[i + 4].wrapping_add(x[i] << 32);
            let (first, later) = (even(0), even(0) << 16);
            *factors = [first, odd(1).wrapping_sub(first), even(2).wrapping_sub(later), odd(3).wrapping_sub(later)];
        }
        total as i32
    }
}

/// The sum of one row of weights, each weight plus 128, with prepared inputs.
fn dot(factors: &[Factors], row: &[u8]) -> i32 {
    let words = row.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight));
    hart::portable::dot(factors, words)
}
