//! Features of sound for keyword spotting: the logarithms of its energies in bands that lie as the ear hears them.
//!
//! | step | numbers |
//! |---|---|
//! | [`FRAME`] samples, one [`HOP`] after the last | 16-bit, 16 kHz |
//! | times a Hann window | 7 bits of fraction |
//! | Fourier transform ([`fft`]) | the same: no step of it scales, because nothing can overflow |
//! | power of each bin, summed by triangles to [`BANDS`] bands ([`mel`]) | 64 bits |
//! | logarithm ([`log2_q8`]) | 8 bits of fraction |
//! | one byte a band: [`STEPS_PER_OCTAVE`] steps for each doubling of the energy, half a decibel each | [`i8`] |
//!
//! There is no floating point at run time, so host and device agree to the bit: a model is trained on exactly what it will be
//! given. (Tables are computed with floating point when this is compiled, by the compiler's own emulation of it, which is
//! the same everywhere.)
//!
//! The transform is this crate's own. The crates of the field that are well kept (`rustfft`, `microfft`) compute in
//! floating point; the two in fixed point scale 16-bit data at every stage, which buries quiet speech, or have one release and
//! no users.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod fft;
pub mod mel;
mod stream;
mod tables;

pub use stream::Frames;

/// Samples in a second.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples in a frame: 32 ms.
pub const FRAME: usize = 512;
/// Samples from the start of a frame to that of the next: 20 ms.
pub const HOP: usize = 320;
/// Features of a frame.
pub const BANDS: usize = 40;
/// Frames that a model sees at once.
pub const WINDOW_FRAMES: usize = 49;
/// Features that a model sees at once: a frame's bands one after another, the oldest frame first.
pub const WINDOW_FEATURES: usize = WINDOW_FRAMES * BANDS;
/// Samples that a model's window covers: 992 ms.
pub const WINDOW_SAMPLES: usize = (WINDOW_FRAMES - 1) * HOP + FRAME;

/// Steps of a feature for each doubling of the energy: one step is 0.502 dB.
pub const STEPS_PER_OCTAVE: i32 = 6;
/// The logarithm of the energy that gives the least feature.
const LEAST_LOG2: i32 = 3;
/// Bits of the power that are dropped before it is weighted: the fraction of samples, squared, but for 4 bits.
const POWER_DROPPED_BITS: u32 = 10;
/// Bits of fraction that an energy then has: those 4, and those of the weights.
const ENERGY_FRACTION_BITS: i32 = 4 + mel::WEIGHT_BITS as i32;

/// The features of one frame.
///
/// A band of the energy `e` (the sum of the squared magnitudes of its bins, of samples as integers) becomes
/// `6 (log2 e - 3) - 128`, limited to what a byte holds: from silence to as loud as it gets.
pub fn features(samples: &[i16; FRAME]) -> [i8; BANDS] {
    let mut spectrum = [fft::Complex::default(); FRAME / 2];
    // Two real samples to a complex one: half the work, undone by `fft::power`.
    for (index, bin) in spectrum.iter_mut().enumerate() {
        let windowed = |at: usize| (i32::from(samples[at]) * tables::HANN_Q15[at] + (1 << 7)) >> 8;
        *bin = fft::Complex { re: windowed(2 * index), im: windowed(2 * index + 1) };
    }
    fft::transform(&mut spectrum);
    let mut power = [0; FRAME / 2 + 1];
    fft::power(&spectrum, &mut power);
    for bin in &mut power {
        *bin >>= POWER_DROPPED_BITS;
    }
    mel::energies(&power).map(feature)
}

/// The feature of an energy with [`ENERGY_FRACTION_BITS`].
fn feature(energy: u64) -> i8 {
    let log2_q8 = log2_q8(energy) - ((ENERGY_FRACTION_BITS + LEAST_LOG2) << 8);
    let steps = (log2_q8 * STEPS_PER_OCTAVE + (1 << 7)) >> 8;
    (steps - 128).clamp(-128, 127) as i8
}

/// The logarithm of `value` to the base 2 with 8 bits of fraction, rounded down; of 0 as of 1.
///
/// Squaring a number between 1 and 2 doubles its logarithm, so each squaring gives the next bit of it.
pub fn log2_q8(value: u64) -> i32 {
    let value = value.max(1);
    let exponent = 63 - value.leading_zeros();
    // The mantissa, from 1 to 2, with 31 bits of fraction.
    let mut mantissa = if exponent >= 31 { value >> (exponent - 31) } else { value << (31 - exponent) };
    let mut log2 = exponent as i32;
    for _ in 0..8 {
        mantissa = (mantissa * mantissa) >> 31;
        let doubled = mantissa >> 32;
        mantissa >>= doubled;
        log2 = 2 * log2 + doubled as i32;
    }
    log2
}

#[cfg(test)]
mod tests;
