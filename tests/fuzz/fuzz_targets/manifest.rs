//! Any bytes are an error or a manifest, and a manifest has one encoding.
#![no_main]

use bundle::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::decode(bytes) {
        let mut again = vec![0; bytes.len()];
        manifest.encode(&mut again[..]).expect("it is as long as before");
        assert_eq!(again, bytes);
    }
});
