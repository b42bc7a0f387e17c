//! The spotter between a driver and a runner that do what they should, or not.

mod common;

use common::{Bench, Driver, Runner};
use proptest::prelude::*;
use protocols::audio::{self, BLOCK, BLOCK_NS, Block, request};
use protocols::keywords::state;
use protocols::model::{ModelInfo, Reply, code, kind};

/// Blocks until the first window is whole: 15,872 samples.
const FIRST: u64 = 50;

/// Sends block `number` and lets the spotter take it.
fn hear(bench: &mut Bench, driver: &mut Driver, number: u64) {
    assert!(driver.send(number, (number % 50) as i16 * 100));
    bench.clock.0 = (number + 1) * BLOCK_NS;
    bench.turn();
}

/// A bench with both, a block before the first window.
fn ready() -> (Bench, Driver, Runner) {
    let mut bench = Bench::new();
    let (mut driver, mut runner) = (Driver::start(&bench), Runner::start(&bench));
    for _ in 0..4 {
        bench.turn();
        assert!(runner.jobs().is_empty());
    }
    assert_eq!(driver.requests(), [audio::Request { kind: request::START, number: 0 }]);
    (0..FIRST - 1).for_each(|number| hear(&mut bench, &mut driver, number));
    (bench, driver, runner)
}

#[test]
fn a_window_every_four_frames() {
    let (mut bench, mut driver, mut runner) = ready();
    let mut jobs = Vec::new();
    for number in FIRST - 1..FIRST + 39 {
        hear(&mut bench, &mut driver, number);
        for job in runner.jobs() {
            runner.answer(&job, 11);
            jobs.push(job);
        }
        bench.turn();
    }
    assert_eq!(jobs.len(), 10);
    assert!(jobs.iter().all(|job| job.model == 1 && job.input.bytes == 1960 && job.deadline_ns == 400_000_000));
    let status = bench.spotter.status();
    assert_eq!((status.windows, status.state, status.gaps), (10, state::LISTENING, 0));
    // A frame ends 192 samples into its block: the rest of the block is waited for.
    assert_eq!(status.latency_max_ns, 128 * 62_500);
}

#[test]
fn a_slow_runner_costs_the_oldest_windows() {
    let (mut bench, mut driver, mut runner) = ready();
    for number in FIRST - 1..FIRST + 79 {
        hear(&mut bench, &mut driver, number);
    }
    // 20 windows: one is with the runner, 16 wait; the next frame would be written over one that the runner reads.
    let first = runner.jobs();
    assert_eq!((first.len(), bench.spotter.status().windows_dropped), (1, 3));
    assert_eq!(first[0].input.offset, 0);
    let (mut answered, mut job) = (0, first[0]);
    loop {
        runner.answer(&job, 11);
        answered += 1;
        bench.turn();
        match runner.jobs()[..] {
            [next] => job = next,
            _ => break,
        }
    }
    assert_eq!((answered, bench.spotter.status().windows, bench.spotter.status().gaps), (17, 17, 0));
}

#[test]
fn a_runner_that_never_answers_costs_sound_but_never_its_window() {
    let (mut bench, mut driver, mut runner) = ready();
    let before: Vec<u8> = {
        hear(&mut bench, &mut driver, FIRST - 1);
        bench.data[..1960].iter().map(|value| value.load(std::sync::atomic::Ordering::Relaxed)).collect()
    };
    for number in FIRST..FIRST + 400 {
        hear(&mut bench, &mut driver, number);
    }
    let after: Vec<u8> =
        bench.data[..1960].iter().map(|value| value.load(std::sync::atomic::Ordering::Relaxed)).collect();
    assert_eq!(before, after, "the runner owns it");
    let status = *bench.spotter.status();
    assert!(status.lost > 0 && status.gaps > 0 && status.windows_dropped > 0, "{status:?}");
    // It comes to its senses, and so does the spotter.
    let job = runner.jobs()[0];
    runner.answer(&job, 11);
    for number in FIRST + 400..FIRST + 600 {
        hear(&mut bench, &mut driver, number);
        for job in runner.jobs() {
            runner.answer(&job, 11);
        }
    }
    assert!(bench.spotter.status().windows > 20);
}

#[test]
fn a_runner_that_restarts_loses_one_window() {
    let (mut bench, mut driver, mut runner) = ready();
    hear(&mut bench, &mut driver, FIRST - 1);
    assert_eq!(runner.jobs().len(), 1);
    let mut runner = Runner::start(&bench);
    for number in FIRST..FIRST + 8 {
        hear(&mut bench, &mut driver, number);
        for job in runner.jobs() {
            runner.answer(&job, 11);
        }
    }
    bench.turn();
    runner.jobs().iter().for_each(|job| runner.answer(job, 11));
    bench.turn();
    let status = bench.spotter.status();
    assert_eq!((status.windows, status.windows_failed, status.runner_restarts, status.gaps), (2, 1, 1, 0));
}

#[test]
fn a_driver_that_restarts_is_asked_to_go_on() {
    let (mut bench, _, mut runner) = ready();
    let mut driver = Driver::start(&bench);
    bench.turn();
    bench.turn();
    let next = (FIRST - 1) * BLOCK as u64;
    assert_eq!(driver.requests(), [audio::Request { kind: request::START, number: next }]);
    hear(&mut bench, &mut driver, FIRST - 1);
    assert_eq!(runner.jobs().len(), 1, "without a gap");
    assert_eq!((bench.spotter.status().audio_restarts, bench.spotter.status().gaps), (1, 0));
}

#[test]
fn a_spotter_that_restarts_joins_the_sound_that_is_under_way() {
    let (mut bench, mut driver, mut runner) = ready();
    bench.restart_spotter();
    bench.turn();
    for number in 1000..1000 + FIRST {
        hear(&mut bench, &mut driver, number);
        runner.jobs();
    }
    let status = bench.spotter.status();
    assert_eq!((status.samples, status.gaps, status.lost), (FIRST * BLOCK as u64, 0, 0));
}

#[test]
fn lost_sound_is_counted_and_in_no_window() {
    let (mut bench, mut driver, mut runner) = ready();
    hear(&mut bench, &mut driver, FIRST + 9);
    assert!(runner.jobs().is_empty());
    let status = *bench.spotter.status();
    assert_eq!((status.gaps, status.lost), (1, 10 * BLOCK as u64));
    (FIRST + 10..FIRST + 8 + FIRST).for_each(|number| hear(&mut bench, &mut driver, number));
    assert!(runner.jobs().is_empty());
    hear(&mut bench, &mut driver, FIRST + 8 + FIRST);
    assert_eq!(runner.jobs().len(), 1);
}

#[test]
fn the_end_comes_after_the_last_opinion() {
    let (mut bench, mut driver, mut runner) = ready();
    hear(&mut bench, &mut driver, FIRST - 1);
    driver.0.push(&Block::new(audio::kind::END, FIRST * BLOCK as u64, 0)).unwrap();
    assert!(!bench.turn().ended);
    let job = runner.jobs()[0];
    runner.answer(&job, 3);
    assert!(bench.turn().ended);
    assert!(!bench.turn().ended, "told once");
    assert_eq!(bench.spotter.status().state, state::ENDED);
    // A driver that comes up again after the end is not asked to play it once more.
    let mut driver = Driver::start(&bench);
    bench.turn();
    bench.turn();
    assert_eq!(driver.requests(), []);
}

#[test]
fn a_runner_without_the_model_is_told_once() {
    let mut bench = Bench::new();
    let (mut driver, mut runner) = (Driver::start(&bench), Runner::start(&bench));
    let mut told = 0;
    for _ in 0..8 {
        told += usize::from(bench.turn().no_model);
        let _ = runner.link.poll();
        while let Ok(Some(request)) = runner.link.pop() {
            assert_eq!(request.kind, kind::MODEL_INFO);
            let info = ModelInfo { output_bytes: 11, input_bytes: 1960, ..ModelInfo::default() };
            let refused = if request.model < 3 { code::DONE } else { code::NO_MODEL };
            runner.link.push(&Reply::new(&request, refused).with_body(&info)).unwrap();
        }
    }
    assert_eq!((told, bench.spotter.status().state), (1, state::NO_MODEL));
    for number in 0..200 {
        driver.send(number, 5);
        bench.turn();
    }
    assert!(runner.jobs().is_empty());
    let status = bench.spotter.status();
    assert_eq!((status.state, status.windows), (state::NO_MODEL, 0));
    assert!(status.windows_dropped > 30);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever blocks and replies come, the spotter goes on, and no window that is with the runner changes.
    #[test]
    fn nonsense_does_no_harm(
        steps in prop::collection::vec((any::<u8>(), any::<u64>(), any::<u32>(), any::<i16>()), 0..120)
    ) {
        let mut bench = Bench::new();
        let (mut driver, mut runner) = (Driver::start(&bench), Runner::start(&bench));
        bench.turn();
        runner.jobs();
        let mut next = 0u64;
        let mut jobs = Vec::new();
        for (what, number, word, value) in steps {
            match what % 8 {
                0 => {
                    let _ = driver.0.push(&Block { kind: word, first: number, ..Block::new(0, 0, number) });
                }
                1 => {
                    let _ = driver.0.push(&Block::new(audio::kind::END, number, number));
                }
                2 => {
                    let reply = Reply { kind: word % 6, job: word, code: word % 20, model: word, body: [what; 80] };
                    let _ = runner.link.push(&reply);
                }
                3 => {
                    if let Some(job) = jobs.pop() {
                        let _ = runner.link.push(&Reply::new(&job, word % 12));
                    }
                }
                4 if word % 8 == 0 => bench.restart_spotter(),
                _ => {
                    for _ in 0..8 {
                        driver.send(next, value);
                        next += 1;
                    }
                }
            }
            bench.turn();
            jobs.extend(runner.jobs());
            let recent = bench.spotter.recent().count();
            prop_assert!(recent <= 8);
        }
    }
}
