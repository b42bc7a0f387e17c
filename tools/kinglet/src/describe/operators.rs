//! The operators of a model, one a line.

use std::fmt;

use ml_runtime::{ElementType, Model, Place, Tensor};
use npu_firmware::reach::Survey;

/// Where an operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Processor,
    Vectors,
    Scalar,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Where::Processor => "processor",
            Where::Vectors => "accelerator, vectors",
            Where::Scalar => "accelerator, scalar",
        })
    }
}

/// One operator.
struct Line {
    name: String,
    inputs: String,
    output: String,
    macs: u64,
    scratch: u32,
    place: Where,
    /// Constants it reads.
    constants: Vec<String>,
}

/// All operators, in the order in which they run.
pub struct Operators {
    lines: Vec<Line>,
    total: u64,
    accelerated: bool,
}

impl Operators {
    /// Those of `model`, which runs on the accelerator if there is one that can.
    pub fn of(model: &Model<'_>, accelerated: bool) -> Self {
        let lines = model.operators().enumerate().map(|(index, step)| {
            let (inputs, outputs) = model.operator_arity(index).unwrap_or_default();
            let (mut read, mut constants) = (Vec::new(), Vec::new());
            for tensor_read in (0..inputs).filter_map(|i| model.operator_input(index, i)) {
                match tensor_read.place() {
                    Place::Constant(_) => constants.push(tensor(&tensor_read)),
                    _ => read.push(short(&tensor_read)),
                }
            }
            let written: Vec<_> = (0..outputs).filter_map(|i| model.operator_output(index, i)).collect();
            let place = match (accelerated, model.offer(index, &mut Survey)) {
                (false, _) => Where::Processor,
                (true, Some(true)) => Where::Vectors,
                (true, _) => Where::Scalar,
            };
            Line {
                name: format!("{}{}", step.name, if step.once { " (first run)" } else { "" }),
                inputs: read.join(" "),
                output: written
                    .iter()
                    .map(|output| format!("t{} {}", output.index(), tensor(output)))
                    .collect::<Vec<_>>()
                    .join(", "),
                macs: step.macs,
                scratch: step.scratch.1,
                place,
                constants,
            }
        });
        Operators { lines: lines.collect(), total: model.macs(), accelerated }
    }
}

/// A tensor's number and shape.
fn short(tensor: &Tensor<'_>) -> String {
    format!("t{} {:?}", tensor.index(), tensor.dims())
}

/// A tensor's type, shape and quantisation.
pub fn tensor(tensor: &Tensor<'_>) -> String {
    let kind = match tensor.element() {
        Some(ElementType::Float32) => "float32",
        Some(ElementType::Int32) => "int32",
        Some(ElementType::UInt8) => "uint8",
        Some(ElementType::Int64) => "int64",
        Some(ElementType::Int16) => "int16",
        Some(ElementType::Int8) => "int8",
        Some(ElementType::Resource) => "variable",
        None => "unknown",
    };
    let scales = match tensor.scale_count() {
        0 => String::new(),
        1 => format!(" scale {} zero {}", tensor.scale(), tensor.zero_point()),
        count => format!(" {count} scales"),
    };
    format!("{kind} {:?}{scales}", tensor.dims())
}

impl fmt::Display for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Line) -> &str| self.lines.iter().map(|line| text(line).len()).max().unwrap_or(0);
        let (names, inputs, outputs) =
            (width(|line| &line.name), width(|line| &line.inputs), width(|line| &line.output));
        writeln!(
            f,
            "  # {:names$}  {:inputs$}    {:outputs$} {:>10} {:>5} {:>8}  runs on",
            "operator", "reads", "writes", "MACs", "%", "scratch"
        )?;
        for (index, line) in self.lines.iter().enumerate() {
            let share = 100.0 * line.macs as f64 / self.total.max(1) as f64;
            writeln!(
                f,
                "{index:3} {:names$}  {:inputs$} -> {:outputs$} {:>10} {share:>5.1} {:>8}  {}",
                line.name, line.inputs, line.output, line.macs, line.scratch, line.place
            )?;
            for constant in &line.constants {
                writeln!(f, "    {:names$}  with {constant}", "")?;
            }
        }
        if self.accelerated {
            let macs = |place| self.lines.iter().filter(|line| line.place == place).map(|line| line.macs).sum::<u64>();
            let (vectors, scalar) = (macs(Where::Vectors), macs(Where::Scalar));
            writeln!(f, "on the accelerator: {vectors} MACs by vector kernels, {scalar} by its scalar unit")?;
        }
        Ok(())
    }
}
