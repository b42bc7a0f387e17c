//! Any bytes are a model or an error, and a model that loads runs within the memory it asked for. Seed the corpus with
//! ml-runtime/models/*/model.tflite and ml-runtime/tests/operators/*.tflite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_runtime::{Interpreter, Io, Model};
use zerocopy::IntoBytes;

/// Larger models are valid, but would only slow the search down.
const MOST_ARENA_BYTES: usize = 1 << 20;
const MOST_MACS: u64 = 10_000_000;

/// How often a model runs: what the second run finds may come from the first.
const RUNS: usize = 2;

fuzz_target!(|file: &[u8]| {
    let Ok(needed) = Model::table_bytes(file) else { return };
    let mut tables = vec![0u64; needed.div_ceil(8)];
    for io in [Io::Arena, Io::Caller] {
        let Ok(model) = Model::load(file, &mut tables.as_mut_bytes()[..needed], io) else { return };
        if model.arena_bytes() > MOST_ARENA_BYTES || model.macs() > MOST_MACS {
            return;
        }
        let buffers = |sizes: Vec<usize>| sizes.into_iter().map(|bytes| vec![0x5au8; bytes]).collect::<Vec<_>>();
        let inputs = buffers(model.inputs().map(|tensor| tensor.bytes()).collect());
        let mut outputs = buffers(model.outputs().map(|tensor| tensor.bytes()).collect());
        if inputs.iter().chain(&outputs).map(Vec::len).sum::<usize>() > MOST_ARENA_BYTES {
            return;
        }
        let mut arena = vec![0x33u128; model.arena_bytes().div_ceil(16)];
        let arena = &mut arena.as_mut_bytes()[..model.arena_bytes()];
        let mut interpreter = Interpreter::new(&model, arena).expect("the memory is as large as the model says");
        let inputs: Vec<&[u8]> = inputs.iter().map(|buffer| &buffer[..]).collect();
        for _ in 0..RUNS {
            if io == Io::Caller {
                let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(|buffer| &mut buffer[..]).collect();
                interpreter.run(&inputs, &mut outputs, &mut ()).expect("a model that loads runs");
            } else {
                interpreter.invoke().expect("a model that loads runs");
            }
        }
    }
});
