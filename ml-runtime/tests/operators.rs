//! Small models, one for each shape of an operator that the larger models leave out, against the reference's outputs.

mod common;

use std::path::{Path, PathBuf};

use common::tables_for;
use ml_runtime::{Interpreter, InvokeError, Io, Model};
use zerocopy::IntoBytes;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operators")
}

/// Splits bytes into tensors of these sizes, again and again.
fn tensors(mut bytes: &[u8], sizes: &[usize]) -> Vec<Vec<Vec<u8>>> {
    let mut samples = Vec::new();
    while !bytes.is_empty() {
        samples.push(sizes.iter().map(|size| bytes.split_off(..*size).unwrap().to_vec()).collect());
    }
    samples
}

/// Runs all samples of a model one after the other, and returns what they give as one sequence of bytes. The arena is
/// full of rubbish at first; what the inputs and outputs do not need of it is spoiled between two runs, too.
fn outputs(file: &[u8], io: Io, samples: &[Vec<Vec<u8>>]) -> Result<Vec<u8>, InvokeError> {
    let mut tables = tables_for(file).unwrap();
    let model = Model::load(file, tables.as_mut_bytes(), io).unwrap();
    let mut words = vec![0xa5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5u128; model.arena_bytes().div_ceil(16)];
    let arena = &mut words.as_mut_bytes()[..model.arena_bytes()];
    let mut interpreter = Interpreter::new(&model, arena).unwrap();
    let mut results = Vec::new();
    for sample in samples {
        match io {
            Io::Caller => {
                let inputs: Vec<&[u8]> = sample.iter().map(|input| &input[..]).collect();
                let mut buffers: Vec<Vec<u8>> = model.outputs().map(|tensor| vec![0x5a; tensor.bytes()]).collect();
                let mut outputs: Vec<&mut [u8]> = buffers.iter_mut().map(|buffer| &mut buffer[..]).collect();
                interpreter.run(&inputs, &mut outputs, &mut ())?;
                results.extend(buffers.concat());
            }
            Io::Arena => {
                for (i, input) in sample.iter().enumerate() {
                    interpreter.input_mut(i).unwrap().copy_from_slice(input);
                }
                interpreter.invoke()?;
                let count = model.outputs().len();
                results.extend((0..count).flat_map(|i| interpreter.output(i).unwrap().to_vec()));
            }
        }
    }
    Ok(results)
}

#[test]
fn every_shape_is_exact() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tflite") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read(&path).unwrap();
        let bytes = std::fs::read(path.with_extension("bin")).unwrap();
        let mut tables = tables_for(&file).unwrap();
        let model = match Model::load(&file, tables.as_mut_bytes(), Io::Arena) {
            Ok(model) => model,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let sizes: Vec<_> = model.inputs().map(|tensor| tensor.bytes()).collect();
        let output: usize = model.outputs().map(|tensor| tensor.bytes()).sum();
        let input: usize = sizes.iter().sum();
        let samples = bytes.len() / (input + output);
        let (inputs, expected) = bytes.split_at(samples * input);
        let inputs = tensors(inputs, &sizes);
        for io in [Io::Arena, Io::Caller] {
            match outputs(&file, io, &inputs) {
                Ok(results) if results == expected => {}
                Ok(results) => {
                    assert_eq!(results.len(), expected.len(), "{name} {io:?}");
                    let differs = |i: &usize| results[*i] != expected[*i];
                    let places: Vec<_> = (0..expected.len()).filter(differs).collect();
                    let (count, first) = (places.len(), places.first());
                    wrong.push(format!("{name} {io:?}: {count} of {} bytes, the first at {first:?}", expected.len()));
                }
                Err(error) => wrong.push(format!("{name} {io:?}: {error}")),
            }
        }
        // An aligned file and one that is not: weights are then read byte by byte.
        let shifted = [&[0][..], &file].concat();
        if outputs(&shifted[1..], Io::Arena, &inputs).as_deref() != Ok(expected) {
            wrong.push(format!("{name}, not aligned"));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "other than the reference:\n{}", wrong.join("\n"));
    assert!(checked >= 20, "{checked} models");
}

/// Each model in `refused` has a line in `expected.txt`, which says why it is refused.
#[test]
fn what_cannot_run_is_refused_with_its_reason() {
    let folder = folder().join("refused");
    let expected = std::fs::read_to_string(folder.join("expected.txt")).unwrap();
    for line in expected.lines() {
        let (name, reason) = line.split_once(": ").unwrap();
        let file = std::fs::read(folder.join(name).with_extension("tflite")).unwrap();
        let loaded = tables_for(&file)
            .and_then(|mut tables| Model::load(&file, tables.as_mut_bytes(), Io::Arena).map(|_| ()))
            .map_err(|error| error.to_string());
        assert_eq!(loaded, Err(reason.to_string()), "{name}");
    }
    let files = std::fs::read_dir(&folder).unwrap().count() - 1;
    assert_eq!(files, expected.lines().count());
}

/// What variables hold stays with the arena; a new interpreter begins anew or goes on, and a reset begins anew.
#[test]
fn variables_stay_until_they_are_reset() {
    for name in ["stream_frames", "stream_sum", "stream_swap", "lstm_small", "lstm_time_major"] {
        let file = std::fs::read(folder().join(name).with_extension("tflite")).unwrap();
        let bytes = std::fs::read(folder().join(name).with_extension("bin")).unwrap();
        let mut tables = tables_for(&file).unwrap();
        let model = Model::load(&file, tables.as_mut_bytes(), Io::Arena).unwrap();
        let input = model.inputs().next().unwrap().bytes();
        let output: usize = model.outputs().map(|tensor| tensor.bytes()).sum();
        let (inputs, expected) = bytes.split_at(bytes.len() / (input + output) * input);
        assert!(model.state_bytes() > 0 && model.state_bytes() < model.arena_bytes(), "{name}");
        let mut words = vec![!0u128; model.arena_bytes().div_ceil(16)];
        let arena = &mut words.as_mut_bytes()[..model.arena_bytes()];
        let run = |interpreter: &mut Interpreter<'_, '_>, input: &[u8]| {
            interpreter.input_mut(0).unwrap().copy_from_slice(input);
            interpreter.invoke().unwrap();
            (0..model.outputs().len()).flat_map(|i| interpreter.output(i).unwrap().to_vec()).collect::<Vec<_>>()
        };
        for (i, (input, expected)) in inputs.chunks(input).zip(expected.chunks(output)).enumerate() {
            // Only the variables are kept from the interpreter before.
            arena[model.state_bytes()..].fill(i as u8);
            let interpreter = if i == 0 { Interpreter::new(&model, arena) } else { Interpreter::resume(&model, arena) };
            assert_eq!(run(&mut interpreter.unwrap(), input), expected, "{name} {i}");
        }
        let first = &inputs[..input];
        let mut interpreter = Interpreter::resume(&model, arena).unwrap();
        assert_ne!(run(&mut interpreter, first), &expected[..output], "{name}: the variables have no effect");
        interpreter.reset();
        assert_eq!(run(&mut interpreter, first), &expected[..output], "{name}");
        assert_eq!(run(&mut Interpreter::new(&model, arena).unwrap(), first), &expected[..output], "{name}");
    }
}
