//! Boots the systems in tests/systems under QEMU and checks what they print.

fn main() {}
