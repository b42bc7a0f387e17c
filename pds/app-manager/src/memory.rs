//! A slot's memory, as its app's addresses name it.

use app_abi::info::Info;
use app_abi::map;
use app_abi::status;
use bundle::{Bundle, Segment};
use zerocopy::IntoBytes;

use crate::area::Area;

/// All memory that an app can reach and the app manager maps too.
#[derive(Clone, Copy, Debug)]
pub struct SlotMemory {
    /// At [`map::CODE`]; the app cannot write it.
    pub code: Area,
    /// At [`map::STACK`]: stack, then data.
    pub data: Area,
    /// At [`map::REQUESTS`].
    pub requests: Area,
    /// At [`map::REPLIES`], then [`map::INFO`]; the app cannot write it.
    pub replies: Area,
    /// At [`map::TENSORS`]; empty if the slot has no link to the model runner.
    pub tensors: Area,
}

/// Why a system's slot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSize {
    /// What is mapped.
    pub what: &'static str,
    /// Bytes that it must have.
    pub needed: u64,
}

impl core::fmt::Display for WrongSize {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "its region '{}' must have {:#x} bytes", self.what, self.needed)
    }
}

impl SlotMemory {
    /// Checks that the system description gives what apps are promised.
    ///
    /// # Errors
    /// Which region has the wrong size.
    pub fn check(self) -> Result<Self, WrongSize> {
        let sizes = [
            ("code", self.code, map::CODE_BYTES),
            ("data", self.data, map::WRITABLE_BYTES),
            ("requests", self.requests, map::PAGE_BYTES),
            ("replies", self.replies, 2 * map::PAGE_BYTES),
        ];
        for (what, area, needed) in sizes {
            if area.bytes() as u64 != needed {
                return Err(WrongSize { what, needed });
            }
        }
        if !matches!(self.tensors.bytes() as u64, 0 | map::TENSORS_BYTES) {
            return Err(WrongSize { what: "tensors", needed: map::TENSORS_BYTES });
        }
        Ok(self)
    }

    /// The page of the ring of replies.
    pub fn reply_page(&self) -> Area {
        self.replies.split_at(map::PAGE_BYTES as usize).0
    }

    /// Makes everything zero. The sandbox wipes what only it maps.
    pub fn wipe(&self) {
        for area in [self.code, self.data, self.requests, self.replies, self.tensors] {
            area.wipe();
        }
    }

    /// Puts the segments of a checked program where they belong, in memory that was wiped, and says what the app is.
    pub fn load(&self, bundle: &Bundle<'_>, info: &Info) {
        for segment in &bundle.program.segments {
            let contents = bundle.file.get(segment.file_at..).and_then(|rest| rest.get(..segment.file_bytes));
            let (area, at) = self.place(segment);
            area.write(at, contents.unwrap_or(&[]));
        }
        self.replies.write((map::INFO - map::REPLIES) as usize, info.as_bytes());
    }

    fn place(&self, segment: &Segment) -> (Area, usize) {
        match segment.is_writable {
            true => (self.data, (segment.address - map::STACK) as usize),
            false => (self.code, (segment.address - map::CODE) as usize),
        }
    }

    /// Where an address range lies that the app may write (or only read).
    fn find(&self, address: u64, bytes: u64, to_write: bool) -> Result<(Area, usize), u32> {
        let places = [(self.data, map::STACK, true), (self.code, map::CODE, false)];
        let found = places.into_iter().find(|(area, start, is_writable)| {
            let end = address.checked_add(bytes);
            let inside = address >= *start && end.is_some_and(|end| end <= start + area.bytes() as u64);
            inside && (*is_writable || !to_write)
        });
        let (area, start, _) = found.ok_or(status::BAD_ADDRESS)?;
        Ok((area, (address - start) as usize))
    }

    /// Copies what lies at an address of the app.
    ///
    /// # Errors
    /// The status for the app, if that is not all its own memory.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), u32> {
        let (area, at) = self.find(address, into.len() as u64, false)?;
        area.read(at, into);
        Ok(())
    }

    /// Copies to an address of the app.
    ///
    /// # Errors
    /// The status for the app, if it may not write there itself.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), u32> {
        let (area, at) = self.find(address, bytes.len() as u64, true)?;
        area.write(at, bytes);
        Ok(())
    }

    /// Whether the app may write this range itself.
    ///
    /// # Errors
    /// The status for the app.
    pub fn check_writable(&self, address: u64, bytes: u64) -> Result<(), u32> {
        self.find(address, bytes, true).map(|_| ())
    }
}
