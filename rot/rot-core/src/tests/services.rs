//! What each command does, and what it refuses.

use super::*;
use crate::server::Server;
use crate::{measure, self_test, token};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::Decoder;
use proptest::prelude::*;
use rot_protocol::data::{Info, Key, LogHead, Measurement, SelfTest, Verify};
use rot_protocol::frame::{self, Frame, MAX_REPLY_BYTES};
use rot_protocol::{MAX_COUNTERS, MAX_KEYS, MAX_LOG, command, status};
use zerocopy::IntoBytes;

fn device() -> Device<FakeFlash> {
    Device::new(provisioned(), start(false))
}

fn verify(key: &SigningKey, digest: [u8; 32]) -> Verify {
    let kid = bundle::key_id(key.verifying_key().as_bytes());
    let signature = key.sign(&bundle::sig_structure(&kid, &digest)).to_bytes();
    Verify { kid, digest, signature }
}

#[test]
fn all_algorithms_give_their_known_answers() {
    assert_eq!(self_test::algorithms(), 0);
    let mut device = device();
    let result = SelfTest::read_from_bytes(&run(&mut device, command::SELF_TEST, &[]).unwrap()).unwrap();
    assert_eq!((result.tests.get(), result.failed.get()), (6, 0));
    // State that was changed behind the device's back is found.
    device.flash().bytes.borrow_mut()[4096 + 80] ^= 1;
    device.flash().bytes.borrow_mut()[80] ^= 1;
    let result = SelfTest::read_from_bytes(&run(&mut device, command::SELF_TEST, &[]).unwrap()).unwrap();
    assert_eq!(result.failed.get(), 0b10_0000);
}

#[test]
fn without_the_strap_nothing_is_provisioned_and_most_is_refused() {
    let mut device = Device::new(FakeFlash::new(), start(false));
    for code in [command::RANDOM, command::QUOTE, command::VERIFY, command::COUNTER_READ, command::KEYS, 0] {
        assert_eq!(run(&mut device, code, &[]), Err(status::NOT_PROVISIONED));
    }
    assert!(run(&mut device, command::EXTEND, Measurement::new(0, "kernel", [1; 32]).as_bytes()).is_ok());
    let blind = Device::new(FakeFlash::new(), Start { entropy: [0; 32], ..start(true) });
    assert_eq!(run(&mut { blind }, command::KEYS, &[]), Err(status::NOT_PROVISIONED), "no key without entropy");
}

#[test]
fn publishers_are_enrolled_before_the_boot_ends_and_with_the_strap_only() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let public = key.verifying_key().to_bytes();
    let good = verify(&key, [3; 32]);
    let flash = provisioned();

    let mut running = Device::new(flash.again(), start(false));
    assert_eq!(run(&mut running, command::ENROLL, &public), Err(status::NOT_NOW));
    assert_eq!(run(&mut running, command::VERIFY, good.as_bytes()), Err(status::UNKNOWN_KEY));

    let mut strapped = Device::new(flash.again(), start(true));
    assert_eq!(run(&mut strapped, command::ENROLL, &public[1..]), Err(status::BAD_LENGTH));
    assert_eq!(run(&mut strapped, command::ENROLL, &[0; 32]), Err(status::BAD_ARGUMENT), "a weak key");
    assert_eq!(run(&mut strapped, command::ENROLL, &public).unwrap(), good.kid);
    assert_eq!(run(&mut strapped, command::ENROLL, &public).unwrap(), good.kid, "twice is once");
    assert_eq!(run(&mut strapped, command::VERIFY, good.as_bytes()), Ok(vec![]));
    run(&mut strapped, command::END_BOOT, &[]).unwrap();
    assert_eq!(run(&mut strapped, command::REVOKE, &good.kid), Err(status::NOT_NOW));

    let mut later = Device::new(flash.again(), start(true));
    assert_eq!(run(&mut later, command::VERIFY, good.as_bytes()), Ok(vec![]));
    assert_eq!(run(&mut later, command::REVOKE, &[1; 8]), Err(status::UNKNOWN_KEY));
    run(&mut later, command::REVOKE, &good.kid).unwrap();
    assert_eq!(run(&mut later, command::VERIFY, good.as_bytes()), Err(status::REVOKED_KEY));
    assert_eq!(run(&mut later, command::ENROLL, &public), Err(status::REVOKED_KEY), "revoked is for good");
    let keys = run(&mut Device::new(flash, start(false)), command::KEYS, &[]).unwrap();
    assert_eq!(<[Key]>::ref_from_bytes(&keys).unwrap(), [Key { public, revoked: 1 }]);
}

#[test]
fn there_is_room_for_so_many_keys_and_counters() {
    let mut device = Device::new(provisioned(), start(true));
    for seed in 0..=MAX_KEYS as u8 {
        let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
        let expected = if usize::from(seed) < MAX_KEYS { Ok(()) } else { Err(status::NO_SPACE) };
        assert_eq!(run(&mut device, command::ENROLL, key.as_bytes()).map(|_| ()), expected);
    }
    for id in 0..=MAX_COUNTERS as u8 {
        let expected = if usize::from(id) < MAX_COUNTERS { Ok(()) } else { Err(status::NO_SPACE) };
        assert_eq!(run(&mut device, command::COUNTER_INCREMENT, &[id; 32]).map(|_| ()), expected);
    }
    let (mut seen, mut first) = (0, 0u16);
    while seen < MAX_COUNTERS {
        let part = run(&mut device, command::COUNTERS, &first.to_le_bytes()).unwrap();
        assert_eq!(part[..2], (MAX_COUNTERS as u16).to_le_bytes());
        seen += (part.len() - 2) / 40;
        first = seen as u16;
    }
    assert_eq!(run(&mut device, command::COUNTERS, &u16::MAX.to_le_bytes()).unwrap().len(), 2);
}

#[test]
fn counters_go_forward_only() {
    let mut device = device();
    let mut advance =
        |value: u64| run(&mut device, command::COUNTER_ADVANCE, &[&[4; 32][..], &value.to_le_bytes()].concat());
    assert_eq!(advance(10).map(number), Ok(10));
    assert_eq!(advance(10).map(number), Ok(10));
    assert_eq!(advance(9), Err(status::ROLLBACK));
    assert_eq!(advance(u64::MAX).map(number), Ok(u64::MAX));
    assert_eq!(run(&mut device, command::COUNTER_INCREMENT, &[4; 32]), Err(status::COUNTER_AT_END));
}

#[test]
fn boot_registers_close_and_the_log_is_bounded() {
    let mut device = device();
    let boot = Measurement::new(1, "kernel", [1; 32]);
    let value = run(&mut device, command::EXTEND, boot.as_bytes()).unwrap();
    assert_eq!(value, measure::extended(&[0; 32], &[1; 32]));
    run(&mut device, command::END_BOOT, &[]).unwrap();
    assert_eq!(run(&mut device, command::EXTEND, boot.as_bytes()), Err(status::NOT_NOW));
    let bad = Measurement { register: 8, ..boot };
    assert_eq!(run(&mut device, command::EXTEND, bad.as_bytes()), Err(status::BAD_ARGUMENT));
    for _ in 0..MAX_LOG {
        run(&mut device, command::EXTEND, Measurement::new(4, "app", [2; 32]).as_bytes()).unwrap();
    }
    let (mut entries, mut registers) = (Vec::new(), [[0; 32]; 8]);
    while entries.len() < MAX_LOG {
        let part = run(&mut device, command::LOG, &(entries.len() as u16).to_le_bytes()).unwrap();
        let (head, rest) = LogHead::read_from_prefix(&part).unwrap();
        assert_eq!((head.total.get(), head.lost.get()), (MAX_LOG as u16, 1));
        entries.extend_from_slice(<[Measurement]>::ref_from_bytes(rest).unwrap());
    }
    for entry in entries.iter().chain([&Measurement::new(4, "app", [2; 32])]) {
        let register = &mut registers[usize::from(entry.register)];
        *register = measure::extended(register, &entry.digest);
    }
    assert_eq!(run(&mut device, command::REGISTERS, &[]).unwrap(), registers.as_bytes());
}

#[test]
fn secrets_come_back_in_the_same_state_only() {
    let flash = provisioned();
    let mut device = Device::new(flash.again(), start(false));
    let sealed = run(&mut device, command::SEAL, b"\x0fsecret").unwrap();
    let loose = run(&mut device, command::SEAL, b"\x00secret").unwrap();
    assert_ne!(sealed, run(&mut device, command::SEAL, b"\x0fsecret").unwrap(), "another nonce each time");
    assert_eq!(run(&mut device, command::UNSEAL, &sealed).unwrap(), b"secret");
    assert_eq!(run(&mut device, command::SEAL, &[0; 258]), Err(status::BAD_LENGTH));
    assert_eq!(run(&mut device, command::SEAL, &[]), Err(status::BAD_LENGTH));
    for index in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[index] ^= 0x10;
        assert_eq!(run(&mut device, command::UNSEAL, &altered), Err(status::NOT_UNSEALED));
        assert_eq!(run(&mut device, command::UNSEAL, &sealed[..index]), Err(status::NOT_UNSEALED));
    }
    // After a restart the registers are what they were: nothing was measured either time.
    let mut again = Device::new(flash.again(), start(false));
    assert_eq!(run(&mut again, command::UNSEAL, &sealed).unwrap(), b"secret");
    run(&mut again, command::EXTEND, Measurement::new(2, "other", [1; 32]).as_bytes()).unwrap();
    assert_eq!(run(&mut again, command::UNSEAL, &sealed), Err(status::NOT_UNSEALED));
    assert_eq!(run(&mut again, command::UNSEAL, &loose).unwrap(), b"secret");
    assert_eq!(
        run(&mut Device::new(provisioned_with([8; 32]), start(false)), command::UNSEAL, &loose),
        Err(status::NOT_UNSEALED)
    );
}

fn provisioned_with(entropy: [u8; 32]) -> FakeFlash {
    let flash = FakeFlash::new();
    Device::new(flash.clone(), Start { entropy, ..start(true) });
    flash
}

#[test]
fn random_bytes_differ_between_starts_even_without_entropy() {
    let flash = provisioned();
    let blind = Start { entropy: [0; 32], ..start(false) };
    let draws: Vec<Vec<u8>> =
        (0..4).map(|_| run(&mut Device::new(flash.again(), blind), command::RANDOM, &[32, 0]).unwrap()).collect();
    assert!((0..4).all(|a| (0..a).all(|b| draws[a] != draws[b])));
    assert_eq!(run(&mut Device::new(flash, blind), command::RANDOM, &257u16.to_le_bytes()), Err(status::BAD_ARGUMENT));
}

#[test]
fn a_quote_says_what_it_should_and_is_signed() {
    let flash = provisioned();
    let mut device = Device::new(flash, start(false));
    for length in [0, 8, 31, 33, 65] {
        assert_eq!(run(&mut device, command::QUOTE, &vec![0; length]), Err(status::BAD_LENGTH));
    }
    for register in 0..8 {
        run(&mut device, command::EXTEND, Measurement::new(register, "part", [register as u8; 32]).as_bytes()).unwrap();
    }
    let quote = run(&mut device, command::QUOTE, &[0xaa; 64]).unwrap();
    let info = Info::read_from_bytes(&run(&mut device, command::INFO, &[]).unwrap()).unwrap();

    let mut decoder = Decoder::new(&quote);
    assert_eq!(decoder.tag().unwrap().as_u64(), 18);
    assert_eq!(decoder.array().unwrap(), Some(4));
    let protected = decoder.bytes().unwrap();
    assert_eq!(protected, [0xa1, 1, 0x27]);
    decoder.skip().unwrap();
    let payload = decoder.bytes().unwrap();
    let signature = Signature::from_slice(decoder.bytes().unwrap()).unwrap();
    assert_eq!(decoder.position(), quote.len());
    let mut signed = minicbor::Encoder::new(minicbor::encode::write::Cursor::new([0; 2048]));
    signed.array(4).unwrap().str("Signature1").unwrap().bytes(protected).unwrap().bytes(&[]).unwrap();
    signed.bytes(payload).unwrap();
    let length = signed.writer().position();
    let signed = signed.into_writer().into_inner();
    let public = VerifyingKey::from_bytes(&info.public_key).unwrap();
    public.verify_strict(&signed[..length], &signature).unwrap();

    let mut claims = Decoder::new(payload);
    let count = claims.map().unwrap().unwrap();
    let mut keys = Vec::new();
    for _ in 0..count {
        let key = claims.u16().unwrap();
        match key {
            10 => assert_eq!(claims.bytes().unwrap(), [0xaa; 64]),
            256 => assert_eq!(claims.bytes().unwrap(), token::instance_id(&info.public_key)),
            2399 => {
                assert_eq!(claims.array().unwrap(), Some(8));
                (0..8).for_each(|_| claims.skip().unwrap());
            }
            _ => claims.skip().unwrap(),
        }
        keys.push(key);
    }
    assert_eq!(keys, [10, 256, 265, 268, 2394, 2395, 2396, 2399]);
}

struct Line {
    server: Server<FakeFlash>,
    reply: [u8; MAX_REPLY_BYTES],
}

impl Line {
    /// Sends bytes; gives the last reply's status and data.
    fn send(&mut self, bytes: &[u8]) -> Option<(u32, u32, Vec<u8>)> {
        let mut last = None;
        for byte in bytes {
            let Some(length) = self.server.receive(*byte, &mut self.reply) else { continue };
            let mut decoder = frame::Decoder::<MAX_REPLY_BYTES>::new();
            for byte in &self.reply[..length] {
                if let Some(Ok(frame)) = decoder.push(*byte) {
                    last = Some((frame.id, frame.status, frame.data.to_vec()));
                }
            }
        }
        last
    }

    fn request(&mut self, id: u32, code: u32, data: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut line = [0; 512];
        let length = Frame::request(id, code, data).encode(&mut line).unwrap();
        self.send(&line[..length]).unwrap()
    }
}

fn line() -> Line {
    Line { server: Server::new(device()), reply: [0; MAX_REPLY_BYTES] }
}

#[test]
fn a_request_that_comes_twice_is_executed_once() {
    let mut line = line();
    assert_eq!(line.request(1, command::COUNTER_INCREMENT, &[1; 32]).2, 1u64.to_le_bytes());
    assert_eq!(line.request(1, command::COUNTER_INCREMENT, &[1; 32]).2, 1u64.to_le_bytes());
    assert_eq!(line.request(1, command::COUNTER_INCREMENT, &[2; 32]).2, 1u64.to_le_bytes(), "another request");
    assert_eq!(line.request(2, command::COUNTER_INCREMENT, &[1; 32]).2, 2u64.to_le_bytes());
    assert_eq!(line.request(1, command::COUNTER_INCREMENT, &[1; 32]).2, 1u64.to_le_bytes(), "still remembered");
    assert_eq!(line.request(9, command::SYNC, b"anything").2, b"anything");
    assert_eq!(line.request(1, command::COUNTER_INCREMENT, &[1; 32]).2, 3u64.to_le_bytes(), "a new session");
    let info = Info::read_from_bytes(&line.request(3, command::INFO, &[]).2).unwrap();
    assert_eq!((info.executed.get(), info.repeated.get()), (6, 2));
}

proptest! {
    #[test]
    fn any_line_is_harmless_and_the_next_request_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let mut line = line();
        line.send(&bytes);
        prop_assert_eq!(line.request(77, command::SYNC, b"12345678"), (77, 0, b"12345678".to_vec()));
    }

    #[test]
    fn any_data_of_any_command_is_harmless(
        code in prop::sample::select(vec![
            command::SYNC, command::INFO, command::SELF_TEST, command::RANDOM, command::EXTEND, command::REGISTERS,
            command::LOG, command::END_BOOT, command::VERIFY, command::KEYS, command::ENROLL, command::REVOKE,
            command::QUOTE, command::SEAL, command::UNSEAL, command::COUNTER_READ, command::COUNTER_INCREMENT,
            command::COUNTER_ADVANCE, command::COUNTERS, 0, u32::MAX,
        ]),
        data in prop::collection::vec(any::<u8>(), 0..=320),
    ) {
        let mut device = Device::new(provisioned(), start(true));
        let _ = run(&mut device, code, &data);
    }
}
