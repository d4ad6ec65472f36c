//! A directory with a directory for each span of time, removed as a whole when its time is over.

use rustix::fs::Access;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use symbolon_wire::Time;

/// Spans in a directory that only one account can change.
#[derive(Debug)]
pub(crate) struct Spans {
    directory: PathBuf,
    secs: u64,
}

impl Spans {
    pub(crate) const fn new(directory: PathBuf, secs: u64) -> Self {
        Self { directory, secs }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where what belongs to the span of `time` lies.
    pub(crate) fn path(&self, time: Time) -> PathBuf {
        self.directory.join(format!("{:010x}", time.secs() / self.secs))
    }

    /// Refuses a directory that others could change, or that is none.
    pub(crate) fn check(&self) -> io::Result<()> {
        let about = fs::metadata(&self.directory)?;
        if !about.is_dir() || about.mode() & 0o022 != 0 {
            return Err(io::Error::other("others than its owner may change the directory"));
        }
        Ok(())
    }

    /// The same, and that this process can write there.
    pub(crate) fn check_writable(&self) -> io::Result<()> {
        self.check()?;
        rustix::fs::access(&self.directory, Access::WRITE_OK | Access::EXEC_OK)?;
        Ok(())
    }

    /// The directory of the span of `time`, there from now on. When it is the first to need it, it removes
    /// the spans that ended before `over`; what cannot be removed stays.
    pub(crate) fn begin(&self, time: Time, over: Time) -> io::Result<PathBuf> {
        self.check()?;
        let span = self.path(time);
        match DirBuilder::new().mode(0o700).create(&span) {
            Ok(()) => {
                self.forget_before(over);
                File::open(&self.directory)?.sync_all()?;
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
        Ok(span)
    }

    fn forget_before(&self, over: Time) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let span = name.to_str().and_then(|n| u64::from_str_radix(n, 16).ok());
            if span.is_some_and(|span| (span + 1).saturating_mul(self.secs) < over.secs()) {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }
}
