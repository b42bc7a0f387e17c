//! The key-value store: what it keeps, what it refuses, and what power loss leaves.

mod common;

use common::{Disk, random};
use proptest::prelude::*;
use std::collections::BTreeMap;
use storage::Error;
use storage::kv::{MAX_KEYS, Quota, Store};
use storage::sectors::SECTOR;

const BIG: Quota = Quota { keys: 1000, bytes: 1 << 30 };

type Model = BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>;

fn open(disk: &mut Disk) -> Box<Store> {
    let mut store = Box::new(Store::new());
    let sectors = disk.sectors();
    store.open(disk, sectors, false).unwrap();
    store
}

fn value(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = random(seed);
    (0..bytes).map(|_| random() as u8).collect()
}

fn read(store: &Store, disk: &mut Disk, space: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    let mut into = vec![0; 8192];
    let length = store.read(disk, space, key, &mut into)?;
    into.truncate(length);
    Ok(into)
}

/// Everything that the store has.
fn content(store: &Store, disk: &mut Disk, spaces: &[&[u8]]) -> Model {
    let mut model = Model::new();
    for space in spaces {
        let mut keys = Vec::new();
        assert_eq!(
            store.list(disk, space, 0, |key, bytes| {
                keys.push((key.to_vec(), bytes));
                true
            }),
            Ok(0)
        );
        for (key, bytes) in keys {
            let value = read(store, disk, space, &key).unwrap();
            assert_eq!(value.len(), bytes);
            assert!(model.insert((space.to_vec(), key), value).is_none(), "a key is listed once");
        }
    }
    model
}

#[test]
fn values_of_every_length_come_back_after_a_restart() {
    let mut disk = Disk::zeroed(2000);
    let mut store = open(&mut disk);
    let lengths = [0, 1, 447, 448, 449, 480, 481, 927, 928, 4096, 8191, 8192];
    for (at, length) in lengths.into_iter().enumerate() {
        store.write(&mut disk, b"s", format!("key{at}").as_bytes(), &value(at as u64, length), BIG).unwrap();
    }
    assert_eq!(store.write(&mut disk, b"s", b"long", &[0; 8193], BIG), Err(Error::TooLarge));
    for _ in 0..2 {
        for (at, length) in lengths.into_iter().enumerate() {
            let found = read(&store, &mut disk, b"s", format!("key{at}").as_bytes()).unwrap();
            assert_eq!(found, value(at as u64, length));
        }
        assert_eq!(read(&store, &mut disk, b"s", b"key"), Err(Error::NotFound));
        assert_eq!(read(&store, &mut disk, b"other", b"key1"), Err(Error::NotFound));
        assert_eq!(store.read(&mut disk, b"s", b"key9", &mut [0; 4095]), Err(Error::TooLarge));
        store = open(&mut disk);
        assert_eq!((store.opened().keys, store.opened().broken, store.opened().stale), (lengths.len(), 0, 0));
    }
}

#[test]
fn quotas_are_kept_and_replaced_values_do_not_count() {
    let mut disk = Disk::zeroed(400);
    let mut store = open(&mut disk);
    let quota = Quota { keys: 2, bytes: 100 };
    store.write(&mut disk, b"app", b"a", &[1; 49], quota).unwrap();
    store.write(&mut disk, b"app", b"b", &[1; 49], quota).unwrap();
    assert_eq!(store.write(&mut disk, b"app", b"c", b"", quota), Err(Error::Quota));
    assert_eq!(store.write(&mut disk, b"app", b"a", &[1; 50], quota), Err(Error::Quota));
    store.write(&mut disk, b"app", b"a", &[2; 49], quota).unwrap();
    store.write(&mut disk, b"other", b"a", &[1; 99], quota).unwrap();
    store.delete(&mut disk, b"app", b"b").unwrap();
    store.write(&mut disk, b"app", b"c", &[3; 49], quota).unwrap();
    assert_eq!((store.usage(b"app").keys, store.usage(b"app").bytes), (2, 100));
    store.erase(&mut disk, b"app").unwrap();
    assert_eq!((store.usage(b"app").keys, store.usage(b"other").keys), (0, 1));
    assert_eq!(store.delete(&mut disk, b"app", b"a"), Err(Error::NotFound));
}

#[test]
fn a_full_store_refuses_and_loses_nothing() {
    let mut disk = Disk::zeroed(40);
    let mut store = open(&mut disk);
    let mut written = 0;
    let refused = loop {
        let key = format!("{written}");
        match store.write(&mut disk, b"s", key.as_bytes(), &value(written, 900), BIG) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused, written), (Error::Full, 20));
    let mut store = open(&mut disk);
    for at in 0..written {
        assert_eq!(read(&store, &mut disk, b"s", format!("{at}").as_bytes()).unwrap(), value(at, 900));
    }
    store.delete(&mut disk, b"s", b"7").unwrap();
    store.write(&mut disk, b"s", b"new", &value(99, 900), BIG).unwrap();
    assert_eq!(store.capacity().1, 0);
}

#[test]
fn there_are_at_most_so_many_keys_and_spaces() {
    let mut disk = Disk::zeroed(1200);
    let mut store = open(&mut disk);
    for at in 0..MAX_KEYS {
        let space = format!("space{}", at % 32);
        store.write(&mut disk, space.as_bytes(), format!("{at}").as_bytes(), b"v", BIG).unwrap();
    }
    assert_eq!(store.write(&mut disk, b"space1", b"more", b"v", BIG), Err(Error::Full));
    store.delete(&mut disk, b"space0", b"0").unwrap();
    assert_eq!(store.write(&mut disk, b"one more", b"k", b"v", BIG), Err(Error::Full));
    store.erase(&mut disk, b"space5").unwrap();
    store.write(&mut disk, b"one more", b"k", b"v", BIG).unwrap();
    assert_eq!(open(&mut disk).opened().keys, MAX_KEYS - 16);
}

#[test]
fn wear_is_spread() {
    let mut disk = Disk::zeroed(64);
    let mut store = open(&mut disk);
    for round in 0..6400u64 {
        store.write(&mut disk, b"s", b"counter", &round.to_le_bytes(), BIG).unwrap();
        if round % 1000 == 999 {
            store = open(&mut disk);
        }
    }
    let (least, most) = (disk.wear.iter().min().unwrap(), disk.wear.iter().max().unwrap());
    assert!(*least >= 190 && *most <= 210, "{least} to {most} writes of a sector");
}

#[test]
fn values_that_look_like_blocks_are_values() {
    let mut disk = Disk::zeroed(100);
    let mut store = open(&mut disk);
    store.write(&mut disk, b"victim", b"key", b"real", BIG).unwrap();
    let block = disk.bytes()[..SECTOR].to_vec();
    // A value with copies of a valid block at every place where a sector may begin.
    for shift in 0..SECTOR {
        let mut forged = vec![0; shift];
        (0..15).for_each(|_| forged.extend_from_slice(&block));
        store.write(&mut disk, b"attacker", b"key", &forged, BIG).unwrap();
        store.delete(&mut disk, b"attacker", b"key").unwrap();
    }
    store.delete(&mut disk, b"victim", b"key").unwrap();
    let store = open(&mut disk);
    assert_eq!(store.opened().keys, 0);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let mut disk = Disk::zeroed(8);
    let mut store = open(&mut disk);
    store.write(&mut disk, b"s", b"key", &value(1, 900), BIG).unwrap();
    let good = disk.bytes().to_vec();
    for bit in 0..2 * SECTOR * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut disk = Disk::new(bytes);
        assert_eq!(read(&store, &mut disk, b"s", b"key"), Err(Error::Corrupt), "bit {bit}");
        let reopened = open(&mut disk);
        assert_eq!(reopened.opened().keys, 0);
    }
}

/// One step of a workload.
#[derive(Clone, Debug)]
enum Step {
    Write(u8, u8, usize),
    Delete(u8, u8),
    Erase(u8),
}

const SPACES: [&[u8]; 2] = [b"one", b"two"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..2, 0u8..4, prop::sample::select(vec![0, 10, 500, 2000, 4096]))
            .prop_map(|(space, key, bytes)| Step::Write(space, key, bytes)),
        3 => (0u8..2, 0u8..4).prop_map(|(space, key)| Step::Delete(space, key)),
        1 => (0u8..2).prop_map(Step::Erase),
    ];
    prop::collection::vec(step, 1..14)
}

/// Does a step on store and model; false if the disk failed.
fn run(step: &Step, seed: u64, store: &mut Store, disk: &mut Disk, model: &mut Model) -> bool {
    let space = |at: &u8| SPACES[usize::from(*at)];
    let result = match step {
        Step::Write(at, key, bytes) => {
            let value = value(seed, *bytes);
            let result = store.write(disk, space(at), &[*key], &value, BIG);
            model.insert((space(at).to_vec(), vec![*key]), value);
            result
        }
        Step::Delete(at, key) => {
            model.remove(&(space(at).to_vec(), vec![*key]));
            store.delete(disk, space(at), &[*key])
        }
        Step::Erase(at) => {
            model.retain(|(name, _), _| name != space(at));
            store.erase(disk, space(at))
        }
    };
    match result {
        Ok(()) | Err(Error::NotFound) => true,
        Err(Error::Disk(_)) => false,
        Err(error) => panic!("{step:?}: {error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Power fails after each write and flush of a workload; of what was not flushed, anything may be there, torn too. Each
    /// key then has its old or its new value.
    #[test]
    fn old_or_new_never_neither_never_a_mix(steps in steps(), seed in any::<u64>()) {
        // The whole workload, to count its operations.
        let mut disk = Disk::zeroed(80);
        disk.operations_left = Some(1_000_000);
        let mut store = open(&mut disk);
        let mut models = vec![Model::new()];
        for (at, step) in steps.iter().enumerate() {
            let mut model = models[at].clone();
            prop_assert!(run(step, at as u64, &mut store, &mut disk, &mut model));
            models.push(model);
        }
        let operations = 1_000_000 - disk.operations_left.unwrap();
        for cut in 0..=operations {
            let mut disk = Disk::zeroed(80);
            disk.operations_left = Some(cut);
            let mut store = Box::new(Store::new());
            let mut at = 0;
            if store.open(&mut disk, 80, false).is_ok() {
                while at < steps.len() && run(&steps[at], at as u64, &mut store, &mut disk, &mut models[at].clone()) {
                    at += 1;
                }
            }
            for way in 0..3 {
                let mut after = disk.after_power_loss(random(seed ^ cut as u64 ^ way << 32));
                // Power may fail again while the store is opened.
                let mut early = after.clone();
                early.operations_left = Some((seed % 3) as usize);
                if Store::new().open(&mut early, 80, false).is_err() {
                    after = early.after_power_loss(random(seed ^ way));
                }
                let mut store = open(&mut after);
                let found = content(&store, &mut after, &SPACES);
                let (old, new) = (&models[at], &models[(at + 1).min(steps.len())]);
                // An erasure may be half done; everything else concerns one key.
                for key in old.keys().chain(new.keys()) {
                    let value = found.get(key);
                    prop_assert!(value == old.get(key) || value == new.get(key), "cut {} step {}", cut, at);
                }
                for key in found.keys() {
                    prop_assert!(old.contains_key(key) || new.contains_key(key), "a key from nowhere");
                }
                // And it goes on: nothing that was removed comes back, whatever is done next.
                let mut model = found.clone();
                for (index, step) in steps.iter().enumerate() {
                    prop_assert!(run(step, 1000 + index as u64, &mut store, &mut after, &mut model));
                }
                let store = open(&mut after);
                prop_assert_eq!(content(&store, &mut after, &SPACES), model);
            }
        }
    }

    /// Any bytes are a store, of which some part may be of use.
    #[test]
    fn any_partition_can_be_used(seed in any::<u64>(), damage in prop::collection::vec((0usize..80 * SECTOR, any::<u8>()), 0..40)) {
        let mut disk = Disk::zeroed(80);
        let mut store = open(&mut disk);
        for key in 0..8u8 {
            store.write(&mut disk, SPACES[usize::from(key % 2)], &[key], &value(seed, usize::from(key) * 300), BIG).unwrap();
        }
        let mut bytes = disk.bytes().to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        // Sectors in other places are no blocks there.
        let mut random = random(seed);
        for _ in 0..10 {
            let (from, to) = (random() as usize % 80 * SECTOR, random() as usize % 80 * SECTOR);
            bytes.copy_within(from..from + SECTOR, to);
        }
        let mut disk = Disk::new(bytes);
        let mut store = open(&mut disk);
        let before = content(&store, &mut disk, &SPACES);
        store.write(&mut disk, b"one", b"new", b"value", BIG).unwrap();
        prop_assert_eq!(read(&store, &mut disk, b"one", b"new").unwrap(), b"value");
        let store = open(&mut disk);
        prop_assert_eq!(content(&store, &mut disk, &SPACES).len(), before.len() + 1);
    }
}
