//! Sealing: a secret that only this device gives back, and only while the chosen registers are as they were.
//!
//! A sealed secret is version, mask of registers, nonce, ciphertext and tag of XChaCha20-Poly1305. The key is derived by HKDF from
//! a secret of the device and the values of the chosen registers, so a changed register means another key.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rot_protocol::data::Digest;
use rot_protocol::{MAX_SECRET, REGISTERS};
use sha2::Sha256;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 2;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// How much longer a sealed secret is than the secret.
pub const OVERHEAD: usize = HEAD_BYTES + NONCE_BYTES + TAG_BYTES;

const _: () = assert!(OVERHEAD + MAX_SECRET <= rot_protocol::MAX_REQUEST_DATA);

fn cipher(secret: &[u8; 32], mask: u8, registers: &[Digest; REGISTERS]) -> XChaCha20Poly1305 {
    let mut info: [&[u8]; REGISTERS + 2] = [&[]; REGISTERS + 2];
    let mask_byte = [mask];
    info[0] = b"kinglet seal 1";
    info[1] = &mask_byte;
    for (index, register) in registers.iter().enumerate().filter(|(index, _)| mask >> index & 1 != 0) {
        info[2 + index] = register;
    }
    let mut key = [0; 32];
    // 32 bytes are never too many for HKDF.
    let _ = Hkdf::<Sha256>::new(None, secret).expand_multi_info(&info, &mut key);
    XChaCha20Poly1305::new(&key.into())
}

/// Seals `plain` into `out`, which has room; gives the length. `None` if `plain` is too long.
pub fn seal(
    secret: &[u8; 32],
    mask: u8,
    registers: &[Digest; REGISTERS],
    nonce: &[u8; NONCE_BYTES],
    plain: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    if plain.len() > MAX_SECRET {
        return None;
    }
    let out = out.get_mut(..plain.len() + OVERHEAD)?;
    out[..HEAD_BYTES].copy_from_slice(&[VERSION, mask]);
    out[HEAD_BYTES..HEAD_BYTES + NONCE_BYTES].copy_from_slice(nonce);
    let (body, tag_place) = out[HEAD_BYTES + NONCE_BYTES..].split_at_mut(plain.len());
    body.copy_from_slice(plain);
    let cipher = cipher(secret, mask, registers);
    let tag = cipher.encrypt_in_place_detached(XNonce::from_slice(nonce), &[VERSION, mask], body).ok()?;
    tag_place.copy_from_slice(&tag);
    Some(out.len())
}

/// Gives the secret back into `out`, and its length. `None` if anything differs.
pub fn unseal(secret: &[u8; 32], registers: &[Digest; REGISTERS], sealed: &[u8], out: &mut [u8]) -> Option<usize> {
    let (head, rest) = sealed.split_first_chunk::<HEAD_BYTES>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let [VERSION, mask] = *head else { return None };
    let out = out.get_mut(..body.len()).filter(|_| body.len() <= MAX_SECRET)?;
    out.copy_from_slice(body);
    let cipher = cipher(secret, mask, registers);
    match cipher.decrypt_in_place_detached(XNonce::from_slice(nonce), head, out, tag.into()) {
        Ok(()) => Some(out.len()),
        Err(_) => {
            out.fill(0);
            None
        }
    }
}
