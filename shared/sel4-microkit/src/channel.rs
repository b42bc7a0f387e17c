//! Channels to other protection domains and to interrupts.

use core::fmt;

use crate::abi::{MAX_CHANNELS, label, slot};
use crate::invoke::{InvocationError, invoke_plain};
use crate::message::MessageInfo;
use crate::{ipc_buffer, symbols, sys};

/// This protection domain's end of a channel, or an interrupt; both are named by an id from the system description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    index: usize,
}

impl Channel {
    /// The channel end or interrupt with this id.
    ///
    /// # Panics
    /// When the id is above 61.
    #[inline(always)]
    pub const fn new(index: usize) -> Self {
        assert!(index < MAX_CHANNELS, "channel ids are below 62");
        Self { index }
    }

    /// A channel from a badge's bits; the kernel delivers only ids that the composer accepted.
    #[inline(always)]
    pub(crate) const fn from_badge(badge: u64) -> Self {
        Self { index: (badge & 0x3f) as usize }
    }

    /// The id.
    #[inline(always)]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The capability of one facet of this channel.
    #[inline(always)]
    fn cptr(self, facet: Facet) -> u64 {
        if facet.mask() >> self.index & 1 == 0 {
            missing_facet(facet, self.index);
        }
        facet.base_slot() + self.index as u64
    }

    #[inline(always)]
    pub(crate) fn notification(self) -> u64 {
        self.cptr(Facet::Notify)
    }

    #[inline(always)]
    pub(crate) fn irq_handler(self) -> u64 {
        self.cptr(Facet::IrqAck)
    }

    /// Notifies the peer. Never blocks; notifications that the peer has not yet seen add up to one.
    ///
    /// # Panics
    /// When this end of the channel may not notify.
    #[inline(always)]
    pub fn notify(&self) {
        sys::signal(self.notification());
    }

    /// Acknowledges the interrupt, so that it can be raised again.
    ///
    /// # Errors
    /// When the kernel refuses, which no correct system makes happen.
    ///
    /// # Panics
    /// When this is not an interrupt.
    #[inline(always)]
    pub fn irq_ack(&self) -> Result<(), IrqAckError> {
        match invoke_plain(self.irq_handler(), label::IRQ_ACK) {
            Ok(_) => Ok(()),
            Err(error) => Err(IrqAckError(error)),
        }
    }

    /// Calls the peer's [`Handler::protected`](crate::Handler::protected) and waits for its reply. The message registers
    /// go with the call, and hold the reply's afterwards.
    ///
    /// # Panics
    /// When this end of the channel may not call, or within a closure that holds the message registers.
    #[inline(always)]
    pub fn pp_call(&self, msg_info: MessageInfo) -> MessageInfo {
        let endpoint = self.cptr(Facet::PpCall);
        let buffer = ipc_buffer::locate();
        let registers = ipc_buffer::load_fast(buffer, msg_info.count() as u64);
        let (word, registers) = sys::call(endpoint, msg_info.word(), registers);
        let reply = MessageInfo::from_word(word);
        ipc_buffer::store_fast(buffer, reply.count() as u64, registers);
        reply
    }
}

/// What a channel can be used for, each with capabilities of its own.
#[derive(Clone, Copy)]
enum Facet {
    Notify,
    IrqAck,
    PpCall,
}

impl Facet {
    #[inline(always)]
    fn mask(self) -> u64 {
        match self {
            Self::Notify => symbols::pd_notifications(),
            Self::IrqAck => symbols::pd_irqs(),
            Self::PpCall => symbols::pd_pps(),
        }
    }

    const fn base_slot(self) -> u64 {
        match self {
            Self::Notify => slot::BASE_NOTIFICATION,
            Self::IrqAck => slot::BASE_IRQ,
            Self::PpCall => slot::BASE_ENDPOINT,
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::IrqAck => "irq_ack",
            Self::PpCall => "pp_call",
        }
    }
}

#[cold]
#[inline(never)]
fn missing_facet(facet: Facet, index: usize) -> ! {
    panic!("{}: the system description does not give this to channel {index}", facet.method())
}

/// The kernel refused to acknowledge an interrupt.
#[derive(Debug, PartialEq, Eq)]
pub struct IrqAckError(InvocationError);

impl fmt::Display for IrqAckError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "acknowledging an interrupt failed: {}", self.0)
    }
}

impl core::error::Error for IrqAckError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "below 62")]
    fn ids_are_bounded() {
        Channel::new(62);
    }

    #[test]
    #[should_panic(expected = "notify: the system description")]
    fn an_unwired_channel_cannot_notify() {
        Channel::new(3).notify();
    }

    #[test]
    #[should_panic(expected = "pp_call: the system description")]
    fn an_unwired_channel_cannot_call() {
        Channel::new(3).pp_call(MessageInfo::default());
    }
}
