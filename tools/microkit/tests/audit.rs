//! The auditor: it agrees with the composer, and every tampering with an image is found.

mod support;

use kernel_layout::{BootInfo, Cap, PdInfo};
use microkit::audit::audit;
use microkit::audit::loader::Machine;
use microkit::elf::{Elf, Symbol};
use microkit::image::ImageType;
use microkit::image::format::{ALL, crc32};
use microkit::model::{
    Channel, ChannelEnd, DomainSchedule, DomainSlot, Duration, Irq, Parent, SetVar, SetVarValue, SharedCap,
    SharedCapKind, System, Trigger,
};
use microkit::report::ImageFacts;
use proptest::prelude::*;
use support::*;
use zerocopy::FromBytes;

/// Where a thread's entry says where its shared capabilities begin; most have none.
const SHARED_CAPS_FIRST: usize = std::mem::offset_of!(PdInfo, shared_caps);

/// A system with every kind of authority.
fn system() -> (System, Vec<Elf>) {
    let mut system = System { pds: ["parent", "child", "driver"].map(pd).to_vec(), ..System::default() };
    system.regions = vec![
        region("shared", 0x2000, 0x1000),
        region("large", 0x20_0000, 0x20_0000),
        region("device", 0x1000, 0x1000),
        region("filled", 0x1000, 0x1000),
        region("told", 0x1000, 0x1000),
    ];
    system.regions[2].paddr = Some(0x1000_0000);
    system.regions[3].prefill = Some(b"content".to_vec());
    system.pds[0].maps = vec![map(0, 0x1000_0000, "rw"), map(3, 0x2000_0000, "r")];
    system.pds[1].maps = vec![map(0, 0x3000_0000, "r"), map(1, 0x4000_0000, "rw")];
    system.pds[2].maps = vec![map(2, 0x5000_0000, "rw")];
    system.pds[0].priority = 9;
    system.pds[2].passive = true;
    system.pds[2].priority = 20;
    system.pds[1].parent = Some(Parent { pd: 0, child_id: 7 });
    system.pds[2].irqs = vec![Irq { id: 3, source: 10, trigger: Trigger::Level, location: NOWHERE }];
    let end = |pd, id, notify, pp| ChannelEnd { pd, id, notify, pp, location: NOWHERE };
    system.channels = vec![
        Channel { ends: [end(0, 1, true, true), end(2, 2, true, false)] },
        Channel { ends: [end(0, 61, false, false), end(1, 0, true, false)] },
    ];
    let shared = |kind, slot| SharedCap { kind, pd: 2, slot, location: NOWHERE };
    system.pds[0].shared_caps =
        vec![shared(SharedCapKind::Tcb, 1), shared(SharedCapKind::SchedContext, 2), shared(SharedCapKind::VSpace, 63)];
    let paddr = SetVarValue::RegionPaddr(4);
    system.pds[0].setvars = vec![SetVar { symbol: "told_paddr".into(), value: paddr, location: NOWHERE }];
    system.domains = Some(DomainSchedule {
        names: vec![("all".into(), 0)],
        start: 0,
        slots: vec![DomainSlot::Run { domain: 0, duration: Duration::Micros(77) }, DomainSlot::EndMarker],
    });
    let mut elfs = vec![program(); 3];
    elfs[0].symbols.insert("told_paddr".into(), Symbol { vaddr: 0x20_1300, bytes: 8, duplicate: false });
    (system, elfs)
}

fn findings(file: &[u8]) -> Vec<String> {
    let (system, elfs) = system();
    audit(file, &system, &elfs, &board()).map_or_else(|e| vec![e.to_string()], |audit| audit.findings)
}

fn image(kind: ImageType) -> (Vec<u8>, ImageFacts) {
    let (system, mut elfs) = system();
    compose(&system, &mut elfs, kind).unwrap()
}

/// Where a binary has what lies at a physical address.
fn at(paddr: u64) -> usize {
    (paddr - KERNEL_PADDR) as usize
}

fn boot_info(file: &[u8]) -> (BootInfo, u64) {
    let machine = Machine::load(file, KERNEL_PADDR).unwrap();
    (BootInfo::read_from_prefix(&machine.blob).unwrap().0, machine.blob_paddr)
}

#[test]
fn an_honest_image_has_no_findings() {
    for kind in ALL {
        let (file, _) = image(kind);
        assert_eq!(findings(&file), [""; 0], "{kind:?}");
    }
    let (system, elfs) = system();
    let facts = audit(&image(ImageType::Elf).0, &system, &elfs, &board()).unwrap().facts;
    for fact in [
        "'parent' in slot 75 calls 'driver' on channel 2",
        "'parent' in slot 11 notifies 'driver' with badge 0x4",
        "'child' in slot 2 reports faults to 'parent' as child 7",
        "'parent' in slot 209 controls the thread of 'child'",
        "'parent' in shared slot 63 holds the address space of 'driver'",
        "'child' can read 0x30000000..0x30002000: region 'shared'",
        "'driver' in slot 141 acknowledges interrupt source 10 (level) signal 'driver' with badge 0x8",
    ] {
        assert!(facts.iter().any(|found| found == fact), "{fact}\n{facts:#?}");
    }
}

#[test]
fn another_description_does_not_fit() {
    let (file, _) = image(ImageType::Elf);
    let finding = |change: &dyn Fn(&mut System)| {
        let (mut system, elfs) = system();
        change(&mut system);
        audit(&file, &system, &elfs, &board()).unwrap().findings.join("\n")
    };
    let found = finding(&|system| system.channels[0].ends[0].pp = false);
    assert!(found.contains("'parent' in slot 75 calls 'driver' on channel 2, and the description does not"), "{found}");
    let found = finding(&|system| system.pds[1].maps[0].write = true);
    assert!(found.contains("says that 'child' can read and write 0x30000000..0x30002000: region 'shared'"), "{found}");
    let found = finding(&|system| system.pds[2].priority = 21);
    assert!(found.contains("has priority 21"), "{found}");
    assert!(finding(&|system| system.pds.truncate(2)).contains("3 protection domains"));
    assert!(finding(&|system| system.regions[3].prefill = Some(b"contend".to_vec())).contains("'filled'"));
}

#[test]
fn a_page_given_to_somebody_else_is_found() {
    let (file, facts) = image(ImageType::Binary);
    let leaf_tables = |pd: usize| facts.pds[pd].page_tables.iter().filter(|(level, _)| *level == 0);
    let stolen = [
        (facts.pds[0].stack.start, "the stack of 'parent'"),
        (facts.pds[0].ipc_buffer, "the IPC buffer of 'parent'"),
        (facts.kernel.start, "the kernel"),
        (facts.boot_blob.start, "the kernel"),
        (facts.pds[1].page_tables[0].1, "page tables"),
        (0x0c00_0000, "the interrupt controller"),
        (0x0200_0000, "nobody's"),
        (facts.regions[4].start, "region 'told'"),
    ];
    for (paddr, owner) in stolen {
        for (_, table) in leaf_tables(1) {
            let mut tampered = file.clone();
            // The last entry of a table of level 0 is free in all of them.
            let entry = (paddr >> 12) << 10 | 0xd7;
            tampered[at(table + 0xff8)..at(table + 0x1000)].copy_from_slice(&entry.to_le_bytes());
            let found = findings(&tampered).join("\n");
            assert!(found.contains("'child' can read and write") && found.contains(owner), "{owner}: {found}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_page_table_is_found() {
    let (file, facts) = image(ImageType::Binary);
    for (_, table) in facts.pds.iter().take(2).flat_map(|pd| &pd.page_tables) {
        let entries = (at(*table)..at(table + 0x1000)).step_by(8).filter(|at| file[*at] & 1 != 0);
        for entry in entries.take(1) {
            for bit in 0..64 {
                let mut tampered = file.clone();
                tampered[entry + bit / 8] ^= 1 << (bit % 8);
                assert!(!findings(&tampered).is_empty(), "bit {bit} of the entry at {entry:#x}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_capability_or_a_thread_is_found() {
    let (file, _) = image(ImageType::Binary);
    let (info, blob) = boot_info(&file);
    let table = |offset: u32, count: u32, bytes: usize| {
        let start = at(blob) + offset as usize;
        start..start + count as usize * bytes
    };
    let caps = table(info.caps.offset, info.caps.count, size_of::<Cap>());
    let used = caps.step_by(size_of::<Cap>()).filter(|at| file[at + 10] != 0).flat_map(|at| at..at + size_of::<Cap>());
    let pds = table(info.pds.offset, info.pds.count, size_of::<PdInfo>());
    for byte in used.chain(pds) {
        let mut tampered = file.clone();
        tampered[byte] ^= 1 << (byte % 8);
        let in_table = byte.wrapping_sub(at(blob) + info.pds.offset as usize) % size_of::<PdInfo>();
        // Nothing reads what is behind the end of a name, or where an empty table would start.
        let unread = in_table < 64 && file[byte] == 0 || (SHARED_CAPS_FIRST..SHARED_CAPS_FIRST + 4).contains(&in_table);
        assert!(unread || !findings(&tampered).is_empty(), "byte {byte:#x}");
    }
}

#[test]
fn changed_content_is_found() {
    let (file, facts) = image(ImageType::Binary);
    let program = facts.pds[1].elf_frames[0].1;
    for paddr in [program, program + 99, program + 100, facts.regions[3].start + 6] {
        let mut tampered = file.clone();
        tampered[at(paddr)] ^= 0x10;
        assert!(findings(&tampered).join("\n").contains("does not hold what it should"), "{paddr:#x}");
    }
    let (mut file, _) = image(ImageType::UImage);
    *file.last_mut().unwrap() ^= 1;
    assert!(findings(&file).join("\n").contains("checksum"));
    file.truncate(100);
    assert!(!findings(&file).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Hostile images end in an error or in findings, never in a panic.
    #[test]
    fn damaged_images_are_survived(flips in proptest::collection::vec((0usize..0x2_0000, any::<u8>()), 1..20),
                                   cut in 0usize..0x2_0000, kind in 0usize..3) {
        let (mut file, _) = image(ALL[kind]);
        for (index, byte) in flips {
            // Headers and tables are worth more than text.
            let index = if byte % 2 == 0 { index % 0x200 } else { index };
            if let Some(at) = file.get_mut(index) {
                *at = byte;
            }
        }
        if cut % 8 == 0 {
            file.truncate(cut);
        }
        if ALL[kind] == ImageType::UImage && file.len() > 64 {
            let crc = crc32(&file[64..]);
            file[24..28].copy_from_slice(&crc.to_be_bytes());
            file[4..8].fill(0);
            let crc = crc32(&file[..64]);
            file[4..8].copy_from_slice(&crc.to_be_bytes());
        }
        findings(&file);
    }
}
