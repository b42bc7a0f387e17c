//! `ADD` and `SUB` of two tensors of the same shape.

use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::node::Node;

/// Bits by which both sides are shifted left before they are brought to a common scale.
const LEFT_SHIFT: u32 = 20;

/// A decoded addition or subtraction.
pub(crate) struct Add {
    zero_points: [i32; 2],
    factors: [Multiplier; 2],
    result: Multiplier,
    finish: Finish,
    /// 1, or −1 for a subtraction.
    sign: i64,
}

impl Add {
    pub fn decode(node: &Node<'_>, subtract: bool) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(if subtract { 28 } else { 11 })?;
        let (left, right, output) = (node.int8_input(0)?, node.int8_input(1)?, node.int8_output(0)?);
        let same = left.dims() == right.dims() && left.dims() == output.dims();
        node.require(same, "its inputs and output have different shapes (broadcasting is not supported)")?;
        let twice_larger = 2.0 * f64::from(left.scale().max(right.scale()));
        let factor = |scale: f32| node.multiplier(f64::from(scale) / twice_larger);
        let real = twice_larger / (f64::from(1u32 << LEFT_SHIFT) * f64::from(output.scale()));
        node.require(real < 1.0, "its scales give a factor that is out of range")?;
        Ok(Add {
            zero_points: [left.zero_point(), right.zero_point()],
            factors: [factor(left.scale())?, factor(right.scale())?],
            result: node.multiplier(real)?,
            finish: node.finish(&output, node.option_u8(0, 0)?)?,
            sign: if subtract { -1 } else { 1 },
        })
    }

    pub fn run(&self, left: &[i8], right: &[i8], output: &mut [i8]) -> Option<()> {
        let [left_factor, right_factor] = self.factors.map(Requantize::new);
        let [left_zero, right_zero] = self.zero_points;
        let result = Requantize::new(self.result);
        for ((value, left), right) in output.iter_mut().zip(left).zip(right) {
            let left = left_factor.apply((i32::from(*left) - left_zero) << LEFT_SHIFT);
            let right = right_factor.apply((i32::from(*right) - right_zero) << LEFT_SHIFT);
            *value = self.finish.apply(result.apply((left + self.sign * right) as i32));
        }
        Some(())
    }
}
