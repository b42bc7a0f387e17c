//! The requests of clients: spaces, quotas, buffers, and disks that fail.

mod common;

use common::Disk;
use proptest::prelude::*;
use protocols::storage::{
    DiskInfo, Entries, FileInfo, KvUsage, Listed, MAX_TRANSFER, Reply, Request, code, flag, kind,
};
use ring::Span;
use std::io::Cursor;
use std::sync::atomic::{AtomicU8, Ordering};
use storage::sectors::{SECTOR, Sectors};
use storage::service::{Client, Mounts, SCRATCH_BYTES};

const FILES_SECTORS: usize = 2880;
const KEYS_SECTORS: usize = 256;

/// A disk as the host makes it: a table, files, keys.
fn disk() -> Disk {
    let mut files = Cursor::new(vec![0; FILES_SECTORS * SECTOR]);
    fatfs::format_volume(&mut files, fatfs::FormatVolumeOptions::new()).unwrap();
    let mut image = vec![0; 64 * SECTOR];
    for (entry, kind, start, sectors) in [(446, 0x0e, 64, FILES_SECTORS), (462, 0xda, 64 + FILES_SECTORS, KEYS_SECTORS)]
    {
        image[entry + 4] = kind;
        image[entry + 8..entry + 12].copy_from_slice(&(start as u32).to_le_bytes());
        image[entry + 12..entry + 16].copy_from_slice(&(sectors as u32).to_le_bytes());
    }
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image.extend(files.into_inner());
    image.resize(image.len() + KEYS_SECTORS * SECTOR, 0);
    Disk::new(image)
}

/// A client with its region, and the service.
struct Scene {
    disk: Option<Disk>,
    mounts: Box<Mounts>,
    scratch: Vec<u8>,
    data: Vec<AtomicU8>,
    client: Client,
}

const NAME_AT: usize = 0;
const DATA_AT: usize = 512;

impl Scene {
    fn new(disk: Option<Disk>, client: Client) -> Self {
        Scene {
            disk,
            mounts: Box::new(Mounts::new()),
            scratch: vec![0; SCRATCH_BYTES],
            data: (0..DATA_AT + MAX_TRANSFER + 100).map(|_| AtomicU8::new(0)).collect(),
            client,
        }
    }

    fn put(&self, at: usize, bytes: &[u8]) -> Span {
        for (to, byte) in self.data[at..].iter().zip(bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
        Span { offset: at as u32, bytes: bytes.len() as u32 }
    }

    fn raw(&mut self, request: Request) -> Reply {
        self.client.answer(&request, &self.data, &mut self.scratch, &mut self.mounts, &mut self.disk)
    }

    /// With bytes to send.
    fn send(&mut self, kind: u32, space: u32, flags: u32, name: &str, bytes: &[u8]) -> u32 {
        let (name, data) = (self.put(NAME_AT, name.as_bytes()), self.put(DATA_AT, bytes));
        self.raw(Request { kind, id: 1, space, flags, name, data, ..Request::default() }).code
    }

    /// With room for bytes.
    fn get(&mut self, kind: u32, space: u32, name: &str, room: u32) -> (Reply, Vec<u8>) {
        let name = self.put(NAME_AT, name.as_bytes());
        let data = Span { offset: DATA_AT as u32, bytes: room };
        let reply = self.raw(Request { kind, id: 1, space, name, data, ..Request::default() });
        let bytes = &self.data[DATA_AT..DATA_AT + reply.bytes as usize];
        (reply, bytes.iter().map(|byte| byte.load(Ordering::Relaxed)).collect())
    }

    fn open(&mut self, space: u32, name: &str, quota_bytes: u64, quota_keys: u64) -> u32 {
        let name = self.put(NAME_AT, name.as_bytes());
        let request = Request { kind: kind::OPEN_SPACE, space, name, ..Request::default() };
        self.raw(Request { offset: quota_bytes, argument: quota_keys, ..request }).code
    }

    fn names(&mut self, kind: u32, space: u32, path: &str) -> Result<Vec<String>, u32> {
        let (reply, bytes) = self.get(kind, space, path, 4096);
        if reply.code != code::DONE {
            return Err(reply.code);
        }
        assert_eq!(reply.body::<Listed>().next, 0);
        Ok(Entries(&bytes).map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect())
    }
}

fn shell() -> Client {
    Client::new("client0", true)
}

#[test]
fn apps_see_their_own_folder_and_keys_and_no_others() {
    let mut scene = Scene::new(Some(disk()), shell());
    assert_eq!(scene.send(kind::WRITE, 1, flag::CREATE, "a", b"x"), code::NOT_FOUND, "the space is not open");
    assert_eq!(scene.open(1, "one", 1000, 10), code::DONE);
    assert_eq!(scene.open(2, "two", 1000, 10), code::DONE);
    // Nothing is there, and the folder is not made for looking.
    assert_eq!(scene.names(kind::LIST, 1, "/"), Ok(vec![]));
    assert_eq!(scene.get(kind::STAT, 1, "", 0).0.body::<FileInfo>().folder, 1);
    assert_eq!(scene.names(kind::LIST, 0, "/"), Ok(vec![]));
    assert_eq!(scene.send(kind::WRITE, 1, flag::CREATE, "notes.txt", b"of one"), code::DONE);
    assert_eq!(scene.send(kind::MAKE_FOLDER, 2, 0, "/folder", b""), code::DONE);
    assert_eq!(scene.names(kind::LIST, 0, "/apps"), Ok(vec!["one".into(), "two".into()]));
    assert_eq!(scene.get(kind::READ, 0, "/apps/one/notes.txt", 100).1, b"of one");
    assert_eq!(scene.get(kind::READ, 1, "notes.txt", 100).1, b"of one");
    assert_eq!(scene.get(kind::READ, 2, "notes.txt", 100).0.code, code::NOT_FOUND);
    for path in ["../one/notes.txt", "folder/../../one/notes.txt", "/../one/notes.txt", ".."] {
        assert_eq!(scene.get(kind::READ, 2, path, 100).0.code, code::BAD_NAME, "{path}");
    }
    assert_eq!(scene.send(kind::RENAME, 1, 0, "notes.txt", b"../two/notes.txt"), code::BAD_NAME);
    assert_eq!(scene.send(kind::REMOVE, 1, 0, "/", b""), code::IS_A_FOLDER);
    assert_eq!(scene.send(kind::RENAME, 1, 0, "//", b"x"), code::IS_A_FOLDER);

    assert_eq!(scene.send(kind::KV_WRITE, 1, 0, "key", b"of one"), code::DONE);
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "key", b"of the shell"), code::DONE);
    assert_eq!(scene.get(kind::KV_READ, 1, "key", 100).1, b"of one");
    assert_eq!(scene.get(kind::KV_READ, 0, "key", 100).1, b"of the shell");
    assert_eq!(scene.get(kind::KV_READ, 2, "key", 100).0.code, code::NOT_FOUND);
    assert_eq!(scene.get(kind::KV_READ, 1, "key", 5).0.code, code::TOO_LARGE);
    for name in ["@client0", "", "a/b", "..", ".", "a.", "ä", "a b", &"x".repeat(33)] {
        assert_eq!(scene.open(3, name, 1000, 10), code::BAD_NAME, "{name}");
    }
    assert_eq!(scene.open(0, "zero", 1000, 10), code::BAD_REQUEST);
    assert_eq!(scene.open(16, "far", 1000, 10), code::BAD_REQUEST);
    assert_eq!(scene.send(kind::KV_ERASE, 1, 0, "", b""), code::DONE);
    assert_eq!(scene.names(kind::KV_LIST, 1, ""), Ok(vec![]));
    assert_eq!(scene.names(kind::KV_LIST, 0, ""), Ok(vec!["key".into()]));
    assert_eq!(scene.send(kind::CLOSE_SPACE, 1, 0, "", b""), code::DONE);
    assert_eq!(scene.send(kind::CLOSE_SPACE, 1, 0, "", b""), code::NOT_FOUND);
    // A client that starts anew has no spaces.
    scene.client.forget();
    assert_eq!(scene.names(kind::LIST, 2, "/"), Err(code::NOT_FOUND));
}

#[test]
fn a_client_without_privilege_has_a_folder_of_its_own() {
    let mut scene = Scene::new(Some(disk()), Client::new("client2", false));
    assert_eq!(scene.open(1, "one", 1000, 10), code::DENIED);
    assert_eq!(scene.send(kind::WRITE, 0, flag::NEW, "mine", b"1"), code::DONE);
    assert_eq!(scene.names(kind::LIST, 0, "/"), Ok(vec!["mine".into()]));
    scene.client = shell();
    assert_eq!(scene.names(kind::LIST, 0, "/clients/client2"), Ok(vec!["mine".into()]));
}

#[test]
fn quotas_are_the_spaces() {
    let mut scene = Scene::new(Some(disk()), shell());
    assert_eq!(scene.open(1, "small", 20, 2), code::DONE);
    assert_eq!(scene.send(kind::KV_WRITE, 1, 0, "a", &[0; 19]), code::DONE);
    assert_eq!(scene.send(kind::KV_WRITE, 1, 0, "b", b""), code::QUOTA);
    let usage: KvUsage = scene.get(kind::KV_USAGE, 1, "", 0).0.body();
    assert_eq!((usage.keys, usage.bytes, usage.quota_keys, usage.quota_bytes), (1, 20, 2, 20));
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "b", &[0; 8193]), code::TOO_LARGE);
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "b", &[0; 8192]), code::DONE);
}

#[test]
fn lists_go_on_where_they_ended() {
    let mut scene = Scene::new(Some(disk()), shell());
    for at in 0..20 {
        assert_eq!(scene.send(kind::WRITE, 0, flag::NEW, &format!("file number {at:02}"), b""), code::DONE);
        assert_eq!(scene.send(kind::KV_WRITE, 0, 0, &format!("key number {at:02}"), b""), code::DONE);
    }
    for kind in [kind::LIST, kind::KV_LIST] {
        let (mut offset, mut names) = (0, Vec::new());
        loop {
            let name = self::Span::default();
            let data = Span { offset: DATA_AT as u32, bytes: 100 };
            let reply = scene.raw(Request { kind, offset, name, data, ..Request::default() });
            assert_eq!(reply.code, code::DONE);
            let bytes: Vec<u8> = scene.data[DATA_AT..DATA_AT + reply.bytes as usize]
                .iter()
                .map(|byte| byte.load(Ordering::Relaxed))
                .collect();
            names.extend(Entries(&bytes).map(|entry| entry.name.to_vec()));
            offset = reply.body::<Listed>().next;
            if offset == 0 {
                break;
            }
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 20);
        // Room for not even one.
        assert_eq!(scene.get(kind, 0, "", 20).0.code, code::TOO_LARGE);
    }
}

#[test]
fn disks_that_are_not_there_or_fail_and_come_back() {
    let mut scene = Scene::new(None, shell());
    assert_eq!(scene.names(kind::LIST, 0, "/"), Err(code::NO_DISK));
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "k", b"v"), code::NO_DISK);
    let info: DiskInfo = scene.get(kind::DISK_INFO, 0, "", 0).0.body();
    assert_eq!((info.disk_bytes, info.files.code, info.keys.code), (0, code::NO_DISK, code::NO_DISK));
    scene.disk = Some(disk());
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "k", b"old"), code::DONE);
    assert_eq!(scene.send(kind::WRITE, 0, flag::CREATE, "f", b"old"), code::DONE);
    for operations in 0..20 {
        for (kind, name) in [(kind::WRITE, "f"), (kind::KV_WRITE, "k")] {
            scene.disk.as_mut().unwrap().operations_left = Some(operations);
            let flags = if kind == kind::WRITE { flag::REPLACE } else { 0 };
            let answer = scene.send(kind, 0, flags, name, b"new");
            assert!(matches!(answer, code::DONE | code::IO_ERROR), "{answer}");
            scene.disk.as_mut().unwrap().operations_left = None;
            let read = if kind == kind::WRITE { kind::READ } else { kind::KV_READ };
            let (reply, bytes) = scene.get(read, 0, name, 100);
            assert_eq!(reply.code, code::DONE);
            assert!(bytes == b"old" || bytes == b"new", "{bytes:?}");
            assert!(answer != code::DONE || bytes == b"new");
            assert_eq!(scene.send(kind, 0, flags, name, b"old"), code::DONE);
        }
    }
    scene.disk.as_mut().unwrap().absent = true;
    scene.disk.as_mut().unwrap().operations_left = Some(0);
    assert_eq!(scene.names(kind::LIST, 0, "/"), Err(code::IO_ERROR));
    assert_eq!(scene.names(kind::LIST, 0, "/"), Err(code::NO_DISK));
}

#[test]
fn disks_without_partitions() {
    let whole = {
        let mut files = Cursor::new(vec![0; FILES_SECTORS * SECTOR]);
        fatfs::format_volume(&mut files, fatfs::FormatVolumeOptions::new()).unwrap();
        Disk::new(files.into_inner())
    };
    let mut scene = Scene::new(Some(whole), shell());
    assert_eq!(scene.send(kind::WRITE, 0, flag::CREATE, "f", b"x"), code::DONE);
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "k", b"v"), code::NOT_FORMATTED);
    let mut scene = Scene::new(Some(Disk::zeroed(100)), shell());
    assert_eq!(scene.send(kind::WRITE, 0, flag::CREATE, "f", b"x"), code::NOT_FORMATTED);
    let mut scene = Scene::new(Some(Disk::new(Vec::new())), shell());
    assert_eq!(scene.send(kind::KV_WRITE, 0, 0, "k", b"v"), code::NOT_FORMATTED);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Any request gets its reply, and the disk is of use afterwards.
    #[test]
    fn any_request_is_answered(
        requests in prop::collection::vec(
            (0u32..36, 0u32..18, 0u32..20, 0u32..700, 0u32..700, 0u32..40_000, prop::option::of(0u64..70_000), any::<u8>()),
            1..12,
        ),
    ) {
        let mut scene = Scene::new(Some(disk()), shell());
        scene.open(1, "one", 5000, 5);
        for (id, (kind, space, flags, name_at, name_bytes, data_bytes, offset, byte)) in requests.into_iter().enumerate() {
            let text = [b"a", b"/", b".", b"\xff"][usize::from(byte % 4)];
            scene.put(name_at as usize % 300, &text.repeat(usize::from(byte)));
            let request = Request {
                kind,
                id: id as u32,
                space: space % 3,
                flags,
                name: Span { offset: name_at, bytes: name_bytes % 80 },
                data: Span { offset: DATA_AT as u32, bytes: data_bytes },
                offset: offset.unwrap_or(u64::MAX),
                argument: if kind == kind::OPEN_SPACE { 3 } else { 0 },
            };
            let reply = scene.raw(request);
            prop_assert_eq!((reply.kind, reply.id), (kind, id as u32));
            prop_assert!(reply.bytes <= request.data.bytes);
            prop_assert!(reply.code != code::CORRUPT && reply.code != code::IO_ERROR);
        }
        scene.client.forget();
        prop_assert_eq!(scene.send(kind::WRITE, 0, flag::CREATE, "still", b"works"), code::DONE);
        prop_assert_eq!(scene.disk.facts().unwrap().sectors as usize, 64 + FILES_SECTORS + KEYS_SECTORS);
    }
}

#[test]
fn places_outside_the_region_are_refused() {
    let mut scene = Scene::new(Some(disk()), shell());
    let size = scene.data.len() as u32;
    for span in [
        Span { offset: size, bytes: 1 },
        Span { offset: size - 1, bytes: 2 },
        Span { offset: u32::MAX, bytes: u32::MAX },
        Span { offset: 0, bytes: u32::MAX },
    ] {
        let request = Request { kind: kind::STAT, name: span, ..Request::default() };
        assert_eq!(scene.raw(request).code, code::BAD_BUFFER);
        let request = Request { kind: kind::DISK_INFO, data: span, ..Request::default() };
        assert_eq!(scene.raw(request).code, code::BAD_BUFFER);
    }
}
