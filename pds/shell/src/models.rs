//! `models` and `infer`: what the shell asks the model runner, and how it tells the answers.

use crate::units::{Bytes, Micros};
use crate::world::World;
use core::fmt;
use protocols::model::{JobResult, ModelInfo, engine};
use protocols::model_pack::Sample;

/// The longest output whose every byte is compared with the reference.
const MAX_OUTPUT: usize = 1024;

/// The head of the table of models.
pub fn print_head(world: &mut impl World) {
    world.print(format_args!(
        "{:<16} {:>10} {:>10} {:>10} {:>9} {:>4} {:>10} {:>7} {:>6} RUNS ON",
        "NAME", "FILE", "ARENA", "INPUT", "OUTPUT", "OPS", "MACS", "RUNS", "INPUTS"
    ));
}

/// A row of the table of models.
pub fn print_row(name: &str, info: &ModelInfo, samples: usize, world: &mut impl World) {
    world.print(format_args!(
        "{name:<16} {:>10} {:>10} {:>10} {:>9} {:>4} {:>10} {:>7} {samples:>6} {}",
        Bytes(info.file_bytes.into()),
        Bytes(info.arena_bytes.into()),
        Bytes(info.input_bytes.into()),
        Bytes(info.output_bytes.into()),
        info.operators,
        info.macs,
        info.runs,
        engine::name(info.engine),
    ));
}

/// How an output compares with the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Equal, bit for bit.
    Same,
    /// As far as it was compared.
    TooLong,
    /// Not equal.
    Different,
}

/// Compares a job's output with the reference's. Gives the class with the highest score, too.
pub fn compare(sample: &Sample<'_>, result: &JobResult, world: &mut impl World) -> (Verdict, Option<usize>) {
    let mut output = [0; MAX_OUTPUT];
    let length = world.output(result, &mut output);
    let output = &output[..length];
    let verdict = match (sample.output.starts_with(output), length < sample.output.len()) {
        (true, false) => Verdict::Same,
        (true, true) if length == MAX_OUTPUT => Verdict::TooLong,
        _ => Verdict::Different,
    };
    (verdict, best(output))
}

/// What a job's output says, beside the input it was for.
pub fn print_result(name: &str, number: usize, sample: &Sample<'_>, result: &JobResult, world: &mut impl World) {
    let (verdict, best) = compare(sample, result, world);
    let class = Class { best, expected: sample.label };
    let same = match verdict {
        Verdict::Same => "output as the reference's, bit for bit",
        Verdict::TooLong => "output too long to compare",
        Verdict::Different => "OUTPUT DIFFERS from the reference's",
    };
    world.print(format_args!("{name} {number}: {class}; {same}"));
    let (tenths, run) = (tenths(result.instructions, result.macs), Micros(result.took_ns() / 1_000));
    let (instructions, queued) = (result.instructions, Micros(result.waited_ns() / 1_000));
    world.print(format_args!("{run}, {instructions} instructions ({tenths} per MAC), waited {queued}"));
}

/// The class with the highest score. Outputs are int8; on equal scores the first counts.
fn best(output: &[u8]) -> Option<usize> {
    let scores = output.iter().map(|byte| byte.cast_signed()).enumerate();
    scores.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(class, _)| class)
}

struct Class {
    best: Option<usize>,
    expected: Option<u8>,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.best, self.expected) {
            (None, _) => f.write_str("no output"),
            // What a model's output means without a class to compare is not the shell's to say.
            (Some(best), None) => write!(f, "highest score at {best}"),
            (Some(best), Some(expected)) if best == usize::from(expected) => write!(f, "class {best}, which is right"),
            (Some(best), Some(expected)) => write!(f, "class {best}, though it is a {expected}"),
        }
    }
}

/// A quotient with one digit behind the point.
fn tenths(dividend: u64, divisor: u64) -> impl fmt::Display {
    struct Tenths(Option<u64>);
    impl fmt::Display for Tenths {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some(tenths) => write!(f, "{}.{}", tenths / 10, tenths % 10),
                None => f.write_str("-"),
            }
        }
    }
    Tenths(dividend.saturating_mul(10).checked_div(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_quotients() {
        assert_eq!(best(&[0x80, 0x7f, 0x7f, 0]), Some(1));
        assert_eq!(best(&[]), None);
        assert_eq!(Class { best: Some(3), expected: Some(3) }.to_string(), "class 3, which is right");
        assert_eq!(Class { best: Some(3), expected: Some(5) }.to_string(), "class 3, though it is a 5");
        assert_eq!(tenths(55, 10).to_string(), "5.5");
        assert_eq!(tenths(1, 0).to_string(), "-");
    }
}
