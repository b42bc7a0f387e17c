//! A file that stands for the flash: `state.bin` in the folder that the emulator runs in.

use rot_core::storage::{ERASED, FLASH_BYTES, Flash, FlashError};

use super::semihosting::{File, Mode};

/// The flash; without a file it is blank and cannot be written.
pub struct FileFlash(Option<File>);

impl FileFlash {
    /// Opens the file. A device that is being provisioned may make it.
    pub fn open(provisioning: bool) -> Self {
        let name = c"state.bin";
        let file = File::open(name, Mode::Update);
        FileFlash(file.or_else(|| provisioning.then(|| File::open(name, Mode::Create))?))
    }
}

impl Flash for FileFlash {
    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), FlashError> {
        bytes.fill(ERASED);
        let Some(file) = &self.0 else { return Ok(()) };
        // A file that ends early has not been written there.
        let count = file.read(offset, bytes).ok_or(FlashError)?;
        bytes[count..].fill(ERASED);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashError> {
        let file = self.0.as_ref().ok_or(FlashError)?;
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= FLASH_BYTES);
        if fits && file.write(offset, bytes) { Ok(()) } else { Err(FlashError) }
    }
}
