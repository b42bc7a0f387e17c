//! Publishers' keys: Ed25519, each a file with 64 hexadecimal digits.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::report::hex;

/// What signs bundles.
pub struct SecretKey(SigningKey);

/// What devices know of a publisher.
pub struct PublicKey(VerifyingKey);

impl SecretKey {
    /// A new one.
    pub fn generate() -> Result<SecretKey, String> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| format!("the host gives no random bytes: {error}"))?;
        Ok(SecretKey(SigningKey::from_bytes(&seed)))
    }

    /// Reads one from its file.
    pub fn read(path: &Path) -> Result<SecretKey, String> {
        Ok(SecretKey(SigningKey::from_bytes(&read_hex(path, "a secret key")?)))
    }

    /// Writes it to a new file that only its owner may read, and the public key beside it. Gives that file's name.
    pub fn write(&self, path: &Path) -> Result<PathBuf, String> {
        let mut name = path.as_os_str().to_owned();
        name.push(".pub");
        let public = PathBuf::from(name);
        create(path, 0o600, &self.0.to_bytes())?;
        create(&public, 0o644, self.0.verifying_key().as_bytes())?;
        Ok(public)
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl PublicKey {
    /// Reads one from its file.
    pub fn read(path: &Path) -> Result<PublicKey, String> {
        let key = VerifyingKey::from_bytes(&read_hex(path, "a public key")?);
        key.map(PublicKey).map_err(|_| format!("{}: not a public key", path.display()))
    }

    /// The key with these bytes, if there is one.
    #[cfg(test)]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<PublicKey> {
        VerifyingKey::from_bytes(bytes).ok().map(PublicKey)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its id.
    pub fn id(&self) -> [u8; bundle::KEY_ID_BYTES] {
        bundle::key_id(self.0.as_bytes())
    }

    /// Whether the secret key that belongs to it signed these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }
}

fn create(path: &Path, mode: u32, bytes: &[u8; 32]) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fail)?;
    writeln!(file, "{}", hex(bytes)).map_err(fail)
}

fn read_hex(path: &Path, what: &str) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{}: there is no such key; `kinglet bundle keygen` makes one", path.display())
        }
        _ => format!("{}: {error}", path.display()),
    })?;
    from_hex(text.trim()).ok_or_else(|| format!("{}: not {what}: it must be 64 hexadecimal digits", path.display()))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
