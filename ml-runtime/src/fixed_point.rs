//! Fixed-point arithmetic with TensorFlow Lite Micro's rounding.
//!
//! The reference rounds twice: a multiplication by a 31-bit fraction rounds to nearest, and the right shift after it
//! rounds to nearest again, ties away from zero (gemmlowp's `SaturatingRoundingDoublingHighMul` and
//! `RoundingDivideByPOT`). Both are reproduced here; [`Requantize`] fuses them without a branch.

/// A positive real number as a fraction of 31 bits and a power of two: `fraction / 2^31 · 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// In 2^30..2^31, or 0.
    pub fraction: i32,
    /// Left shift if positive.
    pub exponent: i32,
}

impl Multiplier {
    /// The nearest representation of `real`, which must be finite and not negative; tiny numbers become zero.
    pub fn from_real(real: f64) -> Multiplier {
        let bits = real.to_bits();
        let biased = (bits >> 52) as i32 & 0x7ff;
        if biased == 0 {
            return Multiplier { fraction: 0, exponent: 0 };
        }
        // A fraction in [1/2, 1) has 53 significant bits; 31 of them are kept, rounded half away from zero.
        let mut exponent = biased - 1022;
        let significand = (bits & ((1 << 52) - 1)) | 1 << 52;
        let mut fraction = ((significand >> 21) + 1) >> 1;
        if fraction == 1 << 31 {
            fraction >>= 1;
            exponent += 1;
        }
        if exponent < -31 {
            return Multiplier { fraction: 0, exponent: 0 };
        }
        Multiplier { fraction: fraction as i32, exponent }
    }
}

/// `round(a · b / 2^31)`, ties upwards, saturated.
#[inline]
pub fn rounding_high_mul(a: i32, b: i32) -> i32 {
    // The reference divides towards zero with a nudge that depends on the sign; that is this shift.
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31).min(i64::from(i32::MAX)) as i32
}

/// `x / 2^exponent`, rounded to nearest, ties away from zero; `exponent` is 0..=31.
#[inline]
pub fn rounding_shift(x: i32, exponent: u32) -> i32 {
    let mask = (1i64 << exponent) - 1;
    let remainder = i64::from(x) & mask;
    let threshold = (mask >> 1) + i64::from(x < 0);
    ((i64::from(x) >> exponent) + i64::from(remainder > threshold)) as i32
}

/// `x · multiplier` with both roundings; shifts that overflow wrap (the reference leaves them undefined).
#[inline]
#[cfg(test)]
pub fn scale(x: i32, multiplier: Multiplier) -> i32 {
    let left = multiplier.exponent.max(0) as u32;
    let right = (-multiplier.exponent).clamp(0, 31) as u32;
    rounding_shift(rounding_high_mul(x.wrapping_shl(left), multiplier.fraction), right)
}

/// Multiplication by a [`Multiplier`], as constants of one shift: six instructions and no branch.
///
/// For a right shift by e ≥ 1, both roundings together are
/// `(x·fraction + 2^30 + 2^(30+e) − [x < 0]·2^31) >> (31+e)`: nested floors merge, and the sign of `x` may stand for the
/// sign of the intermediate, because where they differ the intermediate is 0 and both roundings give 0.
#[derive(Clone, Copy, Debug)]
pub struct Requantize {
    fraction: i64,
    nudge: i64,
    sign_mask: i64,
    shift: u32,
}

impl Requantize {
    /// The constants for `multiplier`.
    #[inline]
    pub fn new(multiplier: Multiplier) -> Self {
        let left = multiplier.exponent.clamp(0, 31) as u32;
        let right = (-multiplier.exponent).clamp(0, 31) as u32;
        let twice = right > 0;
        Requantize {
            fraction: i64::from(multiplier.fraction) << left,
            nudge: (1 << 30) + if twice { 1i64 << (30 + right) } else { 0 },
            sign_mask: if twice { !0 << 31 } else { 0 },
            shift: 31 + right,
        }
    }

    /// `x` times the multiplier.
    #[inline(always)]
    pub fn apply(&self, x: i32) -> i64 {
        let x = i64::from(x);
        x.wrapping_mul(self.fraction).wrapping_add(self.nudge).wrapping_add((x >> 63) & self.sign_mask) >> self.shift
    }
}

/// The last step of every kernel: adds the output's zero point and clamps to its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest value, at least −128.
    pub min: i32,
    /// Largest value, at most 127 and not below `min`.
    pub max: i32,
}

impl Finish {
    /// Without branches: two minimums with zero, each a shift and an `and`.
    #[inline(always)]
    pub fn apply(&self, x: i64) -> i8 {
        let above = x + i64::from(self.zero_point - self.max);
        let below = i64::from(self.min - self.max) - (above & (above >> 63));
        (i64::from(self.min) - (below & (below >> 63))) as i8
    }
}

/// e^x for x ≤ 0 in Q(`integer_bits`), as gemmlowp's `exp_on_negative_values` computes it: the result is Q0.31.
pub fn exp_of_negative(x: i32, integer_bits: u32) -> i32 {
    let fraction_bits = 31 - integer_bits;
    let quarter = 1i32 << (fraction_bits - 2);
    let part = (x & (quarter - 1)) - quarter;
    let mut result = exp_below_a_quarter(saturating_shl(part, integer_bits));
    // What is left is a multiple of a quarter; multiply by e^-(2^i) for each of its bits.
    let rest = part.wrapping_sub(x);
    const POWERS: [(i32, i32); 7] = [
        (-2, 1_672_461_947),
        (-1, 1_302_514_674),
        (0, 790_015_084),
        (1, 290_630_308),
        (2, 39_332_535),
        (3, 720_401),
        (4, 242),
    ];
    for (exponent, power) in POWERS {
        if integer_bits as i32 > exponent && rest & (1 << (fraction_bits as i32 + exponent)) != 0 {
            result = rounding_high_mul(result, power);
        }
    }
    if x == 0 { i32::MAX } else { result }
}

/// e^x for x in [−1/4, 0), both Q0.31: a Taylor expansion about −1/8.
fn exp_below_a_quarter(x: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = x + (1 << 28);
    let x2 = rounding_high_mul(x, x);
    let x3 = rounding_high_mul(x2, x);
    let x4 = rounding_high_mul(x2, x2);
    let tail = rounding_shift(rounding_high_mul(rounding_shift(x4, 2) + x3, THIRD) + x2, 1);
    EXP_MINUS_EIGHTH + rounding_high_mul(EXP_MINUS_EIGHTH, x + tail)
}

/// `x · 2^exponent`, saturated.
pub fn saturating_shl(x: i32, exponent: u32) -> i32 {
    (i64::from(x) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// 1 / (1 + x) for x in [0, 1), both Q0.31.
pub fn one_over_one_plus(x: i32) -> i32 {
    saturating_shl(two_over_one_plus(x), 1)
}

/// (1 − x) / (1 + x) for x in [0, 1), both Q0.31.
pub fn one_minus_over_one_plus(x: i32) -> i32 {
    saturating_shl(two_over_one_plus(x).wrapping_sub(1 << 29), 2)
}

/// 2 / (1 + x) in Q2.29 for x in [0, 1), Q0.31: three Newton-Raphson steps, as gemmlowp does them.
fn two_over_one_plus(x: i32) -> i32 {
    const FORTY_EIGHT_OVER_17: i32 = 1_515_870_810;
    const MINUS_32_OVER_17: i32 = -1_010_580_540;
    let sum = i64::from(x) + i64::from(i32::MAX);
    let half_denominator = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut guess = FORTY_EIGHT_OVER_17 + rounding_high_mul(half_denominator, MINUS_32_OVER_17);
    for _ in 0..3 {
        let error = (1 << 29) - rounding_high_mul(half_denominator, guess);
        guess = guess.wrapping_add(saturating_shl(rounding_high_mul(guess, error), 2));
    }
    guess
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// gemmlowp's definition, word by word.
    fn high_mul_by_definition(a: i32, b: i32) -> i32 {
        if a == i32::MIN && b == i32::MIN {
            return i32::MAX;
        }
        let product = i64::from(a) * i64::from(b);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        ((product + nudge) / (1i64 << 31)) as i32
    }

    #[test]
    fn multipliers_of_known_numbers() {
        assert_eq!(Multiplier::from_real(0.0), Multiplier { fraction: 0, exponent: 0 });
        assert_eq!(Multiplier::from_real(1.0), Multiplier { fraction: 1 << 30, exponent: 1 });
        assert_eq!(Multiplier::from_real(0.75), Multiplier { fraction: 3 << 29, exponent: 0 });
        let almost_one = f64::from_bits(1.0f64.to_bits() - 1);
        assert_eq!(Multiplier::from_real(almost_one), Multiplier { fraction: 1 << 30, exponent: 1 });
        assert_eq!(Multiplier::from_real(1e-30), Multiplier { fraction: 0, exponent: 0 });
    }

    #[test]
    fn exponentials_are_close() {
        for step in 1..200 {
            let x = -(step as f64) / 13.0;
            let fixed = exp_of_negative((x * f64::from(1 << 26)) as i32, 5);
            assert!((f64::from(fixed) / 2f64.powi(31) - x.exp()).abs() < 1e-6, "{x}");
        }
        for step in 0..100 {
            let x = f64::from(step) / 100.0;
            let fixed = one_over_one_plus((x * 2f64.powi(31)) as i32);
            assert!((f64::from(fixed) / 2f64.powi(31) - 1.0 / (1.0 + x)).abs() < 1e-6, "{x}");
            let fixed = one_minus_over_one_plus((x * 2f64.powi(31)) as i32);
            assert!((f64::from(fixed) / 2f64.powi(31) - (1.0 - x) / (1.0 + x)).abs() < 1e-6, "{x}");
        }
    }

    proptest! {
        #[test]
        fn high_mul_is_gemmlowps(a: i32, b: i32) {
            prop_assert_eq!(rounding_high_mul(a, b), high_mul_by_definition(a, b));
        }

        #[test]
        fn requantize_is_both_roundings(x: i32, fraction in 1 << 30..=i32::MAX, right in 0i32..=31) {
            let multiplier = Multiplier { fraction, exponent: -right };
            prop_assert_eq!(Requantize::new(multiplier).apply(x), i64::from(scale(x, multiplier)));
        }

        #[test]
        fn requantize_small(x in -1000i32..1000, fraction in 1 << 30..=i32::MAX, exponent in -31i32..=20) {
            let multiplier = Multiplier { fraction, exponent };
            prop_assert_eq!(Requantize::new(multiplier).apply(x), i64::from(scale(x, multiplier)));
        }

        #[test]
        fn finish_clamps(x in -1_000_000_000i64..1_000_000_000, zero_point in -128i32..128, a in -128i32..128, b in -128i32..128) {
            let finish = Finish { zero_point, min: a.min(b), max: a.max(b) };
            let expected = (x + i64::from(zero_point)).clamp(i64::from(finish.min), i64::from(finish.max));
            prop_assert_eq!(i64::from(finish.apply(x)), expected);
        }
    }
}
