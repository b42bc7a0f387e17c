//! Any bytes are a key-value partition, of which some part may be of use, and which takes new keys.
#![no_main]

mod disk;

use disk::Disk;
use libfuzzer_sys::fuzz_target;
use storage::Error;
use storage::kv::{Quota, Store};
use storage::sectors::SECTOR;

const MOST_SECTORS: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    let mut disk = Disk::new(bytes, MOST_SECTORS);
    let sectors = (disk.0.len() / SECTOR) as u64;
    let mut store = Box::new(Store::new());
    store.open(&mut disk, sectors, false).expect("the disk does not fail");
    let mut keys = Vec::new();
    store.list(&mut disk, b"space", 0, |key, _| {
        keys.push(key.to_vec());
        true
    })
    .expect("what was whole is whole");
    let mut buffer = [0; 8192];
    for key in &keys {
        store.read(&mut disk, b"space", key, &mut buffer).expect("what was whole is whole");
    }
    let quota = Quota { keys: 1000, bytes: 1 << 20 };
    match store.write(&mut disk, b"space", b"new", &[7; 1000], quota) {
        Ok(()) => {
            assert_eq!(store.read(&mut disk, b"space", b"new", &mut buffer), Ok(1000));
            store.open(&mut disk, sectors, false).expect("the disk does not fail");
            assert_eq!(store.read(&mut disk, b"space", b"new", &mut buffer), Ok(1000));
        }
        Err(error) => assert_eq!(error, Error::Full),
    }
});
