//! Arena planning: which bytes each tensor has, so that tensors that are never needed together share them.
//!
//! Greedy by size, largest first, each at the lowest place where it collides with nothing already placed whose life
//! overlaps its own: that is what the reference does. Where this misses the lower bound (the most that is live at once),
//! a second way is tried within that bound: tensors whose life ends at an odd operator go as high as they can, so that
//! the links of a chain alternate between both ends. The work is bounded by the square of the number of tensors.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Alignment of everything in the arena, and of the arena itself.
pub const ARENA_ALIGN: usize = 16;

/// Something that needs memory between two operators, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub bytes: u32,
    pub first: u16,
    pub last: u16,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Things to place, by number.
pub(crate) trait Blocks {
    /// How many there are.
    fn count(&self) -> usize;
    /// Number `index`, unless it needs no memory.
    fn block(&self, index: usize) -> Option<Block>;
    /// Where it was placed, and the block placed next above it (or at the same byte).
    fn slot(&mut self, index: usize) -> &mut Slot;
}

/// The planner's note on a block: where it lies, in a list of all placed blocks in the order of their places.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Slot {
    /// First byte, once placed.
    pub at: u32,
    /// 1 + number of the next block in the list; 0 ends it.
    next: u16,
    placed: u16,
}

/// Rounds up to [`ARENA_ALIGN`].
fn align(bytes: u32) -> u64 {
    u64::from(bytes).next_multiple_of(ARENA_ALIGN as u64)
}

/// Places everything and returns the bytes that the arena needs, or `None` if they do not fit in 32 bits.
pub(crate) fn plan(blocks: &mut impl Blocks) -> Option<u32> {
    let needed = place_all(blocks, None)?;
    let bound = most_live(blocks);
    if needed > bound && place_all(blocks, Some(bound)).is_none() {
        // The second way does not fit the bound: the first one again.
        return u32::try_from(place_all(blocks, None)?).ok();
    }
    u32::try_from(needed.min(bound)).ok()
}

/// The most bytes that are live at once: at the start of some block, for only there they grow.
fn most_live(blocks: &impl Blocks) -> u64 {
    let all = || (0..blocks.count()).filter_map(|index| blocks.block(index));
    let live = |at: Block| all().filter(move |block| block.first <= at.first && at.first <= block.last);
    all().map(|at| live(at).map(|block| align(block.bytes)).sum()).max().unwrap_or(0)
}

/// Places everything: at the lowest gaps, or within `bound` from both ends. Returns the bytes used, or `None` if they
/// exceed the bound or 32 bits.
fn place_all(blocks: &mut impl Blocks, bound: Option<u64>) -> Option<u64> {
    for index in 0..blocks.count() {
        *blocks.slot(index) = Slot::default();
    }
    let mut needed = 0;
    let mut list = 0;
    while let Some((index, block)) = largest_unplaced(blocks) {
        let at = match bound {
            Some(bound) if block.last % 2 == 1 => highest_gap(blocks, list, &block, bound)?,
            _ => lowest_gap(blocks, list, &block),
        };
        let end = at + align(block.bytes);
        if end > bound.unwrap_or(u64::from(u32::MAX)) {
            return None;
        }
        needed = needed.max(end);
        insert(blocks, &mut list, index, at as u32);
    }
    Some(needed)
}

fn largest_unplaced(blocks: &mut impl Blocks) -> Option<(usize, Block)> {
    let mut best: Option<(usize, Block)> = None;
    for index in 0..blocks.count() {
        if blocks.slot(index).placed != 0 {
            continue;
        }
        match blocks.block(index) {
            Some(block) if best.is_none_or(|(_, largest)| block.bytes > largest.bytes) => best = Some((index, block)),
            _ => {}
        }
    }
    best
}

/// The lowest place for `block` between those already placed that it must not meet.
fn lowest_gap(blocks: &mut impl Blocks, mut list: u16, block: &Block) -> u64 {
    let mut at = 0;
    while list != 0 {
        let index = usize::from(list) - 1;
        let slot = *blocks.slot(index);
        if let Some(other) = blocks.block(index).filter(|other| other.meets(block)) {
            if u64::from(slot.at) >= at + align(block.bytes) {
                break;
            }
            at = at.max(u64::from(slot.at) + align(other.bytes));
        }
        list = slot.next;
    }
    at
}

/// The highest place below `bound`, likewise.
fn highest_gap(blocks: &mut impl Blocks, mut list: u16, block: &Block, bound: u64) -> Option<u64> {
    let bytes = align(block.bytes);
    let mut best = None;
    let mut from = 0;
    while list != 0 {
        let index = usize::from(list) - 1;
        let slot = *blocks.slot(index);
        if let Some(other) = blocks.block(index).filter(|other| other.meets(block)) {
            let start = u64::from(slot.at).min(bound);
            if start >= from + bytes {
                best = Some(start - bytes);
            }
            from = from.max(u64::from(slot.at) + align(other.bytes));
        }
        list = slot.next;
    }
    if bound >= from + bytes { Some(bound - bytes) } else { best }
}

fn insert(blocks: &mut impl Blocks, list: &mut u16, index: usize, at: u32) {
    let mut before = None;
    let mut next = *list;
    while next != 0 {
        let slot = *blocks.slot(usize::from(next) - 1);
        if slot.at >= at {
            break;
        }
        before = Some(usize::from(next) - 1);
        next = slot.next;
    }
    *blocks.slot(index) = Slot { at, next, placed: 1 };
    let link = index as u16 + 1;
    match before {
        Some(before) => blocks.slot(before).next = link,
        None => *list = link,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Table(Vec<(Block, Slot)>);

    impl Blocks for Table {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn block(&self, index: usize) -> Option<Block> {
            Some(self.0[index].0)
        }
        fn slot(&mut self, index: usize) -> &mut Slot {
            &mut self.0[index].1
        }
    }

    fn peak(blocks: &[(Block, Slot)]) -> u64 {
        let live = |op| blocks.iter().filter(move |(b, _)| b.first <= op && op <= b.last);
        (0..=40).map(|op| live(op).map(|(block, _)| align(block.bytes)).sum()).max().unwrap_or(0)
    }

    #[test]
    fn a_chain_needs_the_two_largest_neighbours() {
        let sizes = [640, 128, 128, 8, 128, 640];
        let blocks = sizes.iter().enumerate();
        let blocks =
            blocks.map(|(i, bytes)| (Block { bytes: *bytes, first: i as u16, last: i as u16 + 1 }, Slot::default()));
        assert_eq!(plan(&mut Table(blocks.collect())), Some(768));
    }

    #[test]
    fn alternating_ends_save_what_greedy_wastes() {
        // The start of a MobileNet: image, two equal layers, one twice as large.
        let sizes = [27_648, 18_432, 18_432, 36_864, 9_216];
        let blocks = sizes.iter().enumerate().map(|(i, bytes)| {
            (Block { bytes: *bytes, first: (i as u16).saturating_sub(1), last: i as u16 }, Slot::default())
        });
        let mut table = Table(blocks.collect());
        assert_eq!(place_all(&mut table, None), Some(64_512));
        assert_eq!(plan(&mut table), Some(55_296));
    }

    proptest! {
        #[test]
        fn nothing_overlaps(blocks in prop::collection::vec((1u32..5000, 0u16..40, 0u16..10), 0..30)) {
            let blocks = blocks.iter().map(|(bytes, first, life)| {
                (Block { bytes: *bytes, first: *first, last: (first + life).min(40) }, Slot::default())
            });
            let mut table = Table(blocks.collect());
            let needed = plan(&mut table).unwrap();
            prop_assert!(u64::from(needed) >= peak(&table.0));
            for (i, (a, at_a)) in table.0.iter().enumerate() {
                let at_a = at_a.at;
                prop_assert!(at_a + a.bytes <= needed);
                prop_assert_eq!(at_a as usize % ARENA_ALIGN, 0);
                for (b, at_b) in &table.0[..i] {
                    let at_b = at_b.at;
                    prop_assert!(!a.meets(b) || at_a + a.bytes <= at_b || at_b + b.bytes <= at_a);
                }
            }
        }
    }
}
