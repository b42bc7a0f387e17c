//! `QUANTIZE` and `DEQUANTIZE`: the edges between int8 and floating point, and between two int8 scales.

use crate::error::LoadError;
use crate::fixed_point::{Finish, Requantize};
use crate::node::{Node, round_away};
use crate::tensor::ElementType;

/// A decoded conversion.
pub(crate) enum Quantize {
    /// Floating point to int8.
    FromReal {
        /// Real value of one step.
        scale: f32,
        /// Stored value of zero.
        zero_point: i32,
    },
    /// int8 to int8 of another scale.
    Rescale {
        /// Zero point of the input.
        zero_point: i32,
        /// Ratio of the scales.
        factor: Requantize,
        /// Zero point of the output.
        finish: Finish,
    },
    /// int8 to floating point.
    ToReal {
        /// Real value of one step.
        scale: f32,
        /// Stored value of zero.
        zero_point: i32,
    },
}

impl Quantize {
    pub fn decode_quantize(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(1..=1, 1)?;
        node.options_of(89)?;
        let (input, output) = (node.input(0)?, node.int8_output(0)?);
        node.require(input.elements() == output.elements(), "its input and output have different sizes")?;
        if input.element() == Some(ElementType::Float32) {
            return Ok(Quantize::FromReal { scale: output.scale(), zero_point: output.zero_point() });
        }
        let input = node.int8_input(0)?;
        let ratio = f64::from(input.scale()) / f64::from(output.scale());
        node.require(ratio < f64::from(1u32 << 22), "its scales give a factor that is out of range")?;
        let factor = Requantize::new(node.multiplier(ratio)?);
        Ok(Quantize::Rescale { zero_point: input.zero_point(), factor, finish: node.finish(&output, 0)? })
    }

    pub fn decode_dequantize(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(1..=1, 1)?;
        node.options_of(38)?;
        let (input, output) = (node.int8_input(0)?, node.output(0)?);
        node.require(output.element() == Some(ElementType::Float32), "its output is not float32")?;
        node.require(input.elements() == output.elements(), "its input and output have different sizes")?;
        Ok(Quantize::ToReal { scale: input.scale(), zero_point: input.zero_point() })
    }

    pub fn run(&self, input: &[u8], output: &mut [u8]) -> Option<()> {
        match self {
            Quantize::FromReal { scale, zero_point } => {
                for (value, real) in output.iter_mut().zip(input.as_chunks::<4>().0) {
                    // A real number that is not a number becomes zero.
                    let stored = round_away(f32::from_le_bytes(*real) / scale) + zero_point;
                    *value = stored.clamp(-128, 127) as u8;
                }
            }
            Quantize::Rescale { zero_point, factor, finish } => {
                for (value, input) in output.iter_mut().zip(input) {
                    *value = finish.apply(factor.apply(i32::from(*input as i8) - zero_point)) as u8;
                }
            }
            Quantize::ToReal { scale, zero_point } => {
                for (real, input) in output.as_chunks_mut::<4>().0.iter_mut().zip(input) {
                    let value = f64::from(*scale) * f64::from(i32::from(*input as i8) - zero_point);
                    *real = (value as f32).to_le_bytes();
                }
            }
        }
        Some(())
    }
}
