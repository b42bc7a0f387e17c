//! Checks everything that the composer writes into a program, and a heap.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sel4_microkit::{NullHandler, memory_region_symbol, pd_name, protection_domain, var};
use test_pds::verdict;

#[protection_domain(heap_size = 0x8000, stack_size = 0x2000)]
fn init() -> NullHandler {
    verdict::become_judge();
    assert_eq!(pd_name(), Ok("judge_with_a_name_of_sixty-four_characters_exactly_xxxxxxxxxxxxx"));
    assert_eq!(*var!(region_vaddr: usize = 1), 0x500_0000);
    assert_eq!(*var!(region_size: u64 = 1), 0x20_0000);
    assert_eq!(*var!(region_paddr: u64 = 1), 0xa000_0000);
    assert_eq!(*var!(prefill_bytes: u64 = 1), 11);
    assert_eq!(*var!(channel_id: u64 = 99), 42);
    assert_eq!(*var!(irq_id: u64 = 99), 7);
    assert_eq!(*var!(unnamed: u64 = 1234), 1234);

    let prefilled = memory_region_symbol!(prefilled: *mut [u8], n = 4096, bytes = 4096);
    // SAFETY: the region has this size and nobody writes it.
    let prefilled = unsafe { prefilled.as_ref() };
    assert_eq!(&prefilled[..11], b"hello there");
    assert!(prefilled[11..].iter().all(|byte| *byte == 0), "the rest is zero");

    let mut words = BTreeMap::new();
    for i in 0..100_u32 {
        words.insert(i, i.to_string());
    }
    let joined: String = words.into_values().collect::<Vec<_>>().join(",");
    assert_eq!(joined.len(), 189 + 100);
    verdict::pass()
}
