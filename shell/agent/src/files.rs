//! Files that only their owner reads, written whole or not at all.

use crate::AgentError;
use rustix::fs::FlockOperation;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use symbolon_crypto::SecretBytes;
use symbolon_wire::{Reader, WireError, Writer};

/// How long to wait for another process that is changing the same file: many times what one try of
/// a PIN takes.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Makes a directory, and those above it, that only its owner enters. One that exists stays as it is.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), AgentError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| AgentError::file("make", dir, &e))
}

/// Reads a file of at most `limit` bytes; nothing when there is none.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, AgentError> {
    let error = |e: std::io::Error| AgentError::file("read", path, &e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error(e)),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a longer file is not taken for a shorter one.
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() > limit {
        return Err(AgentError::failure(format!("{} is too large to be what it should be", path.display())));
    }
    Ok(Some(bytes))
}

/// Writes a file with mode 0600: to a new file beside it, flushed, renamed over the old one, and the
/// directory flushed. Whatever happens, the old or the new content is there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    let dir = directory_of(path);
    make_private_dir(&dir)?;
    let temporary = beside(path, &format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(&dir)?.sync_all()
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&temporary);
        AgentError::file("write", path, &e)
    })
}

/// Removes a file; true when there was one.
pub(crate) fn remove(path: &Path) -> Result<bool, AgentError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(AgentError::file("remove", path, &e)),
    }
}

/// A kind of file that holds secrets: it begins with words of its own and a version.
pub(crate) struct SecretFile {
    /// What it is, in a complaint.
    pub(crate) what: &'static str,
    /// What it begins with.
    pub(crate) magic: &'static [u8],
    /// What follows.
    pub(crate) version: u8,
    /// More than it ever has, in bytes.
    pub(crate) limit: usize,
    /// What helps when it cannot be read.
    pub(crate) fix: &'static str,
}

impl SecretFile {
    /// Reads the file; nothing when there is none.
    pub(crate) fn load<T>(
        &self,
        path: &Path,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
    ) -> Result<Option<T>, AgentError> {
        let Some(bytes) = read_bounded(path, self.limit)?.map(SecretBytes::new) else { return Ok(None) };
        self.parse(bytes.expose(), read).map(Some).map_err(|e| {
            AgentError::failure(format!("{} is no {}: {e}", path.display(), self.what)).fix(self.fix)
        })
    }

    /// Writes the file, over an older one.
    pub(crate) fn save(&self, path: &Path, write: impl FnOnce(&mut Writer)) -> Result<(), AgentError> {
        let bytes = SecretBytes::written(self.limit, |w| {
            w.fixed(self.magic);
            w.u8(self.version);
            write(w);
        });
        write_private(path, bytes.expose())
    }

    fn parse<T>(
        &self,
        bytes: &[u8],
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        let mut r = Reader::new(bytes);
        if r.take(self.magic.len())? != self.magic {
            return Err(WireError::BadValue(self.what));
        }
        match r.u8()? {
            version if version == self.version => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let content = read(&mut r)?;
        r.finish()?;
        Ok(content)
    }
}

/// Checks that the file at `path` could be replaced by one of `bytes` bytes, by writing as many beside it for a moment.
pub(crate) fn check_room(path: &Path, bytes: usize) -> Result<(), AgentError> {
    let dir = directory_of(path);
    make_private_dir(&dir)?;
    let probe = beside(path, &format!("room-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
        file.write_all(&vec![0; bytes])?;
        file.sync_all()
    };
    let written = write();
    let _ = fs::remove_file(&probe);
    written.map_err(|e| AgentError::file("write", path, &e))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

/// Whether others than the owner can read or write the file.
pub(crate) fn is_open_to_others(path: &Path) -> Result<bool, AgentError> {
    let metadata = fs::metadata(path).map_err(|e| AgentError::file("look at", path, &e))?;
    Ok(metadata.mode() & 0o077 != 0)
}

/// Held while a file is read and changed; advisory, so it binds programs of ours. It lies on a file
/// beside the one that is meant, because that one is replaced.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock that belongs to `path`.
    pub(crate) fn wait(path: &Path) -> Result<Self, AgentError> {
        let start = Instant::now();
        loop {
            match Self::try_now(path)? {
                Some(lock) => return Ok(lock),
                None if start.elapsed() > LOCK_PATIENCE => {
                    return Err(AgentError::failure(format!(
                        "another program is changing {} and does not finish",
                        path.display()
                    ))
                    .fix("look for a symbolon command that waits for input, and end it"));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Takes the lock that belongs to `path`, or nothing when somebody has it.
    pub(crate) fn try_now(path: &Path) -> Result<Option<Self>, AgentError> {
        make_private_dir(&directory_of(path))?;
        let beside = beside(path, "lock");
        let error = |e: std::io::Error| AgentError::file("lock", &beside, &e);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&beside)
            .map_err(error)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => Ok(None),
            Err(e) => Err(error(e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap().unwrap(), b"two");
        assert!(read_bounded(&path, 2).is_err());
        assert!(!is_open_to_others(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1, "no temporary file is left");
        assert_eq!(fs::metadata(dir.path().join("a")).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("not-a-directory");
        write_private(&file, b"x").unwrap();
        let error = write_private(&file.join("token"), b"y").unwrap_err();
        assert!(error.message.contains("not-a-directory"), "{error}");
    }

    #[test]
    fn room_is_found_where_a_file_can_be_written_and_nothing_stays_of_the_search() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/token");
        check_room(&path, 1000).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
        write_private(&path, b"x").unwrap();
        assert!(check_room(&path.join("below-a-file"), 1000).is_err());
    }

    #[test]
    fn a_file_of_another_kind_or_version_and_a_longer_one_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let kind = |magic, version| SecretFile { what: "secret", magic, version, limit: 64, fix: "ask" };
        let ours = kind(b"SECRET\n", 1);
        assert_eq!(ours.load(&path, |r| r.u8()).unwrap(), None);
        ours.save(&path, |w| w.u8(7)).unwrap();
        assert_eq!(ours.load(&path, |r| r.u8()).unwrap(), Some(7));
        assert!(!is_open_to_others(&path).unwrap());
        for other in [kind(b"PUBLIC\n", 1), kind(b"SECRET\n", 2)] {
            let error = other.load(&path, |r| r.u8()).unwrap_err();
            assert!(error.message.contains("is no secret") && error.fix.as_deref() == Some("ask"), "{error}");
        }
        assert!(ours.load(&path, |_| Ok(())).is_err(), "something is left over");
        assert!(remove(&path).unwrap() && !remove(&path).unwrap());
    }

    #[test]
    fn a_lock_is_held_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = Lock::try_now(&path).unwrap().unwrap();
        assert!(Lock::try_now(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_now(&path).unwrap().is_some());
    }
}
