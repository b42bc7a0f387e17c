//! `CONV_2D`, and depthwise convolution of a single channel, which is the same with weights laid out the other way.

use zerocopy::FromBytes;

use super::gemm::{self, POSITIONS, Parts, Weights};
use super::hart::Panel;
use super::triple::{Channel, Cut};
use crate::accelerate::{ConvLayer, Factor, Kernels};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier};
use crate::memory::signed;
use crate::node::Node;
use crate::pace::Pace;
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

    /// The same for other kernels.
    pub fn factor(&self, index: usize) -> Factor {
        let bias = self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
        Factor::new(bias, Multiplier::from_real(self.real(index)))
    }

    /// What channel `index` needs after its sum; see [`Channel::new`].
    pub fn channel(&self, index: usize, excess: i32, parts: usize) -> Channel {
        let bias = self.bias.and_then(|bias| bias.get(index)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
        Channel::new(bias, Multiplier::from_real(self.real(index)), excess, parts)
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
        node.require(fits, "its weights have other channels than its input and output")?;
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

    pub fn scratch_bytes(&self) -> usize {
        let tiling = Tiling::new(&self.window);
        tiling.panel_words() * size_of::<i64>() + self.window.out_channels * size_of::<Channel>()
    }

    pub fn macs(&self) -> u64 {
        (self.window.batches * self.window.positions()) as u64 * (self.inner() * self.window.out_channels) as u64
    }

    #[inline(never)]
    pub fn run(&self, input: &[i8], output: &mut [i8], scratch: &mut [u8], pace: &mut Pace<'_>) -> Option<()> {
        let tiling = Tiling::new(&self.window);
        let Window { rows, columns, in_channels, out_channels, .. } = tiling.window;
        let (panel, rest) = <[i64]>::mut_from_prefix_with_elems(scratch, tiling.panel_words()).ok()?;
        let (channels, _) = <[Channel]>::mut_from_prefix_with_elems(rest, out_channels).ok()?;
        for (index, channel) in channels.iter_mut().enumerate() {
            let excess = self.zero_point.wrapping_mul(self.weights.total(index, out_channels));
            *channel = self.scales.channel(index, excess, tiling.parts.count);
        }
        let mut work = Work { panel, channels, pace };
        let image = rows.input * columns.input * in_channels;
        let images = input.chunks_exact(image).zip(output.chunks_exact_mut(self.window.positions() * out_channels));
        for (input, output) in images {
            // Down the image, for then a tile has most of its inputs from the one above.
            for column in (0..columns.output).step_by(POSITIONS) {
                let width = POSITIONS.min(columns.output - column);
                for row in 0..rows.output {
                    let at = (row * columns.output + column) * out_channels;
                    let output = output.get_mut(at..at + width * out_channels)?;
                    match width.div_ceil(3) {
                        1 => self.tile::<1>(&tiling, (row, column), input, &mut work, output)?,
                        2 => self.tile::<2>(&tiling, (row, column), input, &mut work, output)?,
                        _ => self.tile::<3>(&tiling, (row, column), input, &mut work, output)?,
                    }
                }
            }
        }
        Some(())
    }

    /// Computes the positions of output row `place.0` from column `place.1` on, as many as `output` has room for. Unless it
    /// is the first row, the tile above was the last one that used the panel.
    fn tile<const W: usize>(
        &self,
        tiling: &Tiling,
        place: (usize, usize),
        input: &[i8],
        work: &mut Work<'_, '_>,
        output: &mut [i8],
    ) -> Option<()> {
        let pitch = tiling.pitch(W);
        tiling.pack::<W>(work.panel.get_mut(..tiling.lines * pitch)?, place, input, self.zero_point as i8);
        let run = tiling.taps * tiling.window.in_channels;
        let step = tiling.window.columns.stride * tiling.window.in_channels;
        let panel = Panel { words: work.panel, run, lines: tiling.lines, pitch, step };
        gemm::tile::<W>(&panel, &tiling.parts, self.weights, work.channels, self.finish, output, work.pace)
    }
}

/// What all tiles of an image need.
struct Work<'w, 'p> {
    /// Packed inputs.
    panel: &'w mut [i64],
    channels: &'w [Channel],
    pace: &'w mut Pace<'p>,
}

/// How a convolution is cut into tiles: neighbours in a row of the output, of which word `w` of a field has column
/// `field · W + w`. The inputs under a tile are packed in lines, one for each filter row, or for each filter element where
/// those do not lie side by side.
struct Tiling {
    /// The window; where each output position needs just its own input, an image is one row.
    window: Window,
    /// Lines of a panel.
    lines: usize,
    /// Filter elements of a line.
    taps: usize,
    parts: Parts,
}

impl Tiling {
    fn new(window: &Window) -> Self {
        let Window { mut rows, mut columns, in_channels, .. } = *window;
        if [rows, columns].iter().all(|axis| axis.filter == 1 && axis.stride == 1 && axis.output == axis.input) {
            let all = rows.input * columns.input;
            (rows.input, rows.output, columns.input, columns.output) = (1, 1, all, all);
        }
        let (lines, taps) =
            if columns.dilation == 1 { (rows.filter, columns.filter) } else { (rows.filter * columns.filter, 1) };
        let parts = Parts::new(lines, taps * in_channels);
        Tiling { window: Window { rows, columns, ..*window }, lines, taps, parts }
    }

    /// Words from one line to the next, where tiles have `words` words a field.
    fn pitch(&self, words: usize) -> usize {
        ((words - 1) * self.window.columns.stride + self.taps) * self.window.in_channels
    }

    /// Words of the largest panel.
    fn panel_words(&self) -> usize {
        self.lines * self.pitch(self.window.columns.output.min(POSITIONS).div_ceil(3))
    }

    /// Packs the inputs under the tile at a row and column. Those that were under the tile above are there already.
    fn pack<const W: usize>(&self, panel: &mut [i64], (row, column): (usize, usize), input: &[i8], padding: i8) {
        let Window { rows, columns, in_channels, .. } = self.window;
        let width = columns.input * in_channels;
        let pitch = self.pitch(W);
        // Lines of a filter row.
        let each = if columns.dilation == 1 { 1 } else { columns.filter };
        let mut first = 0;
        if row > 0 && rows.dilation == 1 && rows.stride < rows.filter {
            panel.copy_within(rows.stride * each * pitch.., 0);
            first = rows.filter - rows.stride;
        }
        let cut = |offset| {
            let starts = [0, 1, 2].map(|field| {
                let first = (column + field * W) * columns.stride + offset;
                (first as isize - columns.padding as isize) * in_channels as isize
            });
            Cut::new(pitch, width, starts)
        };
        let all = cut(0);
        for (tap, lines) in panel.chunks_exact_mut(each * pitch).enumerate().skip(first) {
            let values = rows.source(row, tap).and_then(|line| input.get(line * width..(line + 1) * width));
            if each == 1 {
                all.pack(lines, values, padding);
                continue;
            }
            for (index, target) in lines.chunks_exact_mut(pitch).enumerate() {
                cut(index * columns.dilation).pack(target, values, padding);
            }
        }
    }
}
