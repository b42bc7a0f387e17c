//! Any bytes are a bundle that fits or an error; to get behind the digests, they are also read as the parts of one that
//! is whole.
#![no_main]

use app_abi::{Permissions, map};
use bundle::{Bundle, Envelope, Limits, Program, sha256};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let limits = Limits {
        memory_bytes: map::DATA_BYTES,
        budget_us: 1,
        period_us: 1,
        permissions: Permissions::all(),
        accepts_models: true,
        newest: None,
    };
    let _ = Bundle::read(file, &limits);
    let _ = Program::read(file);
    let Some((length, rest)) = file.split_first_chunk::<2>() else { return };
    let manifest_bytes = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let Ok((head, head_bytes)) = Envelope::manifest_head(manifest_bytes) else { return };
    let envelope = Envelope { kid: [0; 8], digest: sha256(&rest[..manifest_bytes]), signature: [0; 64] };
    let whole = [&envelope.encode(), &head[..head_bytes], rest].concat();
    let (read, ..) = Envelope::read(&whole).expect("an envelope around any manifest");
    assert_eq!(read, envelope);
    let _ = Bundle::read(&whole, &limits);
});
