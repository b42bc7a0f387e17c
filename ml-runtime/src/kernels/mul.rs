//! `MUL`.

use crate::error::LoadError;
use crate::fixed_point::{Finish, Requantize};
use crate::kernels::broadcast::Pairs;
use crate::node::Node;

/// A decoded multiplication.
pub(crate) struct Mul {
    zero_points: [i32; 2],
    factor: Requantize,
    finish: Finish,
    pairs: Pairs,
}

impl Mul {
    pub fn decode(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(21)?;
        let (left, right, output) = (node.int8_input(0)?, node.int8_input(1)?, node.int8_output(0)?);
        let real = f64::from(left.scale()) * f64::from(right.scale()) / f64::from(output.scale());
        // A product has 17 bits; a larger factor would shift it out of its word.
        node.require(real < f64::from(1u32 << 14), "its scales give a factor that is out of range")?;
        Ok(Mul {
            zero_points: [left.zero_point(), right.zero_point()],
            factor: Requantize::new(node.multiplier(real)?),
            finish: node.finish(&output, node.option_u8(0, 0)?)?,
            pairs: Pairs::new(node, &left, &right, &output)?,
        })
    }

    pub fn run(&self, left: &[i8], right: &[i8], output: &mut [i8]) -> Option<()> {
        let [left_zero, right_zero] = self.zero_points;
        self.pairs.zip(left, right, output, |left, right| {
            let product = (i32::from(left) - left_zero) * (i32::from(right) - right_zero);
            self.finish.apply(self.factor.apply(product))
        })
    }
}
