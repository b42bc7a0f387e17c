//! The FAT file system, held against the crate `fatfs`: what one writes, the other reads.

mod common;

use common::{Disk, random};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use storage::fat::{Info, Mode, Volume};
use storage::{DiskError, Error};

const CREATE: Mode = Mode { create: true, new: false, append: false, replace: false };
const REPLACE: Mode = Mode { replace: true, ..CREATE };
const APPEND: Mode = Mode { append: true, ..CREATE };
const NEW: Mode = Mode { create: false, new: true, append: false, replace: false };

/// Sectors that make each kind of FAT, with the clusters' bytes.
const KINDS: [(u32, usize, u32); 3] = [(12, 2880, 512), (16, 9000, 1024), (32, 70_000, 512)];

fn format(bits: u32) -> Vec<u8> {
    let (_, sectors, cluster_bytes) = *KINDS.iter().find(|kind| kind.0 == bits).unwrap();
    let mut image = Cursor::new(vec![0; sectors * 512]);
    let kind = match bits {
        12 => fatfs::FatType::Fat12,
        16 => fatfs::FatType::Fat16,
        _ => fatfs::FatType::Fat32,
    };
    fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(cluster_bytes))
        .unwrap();
    image.into_inner()
}

fn open(disk: &mut Disk) -> Volume {
    let mut volume = Volume::new();
    let sectors = disk.sectors();
    volume.open(disk, sectors).unwrap();
    volume
}

fn data(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = random(seed);
    (0..bytes).map(|_| random() as u8).collect()
}

fn read_all(volume: &mut Volume, disk: &mut Disk, path: &str) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 3000];
    loop {
        let (length, info) = volume.read(disk, path, all.len() as u64, &mut buffer)?;
        all.extend_from_slice(&buffer[..length]);
        if length < buffer.len() {
            assert_eq!(info.bytes, all.len() as u64);
            return Ok(all);
        }
    }
}

fn names(volume: &mut Volume, disk: &mut Disk, path: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut from = 0;
    loop {
        let mut left = 3;
        from = volume.list(disk, path, from, |entry| {
            if left > 0 {
                names.push(entry.name.to_string());
            }
            left -= 1;
            left >= 0
        })?;
        if from == 0 {
            return Ok(names);
        }
    }
}

/// All files below a folder, with their content; folders have none.
fn tree(image: &[u8]) -> BTreeMap<String, Option<Vec<u8>>> {
    fn walk(folder: &fatfs::Dir<'_, Cursor<Vec<u8>>>, path: &str, tree: &mut BTreeMap<String, Option<Vec<u8>>>) {
        for entry in folder.iter() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name == "." || name == ".." {
                continue;
            }
            let path = format!("{path}/{name}");
            if entry.is_dir() {
                tree.insert(path.clone(), None);
                walk(&entry.to_dir(), &path, tree);
            } else {
                let mut content = Vec::new();
                entry.to_file().read_to_end(&mut content).unwrap();
                assert_eq!(content.len() as u64, entry.len(), "{path}");
                tree.insert(path, Some(content));
            }
        }
    }
    let mut tree = BTreeMap::new();
    let fs = fatfs::FileSystem::new(Cursor::new(image.to_vec()), fatfs::FsOptions::new()).unwrap();
    walk(&fs.root_dir(), "", &mut tree);
    tree
}

#[test]
fn what_the_host_wrote_is_read() {
    for (bits, ..) in KINDS {
        let mut image = Cursor::new(format(bits));
        {
            let fs = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
            let root = fs.root_dir();
            root.create_file("SHORT.TXT").unwrap().write_all(b"short").unwrap();
            root.create_file("A much longer name, größer.text").unwrap().write_all(&data(1, 70_000)).unwrap();
            let folder = root.create_dir("Folder with a name").unwrap();
            (0..100).for_each(|at| {
                folder.create_file(&format!("file number {at}")).unwrap().write_all(&[at; 10]).unwrap();
            });
        }
        let mut disk = Disk::new(image.into_inner());
        let mut volume = open(&mut disk);
        assert_eq!(volume.bits(), bits);
        assert_eq!(
            names(&mut volume, &mut disk, "/").unwrap(),
            ["SHORT.TXT", "A much longer name, größer.text", "Folder with a name"]
        );
        assert_eq!(read_all(&mut volume, &mut disk, "short.txt").unwrap(), b"short");
        let long = read_all(&mut volume, &mut disk, "/a MUCH longer name, GRÖSSER.text");
        assert_eq!(long, Err(Error::NotFound), "ß is not SS");
        assert_eq!(read_all(&mut volume, &mut disk, "/a MUCH longer name, GRößER.text").unwrap(), data(1, 70_000));
        assert_eq!(names(&mut volume, &mut disk, "Folder with a name/").unwrap().len(), 100);
        for at in 0..100 {
            let path = format!("/folder with a name/FILE NUMBER {at}");
            assert_eq!(read_all(&mut volume, &mut disk, &path).unwrap(), [at; 10]);
        }
        assert_eq!(disk.writes, 0);
    }
}

#[test]
fn what_is_written_the_host_reads() {
    for (bits, _, cluster) in KINDS {
        let mut disk = Disk::new(format(bits));
        let mut volume = open(&mut disk);
        let free = volume.capacity(&mut disk).unwrap().1;
        let big = data(2, 32_768);
        assert_eq!(volume.write(&mut disk, "a.txt", 0, b"hello", CREATE), Ok(Info { bytes: 5, folder: false }));
        volume.write(&mut disk, "a.txt", 5, b" world", Mode::default()).unwrap();
        volume.make_folder(&mut disk, "/Some Folder").unwrap();
        volume.make_folder(&mut disk, "/Some Folder/Inside").unwrap();
        for _ in 0..3 {
            volume.write(&mut disk, "/some folder/inside/Long größe.bin", 0, &big, APPEND).unwrap();
        }
        volume.write(&mut disk, "/some folder/inside/long größe.bin", 700, &[7; 5000], Mode::default()).unwrap();
        volume.write(&mut disk, "UPPER.TXT", 0, b"", NEW).unwrap();
        let mut expected = big.repeat(3);
        expected[700..5700].fill(7);
        let found = tree(disk.bytes());
        assert_eq!(found["/a.txt"].as_deref(), Some(&b"hello world"[..]));
        assert_eq!(found["/Some Folder/Inside/Long größe.bin"].as_ref(), Some(&expected));
        assert_eq!(found["/UPPER.TXT"].as_deref(), Some(&b""[..]));
        assert_eq!(found.len(), 5);

        volume.truncate(&mut disk, "some folder/inside/long größe.bin", 40_000).unwrap();
        volume.rename(&mut disk, "some folder/inside", "/moved").unwrap();
        volume.rename(&mut disk, "a.txt", "A.txt").unwrap();
        volume.rename(&mut disk, "A.txt", "moved/b.txt").unwrap();
        let found = tree(disk.bytes());
        assert_eq!(found["/moved/Long größe.bin"].as_deref(), Some(&expected[..40_000]));
        assert_eq!(found["/moved/b.txt"].as_deref(), Some(&b"hello world"[..]));
        assert_eq!(found.len(), 5);

        for path in ["/moved/b.txt", "moved/long größe.bin", "some folder", "moved", "upper.txt"] {
            volume.remove(&mut disk, path).unwrap();
        }
        assert_eq!(tree(disk.bytes()).len(), 0);
        // The root folder of 32 bits may have become longer.
        let left = volume.capacity(&mut disk).unwrap().1;
        assert!(left == free || bits == 32 && left + u64::from(cluster) >= free, "{left} of {free}");
        let mut again = open(&mut disk);
        assert_eq!(again.capacity(&mut disk).unwrap().1, left);
    }
}

#[test]
fn mistakes_have_names() {
    let mut disk = Disk::new(format(16));
    let mut volume = open(&mut disk);
    let mut write = |path: &str, offset, mode| volume.write(&mut disk, path, offset, b"x", mode);
    write("file", 0, NEW).unwrap();
    assert_eq!(write("file", 0, NEW), Err(Error::Exists));
    assert_eq!(write("FILE", 2, CREATE), Err(Error::BeyondEnd));
    assert_eq!(write("none", 0, Mode::default()), Err(Error::NotFound));
    assert_eq!(write("none", 1, CREATE), Err(Error::BeyondEnd));
    assert_eq!(write("none/file", 0, CREATE), Err(Error::NotFound));
    assert_eq!(write("file/inside", 0, CREATE), Err(Error::NotAFolder));
    assert_eq!(write("/", 0, CREATE), Err(Error::IsAFolder));
    for name in ["a:b", "a*", "trailing.", " leading", "nul\0", "tab\t", &"x".repeat(256)] {
        assert_eq!(write(name, 0, CREATE), Err(Error::BadName), "{name}");
    }
    assert_eq!(write("a/../b", 0, CREATE), Err(Error::BadName));
    assert_eq!(write("..", 0, CREATE), Err(Error::BadName));
    assert_eq!(write("./b", 0, CREATE), Err(Error::BadName));
    volume.make_folder(&mut disk, "folder").unwrap();
    assert_eq!(volume.write(&mut disk, "folder/..", 0, b"", CREATE), Err(Error::BadName));
    assert_eq!(volume.write(&mut disk, "folder", 0, b"", CREATE), Err(Error::IsAFolder));
    assert_eq!(volume.make_folder(&mut disk, "FOLDER"), Err(Error::Exists));
    assert_eq!(volume.make_folder(&mut disk, "none/folder"), Err(Error::NotFound));
    volume.make_folder(&mut disk, "folder/deep").unwrap();
    assert_eq!(volume.remove(&mut disk, "folder"), Err(Error::NotEmpty));
    assert_eq!(volume.rename(&mut disk, "folder", "folder/deep/folder"), Err(Error::BadName));
    assert_eq!(volume.rename(&mut disk, "folder", "file"), Err(Error::Exists));
    assert_eq!(volume.rename(&mut disk, "none", "other"), Err(Error::NotFound));
    assert_eq!(volume.truncate(&mut disk, "file", 2).map(|_| ()), Err(Error::BeyondEnd));
    assert_eq!(volume.read(&mut disk, "file", 2, &mut []).map(|_| ()), Err(Error::BeyondEnd));
    assert_eq!(volume.read(&mut disk, "folder", 0, &mut []).map(|_| ()), Err(Error::IsAFolder));
    assert_eq!(volume.stat(&mut disk, "//folder/deep/"), Ok(Info { bytes: 0, folder: true }));
    disk.read_only = true;
    assert_eq!(volume.write(&mut disk, "new", 0, b"", CREATE), Err(Error::Disk(DiskError::ReadOnly)));
}

#[test]
fn a_full_disk_refuses_and_keeps_what_it_has() {
    for bits in [12, 16] {
        let mut disk = Disk::new(format(bits));
        let mut volume = open(&mut disk);
        let chunk = data(3, 32_768);
        let mut chunks = 0;
        let refused = loop {
            match volume.write(&mut disk, "big file", 0, &chunk, APPEND) {
                Ok(_) => chunks += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, Error::Full);
        assert_eq!(read_all(&mut volume, &mut disk, "big file").unwrap(), chunk.repeat(chunks));
        // The rest, cluster by cluster.
        let mut small = 0;
        while volume.write(&mut disk, &format!("small file {small}"), 0, b"x", CREATE).is_ok() {
            small += 1;
        }
        assert_eq!(volume.capacity(&mut disk).unwrap().1, 0);
        assert_eq!(volume.make_folder(&mut disk, "folder"), Err(Error::Full));
        assert_eq!(volume.write(&mut disk, "big file", 0, &[1; 600], REPLACE), Err(Error::Full));
        assert_eq!(tree(disk.bytes()).len(), small + 1);
        volume.remove(&mut disk, "big file").unwrap();
        volume.make_folder(&mut disk, "folder").unwrap();
    }
}

#[test]
fn a_root_folder_that_cannot_grow_is_full_before_the_disk() {
    let mut disk = Disk::new(format(12));
    let mut volume = open(&mut disk);
    let free = volume.capacity(&mut disk).unwrap().1;
    let mut count = 0;
    while volume.write(&mut disk, &format!("name number {count}"), 0, b"x", CREATE).is_ok() {
        count += 1;
    }
    assert!(count > 70);
    assert_eq!(volume.capacity(&mut disk).unwrap().1, free - count * 512, "a file without an entry has no clusters");
    assert_eq!(tree(disk.bytes()).len() as u64, count);
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u16, u16),
    Replace(u8, u16),
    Append(u8, u16),
    Truncate(u8, u16),
    Remove(u8),
    Rename(u8, u8),
    MakeFolder(u8),
}

/// Some paths, folders and files alike.
fn path(at: u8) -> String {
    let names = ["a", "a long name", "B.TXT", "großes ding.data"];
    let folder = ["", "/folder one", "/folder two/inside"][usize::from(at / 4 % 3)];
    format!("{folder}/{}", names[usize::from(at % 4)])
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let at = 0u8..12;
    let step = prop_oneof![
        (at.clone(), 0u16..5000, 0u16..5000).prop_map(|(at, offset, bytes)| Step::Write(at, offset, bytes)),
        (at.clone(), 0u16..9000).prop_map(|(at, bytes)| Step::Replace(at, bytes)),
        (at.clone(), 0u16..3000).prop_map(|(at, bytes)| Step::Append(at, bytes)),
        (at.clone(), 0u16..5000).prop_map(|(at, bytes)| Step::Truncate(at, bytes)),
        at.clone().prop_map(Step::Remove),
        (at.clone(), at.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        at.prop_map(Step::MakeFolder),
    ];
    prop::collection::vec(step, 1..count)
}

fn run(step: &Step, seed: u64, volume: &mut Volume, disk: &mut Disk) -> Result<(), Error> {
    let bytes = |count: &u16| data(seed, usize::from(*count));
    match step {
        Step::Write(at, offset, count) => {
            volume.write(disk, &path(*at), u64::from(*offset), &bytes(count), CREATE).map(|_| ())
        }
        Step::Replace(at, count) => volume.write(disk, &path(*at), 0, &bytes(count), REPLACE).map(|_| ()),
        Step::Append(at, count) => volume.write(disk, &path(*at), 0, &bytes(count), APPEND).map(|_| ()),
        Step::Truncate(at, count) => volume.truncate(disk, &path(*at), u64::from(*count)).map(|_| ()),
        Step::Remove(at) => volume.remove(disk, &path(*at)),
        Step::Rename(from, to) => volume.rename(disk, &path(*from), &path(*to)),
        Step::MakeFolder(at) => volume.make_folder(disk, &path(*at)),
    }
}

/// What a step does to a tree, if it does anything.
fn model(step: &Step, seed: u64, tree: &mut BTreeMap<String, Option<Vec<u8>>>) {
    let file = |tree: &BTreeMap<String, Option<Vec<u8>>>, at: &u8| tree.get(&path(*at)).cloned().flatten();
    let new = |count: &u16| data(seed, usize::from(*count));
    match step {
        Step::Write(at, offset, count) => {
            let mut content = file(tree, at).unwrap_or_default();
            let (offset, bytes) = (usize::from(*offset), new(count));
            content.resize(content.len().max(offset + bytes.len()), 0);
            content[offset..offset + bytes.len()].copy_from_slice(&bytes);
            tree.insert(path(*at), Some(content));
        }
        Step::Replace(at, count) => drop(tree.insert(path(*at), Some(new(count)))),
        Step::Append(at, count) => {
            let content = [file(tree, at).unwrap_or_default(), new(count)].concat();
            tree.insert(path(*at), Some(content));
        }
        Step::Truncate(at, count) => {
            let mut content = file(tree, at).unwrap();
            content.truncate((*count).into());
            tree.insert(path(*at), Some(content));
        }
        Step::Remove(at) => drop(tree.remove(&path(*at))),
        Step::Rename(from, to) => {
            let moved = tree.remove(&path(*from)).unwrap();
            tree.insert(path(*to), moved);
        }
        Step::MakeFolder(at) => drop(tree.insert(path(*at), None)),
    }
}

fn folders(volume: &mut Volume, disk: &mut Disk) {
    for folder in ["/folder one", "/folder two", "/folder two/inside"] {
        volume.make_folder(disk, folder).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Any steps leave the tree that the model has, as the host reads it.
    #[test]
    fn the_tree_is_as_the_model_says(bits in prop::sample::select(vec![12u32, 16]), steps in steps(40)) {
        let mut disk = Disk::new(format(bits));
        let mut volume = open(&mut disk);
        folders(&mut volume, &mut disk);
        let mut expected = tree(disk.bytes());
        for (seed, step) in steps.iter().enumerate() {
            match run(step, seed as u64, &mut volume, &mut disk) {
                Ok(()) => model(step, seed as u64, &mut expected),
                Err(Error::Corrupt | Error::Disk(_)) => prop_assert!(false, "{:?}", step),
                Err(_) => {}
            }
        }
        prop_assert_eq!(tree(disk.bytes()), expected);
        // No cluster is lost: removing all makes all free again.
        let all = tree(disk.bytes());
        for path in all.keys().rev() {
            volume.remove(&mut disk, path).unwrap();
        }
        let free = volume.capacity(&mut disk).unwrap();
        prop_assert_eq!(free.0, free.1);
    }

    /// Power fails after any write of a step: every other file is as it was, and this one can be read: it has its old or its
    /// new length, and if it was replaced, its old or its new content.
    #[test]
    fn power_loss_breaks_no_file(steps in steps(6), cut in 0usize..40, seed in any::<u64>()) {
        let mut disk = Disk::new(format(12));
        let mut volume = open(&mut disk);
        folders(&mut volume, &mut disk);
        for at in 0..12 {
            volume.write(&mut disk, &path(at), 0, &data(u64::from(at), 1500), CREATE).unwrap();
        }
        let (last, before) = steps.split_last().unwrap();
        for (seed, step) in before.iter().enumerate() {
            let _ = run(step, seed as u64, &mut volume, &mut disk);
        }
        let old = tree(disk.bytes());
        let mut new = old.clone();
        disk.operations_left = Some(cut);
        let result = run(last, 99, &mut volume, &mut disk);
        let touched: Vec<String> = match last {
            Step::Rename(from, to) => vec![path(*from), path(*to)],
            Step::Write(at, ..) | Step::Replace(at, _) | Step::Append(at, _) | Step::Truncate(at, _) | Step::Remove(at)
            | Step::MakeFolder(at) => vec![path(*at)],
        };
        if matches!(result, Ok(()) | Err(Error::Disk(_))) {
            let fits = match last {
                Step::Truncate(at, _) | Step::Remove(at) => old.contains_key(&path(*at)),
                Step::Rename(from, _) => old.contains_key(&path(*from)),
                _ => true,
            };
            if fits {
                model(last, 99, &mut new);
            }
        }
        let mut after = disk.after_power_loss(random(seed));
        let found = {
            let mut volume = open(&mut after);
            let mut found = BTreeMap::new();
            for (path, content) in &old {
                if content.is_some() && !touched.contains(path) {
                    found.insert(path.clone(), Some(read_all(&mut volume, &mut after, path).unwrap()));
                }
            }
            // A torn sector of a folder can hide the entries beside it; that is the sector's fault, so look at them alone.
            for path in &touched {
                if let Ok(content) = read_all(&mut volume, &mut after, path) {
                    let lengths = [&old, &new].map(|tree| tree.get(path).cloned().flatten().map(|content| content.len()));
                    prop_assert!(lengths.contains(&Some(content.len())), "{path}: {} of {lengths:?}", content.len());
                    if matches!(last, Step::Replace(..)) {
                        let some = Some(Some(content));
                        prop_assert!(some.as_ref() == old.get(path) || some.as_ref() == new.get(path));
                    }
                }
            }
            found
        };
        for (path, content) in found {
            prop_assert_eq!(&content, &old[&path], "{}", path);
        }
    }

    /// Whatever is on the disk, nothing panics and everything ends.
    #[test]
    fn any_image_is_harmless(
        bits in prop::sample::select(vec![12u32, 16]),
        damage in prop::collection::vec((0usize..40_000, any::<u8>()), 0..60),
        head in prop::collection::vec((0usize..64, any::<u8>()), 0..4),
        steps in steps(10),
    ) {
        let mut disk = Disk::new(format(bits));
        let mut volume = open(&mut disk);
        folders(&mut volume, &mut disk);
        for at in 0..12 {
            volume.write(&mut disk, &path(at), 0, &data(u64::from(at), 700), CREATE).unwrap();
        }
        let mut bytes = disk.bytes().to_vec();
        for (at, byte) in damage.into_iter().chain(head) {
            bytes[at] = byte;
        }
        let mut disk = Disk::new(bytes);
        let sectors = disk.sectors();
        if volume.open(&mut disk, sectors).is_ok() {
            for (seed, step) in steps.iter().enumerate() {
                let _ = run(step, seed as u64, &mut volume, &mut disk);
            }
            for folder in ["/", "/folder one", "/folder two/inside"] {
                let _ = names(&mut volume, &mut disk, folder);
            }
            let _ = volume.capacity(&mut disk);
            prop_assert!(disk.reads < 2_000_000);
        }
    }
}
