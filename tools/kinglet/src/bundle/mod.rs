//! `kinglet bundle`: makes keys, packs and signs apps, and says what is in a bundle.

use std::fs;
use std::path::{Path, PathBuf};

use ::bundle::{Bundle, Envelope, Error, Limits, Manifest, Part, Program};

pub mod keys;
mod manifest_file;
pub mod report;

use keys::{PublicKey, SecretKey};
use manifest_file::ManifestFile;

/// Options of `kinglet bundle`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a publisher's key: KEY, which stays secret, and KEY.pub, which devices enrol
    Keygen {
        /// File for the secret key; an existing one is never overwritten
        key: PathBuf,
    },
    /// Make a signed bundle of a program and what app.toml says of it
    Pack {
        /// The app's description, in TOML
        app: PathBuf,
        /// The linked program, an ELF file; what only debuggers need is left out
        #[arg(long)]
        program: PathBuf,
        /// A model to go with it, a .tflite file whose name without ending becomes the model's; may be repeated
        #[arg(long = "model")]
        models: Vec<PathBuf>,
        /// The publisher's secret key
        #[arg(long)]
        key: PathBuf,
        /// File to write
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Sign a bundle anew, with another key
    Sign {
        /// The bundle
        bundle: PathBuf,
        /// The publisher's secret key
        #[arg(long)]
        key: PathBuf,
        /// File to write
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Say what is in a bundle, whoever signed it
    Show {
        /// The bundle
        bundle: PathBuf,
    },
    /// Check a bundle as a device does, which knows these publishers
    Verify {
        /// The bundle
        bundle: PathBuf,
        /// A publisher's public key; may be repeated
        #[arg(long = "key", required = true)]
        keys: Vec<PathBuf>,
    },
}

/// Runs the command.
pub fn command(args: &Args) -> Result<(), String> {
    match &args.action {
        Action::Keygen { key } => keygen(key),
        Action::Pack { app, program, models, key, output } => {
            let key = SecretKey::read(key)?;
            let models = models.iter().map(|path| Ok((path.as_path(), read(path)?)));
            let models: Vec<_> = models.collect::<Result<_, String>>()?;
            let description = ManifestFile::read(app)?;
            let bytes = pack(&description, &read(program)?, &models, &key)
                .map_err(|reason| format!("{} with {}: {reason}", app.display(), program.display()))?;
            write(output, &bytes)
        }
        Action::Sign { bundle, key, output } => {
            let key = SecretKey::read(key)?;
            let bytes = sign(&read(bundle)?, &key).map_err(|error| format!("{}: {error}", bundle.display()))?;
            write(output, &bytes)
        }
        Action::Show { bundle } => {
            let bytes = read(bundle)?;
            let text = report::describe(&bytes).map_err(|error| format!("{}: {error}", bundle.display()))?;
            print!("{text}");
            Ok(())
        }
        Action::Verify { bundle, keys } => {
            let keys = keys.iter().map(|path| PublicKey::read(path)).collect::<Result<Vec<_>, _>>()?;
            let bytes = read(bundle)?;
            let manifest = verify(&bytes, &keys).map_err(|error| format!("{}: {error}", bundle.display()))?;
            println!("{}: {} {}, signed and whole", bundle.display(), manifest.name, manifest.version);
            Ok(())
        }
    }
}

fn keygen(path: &Path) -> Result<(), String> {
    let key = SecretKey::generate()?;
    let public = key.write(path)?;
    println!("{}: the secret key; whoever has it can publish as you", path.display());
    println!("{}: the public key with the id {}", public.display(), report::hex(&key.public().id()));
    Ok(())
}

/// Makes a bundle of a program as it comes from the linker.
fn pack(app: &ManifestFile, program: &[u8], models: &[(&Path, Vec<u8>)], key: &SecretKey) -> Result<Vec<u8>, String> {
    let program = slim(program).map_err(|error| error.to_string())?;
    let entry = Program::read(&program).map_err(|error| error.to_string())?.entry;
    let mut manifest = app.manifest()?;
    manifest.entry = entry;
    manifest.program = Part::of(&program);
    let mut models: Vec<_> = models.iter().map(|(path, bytes)| (manifest_file::model_name(path), bytes)).collect();
    models.sort();
    for (name, bytes) in &models {
        let name = manifest_file::name("model", name)?;
        manifest
            .bundled
            .push((name, Part::of(bytes)))
            .map_err(|_| format!("too many models: a bundle holds at most {}", bundle::MAX_MODELS))?;
    }
    let parts = core::iter::once(&program[..]).chain(models.iter().map(|(_, bytes)| &bytes[..]));
    let parts: Vec<u8> = parts.flatten().copied().collect();
    let bytes = seal(&encode(&manifest), &parts, key).map_err(|error| error.to_string())?;
    // What no device would take is refused here already.
    Bundle::read(&bytes, &generous()).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Signs the manifest and puts everything together.
fn seal(manifest: &[u8], parts: &[u8], key: &SecretKey) -> Result<Vec<u8>, Error> {
    let digest = bundle::sha256(manifest);
    let kid = key.public().id();
    let envelope = Envelope { kid, digest, signature: key.sign(&bundle::sig_structure(&kid, &digest)) };
    let (head, head_bytes) = Envelope::manifest_head(manifest.len())?;
    Ok([&envelope.encode(), &head[..head_bytes], manifest, parts].concat())
}

fn sign(bytes: &[u8], key: &SecretKey) -> Result<Vec<u8>, Error> {
    let (_, manifest, parts) = Envelope::read(bytes)?;
    Bundle::read(bytes, &generous())?;
    seal(manifest, parts, key)
}

/// Checks what a device checks, with its root of trust.
fn verify(bytes: &[u8], keys: &[PublicKey]) -> Result<Manifest, Error> {
    let (envelope, ..) = Envelope::read(bytes)?;
    let unknown = Error::UnknownPublisher { kid: envelope.kid };
    let key = keys.iter().find(|key| key.id() == envelope.kid).ok_or(unknown)?;
    let signed = bundle::sig_structure(&envelope.kid, &envelope.digest);
    if !key.verifies(&signed, &envelope.signature) {
        return Err(Error::BadSignature);
    }
    Bundle::read(bytes, &generous()).map(|bundle| bundle.manifest)
}

/// Limits that are those of the format alone.
fn generous() -> Limits {
    Limits {
        memory_bytes: app_abi::map::DATA_BYTES,
        budget_us: 1,
        period_us: 1,
        permissions: app_abi::Permissions::all(),
        accepts_models: true,
        newest: None,
    }
}

fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut bytes = vec![0; bundle::MAX_MANIFEST_BYTES];
    let room = bytes.len();
    let mut rest = &mut bytes[..];
    // The longest manifest is far shorter than the most that is allowed.
    let left = match manifest.encode(&mut rest) {
        Ok(()) => rest.len(),
        Err(_) => 0,
    };
    bytes.truncate(room - left);
    bytes
}

/// The program without what is not loaded: sections, symbols, debug information.
fn slim(program: &[u8]) -> Result<Vec<u8>, bundle::ProgramError> {
    /// Offsets in the ELF header of what tells where sections are: `e_shoff`, then `e_shentsize` and what follows.
    const SECTIONS_AT: core::ops::Range<usize> = 40..48;
    const SECTION_COUNTS_AT: core::ops::Range<usize> = 58..64;
    /// Offset in the ELF header of where the segments' table is, `e_phoff`, and of the count of its entries.
    const TABLE_AT: core::ops::Range<usize> = 32..40;
    const TABLE_COUNT_AT: core::ops::Range<usize> = 56..58;
    const TABLE_ENTRY_BYTES: usize = 56;
    let checked = Program::read(program)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number: usize, byte| number << 8 | usize::from(*byte));
    let table = number(&program[TABLE_AT]) + number(&program[TABLE_COUNT_AT]) * TABLE_ENTRY_BYTES;
    let end = checked.segments.iter().map(|segment| segment.file_at + segment.file_bytes).max().unwrap_or(0);
    let mut slim = program[..end.max(table)].to_vec();
    slim[SECTIONS_AT].fill(0);
    slim[SECTION_COUNTS_AT].fill(0);
    Ok(slim)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
