//! The int8 inference library: TensorFlow Lite models on small processors, without allocation.
//!
//! A model is a `.tflite` file in memory. [`Model::load`] checks all of it (a hostile file yields an error), plans which
//! bytes of an arena each tensor has, and keeps a small table; weights are never copied. [`Interpreter::run`] then runs
//! the operators. Results equal those of TensorFlow Lite Micro's reference kernels bit for bit.
//!
//! The caller owns all memory: the file, the tables ([`Model::table_bytes`]), the arena ([`Model::arena_bytes`]), and, if
//! it likes, the buffers of inputs and outputs ([`Io::Caller`]), which are then used in place.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! use ml_runtime::{Interpreter, Io, Model};
//!
//! let file = include_bytes!("../models/digits/model.tflite");
//! let mut tables = vec![0u64; Model::table_bytes(file)?.div_ceil(8)];
//! let model = Model::load(file, zerocopy::IntoBytes::as_mut_bytes(&mut tables[..]), Io::Arena)?;
//! let mut arena = vec![0u128; model.arena_bytes().div_ceil(16)];
//! let mut interpreter = Interpreter::new(&model, zerocopy::IntoBytes::as_mut_bytes(&mut arena[..]))?;
//! interpreter.input_mut(0).unwrap().fill(0x80); // −128: a blank scan
//! interpreter.invoke()?;
//! assert_eq!(interpreter.output(0).unwrap().len(), 10);
//! # Ok(())
//! # }
//! ```
//!
//! docs/add-a-model.md lists the operators and their limits. All others are refused by name.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod accelerate;
pub mod describe;
mod error;
mod fixed_point;
mod flatbuffer;
mod graph;
mod interpreter;
mod kernels;
mod load;
mod memory;
mod model;
mod node;
mod op;
mod pace;
mod plan;
mod tensor;
mod window;

pub use error::{InvokeError, LoadError, OpName};
pub use flatbuffer::OutOfBounds;
pub use interpreter::{Interpreter, Observer};
#[cfg(feature = "self-test")]
pub use kernels::self_test;
pub use model::{Io, MAX_EDGES, MAX_FILE_BYTES, MAX_OPERATORS, MAX_TENSORS, Model, Step};
pub use plan::ARENA_ALIGN;
pub use tensor::{ElementType, MAX_CHANNELS, MAX_RANK, MAX_TENSOR_BYTES, Place, Tensor};
