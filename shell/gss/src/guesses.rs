//! Wrong passwords, counted for all processes of a service.
//!
//! ```text
//! guesses/lock                held while one is counted
//! guesses/0000000000/         passwords that were tried in one span of time
//!         …/HASH OF NAME      one byte for each: 0 is being checked, 1 was wrong, 2 was right and counts no more
//! ```
//! A password is counted before it is checked, under a lock that all processes of the service share, and given
//! back when it was right: whoever ends a process in the middle saves no guess, and any number of them at once
//! have no more than one. Names that nobody has are counted like others, so the count tells nothing about who
//! exists.

use crate::spans::Spans;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use symbolon_provider::crypto;
use symbolon_wire::Time;

/// How long a span is, in seconds: a gateway forgets a wrong password as soon.
const SPAN_SECS: u64 = 600;

/// How long the outcome of other checks is waited for: many times what one takes.
const OUTCOME: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

const CHECKED: u8 = 0;
const WRONG: u8 = 1;
const RIGHT: u8 = 2;

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

    /// Counts a password for `name` that is to be checked, if fewer than `limit` were tried in this span and
    /// the one before, so in ten to twenty minutes. Where others that are being checked are what is too many, it
    /// waits for their outcome, for two seconds at most.
    ///
    /// # Errors
    /// When it cannot be counted: check no password then.
    pub fn begin(&self, name: &[u8], limit: u32, now: Time) -> io::Result<Option<Guess>> {
        let path = self.0.begin(now, now.minus_secs(SPAN_SECS))?.join(file(name));
        let give_up = Instant::now() + OUTCOME;
        loop {
            {
                let _lock = self.lock()?;
                let tried = self.tried(name, now)?;
                if tried.len() < limit as usize {
                    return Guess::count(&path).map(Some);
                }
                if !tried.contains(&CHECKED) || Instant::now() >= give_up {
                    return Ok(None);
                }
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Held until it is dropped, or its process ends.
    fn lock(&self) -> io::Result<File> {
        let path = self.0.directory().join("lock");
        let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        lock.lock()?;
        Ok(lock)
    }

    /// All that count. The next span counts as well: another process may read the time a moment later.
    fn tried(&self, name: &[u8], now: Time) -> io::Result<Vec<u8>> {
        let mut tried = Vec::new();
        for span in [now.minus_secs(SPAN_SECS), now, now.plus_secs(SPAN_SECS)] {
            match fs::read(self.0.path(span).join(file(name))) {
                Ok(all) => tried.extend(all.into_iter().filter(|g| *g != RIGHT)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(tried)
    }
}

/// A password that is being checked. It counts until it is said to have been right, and for ever if nothing is
/// said.
#[derive(Debug)]
#[must_use]
pub struct Guess {
    file: File,
    place: u64,
}

impl Guess {
    /// In the place of one that was right, so that a file has never more bytes than guesses are allowed. The
    /// caller has the lock.
    fn count(path: &Path) -> io::Result<Self> {
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut all = Vec::new();
        file.read_to_end(&mut all)?;
        let place = all.iter().position(|g| *g == RIGHT).unwrap_or(all.len()) as u64;
        file.write_all_at(&[CHECKED], place)?;
        Ok(Self { file, place })
    }

    /// It was right, and counts no more.
    ///
    /// # Errors
    /// When it cannot be written: then it counts.
    pub fn was_right(self) -> io::Result<()> {
        self.file.write_all_at(&[RIGHT], self.place)
    }

    /// It was wrong, and nobody waits for it any more.
    ///
    /// # Errors
    /// When it cannot be written: it counts all the same.
    pub fn was_wrong(self) -> io::Result<()> {
        self.file.write_all_at(&[WRONG], self.place)
    }
}

fn file(name: &[u8]) -> String {
    hex::encode(crypto().sha256(&[NAME, name]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_secs(1_800_000_000 + secs)
    }

    fn wrong(guesses: &Guesses, name: &[u8], secs: u64) -> bool {
        let guess = guesses.begin(name, 3, at(secs)).unwrap();
        guess.map(|g| g.was_wrong().unwrap()).is_some()
    }

    #[test]
    fn guesses_are_counted_by_name_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let guesses = Guesses::new(directory.path().to_owned());
        assert_eq!(
            [0, 1, 599, 600, 700].map(|s| wrong(&guesses, b"alice", s)),
            [true, true, true, false, false]
        );
        assert!(wrong(&guesses, b"bob", 700));
        assert!(wrong(&guesses, b"alice", 1300));
        let spans = || fs::read_dir(directory.path()).unwrap().count() - 1;
        assert_eq!(spans(), 2);
        assert!(wrong(&guesses, b"carol", 2500));
        assert_eq!(spans(), 1, "what is over is removed");
    }

    #[test]
    fn a_right_password_costs_nothing_however_often_it_comes() {
        let directory = tempfile::tempdir().unwrap();
        let guesses = Guesses::new(directory.path().to_owned());
        assert!(wrong(&guesses, b"alice", 0) && wrong(&guesses, b"alice", 0));
        for _ in 0..100 {
            guesses.begin(b"alice", 3, at(1)).unwrap().unwrap().was_right().unwrap();
        }
        let counted = guesses.0.path(at(1)).join(file(b"alice"));
        assert_eq!(fs::metadata(counted).unwrap().len(), 3, "nor does the file grow");
        assert!(wrong(&guesses, b"alice", 1));
        assert!(!wrong(&guesses, b"alice", 1));
    }

    #[test]
    fn a_check_that_was_ended_in_the_middle_counts() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            // as a process that is killed leaves it
            drop(Guesses::new(directory.path().to_owned()).begin(b"alice", 3, at(0)).unwrap().unwrap());
        }
        assert!(!wrong(&Guesses::new(directory.path().to_owned()), b"alice", 0));
    }

    #[test]
    fn checks_at_the_same_time_never_exceed_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        // each has a lock of its own, as processes have; half of them read the time before a span ends
        let allowed = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..24)
                .map(|n| {
                    let guesses = Guesses::new(directory.path().to_owned());
                    scope.spawn(move || wrong(&guesses, b"alice", 599 + n % 2))
                })
                .collect();
            tries.into_iter().map(|t| usize::from(t.join().unwrap())).sum::<usize>()
        });
        assert_eq!(allowed, 3);
    }

    #[test]
    fn right_passwords_that_come_all_at_once_wait_for_one_another() {
        let directory = tempfile::tempdir().unwrap();
        let guesses = Guesses::new(directory.path().to_owned());
        let held = [(); 3].map(|()| guesses.begin(b"alice", 3, at(0)).unwrap().unwrap());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| guesses.begin(b"alice", 3, at(0)).unwrap().is_some());
            held.into_iter().for_each(|guess| guess.was_right().unwrap());
            assert!(waits.join().unwrap());
        });
    }
}
