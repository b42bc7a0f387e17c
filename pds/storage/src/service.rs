//! The requests of `protocols::storage`: spaces, quotas, who may do what.

mod buffers;
mod mounts;
mod server;

pub use mounts::Mounts;
pub use server::Server;

use core::sync::atomic::AtomicU8;

use heapless::String;
use protocols::storage::{
    Entry, FileInfo, KvUsage, Listed, MAX_KEY, MAX_PATH, MAX_SPACE_NAME, MAX_SPACES, MAX_TRANSFER, OWN_QUOTA_BYTES,
    OWN_QUOTA_KEYS, Reply, Request, code, flag, kind,
};

use crate::error::Error;
use crate::fat::{self, Mode};
use crate::kv::Quota;
use crate::sectors::Sectors;
use buffers::Buffers;

/// Room for the path of a space and one in it.
type Path = String<{ MAX_PATH + MAX_SPACE_NAME + 16 }>;

/// Bytes of working memory that requests need.
pub const SCRATCH_BYTES: usize = MAX_TRANSFER;

/// A space that a privileged client opened.
#[derive(Clone, Debug)]
struct Space {
    name: String<MAX_SPACE_NAME>,
    quota: Quota,
}

/// What the service knows of a client.
#[derive(Clone, Debug)]
pub struct Client {
    name: &'static str,
    privileged: bool,
    /// The spaces that it opened; the first one is not used.
    spaces: [Option<Space>; MAX_SPACES],
}

/// Where a request is to act.
struct Scope {
    /// The folder that paths begin in; empty for the root.
    folder: Path,
    /// The name space of keys. Those of clients begin with a character that those of spaces cannot have.
    keys: String<{ MAX_SPACE_NAME + 1 }>,
    quota: Quota,
}

/// What there is to say of a request that was done.
type Answer = Result<Reply, u32>;

impl Client {
    /// A client that has just come up.
    pub const fn new(name: &'static str, privileged: bool) -> Self {
        Self { name, privileged, spaces: [const { None }; MAX_SPACES] }
    }

    /// It began anew, and opens its spaces again.
    pub fn forget(&mut self) {
        self.spaces = [const { None }; MAX_SPACES];
    }

    /// Does a request and gives the reply to it. `data` is the region shared with the client, `scratch` working memory of
    /// [`SCRATCH_BYTES`].
    pub fn answer(
        &mut self,
        request: &Request,
        data: &[AtomicU8],
        scratch: &mut [u8],
        mounts: &mut Mounts,
        disk: &mut impl Sectors,
    ) -> Reply {
        let buffers = Buffers::new(request, data);
        let answer = buffers.and_then(|buffers| {
            self.check(request)?;
            match request.kind {
                kind::OPEN_SPACE => self.open_space(request, &buffers),
                kind::CLOSE_SPACE => self.close_space(request),
                kind::DISK_INFO => Ok(Reply::new(request, code::DONE).with_body(&mounts.disk_info(disk))),
                kind::LIST..=kind::MAKE_FOLDER => {
                    let scope = self.scope(request.space)?;
                    file_request(request, &scope, &buffers, scratch, mounts, disk)
                }
                kind::KV_READ..=kind::KV_ERASE => {
                    let scope = self.scope(request.space)?;
                    key_request(request, &scope, &buffers, scratch, mounts, disk).map_err(Error::code)
                }
                _ => Err(code::BAD_REQUEST),
            }
        });
        answer.unwrap_or_else(|code| Reply::new(request, code))
    }

    /// Fields that have no meaning are 0, and flags fit together.
    fn check(&self, request: &Request) -> Result<(), u32> {
        let Request { flags, offset, argument, .. } = *request;
        let fits = match request.kind {
            kind::WRITE => {
                let moves = flags & (flag::APPEND | flag::REPLACE) != 0;
                let both = flag::APPEND | flag::REPLACE;
                flags & !flag::ALL == 0 && !(moves && offset != 0) && flags & both != both && argument == 0
            }
            kind::LIST | kind::READ | kind::TRUNCATE | kind::KV_LIST => flags == 0 && argument == 0,
            kind::OPEN_SPACE => flags == 0,
            _ => flags == 0 && offset == 0 && argument == 0,
        };
        if fits { Ok(()) } else { Err(code::BAD_REQUEST) }
    }

    fn scope(&self, number: u32) -> Result<Scope, u32> {
        let mut scope = Scope { folder: Path::new(), keys: String::new(), quota: Quota { keys: 0, bytes: 0 } };
        let fits = if number == 0 {
            scope.quota = Quota { keys: OWN_QUOTA_KEYS, bytes: OWN_QUOTA_BYTES };
            let folder = if self.privileged { ["", ""] } else { ["/clients/", self.name] };
            append(&mut scope.folder, &folder).and(append(&mut scope.keys, &["@", self.name]))
        } else {
            let space = self.spaces.get(number as usize).and_then(Option::as_ref).ok_or(code::NOT_FOUND)?;
            scope.quota = space.quota;
            append(&mut scope.folder, &["/apps/", &space.name]).and(append(&mut scope.keys, &[&space.name]))
        };
        fits.ok_or(code::BAD_NAME)?;
        Ok(scope)
    }

    fn open_space(&mut self, request: &Request, buffers: &Buffers<'_>) -> Answer {
        let slot = self.space(request.space)?;
        let mut name = [0; MAX_SPACE_NAME];
        let name = core::str::from_utf8(buffers.name(&mut name)?).map_err(|_| code::BAD_NAME)?;
        let known = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || name.starts_with('.') || name.ends_with('.') || !name.chars().all(known) {
            return Err(code::BAD_NAME);
        }
        let mut kept = String::new();
        append(&mut kept, &[name]).ok_or(code::BAD_NAME)?;
        *slot = Some(Space { name: kept, quota: Quota { keys: request.argument, bytes: request.offset } });
        Ok(Reply::new(request, code::DONE))
    }

    fn close_space(&mut self, request: &Request) -> Answer {
        self.space(request.space)?.take().ok_or(code::NOT_FOUND)?;
        Ok(Reply::new(request, code::DONE))
    }

    /// The place of a space that the client may open or close.
    fn space(&mut self, number: u32) -> Result<&mut Option<Space>, u32> {
        if !self.privileged {
            return Err(code::DENIED);
        }
        self.spaces.get_mut(number as usize).filter(|_| number != 0).ok_or(code::BAD_REQUEST)
    }
}

/// Adds all parts, or says that there is no room.
fn append<const N: usize>(to: &mut String<N>, parts: &[&str]) -> Option<()> {
    parts.iter().try_for_each(|part| to.push_str(part)).ok()
}

fn info(info: fat::Info) -> FileInfo {
    FileInfo { bytes: info.bytes, folder: info.folder.into(), reserved: 0 }
}

/// Entries that are gathered for a list.
struct Gathered<'a> {
    into: &'a mut [u8],
    bytes: usize,
    entries: u32,
    /// One did not fit.
    more: bool,
}

impl<'a> Gathered<'a> {
    fn new(into: &'a mut [u8]) -> Self {
        Self { into, bytes: 0, entries: 0, more: false }
    }

    fn add(&mut self, entry: &Entry<'_>) -> bool {
        match entry.write(self.into, self.bytes) {
            Some(end) => (self.bytes, self.entries) = (end, self.entries + 1),
            None => self.more = true,
        }
        !self.more
    }

    /// The reply, once the entries are where the client wants them.
    fn reply(self, request: &Request, next: u64, buffers: &Buffers<'_>) -> Answer {
        if self.more && self.entries == 0 {
            return Err(code::TOO_LARGE);
        }
        buffers.put(&self.into[..self.bytes]);
        let listed = Listed { next, entries: self.entries, reserved: 0 };
        Ok(Reply { bytes: self.bytes as u32, ..Reply::new(request, code::DONE).with_body(&listed) })
    }
}

fn file_request(
    request: &Request,
    scope: &Scope,
    buffers: &Buffers<'_>,
    scratch: &mut [u8],
    mounts: &mut Mounts,
    disk: &mut impl Sectors,
) -> Answer {
    let mut name = [0; MAX_PATH];
    let path = core::str::from_utf8(buffers.name(&mut name)?).map_err(|_| code::BAD_NAME)?;
    let is_root = path.split('/').all(str::is_empty);
    if is_root && matches!(request.kind, kind::REMOVE | kind::RENAME) {
        return Err(code::IS_A_FOLDER);
    }
    let full = |path: &str| {
        let mut full = scope.folder.clone();
        append(&mut full, &["/", path]).map(|()| full).ok_or(code::BAD_NAME)
    };
    let path = full(path)?;
    let answer = file_request_once(request, &path, &full, buffers, scratch, mounts, disk);
    // The folder of a space is made when it is first needed; until then it is as good as empty.
    if answer != Err(code::NOT_FOUND) || scope.folder.is_empty() {
        return answer;
    }
    let missing = mounts.files(disk, |volume, part| match volume.stat(part, &scope.folder) {
        Ok(_) => Ok(false),
        Err(Error::NotFound) => Ok(true),
        Err(error) => Err(error),
    });
    if missing != Ok(true) {
        return answer;
    }
    match request.kind {
        kind::LIST if is_root => Gathered::new(&mut []).reply(request, 0, buffers),
        kind::STAT if is_root => {
            Ok(Reply::new(request, code::DONE).with_body(&FileInfo { folder: 1, ..FileInfo::default() }))
        }
        kind::WRITE if request.flags & (flag::CREATE | flag::NEW) != 0 => {
            mounts.make_folders(disk, &scope.folder).map_err(Error::code)?;
            file_request_once(request, &path, &full, buffers, scratch, mounts, disk)
        }
        kind::MAKE_FOLDER => {
            mounts.make_folders(disk, &scope.folder).map_err(Error::code)?;
            file_request_once(request, &path, &full, buffers, scratch, mounts, disk)
        }
        _ => answer,
    }
}

fn file_request_once(
    request: &Request,
    path: &str,
    full: &impl Fn(&str) -> Result<Path, u32>,
    buffers: &Buffers<'_>,
    scratch: &mut [u8],
    mounts: &mut Mounts,
    disk: &mut impl Sectors,
) -> Answer {
    let done = |result: Result<fat::Info, Error>| match result {
        Ok(found) => Ok(Reply::new(request, code::DONE).with_body(&info(found))),
        Err(error) => Err(error.code()),
    };
    let plain = |result: Result<(), Error>| match result {
        Ok(()) => Ok(Reply::new(request, code::DONE)),
        Err(error) => Err(error.code()),
    };
    match request.kind {
        kind::LIST => {
            let length = buffers.data_bytes().min(scratch.len());
            let mut gathered = Gathered::new(&mut scratch[..length]);
            let next = mounts.files(disk, |volume, part| {
                volume.list(part, path, request.offset, |entry| {
                    let info = entry.info();
                    let name = entry.name.as_bytes();
                    gathered.add(&Entry { name, bytes: info.bytes, folder: info.folder })
                })
            });
            gathered.reply(request, next.map_err(Error::code)?, buffers)
        }
        kind::STAT => done(mounts.files(disk, |volume, part| volume.stat(part, path))),
        kind::READ => {
            let length = buffers.data_bytes().min(scratch.len());
            let read =
                mounts.files(disk, |volume, part| volume.read(part, path, request.offset, &mut scratch[..length]));
            let (length, found) = read.map_err(Error::code)?;
            buffers.put(&scratch[..length]);
            Ok(Reply { bytes: length as u32, ..Reply::new(request, code::DONE).with_body(&info(found)) })
        }
        kind::WRITE => {
            let bytes = buffers.take(scratch)?;
            let has = |flag: u32| request.flags & flag != 0;
            let mode = Mode {
                create: has(flag::CREATE),
                new: has(flag::NEW),
                append: has(flag::APPEND),
                replace: has(flag::REPLACE),
            };
            let reply = done(mounts.files(disk, |volume, part| volume.write(part, path, request.offset, bytes, mode)))?;
            Ok(Reply { bytes: bytes.len() as u32, ..reply })
        }
        kind::TRUNCATE => done(mounts.files(disk, |volume, part| volume.truncate(part, path, request.offset))),
        kind::REMOVE => plain(mounts.files(disk, |volume, part| volume.remove(part, path))),
        kind::RENAME => {
            let to = core::str::from_utf8(buffers.take(&mut scratch[..MAX_PATH])?).map_err(|_| code::BAD_NAME)?;
            let to = full(to)?;
            plain(mounts.files(disk, |volume, part| volume.rename(part, path, &to)))
        }
        _ => plain(mounts.files(disk, |volume, part| volume.make_folder(part, path))),
    }
}

fn key_request(
    request: &Request,
    scope: &Scope,
    buffers: &Buffers<'_>,
    scratch: &mut [u8],
    mounts: &mut Mounts,
    disk: &mut impl Sectors,
) -> Result<Reply, Error> {
    let mut name = [0; MAX_KEY];
    let space = scope.keys.as_bytes();
    let done = Reply::new(request, code::DONE);
    let key = buffers.name(&mut name).map_err(|_| Error::BadName)?;
    let needs_key = matches!(request.kind, kind::KV_READ | kind::KV_WRITE | kind::KV_DELETE);
    if needs_key == key.is_empty() {
        return Err(Error::BadName);
    }
    match request.kind {
        kind::KV_READ => {
            let length = buffers.data_bytes().min(scratch.len());
            let length = mounts.keys(disk, |store, part| store.read(part, space, key, &mut scratch[..length]))?;
            buffers.put(&scratch[..length]);
            Ok(Reply { bytes: length as u32, ..done })
        }
        kind::KV_WRITE => {
            let value = buffers.take(scratch).map_err(|_| Error::TooLarge)?;
            mounts.keys(disk, |store, part| store.write(part, space, key, value, scope.quota))?;
            Ok(Reply { bytes: value.len() as u32, ..done })
        }
        kind::KV_DELETE => mounts.keys(disk, |store, part| store.delete(part, space, key)).map(|()| done),
        kind::KV_LIST => {
            let length = buffers.data_bytes().min(scratch.len());
            let mut gathered = Gathered::new(&mut scratch[..length]);
            let next = mounts.keys(disk, |store, part| {
                store.list(part, space, request.offset, |name, bytes| {
                    gathered.add(&Entry { name, bytes: bytes as u64, folder: false })
                })
            })?;
            gathered.reply(request, next, buffers).map_err(|_| Error::TooLarge)
        }
        kind::KV_USAGE => {
            let (usage, opened) = mounts.keys(disk, |store, _| Ok((store.usage(space), store.opened())))?;
            Ok(done.with_body(&KvUsage {
                keys: usage.keys,
                bytes: usage.bytes,
                quota_keys: scope.quota.keys,
                quota_bytes: scope.quota.bytes,
                broken: opened.broken,
            }))
        }
        _ => mounts.keys(disk, |store, part| store.erase(part, space)).map(|()| done),
    }
}
