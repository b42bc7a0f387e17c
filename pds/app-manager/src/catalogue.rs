//! The list of installed apps, as it is stored under one key: a power cut leaves the old list or the new one.
//!
//! It says what there is to start. What an app *is*, its signed bundle says, which is checked at every start: who changes
//! this list can do no more than the console's user can.

use app_abi::info::{padded, text};
use bundle::{KEY_ID_BYTES, Name, Version, is_name};
use heapless::Vec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::MAX_APPS;

/// The key that the list is stored under, in the app manager's own name space.
pub const KEY: &[u8] = b"installed-apps";
/// Bytes of the longest list.
pub const MAX_BYTES: usize = size_of::<Head>() + MAX_APPS * size_of::<Stored>();

const MAGIC: u64 = u64::from_le_bytes(*b"KLAPPS\0\x01");
const AUTOSTART: u32 = 1 << 0;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    magic: u64,
    apps: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Stored {
    name: [u8; 32],
    publisher: [u8; 32],
    kid: [u8; KEY_ID_BYTES],
    version: u64,
    flags: u32,
    reserved: u32,
}

/// An installed app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name, unlike that of any other.
    pub name: Name,
    /// Its publisher, for people.
    pub publisher: Name,
    /// The key that signed it.
    pub kid: [u8; KEY_ID_BYTES],
    /// Its version.
    pub version: Version,
    /// Whether it is started when the machine starts.
    pub autostart: bool,
}

/// The list as bytes.
pub fn encode<'a>(apps: impl Iterator<Item = &'a Installed>) -> Vec<u8, MAX_BYTES> {
    let mut bytes = Vec::new();
    // There is room for as many apps as there can be.
    let _ = bytes.extend_from_slice(Head { magic: MAGIC, apps: 0 }.as_bytes());
    let mut count = 0;
    for app in apps.take(MAX_APPS) {
        let flags = if app.autostart { AUTOSTART } else { 0 };
        let (name, publisher) = (padded(&app.name), padded(&app.publisher));
        let stored = Stored { name, publisher, kid: app.kid, version: app.version.number(), flags, reserved: 0 };
        let _ = bytes.extend_from_slice(stored.as_bytes());
        count += 1;
    }
    bytes[..size_of::<Head>()].copy_from_slice(Head { magic: MAGIC, apps: count }.as_bytes());
    bytes
}

/// The list that bytes stand for; `None` if they are none.
pub fn decode(bytes: &[u8]) -> Option<Vec<Installed, MAX_APPS>> {
    let (head, rest) = Head::read_from_prefix(bytes).ok()?;
    if head.magic != MAGIC || rest.len() as u64 != head.apps.checked_mul(size_of::<Stored>() as u64)? {
        return None;
    }
    let mut apps: Vec<Installed, MAX_APPS> = Vec::new();
    for stored in rest.chunks_exact(size_of::<Stored>()) {
        let stored = Stored::read_from_bytes(stored).ok()?;
        let name = Name::try_from(text(&stored.name)).ok().filter(|name| is_name(name))?;
        if stored.flags & !AUTOSTART != 0 || stored.reserved != 0 || apps.iter().any(|other| other.name == name) {
            return None;
        }
        let publisher = Name::try_from(text(&stored.publisher)).ok()?;
        let autostart = stored.flags & AUTOSTART != 0;
        let version = Version::from_number(stored.version);
        apps.push(Installed { name, publisher, kid: stored.kid, version, autostart }).ok()?;
    }
    Some(apps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apps(count: usize) -> Vec<Installed, MAX_APPS> {
        let app = |index: usize| Installed {
            name: Name::try_from(format!("app-{index}").as_str()).unwrap(),
            publisher: Name::try_from("Somebody").unwrap(),
            kid: [index as u8; 8],
            version: Version { major: 1, minor: index as u16, patch: 0 },
            autostart: index.is_multiple_of(2),
        };
        (0..count).map(app).collect()
    }

    #[test]
    fn lists_come_back() {
        for count in 0..=MAX_APPS {
            let apps = apps(count);
            assert_eq!(decode(&encode(apps.iter())), Some(apps));
        }
    }

    proptest! {
        #[test]
        fn damaged_lists_are_none_or_lists(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
            let mut bytes = encode(apps(3).iter());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Some(apps) = decode(&bytes) {
                prop_assert!(apps.iter().all(|app| is_name(&app.name)));
            }
            let cut = cut.index(bytes.len());
            prop_assert_eq!(decode(&bytes[..cut]), None);
        }
    }
}
