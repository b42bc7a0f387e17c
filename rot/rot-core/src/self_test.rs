//! Known answers: every algorithm is tried at the start and on request. Which test failed is a bit of
//! [`rot_protocol::data::SelfTest::failed`], in the order of [`rot_protocol::data::SELF_TESTS`].

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signature, Signer, SigningKey};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::random::Random;
use crate::sha256;

/// FIPS 180-2, appendix B.1: SHA-256 of "abc".
const SHA_ABC: [u8; 32] = *b"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\
    \xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad";
/// RFC 8032, section 7.1, test 2.
const ED_SEED: [u8; 32] = *b"\x4c\xcd\x08\x9b\x28\xff\x96\xda\x9d\xb6\xc3\x46\xec\x11\x4e\x0f\
    \x5b\x8a\x31\x9f\x35\xab\xa6\x24\xda\x8c\xf6\xed\x4f\xb8\xa6\xfb";
const ED_SIGNATURE: [u8; 64] = *b"\x92\xa0\x09\xa9\xf0\xd4\xca\xb8\x72\x0e\x82\x0b\x5f\x64\x25\x40\
    \xa2\xb2\x7b\x54\x16\x50\x3f\x8f\xb3\x76\x22\x23\xeb\xdb\x69\xda\
    \x08\x5a\xc1\xe4\x3e\x15\x99\x6e\x45\x8f\x36\x13\xd0\xf1\x1d\x8c\
    \x38\x7b\x2e\xae\xb4\x30\x2a\xee\xb0\x0d\x29\x16\x12\xbb\x0c\x00";
/// RFC 5869, appendix A.1, the first 32 bytes.
const HKDF_OUTPUT: [u8; 32] = *b"\x3c\xb2\x5f\x25\xfa\xac\xd5\x7a\x90\x43\x4f\x64\xd0\x36\x2f\x2a\
    \x2d\x2d\x0a\x90\xcf\x1a\x5a\x4c\x5d\xb0\x2d\x56\xec\xc4\xc5\xbf";
/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
const SUNSCREEN: [u8; 114] = *b"Ladies and Gentlemen of the class of '99: If I could offer you only \
one tip for the future, sunscreen would be it.";
const SUNSCREEN_TAG: [u8; 16] = *b"\xc0\x87\x59\x24\xc1\xc7\x98\x79\x47\xde\xaf\xd8\x78\x0a\xcf\x49";
/// RFC 8439, appendix A.1, test 1: ChaCha20 with zeros.
const CHACHA_ZEROS: [u8; 16] = *b"\x76\xb8\xe0\xad\xa0\xf1\x3d\x90\x40\x5d\x6a\xe5\x53\x86\xbd\x28";

/// The tests of algorithms, as bits that are set where one failed. The last of
/// [`rot_protocol::data::SELF_TESTS`] is the device's own.
pub fn algorithms() -> u32 {
    let tests: [fn() -> bool; 5] = [sha, ed25519, hkdf, xchacha, random];
    tests.iter().enumerate().filter(|(_, test)| !test()).fold(0, |failed, (bit, _)| failed | 1 << bit)
}

fn sha() -> bool {
    sha256(&[b"a", b"bc"]) == SHA_ABC
}

fn ed25519() -> bool {
    let key = SigningKey::from_bytes(&ED_SEED);
    let mut other = ED_SIGNATURE;
    other[0] ^= 1;
    let verifies = |bytes: &[u8; 64]| key.verifying_key().verify_strict(b"\x72", &Signature::from_bytes(bytes)).is_ok();
    key.sign(b"\x72").to_bytes() == ED_SIGNATURE && verifies(&ED_SIGNATURE) && !verifies(&other)
}

fn hkdf() -> bool {
    let salt: [u8; 13] = core::array::from_fn(|index| index as u8);
    let info: [u8; 10] = core::array::from_fn(|index| 0xf0 + index as u8);
    let mut output = [0; 42];
    Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut output).is_ok() && output[..32] == HKDF_OUTPUT
}

fn xchacha() -> bool {
    let key: [u8; 32] = core::array::from_fn(|index| 0x80 + index as u8);
    let nonce: [u8; 24] = core::array::from_fn(|index| 0x40 + index as u8);
    let nonce = XNonce::from_slice(&nonce);
    let cipher = XChaCha20Poly1305::new(&key.into());
    let associated = b"PQRS\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7";
    let mut text = SUNSCREEN;
    let Ok(tag) = cipher.encrypt_in_place_detached(nonce, associated, &mut text) else { return false };
    let mut altered = text;
    altered[0] ^= 1;
    tag[..] == SUNSCREEN_TAG
        && cipher.decrypt_in_place_detached(nonce, associated, &mut altered, &tag).is_err()
        && cipher.decrypt_in_place_detached(nonce, associated, &mut text, &tag).is_ok()
        && text == SUNSCREEN
}

fn random() -> bool {
    let mut known = Random::known([0; 32]);
    let (first, second): ([u8; 16], [u8; 16]) = (known.bytes(), known.bytes());
    first == CHACHA_ZEROS && second != first
}
