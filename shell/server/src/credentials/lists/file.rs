//! The file of one authority's list, and what it shows of itself.

use crate::clock::now;
use crate::files::read_at_most;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use symbolon_crypto::{Crypto, RevocationList, SubjectError, SubjectTrust};
use symbolon_wire::Time;

/// How long until a list that is not in date, or cannot be read, is looked at again though its file was not
/// changed, in seconds: clocks differ, it may be from a moment ahead, and what keeps it from being read may pass.
const LOOK_AGAIN_SECS: u64 = 30;

/// The longest file that is read, in bytes: a list has 4 MiB at most, and in PEM a third more.
const MAX_FILE: u64 = 6 * 1024 * 1024;

/// The file of an authority's list.
#[derive(Clone)]
pub(super) struct ListFile {
    pub(super) alias: String,
    pub(super) path: PathBuf,
    /// The authority's certificate, DER.
    authority: Vec<u8>,
    stamp: Option<Stamp>,
    look_again: Option<Time>,
    present: Option<Present>,
    problem: Option<String>,
    /// Whether a look at it takes longer than it should.
    pub(super) late: bool,
}

/// What changes when somebody writes a file or puts another in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: [(i64, i64); 2],
}

/// The list that counts.
#[derive(Clone)]
struct Present {
    hash: [u8; 32],
    number: Vec<u8>,
    from: Time,
    until: Time,
}

/// What an administrator sees of a list.
#[derive(Serialize)]
pub(crate) struct ListReport {
    authority: String,
    file: String,
    /// Hexadecimal; none before there was a list that counts.
    number: Option<String>,
    this_update: Option<String>,
    next_update: Option<String>,
    age_secs: Option<u64>,
    problem: Option<String>,
}

/// Why a file gives no list.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("{}", of_a_list(.0))]
    List(#[from] SubjectError),
    #[error("another list with this or a larger number was taken before")]
    Older,
}

/// What is wrong with a list, whose reasons are named after certificates'.
fn of_a_list(e: &SubjectError) -> String {
    let words = match e {
        SubjectError::Untrusted => "it is not signed by this authority",
        SubjectError::WrongUsage => "this authority may not sign lists",
        SubjectError::RevocationUnknown => "it is out of date, or from the future",
        SubjectError::CriticalExtension => "it is about a part of the certificates only",
        SubjectError::Malformed(why) => return format!("it is malformed: {why}"),
        e => return e.to_string(),
    };
    words.to_owned()
}

impl ListFile {
    /// One that was not looked at yet; `authority` is the certificate of the authority `alias`, DER.
    pub(super) const fn new(alias: String, path: PathBuf, authority: Vec<u8>) -> Self {
        Self {
            alias,
            path,
            authority,
            stamp: None,
            look_again: None,
            present: None,
            problem: None,
            late: false,
        }
    }

    fn stamp_now(&self) -> Option<Stamp> {
        let found = std::fs::metadata(&self.path).ok()?;
        Some(Stamp {
            inode: (found.dev(), found.ino()),
            size: found.size(),
            changed: [(found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec())],
        })
    }

    pub(super) fn has_news(&self) -> bool {
        self.look_again.is_some_and(|again| again <= now()) || self.stamp != self.stamp_now()
    }

    /// Tells whether another list counts now.
    pub(super) fn read(&mut self, crypto: Crypto, trust: &RwLock<SubjectTrust>) -> Result<bool, Problem> {
        // Looked at first: what is written while we read is another state.
        self.stamp = self.stamp_now();
        let list = read_at_most(&self.path, MAX_FILE)
            .map_err(Problem::from)
            .and_then(|file| Ok(RevocationList::der_of(&file)?))
            .and_then(|der| Ok(RevocationList::read(crypto, &der, &self.authority, now())?));
        self.look_again = match &list {
            Err(Problem::File(_) | Problem::List(SubjectError::RevocationUnknown)) => {
                Some(now().plus_secs(LOOK_AGAIN_SECS))
            }
            _ => None,
        };
        let list = list?;
        let read = Present {
            hash: *list.hash(),
            number: list.number().to_vec(),
            from: list.from(),
            until: list.until(),
        };
        let same = self.present.as_ref().is_some_and(|p| p.hash == read.hash);
        let mut trust = trust.write().unwrap_or_else(PoisonError::into_inner);
        if !same && !trust.admit_list(crypto, list) {
            return Err(Problem::Older);
        }
        drop(trust);
        (self.present, self.problem) = (Some(read), None);
        Ok(!same)
    }

    pub(super) fn report(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            let (authority, file) = (&self.alias, self.path.display());
            tracing::error!(%authority, %file, "revocation list: {problem}; the present one stays");
            self.problem = Some(problem);
        }
    }

    pub(super) fn number(&self) -> Option<String> {
        self.present.as_ref().map(|p| hex::encode(&p.number))
    }

    pub(super) fn show(&self) -> ListReport {
        let now = now();
        let time = |of: fn(&Present) -> Time| self.present.as_ref().map(of);
        let (from, until) = (time(|p| p.from), time(|p| p.until));
        let over = until.is_some_and(|u| u < now);
        let late = self.late.then(|| "its file does not answer".to_owned());
        let out_of_date = || over.then(|| "out of date: it refuses every certificate".to_owned());
        ListReport {
            authority: self.alias.clone(),
            file: self.path.display().to_string(),
            number: self.number(),
            this_update: from.map(symbolon_policy::format_time),
            next_update: until.map(symbolon_policy::format_time),
            age_secs: from.map(|f| now.distance_secs(f)),
            problem: late.or_else(|| self.problem.clone()).or_else(out_of_date),
        }
    }
}
