//! Measurement registers: what was loaded since the start, in an order that nobody can change afterwards.
//!
//! A register is 32 bytes, zero at the start. Extending it with a digest makes it SHA-256(register ‖ digest). The log says
//! what was measured, for people and for a verifier that computes the registers anew; it proves nothing by itself.

use rot_protocol::data::{Digest, Measurement};
use rot_protocol::{BOOT_REGISTERS, MAX_LOG, REGISTERS};

use crate::sha256;

/// Why a register was not extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such register, or a name that is not text.
    Malformed,
    /// The register is the boot's, and the boot has ended.
    Closed,
}

/// The registers and the log.
#[derive(Debug)]
pub struct Measurements {
    registers: [Digest; REGISTERS],
    log: [Measurement; MAX_LOG],
    logged: usize,
    lost: u32,
}

/// A register after it was extended with `digest`.
pub fn extended(register: &Digest, digest: &Digest) -> Digest {
    sha256(&[register, digest])
}

impl Measurements {
    /// Nothing measured.
    pub const fn new() -> Self {
        const NOTHING: Measurement = Measurement { register: 0, name_length: 0, name: [0; 30], digest: [0; 32] };
        Self { registers: [[0; 32]; REGISTERS], log: [NOTHING; MAX_LOG], logged: 0, lost: 0 }
    }

    /// Extends a register; gives its new value.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn extend(&mut self, measurement: &Measurement, booting: bool) -> Result<Digest, Refused> {
        if !measurement.is_valid() {
            return Err(Refused::Malformed);
        }
        let index = usize::from(measurement.register);
        if index < BOOT_REGISTERS && !booting {
            return Err(Refused::Closed);
        }
        let register = &mut self.registers[index];
        *register = extended(register, &measurement.digest);
        match self.log.get_mut(self.logged) {
            Some(entry) => {
                *entry = *measurement;
                self.logged += 1;
            }
            None => self.lost = self.lost.saturating_add(1),
        }
        Ok(*register)
    }

    /// The values of all registers.
    pub fn registers(&self) -> &[Digest; REGISTERS] {
        &self.registers
    }

    /// What was measured, in order.
    pub fn log(&self) -> &[Measurement] {
        &self.log[..self.logged]
    }

    /// Measurements that are in the registers but did not fit into the log.
    pub fn lost(&self) -> u32 {
        self.lost
    }
}

impl Default for Measurements {
    fn default() -> Self {
        Self::new()
    }
}
