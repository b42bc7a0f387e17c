//! The heap of a protection domain that asks for one: `#[protection_domain(heap_size = BYTES)]`.
//!
//! The heap is a static, so it costs room in the image; big arenas belong in memory regions.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null_mut};

use linked_list_allocator::Heap;

/// A global allocator over `BYTES` of its own.
#[repr(C, align(16))]
pub struct StaticHeap<const BYTES: usize> {
    memory: UnsafeCell<[MaybeUninit<u8>; BYTES]>,
    heap: UnsafeCell<Heap>,
}

// SAFETY: a protection domain has one thread and no signal handlers, so nothing ever runs concurrently with it.
unsafe impl<const BYTES: usize> Sync for StaticHeap<BYTES> {}

impl<const BYTES: usize> StaticHeap<BYTES> {
    /// A heap that is set up at its first use.
    #[allow(clippy::new_without_default, reason = "it is only ever a static")]
    pub const fn new() -> Self {
        Self { memory: UnsafeCell::new([MaybeUninit::uninit(); BYTES]), heap: UnsafeCell::new(Heap::empty()) }
    }

    fn with_heap<T>(&self, f: impl FnOnce(&mut Heap) -> T) -> T {
        // SAFETY: there is one thread, and neither `f` nor the allocator calls back into this function.
        let heap = unsafe { &mut *self.heap.get() };
        if heap.size() == 0 {
            // SAFETY: the memory is used for nothing else, lives for ever as the static does, and this happens once.
            unsafe { heap.init(self.memory.get().cast(), BYTES) };
        }
        f(heap)
    }
}

// SAFETY: the linked-list allocator gives out disjoint blocks of the asked size and alignment, or nothing.
unsafe impl<const BYTES: usize> GlobalAlloc for StaticHeap<BYTES> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with_heap(|heap| heap.allocate_first_fit(layout)).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller promises that the block comes from `alloc` with this layout.
            self.with_heap(|heap| unsafe { heap.deallocate(block, layout) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_disjoint_and_come_back() {
        let heap = StaticHeap::<4096>::new();
        let layout = Layout::from_size_align(1024, 64).unwrap();
        for _ in 0..100 {
            // SAFETY: the layout has a size, and each block is given back once, with its layout.
            unsafe {
                let blocks = [heap.alloc(layout), heap.alloc(layout), heap.alloc(layout)];
                assert!(blocks.iter().all(|block| !block.is_null() && block.addr() % 64 == 0));
                assert!(blocks[0].addr().abs_diff(blocks[1].addr()) >= 1024);
                assert!(heap.alloc(Layout::from_size_align(2048, 8).unwrap()).is_null());
                blocks.into_iter().for_each(|block| heap.dealloc(block, layout));
            }
        }
    }
}
