//! Scripts: texts with names, in one read-only region.
//!
//! A line `[NAME]` begins a script; the lines up to the next such line are its commands. The region ends at its first zero
//! byte or at its end.

/// The texts of all scripts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scripts<'a> {
    text: &'a str,
}

impl<'a> Scripts<'a> {
    /// No scripts.
    pub const NONE: Self = Self { text: "" };

    /// The scripts in a region; what follows a byte that is not UTF-8 is left out.
    pub fn new(region: &'a [u8]) -> Self {
        let end = region.iter().position(|byte| *byte == 0).unwrap_or(region.len());
        let text = region[..end].utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Self { text }
    }

    /// The names, in the order of the region.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text.lines().filter_map(name)
    }

    /// The commands of the script with this name.
    pub fn get(&self, wanted: &str) -> Option<&'a str> {
        let mut start = None;
        let mut offset = 0;
        for line in self.text.split_inclusive('\n') {
            if let Some(name) = name(line) {
                if let Some(start) = start {
                    return self.text.get(start..offset);
                }
                if name == wanted {
                    start = Some(offset + line.len());
                }
            }
            offset += line.len();
        }
        self.text.get(start?..)
    }
}

fn name(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']').filter(|name| !name.is_empty() && !name.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scripts_have_names_and_lines() {
        let scripts = Scripts::new(b"lost\n[one]\r\nps\nmem\n[two]\n[three]\necho [x]\0[four]\n");
        assert!(scripts.names().eq(["one", "two", "three"]));
        assert_eq!(scripts.get("one"), Some("ps\nmem\n"));
        assert_eq!(scripts.get("two"), Some(""));
        assert_eq!(scripts.get("three"), Some("echo [x]"));
        assert_eq!(scripts.get("four"), None);
        assert_eq!(Scripts::new(b"").get(""), None);
    }

    proptest! {
        #[test]
        fn any_region_is_harmless(region: Vec<u8>) {
            let scripts = Scripts::new(&region);
            for name in scripts.names() {
                prop_assert!(scripts.get(name).is_some());
            }
        }
    }
}
