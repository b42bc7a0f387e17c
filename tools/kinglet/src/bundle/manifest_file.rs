//! `app.toml`: what a publisher writes about an app.

use std::path::Path;

use app_abi::{Permission, Permissions};
use bundle::{Manifest, Name, Restart, Version};
use serde::Deserialize;

/// The file's contents.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    name: String,
    version: String,
    publisher: String,
    /// Version of the app interface.
    #[serde(default = "current_api")]
    api: u32,
    /// Bytes for writable segments and what the app allocates.
    memory_bytes: u32,
    cpu: Cpu,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default = "never")]
    restart: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cpu {
    budget_us: u32,
    period_us: u32,
}

fn current_api() -> u32 {
    app_abi::API_VERSION
}

fn never() -> String {
    Restart::Never.name().into()
}

impl ManifestFile {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<ManifestFile, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// Understands its text.
    pub fn parse(text: &str) -> Result<ManifestFile, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The manifest, still without anything about the bundle's parts.
    pub fn manifest(&self) -> Result<Manifest, String> {
        let mut permissions = Permissions::NONE;
        for text in &self.permissions {
            let known: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
            let permission = Permission::from_name(text)
                .ok_or_else(|| format!("there is no permission '{text}'; there are: {}", known.join(", ")))?;
            permissions = permissions.with(permission);
        }
        let policy = Restart::NAMES.iter().find(|(_, name)| *name == self.restart);
        let restart = policy.ok_or_else(|| format!("restart = '{}' is none of: never, on-fault, always", self.restart));
        let mut models = self.models.clone();
        models.sort();
        models.dedup();
        let names = models.iter().map(|model| name("model", model)).collect::<Result<Vec<_>, _>>()?;
        if names.len() > bundle::MAX_MODELS {
            return Err(format!("it names {} models; an app can use {}", names.len(), bundle::MAX_MODELS));
        }
        if self.cpu.budget_us == 0 || self.cpu.budget_us > self.cpu.period_us {
            return Err("cpu: budget_us must be at least 1 and at most period_us".into());
        }
        let version: Version =
            self.version.parse().map_err(|_| format!("version = '{}' is not like 1.0.2", self.version))?;
        let publisher = Name::try_from(self.publisher.as_str()).ok();
        let publisher = publisher.filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
        Ok(Manifest {
            api: self.api,
            name: name("app", &self.name)?,
            version,
            publisher: publisher.ok_or("publisher must be 1 to 32 bytes of text")?,
            memory_bytes: self.memory_bytes,
            budget_us: self.cpu.budget_us,
            period_us: self.cpu.period_us,
            permissions,
            models: names.into_iter().collect(),
            restart: restart?.0,
            ..Manifest::default()
        })
    }
}

/// The name of the model in a file.
pub fn model_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name as manifests have it.
pub fn name(what: &str, text: &str) -> Result<Name, String> {
    let name = Name::try_from(text).ok().filter(|_| bundle::is_name(text));
    name.ok_or_else(|| {
        format!(
            "'{text}' cannot be the name of a{} {what}: 1 to 32 of a-z 0-9 - _, a letter first",
            match what {
                "app" => "n",
                _ => "",
            }
        )
    })
}
