//! Operators about shapes: `EXPAND_DIMS`, `RESHAPE`, `SQUEEZE`, which do nothing to the values, and `SHAPE`.

use crate::error::LoadError;
use crate::node::Node;
use crate::tensor::ElementType;

/// What the new shape is, the output's own shape says.
pub(crate) fn decode_reshape(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(1..=2, 1)?;
    node.options_of(17)?;
    same_bytes(node)
}

pub(crate) fn decode_squeeze(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(1..=1, 1)?;
    node.options_of(30)?;
    same_bytes(node)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let longer = |dim: &&u32| **dim != 1;
    let fits = input.dims().iter().filter(longer).eq(output.dims().iter().filter(longer))
        && output.dims().len() <= input.dims().len();
    node.require(fits, "it drops a dimension that is not 1")
}

pub(crate) fn decode_expand_dims(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(2..=2, 1)?;
    node.options_of(52)?;
    same_bytes(node)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let axis = node.constants(1, "its axis is not one constant whole number")?;
    node.require(axis.len() == 1, "its axis is not one constant whole number")?;
    // Counted among the output's dimensions.
    let axis = node.axis(axis.get(0), &output)?;
    let (before, after) = input.dims().split_at_checked(axis).unwrap_or((input.dims(), &[]));
    let expanded = before.iter().chain(&[1]).chain(after);
    node.require(output.dims().iter().eq(expanded), "its output has another shape than its axis says")
}

fn same_bytes(node: &Node<'_>) -> Result<(), LoadError> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let fits = input.element() == output.element() && input.bytes() == output.bytes();
    node.require(fits, "its input and output have different sizes or types")?;
    node.require(input.element() != Some(ElementType::Resource), "it does not work on variables")
}

pub(crate) fn decode_shape(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(1..=1, 1)?;
    node.options_of(55)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let fits = output.element() == Some(ElementType::Int32) && output.elements() == input.dims().len();
    node.require(fits, "its output is not int32 with one number a dimension")
}

/// Stores the dimensions themselves.
pub(crate) fn run_shape(dims: &[u32], output: &mut [u8]) -> Option<()> {
    output.as_chunks_mut::<4>().0.iter_mut().zip(dims).for_each(|(number, dim)| *number = dim.to_le_bytes());
    Some(())
}
