//! Revocation lists of other authorities: files that are read again when they change. A list takes the place
//! of an older one of its authority, and ends what it names; one that is damaged, out of date or older than
//! the present one is reported, and the present one stays. A file that does not answer holds nothing else up.

mod file;

pub(crate) use file::ListReport;

use super::settings::AuthoritySettings;
use crate::clock::now;
use crate::error::NodeError;
use crate::node::Shared;
use file::{ListFile, Problem};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use symbolon_crypto::{Crypto, SubjectError, SubjectTrust};
use symbolon_session::{EndReason, SessionState};
use symbolon_store::{HotStore as _, StoreError};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

/// How long a look waits for the files: a disk needs much less, and the node's other work comes after it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The files, and whether sessions may be left that a list names.
pub(crate) struct Lists {
    files: Vec<Arc<Mutex<ListFile>>>,
    /// The looks that are under way, one at most for each file.
    looks: tokio::sync::Mutex<Vec<Option<JoinHandle<Option<Taken>>>>>,
    unswept: AtomicBool,
}

/// The authority that has another list than before.
struct Taken {
    alias: String,
    number: String,
}

impl Lists {
    /// Reads the lists of `authorities`, which `trust` admits, for the first time.
    ///
    /// # Errors
    /// [`NodeError::Config`] for what is no list of its authority. One that is out of date is reported and
    /// refuses that authority's certificates; a node must start with it.
    pub(super) fn open(
        crypto: Crypto,
        trust: &RwLock<SubjectTrust>,
        authorities: &[(AuthoritySettings, Vec<u8>)],
    ) -> Result<Self, NodeError> {
        let mut files = Vec::new();
        for (settings, certificate) in authorities {
            for path in &settings.lists {
                let mut file = ListFile::new(settings.alias.clone(), path.clone(), certificate.clone());
                match file.read(crypto, trust) {
                    Ok(_) => {}
                    Err(e @ Problem::List(SubjectError::RevocationUnknown)) => file.report(e.to_string()),
                    Err(e) => {
                        let (alias, path) = (&settings.alias, path.display());
                        let what = format!("credentials.authority {alias}: {path}: {e}");
                        return Err(NodeError::Config(what));
                    }
                }
                files.push(Arc::new(Mutex::new(file)));
            }
        }
        let looks = tokio::sync::Mutex::new(files.iter().map(|_| None).collect());
        let unswept = AtomicBool::new(!files.is_empty());
        Ok(Self { files, looks, unswept })
    }

    pub(crate) fn reports(&self) -> Vec<ListReport> {
        self.files.iter().map(|file| locked(file).show()).collect()
    }
}

fn locked(file: &Mutex<ListFile>) -> MutexGuard<'_, ListFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a file again if it was changed. Who asks meanwhile how it stands is not kept waiting.
fn look(shared: &Mutex<ListFile>, crypto: Crypto, trust: &RwLock<SubjectTrust>) -> Option<Taken> {
    let mut file = locked(shared).clone();
    if !file.has_news() {
        return None;
    }
    let taken = match file.read(crypto, trust) {
        Ok(true) => file.number().map(|number| Taken { alias: file.alias.clone(), number }),
        Ok(false) => None,
        Err(problem) => {
            file.report(problem.to_string());
            None
        }
    };
    *locked(shared) = file;
    taken
}

impl Shared {
    /// Takes lists in that were replaced, and ends the sessions and TLS connections of those whom they name.
    pub(crate) async fn follow_lists(self: &Arc<Self>) {
        self.look_at_lists().await;
        if !self.credentials.lists.unswept.swap(false, Ordering::AcqRel) {
            return;
        }
        self.review_tls();
        if let Err(e) = self.end_listed_sessions().await {
            // The next look tries again.
            self.credentials.lists.unswept.store(true, Ordering::Release);
            tracing::error!("sessions of revoked certificates: {e}");
        }
    }

    /// Looks at each file, in a thread of its own, unless the look before is not over.
    async fn look_at_lists(self: &Arc<Self>) {
        let lists = &self.credentials.lists;
        let mut looks = lists.looks.lock().await;
        let begin = |file: &Arc<Mutex<ListFile>>| {
            let (shared, file) = (self.clone(), file.clone());
            spawn_blocking(move || look(&file, shared.gateway.crypto, &shared.credentials.trust))
        };
        for (file, look) in lists.files.iter().zip(looks.iter_mut()) {
            look.get_or_insert_with(|| begin(file));
        }
        let deadline = Instant::now() + PATIENCE;
        for (file, slot) in lists.files.iter().zip(looks.iter_mut()) {
            let Some(look) = slot else { continue };
            let was_late = locked(file).late;
            if was_late && !look.is_finished() {
                continue;
            }
            let Ok(taken) = timeout_at(deadline, look).await else {
                let mut file = locked(file);
                file.late = true;
                let (authority, path) = (&file.alias, file.path.display());
                tracing::error!(%authority, file = %path, "revocation list: its file does not answer");
                continue;
            };
            *slot = None;
            locked(file).late = false;
            match taken {
                Ok(Some(Taken { alias, number })) => {
                    lists.unswept.store(true, Ordering::Release);
                    tracing::info!(authority = alias, number, "another revocation list");
                    let detail = json!({ "number": number });
                    self.note(self.actor(), "authority-list.take", alias, detail);
                }
                Ok(None) => {}
                Err(e) => tracing::error!("revocation lists: {e}"),
            }
        }
    }

    /// Ends every session that rests on a certificate that a list names, whoever carries it.
    async fn end_listed_sessions(&self) -> Result<(), StoreError> {
        for session in self.store.hot().list_sessions(now()).await? {
            let seen = match self.store.hot().look(session.id, now()).await {
                Ok(seen) => seen,
                Err(StoreError::NotFound { .. }) => continue,
                Err(e) => return Err(e),
            };
            let Ok(state) = SessionState::from_secret_bytes(&seen.state) else { continue };
            if self.still_unlisted(&state.certificates).is_ok() {
                continue;
            }
            let why = EndReason::TokenRevoked;
            match self.store.hot().end_session(session.id, None, self.ending(why)).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
            self.live.end(state.id, why);
            let detail = json!({ "user": state.user_name.as_str(), "why": "revocation list" });
            self.note(self.actor(), "session.end", state.id.to_string(), detail);
        }
        Ok(())
    }
}
