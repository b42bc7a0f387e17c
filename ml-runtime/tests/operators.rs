//! Small models, one for each shape of an operator that the larger models leave out, against the reference's outputs.

mod common;

use std::path::Path;

use common::{run_all, tables_for};
use ml_runtime::{Io, Model};
use zerocopy::IntoBytes;

#[test]
fn every_shape_is_exact() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operators");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tflite") {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        let tensors = std::fs::read(path.with_extension("bin")).unwrap();
        let mut tables = tables_for(&file).unwrap();
        let model =
            Model::load(&file, tables.as_mut_bytes(), Io::Arena).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let input = model.inputs().next().unwrap().bytes();
        let output = model.outputs().next().unwrap().bytes();
        let samples = tensors.len() / (input + output);
        let (inputs, outputs) = tensors.split_at(samples * input);
        let inputs: Vec<_> = inputs.chunks(input).map(<[u8]>::to_vec).collect();
        for io in [Io::Arena, Io::Caller] {
            let results = run_all(&file, io, &inputs, &mut ());
            for (result, expected) in results.iter().zip(outputs.chunks(output)) {
                assert_eq!(result, expected, "{path:?} {io:?}");
            }
            assert_eq!(results.len(), samples);
        }
        // An aligned file and one that is not: weights are then read byte by byte.
        let shifted = [&[0][..], &file].concat();
        assert_eq!(run_all(&shifted[1..], Io::Arena, &inputs, &mut ()).concat(), outputs, "{path:?}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked} models");
}

#[test]
fn what_the_reference_does_not_define_is_refused() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operators/refused/dense_of_images.tflite");
    let file = std::fs::read(file).unwrap();
    let mut tables = tables_for(&file).unwrap();
    let error = Model::load(&file, tables.as_mut_bytes(), Io::Arena).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("FULLY_CONNECTED: more dimensions"), "{error}");
}
