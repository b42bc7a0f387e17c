//! Messages: the message word and the message registers.

use zerocopy::IntoBytes;

use crate::abi::{COUNT_MASK, LABEL_SHIFT, LABEL_WIDTH, MAX_MESSAGE_REGISTERS};
use crate::fault::Fault;
use crate::ipc_buffer;

/// A message's label; [`MessageInfo::label_width`] bits of it count.
pub type MessageLabel = u64;

/// What a message register holds.
pub type MessageRegisterValue = u64;

/// What a message says about itself: its label and how many message registers it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageInfo {
    word: u64,
}

impl MessageInfo {
    /// A message with `count` message registers, at most 120.
    ///
    /// # Panics
    /// When the label or the count does not fit.
    #[inline(always)]
    pub const fn new(label: MessageLabel, count: usize) -> Self {
        assert!(label < 1 << LABEL_WIDTH, "a message's label has 52 bits");
        assert!(count <= MAX_MESSAGE_REGISTERS, "a message has at most 120 registers");
        Self { word: label << LABEL_SHIFT | count as u64 }
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self { word }
    }

    #[inline(always)]
    pub(crate) const fn word(&self) -> u64 {
        self.word
    }

    /// The label.
    #[inline(always)]
    pub const fn label(&self) -> MessageLabel {
        self.word >> LABEL_SHIFT
    }

    /// How many bits of a [`MessageLabel`] count.
    pub const fn label_width() -> usize {
        LABEL_WIDTH
    }

    /// How many message registers the message has. A sender can claim up to 127; only 120 exist.
    #[inline(always)]
    pub const fn count(&self) -> usize {
        (self.word & COUNT_MASK) as usize
    }

    /// Reads this message, just delivered to [`Handler::fault`](crate::Handler::fault), as the fault of a child.
    pub fn fault(&self) -> Fault {
        with_msg_regs(|registers| Fault::from_message(self.label(), self.count(), registers))
    }
}

impl Default for MessageInfo {
    /// Label 0, no message registers.
    fn default() -> Self {
        Self::new(0, 0)
    }
}

/// Lends all 120 message registers, whatever the last message's count.
///
/// # Panics
/// Within [`with_msg_regs_mut`] or [`with_msg_bytes_mut`].
#[inline(always)]
pub fn with_msg_regs<T>(f: impl FnOnce(&[MessageRegisterValue]) -> T) -> T {
    ipc_buffer::with_registers(|registers| f(registers))
}

/// Lends all 120 message registers for writing.
///
/// # Panics
/// Within another function of this family. System calls panic within this one.
#[inline(always)]
pub fn with_msg_regs_mut<T>(f: impl FnOnce(&mut [MessageRegisterValue]) -> T) -> T {
    ipc_buffer::with_registers_mut(|registers| f(registers))
}

/// Lends the message registers as 960 bytes.
///
/// # Panics
/// As [`with_msg_regs`].
#[inline(always)]
pub fn with_msg_bytes<T>(f: impl FnOnce(&[u8]) -> T) -> T {
    ipc_buffer::with_registers(|registers| f(registers.as_bytes()))
}

/// Lends the message registers as 960 bytes for writing.
///
/// # Panics
/// As [`with_msg_regs_mut`].
#[inline(always)]
pub fn with_msg_bytes_mut<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    ipc_buffer::with_registers_mut(|registers| f(registers.as_mut_bytes()))
}

/// Sets a message register of the message to be sent.
///
/// # Panics
/// When `i` is above 119, or within a closure that holds the message registers.
#[inline(always)]
pub fn set_mr(i: usize, value: MessageRegisterValue) {
    ipc_buffer::set(i, value);
}

/// Reads a message register of the message last received.
///
/// # Panics
/// When `i` is above 119, or within a closure that holds the message registers for writing.
#[inline(always)]
pub fn get_mr(i: usize) -> MessageRegisterValue {
    ipc_buffer::get(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_holds_label_and_count() {
        let info = MessageInfo::new((1 << 52) - 1, 120);
        assert_eq!((info.label(), info.count()), ((1 << 52) - 1, 120));
        assert_eq!(info.word(), 0xffff_ffff_ffff_f078);
        assert_eq!(MessageInfo::default().word(), 0);
    }

    #[test]
    #[should_panic(expected = "52 bits")]
    fn a_wide_label_is_refused() {
        MessageInfo::new(1 << 52, 0);
    }

    #[test]
    #[should_panic(expected = "at most 120")]
    fn a_long_message_is_refused() {
        MessageInfo::new(0, 121);
    }

    #[test]
    fn registers_and_bytes_are_the_same_memory() {
        set_mr(0, 0x0807_0605_0403_0201);
        set_mr(119, 7);
        assert_eq!(get_mr(119), 7);
        with_msg_bytes(|bytes| {
            assert_eq!(bytes.len(), 960);
            assert_eq!(&bytes[..8], &[1, 2, 3, 4, 5, 6, 7, 8]);
        });
        with_msg_bytes_mut(|bytes| bytes[8] = 9);
        assert_eq!(get_mr(1), 9);
    }

    #[test]
    fn shared_borrows_nest() {
        set_mr(3, 5);
        assert_eq!(with_msg_regs(|a| with_msg_regs(|b| a[3] + b[3]) + get_mr(3)), 15);
        set_mr(3, 6);
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn writing_under_a_borrow_is_refused() {
        with_msg_regs(|_| set_mr(0, 1));
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn exclusive_borrows_do_not_nest() {
        with_msg_regs_mut(|_| with_msg_regs_mut(|_| ()));
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn no_system_call_under_a_borrow() {
        with_msg_regs(|_| ipc_buffer::load_fast(ipc_buffer::locate(), 1));
    }
}
