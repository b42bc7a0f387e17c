//! Operators that take a box out of a tensor or put a tensor into a larger one: `PAD`, `PADV2`, `SLICE`, `STRIDED_SLICE`.

use super::walk::{Move, Walk, strides};
use crate::error::LoadError;
use crate::node::Node;
use crate::tensor::{ElementType, MAX_RANK, Tensor};

pub(crate) fn decode_slice(node: &Node<'_>) -> Result<Move, LoadError> {
    node.arity(3..=3, 1)?;
    node.options_of(48)?;
    let (input, output, size) = node.movable()?;
    let begins = node.constants(1, "where it begins is not constant whole numbers")?;
    let sizes = node.constants(2, "its sizes are not constant whole numbers")?;
    let rank = input.dims().len();
    let fits = begins.len() == rank && sizes.len() == rank && output.dims().len() == rank;
    node.require(fits, "it has another number of dimensions than its input")?;
    let distances = strides(input.dims());
    let mut walk = Walk::new(0, 0);
    let out_distances = strides(output.dims());
    for (i, dim) in input.dims().iter().enumerate() {
        let (dim, begin) = (i64::from(*dim), begins.get(i));
        // −1 is the rest.
        let count = if sizes.get(i) == -1 { dim.saturating_sub(begin) } else { sizes.get(i) };
        let inside = begin >= 0 && count > 0 && begin.checked_add(count).is_some_and(|end| end <= dim);
        node.require(inside, "it reaches outside its input")?;
        node.require(count == i64::from(output.dims()[i]), "its output has another shape than its sizes say")?;
        walk.start[0] += begin as usize * distances[i] as usize;
        walk = walk.inside(count as usize, distances[i], out_distances[i]);
    }
    Ok(Move { walk, size, fill: None })
}

pub(crate) fn decode_strided_slice(node: &Node<'_>) -> Result<Move, LoadError> {
    node.arity(4..=4, 1)?;
    node.options_of(32)?;
    let (input, output, size) = node.movable()?;
    const REASON: &str = "where it begins and ends and its strides are not constant whole numbers";
    let (begins, ends) = (node.constants(1, REASON)?, node.constants(2, REASON)?);
    let steps = node.constants(3, REASON)?;
    let rank = input.dims().len();
    let fits = begins.len() == rank && ends.len() == rank && steps.len() == rank;
    node.require(fits, "it has another number of dimensions than its input")?;
    let mask = |field| node.option_i32(field, 0);
    let (begin_mask, end_mask, shrink_mask) = (mask(0)?, mask(1)?, mask(4)?);
    let plain = mask(2)? == 0 && mask(3)? == 0 && node.option_u8(5, 0)? == 0;
    node.require(plain, "ellipses, new axes and ends relative to begins are not supported")?;
    let distances = strides(input.dims());
    let out_distances = strides(output.dims());
    let mut walk = Walk::new(0, 0);
    let mut kept = 0;
    for (i, dim) in input.dims().iter().enumerate() {
        let set = |mask: i32| mask & 1 << i != 0;
        let (dim, step) = (i64::from(*dim), steps.get(i));
        node.require(step != 0 && step.unsigned_abs() <= 1 << 31, "a stride is zero or out of range")?;
        // Where a step may stand: one place behind the last element, in the direction of the steps.
        let (lowest, highest) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
        let place = |at: i64| (if at < 0 { at.saturating_add(dim) } else { at }).clamp(lowest, highest);
        let start = match set(begin_mask) {
            true if step > 0 => 0,
            true => dim - 1,
            false => place(begins.get(i)),
        };
        let end = match set(end_mask) {
            true if step > 0 => dim,
            true => -1,
            false => place(ends.get(i)),
        };
        let count = if set(shrink_mask) {
            node.require(step > 0, "it drops a dimension that it goes through backwards")?;
            i64::from(start < dim)
        } else {
            let (way, step) = if step > 0 { (end - start, step) } else { (start - end, -step) };
            if way > 0 { (way - 1) / step + 1 } else { 0 }
        };
        node.require(count > 0, "nothing is left of a dimension")?;
        let out_distance = if set(shrink_mask) {
            0
        } else {
            let fits = output.dims().get(kept).is_some_and(|dim| i64::from(*dim) == count);
            node.require(fits, "its output has another shape than its bounds say")?;
            kept += 1;
            out_distances[kept - 1]
        };
        walk.start[0] += start as usize * distances[i] as usize;
        // With one round the distance does not matter, and the product might not fit.
        let distance = if count == 1 { 0 } else { distances[i] * step as isize };
        walk = walk.inside(count as usize, distance, out_distance);
    }
    node.require(kept == output.dims().len(), "its output has another shape than its bounds say")?;
    Ok(Move { walk, size, fill: None })
}

pub(crate) fn decode_pad(node: &Node<'_>, with_value: bool) -> Result<Move, LoadError> {
    node.arity(2..=3, 1)?;
    node.options_of(if with_value { 43 } else { 22 })?;
    let (input, output, size) = node.movable()?;
    let widths = node.constants(1, "its paddings are not constant whole numbers")?;
    let rank = input.dims().len();
    let fits = widths.len() == 2 * rank && output.dims().len() == rank;
    node.require(fits, "it has another number of dimensions than its input")?;
    let distances = strides(output.dims());
    let in_distances = strides(input.dims());
    let mut walk = Walk::new(0, 0);
    for (i, dim) in input.dims().iter().enumerate() {
        let (before, after) = (widths.get(2 * i), widths.get(2 * i + 1));
        let range = 0..=i64::from(crate::MAX_TENSOR_BYTES);
        node.require(range.contains(&before) && range.contains(&after), "a padding is negative or out of range")?;
        let fits = before + i64::from(*dim) + after == i64::from(output.dims()[i]);
        node.require(fits, "its output has another shape than its paddings say")?;
        walk.start[1] += before as usize * distances[i] as usize;
        walk = walk.inside(*dim as usize, in_distances[i], distances[i]);
    }
    Ok(Move { walk, size, fill: Some(padding(node, &output)?) })
}

/// The value around the input: the third input, or what stands for zero.
fn padding(node: &Node<'_>, output: &Tensor<'_>) -> Result<[u8; 8], LoadError> {
    let mut pattern = [0; 8];
    if let Some(value) = node.optional_input(2)? {
        node.same_values(&value, output)?;
        node.require(value.elements() == 1, "its padding value is not one number")?;
        let Some(bytes) = value.constant() else { return Err(node.refuse("its padding value is not constant")) };
        pattern.iter_mut().zip(bytes).for_each(|(byte, value)| *byte = *value);
    } else {
        let zero = [ElementType::Int8, ElementType::UInt8].map(Some).contains(&output.element());
        pattern[0] = if zero { output.zero_point() as u8 } else { 0 };
    }
    Ok(pattern)
}

pub(crate) fn decode_transpose(node: &Node<'_>) -> Result<Move, LoadError> {
    node.arity(2..=2, 1)?;
    node.options_of(26)?;
    let (input, output, size) = node.movable()?;
    let order = node.constants(1, "its permutation is not constant whole numbers")?;
    let rank = input.dims().len();
    let fits = order.len() == rank && output.dims().len() == rank;
    node.require(fits, "it has another number of dimensions than its input")?;
    let distances = strides(input.dims());
    let out_distances = strides(output.dims());
    let mut seen = [false; MAX_RANK];
    let mut walk = Walk::new(0, 0);
    for (i, axis) in order.iter().enumerate() {
        let axis = usize::try_from(axis).ok().filter(|axis| *axis < rank && !seen[*axis]);
        let Some(axis) = axis else {
            return Err(node.refuse("its permutation leaves a dimension out or names one twice"));
        };
        seen[axis] = true;
        let count = input.dims()[axis];
        node.require(count == output.dims()[i], "its output has another shape than its permutation says")?;
        walk = walk.inside(count as usize, distances[axis], out_distances[i]);
    }
    Ok(Move { walk, size, fill: None })
}

/// `SPACE_TO_DEPTH`, or else `DEPTH_TO_SPACE`: blocks of pixels become channels, or come out of them.
pub(crate) fn decode_blocks(node: &Node<'_>, to_depth: bool) -> Result<Move, LoadError> {
    node.arity(1..=1, 1)?;
    node.options_of(if to_depth { 19 } else { 94 })?;
    let (input, output, size) = node.movable()?;
    let (&[batches, wide_height, wide_width, channels], &[deep_batches, height, width, depth]) =
        (if to_depth { (input.dims(), output.dims()) } else { (output.dims(), input.dims()) })
    else {
        return Err(node.refuse("its input and output must have four dimensions"));
    };
    let block = u64::try_from(node.option_i32(0, 0)?).unwrap_or(0);
    let times = |a: u32, factor: u64| u64::from(a).checked_mul(factor);
    let fits = block > 0
        && batches == deep_batches
        && times(height, block) == Some(u64::from(wide_height))
        && times(width, block) == Some(u64::from(wide_width))
        && times(channels, block).and_then(|row| row.checked_mul(block)) == Some(u64::from(depth));
    node.require(fits, "its input and output do not fit its block size")?;
    let [block, height, width, wide_width] = [block as usize, height as usize, width as usize, wide_width as usize];
    let (channels, depth) = (channels as isize, depth as isize);
    let line = wide_width as isize * channels;
    // Distances in the wide tensor and in the deep one.
    let loops = [
        (batches as usize * height, block as isize * line, width as isize * depth),
        (block, line, block as isize * channels),
        (width, block as isize * channels, depth),
        (block * channels as usize, 1, 1),
    ];
    let walk = loops.into_iter().fold(Walk::new(0, 0), |walk, (count, wide, deep)| {
        let (from, to) = if to_depth { (wide, deep) } else { (deep, wide) };
        walk.inside(count, from, to)
    });
    Ok(Move { walk, size, fill: None })
}
