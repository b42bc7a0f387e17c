//! All operators that the runtime has: decoding by number, and running on checked memory.

use crate::accelerate::Kernels;
use crate::error::{InvokeError, LoadError};
use crate::kernels::activation::{self, Activation};
use crate::kernels::add::Add;
use crate::kernels::conv::Conv;
use crate::kernels::depthwise::{Decoded, Depthwise};
use crate::kernels::fully_connected::FullyConnected;
use crate::kernels::mul::Mul;
use crate::kernels::pool::{Kind, Pool};
use crate::kernels::quantize::Quantize;
use crate::kernels::softmax::Softmax;
use crate::memory::{Memory, signed, signed_mut};
use crate::node::Node;

/// A decoded operator.
pub(crate) enum Op<'t> {
    Activation(Activation),
    Add(Add),
    Conv(Conv<'t>),
    Depthwise(Depthwise<'t>),
    FullyConnected(FullyConnected<'t>),
    Mul(Mul),
    Pool(Pool),
    Quantize(Quantize),
    Reshape,
    Softmax(Softmax),
}

/// The schema's number of `RESHAPE`.
pub(crate) const RESHAPE: u32 = 22;

impl<'t> Op<'t> {
    /// Decodes and checks an operator. This is done at load, where it may fail, and again at each run, where it cannot
    /// (short of a file that changed): it costs less than keeping the result would cost in memory.
    pub fn decode(node: &Node<'t>) -> Result<Self, LoadError> {
        let activation = |kind| Activation::decode(node, kind).map(Op::Activation);
        Ok(match node.name.code() {
            0 => Op::Add(Add::decode(node, false)?),
            1 => Op::Pool(Pool::decode(node, Kind::Average)?),
            3 => Op::Conv(Conv::decode(node)?),
            4 => match Depthwise::decode(node)? {
                Decoded::Depthwise(op) => Op::Depthwise(op),
                Decoded::Conv(op) => Op::Conv(op),
            },
            6 => Op::Quantize(Quantize::decode_dequantize(node)?),
            9 => Op::FullyConnected(FullyConnected::decode(node)?),
            14 => activation(activation::Kind::Logistic)?,
            17 => Op::Pool(Pool::decode(node, Kind::Max)?),
            18 => Op::Mul(Mul::decode(node)?),
            19 => activation(activation::Kind::Relu)?,
            RESHAPE => decode_reshape(node)?,
            25 => Op::Softmax(Softmax::decode(node)?),
            28 => activation(activation::Kind::Tanh)?,
            41 => Op::Add(Add::decode(node, true)?),
            98 => activation(activation::Kind::LeakyRelu)?,
            114 => Op::Quantize(Quantize::decode_quantize(node)?),
            _ => return Err(LoadError::UnsupportedOperator { index: node.index, name: node.name }),
        })
    }

    /// Bytes of working memory, used only while the operator runs.
    pub fn scratch_bytes(&self) -> usize {
        match self {
            Op::Conv(op) => op.scratch_bytes(),
            Op::Depthwise(op) => op.scratch_bytes(),
            Op::FullyConnected(op) => op.scratch_bytes(),
            _ => 0,
        }
    }

    /// Multiply-accumulates of one run, as the model's shapes define them (padding included).
    pub fn macs(&self) -> u64 {
        match self {
            Op::Conv(op) => op.macs(),
            Op::Depthwise(op) => op.macs(),
            Op::FullyConnected(op) => op.macs(),
            _ => 0,
        }
    }

    /// Runs the operator, a heavy one by `kernels` if they take it. Returns how many bytes of tensors it copied without
    /// computing anything.
    pub fn run(
        &self,
        node: &Node<'t>,
        scratch_at: u32,
        memory: &mut Memory<'_, '_>,
        kernels: &mut impl Kernels,
    ) -> Result<u64, InvokeError> {
        let changed = |_| InvokeError::ModelChanged;
        let output = node.output(0).map_err(changed)?;
        let scratch = (scratch_at, self.scratch_bytes());
        let first = node.input(0).map_err(changed)?;
        if matches!(self, Op::Add(_) | Op::Mul(_)) {
            let second = node.input(1).map_err(changed)?;
            let operands = memory.operands([&first, &second], &output, scratch)?;
            let left = signed(operands.inputs[0]);
            let right = signed(operands.inputs[1]);
            let output = signed_mut(operands.output);
            let done = match self {
                Op::Add(op) => op.run(left, right, output),
                Op::Mul(op) => op.run(left, right, output),
                _ => None,
            };
            return done.map(|()| 0).ok_or(InvokeError::ModelChanged);
        }
        if matches!(self, Op::Reshape) && first.record.place() == output.record.place() {
            return Ok(0);
        }
        let operands = memory.operands([&first], &output, scratch)?;
        let [source] = operands.inputs;
        let target = operands.output;
        let input = signed(source);
        let done = match self {
            Op::Quantize(op) => op.run(source, target),
            Op::Reshape => {
                target.copy_from_slice(source);
                return Ok(source.len() as u64);
            }
            other => {
                let output = signed_mut(target);
                match other {
                    Op::Activation(op) => op.run(input, output),
                    Op::Conv(op) if op.offer(kernels, input, output) => Some(()),
                    Op::Depthwise(op) if op.offer(kernels, input, output) => Some(()),
                    Op::FullyConnected(op) if op.offer(kernels, input, output) => Some(()),
                    Op::Conv(op) => op.run(input, output, operands.scratch),
                    Op::Depthwise(op) => op.run(input, output, operands.scratch),
                    Op::FullyConnected(op) => op.run(input, output, operands.scratch),
                    Op::Pool(op) => op.run(input, output),
                    Op::Softmax(op) => op.run(input, output),
                    Op::Add(_) | Op::Mul(_) | Op::Quantize(_) | Op::Reshape => Some(()),
                }
            }
        };
        done.map(|()| 0).ok_or(InvokeError::ModelChanged)
    }
}

/// A reshape does nothing to the values; what the new shape is, the output's own shape says.
fn decode_reshape<'t>(node: &Node<'t>) -> Result<Op<'t>, LoadError> {
    node.arity(1..=2, 1)?;
    node.options_of(17)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let fits = input.element() == output.element() && input.bytes() == output.bytes();
    node.require(fits, "its input and output have different sizes or types")?;
    Ok(Op::Reshape)
}
