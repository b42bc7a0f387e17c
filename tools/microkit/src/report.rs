//! The report on a composed system, readable and complete enough to check by hand.

use std::ops::Range;

/// What only the back end knows of the finished image. All lengths in bytes, all addresses physical.
#[derive(Clone, Debug, Default)]
pub struct ImageFacts {
    /// Length of the image file.
    pub image_bytes: u64,
    /// Where the kernel with its data lies.
    pub kernel: Range<u64>,
    /// Where the boot blob lies.
    pub boot_blob: Range<u64>,
    /// What the kernel keeps for each PD outside the boot blob.
    pub kernel_bytes_per_pd: u64,
    /// What the kernel's own page tables take.
    pub kernel_page_table_bytes: u64,
    /// Where each memory region lies, by index of the region. Regions that are not placed have an empty range.
    pub regions: Vec<Range<u64>>,
    /// One per PD, by its index.
    pub pds: Vec<PdFacts>,
    /// Managed RAM that nothing uses.
    pub free_ram_bytes: u64,
}

/// What the back end knows of one PD.
#[derive(Clone, Debug, Default)]
pub struct PdFacts {
    /// Page tables, with the level (2: root) and the physical address of each.
    pub page_tables: Vec<(u8, u64)>,
    /// Frames of the ELF: virtual address, physical address, length; one entry per run of pages.
    pub elf_frames: Vec<(u64, u64, u64)>,
    /// Physical address of the stack's lowest page.
    pub stack: Range<u64>,
    /// Physical address of the IPC buffer's page.
    pub ipc_buffer: u64,
}
