//! Finding the programs that the tests run.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The path of an installed program: from `PATH`, the directories of system administration, or those where Debian
/// keeps the PostgreSQL server.
///
/// # Errors
/// When it is not installed.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(postgres_directories())
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    match found {
        Some(file) => Ok(file),
        None => bail!("`{name}` is not installed: `cargo xtask setup` installs what the tests need"),
    }
}

/// Newest first.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql"));
    let mut found: Vec<PathBuf> =
        versions.into_iter().flatten().flatten().map(|e| e.path().join("bin")).collect();
    found.sort();
    found.reverse();
    found
}
