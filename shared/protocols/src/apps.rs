//! Apps: what the shell asks of the app manager, and the lines that it answers.
//!
//! Each request is answered by any number of lines of text and then one [`kind::DONE`], all with the request's token. A line
//! longer than an entry goes on in the next entry, up to the one with [`Answer::last`]. Requests are served one after the other where
//! they take long (reading a bundle, asking the root of trust), so answers of different requests may come between each
//! other.
//!
//! A bundle that is not a file on the device's disk is sent piece by piece ([`op::UPLOAD`]), then installed
//! ([`op::INSTALL_UPLOAD`]).

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"APPM");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Bytes of text in an entry.
pub const TEXT_BYTES: usize = 112;

/// What a request asks for. Its text is the name of an app where none is said.
pub mod op {
    /// Install the bundle in a file, whose path is the text.
    pub const INSTALL: u32 = 1;
    /// The text is the next bytes of a bundle, which begin at offset `argument`. Offset 0 begins a new one. No answer, unless
    /// it cannot be taken.
    pub const UPLOAD: u32 = 2;
    /// Install the bundle that was sent; `argument` is its length.
    pub const INSTALL_UPLOAD: u32 = 3;
    /// Remove an app and its bundle; `argument` 1: with all that it has stored.
    pub const UNINSTALL: u32 = 4;
    /// Start an app.
    pub const START: u32 = 5;
    /// Ask an app to end, and end it if it does not.
    pub const STOP: u32 = 6;
    /// Stop an app if it runs, then start it.
    pub const RESTART: u32 = 7;
    /// The list of apps.
    pub const LIST: u32 = 8;
    /// What an app is doing.
    pub const STATUS: u32 = 9;
    /// What an app may touch.
    pub const CAPABILITIES: u32 = 10;
    /// `argument` 1: start the app when the machine starts; 0: do not.
    pub const AUTOSTART: u32 = 11;
}

/// Kinds of answers.
pub mod kind {
    /// A line, or a part of it.
    pub const LINE: u8 = 1;
    /// The end. `failed` says how it went; the lines before say why.
    pub const DONE: u8 = 2;
}

/// From the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`op`].
    pub op: u32,
    /// Comes back in the answers.
    pub token: u32,
    /// See [`op`].
    pub argument: u32,
    /// Bytes of `text`.
    pub length: u32,
    /// A name, a path, or bytes.
    pub text: [u8; TEXT_BYTES],
}

/// From the app manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Answer {
    /// The request's.
    pub token: u32,
    /// One of [`kind`].
    pub kind: u8,
    /// Of a line: 1 if it ends here.
    pub last: u8,
    /// Of the end: 1 if what was asked for was not done.
    pub failed: u8,
    /// Bytes of `text`.
    pub length: u8,
    /// Text.
    pub text: [u8; TEXT_BYTES],
}

impl Request {
    /// A request; `None` if the text is too long.
    pub fn new(op: u32, token: u32, argument: u32, text: &[u8]) -> Option<Self> {
        let mut bytes = [0; TEXT_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { op, token, argument, length: text.len() as u32, text: bytes })
    }

    /// The bytes; a peer's wrong length ends at the entry's end.
    pub fn bytes(&self) -> &[u8] {
        &self.text[..(self.length as usize).min(TEXT_BYTES)]
    }

    /// The bytes as text; what is not UTF-8 is none.
    pub fn text(&self) -> &str {
        core::str::from_utf8(self.bytes()).unwrap_or("")
    }
}

impl Answer {
    /// The end of the answers to a request.
    pub fn done(token: u32, failed: bool) -> Self {
        Self { token, kind: kind::DONE, last: 1, failed: failed.into(), length: 0, text: [0; TEXT_BYTES] }
    }

    /// The bytes; a peer's wrong length ends at the entry's end.
    pub fn bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length).min(TEXT_BYTES)]
    }
}

/// Cuts a line into entries, and gives each to a function.
pub fn line(token: u32, text: fmt::Arguments<'_>, put: &mut impl FnMut(Answer)) {
    let empty = Answer { token, kind: kind::LINE, last: 0, failed: 0, length: 0, text: [0; TEXT_BYTES] };
    let mut writer = Writer { answer: empty, empty, put };
    // Only a Display implementation that fails on purpose gives an error; what it wrote before still counts.
    let _ = fmt::write(&mut writer, text);
    writer.answer.last = 1;
    (writer.put)(writer.answer);
}

struct Writer<'a, F> {
    answer: Answer,
    empty: Answer,
    put: &'a mut F,
}

impl<F: FnMut(Answer)> fmt::Write for Writer<'_, F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if usize::from(self.answer.length) == TEXT_BYTES {
                (self.put)(self.answer);
                self.answer = self.empty;
            }
            self.answer.text[usize::from(self.answer.length)] = byte;
            self.answer.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_whole() {
        assert_eq!((size_of::<Request>(), size_of::<Answer>()), (128, 120));
        for length in [0, 1, 111, 112, 113, 224, 500] {
            let text = "x".repeat(length);
            let mut answers = Vec::new();
            line(7, format_args!("{text}"), &mut |answer| answers.push(answer));
            let bytes: Vec<u8> = answers.iter().flat_map(|answer| answer.bytes().to_vec()).collect();
            assert_eq!(bytes, text.as_bytes());
            let lasts: Vec<_> = answers.iter().map(|answer| answer.last).collect();
            assert!(lasts.iter().rev().skip(1).all(|last| *last == 0) && lasts.last() == Some(&1));
        }
        assert_eq!(Request::new(1, 1, 0, &[0; 113]), None);
        let wrong = Request { length: 900, ..Request::new(1, 1, 0, b"abc").unwrap() };
        assert_eq!(wrong.bytes().len(), TEXT_BYTES);
    }
}
