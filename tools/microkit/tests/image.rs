//! The back end as a whole: systems are composed, and what the files put into memory is compared with what was asked for.

mod support;

use kernel_layout::{BootInfo, Cap, IPC_WINDOW, KERNEL_VA_OFFSET, MAGIC, PdInfo, STACK_TOP};
use microkit::audit::loader::Machine;
use microkit::elf::Elf;
use microkit::image::format::ALL;
use microkit::image::kernel::Kernel;
use microkit::image::paging::{Access, Mapping, root_of_satp, walk};
use microkit::image::{ImageType, place};
use microkit::model::System;
use object::LittleEndian;
use object::read::elf::{ElfFile64, ProgramHeader};
use proptest::prelude::*;
use support::*;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

const LARGE: u64 = 0x20_0000;

fn table<T: FromBytes + IntoBytes + Immutable + KnownLayout + Clone + FromZeros>(
    machine: &Machine,
    offset: u32,
    count: u32,
) -> Vec<T> {
    <[T]>::ref_from_bytes_with_elems(
        &machine.blob[offset as usize..][..count as usize * size_of::<T>()],
        count as usize,
    )
    .unwrap()
    .to_vec()
}

fn boot_info(machine: &Machine) -> BootInfo {
    BootInfo::read_from_prefix(&machine.blob).unwrap().0
}

fn pds(machine: &Machine) -> Vec<PdInfo> {
    let span = boot_info(machine).pds;
    table(machine, span.offset, span.count)
}

fn mappings(machine: &Machine, satp: u64) -> Vec<Mapping> {
    walk(root_of_satp(satp).unwrap(), &|paddr| machine.memory.read(paddr, 4096)).unwrap().0
}

/// The page of 4 KiB that a virtual address is mapped to, and with what rights.
fn translate(mappings: &[Mapping], vaddr: u64) -> Option<(u64, Access)> {
    let found = mappings.iter().find(|m| m.vaddr <= vaddr && vaddr - m.vaddr < m.bytes)?;
    Some((found.paddr + (vaddr - found.vaddr), found.access))
}

/// A system with a bit of everything that has to do with memory.
fn rich() -> (System, Vec<Elf>) {
    let mut system = System::default();
    let mut regions = vec![
        region("plain", 0x3000, 0x1000),
        region("large", 2 * LARGE, LARGE),
        region("filled", 0x2000, 0x1000),
        region("device", 0x1000, 0x1000),
        region("fixed", 0x2000, 0x1000),
        region("fixed filled", 0x2000, 0x1000),
        region("window", 2 * LARGE, LARGE),
        region("low", 0x1000, 0x1000),
        region("none", 0, 0x1000),
    ];
    regions[2].prefill = Some((0..0x1357u32).map(|i| i as u8 | 1).collect());
    regions[3].paddr = Some(0x1000_0000);
    regions[4].paddr = Some(0x8021_0000);
    regions[5].paddr = Some(0x8021_2000);
    regions[5].prefill = Some(vec![0x5a; 0x1801]);
    regions[6].paddr = Some(0x1_0000_0000);
    regions[6].prefill = Some(vec![0xa5; LARGE as usize + 3]);
    regions[7].paddr = Some(0x4000_0000);
    regions[7].prefill = Some(vec![0x11; 5]);
    system.regions = regions;
    for name in ["one", "two", "three"] {
        let mut pd = pd(name);
        pd.maps = (0..8).map(|r| map(r, 0x1000_0000 * (r as u64 + 1), "r")).collect();
        pd.maps[0] = map(0, 0x3000, "rw");
        pd.maps[1] = map(1, 0x9000_0000, "rwx");
        pd.maps.push(map(2, 0xa000_0000, "x"));
        pd.maps.push(map(2, 0xa100_0000, ""));
        system.pds.push(pd);
    }
    (system, vec![program(); 3])
}

#[test]
fn every_page_is_where_the_description_has_it_and_nothing_else_is_mapped() {
    let (system, programs) = rich();
    for kind in ALL {
        let mut elfs = programs.clone();
        let (file, facts) = compose(&system, &mut elfs, kind).unwrap();
        let machine = Machine::load(&file, KERNEL_PADDR).unwrap();
        for ((pd, elf), info) in system.pds.iter().zip(&elfs).zip(pds(&machine)) {
            let found = mappings(&machine, info.satp);
            let mut user_bytes: u64 = found.iter().filter(|m| m.access.user).map(|m| m.bytes).sum();
            for map in &pd.maps {
                let region = &system.regions[map.region];
                let start = facts.regions[map.region].start;
                for offset in (0..region.bytes).step_by(0x1000) {
                    let access = Access::user(map.read, map.write, map.execute);
                    let expected = (access != Access::user(false, false, false)).then_some((start + offset, access));
                    assert_eq!(translate(&found, map.vaddr + offset), expected, "{}", region.name);
                    user_bytes -= if expected.is_some() { 0x1000 } else { 0 };
                }
            }
            for segment in &elf.segments {
                for vaddr in segment.pages().step_by(0x1000) {
                    let (paddr, access) = translate(&found, vaddr).unwrap();
                    assert_eq!(access, Access::user(segment.read, segment.write, segment.execute));
                    let page = machine.memory.read(paddr, 0x1000).unwrap();
                    for (byte, address) in page.iter().zip(vaddr..) {
                        let expected = address.checked_sub(segment.vaddr).and_then(|i| segment.bytes.get(i as usize));
                        assert_eq!(byte, expected.unwrap_or(&0));
                    }
                    user_bytes -= 0x1000;
                }
            }
            for vaddr in [STACK_TOP - 0x2000, STACK_TOP - 0x1000, STACK_TOP + 0x1000] {
                let (paddr, access) = translate(&found, vaddr).unwrap();
                assert_eq!(access, Access::user(true, true, false));
                assert_eq!(machine.memory.read(paddr, 0x1000).unwrap(), [0; 0x1000]);
                user_bytes -= 0x1000;
            }
            assert_eq!(user_bytes, 0, "something is mapped that nobody asked for");
        }
    }
}

#[test]
fn the_memory_holds_the_same_whatever_the_format() {
    let (system, programs) = rich();
    for kind in ALL {
        let (file, facts) = compose(&system, &mut programs.clone(), kind).unwrap();
        assert_eq!(facts.image_bytes, file.len() as u64);
        let machine = Machine::load(&file, KERNEL_PADDR).unwrap();
        for (region, range) in system.regions.iter().zip(&facts.regions) {
            if region.name == "device" {
                assert!(!machine.memory.has_page(range.start));
                continue;
            }
            let content = machine.memory.read(range.start, region.bytes).unwrap_or_else(|| panic!("{}", region.name));
            let prefill = region.prefill.as_deref().unwrap_or(&[]);
            assert!(content.starts_with(prefill), "{} {kind:?}", region.name);
            assert!(content[prefill.len()..].iter().all(|byte| *byte == 0), "{} {kind:?}", region.name);
        }
        for segment in kernel_segments() {
            let KernelSegment(vaddr, data, bytes, flags) = segment;
            let content = machine.memory.read(vaddr - KERNEL_VA_OFFSET, bytes).unwrap();
            if flags == 6 && !data.is_empty() {
                assert_eq!(content[..8], MAGIC.to_le_bytes());
                assert!(content[data.len()..].iter().all(|byte| *byte == 0));
            } else {
                assert!(content.starts_with(&data));
            }
        }
    }
}

#[test]
fn an_elf_leaves_little_to_the_boot_code() {
    let (mut system, mut elfs) = rich();
    let (file, _) = compose(&system, &mut elfs, ImageType::Elf).unwrap();
    // Only what lies below the kernel must be moved, because the emulator enters an ELF at its lowest address.
    let block = Machine::load(&file, KERNEL_PADDR).unwrap().boot_block;
    assert_eq!((block.copies_count, block.zeros_count), (1, 1));
    system.regions.remove(7);
    system.pds.iter_mut().for_each(|pd| pd.maps.retain(|map| map.region != 7));
    let (file, _) = compose(&system, &mut elfs, ImageType::Elf).unwrap();
    let block = Machine::load(&file, KERNEL_PADDR).unwrap().boot_block;
    assert_eq!((block.copies_count, block.zeros_count), (0, 0));
}

#[test]
fn an_elf_leaves_the_loaders_data_alone() {
    let loader_data = board().loader_data();
    let mut system = System { pds: vec![pd("hello")], ..System::default() };
    system.regions = vec![region("filled", 0x3000, 0x1000), region("across", LARGE + 0x4000, 0x1000)];
    system.regions[0].paddr = Some(loader_data.end - 0x2000);
    system.regions[0].prefill = Some(vec![9; 0x2800]);
    system.regions[1].paddr = Some(loader_data.start - LARGE);
    let (file, _) = compose(&system, &mut [program()], ImageType::Elf).unwrap();
    let elf = ElfFile64::<LittleEndian>::parse(&*file).unwrap();
    for header in elf.elf_program_headers() {
        let start = header.p_paddr(LittleEndian);
        let end = start + header.p_memsz(LittleEndian);
        assert!(end <= loader_data.start || loader_data.end <= start, "{start:#x}..{end:#x}");
    }
    let machine = Machine::load(&file, KERNEL_PADDR).unwrap();
    assert_eq!(machine.memory.read(loader_data.end - 0x2000, 0x2800).unwrap(), [9; 0x2800]);
    let across = machine.memory.read(loader_data.start - LARGE, LARGE + 0x4000).unwrap();
    assert!(across.iter().all(|byte| *byte == 0));
}

#[test]
fn the_kernel_sees_itself_the_ipc_buffers_and_the_interrupt_controller() {
    let (system, mut elfs) = rich();
    let (file, facts) = compose(&system, &mut elfs, ImageType::Elf).unwrap();
    let machine = Machine::load(&file, KERNEL_PADDR).unwrap();
    let own = mappings(&machine, machine.boot_block.satp);
    let rights =
        |vaddr| translate(&own, vaddr).map(|(paddr, access)| (paddr, access.read, access.write, access.execute));
    let base = KERNEL_PADDR + KERNEL_VA_OFFSET;
    assert_eq!(rights(base + 0x1000), Some((KERNEL_PADDR + 0x1000, true, false, true)));
    assert_eq!(rights(base + 0x2000), Some((KERNEL_PADDR + 0x2000, true, false, false)));
    assert_eq!(rights(base + 0x5000), Some((KERNEL_PADDR + 0x5000, true, true, false)));
    assert_eq!(rights(base + 0x6000), None, "the page below the stack");
    assert_eq!(rights(base + 0x7000), Some((KERNEL_PADDR + 0x7000, true, true, false)));
    assert_eq!(rights(base + 0x9000), Some((facts.boot_blob.start, true, false, false)));
    for (index, pd) in facts.pds.iter().enumerate() {
        assert_eq!(rights(IPC_WINDOW + 0x1000 * index as u64), Some((pd.ipc_buffer, true, true, false)));
    }
    assert_eq!(rights(boot_info(&machine).plic_vaddr + 0x20_1004), Some((0x0c20_1004, true, true, false)));
    assert!(own.iter().all(|m| !(m.access.user || m.access.write && m.access.execute)));
    let pages = own.len() as u64;
    assert_eq!(pages, 2 + 1 + 3 + 2 + facts.boot_blob.clone().count() as u64 / 0x1000 + 3 + 3);
    for info in pds(&machine) {
        let kernel_part: Vec<Mapping> = mappings(&machine, info.satp).into_iter().filter(|m| !m.access.user).collect();
        assert_eq!(kernel_part, own);
    }
}

#[test]
fn a_minimal_protection_domain_costs_less_than_44_kib() {
    let system = System { pds: vec![pd("hello")], ..System::default() };
    let (_, facts) = compose(&system, &mut [program()], ImageType::Elf).unwrap();
    assert_eq!(facts.pds[0].page_tables.len(), 5);
    assert_eq!(facts.pds[0].elf_frames, [(0x20_0000, facts.pds[0].elf_frames[0].1, 0x2000)]);
    assert!(facts.pds[0].table_bytes < 300);
    let firmware_and_ram = facts.free_ram_bytes + facts.used_ram_bytes;
    assert!(firmware_and_ram <= board().kernel.ram_bytes);
}

#[test]
fn the_blob_says_what_the_description_says() {
    let mut system = System { pds: vec![pd("server"), pd("client")], ..System::default() };
    system.pds[0].passive = true;
    system.pds[0].priority = 200;
    system.pds[1].fpu = false;
    (system.pds[1].budget_us, system.pds[1].period_us) = (30, u64::MAX / 100);
    let (file, _) = compose(&system, &mut [program(), program()], ImageType::Binary).unwrap();
    let machine = Machine::load(&file, KERNEL_PADDR).unwrap();
    let infos = pds(&machine);
    assert_eq!(&infos[0].name[..7], b"server\0");
    assert_eq!((infos[0].priority, infos[0].flags, infos[1].flags), (200, 3, 0));
    assert_eq!((infos[0].budget_ticks, infos[0].period_ticks), (10_000, 10_000));
    assert_eq!((infos[1].budget_ticks, infos[1].period_ticks), (300, 1 << 56));
    assert_eq!((infos[0].entry, infos[0].stack_top, infos[0].stack_bottom), (0x20_0000, STACK_TOP, STACK_TOP - 0x2000));
    assert_eq!((infos[0].caps.count, infos[1].caps.count), (6, 5), "dense up to the highest slot");
    let span = boot_info(&machine).caps;
    let caps: Vec<Cap> = table(&machine, span.offset, span.count);
    assert_eq!(caps[0], Cap::default());
    assert_eq!(boot_info(&machine).bytes, machine.blob.len() as u64);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let refusal = |change: &dyn Fn(&mut System)| {
        let mut system = System { pds: vec![pd("hello")], ..System::default() };
        system.regions = vec![region("mine", 0x1000, 0x1000)];
        system.pds[0].maps = vec![map(0, 0x1000_0000, "rw")];
        change(&mut system);
        compose(&system, &mut [program()], ImageType::Elf).unwrap_err().to_string()
    };
    let message = refusal(&|system| (system.regions[0].bytes, system.pds[0].maps) = (1 << 31, vec![]));
    assert!(message.contains("no room for memory region 'mine'"), "{message}");
    let message = refusal(&|system| system.regions[0].paddr = Some(KERNEL_PADDR + 0x6000));
    assert!(message.contains("'mine'") && message.contains("the kernel"), "{message}");
    let message = refusal(&|system| system.regions[0].paddr = Some(KERNEL_PADDR + 0x9000));
    assert!(message.contains("'mine'") && message.contains("the boot blob"), "{message}");
    let message = refusal(&|system| system.regions[0].paddr = Some(0x0c00_0000));
    assert!(message.contains("'mine'") && message.contains("the plic"), "{message}");
    let message = refusal(&|system| {
        (system.regions[0].paddr, system.regions[0].bytes) = (Some(0xffff_f000), 0x2000);
    });
    assert!(message.contains("'mine'") && message.contains("partly"), "{message}");
    let message = refusal(&|system| system.regions[0].paddr = Some(u64::MAX - 0xfff));
    assert!(message.contains("'mine'") && message.contains("last physical address"), "{message}");
    let message = refusal(&|system| system.pds[0].maps[0].vaddr = 0x20_1000);
    assert!(message.contains("'mine'") && message.contains("0x201000"), "{message}");
    let message = refusal(&|system| system.pds[0].maps[0].vaddr = STACK_TOP - 0x1000);
    assert!(message.contains("stack"), "{message}");
    let message = refusal(&|system| system.pds = vec![pd("many"); 64]);
    assert!(message.contains("63"), "{message}");
}

#[test]
fn kernels_that_cannot_work_are_refused() {
    let base = KERNEL_PADDR + KERNEL_VA_OFFSET;
    let refusal = |segments: &[KernelSegment], symbols: &[(&str, u64, u64)], entry| {
        Kernel::parse(&kernel_elf(segments, symbols, entry), KERNEL_PADDR).unwrap_err().to_string()
    };
    assert!(Kernel::parse(&kernel_file(), KERNEL_PADDR).is_ok());
    assert!(refusal(&kernel_segments(), &[], KERNEL_PADDR).contains("kernel_boot_block"));
    assert!(refusal(&kernel_segments(), &kernel_symbols(), KERNEL_PADDR + 4).contains("entry"));
    assert!(refusal(&[], &kernel_symbols(), KERNEL_PADDR).contains("lowest segment"));
    let mut segments = kernel_segments();
    segments[0].3 = 7;
    assert!(refusal(&segments, &kernel_symbols(), KERNEL_PADDR).contains("writable and executable"));
    segments = kernel_segments();
    segments[1].0 = base + 0x1800;
    assert!(refusal(&segments, &kernel_symbols(), KERNEL_PADDR).contains("share the page"));
    let in_bss = [("kernel_boot_block", base + 0x3800, 56), kernel_symbols()[1]];
    assert!(refusal(&kernel_segments(), &in_bss, KERNEL_PADDR).contains(".bss"));
    let mut truncated = kernel_file();
    for length in [0, 10, 64, 100, 300, truncated.len() - 1] {
        truncated.truncate(length.min(truncated.len()));
        assert!(Kernel::parse(&truncated, KERNEL_PADDR).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Regions of all sorts: each format gives the same memory, every region is filled, and none overlaps another.
    #[test]
    fn random_systems_come_out_right(
        wishes in proptest::collection::vec(
            (1u64..4, any::<bool>(), proptest::option::of(0u64..300), proptest::option::of(1usize..9000)), 0..10),
    ) {
        let mut system = System { pds: vec![pd("a"), pd("b")], ..System::default() };
        let mut fixed_end = 0x8023_0000;
        for (index, (pages, large, gap, prefill)) in wishes.into_iter().enumerate() {
            let page = if large { LARGE } else { 0x1000 };
            let mut region = region(&format!("region {index}"), pages * page, page);
            if let Some(gap) = gap {
                let start = (fixed_end + gap * 0x1000u64).next_multiple_of(page);
                (region.paddr, fixed_end) = (Some(start), start + region.bytes);
            }
            region.prefill = prefill.map(|bytes| vec![index as u8 + 1; bytes.min(region.bytes as usize)]);
            system.regions.push(region);
            system.pds[index % 2].maps.push(map(index, 0x1000_0000 + index as u64 * 0x100_0000, "rw"));
        }
        for kind in ALL {
            let (file, facts) = compose(&system, &mut [program(), program()], kind).unwrap();
            let machine = Machine::load(&file, KERNEL_PADDR).unwrap();
            let mut ranges = vec![facts.kernel.clone(), facts.boot_blob.clone()];
            for (region, range) in system.regions.iter().zip(&facts.regions) {
                let content = machine.memory.read(range.start, region.bytes).unwrap();
                let prefill = region.prefill.as_deref().unwrap_or(&[]);
                prop_assert!(content.starts_with(prefill));
                prop_assert!(content[prefill.len()..].iter().all(|byte| *byte == 0));
                ranges.push(range.clone());
            }
            for pd in &facts.pds {
                ranges.extend(pd.page_tables.iter().map(|(_, paddr)| *paddr..paddr + 0x1000));
                ranges.extend(pd.elf_frames.iter().map(|(_, paddr, bytes)| *paddr..paddr + bytes));
                ranges.extend([pd.stack.clone(), pd.ipc_buffer..pd.ipc_buffer + 0x1000]);
            }
            ranges.sort_by_key(|range| range.start);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}

#[test]
fn placing_tells_region_addresses_before_writing() {
    let (system, elfs) = rich();
    let placement = place(&system, &elfs, &kernel(), &board()).unwrap();
    let (_, facts) = compose(&system, &mut elfs.clone(), ImageType::UImage).unwrap();
    let starts: Vec<u64> = facts.regions.iter().map(|range| range.start).collect();
    assert_eq!(placement.region_paddrs, starts);
}
