//! How the last agent ended, for whoever asks when none runs: a small file beside the log, cleared by the next sign-in.

use crate::files::{read_bounded, write_private};
use crate::status::SCHEMA;
use crate::{AgentError, ErrorKind, Paths, clock};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use symbolon_policy::format_time;
use symbolon_wire::Time;

/// More than a reason and its fix take, in bytes.
const MAX_FILE: usize = 16 * 1024;

/// An agent's end that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastEnd {
    schema: u32,
    /// RFC 3339, to the second.
    time: String,
    error: AgentError,
}

fn file(paths: &Paths) -> PathBuf {
    paths.log.with_file_name("agent.end")
}

/// Writes down why the agent ends now. It ends as well when that cannot be written.
pub(crate) fn remember(paths: &Paths, error: &AgentError) {
    let now = Time::from_secs(clock::now().0 / 1_000_000);
    let end = LastEnd { schema: SCHEMA, time: format_time(now), error: error.clone() };
    // Our own type has string keys: it always becomes JSON.
    let text = serde_json::to_vec(&end).unwrap_or_default();
    if let Err(e) = write_private(&file(paths), &text) {
        tracing::warn!(error = %e, "why the agent ended cannot be kept");
    }
}

/// What ended before is of no interest any more.
pub(crate) fn forget(paths: &Paths) {
    // An end that stays would only be shown when this agent has ended too, and then replaced.
    let _ = std::fs::remove_file(file(paths));
}

/// The end of the last agent; nothing when it was asked for, or is not known.
pub(crate) fn read(paths: &Paths) -> Option<LastEnd> {
    let bytes = read_bounded(&file(paths), MAX_FILE).ok()??;
    serde_json::from_slice(&bytes).ok().filter(|end: &LastEnd| end.schema == SCHEMA)
}

impl LastEnd {
    /// For whoever looks for an agent that is there no more.
    pub(crate) fn since(self) -> AgentError {
        let Self { time, error, .. } = self;
        let message = format!("no agent is running: the last one ended at {time}: {}", error.message);
        let code = error.code.or_else(|| Some("ended".to_owned()));
        let fix = error.fix.or_else(|| Some("start another: symbolon login".to_owned()));
        AgentError { kind: ErrorKind::Unreachable, message, code, fix }
    }

    /// For whoever was connected to it.
    pub(crate) fn now(self) -> AgentError {
        let error = self.error;
        AgentError { message: format!("the agent has ended: {}", error.message), ..error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().to_owned())).unwrap();
        assert_eq!(read(&paths), None);
        remember(&paths, &AgentError::denied("your account was locked").code("user-locked").fix("ask"));
        let error = read(&paths).unwrap().since();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.message.ends_with("Z: your account was locked"), "{error}");
        assert_eq!((error.code.as_deref(), error.fix.as_deref()), (Some("user-locked"), Some("ask")));
        assert_eq!(read(&paths).unwrap().now().kind, ErrorKind::Denied);
        std::fs::write(file(&paths), "{").unwrap();
        assert_eq!(read(&paths), None, "what cannot be read is nothing");
        forget(&paths);
        forget(&paths);
        assert!(!file(&paths).exists());
    }
}
