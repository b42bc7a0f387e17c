//! The loops in plain Rust.

#[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
use super::{
    super::triple::{Channel, Sums, sums},
    Target,
};
use super::{Block, CHANNELS, Factors, Panel};
#[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
use crate::fixed_point::{Finish, Requantize};

/// Flips the sign bit of each byte, which adds 128.
const SIGNS: u64 = 0x8080_8080_8080_8080;
/// Two bytes of eight.
const MASK: u64 = 0x0000_00ff_0000_00ff;

/// See [`super::products`].
pub fn products<const W: usize>(panel: &Panel<'_>, block: Block<'_>, start: i64, sums: &mut [[i64; W]; CHANNELS]) {
    *sums = [[start; W]; CHANNELS];
    for index in 0..panel.lines * panel.run {
        let at = index / panel.run * panel.pitch + index % panel.run;
        let words: [i64; W] = core::array::from_fn(|w| panel.words.get(at + w * panel.step).copied().unwrap_or(0));
        for (c, sums) in sums.iter_mut().enumerate() {
            let weight = match block {
                Block::Rows(rows) => rows[c].get(index),
                Block::Strided { weights, stride } if c < stride => weights.get(index * stride + c),
                Block::Strided { .. } => None,
            };
            let weight = i64::from(weight.copied().unwrap_or(0));
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum = sum.wrapping_add(word.wrapping_mul(weight));
            }
        }
    }
}

/// See [`super::finish`].
#[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
pub fn finish(words: &[i64], each: usize, earlier: &[Sums], channels: &[Channel], bounds: Finish, target: Target<'_>) {
    for (index, word) in words.iter().enumerate() {
        let (c, w) = (index / each, index % each);
        let earlier = earlier.get(index).copied().unwrap_or_default();
        let sums = sums(*word);
        let requantize = Requantize::new(channels[c].multiplier());
        for field in [2, 1, 0] {
            let sum = sums[field].wrapping_add(earlier[field]).wrapping_add(channels[c].bias());
            target.values[target.places[field] + c + w * target.step] = bounds.apply(requantize.apply(sum));
        }
    }
}

/// See [`super::nines`].
#[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
pub fn nines(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize, start: i64) {
    for place in 0..count {
        let window = (0..3).flat_map(|line| &plane[line * words + place * stride..][..3]);
        let sum = window.zip(weights).fold(start, |sum, (word, weight)| sum.wrapping_add(word.wrapping_mul(*weight)));
        // Later places read further right only.
        plane[place] = sum;
    }
}

/// See [`super::dots`].
pub fn dot(factors: &[Factors], words: impl Iterator<Item = u64>) -> i32 {
    let mut sum = 0i64;
    for (x, word) in factors.iter().zip(words) {
        let low = word ^ SIGNS;
        let high = low >> 16;
        let parts = [low, low & MASK << 8, high & MASK, high & MASK << 8];
        for (part, x) in parts.into_iter().zip(x) {
            sum = sum.wrapping_add((part as i64).wrapping_mul(*x));
        }
    }
    // What lies below bit 40 is of no use, and may be negative.
    (sum.wrapping_add(1 << 39) >> 40) as i32
}
