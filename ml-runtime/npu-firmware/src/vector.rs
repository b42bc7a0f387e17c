//! Vector kernels for 512-bit vectors (RVV 1.0), 32-bit sums side by side for as many output channels as a vector has.
//!
//! Weights are spread once a layer: for each block of channels and each index of the inner dimension the weights of the
//! block's channels, 32 bits each. Then one vector load serves eight output positions, and a multiplication by a scalar and
//! an addition at full vector length do all the work. Inputs keep their zero point: what it adds to each sum is the same for
//! all positions, because padding has the zero point's value, and is taken off with the bias.

use ml_runtime::accelerate::{ConvLayer, DenseLayer, Factor, Kernels};
use npu_firmware::reach::{self, MAX_CHANNELS, MAX_INPUTS, PANEL_BYTES, WEIGHT_WORDS, lanes_for};

use crate::assembly::{self, Channels, Dense, LANES, Line, Requantize, TILE_ROWS, Tile};
use crate::work;

#[repr(C, align(64))]
struct Scratch {
    weights: [i32; WEIGHT_WORDS],
    panel: [i8; PANEL_BYTES],
    channels: [Channels; MAX_CHANNELS / 16],
    inputs: [i16; MAX_INPUTS],
    sums: [i32; MAX_CHANNELS],
}

#[unsafe(link_section = ".scratch")]
static mut SCRATCH: Scratch = Scratch {
    weights: [0; WEIGHT_WORDS],
    panel: [0; PANEL_BYTES],
    channels: [Channels::NONE; MAX_CHANNELS / 16],
    inputs: [0; MAX_INPUTS],
    sums: [0; MAX_CHANNELS],
};

/// The vector kernels.
pub struct Vectors {
    /// Operators taken so far.
    pub taken: u32,
    /// Vector registers that vector instructions worked on beyond the first one each, so far.
    pub extra_work: u64,
    scratch: &'static mut Scratch,
}

impl Vectors {
    /// None taken yet.
    ///
    /// # Safety
    /// There is no other value of this type.
    pub unsafe fn new() -> Self {
        // SAFETY: the only reference, as the caller promises; the memory is plain numbers, whatever they are.
        Vectors { taken: 0, extra_work: 0, scratch: unsafe { &mut *(&raw mut SCRATCH) } }
    }
}

/// Fills the factors of `count` channels from `first` on, in blocks of `lanes`. False if a factor is above 1, which the
/// kernels do not have.
fn fill(blocks: &mut [Channels], lanes: usize, count: usize, factor: impl Fn(usize) -> Factor) -> bool {
    for (index, block) in blocks.iter_mut().enumerate().take(count.div_ceil(lanes)) {
        for lane in 0..lanes {
            let channel = index * lanes + lane;
            if channel >= count {
                break;
            }
            let factor = factor(channel);
            if !reach::factor(&factor) {
                return false;
            }
            block.bias[lane] = factor.bias;
            block.fraction[lane] = factor.fraction;
            block.shift[lane] = (-factor.exponent).min(31);
            block.sign[lane] = if factor.exponent < 0 { -1 } else { 0 };
        }
    }
    true
}

/// The same where all factors are the same, in blocks of [`LANES`].
fn fill_uniform(blocks: &mut [Channels], count: usize, factor: Factor, bias: Option<&[[u8; 4]]>) -> bool {
    if !reach::factor(&factor) {
        return false;
    }
    for (index, block) in blocks.iter_mut().enumerate().take(count.div_ceil(LANES)) {
        block.fraction.fill(factor.fraction);
        block.shift.fill((-factor.exponent).min(31));
        block.sign.fill(if factor.exponent < 0 { -1 } else { 0 });
        block.bias.fill(0);
        let values = bias.and_then(|bias| bias.get(index * LANES..)).unwrap_or_default();
        let there = values.len().min(LANES);
        assembly::copy_words(&values[..there], &mut block.bias[..there]);
    }
    true
}

impl Vectors {
    /// Counts an operator, if it was taken; what it says is its extra work.
    fn count(&mut self, taken: Option<usize>) -> bool {
        self.taken += u32::from(taken.is_some());
        self.extra_work += taken.unwrap_or(0) as u64;
        taken.is_some()
    }
}

impl Kernels for Vectors {
    fn conv(&mut self, layer: &ConvLayer<'_>, input: &[i8], output: &mut [i8]) -> bool {
        let taken = conv(self.scratch, layer, input, output).map(|()| work::conv(&layer.window, output.len()));
        self.count(taken)
    }

    fn depthwise(&mut self, layer: &ConvLayer<'_>, input: &[i8], output: &mut [i8]) -> bool {
        let taken = depthwise(self.scratch, layer, input, output);
        self.count(taken.map(|()| work::depthwise(&layer.window, input.len(), output.len())))
    }

    fn fully_connected(&mut self, layer: &DenseLayer<'_>, input: &[i8], output: &mut [i8]) -> bool {
        let taken = dense(self.scratch, layer, input, output).map(|()| work::dense(layer.inputs, output.len()));
        self.count(taken)
    }
}

fn conv(scratch: &mut Scratch, layer: &ConvLayer<'_>, input: &[i8], output: &mut [i8]) -> Option<()> {
    let window = &layer.window;
    let (rows, columns) = (window.rows, window.columns);
    let inner = window.taps() * window.in_channels;
    let padded = inner.next_multiple_of(4);
    let count = window.out_channels;
    let lanes = lanes_for(count);
    let blocks = count.div_ceil(lanes);
    let per_group = (WEIGHT_WORDS / (padded * lanes)).min(blocks);
    if !reach::conv(layer) || !fill(&mut scratch.channels, lanes, count, |channel| layer.factor(channel)) {
        return None;
    }
    let positions = window.positions();
    let image = rows.input * columns.input * window.in_channels;
    // A filter of one element that moves by one reads the image as it lies.
    let direct = window.taps() == 1
        && rows.stride == 1
        && columns.stride == 1
        && padded == inner
        && rows.padding == 0
        && columns.padding == 0;
    for first in (0..blocks).step_by(per_group) {
        let group = first..(first + per_group).min(blocks);
        for block in group.clone() {
            let channel = block * lanes;
            let spread = &mut scratch.weights[(block - first) * padded * lanes..][..padded * lanes];
            let filled = (count - channel).min(lanes);
            let sums = assembly::spread(
                layer.weights.get(channel * layer.channel_stride..)?,
                (layer.channel_stride, layer.inner_stride, inner),
                filled,
                lanes,
                spread,
            );
            spread[inner * lanes..].fill(0);
            let bias = &mut scratch.channels[block].bias;
            for (bias, sum) in bias.iter_mut().zip(sums) {
                *bias = bias.wrapping_sub(sum.wrapping_mul(layer.zero_point));
            }
        }
        for (input, output) in input.chunks_exact(image).zip(output.chunks_exact_mut(positions * count)) {
            for start in (0..positions).step_by(TILE_ROWS) {
                let valid = (positions - start).min(TILE_ROWS);
                let source: &[i8] = if direct {
                    &input[start * inner..(start + valid) * inner]
                } else {
                    for row in 0..valid {
                        gather(layer, input, start + row, &mut scratch.panel[row * padded..][..inner])?;
                    }
                    &scratch.panel[..valid * padded]
                };
                for block in group.clone() {
                    let channel = block * lanes;
                    let weights = &scratch.weights[(block - first) * padded * lanes..][..padded * lanes];
                    let target = &mut output[start * count + channel..(start + valid) * count];
                    Tile {
                        source,
                        inner: padded,
                        rows: valid,
                        weights,
                        channels: &scratch.channels[block],
                        bounds: layer.bounds,
                        stride: count,
                        filled: (count - channel).min(lanes),
                        lanes,
                    }
                    .run(target);
                }
            }
        }
    }
    Some(())
}

/// Copies the inputs that output `position` sees, with padding.
fn gather(layer: &ConvLayer<'_>, input: &[i8], position: usize, target: &mut [i8]) -> Option<()> {
    let window = &layer.window;
    let (rows, columns) = (window.rows, window.columns);
    let channels = window.in_channels;
    let (row, column) = (position / columns.output, position % columns.output);
    let left = (column * columns.stride).wrapping_sub(columns.padding);
    let inside = columns.dilation == 1 && left < columns.input && left + columns.filter <= columns.input;
    for (tap, line) in target.chunks_exact_mut(columns.filter * channels).enumerate() {
        let Some(source) = rows.source(row, tap) else {
            assembly::fill(line, layer.zero_point as i8);
            continue;
        };
        let source = input.get(source * columns.input * channels..)?;
        if inside {
            assembly::copy(source.get(left * channels..)?.get(..line.len())?, line);
            continue;
        }
        for (tap, element) in line.chunks_exact_mut(channels).enumerate() {
            match columns.source(column, tap) {
                Some(at) => assembly::copy(source.get(at * channels..)?.get(..channels)?, element),
                None => assembly::fill(element, layer.zero_point as i8),
            }
        }
    }
    Some(())
}

fn depthwise(scratch: &mut Scratch, layer: &ConvLayer<'_>, input: &[i8], output: &mut [i8]) -> Option<()> {
    let window = &layer.window;
    let (rows, columns) = (window.rows, window.columns);
    let count = window.out_channels;
    let lanes = lanes_for(count);
    let width = (columns.output - 1) * columns.stride + 3;
    let plane_words = reach::plane_words(layer);
    if !reach::depthwise(layer) || !fill(&mut scratch.channels, lanes, count, |channel| layer.factor(channel)) {
        return None;
    }
    let image = rows.input * columns.input * count;
    let (weights, plane) = scratch.weights.split_at_mut(9 * lanes);
    for block in 0..count.div_ceil(lanes) {
        let channel = block * lanes;
        let filled = (count - channel).min(lanes);
        let sums = assembly::spread(&layer.weights[channel..], (1, count, 9), filled, lanes, weights);
        let channels = &mut scratch.channels[block];
        for (bias, sum) in channels.bias.iter_mut().zip(sums) {
            *bias = bias.wrapping_sub(sum.wrapping_mul(layer.zero_point));
        }
        for (input, output) in input.chunks_exact(image).zip(output.chunks_exact_mut(window.positions() * count)) {
            let inside = columns.input.min(width.saturating_sub(columns.padding));
            for (line, target) in plane[..plane_words].chunks_exact_mut(width * lanes).enumerate() {
                let source = line.wrapping_sub(rows.padding);
                if source >= rows.input {
                    target.fill(layer.zero_point);
                    continue;
                }
                let (before, rest) = target.split_at_mut(columns.padding * lanes);
                let (middle, after) = rest.split_at_mut(inside * lanes);
                before.fill(layer.zero_point);
                after.fill(layer.zero_point);
                assembly::widen(input.get(source * columns.input * count + channel..)?, count, filled, lanes, middle);
            }
            for row in 0..rows.output {
                Line {
                    plane: &plane[row * rows.stride * width * lanes..],
                    width,
                    columns: columns.output,
                    step: columns.stride,
                    weights,
                    channels,
                    bounds: layer.bounds,
                    stride: count,
                    filled,
                    lanes,
                }
                .run(&mut output[row * columns.output * count + channel..]);
            }
        }
    }
    Some(())
}

fn dense(scratch: &mut Scratch, layer: &DenseLayer<'_>, input: &[i8], output: &mut [i8]) -> Option<()> {
    let filled = reach::dense(layer)
        && match layer.uniform {
            Some(factor) => fill_uniform(&mut scratch.channels, layer.outputs, factor, layer.bias),
            None => fill(&mut scratch.channels, LANES, layer.outputs, |index| layer.factor(index)),
        };
    if !filled {
        return None;
    }
    for (input, output) in input.chunks_exact(layer.inputs).zip(output.chunks_exact_mut(layer.outputs)) {
        assembly::widen_inputs(input, layer.zero_point, &mut scratch.inputs[..layer.inputs]);
        Dense { inputs: &scratch.inputs[..layer.inputs], weights: layer.weights }
            .run(&mut scratch.sums[..layer.outputs]);
        for (index, target) in output.chunks_mut(LANES).enumerate() {
            let sums = &scratch.sums[index * LANES..][..target.len()];
            Requantize { sums, channels: &scratch.channels[index], bounds: layer.bounds }.run(target);
        }
    }
    Some(())
}
