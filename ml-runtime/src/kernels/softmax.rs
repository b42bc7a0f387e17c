//! `SOFTMAX` over the last dimension.

use crate::error::LoadError;
use crate::fixed_point::{Multiplier, exp_of_negative, one_over_one_plus, rounding_high_mul, rounding_shift};
use crate::node::Node;

/// Integer bits of the scaled differences from the row's maximum.
const DIFFERENCE_BITS: u32 = 5;
/// Integer bits of the sum of exponentials: up to 4,096 classes.
const SUM_BITS: u32 = 12;

/// A decoded softmax.
pub(crate) struct Softmax {
    depth: usize,
    multiplier: Multiplier,
    /// Smaller differences count as zero probability.
    smallest: i32,
}

impl Softmax {
    pub fn decode(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(1..=1, 1)?;
        node.options_of(9)?;
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        node.require(input.dims() == output.dims(), "its input and output have different shapes")?;
        let fits = output.zero_point() == -128 && output.scale() == 1.0 / 256.0;
        node.require(fits, "its output is not quantised with scale 1/256 and zero point -128")?;
        let depth = input.dims().last().map_or(1, |depth| *depth as usize);
        node.require(depth < 1 << SUM_BITS, "more than 4,095 classes are not supported")?;
        let beta = f64::from(node.option_f32(0, 0.0)?);
        let real = beta * f64::from(input.scale()) * f64::from(1u32 << (31 - DIFFERENCE_BITS));
        node.require(real >= 1.0, "its beta and input scale give a factor that is out of range")?;
        let multiplier = Multiplier::from_real(real.min(f64::from(i32::MAX)));
        let largest = ((1i64 << DIFFERENCE_BITS) - 1) << (31 - DIFFERENCE_BITS) >> multiplier.exponent;
        Ok(Softmax { depth, multiplier, smallest: -(largest as i32) })
    }

    pub fn run(&self, input: &[i8], output: &mut [i8]) -> Option<()> {
        for (input, output) in input.chunks_exact(self.depth).zip(output.chunks_exact_mut(self.depth)) {
            let max = i32::from(*input.iter().max()?);
            let exponential = |value: i8| {
                let difference = i32::from(value) - max;
                (difference >= self.smallest).then(|| {
                    let shifted = difference.wrapping_shl(self.multiplier.exponent as u32);
                    exp_of_negative(rounding_high_mul(shifted, self.multiplier.fraction), DIFFERENCE_BITS)
                })
            };
            let sum: i32 =
                input.iter().filter_map(|value| exponential(*value)).map(|e| rounding_shift(e, SUM_BITS)).sum();
            // The sum is at least one (the maximum's own exponential): 1/sum = 2^-bits / (1 + x) with x in [0, 1).
            let headroom = sum.leading_zeros();
            let fraction = ((sum as u32).wrapping_shl(headroom) ^ 1 << 31) as i32;
            let reciprocal = one_over_one_plus(fraction);
            let exponent = (SUM_BITS + 31 - 8).checked_sub(headroom)?;
            for (target, value) in output.iter_mut().zip(input) {
                *target = match exponential(*value) {
                    Some(e) => {
                        (rounding_shift(rounding_high_mul(reciprocal, e), exponent) - 128).clamp(-128, 127) as i8
                    }
                    None => -128,
                };
            }
        }
        Some(())
    }
}
