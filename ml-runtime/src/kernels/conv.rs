//! `CONV_2D`, and depthwise convolution of a single channel, which is the same with weights laid out the other way.

use core::ops::Range;

use zerocopy::FromBytes;

use super::gemm::{self, Channel, Part, Weights};
use crate::accelerate::{ConvLayer, Factor, Kernels};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier};
use crate::memory::signed;
use crate::node::Node;
use crate::tensor::Tensor;
use crate::window::{Window, WindowOptions};

/// Words, each of two positions, in a tile.
const WORDS: usize = 3;
/// Output positions in a tile.
const POSITIONS: usize = 2 * WORDS;
/// The inputs of a tile for one index of the inner dimension.
type Column = [i64; WORDS];

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

    /// The same for other kernels.
    pub fn factor(&self, index: usize) -> Factor {
        let bias = self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
        Factor::new(bias, Multiplier::from_real(self.real(index)))
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

    /// Offers the layer to other kernels.
    pub fn offer(&self, kernels: &mut impl Kernels, input: &[i8], output: &mut [i8]) -> bool {
        let (weights, channel_stride, inner_stride) = match self.weights {
            Weights::Rows(weights) => (weights, self.inner(), 1),
            Weights::Columns(weights) => (weights, 1, self.window.out_channels),
        };
        let layer = ConvLayer {
            window: self.window,
            weights,
            channel_stride,
            inner_stride,
            zero_point: self.zero_point,
            bounds: self.finish.into(),
            factor: &|index| self.scales.factor(index),
        };
        kernels.conv(&layer, input, output)
    }

    /// Length of the inner dimension.
    fn inner(&self) -> usize {
        self.window.taps() * self.window.in_channels
    }

    /// Rows of the filter that are packed at once: all, if that takes no more than half of what input and output take (a
    /// quarter where that is little); else as many as do, or one.
    fn part_rows(&self) -> usize {
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let images = rows.input * columns.input * in_channels + self.window.positions() * out_channels;
        let share = if images < 8192 { images / 4 } else { images / 2 };
        let budget = share.saturating_sub(self.fixed_bytes(2));
        let row_bytes = columns.filter * in_channels * size_of::<Column>();
        if rows.filter * row_bytes <= share {
            return rows.filter;
        }
        // Parts of the same size, as far as that goes.
        let most = (budget / row_bytes).clamp(1, rows.filter);
        rows.filter.div_ceil(rows.filter.div_ceil(most))
    }

    /// Scratch memory beside the packed inputs, with so many parts.
    fn fixed_bytes(&self, parts: usize) -> usize {
        let sums = if parts > 1 { self.window.out_channels * size_of::<Column>() } else { 0 };
        sums + self.window.out_channels * size_of::<Channel>()
    }

    pub fn scratch_bytes(&self) -> usize {
        let rows = self.part_rows();
        let panel = rows * self.window.columns.filter * self.window.in_channels * size_of::<Column>();
        panel + self.fixed_bytes(self.window.rows.filter.div_ceil(rows))
    }

    pub fn macs(&self) -> u64 {
        (self.window.batches * self.window.positions()) as u64 * (self.inner() * self.window.out_channels) as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8]) -> Option<()> {
        let Window { rows, columns, in_channels, out_channels, .. } = self.window;
        let part_rows = self.part_rows();
        let row_length = columns.filter * in_channels;
        let parts = rows.filter.div_ceil(part_rows);
        let (panel, rest) = <[Column]>::mut_from_prefix_with_elems(scratch, part_rows * row_length).ok()?;
        let sums = if parts > 1 { out_channels } else { 0 };
        let (sums, rest) = <[Column]>::mut_from_prefix_with_elems(rest, sums).ok()?;
        let (channels, _) = <[Channel]>::mut_from_prefix_with_elems(rest, out_channels).ok()?;
        for (index, channel) in channels.iter_mut().enumerate() {
            *channel = self.scales.channel(index);
        }
        let image = rows.input * columns.input * in_channels;
        let images = input.chunks_exact(image).zip(output.chunks_exact_mut(self.window.positions() * out_channels));
        for (input, output) in images {
            for (index, output) in output.chunks_mut(POSITIONS * out_channels).enumerate() {
                sums.fill([0; WORDS]);
                for first_row in (0..rows.filter).step_by(part_rows) {
                    let taps = first_row..rows.filter.min(first_row + part_rows);
                    let panel = panel.get_mut(..taps.len() * row_length)?;
                    let last = taps.end == rows.filter;
                    self.pack(panel, input, index * POSITIONS, taps);
                    let part = Part { panel, from: first_row * row_length, inner: self.inner() };
                    if last {
                        gemm::finish(&part, self.weights, sums, channels, self.finish, output);
                    } else {
                        gemm::accumulate(&part, self.weights, sums);
                    }
                }
            }
        }
        Some(())
    }

    /// Gathers the inputs of [`POSITIONS`] positions from `first` on, as far as the filter rows `taps` see them. Positions
    /// behind the last one are zeros.
    fn pack(&self, panel: &mut [Column], input: &[i8], first: usize, taps: Range<usize>) {
        self.pack_positions::<0>(panel, input, first, taps.clone());
        self.pack_positions::<1>(panel, input, first + 2, taps.clone());
        self.pack_positions::<2>(panel, input, first + 4, taps);
    }

    /// Fills word `WORD` of each column from two positions.
    #[inline(never)]
    fn pack_positions<const WORD: usize>(&self, panel: &mut [Column], input: &[i8], first: usize, taps: Range<usize>) {
        let Window { rows, columns, in_channels, .. } = self.window;
        let length = columns.filter * in_channels;
        let zero_point = i64::from(self.zero_point);
        let positions = [first, first + 1].map(|position| (position / columns.output, position % columns.output));
        // Where the first filter row begins in the input, if a whole row of the filter lies inside.
        let starts = positions.map(|(row, column)| {
            let left = (column * columns.stride).checked_sub(columns.padding)?;
            (columns.dilation == 1 && left + columns.filter <= columns.input && row < rows.output).then_some(left)
        });
        for (tap, target) in taps.clone().zip(panel.chunks_exact_mut(length)) {
            let lines = positions.map(|(row, _)| rows.source(row, tap).filter(|_| row < rows.output));
            if let ([Some(low), Some(high)], [Some(low_line), Some(high_line)]) = (starts, lines) {
                let values = |line: usize, left: usize| input.get((line * columns.input + left) * in_channels..);
                pack_word::<WORD>(target, (values(low_line, low), values(high_line, high)), zero_point);
                continue;
            }
            // The taps of a row lie one after another in memory, unless they are dilated.
            let run = if columns.dilation == 1 { columns.filter } else { 1 };
            for (index, target) in target.chunks_exact_mut(run * in_channels).enumerate() {
                let sources = [0, 1].map(|i| {
                    let left = positions[i].1 * columns.stride + index * columns.dilation;
                    let left = left as isize - columns.padding as isize;
                    Source::new(input, lines[i], columns.input, left, run, in_channels)
                });
                pack_run::<WORD>(target, sources, zero_point);
            }
        }
    }
}

/// Where consecutive taps of one position find their inputs.
#[derive(Clone, Copy)]
struct Source<'i> {
    /// Those inside the image; the others are padding.
    values: &'i [i8],
    /// The index in the run of the first of them.
    start: usize,
}

impl<'i> Source<'i> {
    /// `taps` elements of line `line` from element `first` on, which may lie outside.
    fn new(input: &'i [i8], line: Option<usize>, width: usize, first: isize, taps: usize, channels: usize) -> Self {
        let nothing = Source { values: &[], start: 0 };
        let Some(line) = line else { return nothing };
        let skipped = first.min(0).unsigned_abs();
        let from = first.max(0) as usize;
        let to = (first + taps as isize).clamp(0, width as isize) as usize;
        if from >= to {
            return nothing;
        }
        let values = input.get((line * width + from) * channels..(line * width + to) * channels);
        Source { values: values.unwrap_or_default(), start: skipped * channels }
    }

    /// The input at `index` and those after it, or nothing where there is padding; and where that changes.
    fn at(&self, index: usize, end: usize) -> (Option<&'i [i8]>, usize) {
        if index < self.start && !self.values.is_empty() {
            return (None, self.start);
        }
        match self.values.get(index.wrapping_sub(self.start)..) {
            Some(values) if !values.is_empty() => (Some(values), self.start + self.values.len()),
            _ => (None, end),
        }
    }
}

/// Packs a run of inputs of two positions, in pieces within which neither goes from image to padding.
#[inline(always)]
fn pack_run<const WORD: usize>(target: &mut [Column], [low, high]: [Source<'_>; 2], zero_point: i64) {
    let end = target.len();
    let mut index = 0;
    while index < end {
        let ((a, a_end), (b, b_end)) = (low.at(index, end), high.at(index, end));
        let next = a_end.min(b_end).clamp(index + 1, end);
        pack_word::<WORD>(&mut target[index..next], (a, b), zero_point);
        index = next;
    }
}

/// Fills word `WORD` of each column from the channels of two input elements; a missing one is padding.
#[inline(always)]
fn pack_word<const WORD: usize>(target: &mut [Column], sources: (Option<&[i8]>, Option<&[i8]>), zero_point: i64) {
    match sources {
        (Some(low), Some(high)) => {
            let zero = gemm::pack(zero_point, zero_point);
            for ((column, low), high) in target.iter_mut().zip(low).zip(high) {
                column[WORD] = gemm::pack(i64::from(*low), i64::from(*high)).wrapping_sub(zero);
            }
        }
        (Some(low), None) => {
            for (column, low) in target.iter_mut().zip(low) {
                column[WORD] = i64::from(*low) - zero_point;
            }
        }
        (None, Some(high)) => {
            for (column, high) in target.iter_mut().zip(high) {
                column[WORD] = (i64::from(*high) - zero_point) << 32;
            }
        }
        (None, None) => target.iter_mut().for_each(|column| column[WORD] = 0),
    }
}
