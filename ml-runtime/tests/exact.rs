//! Whole models against the exact outputs of the reference kernels, with inputs and outputs in the arena and outside.

mod common;

use common::{Case, digits, public_models, run_all};
use ml_runtime::Io;

fn check(case: &Case) {
    for io in [Io::Arena, Io::Caller] {
        let results = run_all(&case.model, io, &case.inputs, &mut ());
        let wrong = results.iter().zip(&case.outputs).filter(|(result, output)| result != output).count();
        println!("{}: {} of {} outputs equal the reference ({io:?})", case.name, results.len() - wrong, results.len());
        assert_eq!(wrong, 0, "{}", case.name);
    }
}

#[test]
fn digits_is_exact() {
    check(&digits());
}

#[test]
fn public_models_are_exact() {
    public_models().iter().for_each(check);
}
