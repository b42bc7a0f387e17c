//! `CONV_2D` in groups: each output channel sees a part of the input channels.

use super::conv::Scales;
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::memory::signed;
use crate::node::Node;
use crate::pace::Pace;
use crate::window::{Window, WindowOptions};

/// A decoded convolution of several groups.
pub(crate) struct GroupedConv<'t> {
    window: Window,
    /// Input channels of a group.
    depth: usize,
    /// Output channels of a group.
    filters: usize,
    weights: &'t [i8],
    scales: Scales<'t>,
    finish: Finish,
    zero_point: i32,
}

impl<'t> GroupedConv<'t> {
    /// Whether `node`, a convolution, has several groups.
    pub fn applies(node: &Node<'_>) -> Result<bool, LoadError> {
        let depths = [node.input(0)?, node.input(1)?].map(|tensor| tensor.dims().get(3).copied());
        Ok(matches!(depths, [Some(all), Some(part)] if part < all && all % part == 0))
    }

    pub fn decode(node: &Node<'t>) -> Result<Self, LoadError> {
        node.arity(2..=3, 1)?;
        node.options_of(1)?;
        let (input, output, filter) = (node.int8_input(0)?, node.int8_output(0)?, node.input(1)?);
        let &[out_channels, height, width, depth] = filter.dims() else {
            return Err(node.refuse("its weights must have four dimensions"));
        };
        let window = Window::new(
            node,
            WindowOptions {
                padding: node.option_u8(0, 0)?,
                filter: [height, width],
                stride: [node.option_i32(2, 0)?, node.option_i32(1, 0)?],
                dilation: [node.option_i32(5, 1)?, node.option_i32(4, 1)?],
            },
        )?;
        let depth = depth as usize;
        let groups = window.in_channels / depth;
        let fits = out_channels as usize == window.out_channels
            && window.in_channels == groups * depth
            && window.out_channels.is_multiple_of(groups);
        node.require(fits, "its weights have other channels than its input and output, or uneven groups")?;
        let inner = window.taps().saturating_mul(depth);
        node.require(inner <= 1 << 15, "more than 32,768 weights for one output are not supported in groups")?;
        let (tensor, values) = node.weights(1, 0, window.out_channels)?;
        Ok(GroupedConv {
            window,
            depth,
            filters: window.out_channels / groups,
            weights: signed(values),
            scales: Scales::new(node, tensor, window.out_channels)?,
            finish: node.finish(&output, node.option_u8(3, 0)?)?,
            zero_point: input.zero_point(),
        })
    }

    pub fn macs(&self) -> u64 {
        let outputs = self.window.batches * self.window.positions() * self.window.out_channels;
        outputs as u64 * (self.window.taps() * self.depth) as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], pace: &mut Pace<'_>) -> Option<()> {
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let images = input.chunks_exact(rows.input * columns.input * in_channels);
        for (image, output) in images.zip(output.chunks_exact_mut(self.window.positions() * out_channels)) {
            for (channel, filter) in self.weights.chunks_exact(self.window.taps() * self.depth).enumerate() {
                let factor = self.scales.factor(channel);
                let bias = factor.bias;
                let factor = Requantize::new(Multiplier { fraction: factor.fraction, exponent: factor.exponent });
                let part = image.get(channel / self.filters * self.depth..)?;
                for (position, values) in output.chunks_exact_mut(out_channels).enumerate() {
                    pace.worked(4 * filter.len())?;
                    let sum = self.sum(part, filter, [position / columns.output, position % columns.output])?;
                    *values.get_mut(channel)? = self.finish.apply(factor.apply(sum.wrapping_add(bias)));
                }
            }
        }
        Some(())
    }

    /// The sum of one filter at one place. `part` begins at the first channel of its group.
    #[inline]
    fn sum(&self, part: &[i8], filter: &[i8], [row, column]: [usize; 2]) -> Option<i32> {
        let Window { rows, columns, in_channels, .. } = self.window;
        let mut sum = 0i32;
        for (row_tap, filter) in filter.chunks_exact(columns.filter * self.depth).enumerate() {
            let Some(row) = rows.source(row, row_tap) else { continue };
            for (column_tap, weights) in filter.chunks_exact(self.depth).enumerate() {
                let Some(column) = columns.source(column, column_tap) else { continue };
                let values = part.get((row * columns.input + column) * in_channels..)?.get(..self.depth)?;
                // At most 255 · 128 · 2^15 together.
                let products = values.iter().zip(weights);
                sum += products
                    .map(|(value, weight)| (i32::from(*value) - self.zero_point) * i32::from(*weight))
                    .sum::<i32>();
            }
        }
        Some(sum)
    }
}
