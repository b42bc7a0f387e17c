//! Operators that make one value of many along some dimensions: `ARG_MAX`, `ARG_MIN`, `MEAN`, `REDUCE_MAX`, `REDUCE_MIN`,
//! `SUM`.

use super::walk::{Loop, Walk, strides};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::node::Node;
use crate::tensor::{ElementType, MAX_RANK, Tensor};

/// What is made of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mean,
    Sum,
    Max,
    Min,
}

/// A decoded reduction.
pub(crate) struct Reduce {
    walk: Walk,
    outputs: usize,
    how: How,
}

enum How {
    /// The sum of the values, each less the input's zero point, is scaled.
    Sum { zero_points: i32, factor: Requantize, finish: Finish },
    /// The largest, or else the smallest.
    Extreme { max: bool },
}

impl Reduce {
    pub fn decode(node: &Node<'_>, kind: Kind) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(27)?;
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        let axes = node.constants(1, "its axes are not constant whole numbers")?;
        let mut reduced = [false; MAX_RANK];
        for axis in axes.iter() {
            reduced[node.axis(axis, &input)?] = true;
        }
        check_shape(node, &input, &output, &reduced)?;
        let distances = strides(input.dims());
        let mut out_distances = [0; MAX_RANK];
        let (mut outputs, mut count) = (1usize, 1i64);
        for (i, dim) in input.dims().iter().enumerate().rev() {
            if reduced[i] {
                count *= i64::from(*dim);
            } else {
                out_distances[i] = outputs as isize;
                outputs *= *dim as usize;
            }
        }
        let walk = input
            .dims()
            .iter()
            .enumerate()
            .fold(Walk::new(0, 0), |walk, (i, dim)| walk.inside(*dim as usize, distances[i], out_distances[i]));
        let how = match kind {
            Kind::Max | Kind::Min => {
                node.same_values(&input, &output)?;
                How::Extreme { max: kind == Kind::Max }
            }
            Kind::Sum | Kind::Mean => {
                node.require(count <= 1 << 23, "more than 8,388,608 values for one result are not supported")?;
                let ratio = f64::from(input.scale()) / f64::from(output.scale());
                let mut factor = node.multiplier(ratio)?;
                if kind == Kind::Mean {
                    factor = divided(factor, count);
                }
                // The sum has up to 31 bits; what the factor adds to them must not leave the word.
                let room = 31 - (255 * count).ilog2() as i32;
                node.require(factor.exponent < room, "its scales give a factor that is out of range")?;
                How::Sum {
                    zero_points: input.zero_point().wrapping_mul(count as i32),
                    factor: Requantize::new(factor),
                    finish: node.finish(&output, 0)?,
                }
            }
        };
        Ok(Reduce { walk, outputs, how })
    }

    pub fn scratch_bytes(&self) -> usize {
        match self.how {
            How::Sum { .. } => self.outputs * size_of::<i32>(),
            How::Extreme { .. } => 0,
        }
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8]) -> Option<()> {
        match &self.how {
            How::Sum { zero_points, factor, finish } => {
                let sums = scratch.as_chunks_mut::<4>().0.get_mut(..self.outputs)?;
                sums.fill([0; 4]);
                self.fold(input, sums, |sum, value| {
                    *sum = (i32::from_le_bytes(*sum) + i32::from(value)).to_le_bytes();
                })?;
                for (value, sum) in output.iter_mut().zip(sums) {
                    let sum = i32::from_le_bytes(*sum).wrapping_sub(*zero_points);
                    *value = finish.apply(factor.apply(sum));
                }
                Some(())
            }
            How::Extreme { max: true } => {
                output.fill(i8::MIN);
                self.fold(input, output, |largest, value| *largest = value.max(*largest))
            }
            How::Extreme { max: false } => {
                output.fill(i8::MAX);
                self.fold(input, output, |smallest, value| *smallest = value.min(*smallest))
            }
        }
    }

    /// Puts each value into its result.
    #[inline(always)]
    fn fold<T>(&self, input: &[i8], results: &mut [T], put: impl Fn(&mut T, i8)) -> Option<()> {
        // The innermost dimension is dense in the input, and in the results either dense or one of them.
        let Loop { count, to, .. } = self.walk.inner();
        self.walk.rows(|from, at| {
            let values = input.get(from..)?.get(..count)?;
            let results = results.get_mut(at..)?;
            if to == 0 {
                let result = results.first_mut()?;
                values.iter().for_each(|value| put(result, *value));
            } else {
                results.get_mut(..count)?.iter_mut().zip(values).for_each(|(result, value)| put(result, *value));
            }
            Some(())
        })
    }
}

/// The output has the dimensions that stay; those that do not may remain as 1.
fn check_shape(
    node: &Node<'_>,
    input: &Tensor<'_>,
    output: &Tensor<'_>,
    reduced: &[bool; MAX_RANK],
) -> Result<(), LoadError> {
    let keep = node.option_u8(0, 0)? != 0;
    let pairs = || input.dims().iter().zip(reduced);
    let fits = if keep {
        output.dims().iter().copied().eq(pairs().map(|(dim, gone)| if *gone { 1 } else { *dim }))
    } else {
        output.dims().iter().copied().eq(pairs().filter(|(_, gone)| !**gone).map(|(dim, _)| *dim))
    };
    node.require(fits, "its output has another shape than its axes say")
}

/// `factor / count` as the reference divides it: the fraction is shifted left as far as the count has bits, so that its
/// quotient keeps them.
fn divided(factor: Multiplier, count: i64) -> Multiplier {
    let shift = (count.max(1).ilog2() as i32).min(31 + factor.exponent);
    let fraction = (i64::from(factor.fraction) << shift.max(0)) / count.max(1);
    Multiplier { fraction: fraction as i32, exponent: factor.exponent - shift.max(0) }
}

/// A decoded `ARG_MAX` or `ARG_MIN`.
pub(crate) struct Extreme {
    count: usize,
    inner: usize,
    max: bool,
}

impl Extreme {
    pub fn decode(node: &Node<'_>, max: bool) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(if max { 40 } else { 57 })?;
        let (input, output) = (node.int8_input(0)?, node.output(0)?);
        node.require(output.element() == Some(ElementType::Int32), "its output is not int32")?;
        let axes = node.constants(1, "its axis is not one constant whole number")?;
        node.require(axes.len() == 1, "its axis is not one constant whole number")?;
        let axis = node.axis(axes.get(0), &input)?;
        let rest = input.dims().iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, dim)| dim);
        node.require(output.dims().iter().eq(rest), "its output has another shape than its axis says")?;
        let inner = input.dims()[axis + 1..].iter().map(|dim| *dim as usize).product();
        Ok(Extreme { count: input.dims()[axis] as usize, inner, max })
    }

    pub fn run(&self, input: &[i8], output: &mut [u8]) -> Option<()> {
        let results = output.as_chunks_mut::<4>().0;
        for (values, results) in input.chunks_exact(self.count * self.inner).zip(results.chunks_exact_mut(self.inner)) {
            for (column, result) in results.iter_mut().enumerate() {
                let (mut best, mut index) = (*values.get(column)?, 0u32);
                for (i, value) in values.iter().skip(column).step_by(self.inner).enumerate() {
                    // Of equal ones, the first.
                    if if self.max { *value > best } else { *value < best } {
                        (best, index) = (*value, i as u32);
                    }
                }
                *result = index.to_le_bytes();
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_keeps_the_bits() {
        let one = Multiplier { fraction: 1 << 30, exponent: 1 };
        assert_eq!(divided(one, 1), one);
        assert_eq!(divided(one, 4), Multiplier { fraction: 1 << 30, exponent: -1 });
        assert_eq!(divided(one, 3), Multiplier { fraction: ((1i64 << 31) / 3) as i32, exponent: 0 });
        // So small a factor has no room for the shift.
        let tiny = Multiplier { fraction: 1 << 30, exponent: -31 };
        assert_eq!(divided(tiny, 8), Multiplier { fraction: 1 << 27, exponent: -31 });
    }
}
