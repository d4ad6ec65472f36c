//! Files that hold secrets: who may read them is looked at before they are believed.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use symbolon_crypto::SecretBytes;

/// Longest file of ours, in bytes: a list of about 100,000 users.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// A file that cannot be used, and which.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// More people than its owner and group can read or change it.
    #[error("{}: {reason}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// Who can, and should not.
        reason: &'static str,
    },
    /// Its content is none.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl PrivateFileError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> PrivateFileError {
    let path = path.to_owned();
    move |source| PrivateFileError::Io { path, source }
}

/// Who may read a file beside its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Nobody: a person's password.
    OwnerAlone,
    /// Its group too: the keys of a service, made by root.
    OwnerAndGroup,
    /// Everybody: certificates. Nobody but the owner may change it all the same.
    Everybody,
}

/// Reads a file if only those may read and change it who should.
pub(crate) fn read(path: &Path, readers: Readers) -> Result<SecretBytes, PrivateFileError> {
    let flags = (OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(io_error(path))?;
    let about = file.metadata().map_err(io_error(path))?;
    let bad = |reason| PrivateFileError::Unsafe { path: path.to_owned(), reason };
    let (forbidden, reason) = match readers {
        Readers::OwnerAlone => (0o077, "others than its owner may read or change it (chmod 600)"),
        Readers::OwnerAndGroup => (0o027, "others than its owner and group may read it (chmod 640)"),
        Readers::Everybody => (0o022, "others than its owner may change it (chmod 644)"),
    };
    if !about.is_file() {
        return Err(bad("it is not a file"));
    }
    if about.mode() & forbidden != 0 {
        return Err(bad(reason));
    }
    if about.uid() != 0 && about.uid() != rustix::process::geteuid().as_raw() {
        return Err(bad("it belongs neither to root nor to the user of this program"));
    }
    if about.len() > MAX_FILE {
        return Err(bad("it is too long"));
    }
    // With room from the start, since a buffer that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default() + 1);
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(io_error(path))?;
    Ok(SecretBytes::new(bytes))
}

/// Writes a file whole or not at all, with these permissions, for this group.
pub(crate) fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    group: Option<u32>,
) -> Result<(), PrivateFileError> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        std::os::unix::fs::fchown(&file, None, group)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(directory_of(path))?.sync_all()
    };
    write().map_err(io_error(path))
}

/// Where a file lies; a bare name lies here.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
