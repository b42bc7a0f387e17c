//! Variables of the model, which stay from one run to the next: `ASSIGN_VARIABLE`, `CALL_ONCE`, `READ_VARIABLE`,
//! `VAR_HANDLE`.
//!
//! A variable has its place in the arena; what `VAR_HANDLE` makes is only a name for it, and costs nothing.

use crate::error::LoadError;
use crate::node::Node;
use crate::tensor::ElementType;

/// Longest name of a variable in bytes.
const MOST_NAME_BYTES: usize = 256;

pub(crate) fn decode_call_once(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(0..=0, 0)?;
    node.options_of(103)
}

pub(crate) fn decode_var_handle(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(0..=0, 1)?;
    node.options_of(111)?;
    names(node).map(|_| ())
}

pub(crate) fn decode_read(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(1..=1, 1)?;
    node.options_of(112)?;
    is_name(node)
}

pub(crate) fn decode_assign(node: &Node<'_>) -> Result<(), LoadError> {
    node.arity(2..=2, 0)?;
    node.options_of(113)?;
    is_name(node)?;
    node.require(node.input(1)?.element() != Some(ElementType::Resource), "it assigns the name of a variable")
}

fn is_name(node: &Node<'_>) -> Result<(), LoadError> {
    let named = node.input(0)?.element() == Some(ElementType::Resource);
    node.require(named, "its first input is not the name of a variable")
}

/// The two names of a variable: of its container, which may be left out, and its own.
fn names<'t>(node: &Node<'t>) -> Result<[&'t [u8]; 2], LoadError> {
    let Some(options) = node.options else { return Err(node.refuse("it names no variable")) };
    let names = [options.vector::<1>(0)?.raw(), options.vector::<1>(1)?.raw()];
    let fits = names.iter().all(|name| name.len() <= MOST_NAME_BYTES);
    node.require(fits, "names of more than 256 bytes are not supported")?;
    Ok(names)
}

/// Whether two operators name the same variable.
pub(crate) fn same_name(one: &Node<'_>, other: &Node<'_>) -> Result<bool, LoadError> {
    let ([container, name], [other_container, other_name]) = (names(one)?, names(other)?);
    let anywhere = container.is_empty() || other_container.is_empty();
    Ok(name == other_name && (anywhere || container == other_container))
}
