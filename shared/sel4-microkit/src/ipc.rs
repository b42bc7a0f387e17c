//! Receiving and replying, for protection domains that do not use the main loop of [`Handler`](crate::Handler).

use core::fmt;

use crate::abi::{CALL_BADGE, FAULT_BADGE, slot};
use crate::channel::Channel;
use crate::child::Child;
use crate::defer::PreparedAction;
use crate::ipc_buffer::{self, Location};
use crate::message::MessageInfo;
use crate::sys::{self, Received};

/// What a protection domain receives.
#[derive(Clone, Debug)]
pub enum Event {
    /// Notifications and interrupts, all that were pending at once.
    Notified(ChannelSet),
    /// A protected call, to be replied to.
    Protected(Channel, MessageInfo),
    /// A fault of a child, which waits for a reply or a restart.
    Fault(Child, MessageInfo),
}

impl Event {
    #[inline(always)]
    fn from_received(location: Location, received: Received) -> Self {
        let Received { badge, info, registers } = received;
        if badge & (CALL_BADGE | FAULT_BADGE) == 0 {
            return Self::Notified(ChannelSet(badge));
        }
        let message = MessageInfo::from_word(info);
        ipc_buffer::store_fast(location, message.count() as u64, registers);
        if badge & CALL_BADGE != 0 {
            Self::Protected(Channel::from_badge(badge), message)
        } else {
            Self::Fault(Child::new((badge & 0xff) as usize), message)
        }
    }
}

/// A set of channels and interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelSet(u64);

impl ChannelSet {
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether `channel` is in the set.
    #[inline(always)]
    pub fn contains(&self, channel: Channel) -> bool {
        self.0 >> channel.index() & 1 != 0
    }

    /// The channels of the set, lowest id first.
    #[inline(always)]
    pub fn iter(&self) -> ChannelSetIter {
        ChannelSetIter(self.0)
    }

    /// The set as `{1, 5}`.
    pub fn display(&self) -> DisplayChannelSet<'_> {
        DisplayChannelSet(self)
    }
}

/// See [`ChannelSet::iter`].
#[derive(Clone, Debug)]
pub struct ChannelSetIter(u64);

impl Iterator for ChannelSetIter {
    type Item = Channel;

    #[inline(always)]
    fn next(&mut self) -> Option<Channel> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(Channel::from_badge(u64::from(index)))
    }
}

/// See [`ChannelSet::display`].
#[derive(Debug)]
pub struct DisplayChannelSet<'a>(&'a ChannelSet);

impl fmt::Display for DisplayChannelSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{")?;
        for (position, channel) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}", channel.index())?;
        }
        f.write_str("}")
    }
}

/// Replies to the protected call or fault last received.
pub fn reply(msg_info: MessageInfo) {
    let registers = ipc_buffer::load_fast(ipc_buffer::locate(), msg_info.count() as u64);
    sys::send(slot::REPLY, msg_info.word(), registers);
}

/// Waits for the next event. A call or fault that was not replied to then never will be.
#[inline(always)]
pub fn recv() -> Event {
    recv_at(ipc_buffer::locate())
}

/// Replies to the protected call or fault last received, then waits for the next event.
#[inline(always)]
pub fn reply_recv(msg_info: MessageInfo) -> Event {
    reply_recv_at(ipc_buffer::locate(), msg_info)
}

/// [`recv`], for who knows where the buffer is.
#[inline(always)]
pub(crate) fn recv_at(location: Location) -> Event {
    ipc_buffer::assert_unborrowed();
    Event::from_received(location, sys::recv(slot::INPUT, slot::REPLY))
}

/// [`reply_recv`], for who knows where the buffer is.
#[inline(always)]
pub(crate) fn reply_recv_at(location: Location, msg_info: MessageInfo) -> Event {
    let registers = ipc_buffer::load_fast(location, msg_info.count() as u64);
    Event::from_received(location, sys::reply_recv(slot::INPUT, msg_info.word(), registers, slot::REPLY))
}

/// Does a deferred action, then waits for the next event, in one system call.
#[inline(always)]
pub(crate) fn nb_send_recv_at(location: Location, action: PreparedAction) -> Event {
    ipc_buffer::assert_unborrowed();
    Event::from_received(location, sys::nb_send_recv(action.cptr, action.word, slot::INPUT, slot::REPLY))
}

/// Does a deferred action with a system call of its own.
#[inline(always)]
pub(crate) fn send(action: PreparedAction) {
    sys::send(action.cptr, action.word, [0; 4]);
}

/// How a passive protection domain says that it is initialised and gives up its scheduling context.
pub(crate) const FORFEIT_SCHED_CONTEXT: PreparedAction = PreparedAction { cptr: slot::MONITOR, word: 0 };

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn event(badge: u64, info: u64) -> Event {
        Event::from_received(ipc_buffer::locate(), Received { badge, info, registers: [11, 12, 13, 14] })
    }

    #[test]
    fn badges_tell_events_apart() {
        assert!(matches!(event(0b101, 0), Event::Notified(set) if set == ChannelSet(0b101)));
        let Event::Protected(channel, message) = event(CALL_BADGE | 61, 7 << 12 | 2) else { panic!() };
        assert_eq!((channel.index(), message.label(), message.count()), (61, 7, 2));
        assert_eq!(crate::get_mr(1), 12);
        let Event::Fault(child, _) = event(FAULT_BADGE | 3, 0) else { panic!() };
        assert_eq!(child.index(), 3);
    }

    #[test]
    fn an_empty_message_leaves_the_registers_alone() {
        crate::set_mr(0, 99);
        let _ = event(CALL_BADGE, 5 << 12);
        assert_eq!(crate::get_mr(0), 99);
    }

    #[test]
    fn sets_iterate_from_the_lowest_id() {
        let set = ChannelSet(1 << 61 | 1 << 7 | 1);
        let indices: Vec<_> = set.iter().map(|channel| channel.index()).collect();
        assert_eq!(indices, [0, 7, 61]);
        assert_eq!(set.display().to_string(), "{0, 7, 61}");
        assert_eq!(ChannelSet(0).display().to_string(), "{}");
        assert!(set.contains(Channel::new(7)) && !set.contains(Channel::new(8)));
    }
}
