//! Holds the innermost loops of this machine against the plain ones, on shapes and numbers from a fixed seed.
//!
//! On the host both are the same code; the loops that are written out run where this runs on rv64, in a booted system.

use super::hart::{self, Block, CHANNELS, Factors, PLACES, Panel, ROWS, Target, portable};
use super::triple::{Channel, Sums};
use crate::fixed_point::{Finish, Multiplier};

/// Longest inner dimension that is tried.
const MOST: usize = 70;
/// Widest plane.
const MOST_WORDS: usize = 24;
/// Lines of a plane.
const LINES: usize = 5;

/// One of the loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// Four channels, each with a row of weights.
    Rows,
    /// Four channels whose weights lie side by side.
    Strided,
    /// Windows of three by three.
    Nines,
    /// What follows the sums of channels.
    Finish,
    /// Four rows of a fully connected layer.
    Dots,
}

impl Loop {
    /// All of them.
    pub const ALL: [Loop; 5] = [Loop::Rows, Loop::Strided, Loop::Nines, Loop::Finish, Loop::Dots];
}

/// A sequence of numbers that looks random (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.word() % limit as u64) as usize
    }

    fn words<const N: usize>(&mut self) -> [i64; N] {
        core::array::from_fn(|_| self.word() as i64)
    }

    fn bytes<const N: usize>(&mut self) -> [i8; N] {
        core::array::from_fn(|_| self.word() as i8)
    }
}

/// Runs one case of a loop on this machine and in plain Rust; whether they agree. With `spoil`, the plain one is given one
/// other weight, so that they must not.
pub fn agree(which: Loop, numbers: &mut Numbers, spoil: bool) -> bool {
    match which {
        Loop::Rows => rows(numbers, spoil),
        Loop::Strided => strided(numbers, spoil),
        Loop::Nines => nines(numbers, spoil),
        Loop::Finish => finish(numbers, spoil),
        Loop::Dots => dots(numbers, spoil),
    }
}

/// Words of a panel, and how they lie.
struct Case {
    words: [i64; MOST * 4],
    run: usize,
    lines: usize,
    pitch: usize,
    step: usize,
}

impl Case {
    fn new(numbers: &mut Numbers) -> Self {
        let lines = 1 + numbers.below(4);
        let run = 1 + numbers.below(MOST / lines);
        let step = numbers.below(4);
        let pitch = run + numbers.below(8);
        Case { words: numbers.words(), run, lines, pitch, step }
    }

    fn panel(&self) -> Panel<'_> {
        Panel { words: &self.words, run: self.run, lines: self.lines, pitch: self.pitch, step: self.step }
    }

    fn inner(&self) -> usize {
        self.run * self.lines
    }
}

/// Whether the loop agrees with its twin for tiles of each size, with other weights for the twin.
fn products_agree(case: &Case, block: Block<'_>, other: Block<'_>, start: i64) -> bool {
    let panel = case.panel();
    tile_agrees::<3>(&panel, block, other, start)
        && tile_agrees::<2>(&panel, block, other, start)
        && tile_agrees::<1>(&panel, block, other, start)
}

fn tile_agrees<const W: usize>(panel: &Panel<'_>, block: Block<'_>, other: Block<'_>, start: i64) -> bool {
    let (mut sums, mut plain) = ([[0; W]; CHANNELS], [[1; W]; CHANNELS]);
    hart::products(panel, block, start, &mut sums);
    portable::products(panel, other, start, &mut plain);
    sums == plain
}

fn rows(numbers: &mut Numbers, spoil: bool) -> bool {
    let case = Case::new(numbers);
    let inner = case.inner();
    let weights: [[i8; MOST]; CHANNELS] = core::array::from_fn(|_| numbers.bytes());
    // Rows that begin anywhere.
    let start = numbers.below(MOST - inner + 1);
    let mut other = weights;
    if spoil {
        other[numbers.below(CHANNELS)][start + numbers.below(inner)] ^= 1;
    }
    let [block, other] =
        [&weights, &other].map(|weights| Block::Rows([0, 1, 2, 3].map(|row| &weights[row][start..start + inner])));
    products_agree(&case, block, other, numbers.word() as i64)
}

fn strided(numbers: &mut Numbers, spoil: bool) -> bool {
    const MOST_STRIDE: usize = 12;
    let case = Case::new(numbers);
    let stride = CHANNELS + numbers.below(MOST_STRIDE - CHANNELS + 1);
    let weights: [i8; MOST * MOST_STRIDE] = numbers.bytes();
    let mut other = weights;
    if spoil {
        other[numbers.below(case.inner()) * stride + numbers.below(CHANNELS)] ^= 1;
    }
    let [block, other] = [&weights, &other].map(|weights| Block::Strided { weights: &weights[..], stride });
    products_agree(&case, block, other, numbers.word() as i64)
}

fn nines(numbers: &mut Numbers, spoil: bool) -> bool {
    let plane: [i64; LINES * MOST_WORDS] = numbers.words();
    let words = 3 + numbers.below(MOST_WORDS - 2);
    let stride = 1 + numbers.below(3);
    // As many places as the plane has room for, across its lines as the depthwise kernel does it, or fewer.
    let spare = if stride == 1 { PLACES - 1 } else { 0 };
    let most = ((LINES * words - 2 * words - 3) / stride + 1).saturating_sub(spare).max(1);
    let count = 1 + numbers.below(most);
    let start = numbers.word() as i64;
    let weights: [i64; 9] = numbers.words();
    let (mut sums, mut plain) = (plane, plane);
    let mut other = weights;
    if spoil {
        other[numbers.below(9)] ^= 1;
    }
    let done = hart::nines(&mut sums[..LINES * words], words, &weights, count, stride, start);
    portable::nines(&mut plain, words, &other, count, stride, start);
    // Neighbours may be computed a few more at a time.
    let extra = count + spare;
    done && sums[..count] == plain[..count] && sums[extra..] == plain[extra..]
}

fn finish(numbers: &mut Numbers, spoil: bool) -> bool {
    const MOST_EACH: usize = 5;
    let (each, count) = (1 + numbers.below(MOST_EACH), 1 + numbers.below(CHANNELS));
    let words: [i64; MOST_EACH * CHANNELS] = numbers.words();
    let words = &words[..each * count];
    let earlier: [Sums; MOST_EACH * CHANNELS] = core::array::from_fn(|_| numbers.words().map(|word| word as i32 >> 8));
    let earlier = if numbers.below(2) == 0 { &[] } else { &earlier[..words.len()] };
    let channels: [Channel; CHANNELS] = core::array::from_fn(|_| {
        let multiplier = Multiplier {
            fraction: (1 << 30) + numbers.below(1 << 30) as i32,
            // Sums of 24 bits become numbers around a byte's range.
            exponent: 2 - numbers.below(33) as i32,
        };
        Channel::new(numbers.word() as i32 >> 8, multiplier, 0, 1)
    });
    let [a, b, zero_point] = numbers.bytes();
    let bounds = Finish { zero_point: zero_point.into(), min: a.min(b).into(), max: a.max(b).into() };
    let step = count + numbers.below(3);
    // The third field has the first one's place at times.
    let places = [0, each * step, if numbers.below(3) == 0 { 0 } else { 2 * each * step }];
    let (mut values, mut plain) = ([0; 3 * MOST_EACH * (CHANNELS + 2)], [0; 3 * MOST_EACH * (CHANNELS + 2)]);
    hart::finish(words, earlier, &channels[..count], bounds, Target { values: &mut values, places, step });
    portable::finish(words, each, earlier, &channels[..count], bounds, Target { values: &mut plain, places, step });
    if spoil {
        plain[numbers.below(each) * step] ^= 1;
    }
    values == plain
}

fn dots(numbers: &mut Numbers, spoil: bool) -> bool {
    const MOST_FACTORS: usize = 18;
    const MOST_ROWS: usize = 3 * ROWS;
    let factors: [Factors; MOST_FACTORS] = core::array::from_fn(|_| numbers.words());
    let count = numbers.below(MOST_FACTORS) + usize::from(spoil);
    let rows = ROWS * (1 + numbers.below(MOST_ROWS / ROWS));
    let stride = count + numbers.below(MOST_FACTORS - count + 1);
    let weights: [u64; MOST_FACTORS * MOST_ROWS] = numbers.words().map(|word| word as u64);
    let mut sums = [0; MOST_ROWS];
    hart::dots(&factors[..count], &weights, stride, &mut sums[..rows]);
    let mut other = weights;
    if spoil {
        // The highest byte that counts: lower ones may be rounded away.
        other[numbers.below(rows) * stride + numbers.below(count)] ^= 1 << 63;
    }
    let plain =
        |row: usize| portable::dot(&factors[..count], other[row * stride..].iter().map(|word| u64::from_le(*word)));
    sums[..rows].iter().enumerate().all(|(row, sum)| *sum == plain(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_agree_unless_spoiled() {
        let mut numbers = Numbers(1);
        for which in Loop::ALL {
            for case in 0..500 {
                assert!(agree(which, &mut numbers, false), "{which:?} {case}");
                assert!(!agree(which, &mut numbers, true), "{which:?} {case}");
            }
        }
    }
}
