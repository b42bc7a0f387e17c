//! A client's side of storage: requests with their buffers, several under way.
//!
//! The data region is divided into as many places as requests may be under way. A place belongs to one request from
//! [`Client::submit`] until its reply has been taken by [`Client::next`], or until the service restarts.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use ring::{Link, Notify, Span};

use super::{MAX_PATH, Reply, Request, flag, kind};

/// Bytes at the start of a place that hold the name.
const NAME_ROOM: usize = (MAX_PATH + 1).next_multiple_of(64);

/// What a client asks for: one function for each kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    request: Request,
    name: &'a [u8],
    send: &'a [u8],
    receive: usize,
}

impl<'a> Ask<'a> {
    fn new(kind: u32, name: &'a [u8]) -> Self {
        Ask { request: Request { kind, ..Request::default() }, name, send: &[], receive: 0 }
    }

    /// Makes the request in this space.
    pub fn within(mut self, space: u32) -> Self {
        self.request.space = space;
        self
    }

    /// Entries of a folder, into at most `receive` bytes; `from` is 0 or a [`super::Listed::next`].
    pub fn list(path: &'a str, from: u64, receive: usize) -> Self {
        Ask { receive, ..Ask::new(kind::LIST, path.as_bytes()) }.at(from)
    }

    /// What a file or folder is.
    pub fn stat(path: &'a str) -> Self {
        Ask::new(kind::STAT, path.as_bytes())
    }

    /// At most `receive` bytes of a file.
    pub fn read(path: &'a str, offset: u64, receive: usize) -> Self {
        Ask { receive, ..Ask::new(kind::READ, path.as_bytes()) }.at(offset)
    }

    /// Bytes into a file that exists, at `offset`.
    pub fn write(path: &'a str, offset: u64, bytes: &'a [u8]) -> Self {
        Ask { send: bytes, ..Ask::new(kind::WRITE, path.as_bytes()) }.at(offset)
    }

    /// Bytes into a file at `offset`; the file is made if there is none.
    pub fn write_or_create(path: &'a str, offset: u64, bytes: &'a [u8]) -> Self {
        Ask::write(path, offset, bytes).with(flag::CREATE)
    }

    /// Bytes to the end of a file, which is made if there is none.
    pub fn append(path: &'a str, bytes: &'a [u8]) -> Self {
        Ask::write(path, 0, bytes).with(flag::APPEND | flag::CREATE)
    }

    /// A file with these bytes and no others, in place of any of that name.
    pub fn replace(path: &'a str, bytes: &'a [u8]) -> Self {
        Ask::write(path, 0, bytes).with(flag::REPLACE | flag::CREATE)
    }

    /// A new file with these bytes; there must not be one of that name.
    pub fn create(path: &'a str, bytes: &'a [u8]) -> Self {
        Ask::write(path, 0, bytes).with(flag::NEW)
    }

    /// Cuts a file down.
    pub fn truncate(path: &'a str, bytes: u64) -> Self {
        Ask::new(kind::TRUNCATE, path.as_bytes()).at(bytes)
    }

    /// Removes a file or an empty folder.
    pub fn remove(path: &'a str) -> Self {
        Ask::new(kind::REMOVE, path.as_bytes())
    }

    /// Renames or moves.
    pub fn rename(path: &'a str, to: &'a str) -> Self {
        Ask { send: to.as_bytes(), ..Ask::new(kind::RENAME, path.as_bytes()) }
    }

    /// Makes a folder.
    pub fn make_folder(path: &'a str) -> Self {
        Ask::new(kind::MAKE_FOLDER, path.as_bytes())
    }

    /// What the disk is and how full.
    pub fn disk_info() -> Self {
        Ask::new(kind::DISK_INFO, &[])
    }

    /// The value of a key, of at most `receive` bytes.
    pub fn kv_read(key: &'a [u8], receive: usize) -> Self {
        Ask { receive, ..Ask::new(kind::KV_READ, key) }
    }

    /// A new value of a key.
    pub fn kv_write(key: &'a [u8], value: &'a [u8]) -> Self {
        Ask { send: value, ..Ask::new(kind::KV_WRITE, key) }
    }

    /// Removes a key.
    pub fn kv_delete(key: &'a [u8]) -> Self {
        Ask::new(kind::KV_DELETE, key)
    }

    /// Keys, into at most `receive` bytes; `from` is 0 or a [`super::Listed::next`].
    pub fn kv_list(from: u64, receive: usize) -> Self {
        Ask { receive, ..Ask::new(kind::KV_LIST, &[]) }.at(from)
    }

    /// How much of the quota is used.
    pub fn kv_usage() -> Self {
        Ask::new(kind::KV_USAGE, &[])
    }

    /// Removes all keys of the space.
    pub fn kv_erase() -> Self {
        Ask::new(kind::KV_ERASE, &[])
    }

    /// Privileged clients: makes `space` mean the space `name`, with this quota of keys.
    pub fn open_space(space: u32, name: &'a str, quota_bytes: u64, quota_keys: u64) -> Self {
        let mut ask = Ask::new(kind::OPEN_SPACE, name.as_bytes()).within(space).at(quota_bytes);
        ask.request.argument = quota_keys;
        ask
    }

    /// Privileged clients: forgets what `space` means.
    pub fn close_space(space: u32) -> Self {
        Ask::new(kind::CLOSE_SPACE, &[]).within(space)
    }

    fn at(mut self, offset: u64) -> Self {
        self.request.offset = offset;
        self
    }

    fn with(mut self, flags: u32) -> Self {
        self.request.flags = flags;
        self
    }
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The storage service is not there, or nothing goes through the link.
    NotConnected,
    /// As many requests as there are places, or as the ring holds, are under way.
    Busy,
    /// The name or the bytes do not fit into a place: see [`Client::room`].
    TooLarge,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientError::NotConnected => "the storage service takes no requests now",
            ClientError::Busy => "too many storage requests at once",
            ClientError::TooLarge => "too large for the region shared with the storage service",
        })
    }
}

impl core::error::Error for ClientError {}

/// What comes from the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The reply to the request with this number. So many bytes of its data were copied.
    Reply(Reply, usize),
    /// The service came up, or came up anew, or is not understood: what was under way is lost, and spaces that were
    /// opened are to be opened again.
    Restarted,
}

/// A link to the storage service, and the region that both map, in `PLACES` places.
#[derive(Debug)]
pub struct Client<'a, N, const PLACES: usize> {
    link: Link<Request, Reply, N>,
    data: &'a [AtomicU8],
    /// The request that has the place, with its bytes to receive.
    places: [Option<(u32, usize)>; PLACES],
    number: u32,
}

impl<'a, N: Notify, const PLACES: usize> Client<'a, N, PLACES> {
    /// A client with nothing under way.
    pub fn new(link: Link<Request, Reply, N>, data: &'a [AtomicU8]) -> Self {
        Self { link, data, places: [None; PLACES], number: 0 }
    }

    /// The most bytes that one request may send or receive.
    pub fn room(&self) -> usize {
        (self.place_bytes()).saturating_sub(NAME_ROOM)
    }

    /// How many requests are under way.
    pub fn under_way(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// What wakes the service: its channel is the one on which the service notifies.
    pub fn notifier(&self) -> &N {
        self.link.notifier()
    }

    fn place_bytes(&self) -> usize {
        let places = if PLACES == 0 { 1 } else { PLACES };
        // A multiple of 64 bytes, so that no two places share a cache line.
        self.data.len() / places / 64 * 64
    }

    /// Sends a request and gives its number, which the reply has too. Call [`Client::next`] until it gives nothing first, or the
    /// service is not known to be there.
    ///
    /// # Errors
    /// See [`ClientError`]; nothing was sent then.
    pub fn submit(&mut self, ask: &Ask<'_>) -> Result<u32, ClientError> {
        if ask.name.len() > NAME_ROOM || ask.send.len().max(ask.receive) > self.room() {
            return Err(ClientError::TooLarge);
        }
        if !self.link.is_connected() {
            return Err(ClientError::NotConnected);
        }
        let place = self.places.iter().position(Option::is_none).ok_or(ClientError::Busy)?;
        if !self.link.reserve(1).map_err(|_| ClientError::NotConnected)? {
            return Err(ClientError::Busy);
        }
        let name_at = place * self.place_bytes();
        let data_at = name_at + NAME_ROOM;
        self.store(name_at, ask.name);
        self.store(data_at, ask.send);
        // Numbers of requests under way differ: there are far fewer of these than of those.
        self.number = self.number.wrapping_add(1);
        let span = |offset: usize, bytes: usize| match bytes {
            0 => Span::default(),
            bytes => Span { offset: offset as u32, bytes: bytes as u32 },
        };
        let request = Request {
            id: self.number,
            name: span(name_at, ask.name.len()),
            data: span(data_at, ask.send.len().max(ask.receive)),
            ..ask.request
        };
        self.link.push(&request).map_err(|_| ClientError::NotConnected)?;
        self.places[place] = Some((self.number, ask.receive));
        Ok(self.number)
    }

    /// The next reply, whose data is copied to `into` as far as there is room; or that the service restarted.
    pub fn next(&mut self, into: &mut [u8]) -> Option<Event> {
        if self.link.poll() != Ok(false) {
            self.places = [None; PLACES];
            return Some(Event::Restarted);
        }
        loop {
            let reply = self.link.pop().ok()??;
            let known = |place: &Option<(u32, usize)>| place.is_some_and(|(id, _)| id == reply.id);
            // A reply to what was never asked is dropped.
            let Some(place) = self.places.iter().position(known) else { continue };
            let (_, receive) = self.places[place].take()?;
            let from = place * self.place_bytes() + NAME_ROOM;
            let length = into.len().min(receive).min(reply.bytes as usize);
            let bytes = self.data.get(from..from + length).unwrap_or(&[]);
            for (to, byte) in into.iter_mut().zip(bytes) {
                *to = byte.load(Ordering::Relaxed);
            }
            return Some(Event::Reply(reply, bytes.len()));
        }
    }

    fn store(&self, at: usize, bytes: &[u8]) {
        for (to, byte) in self.data.iter().skip(at).zip(bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{PROTOCOL, VERSION, code};
    use core::sync::atomic::AtomicU64;
    use ring::{Words, region_bytes};

    type Server = Link<Reply, Request, fn()>;

    fn memory(bytes: usize) -> &'static [AtomicU64] {
        (0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
    }

    fn pair() -> (Client<'static, fn(), 2>, Server, (Words, Words)) {
        let size = region_bytes(4, 96);
        let (near, far) = (Words::from_static(memory(size)), Words::from_static(memory(size)));
        let quiet: fn() = || {};
        let link = Link::open(near.clone(), far.clone(), quiet, PROTOCOL, VERSION).unwrap();
        let mut server = Server::open(far.clone(), near.clone(), quiet, PROTOCOL, VERSION).unwrap();
        let data: &[AtomicU8] = (0..2048).map(|_| AtomicU8::new(0)).collect::<Vec<_>>().leak();
        let mut client = Client::new(link, data);
        assert_eq!(client.submit(&Ask::stat("a")), Err(ClientError::NotConnected));
        assert_eq!(client.next(&mut []), Some(Event::Restarted));
        assert_eq!(server.poll(), Ok(true));
        (client, server, (far, near))
    }

    #[test]
    fn places_belong_to_requests_until_their_replies() {
        let (mut client, mut server, _) = pair();
        assert_eq!(client.room(), 1024 - 256);
        let one = client.submit(&Ask::read("a/b", 3, 10)).unwrap();
        let two = client.submit(&Ask::kv_write(b"key", b"value").within(4)).unwrap();
        assert_eq!(client.submit(&Ask::stat("x")), Err(ClientError::Busy));
        let first = server.pop().unwrap().unwrap();
        let second = server.pop().unwrap().unwrap();
        assert_eq!((first.id, first.name.bytes, first.data.bytes, first.offset), (one, 3, 10, 3));
        assert_eq!((second.id, second.space, second.data.bytes), (two, 4, 5));
        let sent: Vec<_> = client.data[second.data.range()].iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        assert_eq!(sent, b"value");
        client.data[first.data.range()][9].store(7, Ordering::Relaxed);
        // A service that claims more than there was room for is not believed, nor one that answers what was not asked.
        server.push(&Reply { id: 99, ..Reply::new(&first, code::DONE) }).unwrap();
        let reply = Reply { bytes: 4000, ..Reply::new(&first, code::DONE) };
        server.push(&reply).unwrap();
        let mut into = [1; 20];
        assert_eq!(client.next(&mut into), Some(Event::Reply(reply, 10)));
        assert_eq!((into[8], into[9], into[10]), (0, 7, 1));
        assert_eq!(client.under_way(), 1);
    }

    #[test]
    fn a_service_that_restarts_frees_all_places() {
        let (mut client, _, (far, near)) = pair();
        client.submit(&Ask::stat("x")).unwrap();
        let quiet: fn() = || {};
        let mut server = Server::open(far, near, quiet, PROTOCOL, VERSION).unwrap();
        assert_eq!(server.poll(), Ok(true));
        assert_eq!(client.next(&mut []), Some(Event::Restarted));
        assert_eq!((client.under_way(), client.next(&mut [])), (0, None));
        client.submit(&Ask::stat("x")).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let (mut client, _, _) = pair();
        let long = "x".repeat(300);
        assert_eq!(client.submit(&Ask::stat(&long)), Err(ClientError::TooLarge));
        assert_eq!(client.submit(&Ask::kv_write(b"k", &[0; 769])), Err(ClientError::TooLarge));
        assert_eq!(client.submit(&Ask::read("x", 0, 769)), Err(ClientError::TooLarge));
        client.submit(&Ask::create("x", &[0; 768])).unwrap();
    }
}
