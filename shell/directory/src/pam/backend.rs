use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

use symbolon_crypto::SecretBytes;
use symbolon_policy::CanonName;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::PamService;
use super::library::{self, Answer, SUCCESS};
use crate::{BackendError, Checked, Checking, PasswordBackend, is_impossible};

/// A PAM service and how to use it.
#[derive(Clone, Debug)]
pub struct PamConfig {
    /// Which service.
    pub service: PamService,
    /// How long one check may take, waiting for a free thread included.
    pub limit: Duration,
    /// How many checks are under way at once. Not every module can be used by several threads.
    pub threads: usize,
}

/// Passwords by PAM. It knows no groups.
#[derive(Debug)]
pub struct Pam {
    config: PamConfig,
    free: Arc<Semaphore>,
}

impl Pam {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(config: PamConfig) -> Self {
        let free = Arc::new(Semaphore::new(config.threads.clamp(1, 64)));
        Self { config, free }
    }

    /// Whether the library and the service are there, for a node's start.
    ///
    /// # Errors
    /// [`BackendError::Misconfigured`].
    pub fn ready(&self) -> Result<(), BackendError> {
        library::library().map_err(BackendError::Misconfigured)?;
        let file = self.config.service.file();
        // PAM would ask the service `other` instead, which may let everybody in.
        if file.is_file() {
            Ok(())
        } else {
            Err(BackendError::Misconfigured(format!("there is no {}", file.display())))
        }
    }

    async fn check_in_time(&self, user: &CanonName, password: &SecretBytes) -> Result<Checked, BackendError> {
        if is_impossible(password) {
            return Ok(Checked::Wrong);
        }
        self.ready()?;
        let late = |_| BackendError::Unavailable("no answer in time".to_owned());
        timeout(self.config.limit, self.check_at_leisure(user, password)).await.map_err(late)?
    }

    async fn check_at_leisure(
        &self,
        user: &CanonName,
        password: &SecretBytes,
    ) -> Result<Checked, BackendError> {
        let unavailable = |e: &dyn std::fmt::Display| BackendError::Unavailable(e.to_string());
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|e| unavailable(&e))?;
        let zero = |_| BackendError::Misconfigured("a zero byte in a name".to_owned());
        let user = CString::new(user.as_str()).map_err(zero)?;
        let service = CString::new(self.config.service.name.as_str()).map_err(zero)?;
        let directory = CString::new(self.config.service.directory.as_os_str().as_bytes()).map_err(zero)?;
        let password = password.duplicate();
        let (done, answer) = oneshot::channel();
        // A thread of its own: one that hangs must not be missed elsewhere, nor be waited for at the end.
        let thread = std::thread::Builder::new().name("pam".to_owned()).spawn(move || {
            let checked = library::library()
                .map_err(BackendError::Misconfigured)
                .map(|library| library.check(&service, &directory, &user, &password));
            drop(permit);
            let _ = done.send(checked);
        });
        thread.map_err(|e| unavailable(&e))?;
        verdict(&answer.await.map_err(|e| unavailable(&e))??)
    }
}

impl PasswordBackend for Pam {
    fn check<'a>(&'a self, user: &'a CanonName, password: &'a SecretBytes) -> Checking<'a> {
        Box::pin(self.check_in_time(user, password))
    }
}

/// Codes of Linux-PAM's `_pam_types.h`.
fn verdict(answer: &Answer) -> Result<Checked, BackendError> {
    let words = || answer.words.clone();
    match (answer.authentication, answer.account) {
        _ if answer.asked_otherwise => {
            Err(BackendError::Misconfigured("it asks for something else than a password".to_owned()))
        }
        (SUCCESS, Some(SUCCESS)) if answer.same_user => Ok(Checked::Right { groups: Vec::new() }),
        (SUCCESS, Some(SUCCESS)) => {
            Err(BackendError::Denied("it took the user for somebody else".to_owned()))
        }
        // expired, locked, password to be changed, not at this hour
        (SUCCESS, _) => Err(BackendError::Denied(words())),
        // wrong, unknown, tried too often
        (7 | 10 | 11, _) => Ok(Checked::Wrong),
        // what the module asks cannot be asked
        (9, _) => Err(BackendError::Unavailable(words())),
        // refused, expired
        (6 | 13, _) => Err(BackendError::Denied(words())),
        _ => Err(BackendError::Misconfigured(words())),
    }
}
