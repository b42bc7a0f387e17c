//! Storage: files of the disk's FAT partition, and a key-value store in a partition of its own.
//!
//! A client and the storage service share a link and a data region that both may write. A [`Request`] names two places in
//! the region: `name` holds a path or a key, `data` the bytes to write, or room for those that are read. The client leaves
//! both alone until the [`Reply`] with that number comes. The service takes requests one after the other, so replies come in
//! the order of the requests; as many as the ring holds may be under way. Each gets exactly one reply, unless the service
//! restarts: then the link begins a new session and it is unknown which of the requests under way were done. All but
//! [`flag::APPEND`], [`flag::NEW`] and [`kind::RENAME`] may be made again with the same outcome.
//!
//! # Spaces
//! A request is made in a *space*: a folder that paths begin in and cannot leave, and a name space of keys with a quota.
//! Space 0 is the client's own. For the privileged clients (`client0` and `client1` of the service) its folder is the root of
//! the disk; for the others it is `/clients/NAME`. A privileged client may open further spaces for those it serves
//! ([`kind::OPEN_SPACE`]): the space `NAME` has the folder `/apps/NAME`, which is made when something is first written there.
//!
//! # Paths
//! UTF-8, at most [`MAX_PATH`] bytes, folders between `/`; one at the start or the end changes nothing. `.` and `..` are refused.
//! Names are compared without regard to case, as FAT does, and kept as they were written.
//!
//! [`Client`] is a client's side of it.

mod client;
pub use client::{Ask, Client, ClientError, Event};

use ring::Span;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"STOR");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Bytes of a path.
pub const MAX_PATH: usize = 255;
/// Bytes of a key; at least 1.
pub const MAX_KEY: usize = 64;
/// Bytes of a value.
pub const MAX_VALUE: usize = 8192;
/// Bytes of a file that one request reads or writes.
pub const MAX_TRANSFER: usize = 0x8000;
/// Spaces of one client, its own among them: numbers from 0 to this, exclusive.
pub const MAX_SPACES: usize = 16;
/// Bytes of a space's name: letters, digits, `-`, `_` and `.`, not beginning with a dot.
pub const MAX_SPACE_NAME: usize = 32;
/// The quota of a client's own space: bytes of keys and values together.
pub const OWN_QUOTA_BYTES: u64 = 256 * 1024;
/// The quota of a client's own space: keys.
pub const OWN_QUOTA_KEYS: u64 = 128;

/// Kinds of requests.
pub mod kind {
    /// The folder `name`: writes [`super::Entries`] to `data`, from `offset` on (0 at first); the reply's body is
    /// [`super::Listed`], which says where to go on.
    pub const LIST: u32 = 1;
    /// The file or folder `name`: the reply's body is a [`super::FileInfo`].
    pub const STAT: u32 = 2;
    /// Reads the file `name` from `offset` into `data`; fewer bytes at the file's end. Body: [`super::FileInfo`].
    pub const READ: u32 = 3;
    /// Writes `data` to the file `name` at `offset`, which is not beyond the file's end; see [`super::flag`]. Body: [`super::FileInfo`].
    pub const WRITE: u32 = 4;
    /// Cuts the file `name` down to `offset` bytes.
    pub const TRUNCATE: u32 = 5;
    /// Removes the file or the empty folder `name`.
    pub const REMOVE: u32 = 6;
    /// Renames or moves `name` to the path in `data`, where nothing may be.
    pub const RENAME: u32 = 7;
    /// Makes the folder `name`; the one above it exists.
    pub const MAKE_FOLDER: u32 = 8;
    /// The reply's body is a [`super::DiskInfo`].
    pub const DISK_INFO: u32 = 9;
    /// Reads the value of key `name` into `data`, which has room for all of it.
    pub const KV_READ: u32 = 16;
    /// Makes `data` the value of key `name`. When this is answered, it is durable.
    pub const KV_WRITE: u32 = 17;
    /// Removes key `name`. When this is answered, that is durable.
    pub const KV_DELETE: u32 = 18;
    /// Writes the keys as [`super::Entries`] to `data`, from `offset` on (0 at first). Body: [`super::Listed`].
    pub const KV_LIST: u32 = 19;
    /// The reply's body is a [`super::KvUsage`].
    pub const KV_USAGE: u32 = 20;
    /// Removes all keys of the space, one after the other; power that fails leaves some.
    pub const KV_ERASE: u32 = 21;
    /// Privileged clients: makes `space`, not 0, the space that `name` names, with a quota of `offset` bytes and `argument`
    /// keys. What the number meant before is forgotten.
    pub const OPEN_SPACE: u32 = 32;
    /// Privileged clients: forgets `space`.
    pub const CLOSE_SPACE: u32 = 33;
}

/// [`Request::flags`] of a write; 0 in all other requests.
pub mod flag {
    /// Make the file if there is none.
    pub const CREATE: u32 = 1;
    /// Make the file; there must not be one.
    pub const NEW: u32 = 2;
    /// Write at the file's end; `offset` is 0.
    pub const APPEND: u32 = 4;
    /// Empty the file first; `offset` is 0.
    pub const REPLACE: u32 = 8;
    /// All of them.
    pub const ALL: u32 = 15;
}

/// How a request ended: [`Reply::code`].
pub mod code {
    /// As it should.
    pub const DONE: u32 = 0;
    /// There is no such file, folder, key or space.
    pub const NOT_FOUND: u32 = 1;
    /// There is something of that name already.
    pub const EXISTS: u32 = 2;
    /// A part of the path is a file.
    pub const NOT_A_FOLDER: u32 = 3;
    /// It is a folder.
    pub const IS_A_FOLDER: u32 = 4;
    /// The folder has something in it.
    pub const NOT_EMPTY: u32 = 5;
    /// The name is empty, too long, or has characters that it may not have.
    pub const BAD_NAME: u32 = 6;
    /// A place is not inside the data region.
    pub const BAD_BUFFER: u32 = 7;
    /// The kind of request is unknown, or a field is not as it should be.
    pub const BAD_REQUEST: u32 = 8;
    /// Only privileged clients may.
    pub const DENIED: u32 = 9;
    /// The partition is full.
    pub const FULL: u32 = 10;
    /// The space's quota does not allow it.
    pub const QUOTA: u32 = 11;
    /// Too many bytes at once, or for a file; or the buffer is too small for the value.
    pub const TOO_LARGE: u32 = 12;
    /// The disk cannot be written.
    pub const READ_ONLY: u32 = 13;
    /// There is no disk.
    pub const NO_DISK: u32 = 14;
    /// The disk failed to read or write.
    pub const IO_ERROR: u32 = 15;
    /// The disk, or its driver, does not answer.
    pub const TIMED_OUT: u32 = 16;
    /// There is no such partition on the disk, or it holds no file system that is understood.
    pub const NOT_FORMATTED: u32 = 17;
    /// What is on the disk contradicts itself.
    pub const CORRUPT: u32 = 18;
    /// The offset is beyond the file's end.
    pub const BEYOND_END: u32 = 19;

    /// What a code says, in words.
    pub fn text(code: u32) -> &'static str {
        match code {
            DONE => "done",
            NOT_FOUND => "not found",
            EXISTS => "exists already",
            NOT_A_FOLDER => "not a folder",
            IS_A_FOLDER => "is a folder",
            NOT_EMPTY => "the folder is not empty",
            BAD_NAME => "not a valid name",
            BAD_BUFFER => "a buffer is not inside the shared region",
            BAD_REQUEST => "not a request",
            DENIED => "not allowed",
            FULL => "the disk is full",
            QUOTA => "the quota does not allow it",
            TOO_LARGE => "too large",
            READ_ONLY => "the disk is read-only",
            NO_DISK => "there is no disk",
            IO_ERROR => "the disk failed (input/output error)",
            TIMED_OUT => "the disk does not answer",
            NOT_FORMATTED => "the disk is not formatted, or not in a way that is understood",
            CORRUPT => "what is on the disk contradicts itself; check it on a host",
            BEYOND_END => "beyond the end of the file",
            _ => "unknown answer",
        }
    }
}

/// From a client to the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`kind`].
    pub kind: u32,
    /// The client's number for it; the reply repeats it.
    pub id: u32,
    /// In which space.
    pub space: u32,
    /// Of [`flag`].
    pub flags: u32,
    /// Where the path, key or name lies in the data region.
    pub name: Span,
    /// Where bytes lie, or are to be put.
    pub data: Span,
    /// See [`kind`].
    pub offset: u64,
    /// See [`kind`].
    pub argument: u64,
}

/// Bytes of a reply beside its head.
pub const BODY_BYTES: usize = 80;

/// From the service to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The kind of the request.
    pub kind: u32,
    /// The number of the request.
    pub id: u32,
    /// How it ended, one of [`code`].
    pub code: u32,
    /// Bytes that were put to, or taken from, `data`.
    pub bytes: u32,
    /// By the kind of the request; zeros if it failed.
    pub body: [u8; BODY_BYTES],
}

/// A file or folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileInfo {
    /// Bytes of the file; 0 of a folder.
    pub bytes: u64,
    /// 1 for a folder.
    pub folder: u32,
    /// 0.
    pub reserved: u32,
}

/// How a list goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Listed {
    /// The offset of the request for what follows; 0 when this was all.
    pub next: u64,
    /// Entries in `data`.
    pub entries: u32,
    /// 0.
    pub reserved: u32,
}

/// Where a part of the disk stands: [`DiskInfo::files`] and [`DiskInfo::keys`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Volume {
    /// [`code::DONE`], or why it cannot be used.
    pub code: u32,
    /// Bytes of a cluster (files) or block (keys).
    pub unit_bytes: u32,
    /// Bytes that it can hold.
    pub bytes: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// The disk as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DiskInfo {
    /// Bytes of the disk; 0 without one.
    pub disk_bytes: u64,
    /// 1 if it cannot be written.
    pub read_only: u32,
    /// 12, 16 or 32: the kind of FAT; 0 without one.
    pub fat_bits: u32,
    /// The FAT partition.
    pub files: Volume,
    /// The key-value partition.
    pub keys: Volume,
}

/// The use of a space's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KvUsage {
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// The most keys.
    pub quota_keys: u64,
    /// The most bytes.
    pub quota_bytes: u64,
    /// Of the whole store: records that were found broken or unfinished when it was opened, and left out.
    pub broken: u64,
}

/// The head of an entry of a list; its name follows, padded with zeros to a multiple of 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EntryHead {
    /// Bytes of the file or value.
    pub bytes: u64,
    /// 1 for a folder.
    pub folder: u32,
    /// Bytes of the name.
    pub name_bytes: u32,
}

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name or key. A key may be any bytes.
    pub name: &'a [u8],
    /// Bytes of the file or value.
    pub bytes: u64,
    /// Whether it is a folder.
    pub folder: bool,
}

impl Entry<'_> {
    /// Adds the entry to `bytes` at `at`; gives where the next one goes, or `None` if there is no room.
    pub fn write(&self, bytes: &mut [u8], at: usize) -> Option<usize> {
        let head =
            EntryHead { bytes: self.bytes, folder: self.folder.into(), name_bytes: self.name.len().try_into().ok()? };
        let name_at = at.checked_add(size_of::<EntryHead>())?;
        let end = name_at.checked_add(self.name.len())?.checked_next_multiple_of(8)?;
        let room = bytes.get_mut(at..end)?;
        let (to_head, to_name) = room.split_at_mut(size_of::<EntryHead>());
        to_head.copy_from_slice(head.as_bytes());
        to_name.fill(0);
        to_name[..self.name.len()].copy_from_slice(self.name);
        Some(end)
    }
}

/// The entries of a list, as they lie in the `bytes` bytes of `data` that the reply names.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a>(pub &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    /// The next entry; `None` too when the bytes make no sense.
    fn next(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = EntryHead::read_from_prefix(self.0).ok()?;
        let name = rest.get(..head.name_bytes as usize)?;
        self.0 = rest.get(name.len().next_multiple_of(8)..).unwrap_or(&[]);
        Some(Entry { name, bytes: head.bytes, folder: head.folder != 0 })
    }
}

impl Reply {
    /// The reply to `request` with this code and no body.
    pub fn new(request: &Request, code: u32) -> Self {
        Reply { kind: request.kind, id: request.id, code, bytes: 0, body: [0; BODY_BYTES] }
    }

    /// The same with a body.
    pub fn with_body(mut self, body: &(impl IntoBytes + Immutable)) -> Self {
        let bytes = body.as_bytes();
        let length = bytes.len().min(BODY_BYTES);
        self.body[..length].copy_from_slice(&bytes[..length]);
        self
    }

    /// The body as the structure that belongs to the kind of the reply.
    pub fn body<T: FromBytes + FromZeros>(&self) -> T {
        const { assert!(size_of::<T>() <= BODY_BYTES) };
        T::read_from_prefix(&self.body).map_or_else(|_| T::new_zeroed(), |(body, _)| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_and_bodies() {
        assert_eq!((size_of::<Request>(), size_of::<Reply>()), (48, 96));
        let info = DiskInfo { fat_bits: 16, keys: Volume { free: 9, ..Volume::default() }, ..DiskInfo::default() };
        let reply = Reply::new(&Request { kind: kind::DISK_INFO, id: 7, ..Request::default() }, code::DONE);
        assert_eq!(reply.with_body(&info).body::<DiskInfo>(), info);
        assert!(size_of::<KvUsage>() <= BODY_BYTES);
    }

    #[test]
    fn entries_come_back_and_nonsense_ends_the_list() {
        let mut bytes = [0xff; 64];
        let one = Entry { name: b"a long name", bytes: 5, folder: false };
        let two = Entry { name: b"", bytes: 0, folder: true };
        let next = one.write(&mut bytes, 0).unwrap();
        let end = two.write(&mut bytes, next).unwrap();
        assert_eq!((next, end), (32, 48));
        assert_eq!(one.write(&mut bytes, end), None);
        assert_eq!(Entries(&bytes[..end]).collect::<Vec<_>>(), [one, two]);
        assert_eq!(Entries(&bytes).count(), 2, "the rest names more bytes than there are");
        assert_eq!(Entries(&[]).count(), 0);
    }
}
