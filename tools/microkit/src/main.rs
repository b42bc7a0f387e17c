//! The composer: Microkit's command line over the built-in kernel.

fn main() {}
