//! An app in C: its files are linked in by `make apps`, and `main` is theirs.
#![no_std]
#![no_main]

// The start, and the functions of kinglet.h.
use kinglet as _;
