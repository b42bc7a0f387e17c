//! A loaded model: what runs need of the file, in tables that the caller provides.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{LoadError, OpName};
use crate::flatbuffer::{Table, Vector};
use crate::graph::Graph;
use crate::load;
use crate::node::Node;
use crate::op::Op;
use crate::plan::Slot;
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
    pub table: u32,
    pub code: u32,
    pub scratch_bytes: u32,
    /// The tensors of its subgraph: the first, and how many.
    pub base: u16,
    pub count: u16,
    pub slot: Slot,
}

impl OpRecord {
    /// Whether it runs only in the first run: it belongs to a subgraph that `CALL_ONCE` names. The main subgraph is the
    /// first and has tensors.
    pub fn once(&self) -> bool {
        self.base != 0
    }
}

/// A model that was checked and planned. Its weights stay in the file.
pub struct Model<'m> {
    pub(crate) file: &'m [u8],
    pub(crate) tensors: &'m [TensorRecord],
    pub(crate) operators: &'m [OpRecord],
    pub(crate) inputs: Vector<'m, 4>,
    pub(crate) outputs: Vector<'m, 4>,
    pub(crate) arena_bytes: u32,
    pub(crate) state_bytes: u32,
    pub(crate) io: Io,
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
    /// Whether it runs only in the first run.
    pub once: bool,
}

impl<'m> Model<'m> {
    /// Bytes of the memory that [`Model::load`] needs for the tables of the model in `file`.
    pub fn table_bytes(file: &[u8]) -> Result<usize, LoadError> {
        Ok(load::table_bytes(&Graph::read(file)?))
    }

    /// Checks the model in `file` (a TensorFlow Lite flatbuffer) completely, plans its arena, and keeps its tables in
    /// `tables`, which must be aligned to 8 bytes. Nothing of the file is copied but the description of the tensors.
    pub fn load(file: &'m [u8], tables: &'m mut [u8], io: Io) -> Result<Self, LoadError> {
        load::load(file, tables, io)
    }

    /// Bytes of the arena that a run needs, its variables included.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes as usize
    }

    /// Bytes at the start of the arena that hold the model's variables: what one run leaves there, the next one finds. 0
    /// if the model keeps nothing from one run to the next.
    pub fn state_bytes(&self) -> usize {
        self.state_bytes as usize
    }

    /// Gives all variables in `arena` the values they have before the first run.
    pub(crate) fn reset(&self, arena: &mut [u8]) {
        for record in self.tensors.iter().filter(|record| record.is_variable()) {
            let Place::Arena(at) = record.place() else { continue };
            if let Some(values) = arena.get_mut(at as usize..).and_then(|rest| rest.get_mut(..record.bytes as usize)) {
                values.fill(record.initial());
            }
        }
    }

    /// Bytes of the tables.
    pub fn persistent_bytes(&self) -> usize {
        size_of_val(self.tensors) + size_of_val(self.operators)
    }

    /// Bytes of weights that are kept in another form than the file's: none. All operators read them where they lie in the
    /// file, and what they prepare during a run is in the arena.
    pub fn packed_bytes(&self) -> usize {
        0
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
        let step = Step { index: index as u32, name: node.name, macs: op.macs(), scratch, once: record.once() };
        Some((node, op, step))
    }
}

pub(crate) fn node<'t>(
    file: &'t [u8],
    tensors: &'t [TensorRecord],
    record: &OpRecord,
    index: usize,
) -> Result<Node<'t>, LoadError> {
    let table = Table::at(file, record.table as usize)?;
    Ok(Node {
        file,
        tensors: tensors.get(usize::from(record.base)..).unwrap_or_default(),
        base: u32::from(record.base),
        count: u32::from(record.count),
        index: index as u32,
        name: OpName::builtin(record.code),
        inputs: table.vector(1)?,
        outputs: table.vector(2)?,
        options_kind: table.u8(3, 0)?,
        options: table.table(4)?,
    })
}
