//! Lines that were entered before.

/// Bytes for all lines together.
const CAPACITY: usize = 4096;

/// The most recent lines that fit, oldest first, each followed by a line feed.
#[derive(Debug)]
pub struct History {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// No lines.
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0 }
    }

    /// Remembers `line` and forgets as many old ones as it takes. Empty lines and repetitions of the last are not worth it.
    pub fn add(&mut self, line: &str) {
        if line.is_empty() || line.contains('\n') || line.len() >= CAPACITY || self.get(0) == Some(line) {
            return;
        }
        while self.length + line.len() + 1 > CAPACITY {
            let used = &self.bytes[..self.length];
            let oldest = used.iter().position(|byte| *byte == b'\n').map_or(self.length, |end| end + 1);
            self.bytes.copy_within(oldest..self.length, 0);
            self.length -= oldest;
        }
        let end = self.length + line.len();
        self.bytes[self.length..end].copy_from_slice(line.as_bytes());
        self.bytes[end] = b'\n';
        self.length = end + 1;
    }

    /// The line entered `age` lines ago; 0 is the last.
    pub fn get(&self, age: usize) -> Option<&str> {
        let used = self.bytes[..self.length].strip_suffix(b"\n")?;
        let line = used.rsplit(|byte| *byte == b'\n').nth(age)?;
        core::str::from_utf8(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_line_comes_first() {
        let mut history = History::new();
        assert_eq!(history.get(0), None);
        ["ps", "", "mem", "mem", "ps"].iter().for_each(|line| history.add(line));
        assert_eq!([0, 1, 2, 3].map(|age| history.get(age)), [Some("ps"), Some("mem"), Some("ps"), None]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn keeps_the_newest_lines(lines in prop::collection::vec("[a-z é]{0,700}", 1..40)) {
            let (mut history, mut model): (_, Vec<&str>) = (History::new(), Vec::new());
            for line in &lines {
                history.add(line);
                if !line.is_empty() && model.last() != Some(&line.as_str()) {
                    model.push(line);
                }
                let kept: Vec<&str> = (0..).map_while(|age| history.get(age)).collect();
                prop_assert!(kept.iter().eq(model.iter().rev().take(kept.len())));
                let bytes: usize = kept.iter().map(|line| line.len() + 1).sum();
                let next = model.iter().rev().nth(kept.len()).map_or(CAPACITY, |line| line.len() + 1);
                prop_assert!(bytes <= CAPACITY && bytes + next > CAPACITY - 1024);
            }
        }
    }
}
