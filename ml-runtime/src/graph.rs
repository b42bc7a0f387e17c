//! What a file says as a whole: its operators and tensors, and which subgraphs run once before the rest.

use crate::error::{LoadError, OpName};
use crate::flatbuffer::{Table, Vector};
use crate::model::{MAX_EDGES, MAX_FILE_BYTES, MAX_OPERATORS, MAX_TENSORS};
use crate::op::CALL_ONCE;

/// The lists of one subgraph.
#[derive(Clone, Copy)]
pub(crate) struct Subgraph<'m> {
    pub tensors: Vector<'m, 4>,
    pub operators: Vector<'m, 4>,
    pub inputs: Vector<'m, 4>,
    pub outputs: Vector<'m, 4>,
}

impl<'m> Subgraph<'m> {
    fn read(table: &Table<'m>) -> Result<Self, LoadError> {
        Ok(Subgraph {
            tensors: table.vector(0)?,
            inputs: table.vector(1)?,
            outputs: table.vector(2)?,
            operators: table.vector(3)?,
        })
    }
}

/// The lists of a model.
pub(crate) struct Graph<'m> {
    codes: Vector<'m, 4>,
    pub buffers: Vector<'m, 4>,
    subgraphs: Vector<'m, 4>,
    /// What a run runs.
    pub main: Subgraph<'m>,
    /// Tensors of the main subgraph and of all that it calls.
    pub tensors: usize,
    /// Operators likewise.
    pub operators: usize,
}

impl<'m> Graph<'m> {
    pub fn read(file: &'m [u8]) -> Result<Self, LoadError> {
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
        if subgraphs.len() == 0 {
            return Err(LoadError::Graph("the model has no subgraph"));
        }
        let main = Subgraph::read(&subgraphs.table(0)?)?;
        let (tensors, operators) = (main.tensors.len(), main.operators.len());
        let mut graph = Graph { codes: root.vector(1)?, buffers: root.vector(4)?, subgraphs, main, tensors, operators };
        graph.check_limits()?;
        if operators == 0 || main.outputs.len() == 0 {
            return Err(LoadError::Graph("the model has no operator or no output"));
        }
        for index in 0..operators {
            let Some(called) = graph.called(index, &main.operators.table(index)?)? else { continue };
            graph.tensors += called.tensors.len();
            graph.operators += called.operators.len();
            graph.check_limits()?;
        }
        Ok(graph)
    }

    fn check_limits(&self) -> Result<(), LoadError> {
        let limits = [
            ("tensors", self.tensors, MAX_TENSORS),
            ("operators", self.operators, MAX_OPERATORS),
            ("inputs", self.main.inputs.len(), MAX_EDGES),
            ("outputs", self.main.outputs.len(), MAX_EDGES),
        ];
        for (what, count, limit) in limits {
            if count > limit {
                return Err(LoadError::TooMany { what, limit: limit as u32 });
            }
        }
        Ok(())
    }

    /// The name of an operator.
    pub fn name(&self, operator: &Table<'_>) -> Result<OpName, LoadError> {
        let code = self.codes.table(operator.u32(0, 0)? as usize)?;
        // Old files have the number in a byte of its own; new ones repeat it there up to 127.
        let number = u32::from(code.u8(0, 0)?).max(code.i32(3, 0)?.max(0) as u32);
        let name = OpName::builtin(number);
        Ok(if name.is_custom() { OpName::custom(code.vector::<1>(1)?.raw()) } else { name })
    }

    /// The subgraph that operator `index` of the main one runs once, if it is a `CALL_ONCE`.
    pub fn called(&self, index: usize, operator: &Table<'m>) -> Result<Option<Subgraph<'m>>, LoadError> {
        let name = self.name(operator)?;
        if name.code() != CALL_ONCE {
            return Ok(None);
        }
        let refuse = |reason| LoadError::Operator { index: index as u32, name, reason };
        let number = operator.table(4)?.map_or(Ok(0), |options| options.i32(0, 0))?;
        let number = usize::try_from(number).ok().filter(|number| (1..self.subgraphs.len()).contains(number));
        let number = number.ok_or(refuse("it calls the main subgraph or one that does not exist"))?;
        let called = Subgraph::read(&self.subgraphs.table(number)?)?;
        if called.inputs.len() != 0 || called.outputs.len() != 0 {
            return Err(refuse("the subgraph it calls has inputs or outputs"));
        }
        Ok(Some(called))
    }
}
