//! What can go wrong with a link.

use core::fmt;

/// Which of the two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that this side writes.
    Own,
    /// The one that the peer writes.
    Peer,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Own => "own",
            Side::Peer => "peer's",
        })
    }
}

/// The regions that the system description gives cannot hold the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The system description does not wire the link, which is required.
    NotWired,
    /// An address is null or not a multiple of 8.
    BadAddress {
        /// The address.
        address: usize,
    },
    /// A region does not even hold the index page and one entry.
    RegionTooSmall {
        /// Which one.
        side: Side,
        /// Its size in bytes.
        bytes: usize,
        /// The least size in bytes.
        needed: usize,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotWired => f.write_str("link: not wired"),
            OpenError::BadAddress { address } => {
                write!(f, "link: a region cannot lie at {address:#x}; is its address set?")
            }
            OpenError::RegionTooSmall { side, bytes, needed } => {
                write!(f, "link: {side} region has {bytes} bytes, needs at least {needed}; is its size set?")
            }
        }
    }
}

impl core::error::Error for OpenError {}

/// Words of the peer's header that both sides must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// First word: that this is a link at all.
    Magic,
    /// Which protocol.
    Protocol,
    /// Which version of the protocol.
    Version,
    /// Size of an entry that the peer sends, in bytes.
    EntryBytes,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Header::Magic => "magic",
            Header::Protocol => "protocol",
            Header::Version => "version",
            Header::EntryBytes => "entry size",
        })
    }
}

/// Why nothing goes through a link at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The peer restarted in the middle of it; [`Link::poll`](crate::Link::poll) joins it again.
    Restarted,
    /// The peer's header says something else than this side expects. It is ignored until it restarts.
    WrongHeader {
        /// Which word.
        word: Header,
        /// What the peer says.
        found: u64,
        /// What this side needs.
        expected: u64,
    },
    /// The peer's ring has a capacity that is not a power of two, or does not fit into its region. It is ignored until it
    /// restarts.
    WrongCapacity {
        /// What the peer says, in entries.
        found: u64,
        /// How many entries its region holds.
        most: u64,
    },
    /// An index of the peer makes no sense: it took back entries, or is further ahead than a ring is long. It is ignored
    /// until it restarts.
    Misbehaved {
        /// The index.
        index: u64,
        /// This side's own index, which the peer's may be ahead of (or behind) by at most `capacity`.
        own: u64,
        /// Entries in the ring.
        capacity: u64,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Restarted => f.write_str("link: the peer restarted"),
            LinkError::WrongHeader { word, found, expected } => {
                write!(f, "link: the peer's {word} is {found:#x}, not {expected:#x}")
            }
            LinkError::WrongCapacity { found, most } => {
                write!(f, "link: the peer's capacity is {found}, not a power of two up to {most}")
            }
            LinkError::Misbehaved { index, own, capacity } => {
                write!(f, "link: the peer's index {index} does not fit {own} with {capacity} entries")
            }
        }
    }
}

impl core::error::Error for LinkError {}

/// Why an entry was not pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no room; the peer notifies when it has made some.
    Full,
    /// Nothing goes through.
    Link(LinkError),
}

impl From<LinkError> for PushError {
    fn from(error: LinkError) -> Self {
        PushError::Link(error)
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Full => f.write_str("link: full"),
            PushError::Link(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PushError {}
