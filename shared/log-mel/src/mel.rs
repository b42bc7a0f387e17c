//! Bands that lie as the ear hears them: triangles, equally wide on the mel scale, each from the middle of the one below to
//! the middle of the one above.
//!
//! The mel scale is that of the HTK book (S. Young et al., version 3.4, section 5.4): 2595 log10(1 + f / 700 Hz).

use crate::tables::{exp, round};
use crate::{BANDS, FRAME, SAMPLE_RATE};

/// Bits of fraction of the weights.
pub const WEIGHT_BITS: u32 = 12;
/// Where the lowest band begins: below are mains hum and wind.
pub const LOWEST_HZ: u32 = 80;
/// Where the highest band ends.
pub const HIGHEST_HZ: u32 = 7600;

/// Bins of the spectrum.
const BINS: usize = FRAME / 2 + 1;
/// Where the triangles' corners lie, in bins with this many bits of fraction.
const CORNER_BITS: u32 = 12;
const CORNERS: [u32; BANDS + 2] = {
    // Natural logarithms of 1 + f / 700 Hz at both ends, computed with the host's mathematics (the tests hold them
    // against it): the scale's factor cancels out.
    let (lowest, highest) = (LN_LOWEST, LN_HIGHEST);
    let mut corners = [0; BANDS + 2];
    let mut index = 0;
    while index < corners.len() {
        let mel = lowest + (highest - lowest) * index as f64 / (BANDS + 1) as f64;
        let hz = 700.0 * (exp(mel) - 1.0);
        let bin = hz * FRAME as f64 / SAMPLE_RATE as f64;
        corners[index] = round(bin * (1u32 << CORNER_BITS) as f64) as u32;
        index += 1;
    }
    corners
};
const LN_LOWEST: f64 = 0.108_213_584_640_232_79;
const LN_HIGHEST: f64 = 2.472_930_458_741_285;

/// A bin's part in two neighbouring bands: `weight` in `band`, the rest of 1 in the band below.
#[derive(Clone, Copy)]
struct Share {
    /// Number of the band, from 1; 0: none, and `BANDS + 1`: only the one below.
    band: u8,
    weight: u16,
}

const SHARES: [Share; BINS] = {
    let mut shares = [Share { band: 0, weight: 0 }; BINS];
    let mut bin = 0;
    while bin < BINS {
        let at = (bin as u32) << CORNER_BITS;
        let mut corner = 0;
        while corner + 1 < CORNERS.len() {
            let (low, high) = (CORNERS[corner], CORNERS[corner + 1]);
            if low <= at && at < high {
                let weight = (((at - low) << WEIGHT_BITS) + (high - low) / 2) / (high - low);
                shares[bin] = Share { band: corner as u8 + 1, weight: weight as u16 };
            }
            corner += 1;
        }
        bin += 1;
    }
    shares
};

/// The energy of each band, with [`WEIGHT_BITS`] more bits of fraction than `power` has.
///
/// The weights of a bin sum up to at most 1, so the energies to at most the power: it does not overflow if the sum of
/// the power has [`WEIGHT_BITS`] bits to spare.
pub fn energies(power: &[u64; BINS]) -> [u64; BANDS] {
    let mut energies = [0u64; BANDS];
    for (power, share) in power.iter().zip(&SHARES) {
        let band = usize::from(share.band);
        if band == 0 {
            continue;
        }
        let weight = u64::from(share.weight);
        if let Some(energy) = energies.get_mut(band - 1) {
            *energy = energy.wrapping_add(power.wrapping_mul(weight));
        }
        if let Some(energy) = band.checked_sub(2).and_then(|below| energies.get_mut(below)) {
            *energy = energy.wrapping_add(power.wrapping_mul((1 << WEIGHT_BITS) - weight));
        }
    }
    energies
}

/// The corners of the triangles in bins with [`CORNER_BITS`], for the tests.
#[cfg(test)]
pub(crate) fn corners() -> (&'static [u32], u32) {
    (&CORNERS, CORNER_BITS)
}

/// The logarithms at both ends, for the tests.
#[cfg(test)]
pub(crate) const ENDS: (f64, f64) = (LN_LOWEST, LN_HIGHEST);
