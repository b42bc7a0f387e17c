//! The device on a flash that fails as flashes do.

mod power;
mod services;

use std::cell::RefCell;
use std::rc::Rc;

use rot_protocol::MAX_REPLY_DATA;
use zerocopy::FromBytes;

use crate::device::{Device, Start};
use crate::storage::{ERASED, FLASH_BYTES, Flash, FlashError};

/// Flash whose power ends after so many bytes written. Its content outlives it.
#[derive(Clone, Debug)]
pub struct FakeFlash {
    pub bytes: Rc<RefCell<Vec<u8>>>,
    /// Bytes that are still written.
    pub power: usize,
    /// A write that is cut says so; one that loses power does not return in truth, so what it says is not looked at.
    pub cut: bool,
}

impl FakeFlash {
    pub fn new() -> Self {
        FakeFlash { bytes: Rc::new(RefCell::new(vec![ERASED; FLASH_BYTES])), power: usize::MAX, cut: false }
    }

    /// The same flash with power again.
    pub fn again(&self) -> Self {
        FakeFlash { power: usize::MAX, cut: false, ..self.clone() }
    }
}

impl Flash for FakeFlash {
    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), FlashError> {
        let all = self.bytes.borrow();
        bytes.copy_from_slice(all.get(offset..offset + bytes.len()).ok_or(FlashError)?);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashError> {
        let count = bytes.len().min(self.power);
        self.power -= count;
        self.bytes.borrow_mut()[offset..offset + count].copy_from_slice(&bytes[..count]);
        self.cut |= count < bytes.len();
        if count < bytes.len() { Err(FlashError) } else { Ok(()) }
    }
}

pub fn start(strap: bool) -> Start {
    Start { strap, entropy: [7; 32], implementation_id: [0x11; 32], version: [0, 1, 0] }
}

/// Executes a command.
pub fn run(device: &mut Device<FakeFlash>, command: u32, data: &[u8]) -> Result<Vec<u8>, u32> {
    let mut out = [0; MAX_REPLY_DATA];
    match device.execute(command, data, &mut out) {
        (0, length) => Ok(out[..length].to_vec()),
        (status, _) => Err(status),
    }
}

/// A flash with a device in it.
pub fn provisioned() -> FakeFlash {
    let flash = FakeFlash::new();
    Device::new(flash.clone(), start(true));
    flash
}

pub fn number(bytes: Vec<u8>) -> u64 {
    u64::read_from_bytes(&bytes).unwrap()
}
