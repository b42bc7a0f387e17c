//! Calls to the emulator ("semihosting", RISC-V Semihosting 0.4): they stand for the flash controller and the entropy source,
//! which QEMU's machine lacks. Each fails without harm where the emulator does not answer.

use core::arch::asm;
use core::ffi::CStr;

const OPEN: usize = 0x01;
const WRITE_TEXT: usize = 0x04;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const SEEK: usize = 0x0a;
const COMMAND_LINE: usize = 0x15;

const FAILED: usize = usize::MAX;

/// How a file is opened.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Mode {
    /// To be read.
    Read = 1,
    /// To be read and written; it exists.
    Update = 3,
    /// To be read and written; what it had is gone.
    Create = 7,
}

/// # Safety
/// `argument` is what the call takes: an address that stays valid, with further addresses in it that do.
unsafe fn call(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the three instructions are the call; the emulator reads and writes only what the caller vouches for. They are
    // aligned so that they lie in one page.
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli zero, zero, 0x1f",
            "ebreak",
            "srai zero, zero, 7",
            ".option pop",
            inlateout("a0") operation => result,
            in("a1") argument,
            out("t0") _,
            options(nostack),
        );
    }
    result
}

/// A file of the emulator's host.
pub struct File(usize);

impl File {
    /// Opens a file.
    pub fn open(name: &CStr, mode: Mode) -> Option<File> {
        let block = [name.as_ptr().addr(), mode as usize, name.count_bytes()];
        // SAFETY: the block has a text, how to open it, and its length, all valid until the call returns.
        let handle = unsafe { call(OPEN, block.as_ptr().expose_provenance()) };
        (handle != FAILED).then_some(File(handle))
    }

    fn seek(&self, offset: usize) -> bool {
        let block = [self.0, offset];
        // SAFETY: the block has a handle and a number.
        unsafe { call(SEEK, block.as_ptr().expose_provenance()) == 0 }
    }

    /// Reads from `offset` on; gives how many bytes there were.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<usize> {
        if !self.seek(offset) {
            return None;
        }
        self.read_next(bytes)
    }

    fn read_next(&self, bytes: &mut [u8]) -> Option<usize> {
        let block = [self.0, bytes.as_mut_ptr().expose_provenance(), bytes.len()];
        // SAFETY: the block has a handle and a place that is this long and writable.
        let missing = unsafe { call(READ, block.as_ptr().expose_provenance()) };
        bytes.len().checked_sub(missing)
    }

    /// Writes all bytes from `offset` on.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        if !self.seek(offset) {
            return false;
        }
        let block = [self.0, bytes.as_ptr().expose_provenance(), bytes.len()];
        // SAFETY: the block has a handle and a place that is this long.
        unsafe { call(WRITE, block.as_ptr().expose_provenance()) == 0 }
    }
}

/// Whether the emulator's command line for this program has this word.
pub fn has_argument(word: &[u8]) -> bool {
    let mut text = [0u8; 128];
    let block = [text.as_mut_ptr().expose_provenance(), text.len()];
    // SAFETY: the block has a place that is this long and writable.
    let result = unsafe { call(COMMAND_LINE, block.as_ptr().expose_provenance()) };
    result == 0 && text.split(|byte| matches!(byte, 0 | b' ')).any(|part| part == word)
}

/// Random bytes of the host, or zeros if there are none.
pub fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    let read = File::open(c"/dev/urandom", Mode::Read).and_then(|file| file.read_next(&mut bytes));
    if read == Some(bytes.len()) { bytes } else { [0; 32] }
}

/// Writes a line for the person who runs the emulator.
pub fn say(text: &CStr) {
    // SAFETY: the argument is a text that ends with a zero.
    unsafe { call(WRITE_TEXT, text.as_ptr().expose_provenance()) };
}
