//! What can go wrong when a model is loaded or run.

use core::fmt;

use crate::flatbuffer::OutOfBounds;

/// Why bytes are not a model that this runtime can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The file does not say that it is a TensorFlow Lite model of schema version 3.
    NotAModel,
    /// The flatbuffer is broken: truncated, or an offset points outside it.
    Malformed(OutOfBounds),
    /// More of something than the runtime takes.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: u32,
    },
    /// Something in the model as a whole that this runtime does not run.
    Graph(&'static str),
    /// A tensor is inconsistent, or of a kind that the runtime does not have.
    Tensor {
        /// Its index.
        index: u32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An operator that the runtime does not have.
    UnsupportedOperator {
        /// Its place in the order of execution.
        index: u32,
        /// Its name.
        name: OpName,
    },
    /// An operator with inputs or options that it cannot have, or that the runtime does not support.
    Operator {
        /// Its place in the order of execution.
        index: u32,
        /// Its name.
        name: OpName,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The memory for the model's tables is too small or not aligned to 8 bytes.
    TableMemory {
        /// Bytes that are needed.
        needed: u32,
    },
}

impl From<OutOfBounds> for LoadError {
    fn from(error: OutOfBounds) -> Self {
        LoadError::Malformed(error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotAModel => f.write_str("not a TensorFlow Lite model (schema version 3)"),
            LoadError::Malformed(OutOfBounds { at }) => {
                write!(f, "broken flatbuffer: something at byte {at} lies or points outside the file")
            }
            LoadError::TooMany { what, limit } => write!(f, "too many {what}: the runtime takes {limit}"),
            LoadError::Graph(reason) => f.write_str(reason),
            LoadError::Tensor { index, reason } => write!(f, "tensor {index}: {reason}"),
            LoadError::UnsupportedOperator { index, name } => write!(f, "operator {index}: {name} is not supported"),
            LoadError::Operator { index, name, reason } => write!(f, "operator {index}, {name}: {reason}"),
            LoadError::TableMemory { needed } => write!(f, "the model's tables need {needed} bytes aligned to 8"),
        }
    }
}

impl core::error::Error for LoadError {}

/// Why an inference did not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The arena is smaller than the plan needs, or not aligned to [`crate::ARENA_ALIGN`].
    Arena {
        /// Bytes that are needed.
        needed: u32,
    },
    /// An input or output buffer has another length than the tensor.
    Buffer {
        /// Bytes that are needed.
        needed: u32,
    },
    /// The caller stopped the run between two operators.
    Stopped,
    /// The model's bytes or tables are no longer those that were loaded.
    ModelChanged,
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvokeError::Arena { needed } => {
                write!(f, "the arena needs {needed} bytes aligned to {}", crate::ARENA_ALIGN)
            }
            InvokeError::Buffer { needed } => write!(f, "a buffer for a tensor of {needed} bytes has another length"),
            InvokeError::Stopped => f.write_str("stopped between two operators"),
            InvokeError::ModelChanged => f.write_str("the model changed after it was loaded"),
        }
    }
}

impl core::error::Error for InvokeError {}

/// The name of an operator: one of the schema's, or a custom one's own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OpName {
    code: u32,
    custom: [u8; 24],
}

impl OpName {
    /// A built-in operator.
    pub const fn builtin(code: u32) -> Self {
        OpName { code, custom: [0; 24] }
    }

    /// A custom operator; its name is cut to 24 bytes.
    pub fn custom(name: &[u8]) -> Self {
        let mut custom = [0; 24];
        let len = name.len().min(custom.len());
        custom[..len].copy_from_slice(&name[..len]);
        OpName { code: CUSTOM, custom }
    }

    /// The schema's number.
    pub fn code(&self) -> u32 {
        self.code
    }

    /// Whether it is a custom operator.
    pub fn is_custom(&self) -> bool {
        self.code == CUSTOM
    }
}

impl fmt::Display for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code == CUSTOM {
            write!(f, "CUSTOM \"{}\"", self.custom.split(|byte| *byte == 0).next().unwrap_or(&[]).escape_ascii())
        } else {
            match NAMES.get(self.code as usize) {
                Some(name) => f.write_str(name),
                None => write!(f, "operator code {}", self.code),
            }
        }
    }
}

impl fmt::Debug for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const CUSTOM: u32 = 32;

/// Names of the schema's operators by number (TensorFlow Lite's `schema.fbs`, `BuiltinOperator`). Newer ones are named
/// by number only.
#[rustfmt::skip]
const NAMES: [&str; 160] = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH",
    "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB",
    "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP",
    "TOPK_V2", "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM",
    "ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN",
    "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT",
    "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT",
    "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS",
    "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM",
    "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM", "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D",
    "(unassigned)", "(unassigned)", "(unassigned)", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE", "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE",
    "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU",
    "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM",
    "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST",
];
