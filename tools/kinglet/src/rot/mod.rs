//! `kinglet rot`: the emulated root of trust in the hands of who provisions it.
//!
//! The firmware makes its own key, and publisher keys are enrolled by asking it; nothing here writes its state. Both need the
//! provisioning strap, which these commands set and `kinglet run` does not.

use std::fs;
use std::path::{Path, PathBuf};

use rot_host::{Line, LineError, Machine, Setup};
use rot_protocol::data::{FLAG_CORRUPT, FLAG_PROVISIONED, Info, Key};
use rot_protocol::{MAX_COUNTERS, MAX_KEYS, command, status};
use zerocopy::FromBytes;

use crate::bundle::keys::PublicKey;
use crate::bundle::report::hex;

pub mod boot;
pub mod parts;

/// The file in the state's folder with the device's public key.
pub const DEVICE_KEY: &str = "device.pub";

/// Arguments of `kinglet rot`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the device's key, if it has none yet, and enrol publishers' keys
    Provision {
        #[command(flatten)]
        device: Device,
        /// Public keys to enrol
        #[arg(long, num_args = 1..)]
        enroll: Vec<PathBuf>,
    },
    /// Enrol publishers' public keys
    Enroll {
        #[command(flatten)]
        device: Device,
        /// Files with public keys
        #[arg(required = true)]
        keys: Vec<PathBuf>,
    },
    /// Revoke a publisher's key for good
    Revoke {
        #[command(flatten)]
        device: Device,
        /// File with the public key
        key: PathBuf,
    },
    /// Show the device: its key, its publishers, how much room is left
    Info {
        #[command(flatten)]
        device: Device,
    },
}

/// Which root of trust.
#[derive(clap::Args)]
pub struct Device {
    /// The firmware
    #[arg(long)]
    firmware: PathBuf,
    /// Folder with the file that stands for the flash
    #[arg(long, default_value = "build/rot")]
    state: PathBuf,
}

/// Runs the command; the error is the message for the user.
pub fn command(args: &Args) -> Result<(), String> {
    match &args.command {
        Command::Provision { device, enroll } => provision(&device.firmware, &device.state, enroll),
        Command::Enroll { device, keys } => with(device, true, |line| enroll_all(line, keys)),
        Command::Revoke { device, key } => with(device, true, |line| {
            let kid = PublicKey::read(key)?.id();
            line.request(command::REVOKE, &kid).map_err(|error| format!("{}: {error}", key.display()))?;
            println!("publisher {} is revoked", hex(&kid));
            Ok(())
        }),
        Command::Info { device } => with(device, false, show),
    }
}

/// Starts the device, does something with it, stops it.
fn with(device: &Device, provisioning: bool, act: impl FnOnce(&mut Line) -> Result<(), String>) -> Result<(), String> {
    let setup = Setup { firmware: &device.firmware, folder: &device.state, provisioning };
    let (_machine, socket) = Machine::start(setup)?;
    act(&mut Line::open(socket).map_err(|error| error.to_string())?)
}

/// Makes sure that the device has a key and knows these publishers. Writes its public key into the state's folder.
pub fn provision(firmware: &Path, folder: &Path, keys: &[PathBuf]) -> Result<(), String> {
    let setup = Setup { firmware, folder, provisioning: true };
    let (_machine, socket) = Machine::start(setup)?;
    let mut line = Line::open(socket).map_err(|error| error.to_string())?;
    let info = line.info().map_err(|error| error.to_string())?;
    check(&info, folder)?;
    write_key(&info, folder)?;
    enroll_all(&mut line, keys)
}

/// Whether the device has a usable state; the error says what to do.
fn check(info: &Info, folder: &Path) -> Result<(), String> {
    let state = folder.join(rot_host::machine::STATE_FILE);
    if info.flags & FLAG_CORRUPT != 0 {
        let path = state.display();
        return Err(format!("{path}: damaged; remove it to have a new device, which no verifier knows"));
    }
    if info.flags & FLAG_PROVISIONED == 0 {
        return Err(format!("{}: the device could not make a key; can the file be written?", state.display()));
    }
    Ok(())
}

fn write_key(info: &Info, folder: &Path) -> Result<(), String> {
    let path = folder.join(DEVICE_KEY);
    let text = format!("{}\n", hex(&info.public_key));
    fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))
}

fn enroll_all(line: &mut Line, keys: &[PathBuf]) -> Result<(), String> {
    let known = publishers(line)?;
    for path in keys {
        let key = PublicKey::read(path)?;
        if known.iter().any(|known| known.public == *key.bytes() && known.revoked == 0) {
            continue;
        }
        line.request(command::ENROLL, key.bytes()).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("publisher {} is enrolled", hex(&key.id()));
    }
    Ok(())
}

/// The publishers that the device knows.
pub fn publishers(line: &mut Line) -> Result<Vec<Key>, String> {
    let data = line.request(command::KEYS, &[]).map_err(|error| error.to_string())?;
    <[Key]>::ref_from_bytes(&data).map(<[Key]>::to_vec).map_err(|_| LineError::Garbled.to_string())
}

fn show(line: &mut Line) -> Result<(), String> {
    let info = line.info().map_err(|error| error.to_string())?;
    let [major, minor, patch] = info.firmware;
    println!("firmware    {major}.{minor}.{patch}, sha256 {}", hex(&info.implementation_id));
    println!("started     {} times", info.starts);
    if info.flags & FLAG_PROVISIONED == 0 {
        let corrupt = info.flags & FLAG_CORRUPT != 0;
        let why = if corrupt { status::STATE_CORRUPT } else { status::NOT_PROVISIONED };
        println!("device      {}", status::text(why));
        return Ok(());
    }
    println!("device      {}", hex(&info.public_key));
    println!("counters    {} of {MAX_COUNTERS}", info.counters);
    println!("publishers  {} of {MAX_KEYS}", info.keys);
    for key in publishers(line)? {
        let state = if key.revoked == 0 { "" } else { " revoked" };
        println!("  {} {}{state}", hex(&bundle::key_id(&key.public)), hex(&key.public));
    }
    Ok(())
}
