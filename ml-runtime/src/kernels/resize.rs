//! Images of another size: `RESIZE_BILINEAR` and `RESIZE_NEAREST_NEIGHBOR`.

use crate::error::LoadError;
use crate::node::{Node, round_away};

/// Largest height and width.
const MOST: u32 = 1 << 16;

/// One axis of an image.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
}

/// A decoded resize.
pub(crate) struct Resize {
    rows: Axis,
    columns: Axis,
    depth: usize,
    bilinear: bool,
    /// The corners of both images lie on each other.
    corners: bool,
    /// Pixels are areas, and lie where their middles lie.
    middles: bool,
}

impl Resize {
    pub fn decode(node: &Node<'_>, bilinear: bool) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(if bilinear { 15 } else { 74 })?;
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        let (&[batches, in_rows, in_columns, depth], &[out_batches, out_rows, out_columns, out_depth]) =
            (input.dims(), output.dims())
        else {
            return Err(node.refuse("its input and output must have four dimensions"));
        };
        node.require(batches == out_batches && depth == out_depth, "it changes batches or channels")?;
        let sizes = [in_rows, in_columns, out_rows, out_columns];
        node.require(sizes.iter().all(|size| *size <= MOST), "images of more than 65,536 rows or columns")?;
        let size = node.constants(1, "its size is not constant whole numbers")?;
        let fits = size.iter().eq([out_rows, out_columns].map(i64::from));
        node.require(fits, "its output has another shape than its size says")?;
        let first = if bilinear { 2 } else { 0 };
        let (corners, middles) = (node.option_u8(first, 0)? != 0, node.option_u8(first + 1, 0)? != 0);
        let defined = !(bilinear && corners && middles);
        node.require(defined, "pixels cannot have both aligned corners and half-pixel centres")?;
        let axis = |input: u32, output: u32| Axis { input: input as usize, output: output as usize };
        Ok(Resize {
            rows: axis(in_rows, out_rows),
            columns: axis(in_columns, out_columns),
            depth: depth as usize,
            bilinear,
            corners,
            middles,
        })
    }

    pub fn run(&self, input: &[i8], output: &mut [i8]) -> Option<()> {
        let (line, out_line) = (self.columns.input * self.depth, self.columns.output * self.depth);
        let images = input.chunks_exact(self.rows.input * line);
        for (image, output) in images.zip(output.chunks_exact_mut(self.rows.output * out_line)) {
            for (row, output) in output.chunks_exact_mut(out_line).enumerate() {
                if self.bilinear {
                    self.between(image, line, row, output)?;
                } else {
                    let source = image.get(self.nearest(self.rows, row) * line..)?.get(..line)?;
                    for (column, pixel) in output.chunks_exact_mut(self.depth).enumerate() {
                        let at = self.nearest(self.columns, column) * self.depth;
                        pixel.copy_from_slice(source.get(at..)?.get(..self.depth)?);
                    }
                }
            }
        }
        Some(())
    }

    /// The input element that stands at output element `at`, in the reference's single precision.
    fn nearest(&self, axis: Axis, at: usize) -> usize {
        let scale = if self.corners && axis.output > 1 {
            (axis.input - 1) as f32 / (axis.output - 1) as f32
        } else {
            axis.input as f32 / axis.output as f32
        };
        let place = (at as f32 + if self.middles { 0.5 } else { 0.0 }) * scale;
        let place = if self.corners { round_away(place) } else { place as i32 };
        (place as usize).min(axis.input - 1)
    }

    /// One row of an interpolated image. Places have ten bits behind the point.
    fn between(&self, image: &[i8], line: usize, row: usize, output: &mut [i8]) -> Option<()> {
        let (upper, lower, below) = self.neighbours(self.rows, row);
        let (upper, lower) = (image.get(upper * line..)?.get(..line)?, image.get(lower * line..)?.get(..line)?);
        for (column, pixel) in output.chunks_exact_mut(self.depth).enumerate() {
            let (left, right, beside) = self.neighbours(self.columns, column);
            let (left, right) = (left * self.depth, right * self.depth);
            for (channel, value) in pixel.iter_mut().enumerate() {
                let at = |line: &[i8], place: usize| line.get(place + channel).map(|value| i64::from(*value));
                let sum = at(upper, left)? * (1024 - below) * (1024 - beside)
                    + at(lower, left)? * below * (1024 - beside)
                    + at(upper, right)? * (1024 - below) * beside
                    + at(lower, right)? * below * beside;
                // Rounded to nearest, ties away from zero.
                *value = ((sum + if sum > 0 { 1 << 19 } else { -(1 << 19) }) / (1 << 20)) as i8;
            }
        }
        Some(())
    }

    /// The two input elements around output element `at`, and how far it lies behind the first, in 1/1024.
    fn neighbours(&self, axis: Axis, at: usize) -> (usize, usize, i64) {
        let (input, output, at) = (axis.input as i64, axis.output as i64, at as i64);
        let scale = if self.corners && output > 1 {
            (1024 * (input - 1) + (output - 1) / 2) / (output - 1)
        } else {
            (1024 * input + output / 2) / output
        };
        let place = if self.middles { at * scale + scale / 2 - 512 } else { at * scale };
        // Both divisions are towards zero, as in the reference.
        let first = (place / 1024).clamp(0, input - 1);
        let second = ((place + 1023) / 1024).clamp(0, input - 1);
        (first as usize, second as usize, place - 1024 * first)
    }
}
