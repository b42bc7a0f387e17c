//! The envelope as COSE has it.

use super::sample::{bundle, manifest, program};
use crate::{ENVELOPE_BYTES, Envelope, Error, SIGNED_BYTES, sig_structure};
use minicbor::Decoder;
use minicbor::data::Tag;

#[test]
fn it_is_a_cose_sign1() {
    let program = program();
    let bytes = bundle(&manifest(&program), &[&program]);
    let (envelope, manifest, parts) = Envelope::read(&bytes).unwrap();
    assert_eq!(parts, program);
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.tag().unwrap(), Tag::new(18));
    assert_eq!(decoder.array().unwrap(), Some(4));
    let protected = decoder.bytes().unwrap();
    assert_eq!(decoder.map().unwrap(), Some(0));
    assert_eq!(decoder.bytes().unwrap(), crate::sha256(manifest));
    assert_eq!(decoder.bytes().unwrap(), [7; 64]);
    assert_eq!(decoder.position(), ENVELOPE_BYTES);
    assert_eq!(decoder.bytes().unwrap(), manifest);
    let mut headers = Decoder::new(protected);
    assert_eq!(headers.map().unwrap(), Some(2));
    assert_eq!((headers.u8().unwrap(), headers.i8().unwrap(), headers.u8().unwrap()), (1, -8, 4));
    assert_eq!(headers.bytes().unwrap(), b"a key id");

    let signed = sig_structure(&envelope.kid, &envelope.digest);
    let mut decoder = Decoder::new(&signed);
    assert_eq!(decoder.array().unwrap(), Some(4));
    assert_eq!(decoder.str().unwrap(), "Signature1");
    assert_eq!(decoder.bytes().unwrap(), protected);
    assert_eq!(decoder.bytes().unwrap(), b"");
    assert_eq!(decoder.bytes().unwrap(), envelope.digest);
    assert_eq!(decoder.position(), SIGNED_BYTES);
}

#[test]
fn other_files_are_not_bundles() {
    for (text, at) in [(&b"\x7fELF\x02\x01\x01"[..], 0), (b"\xd2\x85", 1), (b"hello", 0)] {
        assert_eq!(Envelope::read(text).unwrap_err(), Error::NotABundle { at });
    }
    assert!(matches!(Envelope::read(b"\xd2\x84").unwrap_err(), Error::Truncated { bytes: 2, .. }));
    let error = Envelope::read(&vec![0xd2; crate::MAX_BUNDLE_BYTES + 1]).unwrap_err();
    assert!(matches!(error, Error::TooBig { .. }), "{error}");
}

#[test]
fn lengths_have_one_form() {
    assert_eq!(Envelope::manifest_head(24).unwrap(), ([0x58, 24, 0], 2));
    assert_eq!(Envelope::manifest_head(256).unwrap(), ([0x59, 1, 0], 3));
    assert!(Envelope::manifest_head(23).is_err() && Envelope::manifest_head(4097).is_err());
    let program = program();
    let mut bytes = bundle(&manifest(&program), &[&program]);
    // The same length in three bytes instead of two.
    assert_eq!(bytes[ENVELOPE_BYTES], 0x58);
    bytes.splice(ENVELOPE_BYTES..ENVELOPE_BYTES + 1, [0x59, 0]);
    assert_eq!(Envelope::read(&bytes).unwrap_err(), Error::NotABundle { at: ENVELOPE_BYTES });
}
