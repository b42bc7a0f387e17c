//! `DEPTHWISE_CONV_2D`.
//!
//! Channel by channel. Two output rows, half an image apart, share each 64-bit word (see [`super::gemm`]); the input
//! rows that a window covers are packed once into a ring and used by every output row that needs them.

use zerocopy::FromBytes;

use super::conv::{Conv, Scales};
use super::gemm::{Channel, pack, unpack};
use crate::error::LoadError;
use crate::fixed_point::Finish;
use crate::memory::signed;
use crate::node::Node;
use crate::window::{Window, WindowOptions};

/// A decoded depthwise convolution.
pub(crate) struct Depthwise<'t> {
    window: Window,
    multiplier: usize,
    weights: &'t [i8],
    scales: Scales<'t>,
    finish: Finish,
    zero_point: i32,
}

/// Either form that a depthwise convolution takes.
pub(crate) enum Decoded<'t> {
    /// Several input channels.
    Depthwise(Depthwise<'t>),
    /// One input channel: nothing is separate, and the plain form is faster.
    Conv(Conv<'t>),
}

impl<'t> Depthwise<'t> {
    pub fn decode(node: &Node<'t>) -> Result<Decoded<'t>, LoadError> {
        node.arity(2..=3, 1)?;
        node.options_of(2)?;
        let (input, output, filter) = (node.int8_input(0)?, node.int8_output(0)?, node.input(1)?);
        let &[1, height, width, channels] = filter.dims() else {
            return Err(node.refuse("its weights must have four dimensions, the first of them 1"));
        };
        let window = Window::new(
            node,
            WindowOptions {
                padding: node.option_u8(0, 0)?,
                filter: [height, width],
                stride: [node.option_i32(2, 0)?, node.option_i32(1, 0)?],
                dilation: [node.option_i32(6, 1)?, node.option_i32(5, 1)?],
            },
        )?;
        let fits = window.out_channels == channels as usize && window.out_channels.is_multiple_of(window.in_channels);
        node.require(fits, "its output channels are not a multiple of its input channels")?;
        let multiplier = window.out_channels / window.in_channels;
        // A file may leave the multiplier at 0; the shapes tell it.
        let declared = node.option_i32(3, 0)?;
        node.require(declared == 0 || declared as usize == multiplier, "its depth multiplier contradicts its shapes")?;
        let (weights, values) = node.weights(1, 3, window.out_channels)?;
        let weights_values = signed(values);
        let scales = Scales::new(node, weights, window.out_channels)?;
        let finish = node.finish(&output, node.option_u8(4, 0)?)?;
        let zero_point = input.zero_point();
        Ok(if window.in_channels == 1 {
            Decoded::Conv(Conv::of_single_channel(window, weights_values, scales, finish, zero_point))
        } else {
            Decoded::Depthwise(Depthwise { window, multiplier, weights: weights_values, scales, finish, zero_point })
        })
    }

    /// Words of a packed row: the input with its padding on both sides, wide enough for the last window.
    fn row_words(&self) -> usize {
        let columns = self.window.columns;
        (columns.output - 1) * columns.stride + (columns.filter - 1) * columns.dilation + 1
    }

    /// Rows of the ring: those that one window spans.
    fn ring_rows(&self) -> usize {
        (self.window.rows.filter - 1) * self.window.rows.dilation + 1
    }

    pub fn scratch_bytes(&self) -> usize {
        self.row_words() * self.ring_rows() * size_of::<i64>()
    }

    pub fn macs(&self) -> u64 {
        (self.window.batches * self.window.positions() * self.window.out_channels) as u64 * self.window.taps() as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8]) -> Option<()> {
        let (ring, _) = <[i64]>::mut_from_prefix_with_elems(scratch, self.row_words() * self.ring_rows()).ok()?;
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let in_image = rows.input * columns.input * in_channels;
        let out_image = self.window.positions() * out_channels;
        for (input, output) in input.chunks_exact(in_image).zip(output.chunks_exact_mut(out_image)) {
            for channel in 0..in_channels {
                self.run_channel(channel, input, output, ring)?;
            }
        }
        Some(())
    }

    /// All rows of one input channel: the upper half in the lower parts of the words, the lower half in the upper.
    fn run_channel(&self, channel: usize, input: &[i8], output: &mut [i8], ring: &mut [i64]) -> Option<()> {
        let Window { rows, out_channels, .. } = self.window;
        let half = rows.output.div_ceil(2);
        let ring_rows = self.ring_rows();
        let mut packed = 0;
        for row in 0..half {
            let start = row * rows.stride;
            for source in packed.max(start)..start + ring_rows {
                let target = ring.get_mut(source % ring_rows * self.row_words()..)?.get_mut(..self.row_words())?;
                self.pack_row(channel, input, [source, source + half * rows.stride], target);
            }
            packed = start + ring_rows;
            for m in 0..self.multiplier {
                let out_channel = channel * self.multiplier + m;
                let constants = self.scales.channel(out_channel);
                self.run_row(row, half, out_channel, &constants, ring, output)?;
            }
        }
        let _ = out_channels;
        Some(())
    }

    /// Packs two input rows, counted from the first padding row, of one channel.
    fn pack_row(&self, channel: usize, input: &[i8], sources: [usize; 2], target: &mut [i64]) {
        let Window { rows, columns, in_channels, .. } = self.window;
        let [low, high] = sources.map(|source| {
            let row = source.wrapping_sub(rows.padding);
            if row < rows.input { input.get(row * columns.input * in_channels + channel..) } else { None }
        });
        let zero = i64::from(self.zero_point);
        target.fill(0);
        let inside = target.get_mut(columns.padding..).unwrap_or_default();
        let count = inside.len().min(columns.input);
        let inside = &mut inside[..count];
        match (low, high) {
            (Some(low), Some(high)) => {
                let zero = pack(zero, zero);
                for ((word, low), high) in
                    inside.iter_mut().zip(low.iter().step_by(in_channels)).zip(high.iter().step_by(in_channels))
                {
                    *word = pack(i64::from(*low), i64::from(*high)).wrapping_sub(zero);
                }
            }
            (Some(low), None) => {
                for (word, low) in inside.iter_mut().zip(low.iter().step_by(in_channels)) {
                    *word = i64::from(*low) - zero;
                }
            }
            (None, Some(high)) => {
                for (word, high) in inside.iter_mut().zip(high.iter().step_by(in_channels)) {
                    *word = (i64::from(*high) - zero) << 32;
                }
            }
            (None, None) => {}
        }
    }

    /// One output row in each half of the image.
    fn run_row(
        &self,
        row: usize,
        half: usize,
        out_channel: usize,
        constants: &Channel,
        ring: &[i64],
        output: &mut [i8],
    ) -> Option<()> {
        let Window { rows, columns, out_channels, .. } = self.window;
        let words = self.row_words();
        let requantize = constants.requantize();
        let bias = constants.bias();
        let width = columns.output * out_channels;
        let (upper, lower) = output.split_at_mut_checked(half * width)?;
        let mut low_row = upper.get_mut(row * width + out_channel..)?.iter_mut().step_by(out_channels);
        let mut high_row =
            lower.get_mut(row * width + out_channel..).unwrap_or_default().iter_mut().step_by(out_channels);
        let ring_row = |tap: usize| {
            let at = (row * rows.stride + tap * rows.dilation) % self.ring_rows();
            ring.get(at * words..)?.get(..words)
        };
        let weight = |tap_row: usize, tap_column: usize| {
            self.weights
                .get((tap_row * columns.filter + tap_column) * out_channels + out_channel)
                .copied()
                .map(i64::from)
        };
        let mut store = |sum: i64| {
            let [low, high] = unpack(sum).map(|sum| self.finish.apply(requantize.apply(sum.wrapping_add(bias))));
            if let Some(value) = low_row.next() {
                *value = low;
            }
            if let Some(value) = high_row.next() {
                *value = high;
            }
        };
        for column in 0..columns.output {
            let mut sum = 0i64;
            for tap_row in 0..rows.filter {
                let source = ring_row(tap_row)?;
                for tap_column in 0..columns.filter {
                    let word = *source.get(column * columns.stride + tap_column * columns.dilation)?;
                    sum = sum.wrapping_add(word.wrapping_mul(weight(tap_row, tap_column)?));
                }
            }
            store(sum);
        }
        Some(())
    }
}
