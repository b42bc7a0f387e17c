//! Panics: the hook, and the fault that a panic ends in.
//!
//! A protection domain that panics runs its hook and then executes an illegal instruction, so that its parent, or the
//! default handler, sees a fault. In the debug configuration the default hook prints the domain's name, the place and
//! the message; in release there is no console to print on.

use core::panic::PanicInfo;
pub use core::panic::UnwindSafe;

/// What runs when the protection domain panics.
pub type PanicHook = &'static (dyn Fn(&PanicInfo) + Send + Sync);

/// Runs `f`. Panics end the protection domain instead of unwinding, so this always returns `Ok`; it exists for source
/// compatibility.
///
/// # Errors
/// None.
#[allow(clippy::result_unit_err, reason = "the API to be compatible with has this type")]
pub fn catch_unwind<R, F: FnOnce() -> R + UnwindSafe>(f: F) -> Result<R, ()> {
    Ok(f())
}

#[cfg(target_os = "none")]
pub(crate) use bare::abort_with;
#[cfg(target_os = "none")]
pub use bare::set_hook;

#[cfg(target_os = "none")]
mod bare {
    use super::PanicHook;
    use core::cell::Cell;
    use core::fmt::Display;
    use core::panic::PanicInfo;

    struct State {
        hook: Cell<Option<PanicHook>>,
        panicking: Cell<bool>,
    }

    // SAFETY: a protection domain has one thread.
    unsafe impl Sync for State {}

    static STATE: State = State { hook: Cell::new(None), panicking: Cell::new(false) };

    /// Sets what runs when the protection domain panics, in place of the default.
    ///
    /// # Panics
    /// When it was set before.
    pub fn set_hook(hook: PanicHook) {
        if STATE.hook.replace(Some(hook)).is_some() {
            panic!("the panic hook is already set");
        }
    }

    #[panic_handler]
    fn panic(info: &PanicInfo) -> ! {
        match STATE.hook.get() {
            // A panic within the hook must not run it again.
            Some(hook) if !STATE.panicking.replace(true) => hook(info),
            _ => default_hook(info),
        }
        abort()
    }

    fn default_hook(info: &PanicInfo) {
        crate::debug_println!("{}: {info}", crate::pd_name().unwrap_or("?"));
        #[cfg(not(feature = "debug"))]
        let _ = info;
    }

    /// Ends the protection domain in a fault, after saying why.
    pub(crate) fn abort_with(reason: &dyn Display) -> ! {
        crate::debug_println!("{}: ended with an error: {reason}", crate::pd_name().unwrap_or("?"));
        #[cfg(not(feature = "debug"))]
        let _ = reason;
        abort()
    }

    /// Ends the protection domain in a fault.
    #[inline(always)]
    fn abort() -> ! {
        // SAFETY: `unimp` is an illegal instruction: the kernel stops this thread here, and a restart begins elsewhere.
        unsafe { core::arch::asm!("unimp", options(noreturn, nomem, nostack)) }
    }
}
