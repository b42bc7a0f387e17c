//! The integers against the same computation in floating point, and what must hold for any sound.

use core::f64::consts::TAU;
use proptest::prelude::*;

use crate::*;

/// The features of a frame as in the documentation, by definition: no fast transform, no table.
///
/// Also the same for the energy of the whole spectrum.
fn reference(samples: &[i16; FRAME]) -> ([f64; BANDS], f64) {
    let windowed: Vec<f64> =
        (0..FRAME).map(|at| f64::from(samples[at]) * (0.5 - 0.5 * (TAU * at as f64 / FRAME as f64).cos())).collect();
    let power: Vec<f64> = (0..=FRAME / 2)
        .map(|bin| {
            let (mut re, mut im) = (0.0, 0.0);
            for (at, value) in windowed.iter().enumerate() {
                let angle = TAU * ((bin * at) % FRAME) as f64 / FRAME as f64;
                re += value * angle.cos();
                im -= value * angle.sin();
            }
            re * re + im * im
        })
        .collect();
    let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let (lowest, highest) = (mel(f64::from(mel::LOWEST_HZ)), mel(f64::from(mel::HIGHEST_HZ)));
    let corner = |index: usize| {
        let mel = lowest + (highest - lowest) * index as f64 / (BANDS + 1) as f64;
        700.0 * (10f64.powf(mel / 2595.0) - 1.0) * FRAME as f64 / f64::from(SAMPLE_RATE)
    };
    let steps = |energy: f64| f64::from(STEPS_PER_OCTAVE) * (energy.max(1e-9).log2() - 3.0) - 128.0;
    let bands = core::array::from_fn(|band| {
        let (low, middle, high) = (corner(band), corner(band + 1), corner(band + 2));
        let energy: f64 = power
            .iter()
            .enumerate()
            .map(|(bin, power)| {
                let bin = bin as f64;
                let weight = ((bin - low) / (middle - low)).min((high - bin) / (high - middle));
                weight.max(0.0) * power
            })
            .sum();
        steps(energy).clamp(-128.0, 127.0)
    });
    (bands, steps(power.iter().sum()))
}

/// Steps below the energy of the whole spectrum, 90 dB, where rounding in the transform begins to show.
const DEPTH: f64 = 180.0;

/// Integers are at most one step from the reference, down to [`DEPTH`].
fn check(samples: &[i16; FRAME]) {
    let (reference, whole) = reference(samples);
    let floor = whole - DEPTH;
    for (band, (ours, reference)) in features(samples).iter().zip(reference).enumerate() {
        let difference = f64::from(*ours).max(floor) - reference.max(floor);
        assert!(difference.abs() <= 1.0, "band {band}: {ours}, in floating point {reference:.2}");
    }
}

fn tone(hz: f64, amplitude: f64) -> [i16; FRAME] {
    core::array::from_fn(|at| (amplitude * (TAU * hz * at as f64 / f64::from(SAMPLE_RATE)).sin()).round() as i16)
}

#[test]
fn silence_is_the_least() {
    assert_eq!(features(&[0; FRAME]), [-128; BANDS]);
}

#[test]
fn the_loudest_does_not_overflow() {
    check(&[i16::MIN; FRAME]);
    check(&[i16::MAX; FRAME]);
    for period in 1..64 {
        check(&core::array::from_fn(|at| if at / period % 2 == 0 { i16::MIN } else { i16::MAX }));
    }
}

#[test]
fn a_tone_is_in_its_band() {
    let (corners, bits) = mel::corners();
    for band in 0..BANDS {
        let bin = f64::from(corners[band + 1]) / f64::from(1u32 << bits);
        let hz = bin * f64::from(SAMPLE_RATE) / FRAME as f64;
        let features = features(&tone(hz, 10_000.0));
        let loudest = (0..BANDS).max_by_key(|band| features[*band]).unwrap();
        assert!(loudest.abs_diff(band) <= 1, "{hz} Hz: band {loudest}, not {band}");
    }
}

#[test]
fn twice_as_loud_is_twelve_steps_more() {
    let (soft, loud) = (features(&tone(1000.0, 4000.0)), features(&tone(1000.0, 8000.0)));
    for (soft, loud) in soft.iter().zip(loud).filter(|(soft, _)| **soft > 0) {
        assert!((11..=13).contains(&(loud - soft)), "{soft} and {loud}");
    }
}

#[test]
fn tables_are_what_they_are_called() {
    for (step, turn) in tables::TURN.iter().enumerate() {
        let angle = TAU * step as f64 / FRAME as f64;
        let one = f64::from(1 << tables::TWIDDLE_BITS);
        assert!((f64::from(turn.re) - angle.cos() * one).abs() <= 0.51, "cos of step {step}");
        assert!((f64::from(turn.im) + angle.sin() * one).abs() <= 0.51, "sin of step {step}");
    }
    for (at, value) in tables::HANN_Q15.iter().enumerate() {
        let hann = 0.5 - 0.5 * (TAU * at as f64 / FRAME as f64).cos();
        assert!((f64::from(*value) - hann * 32768.0).abs() <= 0.51);
    }
    let end = |hz: u32| (1.0 + f64::from(hz) / 700.0).ln();
    assert!((mel::ENDS.0 - end(mel::LOWEST_HZ)).abs() < 1e-15);
    assert!((mel::ENDS.1 - end(mel::HIGHEST_HZ)).abs() < 1e-15);
}

#[test]
fn logarithms() {
    assert_eq!((log2_q8(0), log2_q8(1), log2_q8(2), log2_q8(1 << 63)), (0, 0, 256, 63 << 8));
    assert_eq!(log2_q8(u64::MAX), (64 << 8) - 1);
}

proptest! {
    #[test]
    fn logarithms_are_rounded_down(value in 1u64.., shift in 0u32..63) {
        let value = (value >> shift).max(1);
        let exact = (value as f64).log2() * 256.0;
        let ours = f64::from(log2_q8(value));
        prop_assert!(ours <= exact + 1e-6 && exact < ours + 1.01, "{value}: {ours}, {exact}");
    }

    #[test]
    fn noise_is_as_in_floating_point(samples in prop::array::uniform32(prop::array::uniform16(any::<i16>())), shift in 0u32..12) {
        let samples: Vec<i16> = samples.iter().flatten().map(|sample| sample >> shift).collect();
        check(samples.as_slice().try_into().unwrap());
    }

    #[test]
    fn any_split_gives_the_same_frames(
        samples in prop::collection::vec(any::<i16>(), 0..4000),
        pieces in prop::collection::vec(1usize..700, 1..40),
    ) {
        let mut expected = Vec::new();
        let mut start = 0;
        while start + FRAME <= samples.len() {
            expected.push((features(samples[start..][..FRAME].try_into().unwrap()), start + FRAME));
            start += HOP;
        }
        let (mut frames, mut found, mut at) = (Frames::new(), Vec::new(), 0);
        for piece in pieces.iter().cycle() {
            let end = (at + piece).min(samples.len());
            frames.add(&samples[at..end], |features, used| found.push((features, at + used)));
            at = end;
            if at == samples.len() {
                break;
            }
        }
        prop_assert_eq!(found, expected);
    }
}
