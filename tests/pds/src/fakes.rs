//! What the app manager talks to, in the judge's memory: a disk, a root of trust, a console.

use heapless::{String, Vec};
use protocols::console::{FLAG_LAST, FromClient, FromConsole, kind as line};
use protocols::rot::{self, command, status};
use protocols::storage::{self, Entry, FileInfo, KvUsage, Listed, code, kind};
use ring::Link;
use zerocopy::FromBytes;

/// Bytes of the longest file.
pub const FILE_BYTES: usize = 0x10000;
/// Files of the disk.
pub const FILES: usize = 15;

/// A file: its path and length; its contents lie in the region `files`.
pub type File = (String<64>, usize);

/// A disk.
pub struct Disk {
    /// To the app manager.
    pub link: Link<storage::Reply, storage::Request>,
    /// Shared with the app manager.
    pub data: &'static mut [u8],
    /// Contents of the files, one behind the other.
    pub contents: &'static mut [u8],
    /// The files; each has its place in `contents`.
    pub files: [Option<File>; FILES],
    /// Space, key, value.
    pub keys: Vec<(u32, String<32>, Vec<u8, 1600>), 8>,
    /// It fails from now on.
    pub is_broken: bool,
}

impl Disk {
    fn find(&self, path: &str) -> Option<usize> {
        self.files.iter().position(|file| file.as_ref().is_some_and(|(name, _)| name == path))
    }

    /// The place of a file.
    pub fn contents(&mut self, file: usize) -> &mut [u8] {
        &mut self.contents[file * FILE_BYTES..(file + 1) * FILE_BYTES]
    }

    /// Puts a file on the disk.
    pub fn put(&mut self, path: &str, bytes: &[u8]) {
        let file = self.find(path).or_else(|| self.files.iter().position(Option::is_none)).expect("room for a file");
        self.contents(file)[..bytes.len()].copy_from_slice(bytes);
        self.files[file] = Some((path.try_into().expect("a short path"), bytes.len()));
    }

    /// Answers what waits.
    pub fn serve(&mut self) {
        self.link.poll().expect("the app manager");
        while let Some(request) = self.link.pop().expect("a session") {
            let mut reply = storage::Reply::new(&request, code::DONE);
            if self.is_broken {
                reply.code = code::IO_ERROR;
            } else if let Err(code) = self.answer(&request, &mut reply) {
                reply.code = code;
            }
            self.link.push(&reply).expect("room for a reply");
        }
    }

    fn answer(&mut self, request: &storage::Request, reply: &mut storage::Reply) -> Result<(), u32> {
        let mut name: String<96> = String::new();
        let is_key = (kind::KV_READ..=kind::KV_ERASE).contains(&request.kind);
        let bytes = &self.data[request.name.range()];
        let text = core::str::from_utf8(bytes).map_err(|_| code::BAD_NAME)?;
        if request.space != 0 && !is_key {
            name.push_str(if request.space == 1 { "apps/1/" } else { "apps/2/" }).map_err(|_| code::BAD_NAME)?;
        }
        name.push_str(text).map_err(|_| code::BAD_NAME)?;
        let (data, offset) = (request.data.range(), request.offset as usize);
        let key = |entry: &(u32, String<32>, Vec<u8, 1600>)| entry.0 == request.space && entry.1 == name.as_str();
        match request.kind {
            kind::READ => {
                let file = self.find(&name).ok_or(code::NOT_FOUND)?;
                let length = self.files[file].as_ref().map_or(0, |(_, length)| *length);
                let end = length.min(offset + data.len());
                let part = self.contents[file * FILE_BYTES..].get(offset..end).ok_or(code::BEYOND_END)?;
                self.data[data.start..data.start + part.len()].copy_from_slice(part);
                reply.bytes = part.len() as u32;
                *reply = reply.with_body(&FileInfo { bytes: length as u64, folder: 0, reserved: 0 });
            }
            kind::WRITE => {
                let file = self.find(&name).or_else(|| self.files.iter().position(Option::is_none));
                let file = file.ok_or(code::FULL)?;
                let end = offset + data.len();
                self.contents[file * FILE_BYTES..][offset..end].copy_from_slice(&self.data[data]);
                let old = if request.flags & storage::flag::REPLACE != 0 {
                    0
                } else {
                    self.files[file].as_ref().map_or(0, |f| f.1)
                };
                let path = name.as_str().try_into().map_err(|_| code::BAD_NAME)?;
                self.files[file] = Some((path, old.max(end)));
            }
            kind::STAT => {
                let file = self.find(&name).ok_or(code::NOT_FOUND)?;
                let bytes = self.files[file].as_ref().map_or(0, |(_, length)| *length) as u64;
                *reply = reply.with_body(&FileInfo { bytes, folder: 0, reserved: 0 });
            }
            kind::REMOVE => self.files[self.find(&name).ok_or(code::NOT_FOUND)?] = None,
            kind::RENAME => {
                let file = self.find(&name).ok_or(code::NOT_FOUND)?;
                let to = core::str::from_utf8(&self.data[data]).map_err(|_| code::BAD_NAME)?;
                let length = self.files[file].as_ref().map_or(0, |(_, length)| *length);
                self.files[file] = Some((to.try_into().map_err(|_| code::BAD_NAME)?, length));
            }
            kind::KV_READ => {
                let (_, _, value) = self.keys.iter().find(|entry| key(entry)).ok_or(code::NOT_FOUND)?;
                self.data
                    .get_mut(data)
                    .and_then(|to| to.get_mut(..value.len()))
                    .ok_or(code::TOO_LARGE)?
                    .copy_from_slice(value);
                reply.bytes = value.len() as u32;
            }
            kind::KV_WRITE => {
                let value = Vec::from_slice(&self.data[data]).map_err(|_| code::QUOTA)?;
                self.keys.retain(|entry| !key(entry));
                let name = name.as_str().try_into().map_err(|_| code::BAD_NAME)?;
                self.keys.push((request.space, name, value)).map_err(|_| code::FULL)?;
            }
            kind::KV_DELETE => {
                self.keys.iter().find(|entry| key(entry)).ok_or(code::NOT_FOUND)?;
                self.keys.retain(|entry| !key(entry));
            }
            kind::KV_LIST => {
                let mut at = 0;
                for (_, name, value) in self.keys.iter().filter(|entry| entry.0 == request.space) {
                    let entry = Entry { name: name.as_bytes(), bytes: value.len() as u64, folder: false };
                    at = entry.write(&mut self.data[data.clone()], at).ok_or(code::TOO_LARGE)?;
                }
                reply.bytes = at as u32;
                *reply = reply.with_body(&Listed::default());
            }
            kind::KV_ERASE => self.keys.retain(|entry| entry.0 != request.space),
            kind::MAKE_FOLDER => return Err(code::EXISTS),
            kind::OPEN_SPACE | kind::CLOSE_SPACE => *reply = reply.with_body(&KvUsage::default()),
            _ => return Err(code::BAD_REQUEST),
        }
        Ok(())
    }
}

/// A root of trust that knows one publisher, and takes every signature for good whose first byte is the one that was enrolled
/// with its digest.
pub struct Rot {
    /// To the app manager.
    pub link: Link<rot::Reply, rot::Request>,
    /// The publisher.
    pub kid: [u8; 8],
    /// Digests with the signatures that are good for them.
    pub good: Vec<([u8; 32], [u8; 64]), 12>,
    /// Counters with their values.
    pub counters: Vec<([u8; 32], u64), 16>,
    /// How many measurements there were.
    pub measured: usize,
    /// It answers nothing but this.
    pub is_down: bool,
}

impl Rot {
    /// Answers what waits.
    pub fn serve(&mut self) {
        self.link.poll().expect("the app manager");
        while let Some(request) = self.link.pop().expect("a session") {
            let (status, bytes) = if self.is_down { (status::DOWN, Vec::new()) } else { self.answer(&request) };
            let reply = rot::Reply::new(request.token, request.command, status, &bytes);
            self.link.push(&reply).expect("room for a reply");
        }
    }

    fn answer(&mut self, request: &rot::Request) -> (u32, Vec<u8, 256>) {
        let data = request.data().expect("data");
        let value = |value: u64| (status::OK, Vec::from_slice(&value.to_le_bytes()).expect("room"));
        let id: Option<[u8; 32]> = data.first_chunk().copied();
        let place = self.counters.iter().position(|(other, _)| Some(*other) == id);
        match request.command {
            command::VERIFY => {
                let verify = rot::Verify::read_from_bytes(data).expect("a request to verify");
                let good = self.good.iter().any(|(digest, sign)| (digest, sign) == (&verify.digest, &verify.signature));
                match (verify.kid == self.kid, good) {
                    (false, _) => (status::UNKNOWN_KEY, Vec::new()),
                    (true, false) => (status::BAD_SIGNATURE, Vec::new()),
                    (true, true) => (status::OK, Vec::new()),
                }
            }
            command::COUNTER_READ => value(place.map_or(0, |place| self.counters[place].1)),
            command::COUNTER_ADVANCE => {
                let advance = rot::Advance::read_from_bytes(data).expect("a request to advance");
                let new = advance.value.get();
                match place {
                    Some(place) if self.counters[place].1 > new => return (status::ROLLBACK, Vec::new()),
                    Some(place) => self.counters[place].1 = new,
                    None => self.counters.push((advance.id, new)).expect("room for a counter"),
                }
                value(new)
            }
            command::EXTEND => {
                self.measured += 1;
                (status::OK, Vec::from_slice(&[0; 32]).expect("room"))
            }
            command::RANDOM => {
                let count = usize::from(u16::from_le_bytes([data[0], data[1]]));
                (status::OK, (0..count).map(|index| index as u8 + 1).collect())
            }
            _ => (status::BAD_COMMAND, Vec::new()),
        }
    }
}

/// A console that keeps the last lines.
pub struct Screen {
    /// To the app manager.
    pub link: Link<FromConsole, FromClient>,
    /// The last lines.
    pub lines: Vec<String<512>, 24>,
    /// The line that is still coming.
    pub partial: String<512>,
}

impl Screen {
    /// Takes what was said.
    pub fn serve(&mut self) {
        self.link.poll().expect("the app manager");
        while let Some(entry) = self.link.pop().expect("a session") {
            if entry.kind != line::LINE {
                continue;
            }
            let _ = self.partial.push_str(core::str::from_utf8(entry.text()).unwrap_or("?"));
            if entry.flags & FLAG_LAST != 0 {
                if self.lines.is_full() {
                    self.lines.remove(0);
                }
                let _ = self.lines.push(core::mem::take(&mut self.partial));
            }
        }
    }
}
