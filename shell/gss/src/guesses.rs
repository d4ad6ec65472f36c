//! Wrong passwords, counted for all processes of a service.
//!
//! ```text
//! guesses/0000000000/         wrong passwords of one span of time
//!         …/HASH OF NAME      one byte for each
//! ```
//! A file that is only appended to is a counter that any number of processes share. Names that nobody has
//! are counted like others, so the count tells nothing about who exists.

use crate::spans::Spans;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use symbolon_provider::crypto;
use symbolon_wire::Time;

/// How long a span is, in seconds: a gateway forgets a wrong password as soon.
const SPAN_SECS: u64 = 600;

/// What the hash of a name begins with.
const NAME: &[u8] = b"symbolon/1 gss guesses\0";

/// The count of one service.
#[derive(Debug)]
pub struct Guesses(Spans);

impl Guesses {
    /// In a directory that only the service can change.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self(Spans::new(directory, SPAN_SECS))
    }

    /// Whether this process could count one.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> io::Result<()> {
        self.0.check_writable()
    }

    /// How many wrong passwords came for `name` in this span and the one before, so in ten to twenty
    /// minutes.
    ///
    /// # Errors
    /// When it cannot be told: check no password then.
    pub fn of(&self, name: &[u8], now: Time) -> io::Result<u64> {
        self.0.check()?;
        let mut count = 0;
        for span in [now, now.minus_secs(SPAN_SECS)] {
            match fs::metadata(self.0.path(span).join(file(name))) {
                Ok(about) => count += about.len(),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(count)
    }

    /// One more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn count(&self, name: &[u8], now: Time) -> io::Result<()> {
        let span = self.0.begin(now, now.minus_secs(SPAN_SECS))?;
        let path = span.join(file(name));
        File::options().append(true).create(true).mode(0o600).open(path)?.write_all(&[1])
    }
}

fn file(name: &[u8]) -> String {
    hex::encode(crypto().sha256(&[NAME, name]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_counted_by_name_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let guesses = Guesses::new(directory.path().to_owned());
        let at = |secs: u64| Time::from_secs(1_800_000_000 + secs);
        for secs in [0, 1, 599] {
            guesses.count(b"alice", at(secs)).unwrap();
        }
        guesses.count(b"bob", at(2)).unwrap();
        assert_eq!(guesses.of(b"alice", at(3)).unwrap(), 3);
        assert_eq!(guesses.of(b"alice", at(700)).unwrap(), 3);
        assert_eq!(guesses.of(b"bob", at(700)).unwrap(), 1);
        assert_eq!(guesses.of(b"alice", at(1300)).unwrap(), 0);
        guesses.count(b"carol", at(1300)).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "what is over is removed");
    }
}
