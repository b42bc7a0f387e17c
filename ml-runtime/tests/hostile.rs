//! Files that are no models, or models no more: each is refused, or runs within its bounds. Nothing panics.

mod common;

use common::{digits, public_models};
use ml_runtime::{Interpreter, Io, LoadError, Model};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Loads a file, and runs it if it is small: with memory of exactly the sizes that it asks for.
fn exercise(file: &[u8]) -> Result<(), LoadError> {
    let needed = Model::table_bytes(file)?;
    let mut tables = vec![0u64; needed.div_ceil(8)];
    if needed > 8 {
        let short = &mut tables.as_mut_bytes()[..needed - 8];
        assert!(Model::load(file, short, Io::Arena).is_err(), "tables that are too small");
    }
    for io in [Io::Arena, Io::Caller] {
        let model = Model::load(file, &mut tables.as_mut_bytes()[..needed], io)?;
        // What is valid may still be large; a caller decides by these numbers.
        if model.arena_bytes() > 1 << 20 || model.macs() > 50_000_000 {
            continue;
        }
        let buffers = |sizes: Vec<usize>| sizes.into_iter().map(|bytes| vec![0x5au8; bytes]).collect::<Vec<_>>();
        let inputs = buffers(model.inputs().map(|tensor| tensor.bytes()).collect());
        let mut outputs = buffers(model.outputs().map(|tensor| tensor.bytes()).collect());
        let mut arena = vec![0x33u128; model.arena_bytes().div_ceil(16)];
        let arena = &mut arena.as_mut_bytes()[..model.arena_bytes()];
        let mut interpreter = Interpreter::new(&model, arena).unwrap();
        if io == Io::Caller {
            let inputs: Vec<&[u8]> = inputs.iter().map(|buffer| &buffer[..]).collect();
            let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(|buffer| &mut buffer[..]).collect();
            interpreter.run(&inputs, &mut outputs, &mut ()).unwrap();
            interpreter.run(&inputs, &mut outputs, &mut ()).unwrap();
        } else {
            interpreter.invoke().unwrap();
            interpreter.invoke().unwrap();
        }
    }
    Ok(())
}

#[test]
fn every_truncation_is_refused() {
    let model = digits().model;
    // The last bytes are the root's own tables; whatever is cut, something points behind the end.
    for cut in (0..model.len()).step_by(97).chain(model.len() - 64..model.len()) {
        let _ = exercise(&model[..cut]);
    }
    assert!(exercise(&model[..1000]).is_err());
    assert_eq!(exercise(&model), Ok(()));
}

#[test]
fn what_is_no_model_is_refused() {
    assert_eq!(exercise(b""), Err(LoadError::NotAModel));
    assert_eq!(exercise(&[0; 4096]), Err(LoadError::NotAModel));
    let mut model = digits().model;
    model[4..8].copy_from_slice(b"TFL2");
    assert_eq!(exercise(&model), Err(LoadError::NotAModel));
    assert!(matches!(exercise(&[&[0xff; 4][..], b"TFL3", &[0xff; 64]].concat()), Err(LoadError::Malformed(_))));
}

/// Each 32-bit word in turn takes values that offsets, lengths and numbers must not have.
#[test]
fn every_word_replaced() {
    let case = digits();
    for value in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0xffff_fffc] {
        // All words would take minutes; the tables and the vectors' lengths are in every region that this steps through.
        for at in (0..case.model.len() - 4).step_by(if cfg!(debug_assertions) { 44 } else { 4 }) {
            let mut file = case.model.clone();
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let _ = exercise(&file);
        }
    }
}

#[test]
fn an_operator_that_does_not_exist_here_is_named() {
    let case = digits();
    // SOFTMAX is 25 in both fields of its operator code; 32 is CUSTOM, 44 an LSTM.
    let mut named = 0;
    for at in 0..case.model.len() - 4 {
        for (new, name) in [(44u8, "UNIDIRECTIONAL_SEQUENCE_LSTM"), (119, "WHILE")] {
            let mut file = case.model.clone();
            if file[at] != 25 {
                continue;
            }
            file.iter_mut()
                .skip(at.saturating_sub(16))
                .take(33)
                .filter(|byte| **byte == 25)
                .for_each(|byte| *byte = new);
            if let Err(error @ LoadError::UnsupportedOperator { .. }) = exercise(&file) {
                assert!(error.to_string().contains(name), "{error}");
                named += 1;
            }
        }
    }
    assert!(named > 0, "the operator code was not found");
}

fn mutated(file: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut file = file.to_vec();
    let len = file.len();
    for (at, value) in changes {
        file[at % len] = *value;
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn mutations_never_panic(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..20)) {
        thread_local!(static MODEL: Vec<u8> = digits().model);
        let _ = MODEL.with(|model| exercise(&mutated(model, &changes)));
    }

    /// The tables lie at the ends of the file: there changes do most.
    #[test]
    fn mutations_of_tables_never_panic(changes in prop::collection::vec((0usize..4000, any::<bool>(), any::<u8>()), 1..6)) {
        thread_local!(static MODEL: Vec<u8> = digits().model);
        MODEL.with(|model| {
            let place = |(at, end, value): &(usize, bool, u8)| (if *end { model.len() - 1 - at } else { *at }, *value);
            let _ = exercise(&mutated(model, &changes.iter().map(place).collect::<Vec<_>>()));
        });
    }
}

/// The same for each of the small models of single operators, whole.
#[test]
fn every_word_of_every_operator_replaced() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operators");
    let mut loaded = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tflite") {
            continue;
        }
        let model = std::fs::read(&path).unwrap();
        for value in [0, 1, 2, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0xffff_fffe] {
            for at in (0..model.len() - 4).step_by(if cfg!(debug_assertions) { 20 } else { 4 }) {
                let mut file = model.clone();
                file[at..at + 4].copy_from_slice(&value.to_le_bytes());
                loaded += u32::from(exercise(&file).is_ok());
            }
        }
    }
    assert!(loaded > 1000, "{loaded}");
}

#[test]
fn public_models_mutated() {
    for case in public_models() {
        for seed in 0..200usize {
            let at = |n: usize| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(2 * n + 1).rotate_left(23);
            let changes: Vec<_> = (0..4).map(|n| (at(n), (at(n) >> 40) as u8)).collect();
            let _ = exercise(&mutated(&case.model, &changes));
        }
    }
}
