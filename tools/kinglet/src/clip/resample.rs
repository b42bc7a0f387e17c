//! Sound at another rate.

use std::f64::consts::PI;

/// Zeros of the sinc on each side of its middle.
const ZEROS: f64 = 16.0;

/// The same sound with `to` samples a second: each is the sum of its neighbours, weighted by a sinc under a Hann window, so that
/// what the lower of the two rates cannot carry is left out.
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return samples.to_vec();
    }
    // A little below half the lower rate, for the slope of so short a filter.
    let cutoff = 0.95 * f64::min(1.0, f64::from(to) / f64::from(from));
    let reach = ZEROS / cutoff;
    let count = samples.len() as u64 * u64::from(to) / u64::from(from);
    let sample = |number: u64| {
        let middle = number as f64 * f64::from(from) / f64::from(to);
        let first = (middle - reach).ceil().max(0.0) as usize;
        let last = ((middle + reach).floor() as usize).min(samples.len().saturating_sub(1));
        let mut sum = 0.0;
        for (index, value) in samples.iter().enumerate().take(last + 1).skip(first) {
            let distance = index as f64 - middle;
            let angle = PI * distance * cutoff;
            let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
            let hann = 0.5 + 0.5 * (PI * distance / reach).cos();
            sum += f64::from(*value) * sinc * hann * cutoff;
        }
        sum.round().clamp(-32768.0, 32767.0) as i16
    };
    (0..count).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: u32, count: usize) -> Vec<i16> {
        (0..count).map(|at| (10_000.0 * (2.0 * PI * hz * at as f64 / f64::from(rate)).sin()) as i16).collect()
    }

    #[test]
    fn tones_keep_their_pitch_and_loudness() {
        for from in [8_000, 11_025, 22_050, 44_100, 48_000] {
            let made = resample(&tone(1000.0, from, from as usize), from, 16_000);
            assert_eq!(made.len(), 16_000);
            let wanted = tone(1000.0, 16_000, 16_000);
            // The ends lack neighbours.
            for at in 100..15_900 {
                assert!((made[at] - wanted[at]).abs() < 60, "{from}: sample {at}: {} and {}", made[at], wanted[at]);
            }
        }
    }

    #[test]
    fn what_the_rate_cannot_carry_is_left_out() {
        let made = resample(&tone(11_000.0, 44_100, 44_100), 44_100, 16_000);
        assert!(made[100..15_900].iter().all(|value| value.abs() < 50));
    }

    #[test]
    fn short_ones() {
        assert_eq!(resample(&[], 44_100, 16_000), []);
        assert_eq!(resample(&[5], 8_000, 16_000).len(), 2);
        assert_eq!(resample(&[5, 6], 16_000, 16_000), [5, 6]);
    }
}
