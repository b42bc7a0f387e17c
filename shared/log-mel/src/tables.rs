//! Tables, computed when this is compiled. The tests hold them against the host's mathematics.

use crate::FRAME;
use crate::fft::Complex;

/// Bits of fraction of the factors of the transform.
pub(crate) const TWIDDLE_BITS: u32 = 30;

/// e^(-2πi k / [`FRAME`]) for `k` of the first half turn, both ends included.
pub(crate) const TURN: [Complex; FRAME / 2 + 1] = {
    let mut turns = [Complex { re: 0, im: 0 }; FRAME / 2 + 1];
    let mut step = 0;
    while step < turns.len() {
        let one = (1u64 << TWIDDLE_BITS) as f64;
        let (cos, sin) = cos_sin(step, FRAME);
        turns[step] = Complex { re: round(cos * one), im: round(-sin * one) };
        step += 1;
    }
    turns
};

/// The Hann window with 15 bits of fraction: sin² of half a turn over the frame.
pub(crate) const HANN_Q15: [i32; FRAME] = {
    let mut window = [0; FRAME];
    let mut at = 0;
    while at < FRAME {
        let (cos, _) = cos_sin(at, FRAME);
        window[at] = round((1.0 - cos) / 2.0 * 32768.0);
        at += 1;
    }
    window
};

/// To the nearest integer, halves away from zero.
pub(crate) const fn round(value: f64) -> i32 {
    if value < 0.0 { (value - 0.5) as i32 } else { (value + 0.5) as i32 }
}

/// Cosine and sine of `step` / `steps` of a full turn.
const fn cos_sin(step: usize, steps: usize) -> (f64, f64) {
    // By symmetry from the first quarter, where the series end quickly.
    let quarter = steps / 4;
    let angle = (step % quarter) as f64 / steps as f64 * core::f64::consts::TAU;
    let (mut cos, mut sin) = (0.0, 0.0);
    let (mut term, mut order) = (1.0, 0);
    while order < 24 {
        match order % 4 {
            0 => cos += term,
            1 => sin += term,
            2 => cos -= term,
            _ => sin -= term,
        }
        order += 1;
        term = term * angle / order as f64;
    }
    match step / quarter % 4 {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

/// e to the power of `exponent`, for exponents from 0 to some 10.
pub(crate) const fn exp(exponent: f64) -> f64 {
    let (mut sum, mut term, mut order) = (0.0, 1.0, 0);
    while order < 64 {
        sum += term;
        order += 1;
        term = term * exponent / order as f64;
    }
    sum
}
