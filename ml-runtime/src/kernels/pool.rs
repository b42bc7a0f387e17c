//! `AVERAGE_POOL_2D` and `MAX_POOL_2D`.

use crate::error::LoadError;
use crate::fixed_point::Finish;
use crate::node::Node;
use crate::pace::Pace;
use crate::window::{Window, WindowOptions};

/// Channels whose sums are kept at once.
const LANES: usize = 16;

/// What is taken of the elements under the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Their mean, rounded to nearest, ties away from zero.
    Average,
    /// The largest.
    Max,
}

/// A decoded pooling operator.
pub(crate) struct Pool {
    window: Window,
    kind: Kind,
    finish: Finish,
}

impl Pool {
    pub fn decode(node: &Node<'_>, kind: Kind) -> Result<Self, LoadError> {
        node.arity(1..=1, 1)?;
        node.options_of(5)?;
        let (input, output) = (node.int8_input(0)?, node.int8_output(0)?);
        let filter = |field| Ok::<_, LoadError>(u32::try_from(node.option_i32(field, 0)?).unwrap_or(0));
        let window = Window::new(
            node,
            WindowOptions {
                padding: node.option_u8(0, 0)?,
                filter: [filter(4)?, filter(3)?],
                stride: [node.option_i32(2, 0)?, node.option_i32(1, 0)?],
                dilation: [1, 1],
            },
        )?;
        node.require(window.in_channels == window.out_channels, "its input and output have different channels")?;
        let same = input.zero_point() == output.zero_point() && (input.scale() - output.scale()).abs() <= 1e-6;
        node.require(same, "its input and output are quantised differently")?;
        Ok(Pool { window, kind, finish: node.finish(&output, node.option_u8(5, 0)?)? })
    }

    pub fn run(&self, input: &[i8], output: &mut [i8], pace: &mut Pace<'_>) -> Option<()> {
        let Window { rows, columns, in_channels: depth, .. } = self.window;
        let images = input.chunks_exact(rows.input * columns.input * depth);
        for (image, output) in images.zip(output.chunks_exact_mut(self.window.positions() * depth)) {
            for (position, output) in output.chunks_exact_mut(depth).enumerate() {
                let (row, column) = (position / columns.output, position % columns.output);
                let (row_taps, column_taps) = (rows.taps(row), columns.taps(column));
                let count = (row_taps.len() * column_taps.len()) as i32;
                let top = (row * rows.stride + row_taps.start).checked_sub(rows.padding)?;
                let left = (column * columns.stride + column_taps.start).checked_sub(columns.padding)?;
                let area = Area {
                    image,
                    depth,
                    width: columns.input,
                    top,
                    left,
                    rows: row_taps.len(),
                    columns: column_taps.len(),
                };
                for (index, values) in output.chunks_mut(LANES).enumerate() {
                    pace.worked(4 * values.len() * area.rows * area.columns)?;
                    match self.kind {
                        Kind::Average => {
                            let mut sums = [0i32; LANES];
                            area.visit(index * LANES, values.len(), |lane, value| sums[lane] += i32::from(value))?;
                            for (value, sum) in values.iter_mut().zip(sums) {
                                *value = self.clamp(average(sum, count));
                            }
                        }
                        Kind::Max => {
                            values.fill(i8::MIN);
                            area.visit(index * LANES, values.len(), |lane, value| {
                                values[lane] = values[lane].max(value);
                            })?;
                            values.iter_mut().for_each(|value| *value = self.clamp(i32::from(*value)));
                        }
                    }
                }
            }
        }
        Some(())
    }

    fn clamp(&self, value: i32) -> i8 {
        value.clamp(self.finish.min, self.finish.max) as i8
    }
}

/// The mean of `count` numbers, rounded to nearest, ties away from zero; 0 of none.
pub(crate) fn average(sum: i32, count: i32) -> i32 {
    if count == 0 {
        return 0;
    }
    (if sum > 0 { sum + count / 2 } else { sum - count / 2 }) / count
}

/// The part of an image that a window covers.
struct Area<'t> {
    image: &'t [i8],
    depth: usize,
    width: usize,
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
}

impl Area<'_> {
    /// Shows `count` channels from `first` on of each element, with the number of the channel among them.
    #[inline(always)]
    fn visit(&self, first: usize, count: usize, mut each: impl FnMut(usize, i8)) -> Option<()> {
        let count = count.min(LANES);
        for row in self.top..self.top + self.rows {
            let start = (row * self.width + self.left) * self.depth;
            for element in self.image.get(start..)?.chunks_exact(self.depth).take(self.columns) {
                for (lane, value) in element.get(first..)?.get(..count)?.iter().enumerate() {
                    each(lane, *value);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_round_away_from_zero() {
        assert_eq!(
            [(5, 2), (-5, 2), (4, 3), (-4, 3), (0, 7), (1, 0)].map(|(s, c)| average(s, c)),
            [3, -3, 1, -1, 0, 0]
        );
    }
}
