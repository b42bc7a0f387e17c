//! The heart of convolution: a matrix product with three output positions in each 64-bit word (see [`super::triple`]).
//!
//! The inputs under a tile of up to nine positions are packed once for all output channels, as they are: that their zero
//! point is to be subtracted is in the bias. Each weight is loaded once for all positions of a tile: with three words, 31
//! instructions do 36 multiply-accumulates. Sums leave their fields after [`MOST_TERMS`] products at most.

use zerocopy::{FromBytes, IntoBytes};

use super::hart::{self, Block, CHANNELS, Panel, Target};
use super::triple::{self, Channel, MOST_TERMS, START};
use crate::fixed_point::Finish;
use crate::pace::Pace;

/// Most output positions of a tile.
pub const POSITIONS: usize = 3 * hart::MOST_WORDS;

/// How the weights of output channels lie.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'t> {
    /// One row of the inner dimension for each output channel: convolution.
    Rows(&'t [i8]),
    /// All output channels for each index of the inner dimension: depthwise convolution of a single channel.
    Columns(&'t [i8]),
}

impl Weights<'_> {
    /// The sum of the weights of channel `index` of `count`.
    pub fn total(&self, index: usize, count: usize) -> i32 {
        match self {
            Weights::Rows(weights) => {
                let inner = weights.len() / count;
                total(weights.get(index * inner..(index + 1) * inner).unwrap_or_default())
            }
            Weights::Columns(weights) => {
                let weights = weights.get(index..).unwrap_or_default().iter().step_by(count);
                weights.map(|weight| i32::from(*weight)).sum()
            }
        }
    }
}

/// The sum of a row, eight bytes at a time where they lie aligned.
fn total(row: &[i8]) -> i32 {
    /// Flips the sign bits, which adds 128 to each byte.
    const SIGNS: u64 = 0x8080_8080_8080_8080;
    const BYTES: u64 = 0x00ff_00ff_00ff_00ff;
    const HALVES: u64 = 0x0000_ffff_0000_ffff;
    // As many words as the sums of 16 bits have room for.
    const MOST_WORDS: usize = u16::MAX as usize / (2 * 255);
    let Ok(words) = <[u64]>::ref_from_bytes(row.as_bytes()) else {
        return row.iter().map(|weight| i32::from(*weight)).sum();
    };
    let mut sum = 0;
    for words in words.chunks(MOST_WORDS) {
        let pairs =
            words.iter().map(|word| word ^ SIGNS).fold(0, |sum, word| sum + (word & BYTES) + (word >> 8 & BYTES));
        let fours = (pairs & HALVES) + (pairs >> 16 & HALVES);
        sum += (fours as u32 + (fours >> 32) as u32) as i32 - 128 * 8 * words.len() as i32;
    }
    sum
}

/// How a packed panel is worked off: in parts of at most [`MOST_TERMS`] products, whole lines where those fit.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Lines of a part.
    pub lines: usize,
    /// Words of a line in a part.
    pub run: usize,
    /// How many parts there are.
    pub count: usize,
}

impl Parts {
    /// The parts of `lines` lines of `run` words.
    pub fn new(lines: usize, run: usize) -> Self {
        if run > MOST_TERMS {
            return Parts { lines: 1, run: MOST_TERMS, count: lines * run.div_ceil(MOST_TERMS) };
        }
        let most = (MOST_TERMS / run).clamp(1, lines);
        Parts { lines: most, run, count: lines.div_ceil(most) }
    }
}

/// Computes all output channels of a tile of up to 3·`W` positions, of which `output` takes as many as it has room for
/// rows of `channels.len()`. `None` if it was stopped.
#[inline(never)]
pub fn tile<const W: usize>(
    panel: &Panel<'_>,
    parts: &Parts,
    weights: Weights<'_>,
    channels: &[Channel],
    bounds: Finish,
    output: &mut [i8],
    pace: &mut Pace<'_>,
) -> Option<()> {
    let count = channels.len();
    let whole = output.len() >= 3 * W * count;
    for (index, group) in channels.chunks(CHANNELS).enumerate() {
        let first = index * CHANNELS;
        let inner = panel.lines * panel.run;
        pace.worked(3 * W * CHANNELS * inner)?;
        let mut words = [[0; W]; CHANNELS];
        let mut sums;
        let (skipped, earlier) = if parts.count == 1 {
            (block(panel, weights, inner, 0, count, first, &mut words), &[][..])
        } else {
            sums = [[[0; 3]; W]; CHANNELS];
            let mut skipped = 0;
            for_each_part(panel, parts, |part, from| {
                if from > 0 {
                    for (sums, word) in sums.as_flattened_mut().iter_mut().zip(words.as_flattened()) {
                        let [a, b, c] = triple::sums(*word);
                        *sums = [sums[0] + a, sums[1] + b, sums[2] + c];
                    }
                }
                skipped = block(part, weights, inner, from, count, first, &mut words);
            });
            (skipped, sums[skipped..].as_flattened())
        };
        let words = words[skipped..].as_flattened();
        let words = words.get(..group.len() * W).unwrap_or_default();
        if whole {
            let places = [0, W * count, 2 * W * count].map(|place| place + first);
            hart::finish(words, earlier, group, bounds, Target { values: output, places, step: count });
        } else {
            let mut values = [0; POSITIONS * CHANNELS];
            let places = [0, W * CHANNELS, 2 * W * CHANNELS];
            hart::finish(words, earlier, group, bounds, Target { values: &mut values, places, step: CHANNELS });
            for (row, values) in output.chunks_exact_mut(count).zip(values.chunks_exact(CHANNELS)) {
                for (target, value) in row.iter_mut().skip(first).zip(&values[..group.len()]) {
                    *target = *value;
                }
            }
        }
    }
    Some(())
}

/// Gives each part of a panel, with its first index of the inner dimension.
#[inline(always)]
fn for_each_part(panel: &Panel<'_>, parts: &Parts, mut each: impl FnMut(&Panel<'_>, usize)) {
    for line in (0..panel.lines).step_by(parts.lines) {
        for start in (0..panel.run).step_by(parts.run) {
            let words = panel.words.get(line * panel.pitch + start..).unwrap_or_default();
            let lines = parts.lines.min(panel.lines - line);
            let part = Panel { words, run: parts.run.min(panel.run - start), lines, ..*panel };
            each(&part, line * panel.run + start);
        }
    }
}

/// The products of a part with the weights of [`CHANNELS`] output channels from `first` on. Returns how many of the sums
/// are of earlier channels; where fewer are left, the last sums mean nothing.
#[inline(always)]
fn block<const W: usize>(
    part: &Panel<'_>,
    weights: Weights<'_>,
    inner: usize,
    from: usize,
    count: usize,
    first: usize,
    sums: &mut [[i64; W]; CHANNELS],
) -> usize {
    match weights {
        Weights::Rows(weights) => {
            let rest = weights.get(first * inner + from..).unwrap_or_default();
            let last = count - first - 1;
            // Where fewer channels are left, the last of them is computed again.
            let row = |c: usize| rest.get(c.min(last) * inner..).unwrap_or_default();
            hart::products(part, Block::Rows([row(0), row(1), row(2), row(3)]), START, sums);
            0
        }
        Weights::Columns(weights) => {
            // The last group begins earlier, so that it has all its channels.
            let start = first.min(count.saturating_sub(CHANNELS));
            let weights = weights.get(from * count + start..).unwrap_or_default();
            let block = Block::Strided { weights, stride: count };
            if count >= CHANNELS {
                hart::products(part, block, START, sums);
            } else {
                hart::portable::products(part, block, START, sums);
            }
            first - start
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn totals_are_sums(row in prop::collection::vec(any::<i8>(), 0..3000), skip in 0usize..8) {
            let row = row.get(skip..).unwrap_or_default();
            prop_assert_eq!(total(row), row.iter().map(|weight| i32::from(*weight)).sum::<i32>());
        }

        #[test]
        fn parts_cover_everything_once(lines in 1usize..30, run in 1usize..200) {
            let panel = Panel { words: &[], run, lines, pitch: run, step: 0 };
            let parts = Parts::new(lines, run);
            let (mut next, mut count) = (0, 0);
            for_each_part(&panel, &parts, |part, from| {
                assert_eq!(from, next);
                assert!(part.lines * part.run <= MOST_TERMS);
                next += part.lines * part.run;
                count += 1;
            });
            prop_assert_eq!((next, count), (lines * run, parts.count));
        }
    }
}
