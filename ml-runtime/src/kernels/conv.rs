//! `CONV_2D`, and depthwise convolution of a single channel, which is the same with weights laid out the other way.

use zerocopy::FromBytes;

use super::gemm::{self, Channel, Column, POSITIONS, WORDS, Weights};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier};
use crate::memory::signed;
use crate::node::Node;
use crate::tensor::Tensor;
use crate::window::{Window, WindowOptions};

/// Factors and biases of the output channels of a convolution, as they lie in the file.
#[derive(Clone, Copy)]
pub(crate) struct Scales<'t> {
    input: f32,
    output: f32,
    weights: Tensor<'t>,
    bias: Option<&'t [[u8; 4]]>,
}

impl<'t> Scales<'t> {
    /// Checks that the factor of every channel can be represented.
    pub fn new(node: &Node<'t>, weights: Tensor<'t>, channels: usize) -> Result<Self, LoadError> {
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        let scales = Scales { input: input.scale(), output: output.scale(), weights, bias: node.bias(2, channels)? };
        for channel in 0..(weights.record.scale_count as usize) {
            node.multiplier(scales.real(channel))?;
        }
        Ok(scales)
    }

    fn real(&self, channel: usize) -> f64 {
        f64::from(self.input) * f64::from(self.weights.channel_scale(channel)) / f64::from(self.output)
    }

    /// What channel `index` needs after its sum.
    pub fn channel(&self, index: usize) -> Channel {
        let bias = self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
        Channel::new(bias, Multiplier::from_real(self.real(index)))
    }
}

/// A decoded convolution.
pub(crate) struct Conv<'t> {
    window: Window,
    weights: Weights<'t>,
    scales: Scales<'t>,
    finish: Finish,
    zero_point: i32,
}

impl<'t> Conv<'t> {
    pub fn decode(node: &Node<'t>) -> Result<Self, LoadError> {
        node.arity(2..=3, 1)?;
        node.options_of(1)?;
        let (input, output, filter) = (node.int8_input(0)?, node.int8_output(0)?, node.input(1)?);
        let &[out_channels, height, width, in_channels] = filter.dims() else {
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
        let fits = (window.in_channels, window.out_channels) == (in_channels as usize, out_channels as usize);
        node.require(fits, "its weights have other channels than its input and output (groups are not supported)")?;
        let (weights, values) = node.weights(1, 0, window.out_channels)?;
        let values = signed(values);
        Ok(Conv {
            window,
            weights: Weights::Rows(values),
            scales: Scales::new(node, weights, window.out_channels)?,
            finish: node.finish(&output, node.option_u8(3, 0)?)?,
            zero_point: input.zero_point(),
        })
    }

    /// A depthwise convolution of a single input channel.
    pub fn of_single_channel(
        window: Window,
        weights: &'t [i8],
        scales: Scales<'t>,
        finish: Finish,
        zero_point: i32,
    ) -> Self {
        Conv { window, weights: Weights::Columns(weights), scales, finish, zero_point }
    }

    fn inner(&self) -> usize {
        self.window.taps() * self.window.in_channels
    }

    pub fn scratch_bytes(&self) -> usize {
        self.inner() * size_of::<Column>() + self.window.out_channels * size_of::<Channel>()
    }

    pub fn macs(&self) -> u64 {
        (self.window.batches * self.window.positions()) as u64 * (self.inner() * self.window.out_channels) as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8]) -> Option<()> {
        let Window { in_channels, out_channels, .. } = self.window;
        let (panel, rest) = <[Column]>::mut_from_prefix_with_elems(scratch, self.inner()).ok()?;
        let (channels, _) = <[Channel]>::mut_from_prefix_with_elems(rest, out_channels).ok()?;
        for (index, channel) in channels.iter_mut().enumerate() {
            *channel = self.scales.channel(index);
        }
        let image = self.window.rows.input * self.window.columns.input * in_channels;
        let images = input.chunks_exact(image).zip(output.chunks_exact_mut(self.window.positions() * out_channels));
        for (input, output) in images {
            for (index, output) in output.chunks_mut(POSITIONS * out_channels).enumerate() {
                self.pack(panel, input, index * POSITIONS)?;
                gemm::tile(panel, self.weights, channels, self.finish, output);
            }
        }
        Some(())
    }

    /// Gathers the inputs of [`POSITIONS`] positions from `first` on; those past the last position are zeros.
    fn pack(&self, panel: &mut [Column], input: &[i8], first: usize) -> Option<()> {
        let Window { rows, columns, in_channels, .. } = self.window;
        for word in 0..WORDS {
            let [low, high] = [0, 1].map(|i| {
                let position = first + 2 * word + i;
                (position / columns.output, position % columns.output)
            });
            let source = |(row, column): (usize, usize), tap_row, tap_column| {
                let row = rows.source(row, tap_row).filter(|_| row < rows.output)?;
                let column = columns.source(column, tap_column)?;
                input.get((row * columns.input + column) * in_channels..)?.get(..in_channels)
            };
            let mut rest = &mut *panel;
            for tap_row in 0..rows.filter {
                for tap_column in 0..columns.filter {
                    let (target, after) = rest.split_at_mut_checked(in_channels)?;
                    rest = after;
                    let sources = (source(low, tap_row, tap_column), source(high, tap_row, tap_column));
                    pack_word(target, word, sources, i64::from(self.zero_point));
                }
            }
        }
        Some(())
    }
}

/// Fills word `word` of each column from the channels of two input elements; a missing one is padding.
#[inline(always)]
fn pack_word(target: &mut [Column], word: usize, sources: (Option<&[i8]>, Option<&[i8]>), zero_point: i64) {
    match sources {
        (Some(low), Some(high)) => {
            let zero = gemm::pack(zero_point, zero_point);
            for ((column, low), high) in target.iter_mut().zip(low).zip(high) {
                column[word] = gemm::pack(i64::from(*low), i64::from(*high)).wrapping_sub(zero);
            }
        }
        (Some(low), None) => {
            for (column, low) in target.iter_mut().zip(low) {
                column[word] = i64::from(*low) - zero_point;
            }
        }
        (None, Some(high)) => {
            for (column, high) in target.iter_mut().zip(high) {
                column[word] = (i64::from(*high) - zero_point) << 32;
            }
        }
        (None, None) => target.iter_mut().for_each(|column| column[word] = 0),
    }
}
