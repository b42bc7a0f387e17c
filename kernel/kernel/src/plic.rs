//! The platform-level interrupt controller (RISC-V PLIC specification 1.0.0, chapters 3 to 9).

/// One context of the controller: that of the boot hart in supervisor mode.
pub struct Plic {
    base: usize,
    context: usize,
}

/// Bytes from the base to a source's enable bit, by context (32 sources a word).
const ENABLE: usize = 0x2000;
const ENABLE_STRIDE: usize = 0x80;
/// Bytes from the base to a context's threshold; the claim register is the word behind it.
const THRESHOLD: usize = 0x20_0000;
const CONTEXT_STRIDE: usize = 0x1000;

impl Plic {
    /// No controller.
    pub const fn none() -> Self {
        Self { base: 0, context: 0 }
    }

    /// The controller at a virtual address.
    ///
    /// # Safety
    ///
    /// `base` is where the composer mapped the controller's registers for the kernel, up to those of `context`.
    pub unsafe fn new(base: usize, context: usize) -> Self {
        Self { base, context }
    }

    fn register(&self, offset: usize) -> *mut u32 {
        (self.base + offset) as *mut u32
    }

    /// Disables all sources, then enables those given, all at the same priority.
    pub fn init(&self, sources: u32, enabled: impl Iterator<Item = u32>) {
        let enable = ENABLE + self.context * ENABLE_STRIDE;
        for word in 0..=sources as usize / 32 {
            // SAFETY: a register of the controller, as `new` was promised.
            unsafe { self.register(enable + word * 4).write_volatile(0) };
        }
        for source in enabled {
            let source = source as usize;
            let word = self.register(enable + source / 32 * 4);
            // SAFETY: registers of the controller, as `new` was promised; the kernel's core checked the source.
            unsafe {
                self.register(source * 4).write_volatile(1);
                word.write_volatile(word.read_volatile() | 1 << (source % 32));
            }
        }
        // SAFETY: as above.
        unsafe { self.register(THRESHOLD + self.context * CONTEXT_STRIDE).write_volatile(0) };
    }

    fn claim_register(&self) -> *mut u32 {
        self.register(THRESHOLD + self.context * CONTEXT_STRIDE + 4)
    }

    /// Takes the most important pending source; 0 means that none is.
    pub fn claim(&self) -> u32 {
        // SAFETY: a register of the controller, as `new` was promised.
        unsafe { self.claim_register().read_volatile() }
    }

    /// Lets a source interrupt again. The controller ignores sources that are not claimed.
    pub fn complete(&self, source: u32) {
        // SAFETY: as above.
        unsafe { self.claim_register().write_volatile(source) };
    }
}
