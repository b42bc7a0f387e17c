//! The main loop of a protection domain.

use core::fmt;

use crate::channel::Channel;
use crate::child::Child;
use crate::defer::{DeferredAction, PreparedAction};
use crate::ipc::{self, ChannelSet, Event};
use crate::message::MessageInfo;
use crate::{ipc_buffer, symbols};

pub use core::convert::Infallible;

/// What a protection domain does with what it receives. An error ends it, in a fault that its parent sees.
pub trait Handler {
    /// Why the protection domain ended.
    type Error: fmt::Display;

    /// Notifications and interrupts have arrived; `channels` are all that were pending.
    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        panic!("unexpected notification from channels {}", channels.display())
    }

    /// The peer of `channel` calls and waits; its message is in the message registers, the reply's go there.
    fn protected(&mut self, channel: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Self::Error> {
        panic!("unexpected protected call on channel {} with {msg_info:?}", channel.index())
    }

    /// A child has faulted. A reply lets it go on as the kernel defines for the fault; with `None` it stays stopped.
    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Self::Error> {
        panic!("unexpected fault of child {} with {msg_info:?}", child.index())
    }

    /// An action to fuse with the next receive. It is done before anything else is received.
    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        None
    }

    /// Receives and dispatches until a handler fails.
    #[doc(hidden)]
    fn run(&mut self) -> Result<Never, Self::Error> {
        let mut pending_reply: Option<MessageInfo> = None;
        let mut pending_action: Option<PreparedAction> = symbols::pd_is_passive().then_some(ipc::FORFEIT_SCHED_CONTEXT);
        acknowledge_irqs();
        let buffer = ipc_buffer::locate();
        loop {
            let event = match (pending_reply.take(), pending_action.take()) {
                (Some(reply), action) => {
                    if let Some(action) = action {
                        ipc::send(action);
                    }
                    ipc::reply_recv_at(buffer, reply)
                }
                (None, Some(action)) => ipc::nb_send_recv_at(buffer, action),
                (None, None) => ipc::recv_at(buffer),
            };
            match event {
                Event::Notified(channels) => self.notified(channels)?,
                Event::Protected(channel, msg_info) => pending_reply = Some(self.protected(channel, msg_info)?),
                Event::Fault(child, msg_info) => pending_reply = self.fault(child, msg_info)?,
            }
            pending_action = self.take_deferred_action().map(DeferredAction::prepare);
        }
    }
}

/// An interrupt that was pending before this protection domain ran has not reached it; acknowledging makes it come again.
fn acknowledge_irqs() {
    for channel in symbols::irq_channels().iter() {
        // No capability is missing here, and a refusal must not keep a driver from running.
        let _ = channel.irq_ack();
    }
}

/// The type without values: what [`Handler::run`] returns when it does not fail.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

impl Handler for Never {
    type Error = Infallible;
}

/// A handler for protection domains that expect nothing. Anything that arrives is a panic.
#[derive(Debug)]
pub struct NullHandler(());

impl NullHandler {
    /// The handler.
    #[allow(clippy::new_without_default, reason = "the API to be compatible with has no Default here")]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Handler for NullHandler {
    type Error = Infallible;
}

#[cfg(feature = "alloc")]
impl<T: Handler + ?Sized> Handler for alloc::boxed::Box<T> {
    type Error = T::Error;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        (**self).notified(channels)
    }

    fn protected(&mut self, channel: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Self::Error> {
        (**self).protected(channel, msg_info)
    }

    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Self::Error> {
        (**self).fault(child, msg_info)
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        (**self).take_deferred_action()
    }
}
