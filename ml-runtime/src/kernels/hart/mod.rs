//! The innermost loops: the only unsafe module.
//!
//! Compilers schedule these sums so that most of them go through memory, which doubles the instructions. On rv64 they
//! are therefore written out; elsewhere the same sums are plain loops. The plain ones give the reference's outputs in the
//! host tests, the others where the models run on the board.

use super::triple::{Channel, Sums};
use crate::fixed_point::Finish;

pub mod portable;
#[cfg(target_arch = "riscv64")]
mod rv64;

/// Output channels that are computed together.
pub const CHANNELS: usize = 4;
/// The most words, each of three positions, that are computed together.
pub const MOST_WORDS: usize = 3;
/// Rows of a fully connected layer that are computed together.
pub const ROWS: usize = 4;
/// Places that [`nines`] computes together where they are one word apart.
pub const PLACES: usize = 3;
/// The prepared inputs of eight weights; see [`super::fully_connected`].
pub type Factors = [i64; 4];

/// How the weights of [`CHANNELS`] output channels lie.
#[derive(Clone, Copy, Debug)]
pub enum Block<'t> {
    /// One row for each channel.
    Rows([&'t [i8]; CHANNELS]),
    /// From the first channel's first weight on; the next index of the inner dimension is `stride` further.
    Strided {
        /// The weights.
        weights: &'t [i8],
        /// Channels of the layer.
        stride: usize,
    },
}

impl Block<'_> {
    /// Whether there are weights for `inner` indices.
    fn covers(&self, inner: usize) -> bool {
        match self {
            Block::Rows(rows) => rows.iter().all(|row| row.len() >= inner),
            Block::Strided { weights, stride } => {
                inner == 0 || (inner - 1).checked_mul(*stride).is_some_and(|last| weights.len() >= last + CHANNELS)
            }
        }
    }
}

/// Packed inputs under a filter: `lines` of them, `pitch` words apart, of each of which `run` words count. Word `w` of an
/// index is `w · step` words further.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'p> {
    /// The words.
    pub words: &'p [i64],
    /// Words of a line under the filter.
    pub run: usize,
    /// Lines.
    pub lines: usize,
    /// Words from one line to the next, at least `run`.
    pub pitch: usize,
    /// Words between neighbours.
    pub step: usize,
}

impl Panel<'_> {
    /// Length of the inner dimension.
    fn inner(&self) -> usize {
        self.lines.saturating_mul(self.run)
    }

    /// Whether all words are there that `count` neighbours read.
    fn covers(&self, count: usize) -> bool {
        let last = self.lines.saturating_sub(1).checked_mul(self.pitch);
        let beside = (count - 1).checked_mul(self.step).and_then(|beside| beside.checked_add(self.run));
        let needed = last.zip(beside).and_then(|(last, beside)| last.checked_add(beside));
        self.run <= self.pitch && needed.is_some_and(|needed| needed <= self.words.len())
    }
}

/// Sets `sums` to `start` and the sums over `panel` of each word times each channel's weight, modulo 2^64. To `start` alone
/// if words or weights are missing.
#[inline]
pub fn products<const W: usize>(panel: &Panel<'_>, block: Block<'_>, start: i64, sums: &mut [[i64; W]; CHANNELS]) {
    const { assert!(W >= 1 && W <= MOST_WORDS) };
    if panel.inner() == 0 || !panel.covers(W) || !block.covers(panel.inner()) {
        *sums = [[start; W]; CHANNELS];
        return;
    }
    #[cfg(target_arch = "riscv64")]
    rv64::products(panel, block, start, sums);
    #[cfg(not(target_arch = "riscv64"))]
    portable::products(panel, block, start, sums);
}

/// Where [`finish`] puts what it computes.
pub struct Target<'o> {
    /// The values.
    pub values: &'o mut [i8],
    /// Where the first channel's first value of each field goes; the next channel's goes behind it. Two fields may have the
    /// same place, which the lower one gets.
    pub places: [usize; 3],
    /// From one word's value to the next one's.
    pub step: usize,
}

/// Turns sums into values of the output: `words / channels.len()` words for each channel, with `earlier` added to their
/// fields if it is not empty. Nothing if there are too few words, or too few values in the target.
#[inline]
pub fn finish(words: &[i64], earlier: &[Sums], channels: &[Channel], bounds: Finish, target: Target<'_>) {
    let Some(each) = words.len().checked_div(channels.len()) else { return };
    let last = (each.max(1) - 1).checked_mul(target.step).and_then(|last| last.checked_add(channels.len()));
    let room = |place: &usize| {
        last.and_then(|last| last.checked_add(*place)).is_some_and(|needed| needed <= target.values.len())
    };
    if each == 0 || !target.places.iter().all(room) || (!earlier.is_empty() && earlier.len() < words.len()) {
        return;
    }
    #[cfg(target_arch = "riscv64")]
    if earlier.is_empty() {
        rv64::finish::<0>(words, each, earlier, channels, bounds, target);
    } else {
        rv64::finish::<1>(words, each, earlier, channels, bounds, target);
    }
    #[cfg(not(target_arch = "riscv64"))]
    portable::finish(words, each, earlier, channels, bounds, target);
}

/// For `sums.len()` rows of weights, a multiple of [`ROWS`], each `stride` words of eight bytes, the sums that
/// [`super::fully_connected`] explains. Zeros if weights are missing.
#[inline]
pub fn dots(factors: &[Factors], weights: &[u64], stride: usize, sums: &mut [i32]) {
    let last = sums.len().checked_sub(1).and_then(|last| last.checked_mul(stride));
    let needed = last.and_then(|last| last.checked_add(factors.len()));
    if stride < factors.len() || !sums.len().is_multiple_of(ROWS) || needed.is_none_or(|needed| weights.len() < needed)
    {
        sums.fill(0);
        return;
    }
    #[cfg(target_arch = "riscv64")]
    rv64::dots(factors, weights, stride, sums);
    #[cfg(not(target_arch = "riscv64"))]
    for (row, sum) in sums.iter_mut().enumerate() {
        *sum = portable::dot(factors, weights[row * stride..].iter().map(|word| u64::from_le(*word)));
    }
}

/// `start` and the sums of a window of three by three words times nine weights, at `count` places that are `stride` words
/// apart. `plane` has lines of `words` words. The sums replace its first words; with a stride of 1, `count` is rounded up to
/// a multiple of [`PLACES`]. False if the plane is too small.
#[inline]
pub fn nines(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize, start: i64) -> bool {
    let places = if stride == 1 { count.checked_next_multiple_of(PLACES) } else { Some(count) };
    let last = places.and_then(|places| places.checked_sub(1)?.checked_mul(stride)?.checked_add(3));
    let needed = words.checked_mul(2).zip(last).and_then(|(lines, last)| lines.checked_add(last));
    if stride == 0 || needed.is_none_or(|needed| plane.len() < needed) {
        return false;
    }
    #[cfg(target_arch = "riscv64")]
    rv64::nines(plane, words, weights, count, stride, start);
    #[cfg(not(target_arch = "riscv64"))]
    portable::nines(plane, words, weights, count, stride, start);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed_point::Multiplier;
    use crate::kernels::triple::START;

    #[test]
    fn missing_weights_give_the_start() {
        let words = [1i64; 12];
        let panel = Panel { words: &words, run: 2, lines: 3, pitch: 4, step: 1 };
        let row = [1i8; 6];
        let short = &row[..5];
        let products = |panel: &Panel<'_>, block, start| {
            let mut sums = [[-1; 3]; CHANNELS];
            products(panel, block, start, &mut sums);
            sums
        };
        assert_eq!(products(&panel, Block::Rows([&row, &row, &row, short]), 7), [[7; 3]; 4]);
        assert_eq!(products(&panel, Block::Rows([&row; 4]), 7), [[13; 3]; 4]);
        let strided = |weights| products(&panel, Block::Strided { weights, stride: 4 }, 0);
        assert_eq!(strided(&[1; 23]), [[0; 3]; 4]);
        assert_eq!(strided(&[1; 24]), [[6; 3]; 4]);
        // A word too few, a line too few, lines that overlap, numbers that overflow, nothing to do.
        for panel in [
            Panel { words: &words[..11], ..panel },
            Panel { words: &words[1..], ..panel },
            Panel { step: 2, ..panel },
            Panel { pitch: 1, ..panel },
            Panel { pitch: usize::MAX, ..panel },
            Panel { step: usize::MAX, ..panel },
            Panel { lines: 0, ..panel },
            Panel { run: 0, ..panel },
        ] {
            assert_eq!(products(&panel, Block::Rows([&row; 4]), 7), [[7; 3]; 4], "{panel:?}");
        }
    }

    #[test]
    fn a_target_must_be_large_enough() {
        let channel = Channel::new(0, Multiplier { fraction: 1 << 30, exponent: 1 }, 0, 1);
        let bounds = Finish { zero_point: 1, min: -128, max: 127 };
        let words = [START; 4];
        let finish = |room: usize, places, words, earlier: &[Sums]| {
            let mut values = [99i8; 16];
            finish(words, earlier, &[channel; 2], bounds, Target { values: &mut values[..room], places, step: 3 });
            values
        };
        let mut expected = [99; 16];
        for place in [0, 1, 3, 4, 6, 7, 9, 10] {
            expected[place] = 1;
        }
        assert_eq!(finish(11, [0, 6, 0], &words, &[]), expected);
        for (room, places, words, earlier) in [
            (10, [0, 6, 0], &words[..], &[][..]),
            (16, [0, 12, 0], &words, &[]),
            (16, [0, 6, usize::MAX], &words, &[]),
            (16, [0, 6, 0], &words[..1], &[]),
            (16, [0, 6, 0], &words, &[[0; 3]; 3]),
        ] {
            assert_eq!(finish(room, places, words, earlier), [99; 16]);
        }
    }

    #[test]
    fn a_plane_must_be_large_enough() {
        let mut plane = [1i64; 17];
        assert!(!nines(&mut plane[..16], 6, &[1; 9], 2, 2, 0));
        // Two places are three where they are neighbours.
        assert!(!nines(&mut plane[..16], 6, &[1; 9], 2, 1, 0));
        assert!(!nines(&mut plane, 6, &[1; 9], 0, 1, 0));
        assert!(!nines(&mut plane, 6, &[1; 9], 2, 0, 0));
        assert!(!nines(&mut plane, usize::MAX, &[1; 9], 2, 2, 0));
        assert!(nines(&mut plane, 6, &[1; 9], 2, 2, 5));
        assert_eq!(plane[..2], [14, 14]);
        assert_eq!(plane[2..], [1; 15]);
    }

    #[test]
    fn missing_weights_of_a_row_give_zeros() {
        let factors = [[1 << 40; 4]; 2];
        let dots = |weights: &[u64], stride, count| {
            let mut sums = [9; 8];
            dots(&factors, weights, stride, &mut sums[..count]);
            sums
        };
        let weights = [0x8080_8080_8080_8081; 12];
        assert_eq!(dots(&weights[..11], 3, 4), [2, 2, 2, 2, 9, 9, 9, 9]);
        let none = [0, 0, 0, 0, 9, 9, 9, 9];
        assert_eq!(dots(&weights[..10], 3, 4), none);
        assert_eq!(dots(&weights, 1, 4), none);
        assert_eq!(dots(&weights, usize::MAX, 4), none);
        assert_eq!(dots(&weights, 2, 5), [0, 0, 0, 0, 0, 9, 9, 9]);
    }
}
