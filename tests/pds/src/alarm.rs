//! The goldfish real-time clock as an alarm, for protection domains that map it at the symbol `rtc`.

use core::ptr::NonNull;

const TIME_LOW: usize = 0x00;
const TIME_HIGH: usize = 0x04;
const ALARM_LOW: usize = 0x08;
const ALARM_HIGH: usize = 0x0c;
const IRQ_ENABLED: usize = 0x10;
const CLEAR_INTERRUPT: usize = 0x1c;

/// The clock.
#[derive(Clone, Copy)]
pub struct Alarm {
    base: NonNull<u8>,
}

impl Alarm {
    /// The clock at the symbol `rtc`, with its interrupt enabled.
    pub fn new() -> Self {
        let alarm = Self { base: sel4_microkit::memory_region_symbol!(rtc: *mut u8) };
        alarm.write(IRQ_ENABLED, 1);
        alarm
    }

    fn read(self, register: usize) -> u32 {
        // SAFETY: the region `rtc` is the device's registers, and this module names only such as exist.
        unsafe { self.base.add(register).cast::<u32>().read_volatile() }
    }

    fn write(self, register: usize, value: u32) {
        // SAFETY: as in `read`; the device reaches no memory.
        unsafe { self.base.add(register).cast::<u32>().write_volatile(value) }
    }

    /// The time in nanoseconds.
    pub fn now_ns(self) -> u64 {
        // Reading the low half latches the high one.
        let low = self.read(TIME_LOW);
        u64::from(self.read(TIME_HIGH)) << 32 | u64::from(low)
    }

    /// Raises the interrupt `ns` nanoseconds from now.
    pub fn arm(self, ns: u64) {
        let at = self.now_ns() + ns;
        self.write(ALARM_HIGH, (at >> 32) as u32);
        self.write(ALARM_LOW, at as u32);
    }

    /// Takes the interrupt back.
    pub fn clear(self) {
        self.write(CLEAR_INTERRUPT, 1);
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}
