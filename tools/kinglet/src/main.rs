//! Host commands: expand a system description, finish PD ELFs, run images.

fn main() {}
