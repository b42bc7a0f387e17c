//! The sandbox is a program only; this library is empty so that the package is one like the others.
#![no_std]
#![forbid(unsafe_code)]
