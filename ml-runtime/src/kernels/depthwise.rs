//! `DEPTHWISE_CONV_2D`.
//!
//! Channel by channel. Three output rows, a third of an image apart, share each 64-bit word (see [`super::triple`]): the
//! channel is packed once into a plane of such words with its padding around it, and all windows read there.

use zerocopy::FromBytes;

use super::conv::{Conv, Scales};
use super::gemm::Parts;
use super::hart::{self, PLACES, Target};
use super::triple::{self, START, Sums, pack};
use crate::accelerate::{ConvLayer, Kernels};
use crate::error::LoadError;
use crate::fixed_point::Finish;
use crate::memory::signed;
use crate::node::Node;
use crate::pace::Pace;
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

    /// Output rows in a third of the image; the last third has what is left.
    fn third(&self) -> usize {
        self.window.rows.output.div_ceil(3)
    }

    /// Packed rows: those that the windows of a third reach.
    fn packed_rows(&self) -> usize {
        let rows = self.window.rows;
        (self.third() - 1) * rows.stride + (rows.filter - 1) * rows.dilation + 1
    }

    /// Words of the plane.
    fn plane_words(&self) -> usize {
        // Sums are computed in groups of neighbours, the last of which may begin at the last place.
        self.row_words() * self.packed_rows() + PLACES - 1
    }

    pub fn scratch_bytes(&self) -> usize {
        self.plane_words() * size_of::<i64>()
    }

    pub fn macs(&self) -> u64 {
        (self.window.batches * self.window.positions() * self.window.out_channels) as u64 * self.window.taps() as u64
    }

    #[inline(never)]
    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8], pace: &mut Pace<'_>) -> Option<()> {
        let (plane, _) = <[i64]>::mut_from_prefix_with_elems(scratch, self.plane_words()).ok()?;
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let in_image = rows.input * columns.input * in_channels;
        let out_image = self.window.positions() * out_channels;
        for (input, output) in input.chunks_exact(in_image).zip(output.chunks_exact_mut(out_image)) {
            for out_channel in 0..out_channels {
                // Three times as much as a convolution's, at these sizes.
                pace.worked(2 * self.window.positions() * self.window.taps())?;
                self.run_channel(out_channel, input, output, plane)?;
            }
        }
        Some(())
    }

    fn run_channel(&self, out_channel: usize, input: &[i8], output: &mut [i8], plane: &mut [i64]) -> Option<()> {
        let Window { rows, columns, out_channels, .. } = self.window;
        let words = self.row_words();
        self.pack(input.get(out_channel / self.multiplier..)?, plane);
        let weights = self.weights.get(out_channel..)?.iter().step_by(out_channels);
        let total = weights.map(|weight| i32::from(*weight)).sum::<i32>();
        let parts = Parts::new(rows.filter, columns.filter);
        let channel = self.scales.channel(out_channel, self.zero_point.wrapping_mul(total), parts.count);
        let third = self.third();
        let small = rows.filter == 3 && columns.filter == 3 && rows.dilation == 1 && columns.dilation == 1;
        if small {
            self.nine_taps(out_channel, plane)?;
        }
        for row in 0..third {
            // Rows of the last third may be missing: they go where the row of the first third does, which is written last.
            let places = [row, row + third, row + 2 * third].map(|other| {
                let row = if other < rows.output { other } else { row };
                row * columns.output * out_channels + out_channel
            });
            if small {
                let sums = plane.get(row * rows.stride * words..)?.get(..columns.output)?;
                let target = Target { values: output, places, step: out_channels };
                hart::finish(sums, &[], &[channel], self.finish, target);
                continue;
            }
            for column in 0..columns.output {
                let (word, earlier) = self.window_sums(out_channel, plane, &parts, row, column)?;
                let places = places.map(|place| place + column * out_channels);
                let target = Target { values: output, places, step: 0 };
                hart::finish(&[word], &[earlier], &[channel], self.finish, target);
            }
        }
        Some(())
    }

    /// Packs a channel, whose values are a pixel apart, with the padding around it.
    fn pack(&self, values: &[i8], plane: &mut [i64]) {
        let Window { rows, columns, in_channels, .. } = self.window;
        let apart = self.third() * rows.stride;
        let padding = pack([i64::from(self.zero_point); 3]);
        let (before, after) = (columns.padding, columns.padding + columns.input);
        for (source, line) in plane.chunks_exact_mut(self.row_words()).enumerate() {
            let lines = [0, 1, 2].map(|third| {
                let row = (source + third * apart).wrapping_sub(rows.padding);
                if row < rows.input { values.get(row * columns.input * in_channels..) } else { None }
            });
            let after = after.min(line.len());
            line[after..].fill(padding);
            let before = before.min(after);
            line[..before].fill(padding);
            let inside = &mut line[before..after];
            if let [Some(a), Some(b), Some(c)] = lines {
                pack_apart(inside, [a, b, c], in_channels);
                continue;
            }
            inside.fill(padding);
            for (third, line) in lines.into_iter().enumerate() {
                for (word, value) in inside.iter_mut().zip(line.unwrap_or_default().iter().step_by(in_channels)) {
                    let mut values = [0; 3];
                    values[third] = i64::from(*value) - i64::from(self.zero_point);
                    *word = word.wrapping_add(pack(values));
                }
            }
        }
    }

    /// The sums of all windows of three by three. Each replaces the first words of its row, which no later window needs:
    /// those read further right or further down.
    fn nine_taps(&self, out_channel: usize, plane: &mut [i64]) -> Option<()> {
        let Window { rows, columns, .. } = self.window;
        let words = self.row_words();
        let weights = self.nine_weights(out_channel)?;
        if rows.stride == 1 && columns.stride == 1 {
            // All rows in one go; two sums a row are of windows that reach over its end, and are not used.
            let count = (self.third() - 1) * words + columns.output;
            return hart::nines(plane, words, &weights, count, 1, START).then_some(());
        }
        for row in 0..self.third() {
            let lines = plane.get_mut(row * rows.stride * words..)?;
            hart::nines(lines, words, &weights, columns.output, columns.stride, START).then_some(())?;
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

    /// The packed sums of a window of any size, and the sums of all parts before the last.
    fn window_sums(
        &self,
        out_channel: usize,
        plane: &[i64],
        parts: &Parts,
        row: usize,
        column: usize,
    ) -> Option<(i64, Sums)> {
        let Window { rows, columns, out_channels, .. } = self.window;
        let words = self.row_words();
        let start = row * rows.stride * words + column * columns.stride;
        let (mut sum, mut earlier) = (None, [0; 3]);
        for first in (0..rows.filter).step_by(parts.lines) {
            for from in (0..columns.filter).step_by(parts.run) {
                for (earlier, part) in earlier.iter_mut().zip(sum.map(triple::sums).unwrap_or_default()) {
                    *earlier += part;
                }
                let mut next = START;
                for tap in first..rows.filter.min(first + parts.lines) {
                    let line = plane.get(start + tap * rows.dilation * words + from * columns.dilation..)?;
                    let weights = self.weights.get((tap * columns.filter + from) * out_channels + out_channel..)?;
                    let taps = parts.run.min(columns.filter - from);
                    let weights = weights.iter().step_by(out_channels).take(taps);
                    for (word, weight) in line.iter().step_by(columns.dilation).zip(weights) {
                        next = next.wrapping_add(word.wrapping_mul(i64::from(*weight)));
                    }
                }
                sum = Some(next);
            }
        }
        Some((sum?, earlier))
    }
}

/// Packs values that are `step` bytes apart in each line, as far as there are any.
fn pack_apart(target: &mut [i64], lines: [&[i8]; 3], step: usize) {
    let last = target.len().saturating_sub(1) * step;
    let [a, b, c] = lines.map(|line| line.get(..=last).unwrap_or_default());
    if a.len().min(b.len()).min(c.len()) == 0 {
        return;
    }
    for (index, word) in target.iter_mut().enumerate() {
        let at = index * step;
        *word = pack([a[at], b[at], c[at]].map(i64::from));
    }
}
