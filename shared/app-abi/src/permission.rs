//! What an app may be allowed to do.

/// A kind of requests that an app's manifest asks permission for. Exit, its own manifest and waiting need none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Permission {
    /// Write files in the app's own folder, and read them.
    Files = 0,
    /// Receive detected keywords.
    Keywords = 1,
    /// Keep values under keys of the app's own.
    Kv = 2,
    /// Print lines on the console.
    Log = 3,
    /// Run the models that the manifest names.
    Models = 4,
    /// Receive random bytes of the root of trust.
    Random = 5,
    /// Set timers.
    Timers = 6,
}

impl Permission {
    /// All of them, in the order of their names.
    pub const ALL: [Permission; 7] = [
        Permission::Files,
        Permission::Keywords,
        Permission::Kv,
        Permission::Log,
        Permission::Models,
        Permission::Random,
        Permission::Timers,
    ];

    /// Its name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Permission::Files => "files",
            Permission::Keywords => "keywords",
            Permission::Kv => "kv",
            Permission::Log => "log",
            Permission::Models => "models",
            Permission::Random => "random",
            Permission::Timers => "timers",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Permission> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of permissions: bit `n` is the permission with the number `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Permissions = Permissions(0);

    /// All that there are.
    pub fn all() -> Permissions {
        Permission::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Permissions {
        Permissions(self.0 | permission.bit())
    }

    /// The set without one.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Permissions {
        Permissions(self.0 & !permission.bit())
    }

    /// Whether it is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Those in the set, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_come_back() {
        assert!(Permission::ALL.is_sorted_by_key(|permission| permission.name()));
        for (index, permission) in Permission::ALL.into_iter().enumerate() {
            assert_eq!((permission as usize, Permission::from_name(permission.name())), (index, Some(permission)));
        }
        assert_eq!(Permission::from_name("root"), None);
    }

    #[test]
    fn sets() {
        let set = Permissions::NONE.with(Permission::Kv).with(Permission::Files);
        assert!(set.iter().map(Permission::name).eq(["files", "kv"]));
        assert!(!set.without(Permission::Kv).contains(Permission::Kv));
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }
}
