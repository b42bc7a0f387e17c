//! Installing and starting: the long way of a bundle from the disk, by the root of trust, to its slot or its place on the disk.
//!
//! One bundle is on its way at a time, in the staging memory that only the app manager maps; others wait in a queue. Each step
//! asks one service one thing and the answer takes the next step, so nobody waits. Nothing of a bundle is used before its
//! signature is verified, and nothing of it runs before all of it is checked.

use bundle::{Bundle, Envelope, KEY_ID_BYTES, Limits, Name, Version, sha256};
use core::fmt;
use heapless::{Deque, String, Vec};
use protocols::{rot, storage};

/// The longest path of a file to install.
pub const MAX_PATH: usize = protocols::apps::TEXT_BYTES;
/// Where installed bundles lie.
pub const FOLDER: &str = "bundles";
/// Jobs that wait.
pub const MAX_WAITING: usize = 16;
/// How long a job may take, in nanoseconds: the services have shorter times of their own.
pub const TIMEOUT_NS: u64 = 60_000_000_000;

/// A path of an installed bundle.
pub type Path = String<{ MAX_PATH + 16 }>;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Install what is in a file.
    Install {
        /// The file.
        path: String<MAX_PATH>,
        /// Whom to answer.
        token: u32,
    },
    /// Install what is in the staging memory already.
    InstallUpload {
        /// Bytes of it.
        bytes: usize,
        /// Whom to answer.
        token: u32,
    },
    /// Start an installed app.
    Start {
        /// Its number.
        app: usize,
        /// Whom to answer, if somebody asked.
        token: Option<u32>,
    },
    /// Remove an app.
    Uninstall {
        /// Its number.
        app: usize,
        /// Its keys too.
        erase: bool,
        /// Whom to answer.
        token: u32,
    },
    /// Store the list of installed apps.
    Save {
        /// Whom to answer.
        token: u32,
    },
}

impl Job {
    /// Whom to answer.
    pub fn token(&self) -> Option<u32> {
        match self {
            Job::Install { token, .. }
            | Job::InstallUpload { token, .. }
            | Job::Uninstall { token, .. }
            | Job::Save { token } => Some(*token),
            Job::Start { token, .. } => *token,
        }
    }
}

/// How far a job has come: what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part of the file.
    Reading,
    /// Whether the signature is good.
    Verifying,
    /// The newest version that was ever installed.
    Counting,
    /// The folder of bundles.
    MakingFolder,
    /// A part of the new file; so many bytes were written.
    Writing(usize),
    /// The old file to be gone.
    RemovingOld,
    /// The new file to get its name.
    Renaming,
    /// The list of installed apps.
    Saving,
    /// The counter of versions.
    Advancing,
    /// The app's folder and keys.
    OpeningSpace,
    /// The measurement of the app.
    Measuring,
    /// The keys to be gone.
    Erasing,
    /// The bundle to be gone.
    RemovingBundle,
}

/// Whose answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The storage service's, to this number.
    Storage(u32),
    /// The root of trust's, to this token.
    Rot(u64),
}

/// The job that is under way.
#[derive(Clone, Debug)]
pub struct Work {
    /// What it is.
    pub job: Job,
    /// How far it has come.
    pub step: Step,
    /// What it waits for.
    pub awaited: Awaited,
    /// When it is given up.
    pub give_up_ns: u64,
    /// Bytes of the bundle in the staging memory.
    pub staged: usize,
    /// The bundle's envelope, once it was read.
    pub envelope: Option<Envelope>,
    /// The app's name and version, once the signature was verified.
    pub app: Option<(Name, Version)>,
    /// The slot that it fits, once it was checked.
    pub slot: usize,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The bundle is refused.
    Bundle(bundle::Error),
    /// The storage service said so.
    Storage(u32),
    /// The storage service is not there.
    NoStorage,
    /// The root of trust did not answer, or cannot.
    NoRootOfTrust(u32),
    /// The root of trust refuses something else than the signature.
    RootOfTrust(u32),
    /// The publisher's key is revoked.
    Revoked([u8; KEY_ID_BYTES]),
    /// The bundle on the disk is another app's.
    OtherApp,
    /// There is an app of that name by another publisher.
    OtherPublisher,
    /// The app runs.
    Running,
    /// It does not run.
    NotRunning,
    /// All slots are taken.
    NoSlot,
    /// As many apps are installed as can be.
    TooMany,
    /// There is no such app.
    NoApp,
    /// A model that the device does not have.
    NoModel(Name),
    /// It took too long.
    TimedOut,
    /// Too much is to be done already.
    Busy,
    /// What was sent is not all there.
    Incomplete,
    /// The list of installed apps could not be read yet.
    NotReady,
}

impl From<bundle::Error> for Failure {
    fn from(error: bundle::Error) -> Self {
        Failure::Bundle(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Bundle(error) => error.fmt(f),
            Failure::Storage(code) => f.write_str(storage::code::text(*code)),
            Failure::NoStorage => f.write_str("the storage service is not there"),
            Failure::NoRootOfTrust(status) => {
                write!(f, "signatures cannot be checked: {}", rot::status::text(*status))
            }
            Failure::RootOfTrust(status) => write!(f, "the root of trust refuses: {}", rot::status::text(*status)),
            Failure::Revoked(kid) => {
                f.write_str("the publisher's key is revoked: ")?;
                kid.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Failure::OtherApp => f.write_str("its bundle on the disk is another app's; install it again"),
            Failure::OtherPublisher => f.write_str("an app of that name by another publisher is installed"),
            Failure::Running => f.write_str("it runs; stop it first"),
            Failure::NotRunning => f.write_str("it does not run"),
            Failure::NoSlot => f.write_str("all slots are taken; stop an app first"),
            Failure::TooMany => f.write_str("no more apps can be installed; uninstall one first"),
            Failure::NoApp => f.write_str("there is no such app; apps lists them"),
            Failure::NoModel(name) => write!(f, "the app uses model '{name}', which this device does not have"),
            Failure::TimedOut => f.write_str("it took too long"),
            Failure::Busy => f.write_str("too much is to be done already; try again"),
            Failure::Incomplete => f.write_str("the bundle did not arrive whole"),
            Failure::NotReady => f.write_str("the list of installed apps could not be read from the disk"),
        }
    }
}

/// The jobs, and the bundle that is on its way.
#[derive(Debug)]
pub struct Loader {
    /// The bundle.
    pub staging: &'static mut [u8],
    /// What is under way.
    pub work: Option<Work>,
    /// What waits.
    pub waiting: Deque<Job, MAX_WAITING>,
    /// Bytes that were sent so far, in order.
    pub uploaded: usize,
    /// Until when the staging memory is kept for what is being sent.
    pub upload_until_ns: u64,
}

impl Loader {
    /// Nothing to do, and no memory.
    pub const fn new() -> Self {
        Self { staging: &mut [], work: None, waiting: Deque::new(), uploaded: 0, upload_until_ns: 0 }
    }

    /// The bundle that is on its way.
    pub fn staged(&self, work: &Work) -> &[u8] {
        self.staging.get(..work.staged).unwrap_or(&[])
    }

    /// Checks everything about a bundle whose signature is good.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, work: &Work, limits: &Limits) -> Result<Bundle<'_>, Failure> {
        Ok(Bundle::read(self.staged(work), limits)?)
    }

    /// A bundle that was checked, and that nobody could change since: the staging memory is the app manager's alone.
    ///
    /// # Errors
    /// None, if it was checked.
    pub fn checked(&self, work: &Work) -> Result<Bundle<'_>, Failure> {
        Ok(Bundle::read_again(self.staged(work))?)
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the bundle of an app lies.
pub fn bundle_path(name: &str, ending: &str) -> Path {
    let mut path = Path::new();
    // Names have at most 32 bytes.
    let _ = fmt::write(&mut path, format_args!("{FOLDER}/{name}.{ending}"));
    path
}

/// The counter that holds the newest version of a publisher's app.
pub fn counter_id(kid: &[u8; KEY_ID_BYTES], name: &str) -> [u8; 32] {
    let mut bytes: Vec<u8, 64> = Vec::new();
    for part in [&b"kinglet app version "[..], kid, name.as_bytes()] {
        // 20 + 8 + at most 32 bytes.
        let _ = bytes.extend_from_slice(part);
    }
    sha256(&bytes)
}
