//! How a filter window moves over an image: sizes, strides, padding.

use crate::error::LoadError;
use crate::node::Node;

/// One axis of a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Elements of the input.
    pub input: usize,
    /// Elements of the output.
    pub output: usize,
    /// Elements of the filter.
    pub filter: usize,
    /// Input elements between two outputs.
    pub stride: usize,
    /// Input elements between two filter elements.
    pub dilation: usize,
    /// Input elements that are missing before the first.
    pub padding: usize,
}

impl Axis {
    /// The geometry of an axis, or `None` if it has no output (or numbers that are out of range).
    pub fn new(input: u32, filter: u32, stride: i32, dilation: i32, same: bool) -> Option<Axis> {
        const LIMIT: usize = 1 << 16;
        let (input, filter) = (input as usize, filter as usize);
        let (stride, dilation) = (usize::try_from(stride).ok()?, usize::try_from(dilation).ok()?);
        if [input, filter, stride, dilation].iter().any(|number| *number == 0 || *number > LIMIT) {
            return None;
        }
        let span = (filter - 1) * dilation + 1;
        let output = if same { input.div_ceil(stride) } else { (input + stride).checked_sub(span)? / stride };
        if output == 0 {
            return None;
        }
        let padding = ((output - 1) * stride + span).saturating_sub(input) / 2;
        Some(Axis { input, output, filter, stride, dilation, padding })
    }

    /// The input element under filter element `tap` at output `position`, unless it is padding.
    #[inline]
    pub fn source(&self, position: usize, tap: usize) -> Option<usize> {
        let at = (position * self.stride + tap * self.dilation).wrapping_sub(self.padding);
        (at < self.input).then_some(at)
    }

    /// The filter elements that lie inside the input at output `position`, for a dilation of 1.
    #[inline]
    pub fn taps(&self, position: usize) -> core::ops::Range<usize> {
        let start = position * self.stride;
        let first = self.padding.saturating_sub(start);
        let last = (self.input + self.padding).saturating_sub(start).min(self.filter);
        first..last.max(first)
    }
}

/// A window over the two image axes of a tensor in NHWC order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Images.
    pub batches: usize,
    /// The vertical axis.
    pub rows: Axis,
    /// The horizontal axis.
    pub columns: Axis,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
}

/// What an operator's options say of its window.
#[derive(Clone, Copy, Debug)]
pub struct WindowOptions {
    /// The schema's `Padding`.
    pub padding: u8,
    /// Rows and columns of the filter.
    pub filter: [u32; 2],
    /// Strides of rows and columns.
    pub stride: [i32; 2],
    /// Dilations of rows and columns.
    pub dilation: [i32; 2],
}

impl Window {
    /// The window of `node`; the shapes of its first input and its output must fit it.
    pub fn new(node: &Node<'_>, options: WindowOptions) -> Result<Window, LoadError> {
        let (&[batches, height, width, in_channels], &[out_batches, out_height, out_width, out_channels]) =
            (node.input(0)?.dims(), node.output(0)?.dims())
        else {
            return Err(node.refuse("its input and output must have four dimensions"));
        };
        if options.padding > 1 {
            return Err(node.refuse("unknown kind of padding"));
        }
        let axis = |i: usize, input| {
            Axis::new(input, options.filter[i], options.stride[i], options.dilation[i], options.padding == 0)
        };
        let (Some(rows), Some(columns)) = (axis(0, height), axis(1, width)) else {
            return Err(node.refuse("its filter, stride or dilation does not fit its input"));
        };
        if (rows.output, columns.output, out_batches) != (out_height as usize, out_width as usize, batches) {
            return Err(node.refuse("its output has another shape than its window gives"));
        }
        let [batches, in_channels, out_channels] = [batches, in_channels, out_channels].map(|number| number as usize);
        Ok(Window { batches, rows, columns, in_channels, out_channels })
    }

    /// Output positions of one image.
    pub fn positions(&self) -> usize {
        self.rows.output * self.columns.output
    }

    /// Elements of the filter on both axes.
    pub fn taps(&self) -> usize {
        self.rows.filter * self.columns.filter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_is_tensorflows() {
        let axis = |input, filter, stride, dilation, same| {
            Axis::new(input, filter, stride, dilation, same).map(|axis| (axis.output, axis.padding))
        };
        assert_eq!(axis(49, 10, 2, 1, true), Some((25, 4)));
        assert_eq!(axis(40, 8, 2, 1, true), Some((20, 3)));
        assert_eq!(axis(96, 3, 2, 1, true), Some((48, 0)));
        assert_eq!(axis(8, 3, 1, 2, true), Some((8, 2)));
        assert_eq!(axis(8, 3, 1, 1, false), Some((6, 0)));
        assert_eq!(axis(8, 8, 8, 1, false), Some((1, 0)));
        assert_eq!(axis(2, 3, 1, 1, false), None);
        assert_eq!(axis(8, 3, 0, 1, true), None);
        assert_eq!(axis(8, 3, -1, 1, true), None);
    }

    #[test]
    fn taps_are_those_with_a_source() {
        for (input, filter, stride) in [(5, 3, 1), (6, 3, 2), (1, 4, 1), (4, 2, 3)] {
            let axis = Axis::new(input, filter, stride, 1, true).unwrap();
            for position in 0..axis.output {
                let inside: Vec<_> = (0..axis.filter).filter(|tap| axis.source(position, *tap).is_some()).collect();
                assert_eq!(axis.taps(position).collect::<Vec<_>>(), inside);
            }
        }
    }
}
