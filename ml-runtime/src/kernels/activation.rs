//! Functions of one element: `HARD_SWISH`, `LEAKY_RELU`, `LOGISTIC`, `RELU`, `RELU6`, `TANH`.

use crate::error::LoadError;
use crate::fixed_point::{
    Finish, Multiplier, Requantize, exp_of_negative, one_minus_over_one_plus, one_over_one_plus, rounding_high_mul,
    rounding_shift,
};
use crate::kernels::hard_swish::HardSwish;
use crate::node::Node;
use crate::tensor::Tensor;

/// Integer bits of what the curves are taken of.
const INTEGER_BITS: u32 = 4;
/// With more elements than this, each of the 256 possible values is computed once.
const MANY: usize = 256;

/// Which operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Relu,
    Relu6,
    LeakyRelu,
    HardSwish,
    Logistic,
    Tanh,
}

/// A decoded function.
pub(crate) struct Activation {
    zero_point: i32,
    function: Function,
}

enum Function {
    /// One factor for positive numbers, one for negative ones.
    Straight {
        positive: Requantize,
        negative: Requantize,
        finish: Finish,
    },
    /// Bounds of the stored values; TensorFlow Lite Micro does not scale them to the output.
    Bounds {
        min: i8,
        max: i8,
    },
    HardSwish(HardSwish),
    /// A curve that is flat from `radius` on, both ways.
    Curve {
        multiplier: Multiplier,
        radius: i32,
        tanh: bool,
    },
}

impl Activation {
    pub fn decode(node: &Node<'_>, kind: Kind) -> Result<Self, LoadError> {
        node.arity(1..=1, 1)?;
        node.options_of(match kind {
            Kind::LeakyRelu => 75,
            Kind::HardSwish => 91,
            _ => 0,
        })?;
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        node.require(input.dims() == output.dims(), "its input and output have different shapes")?;
        // The reference divides in single precision.
        let ratio = input.scale() / output.scale();
        let straight = |ratio: f32, slope: f32, activation: u8| {
            Ok::<_, LoadError>(Function::Straight {
                positive: Requantize::new(node.multiplier(f64::from(ratio))?),
                negative: Requantize::new(node.multiplier(f64::from(slope))?),
                finish: node.finish(&output, activation)?,
            })
        };
        let function = match kind {
            Kind::Relu => straight(ratio, ratio, 1)?,
            Kind::Relu6 => {
                let bounds = node.finish(&input, 3)?;
                Function::Bounds { min: bounds.min as i8, max: bounds.max as i8 }
            }
            Kind::HardSwish => Function::HardSwish(HardSwish::new(node, &input, &output)?),
            Kind::LeakyRelu => {
                let alpha = node.option_f32(0, 0.0)?;
                node.require(alpha > 0.0 && alpha.is_finite(), "its slope is not a positive number")?;
                straight(ratio, input.scale() * alpha / output.scale(), 0)?
            }
            Kind::Logistic => {
                let fits = output.zero_point() == -128 && output.scale() == 1.0 / 256.0;
                node.require(fits, "its output is not quantised with scale 1/256 and zero point -128")?;
                curve(node, &input, false)?
            }
            Kind::Tanh => {
                let fits = output.zero_point() == 0 && output.scale() == 1.0 / 128.0;
                node.require(fits, "its output is not quantised with scale 1/128 and zero point 0")?;
                curve(node, &input, true)?
            }
        };
        Ok(Activation { zero_point: input.zero_point(), function })
    }

    pub fn run(&self, input: &[i8], output: &mut [i8]) -> Option<()> {
        if input.len() <= MANY {
            output.iter_mut().zip(input).for_each(|(value, input)| *value = self.value(*input));
            return Some(());
        }
        let table: [i8; 256] = core::array::from_fn(|index| self.value(index as u8 as i8));
        output.iter_mut().zip(input).for_each(|(value, input)| *value = table[usize::from(*input as u8)]);
        Some(())
    }

    fn value(&self, input: i8) -> i8 {
        let x = i32::from(input) - self.zero_point;
        match &self.function {
            Function::Straight { positive, negative, finish } => {
                finish.apply(if x >= 0 { positive.apply(x) } else { negative.apply(x) })
            }
            Function::Bounds { min, max } => input.clamp(*min, *max),
            Function::HardSwish(function) => function.value(x),
            Function::Curve { radius, .. } if x <= -radius => i8::MIN,
            Function::Curve { radius, .. } if x >= *radius => i8::MAX,
            Function::Curve { multiplier, tanh, .. } => {
                let x = rounding_high_mul(x.wrapping_shl(multiplier.exponent as u32), multiplier.fraction);
                // Both curves are symmetric: the negative half is computed, in Q0.31.
                let exponential = exp_of_negative(-x.saturating_abs(), INTEGER_BITS + u32::from(*tanh));
                let stored = if *tanh {
                    let magnitude = if x == 0 { 0 } else { one_minus_over_one_plus(exponential) };
                    rounding_shift(if x < 0 { -magnitude } else { magnitude }, 31 - 7)
                } else {
                    let above = if x == 0 { 1 << 30 } else { one_over_one_plus(exponential) };
                    rounding_shift(if x < 0 { i32::MAX - above } else { above }, 31 - 8) - 128
                };
                stored.clamp(-128, 127) as i8
            }
        }
    }
}

/// The factor that brings inputs to fixed point, and from where on the curve is flat.
fn curve(node: &Node<'_>, input: &Tensor<'_>, tanh: bool) -> Result<Function, LoadError> {
    let real = f64::from(input.scale()) * f64::from(1u32 << (31 - INTEGER_BITS));
    node.require(real >= 1.0 && real < f64::from(1u32 << 31), "its input scale gives a factor that is out of range")?;
    let multiplier = Multiplier::from_real(real);
    let radius = ((1i64 << INTEGER_BITS) - 1) << (31 - INTEGER_BITS) >> multiplier.exponent;
    Ok(Function::Curve { multiplier, radius: radius as i32, tanh })
}
