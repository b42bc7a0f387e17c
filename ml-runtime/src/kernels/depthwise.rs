//! `DEPTHWISE_CONV_2D`.
//!
//! Channel by channel. Two output rows, half an image apart, share each 64-bit word (see [`super::gemm`]): the channel is
//! packed once into a plane of such words with its padding around it, and all windows read there.

use zerocopy::FromBytes;

use super::conv::{Conv, Scales};
use super::gemm::{Last, pack};
use super::hart;
use crate::accelerate::{ConvLayer, Kernels};
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

    /// Offers the layer to other kernels.
    pub fn offer(&self, kernels: &mut impl Kernels, input: &[i8], output: &mut [i8]) -> bool {
        let layer = ConvLayer {
            window: self.window,
            weights: self.weights,
            channel_stride: 1,
            inner_stride: self.window.out_channels,
            zero_point: self.zero_point,
            bounds: self.finish.into(),
            factor: &|index| self.scales.factor(index),
        };
        kernels.depthwise(&layer, input, output)
    }

    /// Words of a packed row: the input with its padding on both sides, as far as windows reach.
    fn row_words(&self) -> usize {
        let columns = self.window.columns;
        (columns.output - 1) * columns.stride + (columns.filter - 1) * columns.dilation + 1
    }

    /// Output rows in the upper half of the image, which has one more where they are odd in number.
    fn half(&self) -> usize {
        self.window.rows.output.div_ceil(2)
    }

    /// Packed rows: those that the windows of the upper half reach.
    fn packed_rows(&self) -> usize {
        let rows = self.window.rows;
        (self.half() - 1) * rows.stride + (rows.filter - 1) * rows.dilation + 1
    }

    pub fn scratch_bytes(&self) -> usize {
        self.row_words() * self.packed_rows() * size_of::<i64>()
    }

    pub fn macs(&self) -> u64 {
        (self.window.batches * self.window.positions() * self.window.out_channels) as u64 * self.window.taps() as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8]) -> Option<()> {
        let (plane, _) = <[i64]>::mut_from_prefix_with_elems(scratch, self.row_words() * self.packed_rows()).ok()?;
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let in_image = rows.input * columns.input * in_channels;
        let out_image = self.window.positions() * out_channels;
        for (input, output) in input.chunks_exact(in_image).zip(output.chunks_exact_mut(out_image)) {
            for out_channel in 0..out_channels {
                self.run_channel(out_channel, input, output, plane)?;
            }
        }
        Some(())
    }

    fn run_channel(&self, out_channel: usize, input: &[i8], output: &mut [i8], plane: &mut [i64]) -> Option<()> {
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let words = self.row_words();
        let apart = self.half() * rows.stride;
        let values = input.get(out_channel / self.multiplier..)?;
        for (source, line) in plane.chunks_exact_mut(words).enumerate() {
            let [low, high] = [source, source + apart].map(|source| {
                let row = source.wrapping_sub(rows.padding);
                if row < rows.input { values.get(row * columns.input * in_channels..) } else { None }
            });
            self.pack_line(low, high, line);
        }
        let small = rows.filter == 3 && columns.filter == 3 && rows.dilation == 1 && columns.dilation == 1;
        if small {
            self.nine_taps(out_channel, plane)?;
        } else {
            self.any_taps(out_channel, plane)?;
        }
        let last = Last::new(&self.scales.channel(out_channel), self.finish);
        let width = columns.output * out_channels;
        for row in 0..self.half() {
            let sums = plane.get(row * rows.stride * words..)?.get(..columns.output)?;
            let low = row * width + out_channel;
            // The last row of an odd number has none below: its place is behind the image.
            last.store(sums, output, low, low + self.half() * width, out_channels);
        }
        Some(())
    }

    /// The sums of all windows of three by three. Each replaces the first words of its row, which no later window needs:
    /// those read further right or further down.
    fn nine_taps(&self, out_channel: usize, plane: &mut [i64]) -> Option<()> {
        let Window { rows, columns, .. } = self.window;
        let words = self.row_words();
        let weights = self.nine_weights(out_channel)?;
        if rows.stride == 1 && columns.stride == 1 {
            // All rows in one go; two sums a row are of windows that reach over its end, and are not used.
            let count = (self.half() - 1) * words + columns.output;
            return hart::nines(plane, words, &weights, count, 1).then_some(());
        }
        for row in 0..self.half() {
            let lines = plane.get_mut(row * rows.stride * words..)?;
            hart::nines(lines, words, &weights, columns.output, columns.stride).then_some(())?;
        }
        Some(())
    }

    fn nine_weights(&self, out_channel: usize) -> Option<[i64; 9]> {
        let mut weights = [0; 9];
        for (tap, weight) in weights.iter_mut().enumerate() {
            *weight = i64::from(*self.weights.get(tap * self.window.out_channels + out_channel)?);
        }
        Some(weights)
    }

    /// Packs a line of each half of the image, or padding.
    fn pack_line(&self, low: Option<&[i8]>, high: Option<&[i8]>, target: &mut [i64]) {
        let Window { columns, in_channels, .. } = self.window;
        let zero = i64::from(self.zero_point);
        let (before, rest) = target.split_at_mut(columns.padding.min(target.len()));
        let (inside, after) = rest.split_at_mut(columns.input.min(rest.len()));
        before.fill(0);
        after.fill(0);
        match (low, high) {
            (Some(low), Some(high)) => {
                let zero = pack(zero, zero);
                let values = low.iter().step_by(in_channels).zip(high.iter().step_by(in_channels));
                for (word, (low, high)) in inside.iter_mut().zip(values) {
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
            (None, None) => inside.fill(0),
        }
    }

    /// The same for windows of any size.
    fn any_taps(&self, out_channel: usize, plane: &mut [i64]) -> Option<()> {
        let Window { rows, columns, out_channels, .. } = self.window;
        let words = self.row_words();
        for row in 0..self.half() {
            let start = row * rows.stride * words;
            for column in 0..columns.output {
                let mut sum = 0i64;
                for tap in 0..rows.filter {
                    let line = plane.get(start + tap * rows.dilation * words + column * columns.stride..)?;
                    let weights = self.weights.get(tap * columns.filter * out_channels + out_channel..)?;
                    let weights = weights.iter().step_by(out_channels);
                    for (word, weight) in line.iter().step_by(columns.dilation).zip(weights).take(columns.filter) {
                        sum = sum.wrapping_add(word.wrapping_mul(i64::from(*weight)));
                    }
                }
                *plane.get_mut(start + column)? = sum;
            }
        }
        Some(())
    }
}
