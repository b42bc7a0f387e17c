//! Any bytes are a FAT partition or none, and whatever is on one, each operation ends with a result. Seed the corpus with what
//! `mkfs.vfat -C` makes.
#![no_main]

mod disk;

use disk::Disk;
use libfuzzer_sys::fuzz_target;
use storage::fat::{Mode, Volume};
use storage::sectors::SECTOR;

const MOST_SECTORS: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut disk = Disk::new(bytes, MOST_SECTORS);
    let mut volume = Volume::new();
    let sectors = (disk.0.len() / SECTOR) as u64;
    if volume.open(&mut disk, sectors).is_err() {
        return;
    }
    let mut names = Vec::new();
    let _ = volume.list(&mut disk, "/", 0, |entry| {
        names.push(entry.name.to_string());
        names.len() < 20
    });
    let mut buffer = [0; 3000];
    for name in &names {
        let _ = volume.list(&mut disk, name, 0, |_| true);
        let _ = volume.read(&mut disk, name, 0, &mut buffer);
        let _ = volume.write(&mut disk, name, 0, &[1; 700], Mode { append: true, ..Mode::default() });
        let _ = volume.truncate(&mut disk, name, 1);
        let _ = volume.rename(&mut disk, name, "another long name.text");
        let _ = volume.remove(&mut disk, "another long name.text");
    }
    let _ = volume.make_folder(&mut disk, "folder");
    let _ = volume.write(&mut disk, "folder/file", 0, &[2; 2000], Mode { create: true, ..Mode::default() });
    let _ = volume.capacity(&mut disk);
});
