//! First messages that were answered, for all processes of a service: a directory of empty files.
//!
//! ```text
//! replay/0000000000/        first messages to be remembered until the end of this span of time
//!        …/DIGEST           made with O_EXCL: whoever makes it was the first
//! ```
//! Making a file that is not there is the one thing that any number of processes can do at once so that
//! one of them wins, without a lock, a server or a library; it stays when they die. The directory is
//! written through to the disk before the context is used, so a power cut forgets nothing either. Spans
//! that are over are removed when a new one begins.

use crate::spans::Spans;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use symbolon_wire::Time;

/// How long a span is, in seconds: a first message is remembered for four minutes, so there are two or
/// three spans at a time.
const SPAN_SECS: u64 = 256;

/// The replay cache of one service.
#[derive(Debug)]
pub struct ReplayCache(Spans);

impl ReplayCache {
    /// In a directory that only the service can change.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self(Spans::new(directory, SPAN_SECS))
    }

    /// Whether this process could enter one.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> io::Result<()> {
        self.0.check_writable()
    }

    /// Enters a first message, and tells whether it was absent. It is remembered until `until` at
    /// least. Spans that ended before `now` go: nothing that a process may still enter lies in one, since
    /// a first message of that time is refused for its age.
    ///
    /// # Errors
    /// When it cannot be entered: accept nothing then. A directory that others can change is no cache.
    pub fn remember(&self, message: &[u8; 32], until: Time, now: Time) -> io::Result<bool> {
        let span = self.0.begin(until, now)?;
        let made =
            File::options().write(true).create_new(true).mode(0o600).open(span.join(hex::encode(message)));
        match made {
            Ok(_) => {
                File::open(&span)?.sync_all()?;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn cache() -> (tempfile::TempDir, ReplayCache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = ReplayCache::new(directory.path().to_owned());
        (directory, cache)
    }

    #[test]
    fn of_many_at_once_one_is_the_first() {
        let (_directory, cache) = cache();
        let (now, until) = (Time::from_secs(1_800_000_000), Time::from_secs(1_800_000_240));
        let firsts = std::thread::scope(|scope| {
            let each = || scope.spawn(|| cache.remember(&[7; 32], until, now).unwrap());
            let all: Vec<_> = (0..8).map(|_| each()).collect();
            all.into_iter().map(|t| t.join().unwrap()).filter(|f| *f).count()
        });
        assert_eq!(firsts, 1);
        assert!(cache.remember(&[8; 32], until, now).unwrap());
    }

    #[test]
    fn what_is_over_is_forgotten_and_nothing_else() {
        let (directory, cache) = cache();
        let at = |secs: u64| Time::from_secs(1_800_000_000 + secs);
        cache.remember(&[1; 32], at(240), at(0)).unwrap();
        cache.remember(&[2; 32], at(440), at(200)).unwrap();
        assert!(!cache.remember(&[1; 32], at(240), at(230)).unwrap());
        cache.remember(&[3; 32], at(5000), at(4760)).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_that_others_can_change_is_none() {
        let (directory, cache) = cache();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(cache.remember(&[1; 32], Time::from_secs(240), Time::from_secs(0)).is_err());
    }
}
