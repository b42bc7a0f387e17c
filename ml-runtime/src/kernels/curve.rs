//! The logistic function and the hyperbolic tangent of 16-bit numbers, by a table and linear interpolation.

/// Entries of the table for one unit of its argument.
const STEPS: f64 = 24.0;

/// The logistic function of 0/24 … 255/24, in 1/65,536. Each entry is less the sixteenth part of the function's curvature
/// over one step: that way interpolation is too small about as often as too large. The last is rounded up.
static LOGISTIC: [u16; 256] = table();

const fn table() -> [u16; 256] {
    // e^(−1/24), by its series.
    let (mut step, mut term, mut i) = (1.0, 1.0, 1);
    while i < 20 {
        term *= -1.0 / (STEPS * i as f64);
        step += term;
        i += 1;
    }
    let mut table = [u16::MAX; 256];
    let (mut power, mut i) = (1.0, 0);
    while i < 255 {
        let value = 1.0 / (1.0 + power);
        let curvature = value * (1.0 - value) * (1.0 - 2.0 * value) / (STEPS * STEPS);
        table[i] = (65_536.0 * (value - curvature / 16.0) + 0.5) as u16;
        power *= step;
        i += 1;
    }
    table
}

/// The table at `magnitude`, of which the lowest `bits` bits are interpolated; the result has as many more. `None` where
/// the table ends.
fn interpolate(magnitude: u32, bits: u32) -> Option<i32> {
    let index = (magnitude >> bits) as usize;
    let [here, next] = *LOGISTIC.get(index..)?.first_chunk()?;
    let part = (magnitude & ((1 << bits) - 1)) as i32;
    Some((i32::from(here) << bits) + part * (i32::from(next) - i32::from(here)))
}

/// 1 / (1 + e^−x) for x in Q3.12; the result is Q0.15.
pub(crate) fn logistic(x: i16) -> i16 {
    // The table has 24 steps of 512 for 4096: three for one.
    let x = i32::from(x) * 3;
    let above = interpolate(x.unsigned_abs(), 9).unwrap_or(0x7fff << 10);
    let result = if x >= 0 { above + (1 << 9) } else { (1 << 25) - above + (1 << 9) - 1 };
    (result >> 10) as i16
}

/// How a number is brought to the table for [`tanh`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TanhScale {
    factor: i32,
    shift: u32,
}

impl TanhScale {
    /// For numbers in units of 2^`power`, which must be −27..=2.
    pub fn new(power: i32) -> Option<Self> {
        match power {
            -27..=-13 => Some(TanhScale { factor: 3, shift: (-12 - power) as u32 }),
            -12..=2 => Some(TanhScale { factor: 3 << (12 + power), shift: 0 }),
            _ => None,
        }
    }
}

/// tanh(x), which is 2 / (1 + e^−2x) − 1; the result is Q0.15.
pub(crate) fn tanh(x: i16, scale: TanhScale) -> i16 {
    let round = if scale.shift > 0 { 1 << (scale.shift - 1) } else { 0 };
    let x = (i32::from(x) * scale.factor + round) >> scale.shift;
    let above = interpolate(x.unsigned_abs(), 8).unwrap_or(0xffff << 8) - (1 << 23);
    let result = if x >= 0 { above + (1 << 7) } else { -above + (1 << 7) - 1 };
    (result >> 8) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_close() {
        assert_eq!([LOGISTIC[0], LOGISTIC[1], LOGISTIC[24], LOGISTIC[255]], [32_768, 33_451, 47_911, 65_535]);
        for x in (i16::MIN..=i16::MAX).step_by(7) {
            let real = f64::from(x) / 4096.0;
            let expected = 1.0 / (1.0 + (-real).exp());
            assert!((f64::from(logistic(x)) / 32_768.0 - expected).abs() < 1e-4, "{x}");
            for power in [-12, -15, -11] {
                let real = f64::from(x) * 2f64.powi(power);
                let result = f64::from(tanh(x, TanhScale::new(power).unwrap())) / 32_768.0;
                assert!((result - real.tanh()).abs() < 1e-3, "{x} · 2^{power}: {result}");
            }
        }
    }

    #[test]
    fn units_have_bounds() {
        assert!(TanhScale::new(3).is_none() && TanhScale::new(-28).is_none());
        for power in -27..=2 {
            let scale = TanhScale::new(power).unwrap();
            assert!(tanh(i16::MIN, scale) <= 0 && tanh(i16::MAX, scale) >= 0);
        }
    }
}
