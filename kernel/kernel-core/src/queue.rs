//! Queues of threads, linked through the threads themselves: a thread is in at most one.

use crate::Kernel;
use crate::objects::{Id, Queue};

impl Kernel<'_> {
    /// The queue with `id` as its new first thread.
    pub(crate) fn push_front(&mut self, queue: Queue, id: Id) -> Queue {
        let thread = &mut self.pds[id.slot()].thread;
        thread.next = queue.head;
        thread.prev = Id::NONE;
        if queue.head.is_none() {
            Queue { head: id, tail: id }
        } else {
            self.pds[queue.head.slot()].thread.prev = id;
            Queue { head: id, tail: queue.tail }
        }
    }

    /// The queue with `id` as its new last thread.
    pub(crate) fn push_back(&mut self, queue: Queue, id: Id) -> Queue {
        let thread = &mut self.pds[id.slot()].thread;
        thread.next = Id::NONE;
        thread.prev = queue.tail;
        if queue.tail.is_none() {
            Queue { head: id, tail: id }
        } else {
            self.pds[queue.tail.slot()].thread.next = id;
            Queue { head: queue.head, tail: id }
        }
    }

    /// The queue with `id` before the first thread for which `later` holds.
    pub(crate) fn insert_before(&mut self, queue: Queue, id: Id, later: impl Fn(&Self, Id) -> bool) -> Queue {
        let mut at = queue.head;
        while at.is_some() && !later(self, at) {
            at = self.pds[at.slot()].thread.next;
        }
        if at.is_none() {
            return self.push_back(queue, id);
        }
        if at == queue.head {
            return self.push_front(queue, id);
        }
        let prev = self.pds[at.slot()].thread.prev;
        self.pds[prev.slot()].thread.next = id;
        self.pds[at.slot()].thread.prev = id;
        let thread = &mut self.pds[id.slot()].thread;
        thread.prev = prev;
        thread.next = at;
        queue
    }

    /// The queue without `id`, which is in it.
    pub(crate) fn unlink(&mut self, mut queue: Queue, id: Id) -> Queue {
        let thread = &mut self.pds[id.slot()].thread;
        let (prev, next) = (thread.prev, thread.next);
        thread.prev = Id::NONE;
        thread.next = Id::NONE;
        if prev.is_some() {
            self.pds[prev.slot()].thread.next = next;
        } else {
            queue.head = next;
        }
        if next.is_some() {
            self.pds[next.slot()].thread.prev = prev;
        } else {
            queue.tail = prev;
        }
        queue
    }
}
