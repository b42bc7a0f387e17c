//! Measures what the processor itself does for an inference that runs on the accelerator: every sample of every model is a
//! job of the model runner, and its output must equal the reference's.
//!
//! The counter sums up both processors, so the accelerator's own instructions, which it reports, are taken off.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU8, Ordering};

use protocols::model::{self, JobResult, Reply, Request, Status, TENSOR_ALIGN, code, engine, kind};
use protocols::model_pack::{ModelPack, PackedModel, Sample};
use ring::{Link, Span};
use sel4_microkit::counters::rdinstret;
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use test_pds::figures::short_name;
use test_pds::{say, verdict};

/// What an output holds before the job, so that one that is not written does not look right.
const RUBBISH: u8 = 0x55;

struct Client {
    pack: ModelPack<'static>,
    link: Link<Request, Reply>,
    /// Tensors, shared with the runner and the accelerator.
    data: &'static [AtomicU8],
    model: usize,
    sample: usize,
    /// The counter when the job was submitted.
    start: u64,
    /// The processor's own instructions, and the accelerator's, of all samples but the first, for which the model is loaded.
    own: u64,
    accelerated: u64,
}

#[protection_domain(stack_size = 0x8000)]
fn init() -> impl Handler {
    verdict::become_judge();
    let pack = memory_region_symbol!(model_pack: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let pack: &'static [u8] = unsafe { core::slice::from_raw_parts(pack.as_ptr(), *var!(model_pack_size: usize = 0)) };
    let data = memory_region_symbol!(models_data: *mut AtomicU8);
    // SAFETY: as above, but writable by others too; this program only uses it by atomic bytes.
    let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };
    let link = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION);
    let link = link.expect("a link").expect("the link is wired");
    let pack = ModelPack::parse(pack).expect("a pack of models");
    let mut client = Client { pack, link, data, model: 0, sample: 0, start: 0, own: 0, accelerated: 0 };
    client.link.poll().expect("the runner keeps to the protocol");
    client.submit();
    client
}

impl Handler for Client {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.link.poll().expect("the runner keeps to the protocol");
        while let Some(reply) = self.link.pop().expect("a reply") {
            let instructions = rdinstret() - self.start;
            self.take(&reply, instructions);
        }
        Ok(())
    }
}

impl Client {
    fn packed(&self) -> PackedModel<'static> {
        self.pack.models().nth(self.model).expect("the model is in the pack")
    }

    fn submit(&mut self) {
        let sample = self.packed().sample(self.sample).expect("every model has samples");
        let (input, output) = spans(&sample);
        for (shared, value) in self.data[input.range()].iter().zip(sample.input) {
            shared.store(*value, Ordering::Relaxed);
        }
        self.data[output.range()].iter().for_each(|shared| shared.store(RUBBISH, Ordering::Relaxed));
        self.start = rdinstret();
        let request = Request::submit(0, self.model as u32, input, output, 0);
        assert!(self.link.push(&request).is_ok(), "the ring has room for one request");
    }

    fn take(&mut self, reply: &Reply, instructions: u64) {
        if reply.kind == kind::STATUS {
            say!("bench ml_npu_bytes_copied {} bytes", reply.body::<Status>().bytes_copied);
            verdict::pass();
        }
        let (packed, result) = (self.packed(), reply.body::<JobResult>());
        assert_eq!(reply.code, code::DONE, "{}: {}", packed.name(), code::text(reply.code));
        let sample = packed.sample(self.sample).expect("it was submitted");
        let output = self.data[spans(&sample).1.range()].iter().map(|shared| shared.load(Ordering::Relaxed));
        assert!(output.eq(sample.output.iter().copied()), "{}: output {} is wrong", packed.name(), self.sample);
        if result.engine != engine::ACCELERATOR {
            // The runner has not heard yet that there is an accelerator.
            assert!(self.model == 0 && self.sample == 0, "{} ran on the processor", packed.name());
            return self.submit();
        }
        if self.sample > 0 {
            self.own += instructions - result.instructions;
            self.accelerated += result.instructions;
        }
        self.sample += 1;
        if self.sample == packed.samples() {
            let (name, count) = (short_name(packed.name()), (self.sample as u64 - 1).max(1));
            say!("bench ml_{name}_npu_processor_insns {} instructions", self.own / count);
            say!("npu: {name}: {} instructions of the accelerator's own", self.accelerated / count);
            (self.model, self.sample, self.own, self.accelerated) = (self.model + 1, 0, 0, 0);
        }
        if self.model < self.pack.len() {
            return self.submit();
        }
        assert!(self.link.push(&Request::ask(kind::STATUS, 0, 0)).is_ok(), "the ring has room for one request");
    }
}

/// Where the tensors of a sample lie in the data region.
fn spans(sample: &Sample<'_>) -> (Span, Span) {
    let input = Span { offset: 0, bytes: sample.input.len() as u32 };
    let output = Span { offset: input.bytes.next_multiple_of(TENSOR_ALIGN), bytes: sample.output.len() as u32 };
    (input, output)
}
