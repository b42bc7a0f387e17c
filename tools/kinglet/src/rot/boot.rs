//! The root of trust's part in `kinglet run`. What a boot ROM does on hardware, this does here: before the machine starts, it
//! measures what the machine will be given, extends the root of trust's registers with it, closes them, and hands the
//! line to the machine.

use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rot_host::{Line, Machine, Setup, inheritable};
use rot_protocol::command;
use rot_protocol::data::FLAG_PROVISIONED;

use crate::board::Board;
use crate::bundle::keys::PublicKey;
use crate::rot::parts::{Given, measure};
use crate::rot::{DEVICE_KEY, provision, publishers};

/// Arguments about the root of trust.
#[derive(clap::Args, Default)]
pub struct Options {
    /// Firmware of the root of trust; boards that have the device `rot` need this, --rot-line or --no-rot
    #[arg(long, value_name = "FIRMWARE")]
    rot: Option<PathBuf>,
    /// Folder with the file that stands for its flash; made, with a new device in it, if there is none
    #[arg(long, value_name = "FOLDER", default_value = "build/rot")]
    rot_state: PathBuf,
    /// Publishers' public keys that it is to know
    #[arg(long, value_name = "KEY.pub", num_args = 1..)]
    enroll: Vec<PathBuf>,
    /// A socket that leads to a root of trust that runs already
    #[arg(long, value_name = "SOCKET", conflicts_with = "rot")]
    rot_line: Option<PathBuf>,
    /// Leave the line to the root of trust open at its other end
    #[arg(long, conflicts_with_all = ["rot", "rot_line"])]
    no_rot: bool,
}

/// What the machine's line to the root of trust leads to.
pub enum Booted {
    /// The board has no such line.
    NoDevice,
    /// Nothing.
    Nothing,
    /// A root of trust.
    Connected {
        /// Ends when this ends; `None` if somebody else started it.
        _machine: Option<Machine>,
        /// Open until then.
        _socket: UnixStream,
        /// The socket's number, which the emulator inherits.
        descriptor: RawFd,
    },
}

impl Booted {
    /// The other end of the line in the emulator's words.
    pub fn character_device(&self) -> Option<String> {
        match self {
            Booted::NoDevice => None,
            Booted::Nothing => Some("null".into()),
            Booted::Connected { descriptor, .. } => Some(format!("socket,fd={descriptor}")),
        }
    }
}

/// Starts the root of trust, measures, ends its boot.
///
/// # Errors
/// When the arguments do not fit the board, files are missing, or the emulator cannot be started. A root of trust that does not
/// work is no error: the system runs without, and this says so.
pub fn boot(args: &Options, given: Given<'_>, board: &Board) -> Result<Booted, String> {
    let asked = args.rot.is_some() || args.rot_line.is_some();
    if !board.devices.contains_key("rot") {
        return if asked { Err(format!("board {} has no root of trust", board.name)) } else { Ok(Booted::NoDevice) };
    }
    let (machine, socket) = match (&args.rot, &args.rot_line) {
        (Some(firmware), _) => {
            let (machine, socket) = start(firmware, args)?;
            (Some(machine), socket)
        }
        (None, Some(path)) => (None, UnixStream::connect(path).map_err(|why| format!("{}: {why}", path.display()))?),
        (None, None) if args.no_rot => return Ok(Booted::Nothing),
        (None, None) => {
            return Err(format!("board {} has a root of trust: name its firmware with --rot, or --no-rot", board.name));
        }
    };
    let hand_over = socket.try_clone().map_err(|why| format!("the line to the root of trust: {why}"))?;
    if let Err(why) = measure_all(socket, given, board) {
        eprintln!("kinglet: {why}; booting all the same, unmeasured");
    }
    let descriptor = inheritable(&hand_over).map_err(|why| format!("the line to the root of trust: {why}"))?;
    Ok(Booted::Connected { _machine: machine, _socket: hand_over, descriptor })
}

/// Starts the device, which has a key and knows the publishers.
fn start(firmware: &std::path::Path, args: &Options) -> Result<(Machine, UnixStream), String> {
    let setup = Setup { firmware, folder: &args.rot_state, provisioning: false };
    let exists = args.rot_state.join(DEVICE_KEY).exists();
    if exists && args.enroll.is_empty() {
        return Machine::start(setup);
    }
    if exists {
        let (machine, socket) = Machine::start(setup)?;
        let twin = socket.try_clone().map_err(|why| format!("the line to the root of trust: {why}"))?;
        match Line::open(socket).map_err(|error| error.to_string()).and_then(|mut line| publishers(&mut line)) {
            Ok(known) => {
                let keys: Vec<PublicKey> =
                    args.enroll.iter().map(|path| PublicKey::read(path)).collect::<Result<_, _>>()?;
                let missing = keys.iter().any(|key| !known.iter().any(|known| known.public == *key.bytes()));
                if !missing {
                    return Ok((machine, twin));
                }
            }
            // What is wrong with it is said when it is measured with.
            Err(_) => return Ok((machine, twin)),
        }
    }
    provision(firmware, &args.rot_state, &args.enroll)?;
    Machine::start(setup)
}

fn measure_all(socket: UnixStream, given: Given<'_>, board: &Board) -> Result<(), String> {
    let parts = measure(given, board)?;
    let mut line = Line::open(socket).map_err(|error| error.to_string())?;
    let fail = |error: rot_host::LineError| error.to_string();
    if line.info().map_err(fail)?.flags & FLAG_PROVISIONED == 0 {
        eprintln!("kinglet: the root of trust has no usable key; `kinglet rot info` says why");
    }
    for part in &parts {
        line.extend(part).map_err(fail)?;
    }
    line.request(command::END_BOOT, &[]).map_err(fail)?;
    Ok(())
}
