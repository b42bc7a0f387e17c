//! The root of trust's emulator: a process of its own, joined by a pair of sockets that nobody else can open.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The emulator of the machine.
const EMULATOR: &str = "qemu-system-riscv32";
/// The file in the state's folder that stands for the flash.
pub const STATE_FILE: &str = "state.bin";

/// How the machine is started.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The firmware, an ELF file.
    pub firmware: &'a Path,
    /// The folder with the file that stands for the flash. Made if it does not exist.
    pub folder: &'a Path,
    /// The provisioning strap: keys may be made, enrolled and revoked before the boot has ended.
    pub provisioning: bool,
}

/// A running machine. It ends with this value.
#[derive(Debug)]
pub struct Machine {
    process: Child,
}

impl Machine {
    /// Starts the machine; gives it with the other end of its serial line.
    ///
    /// # Errors
    /// When files are missing or the emulator cannot be started; the message says how to help that.
    pub fn start(setup: Setup<'_>) -> Result<(Machine, UnixStream), String> {
        let path = setup.firmware.display();
        let firmware =
            fs::canonicalize(setup.firmware).map_err(|why| format!("{path}: {why}; `make rot` builds it"))?;
        fs::create_dir_all(setup.folder).map_err(|why| format!("{}: {why}", setup.folder.display()))?;
        let (ours, theirs) = UnixStream::pair().map_err(|why| format!("a pair of sockets: {why}"))?;
        let descriptor = inheritable(&theirs).map_err(|why| format!("a socket for the emulator: {why}"))?;
        let mut command = Command::new(EMULATOR);
        command.current_dir(setup.folder);
        command.args(["-machine", "opentitan", "-display", "none", "-monitor", "none", "-no-reboot", "-kernel"]);
        command.arg(firmware);
        command.args(["-chardev", &format!("socket,id=line,fd={descriptor}"), "-serial", "chardev:line"]);
        let strap = if setup.provisioning { ",arg=provision" } else { "" };
        command.args(["-semihosting-config", &format!("enable=on,target=native,arg=rot{strap}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // SAFETY: between fork and exec only one system call is made, which touches no memory of the parent.
        unsafe {
            // It must not outlive who started it, whatever ends that.
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
                    .map_err(io::Error::from)
            });
        }
        let process = command.spawn().map_err(|why| format!("{EMULATOR}: {why}; `make setup` installs it"))?;
        Ok((Machine { process }, ours))
    }

    /// Its process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        // One that has ended already is what was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets programs that are started from now on have this descriptor too; gives its number.
///
/// # Errors
/// When the system refuses.
pub fn inheritable(socket: &impl AsFd) -> io::Result<RawFd> {
    let descriptor = socket.as_fd();
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())?;
    Ok(descriptor.as_raw_fd())
}
