//! Documents of the emulator, JSON or TOML by the ending of the file.

use std::path::Path;

use serde::de::DeserializeOwned;

/// Reads a document. The message names the file, and line and key where the format tells them.
pub(crate) fn read_document<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{shown} cannot be read: {e}"))?;
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|e| format!("{shown}: {e}")),
        Some("toml") => toml::from_str(&text).map_err(|e| format!("{shown}: {e}")),
        _ => Err(format!("{shown}: the name must end in .json or .toml")),
    }
}
