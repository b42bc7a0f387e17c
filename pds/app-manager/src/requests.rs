//! The app manager's end of an app's two rings. The app may write anything into its page, at any instant.

use app_abi::ring::{CONSUMED, ENTRY_BYTES, PRODUCED, Reply, Request, SLOTS, slot_at};
use core::sync::atomic::Ordering;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::area::Area;

/// The app's counts make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misbehaved;

/// Both rings of one start of an app.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Written by the app.
    theirs: Area,
    /// Written here.
    own: Area,
    /// Requests taken; what `own` says.
    taken: u64,
    /// Replies put; what `own` says.
    put: u64,
    /// Replies that the app is known to have taken.
    seen: u64,
}

impl Requests {
    /// The rings in these two pages, which are zero.
    pub const fn new(theirs: Area, own: Area) -> Self {
        Self { theirs, own, taken: 0, put: 0, seen: 0 }
    }

    /// Whether requests wait.
    ///
    /// # Errors
    /// When the app's count of them cannot be.
    pub fn is_waiting(&self) -> Result<bool, Misbehaved> {
        let produced = self.theirs.load(PRODUCED, Ordering::Acquire);
        match produced.wrapping_sub(self.taken) {
            0 => Ok(false),
            1..=SLOTS => Ok(true),
            _ => Err(Misbehaved),
        }
    }

    /// The next request, copied.
    ///
    /// # Errors
    /// As [`Requests::is_waiting`].
    pub fn take(&mut self) -> Result<Option<Request>, Misbehaved> {
        if !self.is_waiting()? {
            return Ok(None);
        }
        let mut bytes = [0; ENTRY_BYTES];
        self.theirs.read(slot_at(self.taken), &mut bytes);
        self.taken += 1;
        self.own.store(CONSUMED, self.taken, Ordering::Release);
        Ok(Some(Request::read_from_bytes(&bytes).unwrap_or_else(|_| Request::new_zeroed())))
    }

    /// How many replies fit now.
    ///
    /// # Errors
    /// When the app's count of replies taken cannot be.
    pub fn room(&mut self) -> Result<u64, Misbehaved> {
        let consumed = self.theirs.load(CONSUMED, Ordering::Acquire);
        // It may only grow, and not beyond what was put.
        if consumed.wrapping_sub(self.seen) > self.put - self.seen {
            return Err(Misbehaved);
        }
        self.seen = consumed;
        Ok(SLOTS - (self.put - self.seen))
    }

    /// Puts a reply, for which there must be room.
    pub fn put(&mut self, reply: &Reply) {
        self.own.write(slot_at(self.put), reply.as_bytes());
        self.put += 1;
        self.own.store(PRODUCED, self.put, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU64;
    use proptest::prelude::*;

    fn page() -> Area {
        Area::new((0..512).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
    }

    #[test]
    fn requests_come_once_and_in_order() {
        let (theirs, own) = (page(), page());
        let mut requests = Requests::new(theirs, own);
        assert_eq!(requests.take(), Ok(None));
        for round in 0..100u64 {
            theirs.write(slot_at(round), Request::new(1, round as u32, [round]).as_bytes());
            theirs.store(PRODUCED, round + 1, Ordering::Release);
            assert_eq!(requests.take(), Ok(Some(Request::new(1, round as u32, [round]))));
            assert_eq!((requests.take(), own.load(CONSUMED, Ordering::Relaxed)), (Ok(None), round + 1));
        }
    }

    #[test]
    fn replies_wait_for_room() {
        let (theirs, own) = (page(), page());
        let mut requests = Requests::new(theirs, own);
        for number in 0..SLOTS {
            assert_eq!(requests.room(), Ok(SLOTS - number));
            requests.put(&Reply::new(1, number as u32, 0, []));
        }
        assert_eq!(requests.room(), Ok(0));
        theirs.store(CONSUMED, 3, Ordering::Relaxed);
        assert_eq!(requests.room(), Ok(3));
        theirs.store(CONSUMED, 2, Ordering::Relaxed);
        assert_eq!(requests.room(), Err(Misbehaved), "it goes back");
        theirs.store(CONSUMED, SLOTS + 1, Ordering::Relaxed);
        assert_eq!(requests.room(), Err(Misbehaved), "more than there were");
    }

    proptest! {
        #[test]
        fn any_counts_are_harmless(counts in prop::collection::vec(any::<(u64, u64, bool)>(), 1..40)) {
            let (theirs, own) = (page(), page());
            let mut requests = Requests::new(theirs, own);
            for (produced, consumed, small) in counts {
                let cut = |count: u64| if small { count % 80 } else { count };
                theirs.store(PRODUCED, cut(produced), Ordering::Relaxed);
                theirs.store(CONSUMED, cut(consumed), Ordering::Relaxed);
                let mut taken = 0;
                while let Ok(Some(_)) = requests.take() {
                    taken += 1;
                    prop_assert!(taken <= SLOTS);
                }
                if let Ok(room) = requests.room() {
                    prop_assert!(room <= SLOTS);
                    (0..room).for_each(|_| requests.put(&Reply::default()));
                }
            }
        }
    }
}
