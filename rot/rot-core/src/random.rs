//! The random generator: ChaCha20, seeded by what the flash kept and by fresh entropy.
//!
//! The emulated machine has no entropy source, so security rests on the stored seed: it was made when the device was
//! provisioned and is replaced at each start *before* the first byte is given out. No two starts give the same bytes, and
//! whoever reads the flash later cannot compute what was given out before. Whatever entropy the machine can find is mixed in;
//! bad entropy does no harm.

use hkdf::Hkdf;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::Sha256;

/// A source of random bytes.
#[derive(Clone, Debug)]
pub struct Random {
    generator: ChaCha20Rng,
}

impl Random {
    /// A generator, and the seed to store in place of `stored`.
    pub fn start(stored: &[u8; 32], entropy: &[u8; 32], start: u32) -> (Self, [u8; 32]) {
        let secret = Hkdf::<Sha256>::new(Some(stored), entropy);
        let derive = |purpose: &[u8]| {
            let mut seed = [0; 32];
            // 32 bytes are never too many for HKDF.
            let _ = secret.expand_multi_info(&[b"kinglet random ", purpose, &start.to_le_bytes()], &mut seed);
            seed
        };
        (Self { generator: ChaCha20Rng::from_seed(derive(b"now")) }, derive(b"next"))
    }

    /// The generator's plain algorithm with a known seed, for the self test.
    pub(crate) fn known(seed: [u8; 32]) -> Self {
        Self { generator: ChaCha20Rng::from_seed(seed) }
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.generator.fill_bytes(bytes);
    }

    /// An array of random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
