//! How a command ends: well, or with a complaint that says what to do.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use symbolon_agent::{AgentError, ErrorKind};

use crate::paste::Paste;

/// What kind of failure; its number is the exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something did not work.
    Failure = 1,
    /// The command was typed wrongly, or an argument is none.
    Usage = 2,
    /// Whoever asks may not.
    Denied = 3,
    /// A node, gateway or agent does not answer.
    Unreachable = 4,
}

impl Kind {
    /// The word that stands for it in JSON when nothing more precise is known.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
        }
    }

    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind.code())
    }
}

/// Why a command failed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Complaint {
    #[serde(skip)]
    pub(crate) kind: Kind,
    /// A stable word for programs.
    pub(crate) code: String,
    /// One sentence for people.
    pub(crate) message: String,
    /// What to do next, where that is known; a command in it works when pasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

/// The result of everything that can end a command.
pub(crate) type Outcome<T = ()> = Result<T, Complaint>;

impl Complaint {
    /// A complaint of a kind, whose code is the kind's word.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: kind.as_str().to_owned(), message: message.into(), fix: None }
    }

    /// Something did not work.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Kind::Failure, message)
    }

    /// The command was typed wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Whoever asks may not.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(Kind::Denied, message)
    }

    /// Nobody answers.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    /// The same with a more precise code.
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// The same with what to do next.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same with a fix whose commands work as they are.
    pub(crate) fn complete(mut self, paste: &Paste) -> Self {
        self.fix = self.fix.map(|fix| paste.complete(&fix));
        self
    }

    /// The same after a report has said it; what is left is the exit code.
    pub(crate) fn said(mut self) -> Self {
        self.message.clear();
        self
    }

    /// Whether there is nothing left to say.
    pub(crate) fn is_said(&self) -> bool {
        self.message.is_empty()
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let complaint = Self::failure(format!("{}: {}", path.display(), plain(error))).code("file");
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self { kind: Kind::Denied, ..complaint }
                .fix("run it as the owner of that file, or choose another path"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                complaint.fix("free some space, then repeat")
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                complaint.fix("choose a place on a file system that can be written")
            }
            _ => complaint,
        }
    }
}

impl From<AgentError> for Complaint {
    fn from(e: AgentError) -> Self {
        let kind = match e.kind {
            ErrorKind::Failure => Kind::Failure,
            ErrorKind::Usage => Kind::Usage,
            ErrorKind::Denied => Kind::Denied,
            ErrorKind::Unreachable => Kind::Unreachable,
        };
        let complaint = Self { fix: e.fix, ..Self::new(kind, e.message) };
        match e.code {
            Some(code) => complaint.code(code),
            None => complaint,
        }
    }
}

impl From<Complaint> for AgentError {
    fn from(complaint: Complaint) -> Self {
        let kind = match complaint.kind {
            Kind::Failure => ErrorKind::Failure,
            Kind::Usage => ErrorKind::Usage,
            Kind::Denied => ErrorKind::Denied,
            Kind::Unreachable => ErrorKind::Unreachable,
        };
        let code = Some(complaint.code).filter(|code| code != complaint.kind.as_str());
        Self { kind, code, message: complaint.message, fix: complaint.fix }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The words of a system error without `(os error N)`, in small letters as the rest of the sentence.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Names the file in an error of the system.
pub(crate) trait AtPath<T> {
    /// Turns the error into a complaint about `path`.
    fn at(self, path: &Path) -> Outcome<T>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, path: &Path) -> Outcome<T> {
        self.map_err(|e| Complaint::file(path, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_the_documented_ones() {
        let codes = [Kind::Failure, Kind::Usage, Kind::Denied, Kind::Unreachable].map(Kind::code);
        assert_eq!(codes, [1, 2, 3, 4]);
    }

    #[test]
    fn a_complaint_about_a_file_names_it_and_says_what_to_do() {
        let complaint = Complaint::file(Path::new("/x"), &io::Error::from_raw_os_error(28));
        assert_eq!(complaint.message, "/x: no space left on device");
        assert_eq!((complaint.kind, complaint.fix.is_some()), (Kind::Failure, true));
        let denied: Outcome = Err(io::Error::from_raw_os_error(13)).at(Path::new("/x"));
        assert_eq!(denied.unwrap_err().kind, Kind::Denied);
    }
}
