//! `BATCH_MATMUL`: products of matrices, of which both may be computed.

use super::walk::{Walk, strides};
use crate::error::LoadError;
use crate::fixed_point::{Finish, Requantize};
use crate::node::Node;
use crate::pace::Pace;
use crate::tensor::{MAX_RANK, Tensor};

/// A decoded product. Matrices are gone through by distances, so that none has to be transposed.
pub(crate) struct Matmul {
    /// Where the two matrices of each product begin.
    batches: Walk,
    rows: usize,
    columns: usize,
    inner: usize,
    /// Elements of all products.
    outputs: usize,
    /// Distances in the left matrix: of two rows, of two elements of a row.
    left: [usize; 2],
    /// Distances in the right matrix: of two elements of a column, of two columns.
    right: [usize; 2],
    zero_points: [i32; 2],
    factor: Requantize,
    finish: Finish,
}

impl Matmul {
    pub fn decode(node: &Node<'_>) -> Result<Self, LoadError> {
        node.arity(2..=2, 1)?;
        node.options_of(101)?;
        let (left, right, output) = (node.int8_input(0)?, node.int8_input(1)?, node.int8_output(0)?);
        let flags = [node.option_u8(0, 0)? != 0, node.option_u8(1, 0)? != 0];
        let ([left_batch, left_sizes], [right_batch, right_sizes]) = (split(node, &left)?, split(node, &right)?);
        let [out_batch, sizes] = split(node, &output)?;
        let order = |[outer, inner]: [usize; 2], flag: bool| if flag { [inner, outer] } else { [outer, inner] };
        let ([rows, inner], [depth, columns]) = (order(pair(left_sizes), flags[0]), order(pair(right_sizes), flags[1]));
        node.require(inner == depth && pair(sizes) == [rows, columns], "its matrices do not fit each other")?;
        node.require(inner <= 1 << 15, "more than 32,768 products for one sum are not supported")?;
        let distances = |matrix: &[u32], flag| order([pair(matrix)[1], 1], flag);
        let from = steps(node, left_batch, out_batch, rows * inner)?;
        let to = steps(node, right_batch, out_batch, inner * columns)?;
        let batches = out_batch.iter().enumerate();
        let batches = batches.fold(Walk::new(0, 0), |walk, (i, dim)| walk.inside(*dim as usize, from[i], to[i]));
        // The reference multiplies the scales in single precision.
        let real = f64::from(left.scale() * right.scale()) / f64::from(output.scale());
        node.require(real < 16.0, "its scales give a factor that is out of range")?;
        Ok(Matmul {
            batches,
            rows,
            columns,
            inner,
            outputs: output.elements(),
            left: distances(left_sizes, flags[0]),
            right: distances(right_sizes, flags[1]),
            zero_points: [left.zero_point(), right.zero_point()],
            factor: Requantize::new(node.multiplier(real)?),
            finish: node.finish(&output, 0)?,
        })
    }

    pub fn macs(&self) -> u64 {
        self.outputs as u64 * self.inner as u64
    }

    pub fn run(&self, left: &[i8], right: &[i8], output: &mut [i8], pace: &mut Pace<'_>) -> Option<()> {
        let mut products = output.chunks_exact_mut(self.rows * self.columns);
        let inner = self.batches.inner();
        self.batches.rows(|from, to| {
            let (mut from, mut to) = (from, to);
            for _ in 0..inner.count {
                self.product(left.get(from..)?, right.get(to..)?, products.next()?, pace)?;
                (from, to) = (from.wrapping_add_signed(inner.from), to.wrapping_add_signed(inner.to));
            }
            Some(())
        })
    }

    fn product(&self, left: &[i8], right: &[i8], output: &mut [i8], pace: &mut Pace<'_>) -> Option<()> {
        let [left_zero, right_zero] = self.zero_points;
        for (row, values) in output.chunks_exact_mut(self.columns).enumerate() {
            let line = left.get(row * self.left[0]..)?.iter().step_by(self.left[1]).take(self.inner);
            for (column, value) in values.iter_mut().enumerate() {
                pace.worked(4 * self.inner)?;
                let column = right.get(column * self.right[1]..)?.iter().step_by(self.right[0]);
                // At most 255 · 255 · 2^15 together, which is below 2^31.
                let products = line.clone().zip(column);
                let sum: i32 = products.map(|(a, b)| (i32::from(*a) - left_zero) * (i32::from(*b) - right_zero)).sum();
                *value = self.finish.apply(self.factor.apply(sum));
            }
        }
        Some(())
    }
}

/// The dimensions of the batches and of the matrix.
fn split<'t>(node: &Node<'_>, tensor: &Tensor<'t>) -> Result<[&'t [u32]; 2], LoadError> {
    let dims = tensor.dims();
    match dims.len().checked_sub(2).and_then(|at| dims.split_at_checked(at)) {
        Some((batches, matrix)) => Ok([batches, matrix]),
        None => Err(node.refuse("its inputs and output must have two dimensions or more")),
    }
}

/// Both dimensions of a matrix.
fn pair(matrix: &[u32]) -> [usize; 2] {
    core::array::from_fn(|i| matrix.get(i).map_or(1, |size| *size as usize))
}

/// The distance between two matrices along each dimension of the output's batches; 0 where one is used for all.
fn steps(node: &Node<'_>, batches: &[u32], out: &[u32], matrix: usize) -> Result<[isize; MAX_RANK], LoadError> {
    let mut steps = [0; MAX_RANK];
    let distances = strides(batches);
    let missing = out.len().checked_sub(batches.len());
    let missing = missing.ok_or(node.refuse("its output has fewer dimensions than an input"))?;
    for (i, dim) in batches.iter().enumerate() {
        if *dim != 1 {
            node.require(out[missing + i] == *dim, "its batches do not fit each other")?;
            steps[missing + i] = distances[i] * matrix as isize;
        }
    }
    Ok(steps)
}
