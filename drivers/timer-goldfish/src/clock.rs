//! What the device can do: tell the time, and raise an interrupt at one time.

use crate::registers::Registers;

/// The farthest that the device's alarm is set ahead, about 18 minutes. The device counts in signed 64-bit nanoseconds of
/// another zero, so that an alarm far beyond would overflow there and ring at once; who waits longer is woken in between.
pub const MAX_AHEAD_NS: u64 = 1 << 40;

/// The clock with its alarm.
#[derive(Debug)]
pub struct Clock<R> {
    registers: R,
    /// The last time read; the clock never goes back behind it.
    last_ns: u64,
    /// What the alarm is set to.
    alarm_ns: Option<u64>,
}

impl<R: Registers> Clock<R> {
    /// Takes the device over, without alarm and with its interrupt on.
    pub fn new(registers: R) -> Self {
        registers.clear_alarm();
        registers.clear_interrupt();
        registers.enable_interrupt();
        Self { registers, last_ns: 0, alarm_ns: None }
    }

    /// The time in nanoseconds. Should the device's clock be set back, it stands still until it has caught up.
    pub fn now_ns(&mut self) -> u64 {
        let low = self.registers.time_low();
        let high = self.registers.time_high();
        self.last_ns = self.last_ns.max(u64::from(high) << 32 | u64::from(low));
        self.last_ns
    }

    /// Sets the alarm, or takes it back. A past alarm rings at once.
    pub fn set_alarm(&mut self, alarm_ns: Option<u64>) {
        let alarm_ns = alarm_ns.map(|alarm_ns| alarm_ns.min(self.last_ns.saturating_add(MAX_AHEAD_NS)));
        if self.alarm_ns == alarm_ns {
            return;
        }
        self.alarm_ns = alarm_ns;
        match alarm_ns {
            None => self.registers.clear_alarm(),
            Some(alarm_ns) => {
                self.registers.set_alarm_high((alarm_ns >> 32) as u32);
                self.registers.set_alarm_low(alarm_ns as u32);
            }
        }
    }

    /// Takes the interrupt back after the alarm has rung; the alarm is then no longer set.
    pub fn acknowledge(&mut self) {
        self.registers.clear_interrupt();
        self.alarm_ns = None;
    }
}
