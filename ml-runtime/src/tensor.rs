//! Tensors: what the model says of them, checked, and where their values lie.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::LoadError;
use crate::flatbuffer::{Table, Vector};
use crate::plan::Slot;

/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 6;
/// Most bytes of a tensor.
pub const MAX_TENSOR_BYTES: u32 = 1 << 28;
/// Most channels of per-channel quantisation.
pub const MAX_CHANNELS: usize = 1 << 14;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floating point: only at the edges of a model, before `QUANTIZE` and after `DEQUANTIZE`.
    Float32,
    /// 32-bit integers: biases, shapes and indices.
    Int32,
    /// 8-bit integers without sign: only at the edges of a model, before and after `QUANTIZE`.
    UInt8,
    /// 64-bit integers: shapes and indices that are constant.
    Int64,
    /// 16-bit integers: the cells of an `UNIDIRECTIONAL_SEQUENCE_LSTM`, and the edges of a model around `QUANTIZE`.
    Int16,
    /// 8-bit integers: everything else.
    Int8,
    /// The name of a variable, as `VAR_HANDLE` gives it.
    Resource,
}

impl ElementType {
    fn from_schema(number: u8) -> Option<Self> {
        match number {
            0 => Some(ElementType::Float32),
            2 => Some(ElementType::Int32),
            3 => Some(ElementType::UInt8),
            4 => Some(ElementType::Int64),
            7 => Some(ElementType::Int16),
            9 => Some(ElementType::Int8),
            13 => Some(ElementType::Resource),
            _ => None,
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> u32 {
        match self {
            ElementType::Int64 => 8,
            ElementType::Float32 | ElementType::Int32 | ElementType::Resource => 4,
            ElementType::Int16 => 2,
            ElementType::Int8 | ElementType::UInt8 => 1,
        }
    }
}

/// Where a tensor's values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the tensor is not used.
    Unused,
    /// In the model's file, at this byte.
    Constant(u32),
    /// In the arena, at this byte.
    Arena(u32),
    /// In the caller's buffer for this input of the model.
    Input(u32),
    /// In the caller's buffer for this output of the model.
    Output(u32),
}

/// What the runtime keeps of a tensor, in memory that the caller of [`crate::Model::load`] provides.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct TensorRecord {
    pub dims: [u32; MAX_RANK],
    pub bytes: u32,
    pub scale: f32,
    pub zero_point: i32,
    /// Where in the file the scales lie, and how many there are: none, one, or one a channel.
    pub scales: u32,
    pub scale_count: u32,
    place_value: u32,
    /// The operators, by index, between which the values must be kept.
    pub first: u16,
    pub last: u16,
    /// The tensor whose memory this one shares: itself, or the input of a reshape.
    pub storage: u16,
    pub rank: u8,
    pub axis: u8,
    element: u8,
    place_kind: u8,
    variable: u8,
    padding: [u8; 5],
    pub slot: Slot,
}

impl TensorRecord {
    pub fn place(&self) -> Place {
        match self.place_kind {
            1 => Place::Constant(self.place_value),
            2 => Place::Arena(self.place_value),
            3 => Place::Input(self.place_value),
            4 => Place::Output(self.place_value),
            _ => Place::Unused,
        }
    }

    pub fn set_place(&mut self, place: Place) {
        (self.place_kind, self.place_value) = match place {
            Place::Unused => (0, 0),
            Place::Constant(at) => (1, at),
            Place::Arena(at) => (2, at),
            Place::Input(index) => (3, index),
            Place::Output(index) => (4, index),
        };
    }

    pub fn element(&self) -> Option<ElementType> {
        ElementType::from_schema(self.element)
    }

    /// Whether its values stay from one run to the next, at a place of its own.
    pub fn is_variable(&self) -> bool {
        self.variable != 0
    }

    /// Makes it a variable that the results of `VAR_HANDLE` name. How large it is, the first that assigns to it says.
    pub fn make_variable(&mut self) {
        (self.variable, self.bytes, self.zero_point) = (1, 0, 0);
    }

    /// The byte that fills it before the first run: what stands for zero.
    pub fn initial(&self) -> u8 {
        match self.element() {
            Some(ElementType::Int8 | ElementType::Resource) => self.zero_point as u8,
            _ => 0,
        }
    }

    /// Reads tensor `index` of the model from its table. `buffers` are the model's buffers.
    pub fn read(index: u32, table: &Table<'_>, buffers: &Vector<'_, 4>) -> Result<Self, LoadError> {
        let refuse = |reason| Err(LoadError::Tensor { index, reason });
        let element = table.u8(1, 0)?;
        let Some(kind) = ElementType::from_schema(element) else {
            return refuse(
                "elements of this type are not supported (int8, int16, int32, int64, uint8 and float32 are)",
            );
        };
        let shape = table.vector::<4>(0)?;
        if shape.len() > MAX_RANK {
            return refuse("more than 6 dimensions");
        }
        let mut dims = [1; MAX_RANK];
        let mut bytes = kind.size();
        for (i, dim) in dims.iter_mut().enumerate().take(shape.len()) {
            *dim = match u32::try_from(shape.i32(i)?) {
                Ok(size) if size > 0 => size,
                _ => return refuse("a dimension is zero or negative"),
            };
            bytes = match bytes.checked_mul(*dim) {
                Some(product) if product <= MAX_TENSOR_BYTES => product,
                _ => return refuse("larger than 256 MiB"),
            };
        }
        let dynamic = table.vector::<4>(7)?;
        for i in 0..dynamic.len() {
            if dynamic.i32(i)? < 0 && i != 0 {
                return refuse("its shape is known at run time only");
            }
        }
        if table.table(6)?.is_some() {
            return refuse("sparse tensors are not supported");
        }
        let mut record = TensorRecord {
            dims,
            bytes,
            scale: 0.0,
            zero_point: 0,
            scales: 0,
            scale_count: 0,
            place_value: 0,
            first: u16::MAX,
            last: 0,
            storage: index as u16,
            rank: shape.len() as u8,
            axis: 0,
            element,
            place_kind: 0,
            variable: table.u8(5, 0)?.min(1),
            padding: [0; 5],
            slot: Slot::default(),
        };
        if record.is_variable() && kind == ElementType::Resource {
            return refuse("it is a variable and the name of one");
        }
        if let Some(quantization) = table.table(4)? {
            record.read_quantization(index, &quantization)?;
        }
        let buffer = buffers.table(table.u32(2, 0)? as usize)?;
        if buffer.u64(1, 0)? > 1 || buffer.u64(2, 0)? > 1 {
            return refuse("its values lie outside the flatbuffer, which is not supported");
        }
        let data = buffer.vector::<1>(0)?;
        if data.len() != 0 {
            if kind == ElementType::Resource {
                return refuse("the name of a variable is constant");
            }
            if data.len() != bytes as usize {
                return refuse("its buffer has another size than its shape says");
            }
            if record.is_variable() {
                return refuse("it is a variable and constant");
            }
            record.set_place(Place::Constant(data.position()));
        }
        Ok(record)
    }

    fn read_quantization(&mut self, index: u32, table: &Table<'_>) -> Result<(), LoadError> {
        let refuse = |reason| Err(LoadError::Tensor { index, reason });
        if table.u8(4, 0)? != 0 {
            return refuse("custom quantisation is not supported");
        }
        let scales = table.vector::<4>(2)?;
        let zero_points = table.vector::<8>(3)?;
        if scales.len() == 0 {
            return Ok(());
        }
        let axis = table.i32(6, 0)?;
        if scales.len() > 1 {
            let channels =
                usize::try_from(axis).ok().filter(|axis| *axis < self.rank as usize).map(|axis| self.dims[axis]);
            if channels != Some(scales.len() as u32) || scales.len() > MAX_CHANNELS {
                return refuse("the number of its scales is neither 1 nor that of its channels");
            }
            self.axis = axis as u8;
        }
        if zero_points.len() != 0 && zero_points.len() != scales.len() {
            return refuse("it has another number of zero points than of scales");
        }
        for i in 0..scales.len() {
            let scale = scales.f32(i)?;
            if !(scale.is_finite() && scale > 0.0) {
                return refuse("a scale is not a positive finite number");
            }
        }
        for i in 0..zero_points.len() {
            let zero_point = zero_points.i64(i)?;
            let allowed = match self.element() {
                Some(ElementType::Int8) if scales.len() == 1 => -128..=127,
                Some(ElementType::UInt8) if scales.len() == 1 => 0..=255,
                _ => 0..=0,
            };
            if !allowed.contains(&zero_point) {
                return refuse("a zero point is out of range (symmetric where there are several scales)");
            }
            self.zero_point = zero_point as i32;
        }
        self.scale = scales.f32(0)?;
        self.scales = scales.position();
        self.scale_count = scales.len() as u32;
        Ok(())
    }
}

/// A tensor of a loaded model.
#[derive(Clone, Copy)]
pub struct Tensor<'t> {
    pub(crate) file: &'t [u8],
    pub(crate) index: u32,
    pub(crate) record: &'t TensorRecord,
}

impl<'t> Tensor<'t> {
    /// Its index in the model.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its dimensions, outermost first; none for a scalar.
    pub fn dims(&self) -> &'t [u32] {
        &self.record.dims[..usize::from(self.record.rank).min(MAX_RANK)]
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> usize {
        self.record.bytes as usize
    }

    /// Number of its elements.
    pub fn elements(&self) -> usize {
        self.element().map_or(0, |kind| self.record.bytes / kind.size()) as usize
    }

    /// Type of its elements.
    pub fn element(&self) -> Option<ElementType> {
        self.record.element()
    }

    /// Scale of its first (or only) channel: real value = scale · (stored value − zero point). 0 if not quantised.
    pub fn scale(&self) -> f32 {
        self.record.scale
    }

    /// Stored value that stands for zero.
    pub fn zero_point(&self) -> i32 {
        self.record.zero_point
    }

    /// How many scales it has: none, one, or one for each channel.
    pub fn scale_count(&self) -> usize {
        self.record.scale_count as usize
    }

    /// Where its values lie.
    pub fn place(&self) -> Place {
        self.record.place()
    }

    /// Whether it is int8 with one scale, as all activations are.
    pub(crate) fn is_activation(&self) -> bool {
        self.element() == Some(ElementType::Int8) && self.record.scale_count == 1
    }

    /// The scale of channel `index`, where one scale stands for all.
    pub(crate) fn channel_scale(&self, index: usize) -> f32 {
        if self.record.scale_count <= 1 {
            return self.record.scale;
        }
        let at = self.record.scales as usize + 4 * index;
        // In bounds since load; a file that changed since then yields nonsense, not harm.
        self.file.get(at..).and_then(|rest| rest.first_chunk()).map_or(0.0, |chunk| f32::from_le_bytes(*chunk))
    }

    /// Its values, if they are part of the model.
    pub(crate) fn constant(&self) -> Option<&'t [u8]> {
        match self.record.place() {
            Place::Constant(at) => self.file.get(at as usize..)?.get(..self.bytes()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_hidden_padding() {
        assert_eq!(size_of::<TensorRecord>(), 72);
    }
}
