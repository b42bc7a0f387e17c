//! `HARD_SWISH`: x · relu6(x + 3) / 6, in 16-bit fixed point, step by step as the reference rounds it.

use crate::error::LoadError;
use crate::fixed_point::{Multiplier, rounding_shift};
use crate::node::Node;
use crate::tensor::Tensor;

/// A decoded function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HardSwish {
    /// To the output's scale, of which the exponent comes last.
    output: Half,
    /// To a scale on which 32,768 is 3.
    slope: Half,
    zero_point: i32,
}

/// A multiplier with a fraction of 15 bits.
#[derive(Clone, Copy, Debug)]
struct Half {
    fraction: i32,
    exponent: i32,
}

impl Half {
    fn new(real: f32) -> Half {
        let Multiplier { fraction, exponent } = Multiplier::from_real(f64::from(real));
        let fraction =
            if fraction >= i32::MAX - (1 << 15) { i32::from(i16::MAX) } else { (fraction + (1 << 15)) >> 16 };
        Half { fraction, exponent }
    }
}

impl HardSwish {
    pub fn new(node: &Node<'_>, input: &Tensor<'_>, output: &Tensor<'_>) -> Result<Self, LoadError> {
        // The reference computes these in single precision.
        let fine = (1.0f32 / 128.0) * input.scale();
        let (to_output, to_slope) = (fine / output.scale(), fine / (3.0f32 / 32768.0));
        node.multiplier(f64::from(to_output))?;
        node.multiplier(f64::from(to_slope))?;
        let (to_output, slope) = (Half::new(to_output), Half::new(to_slope));
        let fits = (-15..=0).contains(&to_output.exponent) && (-15..=16).contains(&slope.exponent);
        node.require(fits, "its scales give a factor that is out of range")?;
        Ok(HardSwish { output: to_output, slope, zero_point: output.zero_point() })
    }

    /// The stored result for an input that is `x` steps from zero.
    pub fn value(&self, x: i32) -> i8 {
        // At most 255 · 128: all that follows has 16 bits.
        let fine = x << 7;
        let unshifted = rounding_high_mul(fine, self.output.fraction);
        let mut slope = fine;
        // The last bit of a left shift comes after the product, which may saturate.
        if self.slope.exponent > 0 {
            slope = saturate(i64::from(slope) << (self.slope.exponent - 1));
        }
        slope = rounding_high_mul(slope, self.slope.fraction);
        if self.slope.exponent > 0 {
            slope = saturate(i64::from(slope) << 1);
        } else {
            slope = rounding_shift(slope, self.slope.exponent.unsigned_abs().min(31));
        }
        // From −1..1 to 0..1.
        let slope = (slope + (1 << 15)) >> 1;
        let product = slope * unshifted / (1 << 15);
        let result = rounding_shift(product, self.output.exponent.unsigned_abs().min(31));
        (result + self.zero_point).clamp(-128, 127) as i8
    }
}

fn saturate(x: i64) -> i32 {
    x.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i32
}

/// `a · b / 2^15`, rounded to nearest as gemmlowp's `SaturatingRoundingDoublingHighMul` does it for 16 bits.
fn rounding_high_mul(a: i32, b: i32) -> i32 {
    let product = a * b;
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    saturate(i64::from((product + nudge) / (1 << 15)))
}
