//! The quote: a PSA attestation token (RFC 9783), which is an Entity Attestation Token (RFC 9711) in a `COSE_Sign1`
//! (RFC 9052) signed with Ed25519.
//!
//! | claim | key | value |
//! |---|---|---|
//! | eat_profile | 265 | [`PROFILE`]: RFC 9783 asks for another name where EdDSA takes the place of ECDSA |
//! | psa-nonce | 10 | the caller's: 32, 48 or 64 bytes |
//! | psa-instance-id | 256 | 1, then the SHA-256 of the device's public key |
//! | psa-client-id | 2394 | -1: who asks is outside of the root of trust |
//! | psa-security-lifecycle | 2395 | secured, or "PSA RoT provisioning" while the provisioning strap is set |
//! | psa-implementation-id | 2396 | SHA-256 of the root of trust's firmware |
//! | psa-boot-seed | 268 | 32 random bytes, others at each start |
//! | psa-software-components | 2399 | the registers that are not zero: name (1), value (2), signer (5), algorithm (6) |
//!
//! A component's signer is 32 zeros: nobody signs what the boot ROM measures, and what is signed (apps) is checked elsewhere.

use ed25519_dalek::{Signer, SigningKey};
use minicbor::Encoder;
use minicbor::encode::write::Cursor;
use rot_protocol::data::Digest;
use rot_protocol::{MAX_REPLY_DATA, REGISTER_NAMES, REGISTERS};

use crate::sha256;

/// Value of the claim `eat_profile`.
pub const PROFILE: &str = "tag:kinglet.example,2026:psa#eddsa";
/// Value of `psa-security-lifecycle` in the field.
pub const SECURED: u16 = 0x3000;
/// Value of `psa-security-lifecycle` while the provisioning strap is set.
pub const PROVISIONING: u16 = 0x2000;
/// COSE's tag of a `COSE_Sign1`.
const COSE_SIGN1: u64 = 18;
/// The protected header: algorithm (1) is EdDSA (-8).
const PROTECTED: [u8; 3] = [0xa1, 0x01, 0x27];
/// Room for claims, and for what is signed.
const SCRATCH: usize = MAX_REPLY_DATA;

/// What a token says.
#[derive(Debug)]
pub struct Claims<'a> {
    /// The caller's nonce.
    pub nonce: &'a [u8],
    /// SHA-256 of the firmware.
    pub implementation_id: &'a Digest,
    /// Random bytes of this start.
    pub boot_seed: &'a [u8; 32],
    /// [`SECURED`] or [`PROVISIONING`].
    pub lifecycle: u16,
    /// The registers.
    pub registers: &'a [Digest; REGISTERS],
}

/// The lengths that a nonce may have.
pub fn is_nonce(nonce: &[u8]) -> bool {
    matches!(nonce.len(), 32 | 48 | 64)
}

/// The claim psa-instance-id of the device with this public key.
pub fn instance_id(public_key: &[u8; 32]) -> [u8; 33] {
    let mut id = [1; 33];
    id[1..].copy_from_slice(&sha256(&[public_key]));
    id
}

type Written<T> = Result<T, minicbor::encode::Error<minicbor::encode::write::EndOfSlice>>;

/// Writes a token into `out`; gives its length. `None` if there is too little room, which does not happen with
/// [`MAX_REPLY_DATA`] bytes.
pub fn write(claims: &Claims<'_>, key: &SigningKey, out: &mut [u8]) -> Option<usize> {
    let mut payload = [0; SCRATCH];
    let length = write_claims(claims, key, &mut payload).ok()?;
    let payload = payload.get(..length)?;
    let mut signed = [0; SCRATCH];
    let length = write_signed(payload, &mut signed).ok()?;
    let signature = key.sign(signed.get(..length)?);
    let kid = bundle::key_id(key.verifying_key().as_bytes());

    let mut encoder = Encoder::new(Cursor::new(out));
    let mut write = || -> Written<()> {
        encoder.tag(minicbor::data::Tag::new(COSE_SIGN1))?.array(4)?.bytes(&PROTECTED)?;
        encoder.map(1)?.u8(4)?.bytes(&kid)?;
        encoder.bytes(payload)?.bytes(&signature.to_bytes())?;
        Ok(())
    };
    write().ok()?;
    Some(encoder.writer().position())
}

fn write_claims(claims: &Claims<'_>, key: &SigningKey, out: &mut [u8]) -> Written<usize> {
    let mut encoder = Encoder::new(Cursor::new(out));
    let e = &mut encoder;
    e.map(8)?;
    e.u16(10)?.bytes(claims.nonce)?;
    e.u16(256)?.bytes(&instance_id(key.verifying_key().as_bytes()))?;
    e.u16(265)?.str(PROFILE)?;
    e.u16(268)?.bytes(claims.boot_seed)?;
    e.u16(2394)?.i8(-1)?;
    e.u16(2395)?.u16(claims.lifecycle)?;
    e.u16(2396)?.bytes(claims.implementation_id)?;
    let used = || claims.registers.iter().zip(REGISTER_NAMES).filter(|(value, _)| **value != [0; 32]);
    e.u16(2399)?.array(used().count() as u64)?;
    for (value, name) in used() {
        e.map(4)?.u8(1)?.str(name)?.u8(2)?.bytes(value)?.u8(5)?.bytes(&[0; 32])?.u8(6)?.str("sha-256")?;
    }
    Ok(encoder.writer().position())
}

/// COSE's `Sig_structure`.
fn write_signed(payload: &[u8], out: &mut [u8]) -> Written<usize> {
    let mut encoder = Encoder::new(Cursor::new(out));
    encoder.array(4)?.str("Signature1")?.bytes(&PROTECTED)?.bytes(&[])?.bytes(payload)?;
    Ok(encoder.writer().position())
}
