//! Manifests of every kind.

use super::sample::{Sink, manifest};
use crate::{Manifest, ManifestError, Name, Part, Restart, Version};
use app_abi::{Permission, Permissions};
use proptest::prelude::*;

fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut bytes = Vec::new();
    manifest.encode(&mut Sink(&mut bytes)).unwrap();
    bytes
}

fn altered(change: impl FnOnce(&mut Manifest)) -> Result<Manifest, ManifestError> {
    let mut manifest = manifest(b"program");
    change(&mut manifest);
    Manifest::decode(&encode(&manifest))
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let bad = |what| Err(ManifestError::BadField(what));
    let name = |text: &str| Name::try_from(text).unwrap();
    for wrong in ["", "Hello", "1st", "a b", "../x", "é"] {
        assert_eq!(altered(|m| m.name = name(wrong)), bad("name"), "{wrong}");
    }
    assert_eq!(altered(|m| m.publisher = name("a\nb")), bad("publisher"));
    assert_eq!(altered(|m| m.budget_us = 0), bad("processor time"));
    assert_eq!(altered(|m| m.budget_us = m.period_us + 1), bad("processor time"));
    assert_eq!(altered(|m| m.models = ["b", "a"].map(name).into_iter().collect()), bad("list of models"));
    assert_eq!(altered(|m| m.models = ["a", "a"].map(name).into_iter().collect()), bad("list of models"));
    let twice = [(name("a"), Part::default()), (name("a"), Part::default())];
    assert_eq!(altered(|m| m.bundled = twice.into_iter().collect()), bad("list of bundled models"));
}

#[test]
fn an_unknown_permission_is_named() {
    let mut bytes = encode(&manifest(b"program"));
    let at = bytes.windows(3).position(|window| window == b"log").unwrap();
    bytes[at..at + 3].copy_from_slice(b"spy");
    assert_eq!(Manifest::decode(&bytes), Err(ManifestError::UnknownPermission("spy".try_into().unwrap())));
    // The same one twice, and in another order: known, but not the one encoding.
    bytes[at - 1..at + 3].copy_from_slice(b"\x62kv\x62");
    assert!(Manifest::decode(&bytes).is_err());
    let sorted = b"\x62kv\x63log";
    let mut bytes = encode(&manifest(b"program"));
    let at = bytes.windows(7).position(|window| window == sorted).unwrap();
    bytes[at..at + 7].copy_from_slice(b"\x63log\x62kv");
    assert_eq!(Manifest::decode(&bytes), Err(ManifestError::NotCanonical { at }));
}

#[test]
fn formats_and_fields() {
    let bytes = encode(&manifest(b"program"));
    assert_eq!(bytes[..3], [0xad, 0, 1]);
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Manifest::decode(&bytes)
    };
    assert_eq!(with(0, 0xac), Err(ManifestError::BadField("number of fields")));
    assert_eq!(with(0, 0xbf), Err(ManifestError::BadField("number of fields")));
    assert_eq!(with(2, 2), Err(ManifestError::UnknownFormat { format: 2 }));
    assert_eq!(with(3, 7), Err(ManifestError::UnexpectedField { expected: 1 }));
    // 1 in two bytes.
    let mut long = bytes.clone();
    long.splice(2..3, [0x18, 1]);
    assert_eq!(Manifest::decode(&long), Err(ManifestError::NotCanonical { at: 2 }));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Manifest::decode(&longer), Err(ManifestError::NotCanonical { at: bytes.len() }));
}

#[test]
fn versions() {
    let version = Version { major: 1, minor: 20, patch: 300 };
    assert_eq!("1.20.300".parse(), Ok(version));
    assert_eq!(version.to_string(), "1.20.300");
    assert_eq!(Version::from_number(version.number()), version);
    for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.65536", "1..2", "+1.2.3", "1.2.-3"] {
        assert!(wrong.parse::<Version>().is_err(), "{wrong}");
    }
}

prop_compose! {
    fn any_manifest()(
        api in any::<u32>(), name in "[a-z][a-z0-9_-]{0,31}", version in any::<(u16, u16, u16)>(),
        publisher in "[A-Za-z ]{1,32}", entry in any::<u64>(), memory_bytes in any::<u32>(),
        period_us in 1u32.., share in any::<u32>(), permissions in any::<[bool; 7]>(),
        models in prop::collection::btree_set("[a-z][a-z0-9]{0,31}", 0..=4), restart in 0usize..3,
        bytes in any::<u32>(), digest in any::<[u8; 32]>(),
    ) -> Manifest {
        let name_of = |text: &String| Name::try_from(text.as_str()).unwrap();
        let wanted = Permission::ALL.into_iter().zip(permissions).filter(|(_, wanted)| *wanted);
        let part = Part { bytes, digest };
        Manifest {
            api, name: name_of(&name), version: Version { major: version.0, minor: version.1, patch: version.2 },
            publisher: name_of(&publisher), entry, memory_bytes, budget_us: 1 + share % period_us, period_us,
            permissions: wanted.fold(Permissions::NONE, |set, (one, _)| set.with(one)),
            models: models.iter().map(name_of).collect(), restart: Restart::NAMES[restart].0,
            program: part, bundled: models.iter().map(|name| (name_of(name), part)).collect(),
        }
    }
}

proptest! {
    #[test]
    fn every_manifest_comes_back(manifest in any_manifest()) {
        let bytes = encode(&manifest);
        prop_assert!(bytes.len() <= crate::MAX_MANIFEST_BYTES);
        prop_assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for cut in 0..bytes.len() {
            prop_assert!(Manifest::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn what_is_accepted_has_one_encoding(manifest in any_manifest(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = encode(&manifest);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = Manifest::decode(&bytes) {
            prop_assert_eq!(encode(&other), bytes);
        }
    }

    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Manifest::decode(&bytes);
    }
}
