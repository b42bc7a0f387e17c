//! The heart of convolution: a matrix product with two output positions in each 64-bit word.
//!
//! Inputs of two positions, `a` and `b`, are packed as `a + b·2^32`. One 64-bit multiplication by a weight and one
//! addition then advance both sums; the lower sum's sign spills into the upper one and is taken out at the end. Inputs
//! are packed once for all output channels, with their zero point subtracted and padding as zeros, and each weight is
//! loaded once for all positions of a tile: with three words, 31 instructions do 24 multiply-accumulates.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::hart::{self, Block, CHANNELS};
use crate::fixed_point::{Finish, Multiplier, Requantize};

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
}

/// What follows the sums of one channel.
pub struct Last {
    requantize: Requantize,
    bias: i32,
    finish: Finish,
}

impl Last {
    /// For this channel of an output.
    #[inline(always)]
    pub fn new(channel: &Channel, finish: Finish) -> Self {
        let multiplier = Multiplier { fraction: channel.fraction, exponent: channel.exponent };
        Last { requantize: Requantize::new(multiplier), bias: channel.bias, finish }
    }

    /// Stores the outputs of packed sums: of the lower ones from `low` on, of the upper ones from `high` on, `step` apart.
    /// What has no place is left out.
    #[inline(always)]
    pub fn store(&self, sums: &[i64], output: &mut [i8], mut low: usize, mut high: usize, step: usize) {
        for sum in sums {
            let [a, b] = unpack(*sum).map(|sum| self.finish.apply(self.requantize.apply(sum.wrapping_add(self.bias))));
            if let Some(target) = output.get_mut(low) {
                *target = a;
            }
            if let Some(target) = output.get_mut(high) {
                *target = b;
            }
            low += step;
            high += step;
        }
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

/// A part of the inner dimension: the packed inputs, and where it begins.
#[derive(Clone, Copy)]
pub struct Part<'p, const W: usize> {
    /// Inputs of the part.
    pub panel: &'p [[i64; W]],
    /// Its first index.
    pub from: usize,
    /// Length of the whole inner dimension.
    pub inner: usize,
}

/// The sums over a part for [`CHANNELS`] output channels from `first` on; where fewer are left, the others mean nothing.
#[inline(always)]
fn sums_of<const W: usize>(
    part: &Part<'_, W>,
    weights: Weights<'_>,
    count: usize,
    first: usize,
) -> [[i64; W]; CHANNELS] {
    match weights {
        Weights::Rows(weights) => {
            let rest = weights.get(first * part.inner + part.from..).unwrap_or_default();
            let last = count - first - 1;
            // Where fewer channels are left, the last of them is computed again.
            let row = |c: usize| rest.get(c.min(last) * part.inner..).unwrap_or_default();
            hart::products(part.panel, Block::Rows([row(0), row(1), row(2), row(3)]))
        }
        Weights::Columns(weights) => {
            // The last group begins earlier, so that it has all its channels, and is then moved to its place.
            let start = first.min(count.saturating_sub(CHANNELS));
            let weights = weights.get(part.from * count + start..).unwrap_or_default();
            if count >= CHANNELS {
                let mut sums = hart::products(part.panel, Block::Strided { weights, stride: count });
                sums.rotate_left(first - start);
                sums
            } else {
                hart::portable::products(part.panel, Block::Strided { weights, stride: count })
            }
        }
    }
}

/// Adds a part to the sums of all output channels.
#[inline(never)]
pub fn accumulate<const W: usize>(part: &Part<'_, W>, weights: Weights<'_>, sums: &mut [[i64; W]]) {
    let count = sums.len();
    for (index, group) in sums.chunks_mut(CHANNELS).enumerate() {
        let added = sums_of(part, weights, count, index * CHANNELS);
        for (sum, added) in group.iter_mut().flatten().zip(added.iter().flatten()) {
            *sum = sum.wrapping_add(*added);
        }
    }
}

/// Computes all output channels of up to 2·`W` positions from the last part (or the only one) and the sums of those before
/// it, if there are any: `output` is that many rows of `channels.len()`.
#[inline(never)]
pub fn finish<const W: usize>(
    part: &Part<'_, W>,
    weights: Weights<'_>,
    earlier: &[[i64; W]],
    channels: &[Channel],
    finish: Finish,
    output: &mut [i8],
) {
    let count = channels.len();
    for (index, group) in channels.chunks(CHANNELS).enumerate() {
        let first = index * CHANNELS;
        let mut sums = sums_of(part, weights, count, first);
        if let Some(earlier) = earlier.get(first..).filter(|earlier| !earlier.is_empty()) {
            for (sum, earlier) in sums.iter_mut().flatten().zip(earlier.iter().flatten()) {
                *sum = sum.wrapping_add(*earlier);
            }
        }
        for (c, (sums, channel)) in sums.iter().zip(group).enumerate() {
            // Even rows of the output are in the lower sums, odd ones in the upper.
            Last::new(channel, finish).store(sums, output, first + c, first + c + count, 2 * count);
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
