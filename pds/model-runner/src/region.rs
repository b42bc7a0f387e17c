//! A data region that is shared with a client: the only unsafe module.

use core::ptr::NonNull;

use ring::Span;

/// Memory that a client and the runner both map.
#[derive(Clone, Copy, Debug)]
pub struct DataRegion {
    start: NonNull<u8>,
    bytes: usize,
}

impl DataRegion {
    /// The region of `bytes` bytes at `start`.
    ///
    /// # Safety
    /// As long as the program runs, the memory is mapped readable and writable, nothing else in this program refers to it,
    /// and the value and its copies are used by one thread.
    pub const unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        Self { start, bytes }
    }

    /// Bytes of the region.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of an input and of an output, or `None` if one ends behind the region or they overlap.
    ///
    /// The borrow ends before the next call of this on any copy: the runner holds at most one job's tensors at a time, and
    /// takes `&mut self` for it.
    pub fn tensors(&mut self, input: Span, output: Span) -> Option<(&[u8], &mut [u8])> {
        let end = |span: Span| span.offset as usize + span.bytes as usize;
        let apart = end(input) <= output.offset as usize || end(output) <= input.offset as usize;
        if end(input) > self.bytes || end(output) > self.bytes || !apart {
            return None;
        }
        // SAFETY: both spans lie inside the region, as just checked, which is mapped for ever (`new`), and they do not
        // overlap; `&mut self` keeps other borrows of this value away. The client, in another address space, is bound by the
        // protocol not to touch them while the job runs. If it does, values change between two loads: tensor values are
        // numbers that never serve as an index, length or branch on which safety depends, so its own result is wrong and
        // nothing else is.
        unsafe {
            let input =
                core::slice::from_raw_parts(self.start.as_ptr().add(input.offset as usize), input.bytes as usize);
            let output =
                core::slice::from_raw_parts_mut(self.start.as_ptr().add(output.offset as usize), output.bytes as usize);
            Some((input, output))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disjoint_spans_inside() {
        let mut memory = [0u8; 64];
        // SAFETY: the array outlives the region, and is not used otherwise meanwhile.
        let mut region = unsafe { DataRegion::new(NonNull::from(&mut memory).cast(), 64) };
        let span = |offset, bytes| Span { offset, bytes };
        assert!(region.tensors(span(0, 32), span(32, 32)).is_some());
        assert!(region.tensors(span(32, 32), span(0, 32)).is_some());
        assert!(region.tensors(span(0, 33), span(32, 32)).is_none());
        assert!(region.tensors(span(0, 32), span(32, 33)).is_none());
        assert!(region.tensors(span(u32::MAX, u32::MAX), span(0, 1)).is_none());
    }
}
