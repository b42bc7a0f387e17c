//! Tests on the host: a machine of arrays, systems of a few PDs, and a checker of what must always hold.

mod boot;
mod budgets;
mod explore;
mod faults;
mod invariants;
mod ipc;
mod random;
mod threads;
mod world;
