//! The models of the pack, loaded once at the start and resident from then on.

use core::fmt;

use heapless::Vec;
use ml_runtime::{ARENA_ALIGN, Io, LoadError, Model};
use protocols::model::{ModelInfo, NAME_BYTES};
use protocols::model_pack::{MAX_MODELS, ModelPack, PackError, PackedModel};

/// Why a model, or the whole pack, cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The pack is broken.
    Pack(PackError),
    /// The model with this number cannot be loaded.
    Load(usize, LoadError),
    /// The model with this number has several inputs or outputs.
    Edges(usize),
    /// The region for tables and tensors is too small for the model with this number.
    Memory {
        /// Its number.
        model: usize,
        /// Bytes that the region would need up to here.
        needed: usize,
        /// Bytes that it has.
        bytes: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Pack(error) => error.fmt(f),
            Problem::Load(model, error) => write!(f, "model {model}: {error}"),
            Problem::Edges(model) => {
                write!(f, "model {model}: it has several inputs or outputs; the runner takes one of each")
            }
            Problem::Memory { model, needed, bytes } => {
                write!(
                    f,
                    "model {model}: the arena region has {bytes} bytes, {needed} are needed; enlarge it in system.xml"
                )
            }
        }
    }
}

/// What clients see of the models, by number; nothing of those that cannot be used.
pub type Infos = Vec<Option<ModelInfo>, MAX_MODELS>;

/// A resident model.
pub(crate) struct Resident {
    pub model: Model<'static>,
    pub info: ModelInfo,
}

/// All resident models, and the memory they share while they run.
pub struct ModelSet {
    models: Vec<Option<Resident>, MAX_MODELS>,
    /// The working memory, for one running model at a time.
    arena: &'static mut [u8],
}

impl ModelSet {
    /// Loads all models of `pack`. Their tables take the start of `memory`; the rest is the arena. What is wrong goes to
    /// `report`; a model that cannot be used leaves its number empty, and the others go on.
    pub fn load(pack: &'static [u8], memory: &'static mut [u8], mut report: impl FnMut(Problem)) -> Self {
        let bytes = memory.len();
        let skew = memory.as_ptr().align_offset(ARENA_ALIGN).min(bytes);
        let mut set = ModelSet { models: Vec::new(), arena: &mut memory[skew..] };
        let pack = match ModelPack::parse(pack) {
            Ok(pack) => pack,
            Err(error) => {
                report(Problem::Pack(error));
                return set;
            }
        };
        for (index, packed) in pack.models().enumerate() {
            let resident = set.load_one(index, &packed, bytes).map_err(&mut report).ok();
            // A pack has at most MAX_MODELS models.
            let _ = set.models.push(resident);
        }
        set.check_arena(bytes, report);
        set
    }

    fn load_one(&mut self, index: usize, packed: &PackedModel<'static>, bytes: usize) -> Result<Resident, Problem> {
        let file = packed.file();
        let fail = |error| Problem::Load(index, error);
        let size = Model::table_bytes(file).map_err(fail)?.next_multiple_of(ARENA_ALIGN);
        let used = bytes - self.arena.len();
        let short = Problem::Memory { model: index, needed: used + size, bytes };
        if size > self.arena.len() {
            return Err(short);
        }
        let (tables, rest) = core::mem::take(&mut self.arena).split_at_mut(size);
        self.arena = rest;
        let model = Model::load(file, tables, Io::Caller).map_err(fail)?;
        let mut info = ModelInfo {
            file_bytes: file.len() as u32,
            arena_bytes: model.arena_bytes() as u32,
            persistent_bytes: model.persistent_bytes() as u32,
            operators: model.operator_count() as u32,
            macs: model.macs(),
            ..ModelInfo::default()
        };
        let name = packed.name().as_bytes();
        let length = name.len().min(NAME_BYTES);
        info.name[..length].copy_from_slice(&name[..length]);
        if model.inputs().len() != 1 || model.outputs().len() != 1 {
            return Err(Problem::Edges(index));
        }
        info.input_bytes = model.inputs().map(|tensor| tensor.bytes() as u32).sum();
        info.output_bytes = model.outputs().map(|tensor| tensor.bytes() as u32).sum();
        Ok(Resident { model, info })
    }

    /// Takes out models whose tensors do not fit in what the tables left.
    fn check_arena(&mut self, bytes: usize, mut report: impl FnMut(Problem)) {
        let used = bytes - self.arena.len();
        for (index, slot) in self.models.iter_mut().enumerate() {
            if let Some(resident) = slot.as_ref().filter(|resident| resident.model.arena_bytes() > self.arena.len()) {
                report(Problem::Memory { model: index, needed: used + resident.model.arena_bytes(), bytes });
                *slot = None;
            }
        }
    }

    /// How many models the pack has.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// What clients see of the models.
    pub fn infos(&self) -> Infos {
        self.models.iter().map(|resident| resident.as_ref().map(|resident| resident.info)).collect()
    }

    /// What is known of model `index`, if it can be used.
    pub fn info(&self, index: usize) -> Option<&ModelInfo> {
        Some(&self.models.get(index)?.as_ref()?.info)
    }

    /// Bytes of the memory in which models run.
    pub fn arena_bytes(&self) -> usize {
        self.arena.len()
    }

    /// Model `index` and the memory to run it in.
    pub(crate) fn get(&mut self, index: usize) -> Option<(&mut Resident, &mut [u8])> {
        Some((self.models.get_mut(index)?.as_mut()?, self.arena))
    }
}
