//! How much a vector instruction is: as much as there are vector registers that it works on.
//!
//! An instruction on eight registers at once counts as one instruction, and is not the work of one. The loops of
//! [`crate::assembly`] have a fixed number of vector instructions each, so what they work on beyond one register each
//! follows from the shapes. What is left out is less than a hundredth: instructions outside the loops.

use ml_runtime::accelerate::Window;
use npu_firmware::reach::{LANES, TILE_ROWS, lanes_for};

/// Bytes of a register.
const REGISTER_BYTES: usize = 64;
/// Of the instructions from sums to bytes, those on two registers.
const REQUANTIZE: usize = 10;
/// Of those that spread an index of the weights.
const SPREAD: usize = 3;

/// Registers beyond the first one that an instruction on a block of channels works on.
fn extra(channels: usize) -> usize {
    lanes_for(channels) / (LANES / 2) - 1
}

/// A convolution with so many outputs.
pub fn conv(window: &Window, outputs: usize) -> usize {
    let channels = window.out_channels;
    let blocks = channels.div_ceil(lanes_for(channels));
    let inner = window.taps() * window.in_channels;
    let positions = outputs / channels.max(1);
    // A load, and a product and a sum for each row; then the first values of the sums and what requantising loads.
    let tile = (1 + 2 * TILE_ROWS) * inner.next_multiple_of(4) + TILE_ROWS + 4;
    let tiles = positions.div_ceil(TILE_ROWS);
    let blocked = tiles * tile + positions * REQUANTIZE + inner * SPREAD;
    // Copies load and store.
    let copied = if window.taps() == 1 { 0 } else { 2 * positions * inner / REGISTER_BYTES };
    blocks * blocked * extra(channels) + copied
}

/// A depthwise convolution of three by three with so many inputs and outputs.
pub fn depthwise(window: &Window, inputs: usize, outputs: usize) -> usize {
    let channels = window.out_channels;
    let blocks = channels.div_ceil(lanes_for(channels));
    let elements = |values: usize| values / channels.max(1);
    // Nine loads and products, eight sums; an element of the image is widened and stored.
    let blocked = elements(outputs) * (26 + REQUANTIZE) + elements(inputs) * 2 + 9 * SPREAD;
    blocks * blocked * extra(channels)
}

/// A fully connected layer with so many inputs to each of so many outputs.
pub fn dense(inputs: usize, outputs: usize) -> usize {
    /// Inputs that one round of the loop takes at most, for four outputs.
    const ROUND: usize = 256;
    // Eight registers of inputs; for each output four of weights, and three instructions on eight.
    let round = 7 + 4 * (3 + 3 * 7);
    outputs.div_ceil(4) * round * inputs / ROUND + outputs.div_ceil(LANES) * (REQUANTIZE + 5)
}
