//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The directory that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the workspace")
}

/// A cargo command in the workspace's directory: the cargo that runs us, where there is one.
pub(crate) fn cargo() -> Command {
    let mut c = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    c.current_dir(root());
    c
}

/// What cargo tells about the workspace; `extra` are further arguments of `cargo metadata`.
pub(crate) fn metadata(extra: &[&str]) -> Result<serde_json::Value> {
    let out = cargo().args(["metadata", "--format-version", "1"]).args(extra).output()?;
    anyhow::ensure!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let dir = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(dir.into())
}

/// The release binary that acceptance tests run.
pub(crate) fn release_binary() -> Result<PathBuf> {
    Ok(target_directory()?.join("release").join("symbolon"))
}
