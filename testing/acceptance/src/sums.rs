//! Checksums by an outsider.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{LIMIT, finish, program};

/// What `sha256sum` says of files, in their order.
///
/// # Errors
/// When it is missing, or one cannot be read.
pub fn sha256(files: &[&Path]) -> Result<Vec<String>> {
    let finished = finish(Command::new(program("sha256sum")?).args(files), b"", LIMIT * 3)?.success()?;
    let sums: Vec<_> =
        finished.text().lines().filter_map(|l| l.split(' ').next().map(str::to_owned)).collect();
    ensure!(sums.len() == files.len(), "{}", finished.text());
    Ok(sums)
}
