//! Loading: the whole file is checked once, and each tensor gets a place.

use core::ops::Range;

use zerocopy::FromBytes;

use crate::error::{LoadError, OpName};
use crate::flatbuffer::Table;
use crate::graph::{Graph, Subgraph};
use crate::kernels::variable::same_name;
use crate::model::{Io, MAX_EDGES, Model, OpRecord, node};
use crate::node::Node;
use crate::op::{ASSIGN_VARIABLE, CALL_ONCE, Op, READ_VARIABLE, VAR_HANDLE, is_reshape};
use crate::plan::{ARENA_ALIGN, Block, Blocks, Slot, plan};
use crate::tensor::{ElementType, Place, TensorRecord};

/// Bytes of the tables.
pub(crate) fn table_bytes(graph: &Graph<'_>) -> usize {
    graph.tensors * size_of::<TensorRecord>() + graph.operators * size_of::<OpRecord>()
}

/// Loads the model in `file`; see [`Model::load`].
pub(crate) fn load<'m>(file: &'m [u8], tables: &'m mut [u8], io: Io) -> Result<Model<'m>, LoadError> {
    let graph = Graph::read(file)?;
    let needed = LoadError::TableMemory { needed: table_bytes(&graph) as u32 };
    let (tensors, rest) = <[TensorRecord]>::mut_from_prefix_with_elems(tables, graph.tensors).map_err(|_| needed)?;
    let (operators, _) = <[OpRecord]>::mut_from_prefix_with_elems(rest, graph.operators).map_err(|_| needed)?;
    let main = graph.main;
    let mut loader = Loader { file, graph, tensors, operators };
    loader.connect_all(&main)?;
    loader.leave(&main, io)?;
    loader.check_reads()?;
    loader.share();
    let bytes = loader.place_variables().and_then(|state| Some((state, plan(&mut loader)?.checked_add(state)?)));
    let Some((state_bytes, arena_bytes)) = bytes else {
        return Err(LoadError::Graph("the arena would not fit in 32 bits"));
    };
    loader.settle(state_bytes);
    let Loader { tensors, operators, .. } = loader;
    let Subgraph { inputs, outputs, .. } = main;
    Ok(Model { file, tensors, operators, inputs, outputs, arena_bytes, state_bytes, io })
}

/// A model while it is being loaded.
struct Loader<'m> {
    file: &'m [u8],
    graph: Graph<'m>,
    tensors: &'m mut [TensorRecord],
    operators: &'m mut [OpRecord],
}

/// [`TensorRecord::first`] of a tensor that nothing has produced yet.
const NOT_YET: u16 = u16::MAX;

/// The file is memory that somebody else may write.
const CHANGED: LoadError = LoadError::Graph("the model changed while it was loaded");

impl<'m> Loader<'m> {
    /// Puts all operators into the order of execution: where a `CALL_ONCE` stands, the operators of its subgraph follow.
    fn connect_all(&mut self, main: &Subgraph<'m>) -> Result<(), LoadError> {
        let whole = self.describe(0, main)?;
        self.enter(main)?;
        let (mut next, mut end) = (0, whole.end);
        for index in 0..main.operators.len() {
            let table = main.operators.table(index)?;
            let called = self.graph.called(index, &table)?;
            self.connect(next, &table, whole.clone())?;
            next += 1;
            let Some(called) = called else { continue };
            let part = self.describe(end, &called)?;
            for index in 0..called.operators.len() {
                self.connect(next, &called.operators.table(index)?, part.clone())?;
                next += 1;
            }
            end = part.end;
        }
        if (next, end) == (self.operators.len(), self.tensors.len()) { Ok(()) } else { Err(CHANGED) }
    }

    /// Reads the tensors of a subgraph, which become those from `base` on.
    fn describe(&mut self, base: usize, subgraph: &Subgraph<'m>) -> Result<Range<usize>, LoadError> {
        let range = base..base + subgraph.tensors.len();
        for (i, record) in self.tensors.get_mut(range.clone()).ok_or(CHANGED)?.iter_mut().enumerate() {
            let table = subgraph.tensors.table(i)?;
            *record = TensorRecord::read((base + i) as u32, &table, &self.graph.buffers)?;
            if record.is_variable() {
                record.first = 0;
            }
        }
        Ok(range)
    }

    /// The record of a tensor by the number that its subgraph has for it.
    fn record(&mut self, index: i32, range: &Range<usize>) -> Result<&mut TensorRecord, LoadError> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.tensors.get_mut(range.clone())?.get_mut(index))
            .ok_or(LoadError::Graph("the model or an operator names a tensor that does not exist"))
    }

    /// The model's inputs are there before the first operator.
    fn enter(&mut self, main: &Subgraph<'m>) -> Result<(), LoadError> {
        for i in 0..main.inputs.len() {
            let index = main.inputs.i32(i)?;
            let record = self.record(index, &(0..main.tensors.len()))?;
            if record.first != NOT_YET || record.place() != Place::Unused {
                return Err(LoadError::Graph("an input of the model is constant, a variable, or occurs twice"));
            }
            if record.element() == Some(ElementType::Resource) {
                return Err(LoadError::Graph("an input of the model is the name of a variable"));
            }
            record.first = 0;
        }
        Ok(())
    }

    /// Reads operator `index`, checks that what it reads is there and that what it writes is written once, and notes how
    /// long each tensor is needed. `range` are the tensors of its subgraph.
    fn connect(&mut self, index: usize, table: &Table<'m>, range: Range<usize>) -> Result<(), LoadError> {
        let name = self.graph.name(table)?;
        let refuse = |reason| LoadError::Operator { index: index as u32, name, reason };
        if name.code() == CALL_ONCE && range.start != 0 {
            return Err(refuse("it is itself run by a CALL_ONCE"));
        }
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
            let tensor = self.record(tensor, &range)?;
            match tensor.place() {
                Place::Constant(_) => {}
                _ if tensor.first == NOT_YET => return Err(refuse("it reads a tensor that nothing has written")),
                _ => tensor.last = order,
            }
        }
        for i in 0..outputs.len() {
            let tensor = outputs.i32(i)?;
            let tensor = self.record(tensor, &range)?;
            if tensor.first != NOT_YET || tensor.place() != Place::Unused {
                return Err(refuse("it writes a tensor that is constant, a variable, an input, or written already"));
            }
            if (tensor.element() == Some(ElementType::Resource)) != (name.code() == VAR_HANDLE) {
                return Err(refuse("only VAR_HANDLE writes the names of variables, and nothing else"));
            }
            (tensor.first, tensor.last) = (order, order);
        }
        let record = OpRecord {
            table: table.position(),
            code: name.code(),
            scratch_bytes: 0,
            base: range.start as u16,
            count: range.len() as u16,
            slot: Slot::default(),
        };
        let op = Op::decode(&node(self.file, self.tensors, &record, index)?)?;
        let scratch_bytes =
            u32::try_from(op.scratch_bytes()).map_err(|_| refuse("it needs too much working memory"))?;
        *self.operators.get_mut(index).ok_or(CHANGED)? = OpRecord { scratch_bytes, ..record };
        match name.code() {
            VAR_HANDLE => self.name_variable(index),
            ASSIGN_VARIABLE => self.size_variable(index, name),
            _ => Ok(()),
        }
    }

    fn node(&self, index: usize) -> Result<Node<'_>, LoadError> {
        node(self.file, self.tensors, &self.operators[index], index)
    }

    /// The result of `VAR_HANDLE` stands for a new variable, or for the one that an earlier result of the same name
    /// stands for.
    fn name_variable(&mut self, index: usize) -> Result<(), LoadError> {
        let node = self.node(index)?;
        let handle = node.output(0)?.index as usize;
        for earlier in (0..index).filter(|earlier| self.operators[*earlier].code == VAR_HANDLE) {
            let other = self.node(earlier)?;
            if same_name(&node, &other)? {
                let storage = self.tensors[other.output(0)?.index as usize].storage;
                self.tensors[handle].storage = storage;
                return Ok(());
            }
        }
        self.tensors[handle].make_variable();
        Ok(())
    }

    /// A variable is as large as what is assigned to it, and begins with what stands for zero in the first of these.
    fn size_variable(&mut self, index: usize, name: OpName) -> Result<(), LoadError> {
        let node = self.node(index)?;
        let (handle, value) = (node.input(0)?, node.input(1)?);
        let (storage, bytes, zero_point) = (handle.record.storage, value.bytes() as u32, value.zero_point());
        let variable = &mut self.tensors[usize::from(storage)];
        if variable.bytes == 0 {
            (variable.bytes, variable.zero_point) = (bytes, zero_point);
        }
        if variable.bytes != bytes {
            let reason = "it assigns a value of another size than the variable has";
            return Err(LoadError::Operator { index: index as u32, name, reason });
        }
        Ok(())
    }

    /// What reads a variable takes all of it; only now are all sizes known.
    fn check_reads(&self) -> Result<(), LoadError> {
        for index in (0..self.operators.len()).filter(|index| self.operators[*index].code == READ_VARIABLE) {
            let node = self.node(index)?;
            let variable = &self.tensors[usize::from(node.input(0)?.record.storage)];
            node.require(variable.bytes > 0, "nothing assigns a value to the variable it reads")?;
            let fits = variable.bytes as usize == node.output(0)?.bytes();
            node.require(fits, "its output has another size than the variable it reads")?;
        }
        Ok(())
    }

    /// The model's outputs stay until the end; places that are not in the arena are settled.
    fn leave(&mut self, main: &Subgraph<'m>, io: Io) -> Result<(), LoadError> {
        let range = 0..main.tensors.len();
        for i in 0..main.inputs.len() {
            let index = main.inputs.i32(i)?;
            if io == Io::Caller {
                self.record(index, &range)?.set_place(Place::Input(i as u32));
            }
        }
        let end = (self.operators.len() - 1) as u16;
        for i in 0..main.outputs.len() {
            let index = main.outputs.i32(i)?;
            for j in 0..main.inputs.len() {
                if main.inputs.i32(j)? == index {
                    return Err(LoadError::Graph("an output of the model is one of its inputs"));
                }
            }
            for j in 0..i {
                if main.outputs.i32(j)? == index {
                    return Err(LoadError::Graph("an output of the model occurs twice"));
                }
            }
            let record = self.record(index, &range)?;
            let named = record.element() == Some(ElementType::Resource);
            if record.first == NOT_YET || record.place() != Place::Unused || record.is_variable() || named {
                return Err(LoadError::Graph("an output of the model is constant, a variable, or nothing writes it"));
            }
            record.last = end;
            if io == Io::Caller {
                record.set_place(Place::Output(i as u32));
            }
        }
        Ok(())
    }

    /// A reshape's output shares the memory of its input where both lie in the arena or the input is the caller's. A
    /// variable shares nothing: it may change while the output is still needed.
    fn share(&mut self) {
        for index in 0..self.operators.len() {
            if !is_reshape(self.operators[index].code) {
                continue;
            }
            let tensors = self.node(index).and_then(|node| Ok((node.input(0)?.index, node.output(0)?.index)));
            let Ok((input, output)) = tensors else { continue };
            let (input, output) = (input as usize, output as usize);
            let storage = self.tensors[input].storage;
            let owner = &mut self.tensors[usize::from(storage)];
            let shareable = matches!(owner.place(), Place::Unused | Place::Input(_)) && !owner.is_variable();
            if shareable && self.tensors[output].place() == Place::Unused {
                let last = self.tensors[output].last;
                self.tensors[output].storage = storage;
                let owner = &mut self.tensors[usize::from(storage)];
                owner.last = owner.last.max(last);
            }
        }
    }

    /// Puts all variables one behind the other at the start of the arena. Returns their bytes, if they fit in 32 bits.
    fn place_variables(&mut self) -> Option<u32> {
        let mut at = 0u32;
        for record in self.tensors.iter_mut().filter(|record| record.is_variable()) {
            record.set_place(Place::Arena(at));
            at = at.checked_add(record.bytes.checked_next_multiple_of(ARENA_ALIGN as u32)?)?;
        }
        Some(at)
    }

    /// Notes the planned places, which are behind the variables, for tensors that share memory too.
    fn settle(&mut self, state_bytes: u32) {
        for index in 0..self.tensors.len() {
            if self.owns_memory(index) {
                let at = state_bytes + self.tensors[index].slot.at;
                self.tensors[index].set_place(Place::Arena(at));
            }
        }
        for index in 0..self.tensors.len() {
            let storage = usize::from(self.tensors[index].storage);
            if storage != index {
                let (place, bytes) = (self.tensors[storage].place(), self.tensors[storage].bytes);
                self.tensors[index].set_place(place);
                self.tensors[index].bytes = bytes;
            }
        }
        for operator in self.operators.iter_mut().filter(|operator| operator.scratch_bytes > 0) {
            operator.slot.at += state_bytes;
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
