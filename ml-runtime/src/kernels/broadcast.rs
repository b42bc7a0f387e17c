//! Functions of two elements of tensors whose shapes may differ: a dimension of 1 is repeated, as NumPy does it.
//! And those of them that are so small that they need no file: `MAXIMUM`, `MINIMUM`, `PRELU`.

use super::walk::{Loop, Walk, strides};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Requantize};
use crate::node::Node;
use crate::tensor::{MAX_RANK, Tensor};

/// How two inputs are gone through to make the output, in its order.
pub(crate) struct Pairs(Walk);

impl Pairs {
    /// Checks that the shapes of both inputs, stretched, are the output's.
    pub fn new(node: &Node<'_>, left: &Tensor<'_>, right: &Tensor<'_>, output: &Tensor<'_>) -> Result<Self, LoadError> {
        let rank = output.dims().len();
        let stretched = |input: &Tensor<'_>| {
            let missing = rank.checked_sub(input.dims().len())?;
            let distances = strides(input.dims());
            let mut steps = [0; MAX_RANK];
            for (i, dim) in input.dims().iter().enumerate() {
                match output.dims()[missing + i] {
                    _ if *dim == 1 => {}
                    size if size == *dim => steps[missing + i] = distances[i],
                    _ => return None,
                }
            }
            Some(steps)
        };
        let (Some(from), Some(to)) = (stretched(left), stretched(right)) else {
            return Err(node.refuse("the shapes of its inputs do not fit that of its output"));
        };
        let walk = output
            .dims()
            .iter()
            .enumerate()
            .fold(Walk::new(0, 0), |walk, (i, dim)| walk.inside(*dim as usize, from[i], to[i]));
        // What both inputs lack, the reference does not make.
        let lacking = (0..rank).any(|i| output.dims()[i] != 1 && from[i] == 0 && to[i] == 0);
        node.require(!lacking, "the shapes of its inputs do not fit that of its output")?;
        Ok(Pairs(walk))
    }

    /// Makes the output element by element.
    #[inline(always)]
    pub fn zip(&self, left: &[i8], right: &[i8], output: &mut [i8], f: impl Fn(i8, i8) -> i8) -> Option<()> {
        let Loop { count, from, to } = self.0.inner();
        let mut at = 0;
        self.0.rows(|left_at, right_at| {
            let (left, right) = (left.get(left_at..)?, right.get(right_at..)?);
            let values = output.get_mut(at..)?.get_mut(..count)?;
            at += count;
            match (from, to) {
                (1, 0) => {
                    let right = *right.first()?;
                    values.iter_mut().zip(left.get(..count)?).for_each(|(value, left)| *value = f(*left, right));
                }
                (0, 1) => {
                    let left = *left.first()?;
                    values.iter_mut().zip(right.get(..count)?).for_each(|(value, right)| *value = f(left, *right));
                }
                _ => {
                    let pairs = left.get(..count)?.iter().zip(right.get(..count)?);
                    values.iter_mut().zip(pairs).for_each(|(value, (left, right))| *value = f(*left, *right));
                }
            }
            Some(())
        })
    }
}

/// A decoded `MAXIMUM`, `MINIMUM` or `PRELU`.
pub(crate) struct Choice {
    pairs: Pairs,
    kind: Kind,
}

enum Kind {
    Max,
    Min,
    Prelu { zero_points: [i32; 2], positive: Requantize, negative: Requantize, finish: Finish },
}

impl Choice {
    pub fn decode_extreme(node: &Node<'_>, max: bool) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(39)?;
        let (left, right, output) = (node.int8_input(0)?, node.int8_input(1)?, node.int8_output(0)?);
        node.same_values(&left, &output)?;
        node.same_values(&right, &output)?;
        let pairs = Pairs::new(node, &left, &right, &output)?;
        Ok(Choice { pairs, kind: if max { Kind::Max } else { Kind::Min } })
    }

    pub fn decode_prelu(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(0)?;
        let (input, slope, output) = (node.int8_input(0)?, node.int8_input(1)?, node.int8_output(0)?);
        node.require(input.dims() == output.dims(), "its input and output have different shapes")?;
        let pairs = Pairs::new(node, &input, &slope, &output)?;
        let [input_scale, slope_scale, output_scale] = [input, slope, output].map(|tensor| f64::from(tensor.scale()));
        let (positive, negative) = (input_scale / output_scale, input_scale * slope_scale / output_scale);
        // A product has 17 bits; a larger factor would shift it out of its word.
        let fits = positive.max(negative) < f64::from(1u32 << 14);
        node.require(fits, "its scales give a factor that is out of range")?;
        let kind = Kind::Prelu {
            zero_points: [input.zero_point(), slope.zero_point()],
            positive: Requantize::new(node.multiplier(positive)?),
            negative: Requantize::new(node.multiplier(negative)?),
            finish: node.finish(&output, 0)?,
        };
        Ok(Choice { pairs, kind })
    }

    pub fn run(&self, left: &[i8], right: &[i8], output: &mut [i8]) -> Option<()> {
        match &self.kind {
            Kind::Max => self.pairs.zip(left, right, output, i8::max),
            Kind::Min => self.pairs.zip(left, right, output, i8::min),
            Kind::Prelu { zero_points: [zero, slope_zero], positive, negative, finish } => {
                self.pairs.zip(left, right, output, |input, slope| {
                    let input = i32::from(input) - zero;
                    finish.apply(if input >= 0 {
                        positive.apply(input)
                    } else {
                        negative.apply(input * (i32::from(slope) - slope_zero))
                    })
                })
            }
        }
    }
}
