//! Holds the innermost loops of this machine against the plain ones, on shapes and numbers from a fixed seed.
//!
//! On the host both are the same code; the loops that are written out run where this runs on rv64, in a booted system.

use super::hart::{self, Block, CHANNELS, Factors, ROWS, portable};

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
    /// Four rows of a fully connected layer.
    Dots,
}

impl Loop {
    /// All of them.
    pub const ALL: [Loop; 4] = [Loop::Rows, Loop::Strided, Loop::Nines, Loop::Dots];
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
        Loop::Dots => dots(numbers, spoil),
    }
}

fn panel(numbers: &mut Numbers) -> [[i64; 3]; MOST] {
    core::array::from_fn(|_| numbers.words())
}

fn rows(numbers: &mut Numbers, spoil: bool) -> bool {
    let panel = panel(numbers);
    let inner = numbers.below(MOST) + usize::from(spoil);
    let weights: [[i8; MOST]; CHANNELS] = core::array::from_fn(|_| numbers.bytes());
    // Rows that begin anywhere.
    let start = if inner < MOST { numbers.below(MOST - inner) } else { 0 };
    let block = |weights: &[[i8; MOST]; CHANNELS]| {
        hart::products(&panel[..inner], Block::Rows([0, 1, 2, 3].map(|row| &weights[row][start..start + inner])))
    };
    let sums = block(&weights);
    let mut other = weights;
    if spoil {
        other[numbers.below(CHANNELS)][start + numbers.below(inner)] ^= 1;
    }
    let rows = [0, 1, 2, 3].map(|row| &other[row][start..start + inner]);
    sums == portable::products(&panel[..inner], Block::Rows(rows))
}

fn strided(numbers: &mut Numbers, spoil: bool) -> bool {
    const MOST_STRIDE: usize = 12;
    let panel = panel(numbers);
    let inner = numbers.below(MOST) + usize::from(spoil);
    let stride = CHANNELS + numbers.below(MOST_STRIDE - CHANNELS + 1);
    let weights: [i8; MOST * MOST_STRIDE] = numbers.bytes();
    let sums = hart::products(&panel[..inner], Block::Strided { weights: &weights, stride });
    let mut other = weights;
    if spoil {
        other[numbers.below(inner) * stride + numbers.below(CHANNELS)] ^= 1;
    }
    sums == portable::products(&panel[..inner], Block::Strided { weights: &other, stride })
}

fn nines(numbers: &mut Numbers, spoil: bool) -> bool {
    let plane: [i64; LINES * MOST_WORDS] = numbers.words();
    let words = 3 + numbers.below(MOST_WORDS - 2);
    let stride = 1 + numbers.below(3);
    // As many places as the plane has room for, across its lines as the depthwise kernel does it, or fewer.
    let most = (LINES * words - 2 * words - 3) / stride + 1;
    let count = 1 + numbers.below(most);
    let weights: [i64; 9] = numbers.words();
    let (mut sums, mut plain) = (plane, plane);
    let mut other = weights;
    if spoil {
        other[numbers.below(9)] ^= 1;
    }
    let done = hart::nines(&mut sums[..LINES * words], words, &weights, count, stride);
    portable::nines(&mut plain, words, &other, count, stride);
    done && sums == plain
}

fn dots(numbers: &mut Numbers, spoil: bool) -> bool {
    const MOST_FACTORS: usize = 18;
    let factors: [Factors; MOST_FACTORS] = core::array::from_fn(|_| numbers.words());
    let count = numbers.below(MOST_FACTORS) + usize::from(spoil);
    let weights: [[u64; MOST_FACTORS]; ROWS] = core::array::from_fn(|_| numbers.words().map(|word| word as u64));
    let sums = hart::dots(&factors[..count], [0, 1, 2, 3].map(|row| &weights[row][..]));
    let mut other = weights;
    if spoil {
        other[numbers.below(ROWS)][numbers.below(count)] ^= 1;
    }
    sums == other.map(|row| portable::dot(&factors[..count], row.into_iter().map(u64::from_le)))
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
