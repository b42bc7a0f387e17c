//! The Fourier transform of a frame, radix 2, in 32-bit integers.
//!
//! Nothing is scaled on the way. Samples have 15 bits, and 7 of fraction; the window halves their sum. Two of them make a point,
//! of magnitude 2^22 √2 at most, so 256 points add up to 2^29.5, and the sum of two bins in [`power`] to 2^30.5: no step
//! overflows, whatever is said.

use crate::FRAME;
use crate::tables::{TURN, TWIDDLE_BITS};

/// Points of the complex transform, two samples each.
const POINTS: usize = FRAME / 2;

/// A complex number with 7 bits of fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Complex {
    /// Real part.
    pub re: i32,
    /// Imaginary part.
    pub im: i32,
}

impl Complex {
    fn add(self, other: Complex) -> Complex {
        Complex { re: self.re + other.re, im: self.im + other.im }
    }

    fn sub(self, other: Complex) -> Complex {
        Complex { re: self.re - other.re, im: self.im - other.im }
    }

    /// Times e^(-2πi `step` / [`FRAME`]), rounded to nearest.
    fn turned(self, step: usize) -> Complex {
        let turn = TURN[step];
        let (re, im) = (i64::from(self.re), i64::from(self.im));
        let (cos, sin) = (i64::from(turn.re), i64::from(turn.im));
        let round = |value: i64| ((value + (1 << (TWIDDLE_BITS - 1))) >> TWIDDLE_BITS) as i32;
        Complex { re: round(re * cos - im * sin), im: round(re * sin + im * cos) }
    }
}

/// Transforms in place: bin `k` becomes the sum over `n` of point `n` times e^(-2πi k n / 256).
pub fn transform(points: &mut [Complex; POINTS]) {
    for index in 0..POINTS {
        let reversed = index.reverse_bits() >> (usize::BITS - POINTS.ilog2());
        if reversed > index {
            points.swap(index, reversed);
        }
    }
    let mut half = 1;
    while half < POINTS {
        for block in points.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (index, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let turned = high.turned(index * (POINTS / half));
                (*low, *high) = (low.add(turned), low.sub(turned));
            }
        }
        half *= 2;
    }
}

/// The squared magnitudes, with 14 bits of fraction, of the first half of the transform of [`FRAME`] real samples, of
/// which the even ones were the real parts of what was transformed, and the odd ones the imaginary parts.
pub fn power(points: &[Complex; POINTS], power: &mut [u64; POINTS + 1]) {
    for (bin, power) in power.iter_mut().enumerate() {
        let (a, b) = (points[bin % POINTS], points[(POINTS - bin) % POINTS]);
        // Twice the transforms of the even samples and of the odd ones.
        let even = Complex { re: a.re + b.re, im: a.im - b.im };
        let odd = Complex { re: a.im + b.im, im: b.re - a.re };
        let odd = odd.turned(bin);
        let square = |even: i32, odd: i32| {
            let sum = (i64::from(even) + i64::from(odd)) / 2;
            (sum * sum) as u64
        };
        *power = square(even.re, odd.re) + square(even.im, odd.im);
    }
}
