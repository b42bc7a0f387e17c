//! From a description and a program to a bundle that verifies, and everything that does not.

use super::*;

const APP: &str = r#"
name = "hello"
version = "1.0.2"
publisher = "Example Ltd"
memory_bytes = 4096
cpu = { budget_us = 100, period_us = 1000 }
permissions = ["log", "kv", "log"]
models = ["digits"]
restart = "on-fault"
"#;

/// An ELF file with one segment of code, and a section table behind it.
fn program() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0\x01\0\0\0".to_vec();
    file.extend(app_abi::map::CODE.to_le_bytes());
    file.extend(64u64.to_le_bytes());
    file.extend(120u64.to_le_bytes());
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 1, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for number in [0, app_abi::map::CODE, app_abi::map::CODE, 120, 120, 0x1000] {
        file.extend(u64::to_le_bytes(number));
    }
    file.extend([0x55; 64]);
    file
}

fn packed(key: &SecretKey) -> Vec<u8> {
    pack(&ManifestFile::parse(APP).unwrap(), &program(), &[], key).unwrap()
}

#[test]
fn a_packed_bundle_verifies() {
    let key = SecretKey::generate().unwrap();
    let bytes = packed(&key);
    let manifest = verify(&bytes, &[key.public()]).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.program.bytes), ("hello", 120), "the section table is left out");
    assert_eq!(packed(&key), bytes, "the same again gives the same bytes");
    let text = report::describe(&bytes).unwrap();
    for part in ["1.0.2", "kv, log", "digits", "on-fault", "100 us every 1000 us", "0x10000000     120 bytes r-x"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn who_signed_it_matters() {
    let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    let bytes = packed(&key);
    assert_eq!(verify(&bytes, &[other.public()]), Err(Error::UnknownPublisher { kid: key.public().id() }));
    let again = sign(&bytes, &other).unwrap();
    assert!(verify(&again, &[other.public()]).is_ok());
    // The other's signature under this one's name.
    let mut mixed = again.clone();
    mixed[8..16].copy_from_slice(&key.public().id());
    assert_eq!(verify(&mixed, &[key.public()]), Err(Error::BadSignature));
    let mut tampered = bytes.clone();
    *tampered.last_mut().unwrap() ^= 1;
    assert_eq!(verify(&tampered, &[key.public()]), Err(Error::ProgramChanged));
}

#[test]
fn models_go_along() {
    let key = SecretKey::generate().unwrap();
    let app = ManifestFile::parse(APP).unwrap();
    let models = [(Path::new("b.tflite"), vec![2; 20]), (Path::new("x/a.tflite"), vec![1; 10])];
    let bytes = pack(&app, &program(), &models, &key).unwrap();
    let manifest = verify(&bytes, &[key.public()]).unwrap();
    assert!(manifest.bundled.iter().map(|(name, part)| (name.as_str(), part.bytes)).eq([("a", 10), ("b", 20)]));
}

#[test]
fn mistakes_in_the_description_are_named() {
    let key = SecretKey::generate().unwrap();
    let error = |from: &str, to: &str| {
        let text = APP.replace(from, to);
        assert_ne!(text, APP);
        ManifestFile::parse(&text).and_then(|app| pack(&app, &program(), &[], &key)).unwrap_err()
    };
    assert!(error("\"hello\"", "\"Hello\"").contains("'Hello' cannot be the name of an app"));
    assert!(error("1.0.2", "1.0").contains("not like 1.0.2"));
    assert!(error("\"kv\"", "\"root\"").contains("there is no permission 'root'; there are: files"));
    assert!(error("on-fault", "sometimes").contains("never, on-fault, always"));
    assert!(error("budget_us = 100", "budget_us = 1001").contains("at most period_us"));
    assert!(error("restart", "restarts").contains("unknown field `restarts`"));
    assert!(error("4096", "999999").contains("bytes of memory"));
    let other = pack(&ManifestFile::parse(APP).unwrap(), b"#!/bin/sh", &[], &key).unwrap_err();
    assert_eq!(other, "not an ELF file");
}

#[test]
fn keys_are_files_of_their_own() {
    let folder = std::env::temp_dir().join(format!("kinglet-keys-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("key");
    let key = SecretKey::generate().unwrap();
    let public = key.write(&path).unwrap();
    assert_eq!(SecretKey::read(&path).unwrap().public().id(), PublicKey::read(&public).unwrap().id());
    assert!(key.write(&path).unwrap_err().contains("exists"), "a key is never overwritten");
    fs::write(&public, "abc").unwrap();
    assert!(PublicKey::read(&public).err().unwrap().contains("64 hexadecimal digits"));
    assert!(SecretKey::read(&folder.join("none")).err().unwrap().contains("kinglet bundle keygen"));
    fs::remove_dir_all(&folder).unwrap();
}
