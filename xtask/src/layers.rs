//! Arrows point down: core crates know only core crates, rooms never know each other, shells know
//! no application.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// The rooms A to E; they meet only in a shell.
const ROOMS: [&str; 5] = ["core/context", "core/token", "core/session", "core/broker", "core/roaming"];

/// Checks every dependency within the workspace that ends up in a product (not those of tests).
pub(crate) fn check() -> Result<()> {
    let metadata = workspace::metadata(&["--no-deps"])?;
    let mut faults = Vec::new();
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    for package in packages {
        let from =
            folder(package["manifest_path"].as_str().unwrap_or_default().trim_end_matches("/Cargo.toml"));
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"] == Value::Null
                && let Some(path) = dependency["path"].as_str()
                && let Some(fault) = fault(&from, &folder(path))
            {
                faults.push(fault);
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{} crates, every arrow points down", packages.len());
    Ok(())
}

/// A path relative to the workspace.
fn folder(path: &str) -> String {
    let root = workspace::root().to_string_lossy();
    path.strip_prefix(&*root).unwrap_or(path).trim_start_matches('/').to_owned()
}

fn fault(from: &str, to: &str) -> Option<String> {
    let layer = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    if ROOMS.contains(&from) && ROOMS.contains(&to) {
        return Some(format!("{from} uses {to}: two rooms meet only in a shell"));
    }
    let forbidden = match (layer(from).as_str(), layer(to).as_str()) {
        ("core", "core") | ("shell", "core" | "shell") => false,
        ("core" | "shell", _) => true,
        _ => false,
    };
    forbidden.then(|| format!("{from} uses {to}: arrows point down only"))
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn arrows_down_are_allowed() {
        for (from, to) in [
            ("core/context", "core/wire"),
            ("shell/server", "core/token"),
            ("shell/server", "shell/store"),
            ("apps/symbolon", "shell/agent"),
            ("bench", "core/context"),
        ] {
            assert_eq!(fault(from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn arrows_up_and_between_rooms_are_not() {
        for (from, to) in [
            ("core/wire", "shell/store"),
            ("shell/server", "apps/symbolon"),
            ("core/context", "core/token"),
            ("core/session", "core/broker"),
        ] {
            assert!(fault(from, to).is_some(), "{from} {to}");
        }
    }
}
