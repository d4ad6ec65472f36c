//! A directory for a short time.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::exit::{AtPath as _, Outcome};
use crate::interrupt::{self, Interruptible};

/// How long a process that was told to end may go on to write into it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A directory that only its owner enters; it is gone on drop, and should a signal come.
pub(super) struct Place {
    path: PathBuf,
    _undo: Interruptible,
}

impl Place {
    /// Makes one where the system keeps temporary files.
    pub(super) fn make() -> Outcome<Self> {
        let base = std::env::temp_dir();
        let mut number = std::process::id();
        loop {
            let path = base.join(format!("symbolon-demo-{number}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                // of somebody else, or left by a process that was killed
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number = number.wrapping_add(1),
                made => {
                    made.at(&path)?;
                    let same = path.clone();
                    return Ok(Self { path, _undo: interrupt::undo(move || remove(&same)) });
                }
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    let begun = Instant::now();
    while fs::remove_dir_all(path).is_err() && path.exists() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_gone_with_all_that_is_in_it() {
        let (one, other) = (Place::make().unwrap(), Place::make().unwrap());
        assert_ne!(one.path(), other.path());
        fs::write(one.path().join("file"), "x").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }
}
