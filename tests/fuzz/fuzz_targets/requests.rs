//! Any requests of clients of the model runner, and anything in their rings: it comes to rest, and runs only jobs whose
//! tensors lie where they may.
#![no_main]

#[path = "../../../pds/model-runner/tests/hostile/drive.rs"]
mod drive;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| drive::drive(bytes));
