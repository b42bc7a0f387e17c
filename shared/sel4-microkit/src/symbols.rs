//! What the composer writes into the finished ELF file of a protection domain.
//!
//! The composer finds these words by their symbols and overwrites their bytes in the file. So they lie in the read-only
//! section `.patched`, which a restart leaves alone, and are read in a way that the compiler cannot see through: to it
//! their initial values would otherwise be constants.

use core::str::Utf8Error;

use crate::ipc::ChannelSet;

/// A word that the composer writes. Used through [`var!`](crate::var) and
/// [`memory_region_symbol!`](crate::memory_region_symbol).
#[doc(hidden)]
#[repr(transparent)]
pub struct Patched<T>(T);

impl<T: Sync> Patched<T> {
    #[doc(hidden)]
    pub const fn new(default: T) -> Self {
        Self(default)
    }

    /// The value that the composer wrote.
    #[doc(hidden)]
    #[inline(always)]
    pub fn get(&'static self) -> &'static T {
        &opaque(self).0
    }
}

/// The same reference, of whose target the compiler knows nothing.
#[cfg(target_os = "none")]
#[inline(always)]
fn opaque<T>(reference: &'static T) -> &'static T {
    let mut pointer: *const T = reference;
    // SAFETY: no instruction is emitted, and the pointer that comes out is the one that went in.
    unsafe {
        core::arch::asm!("/* {0} */", inlateout(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        &*pointer
    }
}

/// Nothing patches a host program.
#[cfg(not(target_os = "none"))]
fn opaque<T>(reference: &'static T) -> &'static T {
    reference
}

/// Declares a variable that the composer writes (`setvar` and its kin), and gives `&'static T` to its value.
///
/// `var!(timeout_ns: u64 = 1_000)`: the symbol is `timeout_ns`; it keeps its default when the system description does not
/// name it.
#[macro_export]
macro_rules! var {
    ($(#[$attrs:meta])* $symbol:ident: $ty:ty = $default:expr) => {{
        $(#[$attrs])*
        #[allow(non_upper_case_globals)]
        #[cfg_attr(target_os = "none", unsafe(no_mangle))]
        #[cfg_attr(target_os = "none", unsafe(link_section = ".patched.var"))]
        static $symbol: $crate::_private::Patched<$ty> = $crate::_private::Patched::new($default);
        $symbol.get()
    }};
}

/// Declares a variable to which the composer writes the address of a mapped memory region (`setvar_vaddr`), and gives a
/// `NonNull` to the region: of `T` for `*mut T`, of `[T]` for `*mut [T], n = LENGTH`. With `bytes = SIZE` the size is
/// checked against the type's.
///
/// The program's notes say that the region must be mapped, and be as large as `T` (as one element of a slice, whose length
/// may not be known to the compiler; `*mut [T; LENGTH]` says it all). A region that may be left out is a `var!`.
///
/// Panics when the region is not mapped.
#[macro_export]
macro_rules! memory_region_symbol {
    ($(#[$attrs:meta])* $symbol:ident: *mut [$ty:ty], n = $n:expr, bytes = $bytes:expr $(,)?) => {{
        assert!($bytes == $n * ::core::mem::size_of::<$ty>());
        $crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut [$ty], n = $n)
    }};
    ($(#[$attrs:meta])* $symbol:ident: *mut [_], n = $n:expr $(,)?) => {
        ::core::ptr::NonNull::slice_from_raw_parts($crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut _), $n)
    };
    ($(#[$attrs:meta])* $symbol:ident: *mut _ $(,)?) => {{
        $crate::_private::note!($crate::_private::Note::region(::core::stringify!($symbol), 0));
        $crate::_memory_region_address!($(#[$attrs])* $symbol: _)
    }};
    ($(#[$attrs:meta])* $symbol:ident: *mut $ty:ty, bytes = $bytes:expr $(,)?) => {{
        assert!($bytes == ::core::mem::size_of::<$ty>());
        $crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut $ty)
    }};
    ($(#[$attrs:meta])* $symbol:ident: *mut [$ty:ty], n = $n:expr $(,)?) => {
        ::core::ptr::NonNull::slice_from_raw_parts($crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut $ty), $n)
    };
    ($(#[$attrs:meta])* $symbol:ident: *mut $ty:ty $(,)?) => {{
        $crate::_private::note!($crate::_private::Note::region(
            ::core::stringify!($symbol),
            ::core::mem::size_of::<$ty>()
        ));
        $crate::_memory_region_address!($(#[$attrs])* $symbol: $ty)
    }};
}

/// The address that the composer wrote, as `NonNull`.
#[doc(hidden)]
#[macro_export]
macro_rules! _memory_region_address {
    ($(#[$attrs:meta])* $symbol:ident: $ty:ty) => {
        ::core::ptr::NonNull::new(::core::ptr::with_exposed_provenance_mut::<$ty>(
            *$crate::var!($(#[$attrs])* $symbol: usize = 0),
        ))
        .unwrap_or_else(|| ::core::panic!("{} is null", ::core::stringify!($symbol)))
    };
}

/// Declares the words that Microkit writes into every protection domain. `#[used]` and the linker script's `KEEP` make
/// sure that they are there, for the composer refuses an ELF file without them.
macro_rules! microkit_symbols {
    ($($symbol:ident: $ty:ty = $default:expr;)*) => {
        $(
            #[allow(non_upper_case_globals)]
            #[used]
            #[cfg_attr(target_os = "none", unsafe(no_mangle))]
            #[cfg_attr(target_os = "none", unsafe(link_section = ".patched.microkit"))]
            static $symbol: Patched<$ty> = Patched(const { $default });
        )*
    };
}

microkit_symbols! {
    microkit_irqs: u64 = 0;
    microkit_notifications: u64 = 0;
    microkit_pps: u64 = 0;
    microkit_ioports: u64 = 0;
    microkit_name: [u8; 64] = [0; 64];
    microkit_passive: bool = false;
}

#[inline(always)]
pub(crate) fn pd_irqs() -> u64 {
    *microkit_irqs.get()
}

#[inline(always)]
pub(crate) fn pd_notifications() -> u64 {
    *microkit_notifications.get()
}

#[inline(always)]
pub(crate) fn pd_pps() -> u64 {
    *microkit_pps.get()
}

/// The interrupts of this protection domain.
pub(crate) fn irq_channels() -> ChannelSet {
    ChannelSet::from_bits(pd_irqs())
}

/// The channels on which this protection domain may notify its peers.
pub fn notification_channels() -> ChannelSet {
    ChannelSet::from_bits(pd_notifications())
}

/// Whether this protection domain is passive: it runs only on its callers' scheduling contexts.
pub fn pd_is_passive() -> bool {
    // SAFETY: the reference is valid for reads. The byte is read as an integer, so that no value of it can be wrong.
    unsafe { (&raw const microkit_passive.0).cast::<u8>().read_volatile() != 0 }
}

/// This protection domain's name in the system description.
pub fn pd_name_bytes() -> &'static [u8] {
    let bytes = microkit_name.get();
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..length]
}

/// This protection domain's name in the system description.
///
/// # Errors
/// When it is not UTF-8.
pub fn pd_name() -> Result<&'static str, Utf8Error> {
    core::str::from_utf8(pd_name_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpatched_variables_have_their_defaults() {
        assert_eq!(*var!(a_variable: u64 = 42), 42);
        assert_eq!(pd_name(), Ok(""));
        assert!(!pd_is_passive());
        assert_eq!(irq_channels().iter().count(), 0);
    }

    #[test]
    #[should_panic(expected = "another_region is null")]
    fn the_type_of_a_region_may_be_inferred() {
        let _: core::ptr::NonNull<u32> = memory_region_symbol!(another_region: *mut _);
    }

    #[test]
    #[should_panic(expected = "some_region is null")]
    fn an_unmapped_region_is_a_panic() {
        let _ = memory_region_symbol!(some_region: *mut [u32], n = 4, bytes = 16);
    }
}
