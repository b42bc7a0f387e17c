//! Three sums in a 64-bit word, so that one multiplication and one addition advance all three.
//!
//! Three int8 values share a word as `a + b·2^21 + c·2^42`. Multiplied by an int8 weight and added up, each field holds a
//! sum of products between −16,256 and 16,384. Up to [`MOST_TERMS`] of them fit a field's 21 bits, if the sums begin at
//! [`OFFSET`], so that none becomes negative and borrows from the next.

use core::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::fixed_point::Multiplier;

/// The sums of a word's fields.
pub type Sums = [i32; 3];

/// Bits of a field.
const FIELD: u32 = 21;
/// A field.
pub const MASK: u64 = (1 << FIELD) - 1;
/// Products that a field has room for.
pub const MOST_TERMS: usize = 64;
/// What a field holds before the first product: as much as [`MOST_TERMS`] products of −128 · 127 can take off.
pub const OFFSET: i32 = MOST_TERMS as i32 * 128 * 127;
/// The word that sums begin with.
pub const START: i64 = pack([OFFSET as i64; 3]);

const _: () = assert!(OFFSET as u64 + MOST_TERMS as u64 * 128 * 128 <= MASK, "a field has room for every sum");

/// Packs three values.
#[inline(always)]
pub const fn pack([a, b, c]: [i64; 3]) -> i64 {
    a.wrapping_add(b << FIELD).wrapping_add(c << (2 * FIELD))
}

/// The three sums, each with [`OFFSET`] still in it.
#[inline(always)]
pub fn sums(word: i64) -> Sums {
    let word = word as u64;
    [(word & MASK) as i32, (word >> FIELD & MASK) as i32, (word >> (2 * FIELD)) as i32]
}

/// What one output channel needs after its sums.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Channel {
    fraction: i32,
    exponent: i32,
    bias: i32,
}

impl Channel {
    /// The channel with this bias and factor, whose sums come from `parts` words and have the input's zero point times
    /// the sum of the weights, `excess`, in them.
    #[inline]
    pub fn new(bias: i32, multiplier: Multiplier, excess: i32, parts: usize) -> Self {
        let bias = bias.wrapping_sub(excess).wrapping_sub(OFFSET.wrapping_mul(parts as i32));
        Channel { fraction: multiplier.fraction, exponent: multiplier.exponent, bias }
    }

    /// Its factor. The loop that is written out reads the fields itself.
    #[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
    pub fn multiplier(&self) -> Multiplier {
        Multiplier { fraction: self.fraction, exponent: self.exponent }
    }

    /// What is added to sums.
    #[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
    pub fn bias(&self) -> i32 {
        self.bias
    }
}

/// Packs the bytes of three slices, index by index, as far as all of them and the target go.
#[inline]
pub fn pack_all(target: &mut [i64], [a, b, c]: [&[i8]; 3]) {
    for (((word, a), b), c) in target.iter_mut().zip(a).zip(b).zip(c) {
        *word = pack([*a, *b, *c].map(i64::from));
    }
}

/// Which values of a line go into which words: field `f` of word `i` is value `starts[f] + i`, or padding where the line
/// has no such value.
#[derive(Clone, Debug)]
pub struct Cut {
    starts: [isize; 3],
    /// The words, for each field, that have a value.
    inside: [Range<usize>; 3],
    /// The words of which all fields have a value: most of them.
    full: Range<usize>,
}

impl Cut {
    /// For `words` words and lines of `values` values.
    pub fn new(words: usize, values: usize, starts: [isize; 3]) -> Self {
        let inside = starts.map(|start| {
            let end = (values as isize).saturating_sub(start).clamp(0, words as isize) as usize;
            start.saturating_neg().clamp(0, end as isize) as usize..end
        });
        let from = inside.iter().map(|range| range.start).max().unwrap_or(0);
        let to = inside.iter().map(|range| range.end).min().unwrap_or(0).max(from);
        Cut { starts, inside, full: from..to }
    }

    /// Packs a line, or padding where there is none.
    #[inline]
    pub fn pack(&self, target: &mut [i64], line: Option<&[i8]>, padding: i8) {
        let Some(line) = line else {
            target.fill(pack([i64::from(padding); 3]));
            return;
        };
        let length = target.len();
        if let Some(words) = target.get_mut(self.full.clone()) {
            pack_all(words, self.starts.map(|start| values(line, start, self.full.start)));
        }
        if self.full.len() < length {
            self.pack_edge(target, 0..self.full.start, line, padding);
            self.pack_edge(target, self.full.end..length, line, padding);
        }
    }

    /// Packs words of which some fields are padding.
    fn pack_edge(&self, target: &mut [i64], edge: Range<usize>, line: &[i8], padding: i8) {
        if let Some(words) = target.get_mut(edge.clone()) {
            words.fill(pack([i64::from(padding); 3]));
        }
        for (field, (start, inside)) in self.starts.iter().zip(&self.inside).enumerate() {
            let part = edge.start.max(inside.start)..edge.end.min(inside.end);
            let Some(words) = target.get_mut(part.clone()) else { continue };
            for (word, value) in words.iter_mut().zip(values(line, *start, part.start)) {
                *word = word.wrapping_add((i64::from(*value) - i64::from(padding)) << (FIELD * field as u32));
            }
        }
    }
}

/// The values of a line from the one of word `index` on.
#[inline]
fn values(line: &[i8], start: isize, index: usize) -> &[i8] {
    line.get(start.wrapping_add_unsigned(index) as usize..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_sums_are_the_plain_ones(terms in prop::collection::vec(any::<([i8; 3], i8)>(), 0..=MOST_TERMS)) {
            let mut word = START;
            let mut plain = [OFFSET; 3];
            for (values, weight) in terms {
                word = word.wrapping_add(pack(values.map(i64::from)).wrapping_mul(i64::from(weight)));
                plain = core::array::from_fn(|i| plain[i] + i32::from(values[i]) * i32::from(weight));
            }
            prop_assert_eq!(sums(word), plain);
        }

        #[test]
        fn lines_are_padded(
            values in prop::collection::vec(any::<i8>(), 0..20),
            starts in [-25isize..25, -25isize..25, -25isize..25],
            length in 0usize..20,
            padding: i8,
        ) {
            let mut target = vec![-1; length];
            Cut::new(length, values.len(), starts).pack(&mut target, Some(&values), padding);
            for (i, word) in target.iter().enumerate() {
                let value = |start: isize| {
                    usize::try_from(start + i as isize).ok().and_then(|at| values.get(at)).copied().unwrap_or(padding)
                };
                prop_assert_eq!(*word, pack(starts.map(value).map(i64::from)));
            }
        }
    }

    #[test]
    fn the_extremes_fit() {
        for (value, weight) in [(-128i64, -128i64), (-128, 127), (127, 127), (127, -128)] {
            for values in [[value; 3], [value, -128, value], [127, value, 127]] {
                let word = (0..MOST_TERMS).fold(START, |word, _| word.wrapping_add(pack(values).wrapping_mul(weight)));
                let expected = values.map(|value| OFFSET + (MOST_TERMS as i64 * value * weight) as i32);
                assert_eq!(sums(word), expected);
            }
        }
    }
}
