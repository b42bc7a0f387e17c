//! Any requests get their replies, whatever is on the disk. The input is requests of 48 bytes; the client's region is the input too.
#![no_main]

mod disk;

use std::sync::atomic::AtomicU8;

use disk::Disk;
use libfuzzer_sys::fuzz_target;
use protocols::storage::Request;
use storage::service::{Client, Mounts, SCRATCH_BYTES};
use zerocopy::FromBytes;

fuzz_target!(|bytes: &[u8]| {
    let mut disk = Disk::new(bytes, 512);
    let mut mounts = Box::new(Mounts::new());
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut client = Client::new("client0", true);
    let data: Vec<AtomicU8> = bytes.iter().take(4096).map(|byte| AtomicU8::new(*byte)).collect();
    let mut rest = bytes;
    for _ in 0..64 {
        let Ok((request, after)) = Request::read_from_prefix(rest) else { return };
        let reply = client.answer(&request, &data, &mut scratch, &mut mounts, &mut disk);
        assert_eq!((reply.kind, reply.id), (request.kind, request.id));
        rest = after;
    }
});
