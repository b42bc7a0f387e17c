//! Power cuts at every byte of every write.

use super::*;
use proptest::prelude::*;
use rot_protocol::data::Info;
use rot_protocol::{command, status};

fn public_key(device: &mut Device<FakeFlash>) -> Option<[u8; 32]> {
    let info = Info::read_from_bytes(&run(device, command::INFO, &[]).unwrap()).unwrap();
    Some(info.public_key).filter(|key| *key != [0; 32])
}

#[test]
fn a_cut_at_any_byte_of_the_first_writes_leaves_a_device_or_none() {
    let mut keys = 0;
    for power in (0..7000).step_by(61) {
        let flash = FakeFlash::new();
        let mut first = Device::new(FakeFlash { power, ..flash.clone() }, start(true));
        let told = public_key(&mut first);
        let mut second = Device::new(flash.again(), start(true));
        let found = public_key(&mut second);
        // Whoever was told of a key finds it again; and there is always a way to a working device.
        assert!(told.is_none() || told == found, "{power}");
        assert!(found.is_some(), "{power}");
        keys += usize::from(told.is_some());
    }
    assert!(keys > 0);
}

#[test]
fn a_cut_at_any_byte_of_an_increment_leaves_the_old_or_the_new_value() {
    let flash = provisioned();
    let key = public_key(&mut Device::new(flash.clone(), start(false)));
    let mut told = 0;
    for power in (0..4000).step_by(37) {
        let mut device = Device::new(flash.again(), start(false));
        device.flash().power = power;
        let answer = run(&mut device, command::COUNTER_INCREMENT, &[5; 32]);
        let mut device = Device::new(flash.again(), start(false));
        assert_eq!(public_key(&mut device), key, "{power}");
        let now = number(run(&mut device, command::COUNTER_READ, &[5; 32]).unwrap());
        match answer {
            Ok(bytes) => assert_eq!(number(bytes), now, "{power}"),
            Err(error) => assert!(error == status::STORAGE_FAILED && now >= told && now <= told + 1, "{power}"),
        }
        told = now;
    }
    assert!(told > 5);
}

#[test]
fn a_cut_during_the_start_costs_nothing() {
    let flash = provisioned();
    run(&mut Device::new(flash.again(), start(false)), command::COUNTER_INCREMENT, &[5; 32]).unwrap();
    for power in (0..4000).step_by(53) {
        // Randomness is refused then, for the seed in the flash is the one that was used.
        let mut cut = Device::new(FakeFlash { power, ..flash.clone() }, start(false));
        if cut.flash().cut {
            assert_eq!(run(&mut cut, command::RANDOM, &[8, 0]), Err(status::STORAGE_FAILED));
            assert_eq!(run(&mut cut, command::SEAL, &[0, 1]), Err(status::STORAGE_FAILED));
        }
        let mut device = Device::new(flash.again(), start(false));
        assert_eq!(number(run(&mut device, command::COUNTER_READ, &[5; 32]).unwrap()), 1);
    }
}

#[test]
fn a_failed_write_changes_nothing_and_the_next_one_may_succeed() {
    let mut device = Device::new(provisioned(), start(false));
    device.flash().power = 100;
    assert_eq!(run(&mut device, command::COUNTER_INCREMENT, &[5; 32]), Err(status::STORAGE_FAILED));
    assert_eq!(number(run(&mut device, command::COUNTER_READ, &[5; 32]).unwrap()), 0);
    device.flash().power = usize::MAX;
    assert_eq!(number(run(&mut device, command::COUNTER_INCREMENT, &[5; 32]).unwrap()), 1);
}

#[test]
fn damage_to_both_copies_is_said_and_never_made_good_by_a_new_key() {
    let flash = provisioned();
    for offset in [100, 4196] {
        flash.bytes.borrow_mut()[offset] ^= 1;
    }
    let before = flash.bytes.borrow().clone();
    let mut device = Device::new(flash.again(), start(true));
    assert_eq!(run(&mut device, command::COUNTER_READ, &[5; 32]), Err(status::STATE_CORRUPT));
    assert_eq!(run(&mut device, command::QUOTE, &[0; 32]), Err(status::STATE_CORRUPT));
    assert_eq!(public_key(&mut device), None);
    assert_eq!(*flash.bytes.borrow(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is done and whenever power goes, no counter goes back, and the key stays.
    #[test]
    fn counters_never_go_back(
        steps in prop::collection::vec((0u8..3, 0u8..4, 0u64..20, prop::option::weighted(0.4, 0usize..4000)), 1..30)
    ) {
        let flash = provisioned();
        let key = public_key(&mut Device::new(flash.clone(), start(false)));
        let mut told = [0u64; 4];
        let mut device = Device::new(flash.again(), start(false));
        for (kind, which, value, cut) in steps {
            let id = [which; 32];
            device.flash().power = cut.unwrap_or(usize::MAX);
            let answer = match kind {
                0 => run(&mut device, command::COUNTER_INCREMENT, &id),
                1 => run(&mut device, command::COUNTER_ADVANCE, &[&id[..], &value.to_le_bytes()].concat()),
                _ => run(&mut device, command::COUNTER_READ, &id),
            };
            if let Ok(bytes) = answer {
                let now = number(bytes);
                prop_assert!(now >= told[usize::from(which)]);
                told[usize::from(which)] = now;
            }
            if cut.is_some() {
                device = Device::new(flash.again(), start(false));
                prop_assert_eq!(public_key(&mut device), key);
                for (which, told) in told.iter_mut().enumerate() {
                    let now = number(run(&mut device, command::COUNTER_READ, &[which as u8; 32]).unwrap());
                    prop_assert!(now >= *told);
                    *told = now;
                }
            }
        }
    }

    /// Any bytes in the flash are a state, a blank or a damaged device, and nothing else.
    #[test]
    fn any_flash_is_harmless(at in 0..FLASH_BYTES, bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let flash = provisioned();
        let end = (at + bytes.len()).min(FLASH_BYTES);
        flash.bytes.borrow_mut()[at..end].copy_from_slice(&bytes[..end - at]);
        let mut device = Device::new(flash, start(false));
        // One of the two copies is whole, whatever became of the other.
        prop_assert!(public_key(&mut device).is_some());
    }
}
