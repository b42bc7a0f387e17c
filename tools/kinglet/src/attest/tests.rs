//! Evidence that is good, and evidence that is not.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use proptest::prelude::*;
use rot_core::device::{Device, Start};
use rot_core::storage::{ERASED, FLASH_BYTES, Flash, FlashError};
use rot_protocol::data::Info;
use rot_protocol::{MAX_REPLY_DATA, command};
use zerocopy::{FromBytes, IntoBytes};

/// Flash without faults.
#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Flash for Memory {
    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), FlashError> {
        bytes.copy_from_slice(&self.0.borrow()[offset..offset + bytes.len()]);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

struct Scene {
    device: Device<Memory>,
    key: PublicKey,
    built: Vec<Measurement>,
}

fn parts() -> Vec<Measurement> {
    vec![
        Measurement::new(0, "image", [1; 32]),
        Measurement::new(2, "shell", [2; 32]),
        Measurement::new(2, "model runner", [3; 32]),
    ]
}

/// A device that has measured these.
fn scene(measured: &[Measurement], strap: bool) -> Scene {
    let flash = Memory(Rc::new(RefCell::new(vec![ERASED; FLASH_BYTES])));
    let start = Start { strap: true, entropy: [7; 32], implementation_id: [8; 32], version: [0, 1, 0] };
    Device::new(flash.clone(), start);
    let mut device = Device::new(flash, Start { strap, ..start });
    measured.iter().for_each(|part| drop(run(&mut device, command::EXTEND, part.as_bytes())));
    run(&mut device, command::END_BOOT, &[]);
    let info = Info::read_from_bytes(&run(&mut device, command::INFO, &[])).unwrap();
    Scene { device, key: PublicKey::from_bytes(&info.public_key).unwrap(), built: parts() }
}

fn run(device: &mut Device<Memory>, code: u32, data: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_REPLY_DATA];
    let (status, length) = device.execute(code, data, &mut out);
    assert_eq!(status, 0);
    out[..length].to_vec()
}

/// What the console prints.
fn console(device: &mut Device<Memory>, nonce: &[u8], log: &[Measurement]) -> String {
    let quote = run(device, command::QUOTE, nonce);
    let mut text = "kinglet> attest\r\n-----BEGIN KINGLET QUOTE-----\r\n".to_string();
    quote.chunks(48).for_each(|part| text += &format!("{}\r\n", armour::Line::new(part).text()));
    text += "-----END KINGLET QUOTE-----\r\n-----BEGIN KINGLET LOG-----\r\n";
    log.iter().for_each(|entry| text += &format!("{} {} {}\r\n", entry.register, hex(&entry.digest), entry.name()));
    text + "-----END KINGLET LOG-----\r\nkinglet> "
}

fn verdict(scene: &mut Scene, log: &[Measurement], nonce: Option<&[u8]>) -> (bool, String) {
    let text = console(&mut scene.device, &[9; 32], log);
    let report = judge(&Evidence::read(&text).unwrap(), &scene.key, nonce, &scene.built, Some([8; 32]));
    (report.good, report.lines.join("\n"))
}

#[test]
fn the_image_that_was_built_is_recognised() {
    let mut scene = scene(&parts(), false);
    let (good, text) = verdict(&mut scene, &parts(), Some(&[9; 32]));
    assert!(good, "{text}");
    assert!(text.contains("runs exactly this image") && text.contains("fresh"), "{text}");
    let (good, text) = verdict(&mut scene, &parts(), Some(&[1; 32]));
    assert!(!good && text.contains("nonce        WRONG"), "{text}");
    let (good, text) = verdict(&mut scene, &parts(), None);
    assert!(good && text.contains("may be old"), "{text}");
}

#[test]
fn the_part_that_differs_is_named() {
    let mut measured = parts();
    measured[1].digest = [5; 32];
    let mut scene = scene(&measured, false);
    let (good, text) = verdict(&mut scene, &measured, None);
    assert!(!good && text.contains("DOES NOT RUN"), "{text}");
    assert!(text.contains("programs shell                       DIFFERS: runs 05050505"), "{text}");
    assert!(text.contains("programs model runner                as built"), "{text}");
}

#[test]
fn a_log_that_lies_is_found_out() {
    let mut measured = parts();
    measured[1].digest = [5; 32];
    let mut scene = scene(&measured, false);
    let (good, text) = verdict(&mut scene, &parts(), None);
    assert!(!good && text.contains("DISAGREES with the signed register 2"), "{text}");
    assert!(text.contains("DOES NOT RUN"), "{text}");
}

#[test]
fn other_devices_straps_and_nothing_measured_are_not_accepted() {
    let other = PublicKey::from_bytes(ed25519_dalek::SigningKey::from_bytes(&[3; 32]).verifying_key().as_bytes());
    let mut wrong_key = Scene { key: other.unwrap(), ..scene(&parts(), false) };
    let (good, text) = verdict(&mut wrong_key, &parts(), None);
    assert!(!good && text.contains("not signed by this device"), "{text}");
    let (good, text) = verdict(&mut scene(&parts(), true), &parts(), None);
    assert!(!good && text.contains("NOT SECURED"), "{text}");
    let (good, text) = verdict(&mut scene(&[], false), &[], None);
    assert!(!good && text.contains("NOTHING WAS MEASURED"), "{text}");
}

#[test]
fn what_was_loaded_later_is_told() {
    let mut scene = scene(&parts(), false);
    let app = Measurement::new(4, "hello", [6; 32]);
    run(&mut scene.device, command::EXTEND, app.as_bytes());
    let (good, text) = verdict(&mut scene, &[parts(), vec![app]].concat(), None);
    assert!(good && text.contains("apps hello"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_in_the_quote_is_never_accepted(bit in any::<prop::sample::Index>()) {
        let mut scene = scene(&parts(), false);
        let mut quote = run(&mut scene.device, command::QUOTE, &[9; 32]);
        let bit = bit.index(quote.len() * 8);
        // The kid in the unprotected header is a hint that nobody relies on.
        prop_assume!(!(6..17).contains(&(bit / 8)));
        quote[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Quote::read(&quote, &scene.key).is_err());
    }

    #[test]
    fn any_evidence_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..600), text in "\\PC{0,200}") {
        let scene = scene(&parts(), false);
        let _ = Quote::read(&bytes, &scene.key);
        let _ = Evidence::read(&format!("-----BEGIN KINGLET QUOTE-----\n{text}\n-----END KINGLET QUOTE-----\n-----BEGIN KINGLET LOG-----\n{text}\n-----END KINGLET LOG-----"));
    }
}
