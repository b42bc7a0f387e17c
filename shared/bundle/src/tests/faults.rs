//! Bundles with one thing wrong each.

use super::sample::{bundle, elf, limits, manifest, program, segment};
use crate::{Bundle, ENVELOPE_BYTES, Envelope, Error, Limits, Part, ProgramError, Version};
use app_abi::map::{CODE, CODE_BYTES, DATA, DATA_BYTES, STACK};
use app_abi::{Permission, Permissions};
use proptest::prelude::*;

fn whole() -> Vec<u8> {
    let program = program();
    bundle(&manifest(&program), &[&program])
}

fn refused_by(limits: &Limits) -> Error {
    Bundle::read(&whole(), limits).unwrap_err()
}

#[test]
fn a_right_one_is_read() {
    let bytes = whole();
    let bundle = Bundle::read(&bytes, &limits()).unwrap();
    assert_eq!((bundle.manifest.name.as_str(), bundle.program.segments.len()), ("hello", 2));
    assert_eq!((bundle.program.data_bytes(), bundle.file), (0x100, &program()[..]));
    let newest = Some(bundle.manifest.version);
    assert!(Bundle::read(&bytes, &Limits { newest, ..limits() }).is_ok(), "the same version may be installed again");
}

#[test]
fn every_cut_is_truncated_and_every_addition_trails() {
    let mut bytes = whole();
    for cut in 0..bytes.len() {
        let error = Bundle::read(&bytes[..cut], &limits()).unwrap_err();
        assert!(matches!(error, Error::Truncated { bytes, needed } if bytes == cut && needed > cut), "{cut}: {error}");
    }
    bytes.push(0);
    assert_eq!(Bundle::read(&bytes, &limits()).unwrap_err(), Error::TrailingBytes { bytes: 1 });
}

#[test]
fn every_flipped_bit_is_found() {
    let bytes = whole();
    let (envelope, manifest, _) = Envelope::read(&bytes).unwrap();
    let manifest_end = bytes.len() - program().len();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            match Envelope::read(&flipped) {
                // In who signed, or in the signature: the root of trust is asked about another pair than was signed.
                Ok((other, ..)) if at < ENVELOPE_BYTES => assert_ne!(other, envelope),
                Ok(_) => {
                    assert!(at >= manifest_end);
                    assert_eq!(Bundle::read(&flipped, &limits()).unwrap_err(), Error::ProgramChanged);
                }
                Err(error) => assert!(at < manifest_end, "{at}: {error}"),
            }
        }
    }
    let mut changed = bytes.clone();
    changed[manifest_end - manifest.len()] ^= 1;
    assert_eq!(Envelope::read(&changed).unwrap_err(), Error::ManifestChanged);
}

#[test]
fn limits_of_the_device() {
    let newest = Some(Version { major: 1, minor: 3, patch: 0 });
    assert!(matches!(refused_by(&Limits { newest, ..limits() }), Error::OldVersion { .. }));
    let permissions = Permissions::all().without(Permission::Kv);
    assert_eq!(refused_by(&Limits { permissions, ..limits() }), Error::NotOffered("kv"));
    let error = refused_by(&Limits { memory_bytes: 0xfff, ..limits() });
    assert_eq!(error, Error::TooMuchMemory { wanted: 0x1000, most: 0xfff });
    let error = refused_by(&Limits { budget_us: 999, ..limits() });
    assert_eq!(error, Error::TooMuchTime { wanted: (1_000, 10_000), most: (999, 10_000) });
    assert!(Bundle::read(&whole(), &Limits { budget_us: 100, period_us: 1_000, ..limits() }).is_ok());

    let program = program();
    let mut manifest = manifest(&program);
    manifest.memory_bytes = 0xff;
    let error = Bundle::read(&bundle(&manifest, &[&program]), &limits()).unwrap_err();
    assert_eq!(error, Error::TooMuchMemory { wanted: 0x100, most: 0xff });
    manifest.api = 2;
    let error = Bundle::read(&bundle(&manifest, &[&program]), &limits()).unwrap_err();
    assert_eq!(error, Error::ApiTooNew { needed: 2 });
}

#[test]
fn models_are_parts() {
    let program = program();
    let mut manifest = manifest(&program);
    manifest.bundled.push(("tiny".try_into().unwrap(), Part::of(b"model"))).unwrap();
    let bytes = bundle(&manifest, &[&program, b"model"]);
    assert!(Bundle::read(&bytes, &limits()).is_ok());
    let error = Bundle::read(&bytes, &Limits { accepts_models: false, ..limits() }).unwrap_err();
    assert_eq!(error, Error::ModelsNotAccepted);
    let error = Bundle::read(&bundle(&manifest, &[&program, b"modem"]), &limits()).unwrap_err();
    assert_eq!(error, Error::ModelChanged("tiny".try_into().unwrap()));
}

fn program_error(entry: u64, segments: &[Vec<u8>]) -> ProgramError {
    let program = elf(entry, segments);
    let mut manifest = manifest(&program);
    manifest.entry = entry;
    match Bundle::read(&bundle(&manifest, &[&program]), &limits()) {
        Err(Error::Program(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments() {
    let code = || segment(1, 5, CODE, 0x40, 0x1000);
    let one =
        |kind, flags, address, file, bytes| program_error(CODE, &[code(), segment(kind, flags, address, file, bytes)]);
    let out = |address, bytes| ProgramError::OutOfRange { address, bytes };
    assert_eq!(one(1, 7, DATA, 0, 16), ProgramError::WritableAndExecutable { address: DATA });
    assert_eq!(one(1, 5, CODE + 0xfff, 0, 16), ProgramError::Overlap { one: CODE, other: CODE + 0xfff });
    assert_eq!(one(1, 5, DATA, 0, 16), out(DATA, 16));
    assert_eq!(one(1, 6, CODE + 0x1000, 0, 16), out(CODE + 0x1000, 16));
    assert_eq!(one(1, 6, STACK, 0, 16), out(STACK, 16));
    assert_eq!(one(1, 6, DATA - 1, 0, 16), out(DATA - 1, 16));
    assert_eq!(one(1, 6, DATA + DATA_BYTES - 15, 0, 16), out(DATA + DATA_BYTES - 15, 16));
    assert_eq!(one(1, 6, DATA, 0, u64::MAX), out(DATA, u64::MAX));
    assert_eq!(one(1, 4, CODE + CODE_BYTES, 0, 1), out(CODE + CODE_BYTES, 1));
    assert_eq!(one(1, 6, DATA, 17, 16), ProgramError::OutsideFile);
    assert_eq!(one(1, 6, DATA, 0x1000, 0x1000), ProgramError::OutsideFile);
    for kind in [2, 3, 7] {
        assert_eq!(one(kind, 4, CODE, 0, 16), ProgramError::Dynamic);
    }
    let many: Vec<_> = (0..9).map(|index| segment(1, 5, CODE + index * 64, 64, 64)).collect();
    assert_eq!(program_error(CODE, &many), ProgramError::TooManySegments);
    assert_eq!(program_error(CODE, &[]), ProgramError::Empty);
}

#[test]
fn entries() {
    let segments = [segment(1, 5, CODE, 0x40, 0x1000), segment(1, 4, CODE + 0x1000, 16, 16)];
    for entry in [0, CODE + 1, CODE + 0x40, CODE + 0x1000, DATA, u64::MAX] {
        assert_eq!(program_error(entry, &segments), ProgramError::BadEntry { entry });
    }
    let program = elf(CODE, &segments);
    let error = Bundle::read(&bundle(&manifest(&program), &[&program]), &limits()).unwrap_err();
    assert_eq!(error, Error::Program(ProgramError::BadEntry { entry: CODE }), "not the manifest's");
}

#[test]
fn other_files_are_not_programs() {
    let good = program();
    let with = |at: usize, byte: u8| {
        let mut program = good.clone();
        program[at] = byte;
        crate::Program::read(&program).unwrap_err()
    };
    assert_eq!(with(0, 0), ProgramError::NotElf);
    for (at, byte) in [(4, 1), (5, 2), (16, 3), (18, 62), (54, 32)] {
        assert_eq!(with(at, byte), ProgramError::WrongKind, "{at}");
    }
    assert_eq!(with(56, 200), ProgramError::OutsideFile);
    assert_eq!(with(39, 0xff), ProgramError::OutsideFile);
    assert_eq!(crate::Program::read(&good[..63]).unwrap_err(), ProgramError::OutsideFile);
}

proptest! {
    #[test]
    fn any_program_is_harmless(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut program = program();
        for (at, byte) in changes {
            let at = at.index(program.len());
            program[at] = byte;
        }
        if let Ok(program) = crate::Program::read(&program) {
            for segment in &program.segments {
                let (start, room) = if segment.is_writable { (DATA, DATA_BYTES) } else { (CODE, CODE_BYTES) };
                prop_assert!(segment.address >= start && segment.address + segment.bytes <= start + room);
                prop_assert!(!(segment.is_writable && segment.is_executable));
            }
        }
    }

    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Bundle::read(&bytes, &limits());
        let _ = crate::Program::read(&bytes);
    }
}
