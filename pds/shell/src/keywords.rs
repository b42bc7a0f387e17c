//! `keywords`: how the shell tells what the keyword spotter answers.

use crate::units::Micros;
use crate::world::World;
use protocols::audio::SAMPLE_RATE;
use protocols::keywords::{Detection, Status, state};

/// A word that was heard.
pub fn print_heard(heard: &Detection, world: &mut impl World) {
    let at_ms = heard.sample.saturating_mul(1000) / u64::from(SAMPLE_RATE);
    world.print(format_args!(
        "{:>4}. {:<16} at {:>4}.{:02} s, sure to {:>3} %, told after {}",
        heard.number.saturating_add(1),
        heard.word(),
        at_ms / 1000,
        at_ms % 1000 / 10,
        heard.confidence / 10,
        Micros(heard.latency_ns / 1_000),
    ));
}

/// How the spotter is.
pub fn print_status(status: &Status, world: &mut impl World) {
    let Status { windows, windows_dropped, windows_failed, gaps, lost, samples, .. } = *status;
    let seconds = samples / u64::from(SAMPLE_RATE);
    world.print(format_args!(
        "{}; {} words heard in {seconds} s of sound, with {gaps} gaps and {lost} samples lost",
        state::name(status.state),
        status.detections
    ));
    world.print(format_args!("{windows} windows judged, {windows_dropped} left out, {windows_failed} failed"));
    if let (Some(mean_ns), Some(model_ns)) =
        (status.latency_sum_ns.checked_div(windows), status.model_ns.checked_div(windows))
    {
        world.print(format_args!(
            "a window is judged {} after its last sample, {} at most; its inference takes {}",
            Micros(mean_ns / 1_000),
            Micros(status.latency_max_ns / 1_000),
            Micros(model_ns / 1_000)
        ));
    }
    world.print(format_args!(
        "the audio driver restarted {} times, the model runner {} times",
        status.audio_restarts, status.runner_restarts
    ));
}
