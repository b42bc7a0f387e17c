//! Keys with values, and files: both the app's own.

use crate::{App, Error, address, address_mut, call};

impl App {
    /// Reads the value of `key` into `value`, which has room for all of it; gives its length.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::TooLong`] when there is not enough room. All of this kind: [`Error::NotPermitted`],
    /// [`Error::Unavailable`] without a disk.
    pub fn kv_read(&mut self, key: &str, value: &mut [u8]) -> Result<usize, Error> {
        let (room, place) = (value.len() as u64, address_mut(value));
        let [bytes, ..] = self.ask(call::KV_READ, [address(key.as_bytes()), key.len() as u64, place, room])?;
        Ok(bytes as usize)
    }

    /// Writes a value, of at most [`call::MAX_VALUE_BYTES`], which replaces the one before. After a power cut the key has either.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::TooLong`], [`Error::BadArgument`] when it is no key: 1 to [`call::MAX_KEY_BYTES`] bytes of text
    /// without control characters and `/`.
    pub fn kv_write(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        let arguments = [address(key.as_bytes()), key.len() as u64, address(value), value.len() as u64];
        self.ask(call::KV_WRITE, arguments).map(|_| ())
    }

    /// Removes a key and its value.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn kv_delete(&mut self, key: &str) -> Result<(), Error> {
        self.ask(call::KV_DELETE, [address(key.as_bytes()), key.len() as u64]).map(|_| ())
    }

    /// Keys, each followed by a line feed, into at least [`call::MIN_LIST_BYTES`]: from 0 on at first, then from what the
    /// call before gave, until it gives 0. Gives the bytes of the list, and where to go on.
    ///
    /// # Errors
    /// [`Error::BadArgument`] when there is too little room.
    pub fn kv_list(&mut self, from: u64, list: &mut [u8]) -> Result<(usize, u64), Error> {
        let (room, place) = (list.len() as u64, address_mut(list));
        let [bytes, next, ..] = self.ask(call::KV_LIST, [from, place, room])?;
        Ok((bytes as usize, next))
    }

    /// Reads a part of a file in the app's folder, of at most [`call::MAX_FILE_BYTES`]; gives how many bytes there were.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::BadArgument`] when the offset is behind the end.
    pub fn file_read(&mut self, name: &str, offset: u64, bytes: &mut [u8]) -> Result<usize, Error> {
        let (room, place) = (bytes.len() as u64, address_mut(bytes));
        let arguments = [address(name.as_bytes()), name.len() as u64, offset, place, room];
        let [read, ..] = self.ask(call::FILE_READ, arguments)?;
        Ok(read as usize)
    }

    /// Writes a part of a file, of at most [`call::MAX_FILE_BYTES`]; makes the file if there is none.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; [`Error::BadArgument`] when the offset is behind the end, or it is no name.
    pub fn file_write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let arguments = [address(name.as_bytes()), name.len() as u64, offset, address(bytes), bytes.len() as u64];
        self.ask(call::FILE_WRITE, arguments).map(|_| ())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn file_remove(&mut self, name: &str) -> Result<(), Error> {
        self.ask(call::FILE_REMOVE, [address(name.as_bytes()), name.len() as u64]).map(|_| ())
    }

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn file_size(&mut self, name: &str) -> Result<u64, Error> {
        let [bytes, ..] = self.ask(call::FILE_SIZE, [address(name.as_bytes()), name.len() as u64])?;
        Ok(bytes)
    }

    /// Names of the files in the app's folder, as [`App::kv_list`] gives keys.
    ///
    /// # Errors
    /// As there.
    pub fn file_list(&mut self, from: u64, list: &mut [u8]) -> Result<(usize, u64), Error> {
        let (room, place) = (list.len() as u64, address_mut(list));
        let [bytes, next, ..] = self.ask(call::FILE_LIST, [from, place, room])?;
        Ok((bytes as usize, next))
    }
}
