//! Printing on the kernel's console, in the debug configuration only.

/// Prints in the debug configuration; in release the arguments are checked but not evaluated.
#[cfg(feature = "debug")]
#[macro_export]
macro_rules! debug_print {
    ($($arg:tt)*) => { $crate::_private::print(::core::format_args!($($arg)*)) };
}

/// Prints a line in the debug configuration; in release the arguments are checked but not evaluated.
#[cfg(feature = "debug")]
#[macro_export]
macro_rules! debug_println {
    () => { $crate::debug_print!("\n") };
    ($($arg:tt)*) => { $crate::debug_print!("{}\n", ::core::format_args!($($arg)*)) };
}

/// Prints in the debug configuration; in release the arguments are checked but not evaluated.
#[cfg(not(feature = "debug"))]
#[macro_export]
macro_rules! debug_print {
    ($($arg:tt)*) => {
        if false {
            let _ = ::core::format_args!($($arg)*);
        }
    };
}

/// Prints a line in the debug configuration; in release the arguments are checked but not evaluated.
#[cfg(not(feature = "debug"))]
#[macro_export]
macro_rules! debug_println {
    () => { () };
    ($($arg:tt)*) => { $crate::debug_print!($($arg)*) };
}

#[cfg(all(feature = "debug", target_os = "none"))]
mod console {
    use core::fmt;

    struct Console;

    impl fmt::Write for Console {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            text.bytes().for_each(crate::sys::debug_put_char);
            Ok(())
        }
    }

    /// Prints on the kernel's console.
    pub fn print(arguments: fmt::Arguments) {
        // The console itself never fails; an argument's own formatting may, and then the text ends there.
        let _ = fmt::write(&mut Console, arguments);
    }
}

#[cfg(all(feature = "debug", not(target_os = "none")))]
mod console {
    /// Prints on the standard error stream, as a host program has no kernel console.
    pub fn print(arguments: core::fmt::Arguments) {
        std::eprint!("{arguments}");
    }
}

#[cfg(feature = "debug")]
pub use console::print;
