//! Physical memory at compose time: what must lie somewhere, and where it comes to lie.
//!
//! Everything in the image is a [`Block`]. Blocks are added first, without addresses, and placed all at once, because
//! only then is it known which of them the image stores and which merely have to be zero: stored blocks come first, so that the
//! stored part of the memory is short and what must be cleared is one piece.

use crate::error::{Error, Result};
use crate::model::Location;
use std::ops::Range;

/// Bytes of a page, and the granularity of everything placed.
pub const PAGE: u64 = 0x1000;

/// Names a block of a [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(usize);

/// A piece of physical memory that the composer fills.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it is, for messages.
    pub name: String,
    /// Length in bytes, a multiple of [`PAGE`], never 0.
    pub bytes: u64,
    /// Alignment in bytes, a power of two and at least [`PAGE`].
    pub align: u64,
    /// Where it must lie, if not anywhere.
    pub fixed: Option<u64>,
    /// How many of its first bytes the image stores; the rest is zero.
    pub stored_bytes: u64,
    /// The element of the description that asks for it, for messages.
    pub location: Option<Location>,
}

impl Block {
    /// An error that this block is to blame for.
    fn error(&self, message: String) -> Error {
        match self.location {
            Some(location) => Error::at(location, message),
            None => Error::new(message),
        }
    }
}

/// The blocks of a system and the RAM that they may use.
#[derive(Clone, Debug)]
pub struct Memory {
    ram: Range<u64>,
    taken: Vec<(String, Range<u64>)>,
    blocks: Vec<Block>,
}

/// The blocks with their addresses.
#[derive(Clone, Debug)]
pub struct Placed {
    blocks: Vec<Block>,
    starts: Vec<u64>,
    ram: Range<u64>,
}

/// Rounds up to whole pages; `None` when the result does not fit 64 bits.
pub fn page_up(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(PAGE)
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

impl Memory {
    /// Memory that hands out `ram` without the ranges in `taken`, each with the name of what lies there. Taken ranges
    /// outside the RAM are closed to fixed blocks as well.
    pub fn new(ram: Range<u64>, taken: Vec<(String, Range<u64>)>) -> Memory {
        Memory { ram, taken, blocks: Vec::new() }
    }

    /// Adds a block.
    pub fn add(&mut self, block: Block) -> BlockId {
        debug_assert!(block.bytes > 0 && block.bytes.is_multiple_of(PAGE) && block.stored_bytes <= block.bytes);
        self.blocks.push(block);
        BlockId(self.blocks.len() - 1)
    }

    /// Adds a page that lies anywhere.
    pub fn add_page(&mut self, name: impl Into<String>, stored: bool) -> BlockId {
        self.add(Block {
            name: name.into(),
            bytes: PAGE,
            align: PAGE,
            fixed: None,
            stored_bytes: if stored { PAGE } else { 0 },
            location: None,
        })
    }

    /// Whether a range with a fixed address is RAM (`true`) or device memory (`false`).
    ///
    /// # Errors
    /// The range is partly RAM, or belongs to something else.
    pub fn classify(&self, name: &str, range: &Range<u64>) -> Result<bool> {
        if let Some((owner, other)) = self.taken.iter().find(|(_, other)| overlap(range, other)) {
            return Err(Error::new(format!(
                "{name} at {:#x}..{:#x} overlaps {owner} at {:#x}..{:#x}; choose a physical address outside of it",
                range.start, range.end, other.start, other.end
            )));
        }
        let inside = self.ram.start <= range.start && range.end <= self.ram.end;
        if !inside && overlap(range, &self.ram) {
            return Err(Error::new(format!(
                "{name} at {:#x}..{:#x} lies partly in and partly outside of the RAM at {:#x}..{:#x}; choose an address \
                 that is wholly in one of them",
                range.start, range.end, self.ram.start, self.ram.end
            )));
        }
        Ok(inside)
    }

    /// Gives every block an address.
    ///
    /// # Errors
    /// A fixed block overlaps another one or something taken, or the RAM is too small.
    pub fn place(&self) -> Result<Placed> {
        let mut starts = vec![0; self.blocks.len()];
        let mut fixed = self.taken.clone();
        for (block, start) in self.blocks.iter().zip(&mut starts) {
            let Some(paddr) = block.fixed else { continue };
            let end = paddr.checked_add(block.bytes).ok_or_else(|| {
                block.error(format!("{} at {paddr:#x} ends beyond the last physical address", block.name))
            })?;
            if let Some((owner, other)) = fixed.iter().find(|(_, other)| overlap(&(paddr..end), other)) {
                return Err(block.error(format!(
                    "{} at {paddr:#x}..{end:#x} overlaps {owner} at {:#x}..{:#x}; choose another physical address",
                    block.name, other.start, other.end
                )));
            }
            fixed.push((block.name.clone(), paddr..end));
            *start = paddr;
        }
        let mut free = Free::new(self.ram.clone(), fixed.into_iter().map(|(_, range)| range).collect());
        let mut order: Vec<usize> = (0..self.blocks.len()).filter(|&i| self.blocks[i].fixed.is_none()).collect();
        // Wholly stored blocks first, then those with a tail of zeros, then zeros only; the sort is stable, so
        // what was added together lies together.
        order.sort_by_key(|&i| {
            let block = &self.blocks[i];
            let class = match block.stored_bytes {
                0 => 2,
                stored if stored == block.bytes => 0,
                _ => 1,
            };
            (class, block.align)
        });
        for index in order {
            let block = &self.blocks[index];
            starts[index] = free.take(block.bytes, block.align).ok_or_else(|| self.out_of_memory(block, &free))?;
        }
        Ok(Placed { blocks: self.blocks.clone(), starts, ram: self.ram.clone() })
    }

    fn out_of_memory(&self, block: &Block, free: &Free) -> Error {
        block.error(format!(
            "no room for {}: it needs {:#x} bytes aligned to {:#x}, and of the RAM at {:#x}..{:#x} the longest free piece \
             has {:#x} bytes; make memory regions smaller, or spread fixed ones less",
            block.name,
            block.bytes,
            block.align,
            self.ram.start,
            self.ram.end,
            free.longest()
        ))
    }
}

impl Placed {
    /// All blocks.
    pub fn ids(&self) -> impl Iterator<Item = BlockId> + use<> {
        (0..self.blocks.len()).map(BlockId)
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0]
    }

    /// Physical address of a block.
    pub fn start(&self, id: BlockId) -> u64 {
        self.starts[id.0]
    }

    /// All blocks in the order of their addresses.
    pub fn sorted(&self) -> Vec<BlockId> {
        let mut ids: Vec<BlockId> = self.ids().collect();
        ids.sort_by_key(|id| self.start(*id));
        ids
    }

    /// The RAM.
    pub fn ram(&self) -> &Range<u64> {
        &self.ram
    }

    /// How much of the RAM is in use, in bytes.
    pub fn used_ram_bytes(&self) -> u64 {
        self.ids().filter(|id| self.ram.contains(&self.start(*id))).map(|id| self.block(id).bytes).sum()
    }
}

/// Free pieces of the RAM, sorted by address.
struct Free {
    pieces: Vec<Range<u64>>,
}

impl Free {
    fn new(ram: Range<u64>, mut used: Vec<Range<u64>>) -> Free {
        used.sort_by_key(|range| range.start);
        let mut pieces = Vec::new();
        let mut next = ram.start;
        for range in used {
            if range.start > next {
                pieces.push(next..range.start.min(ram.end));
            }
            next = next.max(range.end.next_multiple_of(PAGE));
        }
        pieces.push(next..ram.end);
        pieces.retain(|piece| piece.start < piece.end);
        Free { pieces }
    }

    /// Takes the lowest piece that is long enough.
    fn take(&mut self, bytes: u64, align: u64) -> Option<u64> {
        for index in 0..self.pieces.len() {
            let piece = self.pieces[index].clone();
            let Some(start) = piece.start.checked_next_multiple_of(align) else { continue };
            let Some(end) = start.checked_add(bytes).filter(|end| *end <= piece.end) else { continue };
            let rest = [piece.start..start, end..piece.end];
            self.pieces.splice(index..=index, rest.into_iter().filter(|r| r.start < r.end));
            return Some(start);
        }
        None
    }

    fn longest(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.end - piece.start).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RAM: Range<u64> = 0x8000_0000..0x8100_0000;

    fn block(pages: u64, large: bool, stored: u64, fixed: Option<u64>) -> Block {
        let align = if large { 0x20_0000 } else { PAGE };
        let bytes = pages * if large { 0x20_0000 } else { PAGE };
        Block { name: format!("block {pages}"), bytes, align, fixed, stored_bytes: stored.min(bytes), location: None }
    }

    proptest! {
        #[test]
        fn placed_blocks_are_aligned_disjoint_and_in_ram(
            wishes in proptest::collection::vec((1u64..8, any::<bool>(), 0u64..0x5000), 1..40),
            fixed in proptest::option::of(0u64..200),
        ) {
            let mut memory = Memory::new(RAM, vec![("firmware".into(), RAM.start..RAM.start + 0x20_0000)]);
            if let Some(page) = fixed {
                memory.add(block(3, false, 0, Some(RAM.start + 0x20_0000 + page * PAGE)));
            }
            for (pages, large, stored) in wishes {
                memory.add(block(pages.min(if large { 1 } else { 8 }), large, stored, None));
            }
            let Ok(placed) = memory.place() else { return Ok(()) };
            let mut end = RAM.start + 0x20_0000;
            for id in placed.sorted() {
                let (start, block) = (placed.start(id), placed.block(id));
                prop_assert!(start >= end && start.is_multiple_of(block.align));
                end = start + block.bytes;
            }
            prop_assert!(end <= RAM.end);
        }
    }

    #[test]
    fn refusals_name_both_sides() {
        let mut memory = Memory::new(RAM, vec![("the firmware".into(), RAM.start..RAM.start + 0x20_0000)]);
        memory.add(block(1, false, 0, Some(RAM.start + 0x1f_f000)));
        let message = memory.place().unwrap_err().to_string();
        assert!(message.contains("block 1") && message.contains("the firmware"), "{message}");

        let mut memory = Memory::new(RAM, vec![]);
        memory.add(block(0x1001, false, 0, None));
        let message = memory.place().unwrap_err().to_string();
        assert!(message.contains("no room for block 4097") && message.contains("0x1000000 bytes"), "{message}");
        assert!(memory.classify("r", &(RAM.end - PAGE..RAM.end + PAGE)).is_err());
        assert!(memory.classify("r", &(RAM.end - PAGE..RAM.end)).unwrap());
        assert!(!memory.classify("r", &(RAM.end..RAM.end + PAGE)).unwrap());
    }
}
