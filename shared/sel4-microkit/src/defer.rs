//! Deferred actions: a notification or acknowledgement that goes along with the main loop's next system call.

use crate::abi::{label, message_word};
use crate::channel::{Channel, IrqAckError};

/// A notification or an acknowledgement to be made soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeferredAction {
    channel: Channel,
    interface: DeferredActionInterface,
}

/// What is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeferredActionInterface {
    /// [`Channel::notify`].
    Notify,
    /// [`Channel::irq_ack`].
    IrqAck,
}

impl DeferredAction {
    /// `interface` of `channel`.
    pub fn new(channel: Channel, interface: DeferredActionInterface) -> Self {
        Self { channel, interface }
    }

    /// Notify `channel`.
    pub fn new_notify(channel: Channel) -> Self {
        Self::new(channel, DeferredActionInterface::Notify)
    }

    /// Acknowledge the interrupt `channel`.
    pub fn new_irq_ack(channel: Channel) -> Self {
        Self::new(channel, DeferredActionInterface::IrqAck)
    }

    /// The channel.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// What is to be done with it.
    pub fn interface(&self) -> DeferredActionInterface {
        self.interface
    }

    /// Does it at once, with a system call of its own.
    ///
    /// # Errors
    /// As [`Channel::irq_ack`].
    pub fn execute_now(self) -> Result<(), IrqAckError> {
        match self.interface {
            DeferredActionInterface::Notify => {
                self.channel.notify();
                Ok(())
            }
            DeferredActionInterface::IrqAck => self.channel.irq_ack(),
        }
    }

    #[inline(always)]
    pub(crate) fn prepare(self) -> PreparedAction {
        match self.interface {
            DeferredActionInterface::Notify => PreparedAction { cptr: self.channel.notification(), word: 0 },
            DeferredActionInterface::IrqAck => {
                PreparedAction { cptr: self.channel.irq_handler(), word: message_word(label::IRQ_ACK, 0, 0) }
            }
        }
    }
}

/// A deferred action as the system call wants it: capability and message word.
#[derive(Clone, Copy)]
pub(crate) struct PreparedAction {
    pub(crate) cptr: u64,
    pub(crate) word: u64,
}

/// Room for one deferred action, for handlers to keep and to serve
/// [`Handler::take_deferred_action`](crate::Handler::take_deferred_action) from.
#[derive(Debug)]
pub struct DeferredActionSlot {
    inner: Option<DeferredAction>,
}

impl DeferredActionSlot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self { inner: None }
    }

    /// Empties the slot.
    pub fn take(&mut self) -> Option<DeferredAction> {
        self.inner.take()
    }

    /// Puts `action` in the slot. One that is already there is executed at once, so nothing is lost.
    ///
    /// # Errors
    /// As [`DeferredAction::execute_now`].
    pub fn defer(&mut self, action: DeferredAction) -> Result<(), IrqAckError> {
        match self.inner.replace(action) {
            Some(older) => older.execute_now(),
            None => Ok(()),
        }
    }

    /// [`DeferredActionSlot::defer`] of a notification.
    ///
    /// # Errors
    /// As [`DeferredAction::execute_now`].
    pub fn defer_notify(&mut self, channel: Channel) -> Result<(), IrqAckError> {
        self.defer(DeferredAction::new_notify(channel))
    }

    /// [`DeferredActionSlot::defer`] of an acknowledgement.
    ///
    /// # Errors
    /// As [`DeferredAction::execute_now`].
    pub fn defer_irq_ack(&mut self, channel: Channel) -> Result<(), IrqAckError> {
        self.defer(DeferredAction::new_irq_ack(channel))
    }
}

impl Default for DeferredActionSlot {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_gives_back_what_it_got_once() {
        let mut slot = DeferredActionSlot::new();
        assert_eq!(slot.defer_irq_ack(Channel::new(4)), Ok(()));
        assert_eq!(slot.take(), Some(DeferredAction::new_irq_ack(Channel::new(4))));
        assert_eq!(slot.take(), None);
    }

    #[test]
    #[should_panic(expected = "notify: the system description")]
    fn an_occupied_slot_executes_the_older_action() {
        let mut slot = DeferredActionSlot::new();
        let _ = slot.defer_notify(Channel::new(1));
        // The host has no kernel and no wiring: that the older action panics shows that it is executed.
        let _ = slot.defer_notify(Channel::new(2));
    }
}
