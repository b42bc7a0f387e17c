//! Measures the models of the pack: each sample is a job of the model runner, and its output must equal the reference's.
//!
//! Instructions of an inference are those that the runner reports, averaged over all samples. Loading and the single
//! operators are measured in this program, with the same library and the first sample.
#![no_std]
#![no_main]

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU8, Ordering};

use ml_runtime::{ARENA_ALIGN, Interpreter, Io, Model, Observer, OpName, Step};
use protocols::model::{self, JobResult, ModelInfo, Reply, Request, Status, TENSOR_ALIGN, code, kind};
use protocols::model_pack::{ModelPack, PackedModel, Sample};
use ring::{Link, Span};
use sel4_microkit::counters::rdinstret;
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use test_pds::figures::{PerMac, short_name};
use test_pds::{say, verdict};

/// What an output holds before the job, so that one that is not written does not look right.
const RUBBISH: u8 = 0x55;

/// What was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Sample { model: usize, sample: usize, instructions: u64 },
    Info { model: usize, instructions: u64 },
    Status,
}

struct Client {
    pack: ModelPack<'static>,
    link: Link<Request, Reply>,
    /// Tensors, shared with the runner.
    data: &'static [AtomicU8],
    /// Tables and working memory of the models that run here.
    memory: &'static mut [u8],
    asked: Asked,
    /// Instructions when the last request was pushed.
    pushed_at: u64,
    /// What all jobs cost beside their inferences, and how many there were.
    beside: (u64, u64),
}

#[protection_domain(stack_size = 0x8000)]
fn init() -> impl Handler {
    verdict::become_judge();
    let pack = memory_region_symbol!(model_pack: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let pack: &'static [u8] = unsafe { core::slice::from_raw_parts(pack.as_ptr(), *var!(model_pack_size: usize = 0)) };
    let data = memory_region_symbol!(models_data: *mut AtomicU8);
    // SAFETY: as above, but writable by this program and the model runner; this one only uses it by atomic bytes.
    let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };
    let memory = memory_region_symbol!(own_arena: *mut u8);
    // SAFETY: as above, mapped here alone; `init` runs once.
    let memory = unsafe { core::slice::from_raw_parts_mut(memory.as_ptr(), *var!(own_arena_size: usize = 0)) };
    let link = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION);
    let link = link.expect("a link").expect("the link is wired");
    let pack = ModelPack::parse(pack).expect("a pack of models");
    assert!(!pack.is_empty(), "there are models to measure");
    let asked = Asked::Sample { model: 0, sample: 0, instructions: 0 };
    let mut client = Client { pack, link, data, memory, asked, pushed_at: 0, beside: (0, 0) };
    // A runner that is up already is joined now; it has notified before anyone listened.
    client.link.poll().expect("the runner keeps to the protocol");
    client.ask();
    client
}

impl Handler for Client {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.link.poll().expect("the runner keeps to the protocol");
        while let Some(reply) = self.link.pop().expect("a reply") {
            self.take(&reply);
            self.ask();
        }
        Ok(())
    }
}

impl Client {
    fn model(&self, model: usize) -> PackedModel<'static> {
        self.pack.models().nth(model).expect("the model is in the pack")
    }

    /// Sends what is to be asked next.
    fn ask(&mut self) {
        let request = match self.asked {
            Asked::Sample { model, sample, .. } => {
                let sample = self.model(model).sample(sample).expect("every model has samples");
                let (input, output) = spans(&sample);
                for (shared, value) in self.data[input.range()].iter().zip(sample.input) {
                    shared.store(*value, Ordering::Relaxed);
                }
                self.data[output.range()].iter().for_each(|shared| shared.store(RUBBISH, Ordering::Relaxed));
                Request::submit(0, model as u32, input, output, 0)
            }
            Asked::Info { model, .. } => Request::ask(kind::MODEL_INFO, 0, model as u32),
            Asked::Status => Request::ask(kind::STATUS, 0, 0),
        };
        self.pushed_at = rdinstret();
        assert!(self.link.push(&request).is_ok(), "the ring has room for one request");
    }

    fn take(&mut self, reply: &Reply) {
        let passed = rdinstret() - self.pushed_at;
        assert_eq!(reply.code, code::DONE, "{:?}: {}", self.asked, code::text(reply.code));
        self.asked = match self.asked {
            Asked::Sample { model, sample, instructions } => {
                let packed = self.model(model);
                self.check(&packed, sample);
                let inference = reply.body::<JobResult>().instructions;
                // Request and reply, scheduling, and the switches to the runner and back.
                self.beside = (self.beside.0 + passed - inference, self.beside.1 + 1);
                let instructions = instructions + inference;
                match sample + 1 < packed.samples() {
                    true => Asked::Sample { model, sample: sample + 1, instructions },
                    false => Asked::Info { model, instructions },
                }
            }
            Asked::Info { model, instructions } => {
                let packed = self.model(model);
                let info = reply.body::<ModelInfo>();
                assert_eq!(info.runs as usize, packed.samples(), "every sample ran once");
                let name = short_name(packed.name());
                print_figures(name, &info, instructions / info.runs);
                self.measure_here(name, &packed);
                match model + 1 < self.pack.len() {
                    true => Asked::Sample { model: model + 1, sample: 0, instructions: 0 },
                    false => Asked::Status,
                }
            }
            Asked::Status => {
                say!("bench ml_job_beside_inference_insns {} instructions", self.beside.0 / self.beside.1);
                say!("bench ml_bytes_copied {} bytes", reply.body::<Status>().bytes_copied);
                verdict::pass()
            }
        };
    }

    /// The output is the reference's, bit for bit.
    fn check(&self, packed: &PackedModel<'_>, index: usize) {
        let sample = packed.sample(index).expect("it was submitted");
        let (_, span) = spans(&sample);
        let output = self.data[span.range()].iter().map(|shared| shared.load(Ordering::Relaxed));
        assert!(output.eq(sample.output.iter().copied()), "{}: output {index} is not the reference's", packed.name());
    }

    /// Measures loading and each kind of operator.
    fn measure_here(&mut self, name: &str, packed: &PackedModel<'_>) {
        let file = packed.file();
        let start = rdinstret();
        let table_bytes = Model::table_bytes(file).expect("the runner has loaded it").next_multiple_of(ARENA_ALIGN);
        let (tables, arena) = self.memory.split_at_mut(table_bytes);
        let model = Model::load(file, tables, Io::Caller).expect("the runner has loaded it");
        let instructions = rdinstret() - start;
        say!("bench ml_{name}_load_insns {instructions} instructions");
        say!("bench ml_{name}_packed_bytes {} bytes", model.packed_bytes());

        let sample = packed.sample(0).expect("every model has samples");
        let mut profile = Profile { start: 0, all: [None; MAX_STEPS] };
        let mut interpreter = Interpreter::new(&model, arena).expect("the arena suffices");
        let mut output = [RUBBISH; MOST_OUTPUT_BYTES];
        let output = output.get_mut(..sample.output.len()).expect("an output of moderate size");
        interpreter.run(&[sample.input], &mut [&mut *output], &mut profile).expect("it runs");
        assert!(output == sample.output, "{name}: run here, the output is not the reference's");
        for (index, step) in profile.all.iter().flatten().enumerate() {
            say!("bench ml_{name}_op{index:02}_{}_insns {} instructions", step.name, step.instructions);
            say!("bench ml_{name}_op{index:02}_{}_macs {} MACs", step.name, step.macs);
        }
        for (index, first) in profile.all.iter().flatten().enumerate() {
            if profile.all[..index].iter().flatten().any(|other| other.name == first.name) {
                continue;
            }
            let alike = || profile.all.iter().flatten().filter(|step| step.name == first.name);
            let instructions = alike().map(|step| step.instructions).sum();
            let macs = alike().map(|step| step.macs).sum();
            say!("bench ml_{name}_{}_insns {instructions} instructions", first.name);
            if macs > 0 {
                let ratio = PerMac(instructions, macs);
                say!("bench ml_{name}_{}_insns_per_mac {ratio} instructions/MAC", first.name);
            }
        }
    }
}

/// Operators of a model that is measured here.
const MAX_STEPS: usize = 64;
/// Output bytes of a model that is measured here.
const MOST_OUTPUT_BYTES: usize = 4096;

/// What an operator cost.
#[derive(Clone, Copy)]
struct Measured {
    name: OpName,
    macs: u64,
    instructions: u64,
}

/// Measures each operator.
struct Profile {
    start: u64,
    all: [Option<Measured>; MAX_STEPS],
}

impl Observer for Profile {
    fn before(&mut self, _: &Step) -> ControlFlow<()> {
        self.start = rdinstret();
        ControlFlow::Continue(())
    }

    fn after(&mut self, step: &Step) {
        let instructions = rdinstret() - self.start;
        let slot = self.all.get_mut(step.index as usize).expect("not too many operators");
        *slot = Some(Measured { name: step.name, macs: step.macs, instructions });
    }
}

fn print_figures(name: &str, info: &ModelInfo, instructions: u64) {
    say!("bench ml_{name}_insns {instructions} instructions");
    if info.macs > 0 {
        say!("bench ml_{name}_insns_per_mac {} instructions/MAC", PerMac(instructions, info.macs));
    }
    say!("bench ml_{name}_arena_bytes {} bytes", info.arena_bytes);
    // Inputs and outputs lie where the client put them, outside the arena.
    say!("bench ml_{name}_edge_bytes {} bytes", info.input_bytes + info.output_bytes);
    say!("bench ml_{name}_tables_bytes {} bytes", info.persistent_bytes);
}

/// Where the tensors of a sample lie in the data region.
fn spans(sample: &Sample<'_>) -> (Span, Span) {
    let input = Span { offset: 0, bytes: sample.input.len() as u32 };
    let output = Span { offset: input.bytes.next_multiple_of(TENSOR_ALIGN), bytes: sample.output.len() as u32 };
    (input, output)
}
