//! All operators that the runtime has: decoding by number, and running on checked memory.

use crate::accelerate::Kernels;
use crate::error::{InvokeError, LoadError};
use crate::kernels::activation::{self, Activation};
use crate::kernels::add::Add;
use crate::kernels::broadcast::Choice;
use crate::kernels::conv::Conv;
use crate::kernels::depthwise::{Decoded, Depthwise};
use crate::kernels::fully_connected::FullyConnected;
use crate::kernels::grouped_conv::GroupedConv;
use crate::kernels::join::Join;
use crate::kernels::lstm::{self, Lists, Lstm};
use crate::kernels::matmul::Matmul;
use crate::kernels::mul::Mul;
use crate::kernels::pool::{Kind, Pool};
use crate::kernels::quantize::Quantize;
use crate::kernels::reduce::{self, Extreme, Reduce};
use crate::kernels::repeat;
use crate::kernels::reshape;
use crate::kernels::resize::Resize;
use crate::kernels::slice;
use crate::kernels::softmax::Softmax;
use crate::kernels::transpose_conv::TransposeConv;
use crate::kernels::variable;
use crate::kernels::walk::Move;
use crate::memory::{Memory, signed, signed_mut};
use crate::node::Node;
use crate::pace::Pace;

/// A decoded operator.
pub(crate) enum Op<'t> {
    Activation(Activation),
    Add(Add),
    Assign,
    CallOnce,
    Choice(Choice),
    Conv(Conv<'t>),
    Depthwise(Depthwise<'t>),
    Extreme(Extreme),
    FullyConnected(FullyConnected<'t>),
    GroupedConv(GroupedConv<'t>),
    Join(Join),
    Lstm(Lstm),
    Matmul(Matmul),
    Move(Move),
    Mul(Mul),
    Pool(Pool),
    Quantize(Quantize),
    Read,
    Reduce(Reduce),
    Reshape,
    Resize(Resize),
    Shape,
    Softmax(Softmax),
    TransposeConv(TransposeConv<'t>),
    VarHandle,
}

/// The schema's number of `CALL_ONCE`.
pub(crate) const CALL_ONCE: u32 = 129;
/// The schema's number of `VAR_HANDLE`.
pub(crate) const VAR_HANDLE: u32 = 142;
/// The schema's number of `READ_VARIABLE`.
pub(crate) const READ_VARIABLE: u32 = 143;
/// The schema's number of `ASSIGN_VARIABLE`.
pub(crate) const ASSIGN_VARIABLE: u32 = 144;

/// The schema's number of `RESHAPE`.
const RESHAPE: u32 = 22;
/// The schema's number of `SQUEEZE`.
const SQUEEZE: u32 = 43;
/// The schema's number of `EXPAND_DIMS`.
const EXPAND_DIMS: u32 = 70;

/// Whether an operator only gives its first input another shape.
pub(crate) fn is_reshape(code: u32) -> bool {
    [RESHAPE, SQUEEZE, EXPAND_DIMS].contains(&code)
}

impl<'t> Op<'t> {
    /// Decodes and checks an operator. This is done at load, where it may fail, and again at each run, where it cannot
    /// (short of a file that changed): it costs less than keeping the result would cost in memory.
    pub fn decode(node: &Node<'t>) -> Result<Self, LoadError> {
        let activation = |kind| Activation::decode(node, kind).map(Op::Activation);
        let reduce = |kind| Reduce::decode(node, kind).map(Op::Reduce);
        Ok(match node.name.code() {
            0 => Op::Add(Add::decode(node, false)?),
            1 => Op::Pool(Pool::decode(node, Kind::Average)?),
            2 => Op::Join(Join::decode_concatenation(node)?),
            3 if GroupedConv::applies(node)? => Op::GroupedConv(GroupedConv::decode(node)?),
            3 => Op::Conv(Conv::decode(node)?),
            4 => match Depthwise::decode(node)? {
                Decoded::Depthwise(op) => Op::Depthwise(op),
                Decoded::Conv(op) => Op::Conv(op),
            },
            5 => Op::Move(slice::decode_blocks(node, false)?),
            6 => Op::Quantize(Quantize::decode_dequantize(node)?),
            9 => Op::FullyConnected(FullyConnected::decode(node)?),
            14 => activation(activation::Kind::Logistic)?,
            17 => Op::Pool(Pool::decode(node, Kind::Max)?),
            18 => Op::Mul(Mul::decode(node)?),
            19 => activation(activation::Kind::Relu)?,
            21 => activation(activation::Kind::Relu6)?,
            RESHAPE => reshape::decode_reshape(node).map(|()| Op::Reshape)?,
            23 => Op::Resize(Resize::decode(node, true)?),
            25 => Op::Softmax(Softmax::decode(node)?),
            26 => Op::Move(slice::decode_blocks(node, true)?),
            28 => activation(activation::Kind::Tanh)?,
            34 => Op::Move(slice::decode_pad(node, false)?),
            39 => Op::Move(slice::decode_transpose(node)?),
            40 => reduce(reduce::Kind::Mean)?,
            41 => Op::Add(Add::decode(node, true)?),
            SQUEEZE => reshape::decode_squeeze(node).map(|()| Op::Reshape)?,
            44 => Op::Lstm(Lstm::decode(node)?),
            45 => Op::Move(slice::decode_strided_slice(node)?),
            49 => Op::Join(Join::decode_split(node)?),
            54 => Op::Choice(Choice::decode_prelu(node)?),
            55 => Op::Choice(Choice::decode_extreme(node, true)?),
            56 => Op::Extreme(Extreme::decode(node, true)?),
            57 => Op::Choice(Choice::decode_extreme(node, false)?),
            60 => Op::Move(slice::decode_pad(node, true)?),
            65 => Op::Move(slice::decode_slice(node)?),
            67 => Op::TransposeConv(TransposeConv::decode(node)?),
            69 => Op::Move(repeat::decode_tile(node)?),
            EXPAND_DIMS => reshape::decode_expand_dims(node).map(|()| Op::Reshape)?,
            74 => reduce(reduce::Kind::Sum)?,
            77 => reshape::decode_shape(node).map(|()| Op::Shape)?,
            79 => Op::Extreme(Extreme::decode(node, false)?),
            82 => reduce(reduce::Kind::Max)?,
            83 => Op::Join(Join::decode_pack(node)?),
            88 => Op::Join(Join::decode_unpack(node)?),
            89 => reduce(reduce::Kind::Min)?,
            97 => Op::Resize(Resize::decode(node, false)?),
            98 => activation(activation::Kind::LeakyRelu)?,
            102 => Op::Join(Join::decode_split_v(node)?),
            114 => Op::Quantize(Quantize::decode_quantize(node)?),
            117 => activation(activation::Kind::HardSwish)?,
            126 => Op::Matmul(Matmul::decode(node)?),
            CALL_ONCE => variable::decode_call_once(node).map(|()| Op::CallOnce)?,
            130 => Op::Move(repeat::decode_broadcast_to(node)?),
            VAR_HANDLE => variable::decode_var_handle(node).map(|()| Op::VarHandle)?,
            READ_VARIABLE => variable::decode_read(node).map(|()| Op::Read)?,
            ASSIGN_VARIABLE => variable::decode_assign(node).map(|()| Op::Assign)?,
            _ => return Err(LoadError::UnsupportedOperator { index: node.index, name: node.name }),
        })
    }

    /// Bytes of working memory, used only while the operator runs.
    pub fn scratch_bytes(&self) -> usize {
        match self {
            Op::Conv(op) => op.scratch_bytes(),
            Op::Depthwise(op) => op.scratch_bytes(),
            Op::FullyConnected(op) => op.scratch_bytes(),
            Op::Reduce(op) => op.scratch_bytes(),
            _ => 0,
        }
    }

    /// Multiply-accumulates of one run, as the model's shapes define them (padding included).
    pub fn macs(&self) -> u64 {
        match self {
            Op::Conv(op) => op.macs(),
            Op::Depthwise(op) => op.macs(),
            Op::FullyConnected(op) => op.macs(),
            Op::GroupedConv(op) => op.macs(),
            Op::Lstm(op) => op.macs(),
            Op::Matmul(op) => op.macs(),
            Op::TransposeConv(op) => op.macs(),
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
        pace: &mut Pace<'_>,
    ) -> Result<u64, InvokeError> {
        let changed = |_| InvokeError::ModelChanged;
        match self {
            Op::Join(op) => return op.run(node, memory).map(|()| 0),
            Op::CallOnce | Op::VarHandle => return Ok(0),
            Op::Assign => return assign(node, memory).map(|()| 0),
            Op::Lstm(op) => return run_lstm(op, node, memory, pace).map(|()| 0),
            _ => {}
        }
        let output = node.output(0).map_err(changed)?;
        let scratch = (scratch_at, self.scratch_bytes());
        let first = node.input(if matches!(self, Op::TransposeConv(_)) { 2 } else { 0 }).map_err(changed)?;
        if matches!(self, Op::Add(_) | Op::Choice(_) | Op::Matmul(_) | Op::Mul(_)) {
            let second = node.input(1).map_err(changed)?;
            let operands = memory.operands([&first, &second], [&output], scratch)?;
            let left = signed(operands.inputs[0]);
            let right = signed(operands.inputs[1]);
            let [target] = operands.outputs;
            let output = signed_mut(target);
            let done = match self {
                Op::Add(op) => op.run(left, right, output, pace),
                Op::Choice(op) => op.run(left, right, output),
                Op::Matmul(op) => op.run(left, right, output, pace),
                Op::Mul(op) => op.run(left, right, output),
                _ => None,
            };
            return done.map(|()| 0).ok_or(InvokeError::ModelChanged);
        }
        if matches!(self, Op::Reshape) && first.record.place() == output.record.place() {
            return Ok(0);
        }
        let operands = memory.operands([&first], [&output], scratch)?;
        let [source] = operands.inputs;
        let [target] = operands.outputs;
        let input = signed(source);
        let done = match self {
            Op::Extreme(op) => op.run(input, target),
            Op::Move(op) => op.run(source, target),
            Op::Quantize(op) => op.run(source, target),
            Op::Reshape => {
                target.copy_from_slice(source);
                return Ok(source.len() as u64);
            }
            Op::Read if source.len() == target.len() => {
                target.copy_from_slice(source);
                Some(())
            }
            Op::Shape => reshape::run_shape(first.dims(), target),
            other => {
                let output = signed_mut(target);
                match other {
                    Op::Activation(op) => op.run(input, output),
                    Op::Conv(op) if op.offer(kernels, input, output) => Some(()),
                    Op::Depthwise(op) if op.offer(kernels, input, output) => Some(()),
                    Op::FullyConnected(op) if op.offer(kernels, input, output) => Some(()),
                    Op::Conv(op) => op.run(input, output, operands.scratch, pace),
                    Op::Depthwise(op) => op.run(input, output, operands.scratch, pace),
                    Op::FullyConnected(op) => op.run(input, output, operands.scratch, pace),
                    Op::GroupedConv(op) => op.run(input, output, pace),
                    Op::Pool(op) => op.run(input, output, pace),
                    Op::Reduce(op) => op.run(input, output, operands.scratch),
                    Op::Resize(op) => op.run(input, output),
                    Op::Softmax(op) => op.run(input, output),
                    Op::TransposeConv(op) => op.run(input, output, pace),
                    // Taken care of above.
                    _ => None,
                }
            }
        };
        done.map(|()| 0).ok_or(InvokeError::ModelChanged)
    }
}

/// The value of the second input becomes that of the variable which the first one names.
fn assign(node: &Node<'_>, memory: &mut Memory<'_, '_>) -> Result<(), InvokeError> {
    let changed = |_| InvokeError::ModelChanged;
    let (name, value) = (node.input(0).map_err(changed)?, node.input(1).map_err(changed)?);
    let (source, target) = memory.pair(&value, &name)?;
    if source.len() != target.len() {
        return Err(InvokeError::ModelChanged);
    }
    target.copy_from_slice(source);
    Ok(())
}

fn run_lstm(op: &Lstm, node: &Node<'_>, memory: &mut Memory<'_, '_>, pace: &mut Pace<'_>) -> Result<(), InvokeError> {
    let changed = |_| InvokeError::ModelChanged;
    let (input, output) = (node.input(0).map_err(changed)?, node.output(0).map_err(changed)?);
    let (hidden, cells) = lstm::states(node).map_err(changed)?;
    let operands = memory.operands([&input], [&output, &hidden, &cells], (0, 0))?;
    let [output, hidden, cells] = operands.outputs;
    op.run(node, signed(operands.inputs[0]), Lists { output, hidden, cells }, pace).ok_or(InvokeError::ModelChanged)
}
