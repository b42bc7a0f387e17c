//! The protection-domain runtime, with the public API of rust-sel4's crate of that name.
//!
//! A protection domain is a program without operating system that the composer wires into a system:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! use sel4_microkit::{NullHandler, debug_println, protection_domain};
//!
//! #[protection_domain]
//! fn init() -> NullHandler {
//!     debug_println!("hello");
//!     NullHandler::new()
//! }
//! ```
//!
//! Source that keeps to the names of the official crate compiles against either. Additions of this implementation are
//! [`caps`], [`counters`], [`ENTRY`], [`DEBUG`], the fields, methods and text of [`Fault`] and the methods of [`Child`] that act on the child.
//!
//! The same ELF file runs under Microkit's seL4 and under the built-in kernel. It is linked by `pd.ld` beside this crate's
//! manifest (see `.cargo/config.toml`) and finished by `kinglet finish`. On the host the crate compiles too, so that
//! libraries over it can be tested: message registers are then per thread, and a system call is a panic.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod abi;
pub mod caps;
mod channel;
mod child;
pub mod counters;
mod defer;
#[cfg(target_os = "none")]
mod entry;
mod fault;
mod handler;
mod heap;
mod invoke;
pub mod ipc;
mod ipc_buffer;
mod message;
pub mod panicking;
mod printing;
mod symbols;
mod sys;

pub use channel::{Channel, IrqAckError};
pub use child::Child;
pub use defer::{DeferredAction, DeferredActionInterface, DeferredActionSlot};
pub use fault::{CapFault, Fault, Timeout, UnknownSyscall, UserException, VmFault};
pub use handler::{Handler, Infallible, Never, NullHandler};
pub use invoke::InvocationError;
pub use ipc::{ChannelSet, DisplayChannelSet};
pub use message::{
    MessageInfo, MessageLabel, MessageRegisterValue, get_mr, set_mr, with_msg_bytes, with_msg_bytes_mut, with_msg_regs,
    with_msg_regs_mut,
};
pub use sel4_microkit_macros::protection_domain;
pub use symbols::{notification_channels, pd_is_passive, pd_name, pd_name_bytes};

/// Where every protection domain of this runtime begins, at boot and at each restart.
pub const ENTRY: u64 = 0x20_0000;

/// Whether this is the debug configuration, in which there is a kernel console to print on.
pub const DEBUG: bool = cfg!(feature = "debug");

/// First word of the section `.data_image` once `kinglet finish` has put the initial contents of `.data` behind it.
pub const DATA_IMAGE_MAGIC: u64 = u64::from_le_bytes(*b"KNGLDATA");

/// What `#[protection_domain]` expands to: `declare_protection_domain! { init = FUNCTION, heap_size = …, stack_size = … }`.
///
/// The composer gives the stack. `stack_size` is the least that the system description must give: it goes into the
/// program's note, which `kinglet check` reads.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_protection_domain {
    (init = $init:expr $(,)?) => {
        $crate::declare_protection_domain! { init = $init, stack_size = 0 }
    };
    (init = $init:expr, stack_size = $stack_size:expr $(,)?) => {
        $crate::_private::note!($crate::_private::Note::program($stack_size));
        #[allow(non_snake_case)]
        #[unsafe(no_mangle)]
        extern "C" fn __sel4_microkit__main() -> ! {
            $crate::_private::run_main($init)
        }
    };
    (init = $init:expr, heap_size = $heap_size:expr $(,)?) => {
        $crate::declare_protection_domain! { init = $init, stack_size = 0, heap_size = $heap_size }
    };
    (init = $init:expr, stack_size = $stack_size:expr, heap_size = $heap_size:expr $(,)?) => {
        const _: () = {
            #[global_allocator]
            static HEAP: $crate::_private::StaticHeap<{ $heap_size }> = $crate::_private::StaticHeap::new();
        };
        $crate::declare_protection_domain! { init = $init, stack_size = $stack_size }
    };
    (init = $init:expr, heap_size = $heap_size:expr, stack_size = $stack_size:expr $(,)?) => {
        $crate::declare_protection_domain! { init = $init, stack_size = $stack_size, heap_size = $heap_size }
    };
}

#[doc(hidden)]
pub mod _private {
    #[cfg(target_os = "none")]
    pub use crate::entry::run_main;
    pub use crate::heap::StaticHeap;
    #[cfg(feature = "debug")]
    pub use crate::printing::print;
    pub use crate::symbols::Patched;
    pub use interface_notes::{Note, note};
}
