//! `ADD` and `SUB`.

use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::kernels::broadcast::Pairs;
use crate::node::Node;
use crate::pace::Pace;

/// Bits by which both sides are shifted left before they are brought to a common scale.
const LEFT_SHIFT: u32 = 20;

/// Elements that are added between two looks.
const PART: usize = 1024;

/// A decoded addition or subtraction.
pub(crate) struct Add {
    zero_points: [i32; 2],
    factors: [Multiplier; 2],
    result: Multiplier,
    finish: Finish,
    /// 1, or −1 for a subtraction.
    sign: i64,
    /// How the inputs are gone through where their shapes differ.
    pairs: Option<Pairs>,
}

impl Add {
    pub fn decode(node: &Node<'_>, subtract: bool) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(if subtract { 28 } else { 11 })?;
        let (left, right, output) = (node.int8_input(0)?, node.int8_input(1)?, node.int8_output(0)?);
        let same = left.dims() == right.dims() && left.dims() == output.dims();
        let pairs = if same { None } else { Some(Pairs::new(node, &left, &right, &output)?) };
        let [left_scale, right_scale, output_scale] = [left, right, output].map(|tensor| tensor.scale());
        let larger = left_scale.max(right_scale);
        let (reals, real) = if subtract {
            // The reference does these in single precision.
            let twice_larger = 2.0 * larger;
            let real = twice_larger / ((1u32 << LEFT_SHIFT) as f32 * output_scale);
            ([left_scale, right_scale].map(|scale| f64::from(scale / twice_larger)), f64::from(real))
        } else {
            let twice_larger = 2.0 * f64::from(larger);
            let real = twice_larger / (f64::from(1u32 << LEFT_SHIFT) * f64::from(output_scale));
            ([left_scale, right_scale].map(|scale| f64::from(scale) / twice_larger), real)
        };
        node.require(real < 1.0, "its scales give a factor that is out of range")?;
        Ok(Add {
            zero_points: [left.zero_point(), right.zero_point()],
            factors: [node.multiplier(reals[0])?, node.multiplier(reals[1])?],
            result: node.multiplier(real)?,
            finish: node.finish(&output, node.option_u8(0, 0)?)?,
            sign: if subtract { -1 } else { 1 },
            pairs,
        })
    }

    pub fn run(&self, left: &[i8], right: &[i8], output: &mut [i8], pace: &mut Pace<'_>) -> Option<()> {
        let [left_factor, right_factor] = self.factors.map(Requantize::new);
        let [left_zero, right_zero] = self.zero_points;
        let result = Requantize::new(self.result);
        let one = |left: i8, right: i8| {
            let left = left_factor.apply((i32::from(left) - left_zero) << LEFT_SHIFT);
            let right = right_factor.apply((i32::from(right) - right_zero) << LEFT_SHIFT);
            self.finish.apply(result.apply((left + self.sign * right) as i32))
        };
        if let Some(pairs) = &self.pairs {
            return pairs.zip(left, right, output, one);
        }
        for ((output, left), right) in output.chunks_mut(PART).zip(left.chunks(PART)).zip(right.chunks(PART)) {
            output.iter_mut().zip(left).zip(right).for_each(|((value, left), right)| *value = one(*left, *right));
            // An addition takes as long as many multiply-accumulates.
            pace.worked(16 * PART)?;
        }
        Some(())
    }
}
