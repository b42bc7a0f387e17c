//! Whole models against the exact outputs of the reference kernels, with inputs and outputs in the arena and outside.

mod common;

use core::ops::ControlFlow;

use common::{Case, digits, public_models, run_all};
use ml_runtime::{Interpreter, InvokeError, Io, Model, Observer, Step};
use zerocopy::IntoBytes;

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

/// Stops at the look with this number.
struct StopAt(u32);

impl Observer for StopAt {
    fn before(&mut self, _: &Step) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn during(&mut self) -> ControlFlow<()> {
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_run_can_be_stopped_within_its_operators() {
    let file = include_bytes!("../models/digits/model.tflite");
    let mut tables = vec![0u64; Model::table_bytes(file).unwrap().div_ceil(8)];
    let model = Model::load(file, tables.as_mut_bytes(), Io::Arena).unwrap();
    let mut arena = vec![0u128; model.arena_bytes().div_ceil(16)];
    let mut interpreter = Interpreter::new(&model, arena.as_mut_bytes()).unwrap();
    // At least one look for so many multiply-accumulates.
    for looks in 0..(model.macs() / 40_000) as u32 {
        let result = interpreter.run(&[], &mut [], &mut StopAt(looks));
        assert!(matches!(result, Err(InvokeError::Stopped)), "{looks}");
    }
    assert!(interpreter.run(&[], &mut [], &mut StopAt(u32::MAX)).is_ok());
}
