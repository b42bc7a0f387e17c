//! The algorithm: sessions, the two rings, and sleeping without lost wake-ups.
//!
//! # Sessions
//! Side X is in a session with side Y when X has written Y's epoch into its own page (`JOINED`); Y's words mean something
//! to X once Y has likewise written X's epoch. On its start, X writes in this order: `JOINED` = 0, a new `EPOCH`; and when
//! it joins: its indices and flags as at a start, then `JOINED`. Release fences lie between, and readers look in the reverse
//! order with acquire fences between. So
//! * who sees itself joined sees indices of this session or later ones, never of an earlier one;
//! * who sees a word that the peer wrote after a restart sees the new epoch when it looks there afterwards. Therefore an
//!   index or an entry counts only if the epoch is unchanged after it was read.

use core::fmt;
use core::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::{LinkError, OpenError, PushError, Side};
use crate::layout::{
    CONSUMER, EPOCH, JOINED, LOOKED_AT, PRODUCER, SLOTS, Terms, WANTS_ENTRIES, WANTS_ROOM, capacity, region_bytes,
};
use crate::wire::{ChannelNotifier, Notify};
use crate::words::{Ordering, WORD, Words, fence};

/// What a ring can carry: plain data without padding, a multiple of 8 bytes long (checked when the crate is compiled).
pub trait Entry: FromBytes + IntoBytes + Immutable + Copy {}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Entry for T {}

/// Makes entries aligned to words on the stack, so that they are copied word by word.
#[repr(C, align(8))]
struct Aligned<T>(T);

/// What a link has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions joined: 1 after the peer came up, one more for each restart of it.
    pub sessions: u64,
    /// Entries pushed.
    pub pushed: u64,
    /// Entries popped.
    pub popped: u64,
    /// Times that an entry did not fit.
    pub full: u64,
    /// Notifications sent.
    pub notified: u64,
    /// Times that the peer's header or indices made no sense.
    pub misbehaved: u64,
}

/// How this side stands with the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// There was never a session since this side's start. Entries may be pushed and wait.
    Fresh,
    /// This side has joined the peer's epoch; `joined` once the peer was seen to have joined this side's.
    With { epoch: u64, joined: bool },
    /// Nothing goes through until the peer has another epoch than this one, because of this.
    Ended { epoch: u64, cause: LinkError },
}

/// One end of a link: sends entries `Tx`, receives entries `Rx`. See the [crate](crate) for how to use it.
pub struct Link<Tx, Rx, N = ChannelNotifier> {
    own: Words,
    peer: Words,
    notifier: N,
    terms: Terms,
    session: Session,
    /// This side's epoch, for as long as the program runs.
    epoch: u64,
    outgoing: Outgoing,
    incoming: Incoming,
    counters: Counters,
    entries: PhantomData<fn(Tx) -> Rx>,
}

/// The ring that this side fills.
struct Outgoing {
    capacity: u64,
    /// Entries pushed: what `PRODUCER` in the own page says.
    produced: u64,
    /// Entries that the peer is known to have popped.
    consumed: u64,
    /// Number of the last sleep for want of room, and whether this side sleeps so.
    sleep: Sleep,
    /// The peer's sleep that it was last woken from.
    woken: u64,
}

/// The ring that the peer fills.
struct Incoming {
    capacity: u64,
    /// Entries that the peer is known to have pushed.
    produced: u64,
    /// Entries popped: what `CONSUMER` in the own page says.
    consumed: u64,
    /// Number of the last sleep for want of entries, and whether this side sleeps so.
    sleep: Sleep,
    /// The peer's sleep that it was last woken from.
    woken: u64,
}

/// A sleep flag of this side.
struct Sleep {
    number: u64,
    raised: bool,
}

impl Sleep {
    /// At the start of a session, who has nothing yet to pop sleeps already, and nobody waits for room.
    const RAISED: Sleep = Sleep { number: 1, raised: true };
    const LOWERED: Sleep = Sleep { number: 0, raised: false };

    /// Raises the flag in the own page. It gets a new number even if it is still raised: the peer may have woken this side
    /// from the last sleep too late, for something that was found already, and would not wake it from that one again.
    ///
    /// The fence pairs with the one in [`Link::wake`]: either this side sees what the peer wrote before that, or the peer
    /// sees the flag.
    fn raise(&mut self, own: &Words, word: usize) {
        self.number += 1;
        self.raised = true;
        own.store(word, self.number);
        fence(Ordering::SeqCst);
    }

    fn lower(&mut self, own: &Words, word: usize) {
        if self.raised {
            self.raised = false;
            own.store(word, 0);
        }
    }
}

impl<Tx: Entry, Rx: Entry, N: Notify> Link<Tx, Rx, N> {
    /// Opens this end on its own region and the peer's, and begins a new epoch. The peer may be there, come later, or go
    /// and come back at any time.
    ///
    /// # Errors
    /// When a region cannot hold the index page and one entry.
    pub fn open(own: Words, peer: Words, notifier: N, protocol: u32, version: u32) -> Result<Self, OpenError> {
        const {
            assert!(size_of::<Tx>() > 0 && size_of::<Tx>().is_multiple_of(WORD), "an entry is a multiple of 8 bytes");
            assert!(size_of::<Rx>() > 0 && size_of::<Rx>().is_multiple_of(WORD), "an entry is a multiple of 8 bytes");
        }
        for (side, words, entry_bytes) in [(Side::Own, &own, size_of::<Tx>()), (Side::Peer, &peer, size_of::<Rx>())] {
            let needed = region_bytes(1, entry_bytes);
            if words.bytes() < needed {
                return Err(OpenError::RegionTooSmall { side, bytes: words.bytes(), needed });
            }
        }
        let terms = Terms { protocol, version };
        let outgoing_capacity = capacity(own.bytes(), size_of::<Tx>());
        // Another one than before, and than what the peer knows: the page may be left from a life that went wrong.
        let mut epoch = own.load(EPOCH).wrapping_add(1).max(1);
        if epoch == peer.load(LOOKED_AT) {
            epoch = epoch.wrapping_add(1).max(1);
        }
        own.store(JOINED, 0);
        terms.write(&own, outgoing_capacity, size_of::<Tx>());
        fence(Ordering::Release);
        own.store(EPOCH, epoch);
        // Two that start at the same time must not both miss each other: at least one sees the other's epoch, joins and
        // notifies. The fence is also a release fence, for the indices below.
        fence(Ordering::SeqCst);
        let mut link = Self {
            own,
            peer,
            notifier,
            terms,
            session: Session::Fresh,
            epoch,
            outgoing: Outgoing::empty(outgoing_capacity),
            incoming: Incoming::empty(0),
            counters: Counters::default(),
            entries: PhantomData,
        };
        link.reset_indices();
        Ok(link)
    }

    /// Both rings are empty.
    fn reset_indices(&mut self) {
        self.outgoing = Outgoing::empty(self.outgoing.capacity);
        self.incoming = Incoming::empty(self.incoming.capacity);
        self.own.store(PRODUCER, self.outgoing.produced);
        self.own.store(CONSUMER, self.incoming.consumed);
        self.own.store(WANTS_ENTRIES, self.incoming.sleep.number);
        self.own.store(WANTS_ROOM, self.outgoing.sleep.number);
    }

    /// To be called first in every turn. True if a session began: the peer came up, or came up anew. Then both rings are
    /// empty, but for entries that were pushed before its first session, and whatever was under way is lost.
    ///
    /// # Errors
    /// When the peer's header is wrong; said once, then the peer is ignored until it restarts.
    pub fn poll(&mut self) -> Result<bool, LinkError> {
        let epoch = self.peer.load(EPOCH);
        let last = match self.session {
            Session::Fresh => 0,
            Session::With { epoch, .. } | Session::Ended { epoch, .. } => epoch,
        };
        if epoch == 0 || epoch == last {
            return Ok(false);
        }
        // Pairs with the fence before the peer's store of its epoch: the header is as that start wrote it.
        fence(Ordering::Acquire);
        self.own.store(LOOKED_AT, epoch);
        match self.terms.check(&self.peer, size_of::<Rx>()) {
            Ok(capacity) => self.incoming.capacity = capacity,
            Err(cause) => {
                self.end(epoch, cause);
                return Err(cause);
            }
        }
        // What was pushed before the very first session stays: nobody can have seen it.
        if self.session != Session::Fresh {
            self.reset_indices();
        }
        fence(Ordering::Release);
        self.own.store(JOINED, epoch);
        self.session = Session::With { epoch, joined: false };
        self.counters.sessions += 1;
        self.notify();
        Ok(true)
    }

    /// Takes the oldest entry that the peer pushed. With `None`, the peer notifies when it pushes the next one.
    ///
    /// # Errors
    /// When the peer restarted or misbehaved; the same again until [`Link::poll`] joins its next epoch.
    pub fn pop(&mut self) -> Result<Option<Rx>, LinkError> {
        let Some(epoch) = self.current()? else { return Ok(None) };
        if self.incoming.produced == self.incoming.consumed && !self.look_for_entries()? {
            self.incoming.sleep.raise(&self.own, WANTS_ENTRIES);
            if !self.look_for_entries()? {
                return Ok(None);
            }
        }
        self.incoming.sleep.lower(&self.own, WANTS_ENTRIES);
        let slot = (self.incoming.consumed & (self.incoming.capacity - 1)) as usize * (size_of::<Rx>() / WORD);
        let mut entry = Aligned(Rx::new_zeroed());
        self.peer.read(SLOTS + slot, entry.0.as_mut_bytes());
        // A peer that restarted may already fill its slots anew.
        fence(Ordering::Acquire);
        if self.peer.load(EPOCH) != epoch {
            return Err(self.end(epoch, LinkError::Restarted));
        }
        self.incoming.consumed += 1;
        self.counters.popped += 1;
        // The entry is copied before the peer sees that its slot is free.
        fence(Ordering::Release);
        self.own.store(CONSUMER, self.incoming.consumed);
        // A producer that waits for room is woken when half the ring is free, not for each slot.
        if self.incoming.produced - self.incoming.consumed <= self.incoming.capacity / 2 {
            self.incoming.woken = self.wake(WANTS_ROOM, self.incoming.woken);
        }
        Ok(Some(entry.0))
    }

    /// Adds an entry, and wakes the peer if it sleeps.
    ///
    /// # Errors
    /// [`PushError::Full`] when there is no room; the peer notifies when it has made some. Otherwise as [`Link::pop`].
    pub fn push(&mut self, entry: &Tx) -> Result<(), PushError> {
        self.current()?;
        if !self.ensure_room(1)? {
            self.counters.full += 1;
            return Err(PushError::Full);
        }
        let slot = (self.outgoing.produced & (self.outgoing.capacity - 1)) as usize * (size_of::<Tx>() / WORD);
        let entry = Aligned(*entry);
        self.own.write(SLOTS + slot, entry.0.as_bytes());
        self.outgoing.produced += 1;
        self.counters.pushed += 1;
        // The entry is there before the peer sees the index.
        fence(Ordering::Release);
        self.own.store(PRODUCER, self.outgoing.produced);
        self.outgoing.woken = self.wake(WANTS_ENTRIES, self.outgoing.woken);
        Ok(())
    }

    /// Whether `entries` more entries fit now. If not, the peer notifies when it has made room. More than
    /// [`Link::capacity`] never fit; exactly as many fit when the peer has popped everything.
    ///
    /// # Errors
    /// As [`Link::pop`].
    pub fn reserve(&mut self, entries: usize) -> Result<bool, LinkError> {
        self.current()?;
        self.ensure_room(entries as u64)
    }

    /// How many entries fit now; 0 when nothing goes through. Does not ask the peer for anything.
    pub fn room(&mut self) -> usize {
        if self.current().is_err() || self.look_for_room().is_err() {
            return 0;
        }
        self.outgoing.room() as usize
    }

    /// Whether a look with [`Link::poll`] and [`Link::pop`] is worth while: the peer restarted, or an entry is there. Only a
    /// hint, for those who look often; it checks nothing and asks the peer for nothing.
    pub fn has_news(&self) -> bool {
        let epoch = match self.session {
            Session::Fresh => 0,
            Session::With { epoch, .. } | Session::Ended { epoch, .. } => epoch,
        };
        let ended = matches!(self.session, Session::Ended { .. });
        self.peer.load(EPOCH) != epoch || !ended && self.peer.load(PRODUCER) != self.incoming.consumed
    }

    /// Entries that the outgoing ring holds.
    pub fn capacity(&self) -> usize {
        self.outgoing.capacity as usize
    }

    /// Whether there is a session: the peer was there when this was last looked at.
    pub fn is_connected(&self) -> bool {
        matches!(self.session, Session::With { .. })
    }

    /// How often this end was opened since its region was made: 1 unless the program was restarted.
    pub fn starts(&self) -> u64 {
        self.epoch
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What wakes the peer.
    pub fn notifier(&self) -> &N {
        &self.notifier
    }

    /// The peer's epoch if there is a session, `None` if there was none yet.
    fn current(&self) -> Result<Option<u64>, LinkError> {
        match self.session {
            Session::Fresh => Ok(None),
            Session::With { epoch, .. } => Ok(Some(epoch)),
            Session::Ended { cause, .. } => Err(cause),
        }
    }

    fn end(&mut self, epoch: u64, cause: LinkError) -> LinkError {
        if cause != LinkError::Restarted {
            self.counters.misbehaved += 1;
        }
        self.session = Session::Ended { epoch, cause };
        cause
    }

    /// Whether the peer has joined this side's epoch, so that its words mean something.
    fn is_joined(&mut self) -> bool {
        let Session::With { joined, .. } = &mut self.session else { return false };
        if !*joined {
            *joined = self.peer.load(JOINED) == self.epoch;
            // Pairs with the fence before the peer's store: its indices are those of this session.
            fence(Ordering::Acquire);
        }
        *joined
    }

    /// Reads an index of the peer, 0 if it has not joined. It may be at most `capacity` ahead of `base`.
    fn peer_index(&mut self, word: usize, base: u64, own: u64, capacity: u64) -> Result<u64, LinkError> {
        let Session::With { epoch, .. } = self.session else { return Ok(0) };
        if !self.is_joined() {
            return Ok(0);
        }
        let index = self.peer.load(word);
        // Pairs with the peer's release fence before it stored the index: what that index speaks of is done. And pairs
        // with the one after a new epoch: an index from after a restart is found out.
        fence(Ordering::Acquire);
        if self.peer.load(EPOCH) != epoch {
            return Err(self.end(epoch, LinkError::Restarted));
        }
        if index.wrapping_sub(base) > capacity {
            return Err(self.end(epoch, LinkError::Misbehaved { index, own, capacity }));
        }
        Ok(index)
    }

    /// Looks how many entries the peer has pushed. True if there are any to pop.
    fn look_for_entries(&mut self) -> Result<bool, LinkError> {
        let Incoming { capacity, consumed, .. } = self.incoming;
        self.incoming.produced = self.peer_index(PRODUCER, consumed, consumed, capacity)?;
        Ok(self.incoming.produced != consumed)
    }

    /// Looks how many entries the peer has popped: at least as many as before, at most all.
    fn look_for_room(&mut self) -> Result<(), LinkError> {
        let Outgoing { produced, consumed, .. } = self.outgoing;
        self.outgoing.consumed = self.peer_index(CONSUMER, consumed, produced, produced - consumed)?;
        Ok(())
    }

    fn ensure_room(&mut self, entries: u64) -> Result<bool, LinkError> {
        if self.outgoing.room() < entries {
            self.look_for_room()?;
        }
        if self.outgoing.room() < entries {
            self.outgoing.sleep.raise(&self.own, WANTS_ROOM);
            self.look_for_room()?;
        }
        let fits = self.outgoing.room() >= entries;
        if fits {
            self.outgoing.sleep.lower(&self.own, WANTS_ROOM);
        }
        Ok(fits)
    }

    /// Notifies the peer if its flag `word` is raised for a sleep other than `woken`. Gives the sleep it is woken from.
    /// The fence pairs with the one in [`Sleep::raise`]: either this side sees the flag, or the peer what was written.
    fn wake(&mut self, word: usize, woken: u64) -> u64 {
        fence(Ordering::SeqCst);
        // A peer that joins after this looks at the indices before it sleeps.
        if !self.is_joined() {
            return woken;
        }
        let sleep = self.peer.load(word);
        if sleep == 0 || sleep == woken {
            return woken;
        }
        self.notify();
        sleep
    }

    fn notify(&mut self) {
        self.counters.notified += 1;
        self.notifier.notify();
    }
}

impl Outgoing {
    fn empty(capacity: u64) -> Self {
        Self { capacity, produced: 0, consumed: 0, sleep: Sleep::LOWERED, woken: 0 }
    }

    fn room(&self) -> u64 {
        self.capacity - (self.produced - self.consumed)
    }
}

impl Incoming {
    fn empty(capacity: u64) -> Self {
        Self { capacity, produced: 0, consumed: 0, sleep: Sleep::RAISED, woken: 0 }
    }
}

impl<Tx, Rx, N: fmt::Debug> fmt::Debug for Link<Tx, Rx, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("notifier", &self.notifier)
            .field("session", &self.session)
            .field("epoch", &self.epoch)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
