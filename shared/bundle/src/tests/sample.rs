//! A small bundle that is right, with an envelope whose signature nobody checks.

use app_abi::{Permission, Permissions, map};

use crate::{Envelope, Limits, Manifest, Part, Restart, Version, sha256};

/// What a generous device gives.
pub fn limits() -> Limits {
    Limits {
        memory_bytes: map::DATA_BYTES,
        budget_us: 2_000,
        period_us: 10_000,
        permissions: Permissions::all(),
        accepts_models: true,
        newest: None,
    }
}

/// A program header: kind and flags, then address, bytes in the file from 0 on, bytes in memory.
pub fn segment(kind: u32, flags: u32, address: u64, file_bytes: u64, bytes: u64) -> Vec<u8> {
    let mut entry = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
    for number in [0, address, address, file_bytes, bytes, 0x1000] {
        entry.extend(number.to_le_bytes());
    }
    entry
}

/// An ELF file of these segments, whose contents are the file itself.
pub fn elf(entry: u64, segments: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 243, 0, 1, 0, 0, 0]);
    file.extend(entry.to_le_bytes());
    file.extend(64u64.to_le_bytes());
    file.extend([0; 8]);
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, segments.len() as u8, 0, 64, 0, 0, 0, 0, 0]);
    file.extend(segments.concat());
    file
}

/// A program with code and data.
pub fn program() -> Vec<u8> {
    elf(map::CODE + 0x10, &[segment(1, 5, map::CODE, 0x40, 0x1000), segment(1, 6, map::DATA, 0x20, 0x100)])
}

/// The manifest of a program.
pub fn manifest(program: &[u8]) -> Manifest {
    Manifest {
        api: 1,
        name: "hello".try_into().unwrap(),
        version: Version { major: 1, minor: 2, patch: 3 },
        publisher: "Example Ltd".try_into().unwrap(),
        entry: map::CODE + 0x10,
        memory_bytes: 0x1000,
        budget_us: 1_000,
        period_us: 10_000,
        permissions: Permissions::NONE.with(Permission::Log).with(Permission::Kv),
        models: ["digits".try_into().unwrap()].into_iter().collect(),
        restart: Restart::OnFault,
        program: Part::of(program),
        bundled: heapless::Vec::new(),
    }
}

/// The bundle of these parts.
pub fn bundle(manifest: &Manifest, parts: &[&[u8]]) -> Vec<u8> {
    let mut encoded = Vec::new();
    manifest.encode(&mut Sink(&mut encoded)).unwrap();
    wrap(&encoded, parts)
}

/// The bundle of a manifest as bytes.
pub fn wrap(manifest: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let envelope = Envelope { kid: *b"a key id", digest: sha256(manifest), signature: [7; 64] };
    let (head, length) = Envelope::manifest_head(manifest.len()).unwrap();
    [&envelope.encode(), &head[..length], manifest, &parts.concat()].concat()
}

/// Collects what is encoded.
pub struct Sink<'a>(pub &'a mut Vec<u8>);

impl minicbor::encode::Write for &mut Sink<'_> {
    type Error = core::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
