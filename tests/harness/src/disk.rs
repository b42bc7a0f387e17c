//! Disks for tests: fresh ones, and every kind of bad one.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// A disk, made anew for its test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// As `make disk` makes it, but smaller: the files of the folder `disk`.
    Fresh,
    /// The same, without a single free cluster.
    Full,
    /// The same, and it cannot be written.
    ReadOnly,
    /// The same, but every read fails.
    FailingReads,
    /// The same, but every write fails.
    FailingWrites,
    /// The same, but everything fails once it was flushed for the second time: as if it was pulled out.
    Pulled,
    /// Zeros.
    Zeros,
    /// A partition table, and garbage behind it.
    Garbage,
}

/// Errors that the emulator's block layer is to make (QEMU docs/devel/blkdebug).
const FAILING_READS: &str = "[inject-error]\nevent = \"none\"\niotype = \"read\"\nerrno = \"5\"\n";
const FAILING_WRITES: &str = "[inject-error]\nevent = \"none\"\niotype = \"write\"\nerrno = \"5\"\n";
/// Once such an event came, the rule holds for everything that follows.
const PULLED: &str = "[set-state]\nstate = \"1\"\nevent = \"flush_to_disk\"\nnew_state = \"2\"\n\
    [set-state]\nstate = \"2\"\nevent = \"flush_to_disk\"\nnew_state = \"3\"\n\
    [inject-error]\nstate = \"3\"\nevent = \"write_aio\"\nerrno = \"5\"\n";

impl Disk {
    /// Makes the disk `NAME.disk` in a folder; gives what the emulator is to open.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(self, kinglet: &Path, folder: &Path, name: &str) -> Result<String, String> {
        let image = folder.join(format!("{name}.disk"));
        let write = |bytes: &[u8]| std::fs::write(&image, bytes).map_err(|why| format!("{}: {why}", image.display()));
        let mut make = Command::new(kinglet);
        make.args(["disk", "make", "disk", "--mib", "8", "--keys-mib", "1", "--output"]).arg(&image);
        run(make)?;
        let mut bytes = std::fs::read(&image).map_err(|why| format!("{}: {why}", image.display()))?;
        let path = image.display().to_string();
        match self {
            Disk::Fresh => Ok(path),
            Disk::ReadOnly => Ok(format!("{path},readonly=on")),
            Disk::Full => {
                let filler = folder.join(format!("{name}.filler"));
                std::fs::write(&filler, &bytes).map_err(|why| format!("{}: {why}", filler.display()))?;
                let mut put = Command::new(kinglet);
                put.args(["disk", "put"]).args([&image, &filler]).arg("FILLER.BIN");
                // It does not fit, and what does is on the disk then.
                match run(put) {
                    Err(_) => Ok(path),
                    Ok(()) => Err(format!("{path}: the filler fits")),
                }
            }
            Disk::Zeros => {
                write(&vec![0; bytes.len()])?;
                Ok(path)
            }
            Disk::Garbage => {
                let mut state = 0x2545_f491_u32;
                for byte in &mut bytes[512..] {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *byte = (state >> 24) as u8;
                }
                write(&bytes)?;
                Ok(path)
            }
            Disk::FailingReads => failing(&path, FAILING_READS),
            Disk::FailingWrites => failing(&path, FAILING_WRITES),
            Disk::Pulled => failing(&path, PULLED),
        }
    }
}

/// The image behind a layer that makes errors by these rules.
fn failing(path: &str, rules: &str) -> Result<String, String> {
    let file = format!("{path}.rules");
    std::fs::write(&file, rules).map_err(|why| format!("{file}: {why}"))?;
    Ok(format!("blkdebug:{file}:{path}"))
}

fn run(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|why| format!("kinglet: {why}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_string()) }
}
