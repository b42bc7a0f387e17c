//! The envelope: who vouches for the manifest.

use crate::error::Error;
use crate::manifest::{Digest, sha256};
use crate::{MAX_BUNDLE_BYTES, MAX_MANIFEST_BYTES};

/// Bytes of a key's id.
pub const KEY_ID_BYTES: usize = 8;
/// Bytes of the encoded envelope. All its fields have fixed lengths.
pub const ENVELOPE_BYTES: usize = 117;
/// Bytes of what is signed.
pub const SIGNED_BYTES: usize = 61;

/// COSE_Sign1 tag, array of four, byte string of 13: map of two, algorithm (1): EdDSA (-8), key id (4): byte string of 8.
const HEAD: [u8; 8] = [0xd2, 0x84, 0x4d, 0xa2, 0x01, 0x27, 0x04, 0x48];
/// No unprotected headers; the payload, a byte string of 32.
const PAYLOAD_HEAD: [u8; 3] = [0xa0, 0x58, 0x20];
/// The signature, a byte string of 64.
const SIGNATURE_HEAD: [u8; 2] = [0x58, 0x40];
/// What is signed begins with an array of four and this context (RFC 9052, section 4.4).
const CONTEXT: [u8; 12] = *b"\x84\x6aSignature1";
/// Bytes of the head of the manifest's byte string.
const LENGTH_BYTES: usize = 3;

/// The id of a public key: the first bytes of its SHA-256.
pub fn key_id(public_key: &[u8; 32]) -> [u8; KEY_ID_BYTES] {
    let mut id = [0; KEY_ID_BYTES];
    id.copy_from_slice(&sha256(public_key)[..KEY_ID_BYTES]);
    id
}

/// The bytes that the key with this id signs to vouch for a payload of this digest: COSE's `Sig_structure` with the
/// protected headers of [`Envelope`] and no external data.
pub fn sig_structure(kid: &[u8; KEY_ID_BYTES], digest: &Digest) -> [u8; SIGNED_BYTES] {
    let mut bytes = [0; SIGNED_BYTES];
    let parts: [&[u8]; 6] = [&CONTEXT, &HEAD[2..], kid, &[0x40], &PAYLOAD_HEAD[1..], digest];
    put(&mut bytes, &parts);
    bytes
}

/// Writes parts back to back; they fill `bytes`.
fn put(mut bytes: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let (to, rest) = core::mem::take(&mut bytes).split_at_mut(part.len());
        to.copy_from_slice(part);
        bytes = rest;
    }
}

/// Who vouches for which manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Id of the publisher's key.
    pub kid: [u8; KEY_ID_BYTES],
    /// SHA-256 of the manifest.
    pub digest: Digest,
    /// Ed25519 signature of [`sig_structure`] over both.
    pub signature: [u8; 64],
}

impl Envelope {
    /// Reads the envelope of a bundle and checks that it speaks of the manifest behind it. Gives the bytes of the manifest,
    /// which mean nothing before the signature was verified, and those behind it.
    ///
    /// # Errors
    /// When the bundle is too short or too long, the envelope is not encoded as it must be, or the manifest is another one
    /// than was signed.
    pub fn read(bundle: &[u8]) -> Result<(Envelope, &[u8], &[u8]), Error> {
        if bundle.len() > MAX_BUNDLE_BYTES {
            return Err(Error::TooBig { bytes: bundle.len(), most: MAX_BUNDLE_BYTES });
        }
        let mut reader = Reader { bytes: bundle, at: 0 };
        reader.expect(&HEAD)?;
        let kid = reader.take()?;
        reader.expect(&PAYLOAD_HEAD)?;
        let digest = reader.take()?;
        reader.expect(&SIGNATURE_HEAD)?;
        let signature = reader.take()?;
        let manifest_bytes = reader.manifest_bytes()?;
        let manifest = reader.slice(manifest_bytes)?;
        if sha256(manifest) != digest {
            return Err(Error::ManifestChanged);
        }
        Ok((Envelope { kid, digest, signature }, manifest, &bundle[reader.at..]))
    }

    /// The envelope's one encoding.
    pub fn encode(&self) -> [u8; ENVELOPE_BYTES] {
        let mut bytes = [0; ENVELOPE_BYTES];
        put(&mut bytes, &[&HEAD, &self.kid, &PAYLOAD_HEAD, &self.digest, &SIGNATURE_HEAD, &self.signature]);
        bytes
    }

    /// What stands between envelope and manifest: the head of a byte string.
    ///
    /// # Errors
    /// When a manifest cannot have so many bytes.
    pub fn manifest_head(manifest_bytes: usize) -> Result<([u8; LENGTH_BYTES], usize), Error> {
        let [high, low] = u16::try_from(manifest_bytes).unwrap_or(u16::MAX).to_be_bytes();
        match manifest_bytes {
            24..=0xff => Ok(([0x58, low, 0], 2)),
            0x100..=MAX_MANIFEST_BYTES => Ok(([0x59, high, low], 3)),
            _ => Err(Error::ManifestSize { bytes: manifest_bytes }),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let slice = self.bytes.get(self.at..).and_then(|rest| rest.get(..bytes));
        let slice = slice.ok_or(Error::Truncated { bytes: self.bytes.len(), needed: self.at + bytes })?;
        self.at += bytes;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(N)?);
        Ok(bytes)
    }

    /// Fixed bytes. Those that are there are compared first: a file of another kind is not called truncated.
    fn expect(&mut self, expected: &[u8]) -> Result<(), Error> {
        for byte in expected {
            let at = self.at;
            if self.slice(1)?[0] != *byte {
                return Err(Error::NotABundle { at });
            }
        }
        Ok(())
    }

    /// The length of the manifest, in the shortest form that there is.
    fn manifest_bytes(&mut self) -> Result<usize, Error> {
        let at = self.at;
        let bytes = match self.take::<1>()?[0] {
            0x58 => usize::from(self.take::<1>()?[0]),
            0x59 => usize::from(u16::from_be_bytes(self.take()?)),
            _ => return Err(Error::NotABundle { at }),
        };
        let (_, head_bytes) = Envelope::manifest_head(bytes)?;
        if head_bytes == self.at - at { Ok(bytes) } else { Err(Error::NotABundle { at }) }
    }
}
