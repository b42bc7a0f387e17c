//! Operators that repeat a tensor: `BROADCAST_TO` and `TILE`.

use super::walk::{Move, Walk, strides};
use crate::error::LoadError;
use crate::node::Node;

pub(crate) fn decode_tile(node: &Node<'_>) -> Result<Move, LoadError> {
    node.arity(2..=2, 1)?;
    node.options_of(51)?;
    let (input, output, size) = node.movable()?;
    let counts = node.constants(1, "how often it repeats is not constant whole numbers")?;
    let rank = input.dims().len();
    let fits = counts.len() == rank && output.dims().len() == rank;
    node.require(fits, "it has another number of dimensions than its input")?;
    let (distances, out_distances) = (strides(input.dims()), strides(output.dims()));
    let mut walk = Walk::new(0, 0);
    for (i, dim) in input.dims().iter().enumerate() {
        let (count, dim) = (counts.get(i), i64::from(*dim));
        let fits = count > 0 && count.checked_mul(dim) == Some(i64::from(output.dims()[i]));
        node.require(fits, "its output has another shape than its counts say")?;
        walk = walk.inside(count as usize, 0, out_distances[i] * dim as isize);
        walk = walk.inside(dim as usize, distances[i], out_distances[i]);
    }
    node.require(walk.is_whole(), "it repeats more dimensions than are supported")?;
    Ok(Move { walk, size, fill: None })
}

pub(crate) fn decode_broadcast_to(node: &Node<'_>) -> Result<Move, LoadError> {
    node.arity(2..=2, 1)?;
    node.options_of(104)?;
    let (input, output, size) = node.movable()?;
    let shape = node.constants(1, "its shape is not constant whole numbers")?;
    let same = shape.iter().eq(output.dims().iter().map(|dim| i64::from(*dim)));
    node.require(same, "its output has another shape than it says")?;
    let Some(missing) = output.dims().len().checked_sub(input.dims().len()) else {
        return Err(node.refuse("its output has fewer dimensions than its input"));
    };
    let (distances, out_distances) = (strides(input.dims()), strides(output.dims()));
    let mut walk = Walk::new(0, 0);
    for (i, dim) in output.dims().iter().enumerate() {
        let from = match i.checked_sub(missing).map(|i| (input.dims()[i], distances[i])) {
            None | Some((1, _)) => 0,
            Some((own, distance)) if own == *dim => distance,
            _ => return Err(node.refuse("its input cannot be stretched to its output")),
        };
        walk = walk.inside(*dim as usize, from, out_distances[i]);
    }
    Ok(Move { walk, size, fill: None })
}
