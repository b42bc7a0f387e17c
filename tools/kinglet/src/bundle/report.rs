//! What is in a bundle, for people.

use std::fmt::Write;

use bundle::{Bundle, Envelope, Error};

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line for each thing that the manifest says.
pub fn describe(bytes: &[u8]) -> Result<String, Error> {
    let (envelope, ..) = Envelope::read(bytes)?;
    let bundle = Bundle::read(bytes, &super::generous())?;
    let manifest = &bundle.manifest;
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<12} {value}");
    };
    let list = |names: Vec<&str>| if names.is_empty() { "none".into() } else { names.join(", ") };
    row("name", manifest.name.to_string());
    row("version", manifest.version.to_string());
    row("publisher", format!("{} (key {}, not verified)", manifest.publisher, hex(&envelope.kid)));
    row("interface", format!("version {}", manifest.api));
    row("memory", format!("{} bytes", manifest.memory_bytes));
    row("processor", format!("{} us every {} us", manifest.budget_us, manifest.period_us));
    row("permissions", list(manifest.permissions.iter().map(|permission| permission.name()).collect()));
    row("models", list(manifest.models.iter().map(|name| name.as_str()).collect()));
    row("restart", manifest.restart.name().into());
    row("program", format!("{} bytes, sha256 {}", manifest.program.bytes, hex(&manifest.program.digest)));
    row("entry", format!("{:#x}", manifest.entry));
    for segment in &bundle.program.segments {
        let write = if segment.is_writable { "w" } else { "-" };
        let execute = if segment.is_executable { "x" } else { "-" };
        row("segment", format!("{:#010x} {:>7} bytes r{write}{execute}", segment.address, segment.bytes));
    }
    for (name, part) in &manifest.bundled {
        row("with model", format!("{name}, {} bytes, sha256 {}", part.bytes, hex(&part.digest)));
    }
    Ok(text)
}
