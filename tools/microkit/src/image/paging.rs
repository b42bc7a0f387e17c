//! Sv39 page tables.
//!
//! An [`AddressSpace`] is a tree whose leaves name blocks of memory that need not have an address yet; once everything
//! is placed, [`AddressSpace::render`] makes the pages that the processor reads. [`walk`] goes the other way: from
//! pages to mappings, for the tests and the auditor.
//!
//! Source: The RISC-V Instruction Set Manual, volume II, "Sv39: Page-Based 39-bit Virtual-Memory System".

use super::memory::{BlockId, PAGE};
use std::collections::BTreeMap;

/// Bytes of a page that a level-1 entry maps.
pub const LARGE: u64 = 0x20_0000;
/// Entries of a table.
pub const ENTRIES: usize = 512;

const LEVELS: usize = 3;
const VALID: u64 = 1 << 0;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 5;
const ACCESSED: u64 = 1 << 6;
const DIRTY: u64 = 1 << 7;
const PPN_SHIFT: u32 = 10;
const PPN_MASK: u64 = (1 << 44) - 1;
/// `satp`: Sv39.
const SATP_SV39: u64 = 8 << 60;
const SATP_ASID_SHIFT: u32 = 44;

/// What a mapping allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Loads.
    pub read: bool,
    /// Stores; the hardware has no mapping that allows them without loads, so neither has this one.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
    /// By user mode; otherwise by the kernel alone.
    pub user: bool,
}

impl Access {
    /// Loads, stores, or both, by the kernel.
    pub fn kernel(read: bool, write: bool, execute: bool) -> Access {
        Access { read, write, execute, user: false }
    }

    /// The same by user mode.
    pub fn user(read: bool, write: bool, execute: bool) -> Access {
        Access { read, write, execute, user: true }
    }

    /// Accessed and dirty are set in advance: nobody evicts pages, and a processor may fault where they are clear.
    fn bits(self) -> u64 {
        let bit = |on: bool, mask: u64| if on { mask } else { 0 };
        VALID
            | ACCESSED
            | bit(self.read || self.write, READ)
            | bit(self.write, WRITE | DIRTY)
            | bit(self.execute, EXECUTE)
            | bit(self.user, USER)
            | bit(!self.user, GLOBAL)
    }

    fn of_bits(entry: u64) -> Access {
        let on = |mask: u64| entry & mask != 0;
        Access { read: on(READ), write: on(WRITE), execute: on(EXECUTE), user: on(USER) }
    }
}

/// Physical memory that a leaf points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A block, and an offset in it.
    Block(BlockId, u64),
    /// A physical address that is known from the start.
    Fixed(u64),
}

/// The virtual address is mapped already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// Where.
    pub vaddr: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    /// Another table of this address space.
    Table(usize),
    /// A table of another address space.
    Foreign(BlockId),
    Leaf(Target, Access),
}

/// Page tables under construction. Table 0 is the root.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    tables: Vec<Table>,
}

#[derive(Clone, Debug)]
struct Table {
    level: usize,
    entries: BTreeMap<usize, Entry>,
}

impl Default for AddressSpace {
    fn default() -> AddressSpace {
        AddressSpace { tables: vec![Table { level: LEVELS - 1, entries: BTreeMap::new() }] }
    }
}

/// Index into the table of a level; level 2 is the root.
fn index(vaddr: u64, level: usize) -> usize {
    (vaddr >> (12 + 9 * level)) as usize % ENTRIES
}

impl AddressSpace {
    /// Maps one page of `PAGE` or `LARGE` bytes; `vaddr` and the target are multiples of that. A page that allows
    /// nothing is left out.
    pub fn map(
        &mut self,
        vaddr: u64,
        page_bytes: u64,
        target: Target,
        access: Access,
    ) -> std::result::Result<(), Occupied> {
        debug_assert!(page_bytes == PAGE || page_bytes == LARGE);
        debug_assert!(vaddr.is_multiple_of(page_bytes));
        if !(access.read || access.write || access.execute) {
            return Ok(());
        }
        let leaf_level = usize::from(page_bytes == LARGE);
        let mut table = 0;
        for level in (leaf_level + 1..LEVELS).rev() {
            let next = self.tables.len();
            match self.tables[table].entries.entry(index(vaddr, level)).or_insert(Entry::Table(next)) {
                Entry::Table(child) => table = *child,
                Entry::Foreign(_) | Entry::Leaf(..) => return Err(Occupied { vaddr }),
            }
            if table == next {
                self.tables.push(Table { level: level - 1, entries: BTreeMap::new() });
            }
        }
        match self.tables[table].entries.insert(index(vaddr, leaf_level), Entry::Leaf(target, access)) {
            None => Ok(()),
            Some(_) => Err(Occupied { vaddr }),
        }
    }

    /// Lets a root entry point to a level-1 table of another address space.
    pub fn link(&mut self, root_index: usize, table: BlockId) -> std::result::Result<(), Occupied> {
        match self.tables[0].entries.insert(root_index, Entry::Foreign(table)) {
            None => Ok(()),
            Some(_) => Err(Occupied { vaddr: (root_index as u64) << 30 }),
        }
    }

    /// How many tables there are, root included.
    pub fn table_count(&self) -> usize {
        self.tables.len()
    }

    /// The levels of all tables, by their numbers; 2 is the root's.
    pub fn levels(&self) -> impl Iterator<Item = usize> + '_ {
        self.tables.iter().map(|table| table.level)
    }

    /// The table that a root entry points to.
    pub fn level1_table(&self, root_index: usize) -> Option<usize> {
        match self.tables[0].entries.get(&root_index) {
            Some(Entry::Table(table)) => Some(*table),
            _ => None,
        }
    }

    /// The contents of table number `table`, where `own` are the addresses of all tables of this space.
    pub fn render(&self, table: usize, own: &[u64], block: impl Fn(BlockId) -> u64) -> Vec<u8> {
        let mut page = vec![0; PAGE as usize];
        for (index, entry) in &self.tables[table].entries {
            let (paddr, bits) = match entry {
                Entry::Table(child) => (own[*child], VALID),
                Entry::Foreign(id) => (block(*id), VALID),
                Entry::Leaf(Target::Block(id, offset), access) => (block(*id) + offset, access.bits()),
                Entry::Leaf(Target::Fixed(paddr), access) => (*paddr, access.bits()),
            };
            let word = (paddr >> 12) << PPN_SHIFT | bits;
            page[index * 8..index * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        page
    }
}

/// Value of the `satp` register for a root table.
pub fn satp(root_paddr: u64, asid: u16) -> u64 {
    SATP_SV39 | u64::from(asid) << SATP_ASID_SHIFT | root_paddr >> 12
}

/// The root table that a value of the `satp` register points to; `None` if it does not select Sv39.
pub fn root_of_satp(satp: u64) -> Option<u64> {
    (satp >> 60 == 8).then_some((satp & PPN_MASK) << 12)
}

/// A page as found in page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Virtual address, sign-extended.
    pub vaddr: u64,
    /// Physical address.
    pub paddr: u64,
    /// Length of the page.
    pub bytes: u64,
    /// What it allows.
    pub access: Access,
}

/// Why page tables cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// A table lies where the image has nothing.
    Missing {
        /// Physical address of the table.
        table: u64,
    },
    /// An entry that the manual reserves, or that faults on first use.
    Malformed {
        /// Physical address of the table.
        table: u64,
        /// Index of the entry.
        index: usize,
        /// The entry.
        entry: u64,
    },
}

/// Lists all pages that the tables below `root` map, in the order of their virtual addresses. `read` gives the content of
/// a page of physical memory.
pub fn walk(
    root: u64,
    read: &dyn Fn(u64) -> Option<Vec<u8>>,
) -> std::result::Result<(Vec<Mapping>, Vec<u64>), WalkError> {
    let mut found = (Vec::new(), Vec::new());
    walk_table(root, LEVELS - 1, 0, read, &mut found)?;
    Ok(found)
}

fn walk_table(
    table: u64,
    level: usize,
    base: u64,
    read: &dyn Fn(u64) -> Option<Vec<u8>>,
    found: &mut (Vec<Mapping>, Vec<u64>),
) -> std::result::Result<(), WalkError> {
    let page = read(table).ok_or(WalkError::Missing { table })?;
    found.1.push(table);
    for (index, word) in page.as_chunks::<8>().0.iter().enumerate() {
        let entry = u64::from_le_bytes(*word);
        if entry & VALID == 0 {
            continue;
        }
        let malformed = WalkError::Malformed { table, index, entry };
        let paddr = (entry >> PPN_SHIFT & PPN_MASK) << 12;
        let bytes = PAGE << (9 * level);
        let mut vaddr = base + bytes * index as u64;
        if level == LEVELS - 1 && index >= ENTRIES / 2 {
            vaddr |= u64::MAX << 39;
        }
        if entry & (READ | WRITE | EXECUTE) == 0 {
            if level == 0 || entry & (USER | GLOBAL | ACCESSED | DIRTY | 0x300) != 0 || entry >> 54 != 0 {
                return Err(malformed);
            }
            walk_table(paddr, level - 1, vaddr, read, found)?;
            continue;
        }
        let access = Access::of_bits(entry);
        // Global means the kernel's, which is the same everywhere: user mode's pages must not outlive a switch.
        let usable = access.bits() == entry & 0xff;
        if !usable || entry >> 54 != 0 || entry & 0x300 != 0 || !paddr.is_multiple_of(bytes) {
            return Err(malformed);
        }
        found.0.push(Mapping { vaddr, paddr, bytes, access });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Renders the tables from `first_table` on and reads them back.
    fn round_trip(space: &AddressSpace, first_table: u64) -> Vec<Mapping> {
        let own: Vec<u64> = (0..space.table_count() as u64).map(|i| first_table + i * PAGE).collect();
        let pages: HashMap<u64, Vec<u8>> =
            (0..own.len()).map(|i| (own[i], space.render(i, &own, |_| unreachable!()))).collect();
        let (mappings, tables) = walk(own[0], &|paddr| pages.get(&paddr).cloned()).unwrap();
        assert_eq!(tables.len(), own.len());
        mappings
    }

    proptest! {
        #[test]
        fn exactly_what_was_mapped_is_mapped(
            wishes in proptest::collection::btree_map(
                prop_oneof![0u64..2000, 0x3ff_f000u64..0x400_0000],
                (0u64..1 << 40, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut space = AddressSpace::default();
            let mut expected = Vec::new();
            for (page, (frame, large, write, execute, user)) in wishes {
                let bytes = if large { LARGE } else { PAGE };
                let vaddr = page * PAGE / bytes * bytes;
                let paddr = frame * PAGE / bytes * bytes;
                let access = Access { read: true, write, execute, user };
                if space.map(vaddr, bytes, Target::Fixed(paddr), access).is_ok() {
                    expected.push(Mapping { vaddr, paddr, bytes, access });
                } else {
                    // Large pages and what is refused because of them: only true overlaps are refused.
                    let overlaps = |m: &Mapping| m.vaddr < vaddr + bytes && vaddr < m.vaddr + m.bytes;
                    prop_assert!(expected.iter().any(overlaps));
                    return Ok(());
                }
            }
            expected.sort_by_key(|m| m.vaddr);
            let mut found = round_trip(&space, 0x8030_0000);
            found.sort_by_key(|m| m.vaddr);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_minimal_protection_domain_needs_five_tables() {
        let mut space = AddressSpace::default();
        for vaddr in [0x20_0000, 0x20_1000, 0x3f_ffff_b000, 0x3f_ffff_c000, 0x3f_ffff_e000] {
            space.map(vaddr, PAGE, Target::Fixed(0x8030_0000), Access::user(true, false, false)).unwrap();
        }
        assert_eq!(space.table_count(), 5);
    }

    #[test]
    fn kernel_addresses_are_sign_extended() {
        let mut space = AddressSpace::default();
        let access = Access::kernel(true, false, true);
        space.map(0xffff_ffff_8020_0000, PAGE, Target::Fixed(0x8020_0000), access).unwrap();
        assert_eq!(space.level1_table(510), Some(1));
        let expected = Mapping { vaddr: 0xffff_ffff_8020_0000, paddr: 0x8020_0000, bytes: PAGE, access };
        assert_eq!(round_trip(&space, 0x8040_0000), [expected]);
    }

    #[test]
    fn the_walker_refuses_what_would_fault() {
        let table = |entry: u64| {
            let mut page = vec![0u8; PAGE as usize];
            page[..8].copy_from_slice(&entry.to_le_bytes());
            page
        };
        // Writable but not readable; a leaf without the accessed bit; a misaligned 1 GiB page; a pointer to nothing.
        for entry in [0x80 << 20 | 0xc5, 0x03, 1 << 10 | 0x43, 0x123 << 10 | 1] {
            assert!(walk(0, &|paddr| (paddr == 0).then(|| table(entry))).is_err(), "{entry:#x}");
        }
    }
}
