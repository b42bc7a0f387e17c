//! What the tests share: models, their inputs and exact outputs, and a way to run them.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod file;

use std::path::{Path, PathBuf};

use ml_runtime::{Interpreter, Io, LoadError, Model, Observer};
use zerocopy::IntoBytes;

/// A model with inputs and the outputs that the reference computes for them.
pub struct Case {
    pub name: String,
    pub model: Vec<u8>,
    pub inputs: Vec<Vec<u8>>,
    pub outputs: Vec<Vec<u8>>,
}

/// The digits model of this repository.
pub fn digits() -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits");
    let model = std::fs::read(folder.join("model.tflite")).unwrap();
    let samples = std::fs::read(folder.join("samples.bin")).unwrap();
    let number = |at: usize| u32::from_le_bytes(samples[at..at + 4].try_into().unwrap()) as usize;
    let (count, input, output) = (number(12), number(16), number(20));
    let values = &samples[24 + count..];
    let inputs = values[..count * input].chunks(input).map(<[u8]>::to_vec).collect();
    let outputs = values[count * input..].chunks(output).map(<[u8]>::to_vec).collect();
    Case { name: "digits".into(), model, inputs, outputs }
}

/// The public models with exact outputs, which lie outside the repository: in the folder that `KINGLET_MODELS` names, or
/// in `shared/models` beside the repository. Says so if they are missing.
pub fn public_models() -> Vec<Case> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    let folder = std::env::var_os("KINGLET_MODELS").map_or(beside, PathBuf::from);
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let read = |name: &str| std::fs::read(path.join(name)).ok();
        let (Some(model), Some(inputs), Some(outputs)) =
            (read("model.tflite"), read("inputs.bin"), read("outputs.bin"))
        else {
            continue;
        };
        let (input, output) = edge_bytes(&model);
        cases.push(Case {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            model,
            inputs: inputs.chunks(input).map(<[u8]>::to_vec).collect(),
            outputs: outputs.chunks(output).map(<[u8]>::to_vec).collect(),
        });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    if cases.is_empty() {
        eprintln!("SKIPPED: no public models in {} (set KINGLET_MODELS)", folder.display());
    }
    cases
}

/// Memory for tables, aligned to 8 bytes.
pub fn tables_for(model: &[u8]) -> Result<Vec<u64>, LoadError> {
    Ok(vec![0; Model::table_bytes(model)?.div_ceil(8)])
}

/// Bytes of the first input and the first output.
fn edge_bytes(model: &[u8]) -> (usize, usize) {
    let mut tables = tables_for(model).unwrap();
    let model = Model::load(model, tables.as_mut_bytes(), Io::Arena).unwrap();
    (model.inputs().next().unwrap().bytes(), model.outputs().next().unwrap().bytes())
}

/// Runs `model` on each input, with an arena of exactly the bytes it asks for that is full of rubbish before each run.
pub fn run_all(model: &[u8], io: Io, inputs: &[Vec<u8>], observer: &mut impl Observer) -> Vec<Vec<u8>> {
    let mut tables = tables_for(model).unwrap();
    let model = Model::load(model, tables.as_mut_bytes(), io).unwrap();
    let mut words = vec![0u128; model.arena_bytes().div_ceil(16)];
    let output_bytes = model.outputs().next().unwrap().bytes();
    let mut results = Vec::new();
    for (i, input) in inputs.iter().enumerate() {
        let arena = &mut words.as_mut_bytes()[..model.arena_bytes()];
        arena.fill(0xa5 ^ i as u8);
        let mut interpreter = Interpreter::new(&model, arena).unwrap();
        let mut output = vec![0; output_bytes];
        match io {
            Io::Caller => interpreter.run(&[input], &mut [&mut output], observer).unwrap(),
            Io::Arena => {
                interpreter.input_mut(0).unwrap().copy_from_slice(input);
                interpreter.run(&[], &mut [], observer).unwrap();
                output.copy_from_slice(interpreter.output(0).unwrap());
            }
        }
        results.push(output);
    }
    results
}
