//! Any bytes on the line are frames or are dropped: the root of trust answers the next request as if nothing had been, and the
//! driver believes nothing that is not whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rot_core::device::{Device, Start};
use rot_core::server::Server;
use rot_core::storage::{ERASED, FLASH_BYTES, Flash, FlashError};
use rot_mailbox::mailbox::Mailbox;
use rot_protocol::command;
use rot_protocol::frame::{Decoder, Frame, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};

struct Memory(Vec<u8>);

impl Flash for Memory {
    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), FlashError> {
        bytes.copy_from_slice(&self.0[offset..offset + bytes.len()]);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashError> {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let start = Start { strap: true, entropy: [1; 32], implementation_id: [0; 32], version: [0; 3] };
    let mut server = Server::new(Device::new(Memory(vec![ERASED; FLASH_BYTES]), start));
    let mut reply = [0; MAX_REPLY_BYTES];
    for byte in bytes {
        server.receive(*byte, &mut reply);
    }
    let mut line = [0; MAX_REQUEST_BYTES];
    let length = Frame::request(7, command::SYNC, b"12345678").encode(&mut line).expect("it fits");
    let answers: Vec<usize> = line[..length].iter().filter_map(|byte| server.receive(*byte, &mut reply)).collect();
    let mut decoder = Decoder::<MAX_REPLY_BYTES>::new();
    let answered = reply[..answers[answers.len() - 1]].iter().any(|byte| match decoder.push(*byte) {
        Some(Ok(frame)) => frame.id == 7 && frame.data == b"12345678",
        _ => false,
    });
    assert!(answered);

    let mut mailbox = Mailbox::new();
    mailbox.start(0);
    for byte in bytes {
        assert!(mailbox.receive(*byte, 0).is_none(), "nothing was asked");
    }
});
