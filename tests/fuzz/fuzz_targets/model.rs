//! Any bytes are a model or an error, and a model that loads runs within the memory it asked for. Seed the corpus with
//! ml-runtime/models/*/model.tflite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_runtime::{Interpreter, Io, Model};
use zerocopy::IntoBytes;

/// Larger models are valid, but would only slow the search down.
const MOST_ARENA_BYTES: usize = 1 << 20;
const MOST_MACS: u64 = 10_000_000;

fuzz_target!(|file: &[u8]| {
    let Ok(needed) = Model::table_bytes(file) else { return };
    let mut tables = vec![0u64; needed.div_ceil(8)];
    let Ok(model) = Model::load(file, &mut tables.as_mut_bytes()[..needed], Io::Arena) else { return };
    if model.arena_bytes() > MOST_ARENA_BYTES || model.macs() > MOST_MACS {
        return;
    }
    let mut arena = vec![0x33u128; model.arena_bytes().div_ceil(16)];
    let arena = &mut arena.as_mut_bytes()[..model.arena_bytes()];
    let mut interpreter = Interpreter::new(&model, arena).expect("the memory is as large as the model says");
    interpreter.invoke().expect("a model that loads runs");
});
