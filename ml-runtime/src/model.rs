//! Loading: the whole file is checked once, and what runs need of it is kept in a table that the caller provides.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{LoadError, OpName};
use crate::flatbuffer::{Table, Vector};
use crate::node::Node;
use crate::op::{Op, is_reshape};
use crate::plan::{Block, Blocks, Slot, plan};
use crate::tensor::{Place, Tensor, TensorRecord};

/// Most tensors of a model.
pub const MAX_TENSORS: usize = 2048;
/// Most operators of a model.
pub const MAX_OPERATORS: usize = 1024;
/// Most inputs or outputs of a model or an operator.
pub const MAX_EDGES: usize = 64;
/// Largest model file in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 30;

/// Where a model's inputs and outputs lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// In the arena; see [`crate::Interpreter::input_mut`].
    Arena,
    /// In buffers that the caller gives to each run, such as memory shared with a client.
    Caller,
}

/// What the runtime keeps of an operator.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OpRecord {
    /// Where its table lies in the file.
    table: u32,
    code: u32,
    scratch_bytes: u32,
    slot: Slot,
}

/// A model that was checked and planned. Its weights stay in the file.
pub struct Model<'m> {
    file: &'m [u8],
    tensors: &'m [TensorRecord],
    operators: &'m [OpRecord],
    inputs: Vector<'m, 4>,
    outputs: Vector<'m, 4>,
    arena_bytes: u32,
    io: Io,
}

/// One operator of a loaded model.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its place in the order of execution.
    pub index: u32,
    /// Its name.
    pub name: OpName,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Bytes of working memory it uses beside its inputs and outputs, and where in the arena they lie.
    pub scratch: (u32, u32),
}

struct Parts<'m> {
    codes: Vector<'m, 4>,
    buffers: Vector<'m, 4>,
    tensors: Vector<'m, 4>,
    operators: Vector<'m, 4>,
    inputs: Vector<'m, 4>,
    outputs: Vector<'m, 4>,
}

impl<'m> Parts<'m> {
    fn read(file: &'m [u8]) -> Result<Self, LoadError> {
        if file.len() > MAX_FILE_BYTES {
            return Err(LoadError::TooMany { what: "bytes", limit: MAX_FILE_BYTES as u32 });
        }
        if file.get(4..8) != Some(b"TFL3") {
            return Err(LoadError::NotAModel);
        }
        let root = Table::root(file)?;
        if root.u32(0, 0)? != 3 {
            return Err(LoadError::NotAModel);
        }
        let subgraphs = root.vector::<4>(2)?;
        if subgraphs.len() != 1 {
            return Err(LoadError::Graph("the model has no subgraph or several; the runtime runs exactly one"));
        }
        let subgraph = subgraphs.table(0)?;
        let parts = Parts {
            codes: root.vector(1)?,
            buffers: root.vector(4)?,
            tensors: subgraph.vector(0)?,
            inputs: subgraph.vector(1)?,
            outputs: subgraph.vector(2)?,
            operators: subgraph.vector(3)?,
        };
        let limits = [
            ("tensors", parts.tensors.len(), MAX_TENSORS),
            ("operators", parts.operators.len(), MAX_OPERATORS),
            ("inputs", parts.inputs.len(), MAX_EDGES),
            ("outputs", parts.outputs.len(), MAX_EDGES),
        ];
        for (what, count, limit) in limits {
            if count > limit {
                return Err(LoadError::TooMany { what, limit: limit as u32 });
            }
        }
        if parts.operators.len() == 0 || parts.outputs.len() == 0 {
            return Err(LoadError::Graph("the model has no operator or no output"));
        }
        Ok(parts)
    }

    fn table_bytes(&self) -> usize {
        self.tensors.len() * size_of::<TensorRecord>() + self.operators.len() * size_of::<OpRecord>()
    }
}

impl<'m> Model<'m> {
    /// Bytes of the memory that [`Model::load`] needs for the tables of the model in `file`.
    pub fn table_bytes(file: &[u8]) -> Result<usize, LoadError> {
        Ok(Parts::read(file)?.table_bytes())
    }

    /// Checks the model in `file` (a TensorFlow Lite flatbuffer) completely, plans its arena, and keeps its tables in
    /// `tables`, which must be aligned to 8 bytes. Nothing of the file is copied but the description of the tensors.
    pub fn load(file: &'m [u8], tables: &'m mut [u8], io: Io) -> Result<Self, LoadError> {
        let parts = Parts::read(file)?;
        let needed = LoadError::TableMemory { needed: parts.table_bytes() as u32 };
        let (tensors, rest) =
            <[TensorRecord]>::mut_from_prefix_with_elems(tables, parts.tensors.len()).map_err(|_| needed)?;
        let (operators, _) =
            <[OpRecord]>::mut_from_prefix_with_elems(rest, parts.operators.len()).map_err(|_| needed)?;
        let mut loader = Loader { file, parts, tensors, operators };
        for index in 0..loader.tensors.len() {
            let table = loader.parts.tensors.table(index)?;
            loader.tensors[index] = TensorRecord::read(index as u32, &table, &loader.parts.buffers)?;
        }
        loader.enter()?;
        for index in 0..loader.operators.len() {
            loader.connect(index)?;
        }
        loader.leave(io)?;
        loader.share();
        let Some(arena_bytes) = plan(&mut loader) else {
            return Err(LoadError::Graph("the arena would not fit in 32 bits"));
        };
        loader.settle();
        let Loader { parts: Parts { inputs, outputs, .. }, tensors, operators, .. } = loader;
        Ok(Model { file, tensors, operators, inputs, outputs, arena_bytes, io })
    }

    /// Bytes of the arena that a run needs.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes as usize
    }

    /// Bytes of the tables.
    pub fn persistent_bytes(&self) -> usize {
        size_of_val(self.tensors) + size_of_val(self.operators)
    }

    /// Where inputs and outputs lie.
    pub fn io(&self) -> Io {
        self.io
    }

    /// The model's inputs.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        self.edges(self.inputs)
    }

    /// The model's outputs.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        self.edges(self.outputs)
    }

    fn edges(&self, list: Vector<'m, 4>) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        // Checked at load; should the file change, tensor 0 stands in.
        (0..list.len()).map(move |i| {
            let index = list.i32(i).ok().and_then(|index| usize::try_from(index).ok());
            let index = index.filter(|index| *index < self.tensors.len()).unwrap_or(0);
            Tensor { file: self.file, index: index as u32, record: &self.tensors[index] }
        })
    }

    /// Number of operators.
    pub fn operator_count(&self) -> usize {
        self.operators.len()
    }

    /// The operators in the order of execution.
    pub fn operators(&self) -> impl Iterator<Item = Step> {
        (0..self.operators.len()).filter_map(|index| self.decode(index).map(|(_, _, step)| step))
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.operators().map(|step| step.macs).sum()
    }

    pub(crate) fn decode(&self, index: usize) -> Option<(Node<'_>, Op<'_>, Step)> {
        let record = self.operators.get(index)?;
        let node = node(self.file, self.tensors, record, index).ok()?;
        let op = Op::decode(&node).ok()?;
        let scratch = (record.slot.at, record.scratch_bytes);
        if op.scratch_bytes() != record.scratch_bytes as usize {
            return None;
        }
        let step = Step { index: index as u32, name: node.name, macs: op.macs(), scratch };
        Some((node, op, step))
    }
}

fn node<'t>(
    file: &'t [u8],
    tensors: &'t [TensorRecord],
    record: &OpRecord,
    index: usize,
) -> Result<Node<'t>, LoadError> {
    let table = Table::at(file, record.table as usize)?;
    Ok(Node {
        file,
        tensors,
        index: index as u32,
        name: OpName::builtin(record.code),
        inputs: table.vector(1)?,
        outputs: table.vector(2)?,
        options_kind: table.u8(3, 0)?,
        options: table.table(4)?,
    })
}

/// A model while it is being loaded.
struct Loader<'m> {
    file: &'m [u8],
    parts: Parts<'m>,
    tensors: &'m mut [TensorRecord],
    operators: &'m mut [OpRecord],
}

/// [`TensorRecord::first`] of a tensor that nothing has produced yet.
const NOT_YET: u16 = u16::MAX;

impl Loader<'_> {
    /// The record of a tensor by the file's number.
    fn record(&mut self, index: i32) -> Result<&mut TensorRecord, LoadError> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.tensors.get_mut(index))
            .ok_or(LoadError::Graph("the model or an operator names a tensor that does not exist"))
    }

    /// The model's inputs are there before the first operator.
    fn enter(&mut self) -> Result<(), LoadError> {
        for i in 0..self.parts.inputs.len() {
            let index = self.parts.inputs.i32(i)?;
            let record = self.record(index)?;
            if record.first != NOT_YET || record.place() != Place::Unused {
                return Err(LoadError::Graph("an input of the model is constant or occurs twice"));
            }
            record.first = 0;
        }
        Ok(())
    }

    /// Reads operator `index`, checks that what it reads is there and that what it writes is written once, and notes how
    /// long each tensor is needed.
    fn connect(&mut self, index: usize) -> Result<(), LoadError> {
        let table = self.parts.operators.table(index)?;
        let name = self.name(&table)?;
        let record = OpRecord { table: table.position(), code: name.code(), scratch_bytes: 0, slot: Slot::default() };
        let refuse = |reason| LoadError::Operator { index: index as u32, name, reason };
        let (inputs, outputs) = (table.vector::<4>(1)?, table.vector::<4>(2)?);
        if inputs.len() > MAX_EDGES || outputs.len() > MAX_EDGES {
            return Err(refuse("more than 64 inputs or outputs"));
        }
        let order = index as u16;
        for i in 0..inputs.len() {
            let tensor = inputs.i32(i)?;
            if tensor == -1 {
                continue;
            }
            let tensor = self.record(tensor)?;
            match tensor.place() {
                Place::Constant(_) => {}
                _ if tensor.first == NOT_YET => return Err(refuse("it reads a tensor that nothing has written")),
                _ => tensor.last = order,
            }
        }
        for i in 0..outputs.len() {
            let tensor = outputs.i32(i)?;
            let tensor = self.record(tensor)?;
            if tensor.first != NOT_YET || tensor.place() != Place::Unused {
                return Err(refuse("it writes a tensor that is constant, an input, or written already"));
            }
            (tensor.first, tensor.last) = (order, order);
        }
        let op = Op::decode(&node(self.file, self.tensors, &record, index)?)?;
        let scratch_bytes =
            u32::try_from(op.scratch_bytes()).map_err(|_| refuse("it needs too much working memory"))?;
        self.operators[index] = OpRecord { scratch_bytes, ..record };
        Ok(())
    }

    fn name(&self, operator: &Table<'_>) -> Result<OpName, LoadError> {
        let code = self.parts.codes.table(operator.u32(0, 0)? as usize)?;
        // Old files have the number in a byte of its own; new ones repeat it there up to 127.
        let number = u32::from(code.u8(0, 0)?).max(code.i32(3, 0)?.max(0) as u32);
        let name = OpName::builtin(number);
        Ok(if name.is_custom() { OpName::custom(code.vector::<1>(1)?.raw()) } else { name })
    }

    /// The model's outputs stay until the end; places that are not in the arena are settled.
    fn leave(&mut self, io: Io) -> Result<(), LoadError> {
        for i in 0..self.parts.inputs.len() {
            let index = self.parts.inputs.i32(i)?;
            if io == Io::Caller {
                self.record(index)?.set_place(Place::Input(i as u32));
            }
        }
        let end = (self.operators.len() - 1) as u16;
        for i in 0..self.parts.outputs.len() {
            let index = self.parts.outputs.i32(i)?;
            for j in 0..self.parts.inputs.len() {
                if self.parts.inputs.i32(j)? == index {
                    return Err(LoadError::Graph("an output of the model is one of its inputs"));
                }
            }
            for j in 0..i {
                if self.parts.outputs.i32(j)? == index {
                    return Err(LoadError::Graph("an output of the model occurs twice"));
                }
            }
            let record = self.record(index)?;
            if record.first == NOT_YET || record.place() != Place::Unused {
                return Err(LoadError::Graph("an output of the model is constant or nothing writes it"));
            }
            record.last = end;
            if io == Io::Caller {
                record.set_place(Place::Output(i as u32));
            }
        }
        Ok(())
    }

    /// A reshape's output shares the memory of its input where both lie in the arena or the input is the caller's.
    fn share(&mut self) {
        for index in 0..self.operators.len() {
            let record = self.operators[index];
            if !is_reshape(record.code) {
                continue;
            }
            let tensors =
                node(self.file, self.tensors, &record, index).and_then(|node| Ok((node.input(0)?, node.output(0)?)));
            let Ok((input, output)) = tensors else { continue };
            let (input, output) = (input.index as usize, output.index as usize);
            let shareable = matches!(self.tensors[input].place(), Place::Unused | Place::Input(_));
            if shareable && self.tensors[output].place() == Place::Unused {
                let storage = self.tensors[input].storage;
                let last = self.tensors[output].last;
                self.tensors[output].storage = storage;
                let owner = &mut self.tensors[usize::from(storage)];
                owner.last = owner.last.max(last);
            }
        }
    }

    /// Notes the planned places, for tensors that share memory too.
    fn settle(&mut self) {
        for index in 0..self.tensors.len() {
            if self.owns_memory(index) {
                let at = self.tensors[index].slot.at;
                self.tensors[index].set_place(Place::Arena(at));
            }
        }
        for index in 0..self.tensors.len() {
            let storage = usize::from(self.tensors[index].storage);
            if storage != index {
                let place = self.tensors[storage].place();
                self.tensors[index].set_place(place);
            }
        }
    }

    fn owns_memory(&self, index: usize) -> bool {
        let record = &self.tensors[index];
        record.first != NOT_YET && record.place() == Place::Unused && usize::from(record.storage) == index
    }
}

/// The tensors, then the operators for their working memory.
impl Blocks for Loader<'_> {
    fn count(&self) -> usize {
        self.tensors.len() + self.operators.len()
    }

    fn block(&self, index: usize) -> Option<Block> {
        match index.checked_sub(self.tensors.len()) {
            None if self.owns_memory(index) => {
                let record = &self.tensors[index];
                Some(Block { bytes: record.bytes, first: record.first, last: record.last })
            }
            None => None,
            Some(operator) => {
                let bytes = self.operators[operator].scratch_bytes;
                let order = operator as u16;
                (bytes > 0).then_some(Block { bytes, first: order, last: order })
            }
        }
    }

    fn slot(&mut self, index: usize) -> &mut Slot {
        match index.checked_sub(self.tensors.len()) {
            None => &mut self.tensors[index].slot,
            Some(operator) => &mut self.operators[operator].slot,
        }
    }
}
