//! `TRANSPOSE_CONV`: each input element adds its filter to the output around it.
//!
//! It is computed the other way round: an output element gathers from the input elements that reach it, so that no sums
//! have to be kept.

use crate::error::LoadError;
use crate::fixed_point::{Finish, Multiplier, Requantize};
use crate::memory::signed;
use crate::node::Node;
use crate::pace::Pace;
use crate::tensor::{ElementType, Tensor};
use crate::window::Axis;

/// A decoded transposed convolution.
pub(crate) struct TransposeConv<'t> {
    batches: usize,
    rows: Reach,
    columns: Reach,
    in_channels: usize,
    out_channels: usize,
    weights: &'t [i8],
    scales: Tensor<'t>,
    bias: Option<&'t [[u8; 4]]>,
    input_scale: f32,
    output_scale: f32,
    zero_point: i32,
    finish: Finish,
}

/// How the elements of an axis reach each other.
#[derive(Clone, Copy)]
struct Reach {
    input: usize,
    output: usize,
    filter: usize,
    stride: usize,
    padding: usize,
}

impl Reach {
    fn new(input: u32, output: u32, filter: u32, stride: i32, same: bool) -> Option<Reach> {
        // The padding is that of the convolution which would make this input out of this output.
        let axis = Axis::new(output, filter, stride, 1, same)?;
        (input <= 1 << 16).then_some(Reach {
            input: input as usize,
            output: axis.input,
            filter: axis.filter,
            stride: axis.stride,
            padding: axis.padding,
        })
    }

    /// The input element that reaches output element `at` with filter element `tap`.
    #[inline]
    fn source(&self, at: usize, tap: usize) -> Option<usize> {
        let distance = (at + self.padding).checked_sub(tap)?;
        let place = distance / self.stride;
        (distance.is_multiple_of(self.stride) && place < self.input).then_some(place)
    }
}

impl<'t> TransposeConv<'t> {
    pub fn decode(node: &Node<'t>) -> Result<Self, LoadError> {
        node.arity(3..=4, 1)?;
        node.options_of(49)?;
        let (input, output) = (node.int8_input(2)?, node.int8_output(0)?);
        let (&[batches, in_rows, in_columns, in_channels], &[out_batches, out_rows, out_columns, out_channels]) =
            (input.dims(), output.dims())
        else {
            return Err(node.refuse("its input and output must have four dimensions"));
        };
        let &[filters, filter_rows, filter_columns, depth] = node.input(1)?.dims() else {
            return Err(node.refuse("its weights must have four dimensions"));
        };
        let fits = (batches, out_channels, in_channels) == (out_batches, filters, depth);
        node.require(fits, "its weights do not fit its input and output")?;
        let shape = node.input(0)?;
        node.require(shape.element() == Some(ElementType::Int32), "its output shape is not int32")?;
        if shape.constant().is_some() {
            let shape = node.constants(0, "its output shape is not int32")?;
            let same = shape.iter().eq(output.dims().iter().map(|dim| i64::from(*dim)));
            node.require(same, "its output has another shape than it says")?;
        }
        let padding = node.option_u8(0, 0)?;
        node.require(padding <= 1, "unknown kind of padding")?;
        let (columns, rows) = (node.option_i32(1, 0)?, node.option_i32(2, 0)?);
        let rows = Reach::new(in_rows, out_rows, filter_rows, rows, padding == 0);
        let columns = Reach::new(in_columns, out_columns, filter_columns, columns, padding == 0);
        let (Some(rows), Some(columns)) = (rows, columns) else {
            return Err(node.refuse("its filter or stride does not fit its output"));
        };
        let taps = filter_rows as usize * filter_columns as usize * in_channels as usize;
        node.require(taps <= 1 << 15, "more than 32,768 weights for one output are not supported")?;
        let out_channels = out_channels as usize;
        let (scales, weights) = node.weights(1, 0, out_channels)?;
        let layer = TransposeConv {
            batches: batches as usize,
            rows,
            columns,
            in_channels: in_channels as usize,
            out_channels,
            weights: signed(weights),
            scales,
            bias: node.bias(3, out_channels)?,
            input_scale: input.scale(),
            output_scale: output.scale(),
            zero_point: input.zero_point(),
            finish: node.finish(&output, node.option_u8(3, 0)?)?,
        };
        for channel in 0..(scales.record.scale_count as usize) {
            node.multiplier(layer.real(channel))?;
        }
        Ok(layer)
    }

    fn real(&self, channel: usize) -> f64 {
        f64::from(self.input_scale) * f64::from(self.scales.channel_scale(channel)) / f64::from(self.output_scale)
    }

    pub fn macs(&self) -> u64 {
        let positions = (self.batches * self.rows.input * self.columns.input) as u64;
        positions * (self.rows.filter * self.columns.filter * self.in_channels) as u64 * self.out_channels as u64
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], pace: &mut Pace<'_>) -> Option<()> {
        let (rows, columns, depth) = (self.rows, self.columns, self.in_channels);
        let images = input.chunks_exact(rows.input * columns.input * depth);
        let outputs = output.chunks_exact_mut(rows.output * columns.output * self.out_channels);
        for (image, output) in images.zip(outputs) {
            let filters = self.weights.chunks_exact(rows.filter * columns.filter * depth);
            for (channel, filter) in filters.enumerate() {
                let factor = Requantize::new(Multiplier::from_real(self.real(channel)));
                let bias = self.bias.and_then(|bias| bias.get(channel)).map_or(0, |bytes| i32::from_le_bytes(*bytes));
                for row in 0..rows.output {
                    for column in 0..columns.output {
                        // All taps, though not all reach an input, with several instructions each.
                        pace.worked(4 * filter.len())?;
                        let sum = self.gather(image, filter, row, column)?.wrapping_add(bias);
                        let at = (row * columns.output + column) * self.out_channels + channel;
                        *output.get_mut(at)? = self.finish.apply(factor.apply(sum));
                    }
                }
            }
        }
        Some(())
    }

    /// The sum that one filter makes at one place.
    #[inline]
    fn gather(&self, image: &[i8], filter: &[i8], row: usize, column: usize) -> Option<i32> {
        let (rows, columns, depth) = (self.rows, self.columns, self.in_channels);
        let mut sum = 0i32;
        for (row_tap, filter) in filter.chunks_exact(columns.filter * depth).enumerate() {
            let Some(row) = rows.source(row, row_tap) else { continue };
            let line = image.get(row * columns.input * depth..)?.get(..columns.input * depth)?;
            for (column_tap, weights) in filter.chunks_exact(depth).enumerate() {
                let Some(column) = columns.source(column, column_tap) else { continue };
                let values = line.get(column * depth..)?.get(..depth)?;
                let products = values.iter().zip(weights).map(|(value, weight)| {
                    // At most 255 · 128 · 2^15 together.
                    (i32::from(*value) - self.zero_point) * i32::from(*weight)
                });
                sum += products.sum::<i32>();
            }
        }
        Some(sum)
    }
}
