//! The heart of convolution: a matrix product with two output positions in each 64-bit word.
//!
//! Inputs of two positions, `a` and `b`, are packed as `a + b·2^32`. One 64-bit multiplication by a weight and one
//! addition then advance both sums; the lower sum's sign spills into the upper one and is taken out at the end. Inputs
//! are packed once for all output channels, with their zero point subtracted and padding as zeros, and each weight is
//! loaded once for [`POSITIONS`] positions: 40 instructions for 32 multiply-accumulates.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::fixed_point::{Finish, Multiplier, Requantize};

/// Words, each of two positions, that are computed together.
pub const WORDS: usize = 4;
/// Output positions that are computed together.
pub const POSITIONS: usize = 2 * WORDS;
/// Output channels that are computed together.
const CHANNELS: usize = 4;

/// The inputs of all positions of a tile for one index of the inner dimension.
pub type Column = [i64; WORDS];

/// What one output channel needs after the sum, prepared once an inference in the operator's scratch memory.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Channel {
    fraction: i32,
    exponent: i32,
    bias: i32,
}

impl Channel {
    /// The channel with this bias and factor.
    pub fn new(bias: i32, multiplier: Multiplier) -> Self {
        Channel { fraction: multiplier.fraction, exponent: multiplier.exponent, bias }
    }

    /// The factor's constants.
    #[inline]
    pub fn requantize(&self) -> Requantize {
        Requantize::new(Multiplier { fraction: self.fraction, exponent: self.exponent })
    }

    /// The bias.
    #[inline]
    pub fn bias(&self) -> i32 {
        self.bias
    }
}

/// Splits a word into its lower and upper sum.
#[inline(always)]
pub fn unpack(word: i64) -> [i32; 2] {
    [word as i32, (word.wrapping_add(1 << 31) >> 32) as i32]
}

/// Packs two values.
#[inline(always)]
pub fn pack(low: i64, high: i64) -> i64 {
    low.wrapping_add(high << 32)
}

/// How the weights of output channels lie.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'t> {
    /// One row of the inner dimension for each output channel: convolution.
    Rows(&'t [i8]),
    /// All output channels for each index of the inner dimension: depthwise convolution of a single channel.
    Columns(&'t [i8]),
}

#[inline(always)]
fn accumulate<const C: usize>(sums: &mut [[i64; WORDS]; C], column: &Column, weights: [i8; C]) {
    for (sums, weight) in sums.iter_mut().zip(weights) {
        for (sum, inputs) in sums.iter_mut().zip(column) {
            *sum = sum.wrapping_add(inputs.wrapping_mul(i64::from(weight)));
        }
    }
}

#[inline(always)]
fn sums_of_rows<const C: usize>(panel: &[Column], weights: &[i8], channel: usize) -> [[i64; WORDS]; C] {
    let inner = panel.len();
    let mut sums = [[0; WORDS]; C];
    let rows: [&[i8]; C] = core::array::from_fn(|c| &weights[(channel + c) * inner..][..inner]);
    for (k, column) in panel.iter().enumerate() {
        accumulate(&mut sums, column, rows.map(|row| row[k]));
    }
    sums
}

#[inline(always)]
fn sums_of_columns<const C: usize>(
    panel: &[Column],
    weights: &[i8],
    channels: usize,
    channel: usize,
) -> [[i64; WORDS]; C] {
    let mut sums = [[0; WORDS]; C];
    for (column, weights) in panel.iter().zip(weights.chunks_exact(channels)) {
        let weights: &[i8; C] = weights[channel..].first_chunk().unwrap_or(&[0; C]);
        accumulate(&mut sums, column, *weights);
    }
    sums
}

/// Computes all output channels of up to [`POSITIONS`] positions: `output` is that many rows of `channels.len()`.
pub fn tile(panel: &[Column], weights: Weights<'_>, channels: &[Channel], finish: Finish, output: &mut [i8]) {
    let count = channels.len();
    let whole = count / CHANNELS * CHANNELS;
    for first in (0..whole).step_by(CHANNELS) {
        tile_of::<CHANNELS>(panel, weights, channels, first, finish, output);
    }
    for first in whole..count {
        tile_of::<1>(panel, weights, channels, first, finish, output);
    }
}

fn tile_of<const C: usize>(
    panel: &[Column],
    weights: Weights<'_>,
    channels: &[Channel],
    first: usize,
    finish: Finish,
    output: &mut [i8],
) {
    let sums: [[i64; WORDS]; C] = match weights {
        Weights::Rows(weights) => sums_of_rows(panel, weights, first),
        Weights::Columns(weights) => sums_of_columns(panel, weights, channels.len(), first),
    };
    for (c, sums) in sums.iter().enumerate() {
        let channel = &channels[first + c];
        let requantize = channel.requantize();
        let mut values = [0; POSITIONS];
        for (pair, sum) in values.chunks_exact_mut(2).zip(sums) {
            for (value, sum) in pair.iter_mut().zip(unpack(*sum)) {
                *value = finish.apply(requantize.apply(sum.wrapping_add(channel.bias)));
            }
        }
        for (row, value) in output.chunks_exact_mut(channels.len()).zip(values) {
            row[first + c] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_sums_are_the_plain_ones(terms in prop::collection::vec((-255i64..=255, -255i64..=255, -128i64..=127), 0..600)) {
            let mut word = 0i64;
            let mut plain = [0i64; 2];
            for (a, b, weight) in terms {
                word = word.wrapping_add(pack(a, b).wrapping_mul(weight));
                plain[0] += a * weight;
                plain[1] += b * weight;
            }
            prop_assert_eq!(unpack(word).map(i64::from), plain);
        }
    }
}
