//! Runs every sample of every model on the accelerator and compares bit for bit; then makes it hang, crash, answer nonsense
//! and refuse, each with a job behind that must be right.
#![no_std]
#![no_main]

use core::ptr::NonNull;

use npu::driver::{Driver, Fate, Outcome, Patience};
use npu::layout::{Command, operation, provoke, status};
use npu::registers::{Block, Device, LineBlock};
use protocols::model_pack::ModelPack;
use sel4_microkit::counters::rdtime;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use test_pds::alarm::Alarm;
use test_pds::figures::{PerMac, short_name};
use test_pds::{TICKS_PER_MS, say, verdict};

const COMPLETION: Channel = Channel::new(33);
const ALARM: Channel = Channel::new(11);
const NS_PER_TICK: u64 = 100;
/// No model takes longer.
const LIMIT_TICKS: u64 = 1000 * TICKS_PER_MS;
const SHORT_TICKS: u64 = 20 * TICKS_PER_MS;
const ARENA_BYTES: usize = 1 << 20;
const OUTPUT_BYTES: usize = 4096;
/// Cause of a load that protection refused (privileged specification, `mcause`).
const LOAD_ACCESS_FAULT: u32 = 5;

/// What the judge does when no model is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Hang,
    CancelHang,
    Crash,
    Nonsense,
    SmallArena,
    OutsideModel,
    OverlappingOutput,
    NoModel,
    WrongOperation,
    Finished,
}

struct Judge {
    driver: Driver<Device<'static>>,
    alarm: Alarm,
    models: &'static [u8],
    /// The output, as this program sees it.
    output: NonNull<u8>,
    pack: ModelPack<'static>,
    arena_at: usize,
    output_at: usize,
    model: usize,
    sample: usize,
    instructions: u64,
    fastest_ticks: u64,
    trial: Trial,
    /// Number of the job that is awaited, and of the right one behind a wrong one.
    awaited: u64,
    behind: Option<u64>,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let (models_bytes, work_bytes) = (*var!(models_bytes: usize = 0), *var!(work_bytes: usize = 0));
    // The accelerator's offsets begin at the models.
    let arena_at = *var!(work_paddr: usize = 0) - *var!(models_paddr: usize = 0);
    // SAFETY: the regions are whole pages of registers or memory, mapped as long as the program runs. Nobody writes the models.
    let (block, completion, doorbell, models) = unsafe {
        (
            memory_region_symbol!(control: *mut Block).as_ref(),
            memory_region_symbol!(completion: *mut LineBlock).as_ref(),
            memory_region_symbol!(doorbell: *mut LineBlock).as_ref(),
            core::slice::from_raw_parts(memory_region_symbol!(models: *mut u8).as_ptr(), models_bytes),
        )
    };
    // SAFETY: the region has more than these bytes, as is checked below.
    let output = unsafe { memory_region_symbol!(work: *mut u8).add(ARENA_BYTES) };
    let now = rdtime();
    let driver = Driver::new(
        Device { block, doorbell, completion },
        now,
        Patience { reset_ticks: 1000 * TICKS_PER_MS, beat_ticks: 1000 * TICKS_PER_MS },
    );
    let driver = driver.unwrap_or_else(|error| panic!("{error}"));
    let pack = ModelPack::parse(models).unwrap_or_else(|error| panic!("{error}"));
    let mut judge = Judge {
        driver,
        alarm: Alarm::new(),
        models,
        output,
        pack,
        arena_at,
        output_at: arena_at + ARENA_BYTES,
        model: 0,
        sample: 0,
        instructions: 0,
        fastest_ticks: u64::MAX,
        trial: Trial::Hang,
        awaited: 0,
        behind: None,
    };
    assert!(ARENA_BYTES + OUTPUT_BYTES <= work_bytes, "the window is too small");
    judge.awaited = judge.submit_sample(0, 0);
    judge.turn();
    judge
}

impl Judge {
    fn sample_command(&self, model: usize, sample: usize) -> Command {
        let packed = self.pack.models().nth(model).expect("the model exists");
        let place = |part: &[u8]| (part.as_ptr() as usize - self.models.as_ptr() as usize) as u32;
        let (file, sample) = (packed.file(), packed.sample(sample).expect("the sample exists"));
        Command {
            operation: operation::RUN,
            model_at: place(file),
            model_bytes: file.len() as u32,
            arena_at: self.arena_at as u32,
            arena_bytes: ARENA_BYTES as u32,
            input_at: place(sample.input),
            input_bytes: sample.input.len() as u32,
            output_at: self.output_at as u32,
            output_bytes: sample.output.len() as u32,
            ..Command::default()
        }
    }

    fn submit(&mut self, command: &Command, limit_ticks: u64) -> u64 {
        self.driver.submit(command, limit_ticks, rdtime()).expect("the queue has a place")
    }

    fn submit_sample(&mut self, model: usize, sample: usize) -> u64 {
        // What is in the output before is certainly wrong.
        let command = self.sample_command(model, sample);
        let expected = self.expected(model, sample);
        for (index, byte) in expected.iter().enumerate() {
            // SAFETY: the output lies in the window, and no job is writing it now.
            unsafe { self.output.add(index).write_volatile(!byte) };
        }
        self.submit(&command, LIMIT_TICKS)
    }

    fn expected(&self, model: usize, sample: usize) -> &'static [u8] {
        self.pack.models().nth(model).and_then(|model| model.sample(sample)).expect("the sample exists").output
    }

    fn output_is(&self, expected: &[u8]) -> bool {
        expected.iter().enumerate().all(|(index, byte)| {
            // SAFETY: as above.
            *byte == unsafe { self.output.add(index).read_volatile() }
        })
    }

    fn turn(&mut self) {
        while let Some(outcome) = self.driver.turn(rdtime()) {
            self.ended(outcome);
        }
        if let Some(wake_ticks) = self.driver.wake_ticks() {
            self.alarm.arm(wake_ticks.saturating_sub(rdtime()).saturating_mul(NS_PER_TICK));
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        assert_eq!(outcome.job, self.awaited);
        if self.model < self.pack.len() {
            self.sample_ended(outcome.fate);
            return;
        }
        match self.behind.take() {
            Some(behind) => {
                self.judge_trial(outcome.fate);
                self.awaited = behind;
            }
            None => {
                let right = matches!(outcome.fate, Fate::Answered(answer) if answer.status == status::DONE);
                assert!(right && self.output_is(self.expected(0, 0)), "after {:?}: {outcome:?}", self.trial);
                say!("npu: after {:?} the next job is right", self.trial);
                self.trial = match self.trial {
                    Trial::Hang => Trial::CancelHang,
                    Trial::CancelHang => Trial::Crash,
                    Trial::Crash => Trial::Nonsense,
                    Trial::Nonsense => Trial::SmallArena,
                    Trial::SmallArena => Trial::OutsideModel,
                    Trial::OutsideModel => Trial::OverlappingOutput,
                    Trial::OverlappingOutput => Trial::NoModel,
                    Trial::NoModel => Trial::WrongOperation,
                    Trial::WrongOperation | Trial::Finished => Trial::Finished,
                };
                self.begin_trial();
            }
        }
    }

    fn sample_ended(&mut self, fate: Fate) {
        let packed = self.pack.models().nth(self.model).expect("the model exists");
        let Fate::Answered(answer) = fate else { panic!("{}, sample {}: {fate:?}", packed.name(), self.sample) };
        assert_eq!(answer.status, status::DONE, "{}, sample {}: {answer:?}", packed.name(), self.sample);
        assert!(
            self.output_is(self.expected(self.model, self.sample)),
            "{}, sample {}: wrong output",
            packed.name(),
            self.sample
        );
        assert_eq!(answer.bytes_copied, 0);
        // The first sample pays for loading the model.
        self.instructions = answer.instructions;
        self.fastest_ticks = self.fastest_ticks.min(answer.ticks);
        self.sample += 1;
        if self.sample == packed.samples() {
            say!(
                "npu: {}: {} samples are exact; {} instructions, {} in 1000 per MAC, {} us; {} of {} operators by vectors",
                packed.name(),
                self.sample,
                self.instructions,
                self.instructions * 1000 / answer.macs.max(1),
                self.fastest_ticks / (TICKS_PER_MS / 1000),
                answer.vector_operators,
                answer.operators
            );
            let name = short_name(packed.name());
            say!("bench ml_{name}_npu_insns {} instructions", self.instructions);
            if answer.macs > 0 {
                let per_mac = |count| PerMac(count, answer.macs);
                say!("bench ml_{name}_npu_insns_per_mac {} instructions/MAC", per_mac(self.instructions));
                say!("bench ml_{name}_npu_work_per_mac {} registers/MAC", per_mac(answer.vector_work));
            }
            (self.model, self.sample, self.fastest_ticks) = (self.model + 1, 0, u64::MAX);
        }
        if self.model < self.pack.len() {
            self.awaited = self.submit_sample(self.model, self.sample);
        } else {
            self.begin_trial();
        }
    }

    /// Submits what is wrong, and a right job behind it.
    fn begin_trial(&mut self) {
        let right = self.sample_command(0, 0);
        let provoked = |fault| Command { operation: operation::PROVOKE, model_at: fault, ..Command::default() };
        let (command, limit_ticks) = match self.trial {
            Trial::Hang => (provoked(provoke::HANG), SHORT_TICKS),
            Trial::CancelHang => (provoked(provoke::HANG), LIMIT_TICKS),
            Trial::Crash => (provoked(provoke::CRASH), LIMIT_TICKS),
            Trial::Nonsense => (provoked(provoke::NONSENSE), LIMIT_TICKS),
            Trial::SmallArena => (Command { arena_bytes: 16, ..right }, LIMIT_TICKS),
            Trial::OutsideModel => (Command { model_bytes: u32::MAX, ..right }, LIMIT_TICKS),
            Trial::OverlappingOutput => (Command { output_at: right.model_at + 16, ..right }, LIMIT_TICKS),
            Trial::NoModel => (Command { model_at: right.input_at & !15, ..right }, LIMIT_TICKS),
            Trial::WrongOperation => (Command { operation: 99, ..right }, LIMIT_TICKS),
            Trial::Finished => {
                let (totals, counters) = (self.driver.totals(), self.driver.counters());
                assert_eq!((totals.timed_out, totals.cancelled, totals.crashed, totals.nonsense), (1, 1, 1, 1));
                assert_eq!(counters.crashes, 1);
                verdict::pass();
            }
        };
        self.awaited = self.submit(&command, limit_ticks);
        self.behind = Some(self.submit_sample(0, 0));
        if self.trial == Trial::CancelHang {
            assert!(self.driver.cancel(self.awaited));
        }
    }

    fn judge_trial(&self, fate: Fate) {
        let refused = |wanted| matches!(fate, Fate::Answered(answer) if answer.status == wanted);
        let right = match self.trial {
            Trial::Hang => fate == Fate::TimedOut,
            Trial::CancelHang => fate == Fate::Cancelled,
            Trial::Crash => matches!(fate, Fate::Crashed { cause: LOAD_ACCESS_FAULT, .. }),
            Trial::Nonsense => fate == Fate::Nonsense,
            Trial::SmallArena => {
                matches!(fate, Fate::Answered(answer) if answer.status == status::SMALL_ARENA && answer.detail > 16)
            }
            Trial::OutsideModel | Trial::OverlappingOutput | Trial::WrongOperation => refused(status::BAD_COMMAND),
            Trial::NoModel => refused(status::BAD_MODEL),
            Trial::Finished => false,
        };
        assert!(right, "{:?} ended with {fate:?}", self.trial);
    }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(COMPLETION) {
            self.driver.interrupt();
        }
        if channels.contains(ALARM) {
            self.alarm.clear();
        }
        self.turn();
        for channel in [COMPLETION, ALARM] {
            if channels.contains(channel) {
                assert_eq!(channel.irq_ack(), Ok(()));
            }
        }
        Ok(())
    }
}
