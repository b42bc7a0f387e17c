//! Tests of links: ordinary use, a hostile peer, restarts at every step; and the model checker's.

#[cfg(loom)]
mod loom;

#[cfg(not(loom))]
mod buffers;
#[cfg(not(loom))]
pub(crate) mod crash;
#[cfg(not(loom))]
mod hostile;
#[cfg(not(loom))]
mod ordinary;
#[cfg(not(loom))]
mod restart;

#[cfg(not(loom))]
mod pair {
    use crate::layout::SLOTS;
    use crate::words::{AtomicU64, Words};
    use crate::{Link, Notify};
    use std::cell::Cell;
    use std::rc::Rc;

    pub const PROTOCOL: u32 = 7;
    pub const VERSION: u32 = 3;

    /// A region for `slots` words of slots, cleared.
    pub fn region(slots: usize) -> Words {
        Words::from_static(Vec::leak((0..SLOTS + slots).map(|_| AtomicU64::new(0)).collect()))
    }

    /// A notification: counts signals that its receiver has not seen.
    #[derive(Clone, Debug, Default)]
    pub struct Bell(Rc<Cell<u64>>);

    impl Bell {
        pub fn take(&self) -> u64 {
            self.0.take()
        }
    }

    impl Notify for Bell {
        fn notify(&self) {
            self.0.set(self.0.get() + 1);
        }
    }

    pub type TestLink = Link<u64, u64, Bell>;

    /// Two regions and two bells; sides 0 and 1 can be opened as often as wanted.
    pub struct Pair {
        pub regions: [Words; 2],
        pub bells: [Bell; 2],
    }

    impl Pair {
        pub fn new(slots: usize) -> Self {
            Self { regions: [region(slots), region(slots)], bells: [Bell::default(), Bell::default()] }
        }

        pub fn open(&self, side: usize) -> TestLink {
            let bell = self.bells[1 - side].clone();
            let [own, peer] = [side, 1 - side].map(|index| self.regions[index].clone());
            Link::open(own, peer, bell, PROTOCOL, VERSION).unwrap()
        }
    }
}
