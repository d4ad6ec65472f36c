//! Files of a node's directory, which only their owner reads, and others that its configuration names.

use crate::NodeError;
use rustix::fs::Mode;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use symbolon_crypto::SecretBytes;

/// More than any file of the node's own has, in bytes: the longest are certificates.
const MAX_OWN: u64 = 64 * 1024;

pub(crate) fn damaged(path: &Path, reason: &str) -> NodeError {
    NodeError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> NodeError {
    let path = path.to_owned();
    move |source| NodeError::File { path, source }
}

/// Makes a directory that only its owner enters.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), NodeError> {
    fs::create_dir_all(dir).map_err(file_error(dir))?;
    let mode = fs::metadata(dir).map_err(file_error(dir))?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(file_error(dir))?;
    }
    Ok(())
}

/// What a file of the node's directory holds; nothing when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<SecretBytes>, NodeError> {
    match read_at_most(path, MAX_OWN) {
        Ok(bytes) => Ok(Some(SecretBytes::new(bytes))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(file_error(path)(e)),
    }
}

/// What a file holds, which has `limit` bytes at most.
///
/// # Errors
/// [`ErrorKind::FileTooLarge`] for a longer one, and those of the file.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    // One byte more than allowed, so that a longer file is not taken for a shorter one. Room for all of it from
    // the beginning, so that nothing secret is left behind where the bytes had no more room.
    let room = usize::try_from(file.metadata()?.len().min(limit) + 1).unwrap_or_default();
    let mut bytes = Vec::with_capacity(room);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Writes a file that only its owner reads, whole or not at all. Workers of one node may write the same at the same
/// time: one after the other.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let parent = fs::File::open(path.parent().unwrap_or(Path::new(".")))?;
        parent.lock()?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(Mode::from_raw_mode(0o600).as_raw_mode())
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        parent.sync_all()
    };
    write().map_err(file_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_write_the_same_file_at_once_all_succeed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.crt");
        std::thread::scope(|threads| {
            for byte in 0..8 {
                let path = &path;
                threads.spawn(move || (0..20).for_each(|_| write_private(path, &[byte; 1000]).unwrap()));
            }
        });
        let written = fs::read(&path).unwrap();
        assert!(written.len() == 1000 && written.iter().all(|byte| *byte == written[0]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read_and_one_that_is_not_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(read(&path).unwrap().is_none());
        write_private(&path, b"four").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap(), b"four");
        assert_eq!(read_at_most(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_at_most(Path::new("/dev/zero"), 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
