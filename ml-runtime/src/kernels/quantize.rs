//! `QUANTIZE` and `DEQUANTIZE`: between numbers of several sizes and floating point, at the edges of a model or in it.

use crate::error::LoadError;
use crate::fixed_point::{Finish, Requantize};
use crate::node::{Node, round_away};
use crate::tensor::{ElementType, Tensor};

/// A decoded conversion.
pub(crate) enum Quantize {
    /// Floating point to whole numbers.
    FromReal {
        /// Real value of one step.
        scale: f32,
        /// The numbers that come out.
        output: Stored,
    },
    /// int8 to int8 of another scale, by far the most frequent one.
    Rescale {
        /// Zero point of the input.
        zero_point: i32,
        /// Ratio of the scales.
        factor: Requantize,
        /// Zero point of the output.
        finish: Finish,
    },
    /// Whole numbers to others.
    Convert {
        /// The numbers that go in.
        input: Stored,
        /// Ratio of the scales.
        factor: Requantize,
        /// The numbers that come out.
        output: Stored,
    },
    /// Whole numbers to floating point.
    ToReal {
        /// Real value of one step.
        scale: f32,
        /// The numbers that go in.
        input: Stored,
    },
}

/// How whole numbers are stored.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    kind: ElementType,
    zero_point: i32,
}

impl Stored {
    /// How `tensor` stores its numbers, if it has one scale and is of one of `kinds`.
    fn new(node: &Node<'_>, tensor: &Tensor<'_>, kinds: &[ElementType]) -> Result<Self, LoadError> {
        match tensor.element().filter(|kind| kinds.contains(kind)) {
            Some(kind) if tensor.record.scale_count == 1 => Ok(Stored { kind, zero_point: tensor.zero_point() }),
            _ => Err(node.refuse("it does not convert between these types, or one of them has not one scale")),
        }
    }

    /// Shows all numbers of `bytes` to `put`, each less the zero point.
    fn read(&self, bytes: &[u8], mut put: impl FnMut(i32)) {
        let mut each = |value: i32| put(value.wrapping_sub(self.zero_point));
        match self.kind {
            ElementType::Int8 => bytes.iter().for_each(|byte| each(i32::from(*byte as i8))),
            ElementType::UInt8 => bytes.iter().for_each(|byte| each(i32::from(*byte))),
            ElementType::Int16 => {
                bytes.as_chunks().0.iter().for_each(|pair| each(i32::from(i16::from_le_bytes(*pair))));
            }
            _ => bytes.as_chunks().0.iter().for_each(|word| each(i32::from_le_bytes(*word))),
        }
    }

    /// Stores `value` as the first number of `rest` and moves on.
    fn write(&self, value: i64, rest: &mut &mut [u8]) {
        let value = value + i64::from(self.zero_point);
        let (size, bytes) = match self.kind {
            ElementType::Int8 => (1, value.clamp(-128, 127).to_le_bytes()),
            ElementType::UInt8 => (1, value.clamp(0, 255).to_le_bytes()),
            ElementType::Int16 => (2, value.clamp(-32_768, 32_767).to_le_bytes()),
            _ => (4, value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)).to_le_bytes()),
        };
        if let Some(first) = rest.split_off_mut(..size) {
            first.copy_from_slice(&bytes[..size]);
        }
    }
}

impl Quantize {
    pub fn decode_quantize(node: &Node<'_>) -> Result<Self, LoadError> {
        use ElementType::{Float32, Int8, Int16, Int32, UInt8};
        node.arity(1..=1, 1)?;
        node.options_of(89)?;
        let (input, output) = (node.input(0)?, node.output(0)?);
        node.require(input.elements() == output.elements(), "its input and output have different sizes")?;
        if input.element() == Some(Float32) {
            let scale = output.scale();
            return Ok(Quantize::FromReal { scale, output: Stored::new(node, &output, &[Int8, Int16])? });
        }
        let from = Stored::new(node, &input, &[Int8, UInt8, Int16, Int32])?;
        let to = Stored::new(
            node,
            &output,
            match from.kind {
                Int8 => &[Int8, UInt8, Int16, Int32],
                UInt8 => &[Int8],
                Int16 => &[Int8, Int16, Int32],
                _ => &[Int8, Int16],
            },
        )?;
        let ratio = f64::from(input.scale()) / f64::from(output.scale());
        node.require(ratio < f64::from(1u32 << 22), "its scales give a factor that is out of range")?;
        let factor = Requantize::new(node.multiplier(ratio)?);
        if (from.kind, to.kind) == (Int8, Int8) {
            return Ok(Quantize::Rescale { zero_point: input.zero_point(), factor, finish: node.finish(&output, 0)? });
        }
        Ok(Quantize::Convert { input: from, factor, output: to })
    }

    pub fn decode_dequantize(node: &Node<'_>) -> Result<Self, LoadError> {
        use ElementType::{Float32, Int8, Int16, UInt8};
        node.arity(1..=1, 1)?;
        node.options_of(38)?;
        let (input, output) = (node.input(0)?, node.output(0)?);
        node.require(output.element() == Some(Float32), "its output is not float32")?;
        node.require(input.elements() == output.elements(), "its input and output have different sizes")?;
        Ok(Quantize::ToReal { scale: input.scale(), input: Stored::new(node, &input, &[Int8, UInt8, Int16])? })
    }

    pub fn run(&self, input: &[u8], output: &mut [u8]) -> Option<()> {
        match self {
            Quantize::FromReal { scale, output: stored } => {
                let mut rest = output;
                for real in input.as_chunks::<4>().0 {
                    // What is not a number becomes zero.
                    stored.write(i64::from(round_away(f32::from_le_bytes(*real) / scale)), &mut rest);
                }
            }
            Quantize::Rescale { zero_point, factor, finish } => {
                for (value, input) in output.iter_mut().zip(input) {
                    *value = finish.apply(factor.apply(i32::from(*input as i8) - zero_point)) as u8;
                }
            }
            Quantize::Convert { input: from, factor, output: to } => {
                let mut rest = output;
                from.read(input, |value| to.write(factor.apply(value), &mut rest));
            }
            Quantize::ToReal { scale, input: from } => {
                let mut reals = output.as_chunks_mut::<4>().0.iter_mut();
                from.read(input, |value| {
                    if let Some(real) = reals.next() {
                        *real = ((f64::from(*scale) * f64::from(value)) as f32).to_le_bytes();
                    }
                });
            }
        }
        Some(())
    }
}
