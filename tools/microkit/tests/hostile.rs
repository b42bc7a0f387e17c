//! Hostile input: whatever the bytes are, the answer is a system or an error, never a panic, and it comes soon.
//!
//! The same entry points have fuzz targets in `tests/fuzz` of the repository.

mod common;

use microkit::board::Board;
use microkit::description::files::SearchPath;
use microkit::description::{Description, parse};
use microkit::elf::Elf;
use microkit::patch::patch;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const SYSTEM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<system>
  <domains><domain name="d"/><domain name="e" id="3"/>
    <domain_schedule start_index="1" index_shift="2"><schedule_entry domain="d" duration="10 us"/>
      <schedule_entry domain="e" duration="7 ticks"/><schedule_end_marker/></domain_schedule></domains>
  <memory_region name="r" size="0x40_0000"/><memory_region name="u" size="0x1000" phys_addr="0x1000_0000"/>
  <protection_domain name="a" priority="2" budget="100" period="200" passive="true" domain="d">
    <program_image path="a.elf"/><map mr="r" vaddr="0x40_0000" perms="rx" setvar_vaddr="v" setvar_size="s"/>
    <map mr="u" vaddr="0x1000" cached="false"/><irq irq="10" id="1" trigger="edge"/><setvar symbol="p" region_paddr="r"/>
    <cspace><cap_tcb slot="1" pd="c"/><cap_sc slot="2" pd="a"/></cspace>
    <protection_domain name="c" id="9" setvar_id="i" domain="e"><program_image path="c.elf"/></protection_domain>
  </protection_domain>
  <channel><end pd="a" id="0" notify="false"/><end pd="c" id="0" pp="true" setvar_id="h"/></channel>
</system>"#;

/// Pieces that mean something to XML or to a description.
const PIECES: &[&str] = &[
    "<",
    ">",
    "/>",
    "\"",
    "&amp;",
    "&#0;",
    "&#x41;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?p?>",
    "xmlns:a=\"u\" ",
    "a:",
    "=",
    "0x",
    "_",
    "-",
    "18446744073709551615",
    "0xffff_ffff_ffff_f000",
    "0",
    "62",
    "<end/>",
    "<system>",
    "</system>",
    "true",
    "ä",
    "\u{0}",
    " ",
    "\n",
    "<protection_domain name='x' id='1'>",
    "</protection_domain>",
    "phys_addr=\"0x8000_0000\" ",
];

fn board() -> Board {
    Board::parse(include_str!("../../../boards/qemu_virt_riscv64/board.toml")).expect("the board's facts are valid")
}

fn read(text: &str) -> Result<Description, microkit::error::Error> {
    parse(text, &board(), &SearchPath::default())
}

/// What the model promises of an accepted system.
fn check_promises(description: &Description) {
    let system = &description.system;
    assert!((1..=63).contains(&system.pds.len()));
    for (index, pd) in system.pds.iter().enumerate() {
        assert!(pd.parent.is_none_or(|parent| parent.pd < index && parent.child_id <= 61));
        assert!(pd.priority <= 254 && (20..=pd.period_us).contains(&pd.budget_us));
        assert!(pd.shared_caps.iter().all(|cap| (1..=63).contains(&cap.slot) && cap.pd < system.pds.len()));
        assert!(pd.irqs.iter().all(|irq| irq.id <= 61 && (1..=95).contains(&irq.source)));
        for map in &pd.maps {
            let region = &system.regions[map.region];
            assert!(map.vaddr.is_multiple_of(region.page_bytes) && region.bytes > 0);
            assert!(map.vaddr + region.bytes < 0x3f_ffff_d000 - pd.stack_bytes);
            assert!(map.read || !map.write);
        }
    }
    for region in &system.regions {
        assert!(region.bytes.is_multiple_of(region.page_bytes));
        assert!(region.paddr.is_none_or(|paddr| paddr.is_multiple_of(region.page_bytes)));
    }
    for (own, peer) in system.channels.iter().flat_map(|channel| channel.directions()) {
        assert!(own.id <= 61 && (!own.pp || system.pds[own.pd].priority < system.pds[peer.pd].priority));
    }
}

#[test]
fn the_description_that_is_mutated_is_valid() {
    check_promises(&read(SYSTEM).unwrap_or_else(|e| panic!("{e}")));
}

/// An edit of a text: where, how much is cut out there, and what is put in.
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    let piece = prop_oneof![
        prop::sample::select(PIECES).prop_map(str::to_string),
        any::<char>().prop_map(String::from),
        Just(String::new()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0), 1usize..12], piece), 1..4)
}

/// Each edit is of whole characters.
fn edited(text: &str, edits: &[(prop::sample::Index, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (place, cut, piece) in edits {
        let start = place.index(characters.len() + 1);
        let end = (start + cut).min(characters.len());
        characters.splice(start..end, piece.chars());
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text(text in any::<String>()) {
        prop_assert!(read(&text).is_err());
    }

    #[test]
    fn edited_descriptions(edits in edits()) {
        if let Ok(description) = read(&edited(SYSTEM, &edits)) {
            check_promises(&description);
        }
    }

    #[test]
    fn any_bytes_as_an_elf(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let with_magic = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0".as_slice(), &bytes].concat();
        prop_assert!(Elf::parse(&bytes, None, 1 << 20).is_err());
        let _ = Elf::parse(&with_magic, None, 1 << 20);
    }

    #[test]
    fn edited_elfs(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 8]>(), 1usize..9), 1..4)) {
        let mut file = common::program(&["v", "s", "p", "i", "h"]);
        for (place, bytes, count) in changes {
            let start = place.index(file.len());
            let end = (start + count).min(file.len());
            file[start..end].copy_from_slice(&bytes[..end - start]);
        }
        let system = read(SYSTEM).unwrap_or_else(|e| panic!("{e}")).system;
        if let Ok(elf) = Elf::parse(&file, None, 1 << 20)
            && elf.check(&system, &system.pds[0]).is_ok()
        {
            // What is checked is disjoint; what is patched may be refused.
            prop_assert!(elf.segments.windows(2).all(|pair| pair[0].pages().end <= pair[1].pages().start));
            let mut elfs = [elf.clone(), elf];
            let _ = patch(&system, &mut elfs, &[0, 0]);
        }
    }
}

/// Sizes that would hurt an algorithm that is quadratic, or one that recurses.
#[test]
fn large_descriptions_are_answered_soon() {
    let region =
        |i: usize| format!("<memory_region name='r{i}' size='0x1000' phys_addr='{:#x}'/>", 0x1_0000_0000 + 0x1000 * i);
    let map = |i: usize| format!("<map mr='r{i}' vaddr='{:#x}' setvar_vaddr='v{i}'/>", 0x1000 * i);
    let pd =
        |content: &str| format!("<protection_domain name='a'><program_image path='a'/>{content}</protection_domain>");
    let count = 20_000;
    let regions: String = (0..count).map(region).collect();
    let maps: String = (0..count).map(map).collect();
    let deep = 200_000;
    for text in [
        // All in one line.
        format!("<system>{regions}{}</system>", pd(&maps)),
        format!("<system>{}{}</system>", pd(""), "<channel/>".repeat(count)),
        format!("<system>{}</system>", "<a>".repeat(deep)),
        format!("<system>{}{}</system>", "<a>".repeat(deep), "</a>".repeat(deep)),
        format!("<system>{}</system>", pd(&format!("{}{}", "<a>".repeat(deep), "</a>".repeat(deep)))),
        format!("<system {}/>", (0..5_000).map(|i| format!("a{i}='' ")).collect::<String>()),
        format!("<system>{}", "<memory_region name='r' size='".repeat(deep)),
        "<".repeat(deep),
    ] {
        let start = Instant::now();
        let _ = read(&text);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?} for {:.60}…", text);
    }
    let accepted = read(&format!("<system>{regions}{}</system>", pd(&maps))).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(accepted.system.pds[0].maps.len(), count);
}

#[test]
fn a_description_that_is_too_long_is_refused() {
    let text = format!("<system>{}</system>", " ".repeat(17 << 20));
    assert!(read(&text).is_err_and(|e| e.message().contains("longer than")));
}
