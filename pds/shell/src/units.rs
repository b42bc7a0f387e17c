//! Numbers with units, for people. Each pads like a text, so that columns line up.

use core::fmt::{self, Write};
use heapless::String;

/// Microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Micros(pub u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text: String<32> = String::new();
        let micros = self.0;
        match micros {
            0..1_000 => write!(text, "{micros} us")?,
            1_000..1_000_000 => decimal(&mut text, micros, 1_000, "ms")?,
            1_000_000..60_000_000 => decimal(&mut text, micros, 1_000_000, "s")?,
            _ => {
                let seconds = micros / 1_000_000;
                let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
                if days > 0 {
                    write!(text, "{days} d ")?;
                }
                write!(text, "{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)?;
            }
        }
        f.pad(&text)
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text: String<32> = String::new();
        match self.0 {
            bytes @ 0..1024 => write!(text, "{bytes} B")?,
            bytes @ 1024..0x10_0000 => decimal(&mut text, bytes, 1024, "KiB")?,
            bytes => decimal(&mut text, bytes, 0x10_0000, "MiB")?,
        }
        f.pad(&text)
    }
}

/// With one digit behind the point, unless that is 0; cut, not rounded.
fn decimal(text: &mut String<32>, value: u64, unit: u64, name: &str) -> fmt::Result {
    match value % unit * 10 / unit {
        0 => write!(text, "{} {name}", value / unit),
        tenth => write!(text, "{}.{tenth} {name}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases = [
            (0, "0 us"),
            (999, "999 us"),
            (1_000, "1 ms"),
            (1_550, "1.5 ms"),
            (59_900_000, "59.9 s"),
            (60_000_000, "0:01:00"),
            (90_061_000_000, "1 d 1:01:01"),
        ];
        for (micros, text) in cases {
            assert_eq!(Micros(micros).to_string(), text);
        }
        assert_eq!(format!("{:>8}|", Micros(1_000)), "    1 ms|");
        let _ = Micros(u64::MAX).to_string();
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (3 << 20, "3 MiB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        let _ = Bytes(u64::MAX).to_string();
    }
}
