//! Which operators the vector kernels take. The others run on the accelerator's scalar unit, with the library's own kernels.

use ml_runtime::accelerate::{ConvLayer, DenseLayer, Factor};

/// Most channels of a block.
pub const LANES: usize = 32;
/// Output positions of a tile.
pub const TILE_ROWS: usize = 8;
/// Words of spread weights, or of a spread image.
pub const WEIGHT_WORDS: usize = (1 << 20) / 4;
/// Bytes of gathered inputs.
pub const PANEL_BYTES: usize = 64 << 10;
/// Channels of a layer at most.
pub const MAX_CHANNELS: usize = 2048;
/// Inputs of a fully connected layer at most.
pub const MAX_INPUTS: usize = 4096;
/// Bytes of a model's tables at most.
pub const TABLE_BYTES: usize = 64 << 10;

/// How many lanes the blocks of a layer with so many channels have.
pub fn lanes_for(channels: usize) -> usize {
    if channels <= LANES / 2 { LANES / 2 } else { LANES }
}

/// Whether a channel's factor is one that the kernels have: not above 1.
pub fn factor(factor: &Factor) -> bool {
    factor.exponent <= 0
}

/// Whether the shape of a convolution is one that the kernels take. They do if its factors are, too.
pub fn conv(layer: &ConvLayer<'_>) -> bool {
    let window = &layer.window;
    let inner = window.taps() * window.in_channels;
    let padded = inner.next_multiple_of(4);
    TILE_ROWS * padded <= PANEL_BYTES
        && padded * lanes_for(window.out_channels) <= WEIGHT_WORDS
        && i8::try_from(layer.zero_point).is_ok()
        && window.out_channels <= MAX_CHANNELS
        && layer.weights.len() >= inner * window.out_channels
}

/// Words of the plane that a depthwise convolution of three by three reads.
pub fn plane_words(layer: &ConvLayer<'_>) -> usize {
    let [rows, columns] = [layer.window.rows, layer.window.columns].map(|axis| (axis.output - 1) * axis.stride + 3);
    rows * columns * lanes_for(layer.window.out_channels)
}

/// The same for a depthwise convolution.
pub fn depthwise(layer: &ConvLayer<'_>) -> bool {
    let window = &layer.window;
    let count = window.out_channels;
    [window.rows, window.columns].iter().all(|axis| axis.filter == 3 && axis.dilation == 1)
        && window.in_channels == count
        && count <= MAX_CHANNELS
        && plane_words(layer) + 9 * lanes_for(count) <= WEIGHT_WORDS
        && layer.weights.len() >= 9 * count
}

/// The same for a fully connected layer.
pub fn dense(layer: &DenseLayer<'_>) -> bool {
    i8::try_from(layer.zero_point).is_ok()
        && layer.outputs <= MAX_CHANNELS
        && layer.inputs <= MAX_INPUTS
        && layer.outputs > 0
}

/// Says of each operator that it is offered whether the vector kernels would take it, and computes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Survey;

impl ml_runtime::accelerate::Kernels for Survey {
    fn conv(&mut self, layer: &ConvLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        conv(layer) && (0..layer.window.out_channels).all(|channel| factor(&layer.factor(channel)))
    }

    fn depthwise(&mut self, layer: &ConvLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        depthwise(layer) && (0..layer.window.out_channels).all(|channel| factor(&layer.factor(channel)))
    }

    fn fully_connected(&mut self, layer: &DenseLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        dense(layer)
            && match &layer.uniform {
                Some(uniform) => factor(uniform),
                None => (0..layer.outputs).all(|output| factor(&layer.factor(output))),
            }
    }
}
