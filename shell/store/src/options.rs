//! Where a store is, and who else may use it.

use crate::{DatabaseUrl, HotUrl, Result, StoreError};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `durable.db` and `hot.db` in this directory, which is made when it is missing (SQLite).
    Directory(PathBuf),
    /// A PostgreSQL database.
    Database(DatabaseUrl),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(dir) => dir.display().fmt(f),
            Self::Database(url) => url.fmt(f),
        }
    }
}

/// Who may use a directory at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// This process alone; a second one gets [`StoreError::InUse`].
    Exclusive,
    /// Every process that says so too.
    Shared,
}

/// How to open a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Where it is.
    pub location: Location,
    /// Who may use it at the same time. Says nothing about a PostgreSQL database.
    pub sharing: Sharing,
    /// The most bytes that each of the two files may grow to, or as many as the disk has. What
    /// does not fit is refused with [`StoreError::DiskFull`]. Only for a directory.
    pub quota: Option<u64>,
    /// A Redis or Valkey server for the hot records; they lie beside the durable ones without.
    pub hot: Option<HotUrl>,
}

impl StoreOptions {
    /// An embedded store in `dir` for this process alone.
    #[must_use]
    pub fn exclusive(dir: impl Into<PathBuf>) -> Self {
        Self {
            location: Location::Directory(dir.into()),
            sharing: Sharing::Exclusive,
            quota: None,
            hot: None,
        }
    }

    /// An embedded store in `dir` for several processes of this machine.
    #[must_use]
    pub fn shared(dir: impl Into<PathBuf>) -> Self {
        Self { sharing: Sharing::Shared, ..Self::exclusive(dir) }
    }

    /// A PostgreSQL database.
    #[must_use]
    pub fn database(url: DatabaseUrl) -> Self {
        Self { location: Location::Database(url), sharing: Sharing::Shared, quota: None, hot: None }
    }

    /// The same with its hot records in a Redis or Valkey server.
    #[must_use]
    pub fn hot(self, url: HotUrl) -> Self {
        Self { hot: Some(url), ..self }
    }
}

/// An open lock file in a directory; the kernel lets go of the lock when the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "held for its lock")] File);

impl DirectoryLock {
    /// Makes `dir` when it is missing (readable by its owner only) and locks it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] with the process that has it; [`StoreError::ReadOnly`],
    /// [`StoreError::DiskFull`].
    pub fn take(dir: &Path, sharing: Sharing) -> Result<Self> {
        let io = |e: std::io::Error| StoreError::from_io(&e);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let mut file = private_file(&dir.join("lock")).map_err(io)?;
        let locked = match sharing {
            Sharing::Exclusive => file.try_lock(),
            Sharing::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { pid: holder(&mut file) }),
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self(file))
    }
}

/// The process that wrote itself into the lock file last.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Opens `path`, made when it is missing, readable and writable by its owner only. SQLite gives
/// the files that it makes beside a database the database's own permissions.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
