//! `UNIDIRECTIONAL_SEQUENCE_LSTM`: int8 values, 16-bit gates and cells, without peepholes, projection and normalisation.

use super::curve::{TanhScale, logistic, tanh};
use crate::error::LoadError;
use crate::fixed_point::{Multiplier, Requantize};
use crate::memory::{signed, signed_mut};
use crate::node::Node;
use crate::pace::Pace;
use crate::tensor::{ElementType, Tensor};

/// Inputs of the operator that must be absent: peepholes, projection, normalisation.
const ABSENT: [usize; 9] = [9, 10, 11, 16, 17, 20, 21, 22, 23];
/// Input: what the cells gave last, a variable.
const HIDDEN: usize = 18;
/// Input: the cells, a variable.
const CELLS: usize = 19;
/// Most weights of a cell.
const MOST_WEIGHTS: u32 = 1 << 15;

/// One of the four gates. Their order in the operator's lists of inputs: in, forget, cell, out.
struct Gate<'t> {
    /// Weights of the inputs and of the hidden values.
    weights: [&'t [i8]; 2],
    factors: [Requantize; 2],
    bias: &'t [[u8; 4]],
}

/// A decoded LSTM, without its gates: those would make all operators large.
pub(crate) struct Lstm {
    batches: usize,
    steps: usize,
    inputs: usize,
    cells: usize,
    /// Whether the steps, not the batches, are the outer dimension.
    time_major: bool,
    zero_point: i32,
    hidden_zero_point: i32,
    /// Forget gate times cell, in gate times cell gate, and what comes out.
    products: [Multiplier; 3],
    tanh: TanhScale,
    /// Bound of the cells; 0 is none.
    clip: i32,
}

/// The variables and the result.
pub(crate) struct Lists<'b> {
    pub output: &'b mut [u8],
    pub hidden: &'b mut [u8],
    pub cells: &'b mut [u8],
}

impl Lstm {
    pub fn decode(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(24..=24, 1)?;
        node.options_of(71)?;
        node.require(node.option_u8(0, 0)? == 4, "its activation is not TANH")?;
        for i in ABSENT {
            let absent = node.optional_input(i)?.is_none();
            node.require(absent, "peepholes, projection and normalisation are not supported")?;
        }
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        let (hidden, cells) = states(node)?;
        let (&[outer, inner, inputs], &[_, units]) = (input.dims(), hidden.dims()) else {
            return Err(node.refuse("its input must have three dimensions, its state two"));
        };
        let time_major = node.option_u8(3, 0)? != 0;
        let (batches, steps) = if time_major { (inner, outer) } else { (outer, inner) };
        let fits = output.dims() == [outer, inner, units]
            && hidden.dims()[0] == batches
            && cells.elements() == hidden.elements();
        node.require(fits, "its output or its state does not fit its input")?;
        node.require(inputs.max(units) <= MOST_WEIGHTS, "more than 32,768 inputs or cells are not supported")?;
        // The units of a cell are 2^power; only those have a tangent in the reference.
        let (cell_scale, hidden_scale) = (f64::from(cells.scale()), f64::from(hidden.scale()));
        let power = (cells.scale().to_bits() >> 23) as i32 - 127;
        let exact = cells.scale().to_bits() & ((1 << 23) - 1) == 0;
        let Some(scale) = TanhScale::new(power).filter(|_| exact) else {
            return Err(node.refuse("the scale of its cells is not a power of two from 2^-27 to 4"));
        };
        let gate_unit = 1.0 / 32_768.0;
        let product = |real: f64| {
            node.require(real < 1.0, "its scales give a factor that is out of range")?;
            node.multiplier(real)
        };
        let clip = node.option_f32(1, 0.0)?;
        let clip = if clip > 0.0 { (f64::from(clip) / cell_scale).clamp(-32_768.0, 32_767.0) as i32 } else { 0 };
        gates(node)?;
        Ok(Lstm {
            batches: batches as usize,
            steps: steps as usize,
            inputs: inputs as usize,
            cells: units as usize,
            time_major,
            zero_point: input.zero_point(),
            hidden_zero_point: hidden.zero_point(),
            products: [
                product(gate_unit)?,
                product(gate_unit * gate_unit / cell_scale)?,
                product(gate_unit * gate_unit / hidden_scale)?,
            ],
            tanh: scale,
            clip,
        })
    }

    pub fn macs(&self) -> u64 {
        (self.batches * self.steps * self.cells) as u64 * 4 * (self.inputs + self.cells) as u64
    }

    pub fn run(&self, node: &Node<'_>, input: &[i8], lists: Lists<'_>, pace: &mut Pace<'_>) -> Option<()> {
        let run = Run { lstm: self, gates: gates(node).ok()?, products: self.products.map(Requantize::new) };
        let tangent = TanhScale::new(-12)?;
        let (output, hidden) = (signed_mut(lists.output), signed_mut(lists.hidden));
        let cells = lists.cells.as_chunks_mut::<2>().0;
        for batch in 0..self.batches {
            let hidden = hidden.get_mut(batch * self.cells..)?.get_mut(..self.cells)?;
            let cells = cells.get_mut(batch * self.cells..)?.get_mut(..self.cells)?;
            for step in 0..self.steps {
                let row = if self.time_major { step * self.batches + batch } else { batch * self.steps + step };
                let input = input.get(row * self.inputs..)?.get(..self.inputs)?;
                let output = output.get_mut(row * self.cells..)?.get_mut(..self.cells)?;
                // All cells see the same hidden values; the new ones are kept in the output until then.
                for (unit, (cell, result)) in cells.iter_mut().zip(output.iter_mut()).enumerate() {
                    pace.worked(8 * (self.inputs + self.cells))?;
                    let next = run.cell(unit, [input, hidden], i16::from_le_bytes(*cell), tangent)?;
                    *cell = next.0.to_le_bytes();
                    *result = next.1;
                }
                hidden.copy_from_slice(output);
            }
        }
        Some(())
    }
}

/// What the cells have in common during a run.
struct Run<'t> {
    lstm: &'t Lstm,
    gates: [Gate<'t>; 4],
    products: [Requantize; 3],
}

impl Run<'_> {
    /// What cell `unit` becomes, and what it gives.
    fn cell(&self, unit: usize, values: [&[i8]; 2], cell: i16, tangent: TanhScale) -> Option<(i16, i8)> {
        let Lstm { zero_point, hidden_zero_point, clip, tanh: scale, .. } = *self.lstm;
        let zero_points = [zero_point, hidden_zero_point];
        let mut sums = [0; 4];
        for (sum, gate) in sums.iter_mut().zip(&self.gates) {
            *sum = gate.sum(unit, values, zero_points)?;
        }
        let (way_in, forget, new, way_out) =
            (logistic(sums[0]), logistic(sums[1]), tanh(sums[2], tangent), logistic(sums[3]));
        let [keep, take, give] = &self.products;
        let product = |factor: &Requantize, a: i16, b: i16| saturate(factor.apply(i32::from(a) * i32::from(b)));
        let sum = product(keep, forget, cell).saturating_add(product(take, way_in, new));
        let cell = match clip {
            0 => sum,
            clip => i32::from(sum).clamp(-clip, clip) as i16,
        };
        let result = give.apply(i32::from(tanh(cell, scale)) * i32::from(way_out));
        Some((cell, (result + i64::from(hidden_zero_point)).clamp(-128, 127) as i8))
    }
}

/// All gates, in their order.
fn gates<'t>(node: &Node<'t>) -> Result<[Gate<'t>; 4], LoadError> {
    let (input, (hidden, _)) = (node.input(0)?, states(node)?);
    let (Some(inputs), Some(units)) = (input.dims().last(), hidden.dims().last()) else {
        return Err(node.refuse("its input and its state must have dimensions"));
    };
    let gate = |i| Gate::decode(node, i, [&input, &hidden], [*inputs, *units]);
    Ok([gate(0)?, gate(1)?, gate(2)?, gate(3)?])
}

impl<'t> Gate<'t> {
    fn decode(node: &Node<'t>, i: usize, values: [&Tensor<'t>; 2], counts: [u32; 2]) -> Result<Self, LoadError> {
        let units = counts[1];
        let mut weights: [&[i8]; 2] = [&[]; 2];
        let mut factors = [None; 2];
        for (k, (value, count)) in values.into_iter().zip(counts).enumerate() {
            let number = 1 + 4 * k + i;
            let (tensor, bytes) = node.weights(number, 0, 0)?;
            node.require(tensor.dims() == [units, count], "its weights do not fit its input and state")?;
            weights[k] = signed(bytes);
            // The reference multiplies the scales in single precision; a gate's sum has units of 2^-12.
            let real = f64::from(value.scale() * tensor.scale()) / f64::from(1.0f32 / 4096.0);
            node.require(real < 16.0, "its scales give a factor that is out of range")?;
            factors[k] = Some(Requantize::new(node.multiplier(real)?));
        }
        let Some(bias) = node.bias(12 + i, units as usize)? else { return Err(node.refuse("a bias is missing")) };
        match factors {
            [Some(input), Some(hidden)] => Ok(Gate { weights, factors: [input, hidden], bias }),
            _ => Err(node.refuse("its weights do not fit its input and state")),
        }
    }

    /// The gate's sum for one cell, each half rounded and cut to 16 bits on its own.
    fn sum(&self, unit: usize, values: [&[i8]; 2], zero_points: [i32; 2]) -> Option<i16> {
        let mut halves = [0; 2];
        for (k, half) in halves.iter_mut().enumerate() {
            let values = values[k];
            let weights = self.weights[k].get(unit * values.len()..)?.get(..values.len())?;
            // At most 255 · 128 · 2^15.
            let products = values.iter().zip(weights);
            let products = products.map(|(value, weight)| (i32::from(*value) - zero_points[k]) * i32::from(*weight));
            let bias = if k == 0 { i32::from_le_bytes(*self.bias.get(unit)?) } else { 0 };
            *half = saturate(self.factors[k].apply(products.sum::<i32>().wrapping_add(bias)));
        }
        Some(halves[0].saturating_add(halves[1]))
    }
}

/// The hidden values and the cells, which must be variables.
pub(crate) fn states<'t>(node: &Node<'t>) -> Result<(Tensor<'t>, Tensor<'t>), LoadError> {
    let (hidden, cells) = (node.int8_input(HIDDEN)?, node.input(CELLS)?);
    let fits = cells.element() == Some(ElementType::Int16) && cells.record.scale_count == 1;
    node.require(fits, "its cells are not int16 with one scale")?;
    let kept = hidden.record.is_variable() && cells.record.is_variable();
    node.require(kept, "its state is not made of variables")?;
    Ok((hidden, cells))
}

fn saturate(x: i64) -> i16 {
    x.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}
