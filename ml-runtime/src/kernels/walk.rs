//! Moving through two tensors at once: the common part of all operators that move, repeat or reduce values.

use crate::tensor::MAX_RANK;

/// One loop of a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loop {
    /// Rounds, at least one.
    pub count: usize,
    /// Distance of two rounds in the first tensor.
    pub from: isize,
    /// Distance of two rounds in the second tensor.
    pub to: isize,
}

/// Nested loops over two tensors. Loops that can be one are one, so that the innermost is as long as possible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    loops: [Loop; MAX_RANK],
    depth: usize,
    whole: bool,
    /// Where it begins in both.
    pub start: [usize; 2],
}

impl Walk {
    /// A walk of one step that begins at `from` and `to`.
    pub fn new(from: usize, to: usize) -> Self {
        let mut loops = [Loop::default(); MAX_RANK];
        loops[0].count = 1;
        Walk { loops, depth: 1, whole: true, start: [from, to] }
    }

    /// Puts a loop inside the others. There can be one for each dimension of a tensor; whoever may need more asks
    /// [`Walk::is_whole`] afterwards.
    pub fn inside(mut self, count: usize, from: isize, to: isize) -> Self {
        if count == 1 {
            return self;
        }
        let outer = &mut self.loops[self.depth - 1];
        let merges = (outer.from, outer.to) == (from * count as isize, to * count as isize);
        if outer.count == 1 {
            *outer = Loop { count, from, to };
        } else if merges {
            *outer = Loop { count: outer.count * count, from, to };
        } else if let Some(next) = self.loops.get_mut(self.depth) {
            *next = Loop { count, from, to };
            self.depth += 1;
        } else {
            self.whole = false;
        }
        self
    }

    /// Whether all loops had room.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The innermost loop.
    pub fn inner(&self) -> Loop {
        self.loops[self.depth - 1]
    }

    /// Calls `row` where each round of the innermost loop begins, in order.
    #[inline(always)]
    pub fn rows(&self, mut row: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        let outer = self.depth - 1;
        let mut rounds = [0usize; MAX_RANK];
        let [mut from, mut to] = self.start.map(|start| start as isize);
        loop {
            row(usize::try_from(from).ok()?, usize::try_from(to).ok()?)?;
            let mut axis = outer;
            loop {
                if axis == 0 {
                    return Some(());
                }
                axis -= 1;
                let Loop { count, from: from_step, to: to_step } = self.loops[axis];
                rounds[axis] += 1;
                (from, to) = (from + from_step, to + to_step);
                if rounds[axis] < count {
                    break;
                }
                rounds[axis] = 0;
                (from, to) = (from - from_step * count as isize, to - to_step * count as isize);
            }
        }
    }

    /// Copies elements of `SIZE` bytes; all distances are in elements.
    fn copy_elements<const SIZE: usize>(&self, source: &[u8], target: &mut [u8]) -> Option<()> {
        let (source, target) = (source.as_chunks::<SIZE>().0, target.as_chunks_mut::<SIZE>().0);
        let Loop { count, from: from_step, to: to_step } = self.inner();
        self.rows(|from, to| {
            if (from_step, to_step) == (1, 1) {
                target.get_mut(to..)?.get_mut(..count)?.copy_from_slice(source.get(from..)?.get(..count)?);
                return Some(());
            }
            let (mut from, mut to) = (from, to);
            for _ in 0..count {
                *target.get_mut(to)? = *source.get(from)?;
                (from, to) = (from.wrapping_add_signed(from_step), to.wrapping_add_signed(to_step));
            }
            Some(())
        })
    }

    /// Copies elements of `size` bytes from the first tensor to the second; all distances are in elements.
    pub fn copy(&self, size: u32, source: &[u8], target: &mut [u8]) -> Option<()> {
        match size {
            1 => self.copy_elements::<1>(source, target),
            2 => self.copy_elements::<2>(source, target),
            4 => self.copy_elements::<4>(source, target),
            8 => self.copy_elements::<8>(source, target),
            _ => None,
        }
    }
}

/// A decoded operator that only moves values from one tensor to another.
pub(crate) struct Move {
    /// From the input to the output.
    pub walk: Walk,
    /// Bytes of an element.
    pub size: u32,
    /// What the parts of the output that the walk leaves out are filled with.
    pub fill: Option<[u8; 8]>,
}

impl Move {
    pub fn run(&self, source: &[u8], target: &mut [u8]) -> Option<()> {
        if let Some(pattern) = self.fill {
            match self.size {
                1 => target.fill(pattern[0]),
                size => {
                    let pattern = pattern.get(..size as usize)?;
                    target.chunks_exact_mut(size as usize).for_each(|element| element.copy_from_slice(pattern));
                }
            }
        }
        self.walk.copy(self.size, source, target)
    }
}

/// The distance between two elements along each dimension of a tensor whose values lie densely, outermost first.
pub(crate) fn strides(dims: &[u32]) -> [isize; MAX_RANK] {
    let mut strides = [0; MAX_RANK];
    let mut distance = 1;
    for (stride, dim) in strides.iter_mut().zip(dims).take(dims.len()).rev() {
        *stride = distance;
        distance *= *dim as isize;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_merge() {
        let whole = Walk::new(0, 0).inside(2, 12, 12).inside(3, 4, 4).inside(4, 1, 1);
        assert_eq!((whole.depth, whole.inner()), (1, Loop { count: 24, from: 1, to: 1 }));
        let transposed = Walk::new(0, 0).inside(4, 1, 3).inside(3, 4, 1);
        assert_eq!(transposed.depth, 2);
        let mut target = [0; 12];
        let source: [u8; 12] = core::array::from_fn(|i| i as u8);
        assert_eq!(transposed.copy(1, &source, &mut target), Some(()));
        assert_eq!(target, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    }

    #[test]
    fn what_leaves_a_tensor_is_an_error() {
        let source = [0; 8];
        let mut target = [0; 8];
        assert_eq!(Walk::new(0, 0).inside(9, 1, 1).copy(1, &source, &mut target), None);
        assert_eq!(Walk::new(1, 0).inside(3, -1, 1).copy(1, &source, &mut target), None);
        assert_eq!(Walk::new(7, 0).inside(8, -1, 1).copy(1, &source, &mut target), Some(()));
        assert_eq!(Walk::new(0, 0).inside(2, 1, 1).copy(3, &source, &mut target), None);
    }

    #[test]
    fn strides_are_products() {
        assert_eq!(strides(&[2, 3, 4])[..4], [12, 4, 1, 0]);
        assert_eq!(strides(&[]), [0; MAX_RANK]);
    }
}
