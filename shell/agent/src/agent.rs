//! The per-user daemon: one session with one gateway, and the socket that commands talk to.
//!
//! ```text
//! sign in ──> carry ── lost ──> attach (backoff, jitter) ──┬──> carry
//!               │                   └── session over ──> sign in
//!               ├── 4/5 of its time ──> renewed within itself, or a new one beside it ──> carry
//!               └── logout, locked, revoked ──> end
//! ```
//! Streams are connections of their own and live on while the control connection is made anew.

mod account;
mod carry;
mod certificates;
mod control;
mod numbers;
mod pause;
mod renewal;
mod report;
mod serve;
mod shared;
mod show;
mod streams;
mod term;
mod tickets;
mod tunnel;
mod watch;

use crate::files::{Lock, make_private_dir};
use crate::{AgentError, Credential, Paths, UserConfig, last_end};
use account::{Account, Way};
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use symbolon_crypto::GatewayName;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// How long a start waits for the first configuration after the sign-in.
const FIRST_CONFIGURATION: Duration = Duration::from_secs(5);

/// What to do when the gateway cannot be reached, or denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// A first sign-in that fails is an error, and so is one that is denied later: for `login`.
    #[default]
    FirstTry,
    /// Go on trying, ever more slowly, until told to stop: for a service.
    KeepTrying,
}

/// How an agent is run.
#[derive(Debug)]
pub struct AgentOptions {
    /// Where the token, the socket and the configuration are.
    pub paths: Paths,
    /// What to sign in with.
    pub credential: Credential,
    /// Which gateway; needed when the token knows several and the configuration names none.
    pub gateway: Option<GatewayName>,
    /// Where it is, `host:port`, if not where it was registered.
    pub address: Option<String>,
    /// Where the machine is, for the gateway; from the configuration when absent.
    pub place: Option<String>,
    /// What to do when the gateway cannot be reached.
    pub patience: Patience,
}

impl AgentOptions {
    /// The defaults.
    #[must_use]
    pub fn new(paths: Paths, credential: Credential) -> Self {
        Self { paths, credential, gateway: None, address: None, place: None, patience: Patience::FirstTry }
    }
}

/// A running agent. Dropping it stops it without signing out; the session can be attached to no
/// more and ends by itself.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    control: JoinHandle<Result<(), AgentError>>,
    serve: JoinHandle<()>,
    paths: Paths,
    _lock: Lock,
}

impl Agent {
    /// Opens the credential, signs in and serves the socket.
    ///
    /// # Errors
    /// Another agent runs; the token does not open; with [`Patience::FirstTry`] also when the
    /// gateway does not answer or denies.
    pub async fn start(options: AgentOptions) -> Result<Self, AgentError> {
        let AgentOptions { paths, credential, gateway, address, place, patience } = options;
        let running = || {
            AgentError::usage("an agent is running already")
                .fix("symbolon status shows it, symbolon logout stops it")
        };
        let lock = take_place(&paths).await?.ok_or_else(running)?;
        let config = UserConfig::load(&paths)?;
        let place = place.or_else(|| config.place.clone()).unwrap_or_default();
        let place = report::place(&place)?;
        let opening = paths.clone();
        let account = tokio::task::spawn_blocking(move || {
            Account::open(&opening, credential, gateway, address, config)
        })
        .await
        .map_err(|_| AgentError::failure("opening the token broke off"))??;
        let listener = listen(&paths)?;
        let shared = Shared::new(&account, place);
        let way = match patience {
            // Whoever names a credential wants it to be tried.
            Patience::FirstTry => Way::Afresh,
            Patience::KeepTrying => Way::Resume,
        };
        let first = match (account.sign_in(way).await, patience) {
            (Ok(first), _) => Some(first),
            (Err(e), Patience::FirstTry) => {
                let _ = std::fs::remove_file(&paths.socket);
                return Err(e);
            }
            (Err(e), Patience::KeepTrying) => {
                shared.problem(&e.message);
                None
            }
        };
        let signed_in = first.is_some();
        let control = tokio::spawn(control::run(Arc::clone(&shared), account, first, patience));
        let serve = tokio::spawn(serve::serve(Arc::clone(&shared), listener));
        let agent = Self { shared, control, serve, paths, _lock: lock };
        if signed_in {
            // Denied only now, or nothing granted yet: a start that waits longer helps nobody.
            let _ = tokio::time::timeout(FIRST_CONFIGURATION, agent.shared.first_configuration()).await;
            if agent.control.is_finished() {
                return match agent.wait().await {
                    Err(e) => Err(e),
                    Ok(()) => Err(AgentError::failure("the session ended at once")),
                };
            }
        }
        last_end::forget(&agent.paths);
        Ok(agent)
    }

    /// Waits until the agent ends: after a logout without an error, otherwise with the reason.
    ///
    /// # Errors
    /// Why the session ended for good.
    pub async fn wait(mut self) -> Result<(), AgentError> {
        let result = match (&mut self.control).await {
            Ok(result) => result,
            Err(_) => Err(AgentError::failure("the agent broke off; its log says why")),
        };
        if let Err(e) = &result {
            // Before the socket closes, so that whoever is connected finds the reason.
            last_end::remember(&self.paths, e);
        }
        self.shared.end_streams().await;
        result
    }

    /// The means to sign out while [`Agent::wait`] goes on. It needs no socket, which anybody could take away.
    #[must_use]
    pub fn sign_out(&self) -> SignOut {
        SignOut(Arc::clone(&self.shared))
    }

    /// Signs out, ends all streams and stops.
    ///
    /// # Errors
    /// As [`Agent::wait`].
    pub async fn logout(self) -> Result<(), AgentError> {
        self.sign_out().now();
        self.wait().await
    }
}

/// Signs an agent out while somebody waits for its end.
#[derive(Clone, Debug)]
pub struct SignOut(Arc<Shared>);

impl SignOut {
    /// Signs out now: live streams end, and then the agent.
    pub fn now(&self) {
        self.0.logout.notify_one();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.control.abort();
        self.serve.abort();
        self.shared.kill_streams();
        let _ = std::fs::remove_file(&self.paths.socket);
    }
}

/// The lock on the socket, of which one that is just going has hold a little longer.
async fn take_place(paths: &Paths) -> Result<Option<Lock>, AgentError> {
    for _ in 0..20 {
        if let Some(lock) = Lock::try_now(&paths.socket)? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(None)
}

/// The socket, mode 0600. Its lock is held, so a file that is there is a dead agent's.
fn listen(paths: &Paths) -> Result<UnixListener, AgentError> {
    let error = |e: std::io::Error| AgentError::file("listen at", &paths.socket, &e);
    if let Some(dir) = paths.socket.parent() {
        make_private_dir(dir)?;
    }
    match std::fs::remove_file(&paths.socket) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(error(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&paths.socket).map_err(error)?;
    // Whoever connects between these two lines is turned away by its user id.
    std::fs::set_permissions(&paths.socket, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(error)?;
    Ok(listener)
}
