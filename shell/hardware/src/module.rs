//! A loaded PKCS#11 module: started once in a process, and spoken to by one thread at a time.

use crate::HardwareError;
use crate::error::{code, words};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;
use cryptoki::session::Session;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The modules of this process, by file. A module stays loaded: many do not survive being unloaded.
static LOADED: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// A module.
pub(crate) struct Module {
    path: PathBuf,
    started: Mutex<Started>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({})", self.path.display())
    }
}

/// A module that was started, and how often: handles of an earlier start mean nothing now, or
/// somebody else's session.
pub(crate) struct Started {
    pkcs11: Pkcs11,
    generation: u64,
    searched: bool,
}

/// A session and the start of the module that it belongs to.
pub(crate) struct LiveSession {
    session: Option<Session>,
    generation: u64,
}

impl Module {
    /// Loads and starts the module, or gives the one that is loaded already.
    ///
    /// # Errors
    /// [`HardwareError::Load`], [`HardwareError::Start`].
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>, HardwareError> {
        // One file, one module, by whatever way it was named.
        let path = std::fs::canonicalize(path)
            .map_err(|e| HardwareError::Load { path: path.to_owned(), why: e.to_string() })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = loaded.get(&path) {
            return Ok(Arc::clone(module));
        }
        let pkcs11 =
            Pkcs11::new(&path).map_err(|e| HardwareError::Load { path: path.clone(), why: words(&e) })?;
        start(&path, &pkcs11)?;
        let started = Mutex::new(Started { pkcs11, generation: 0, searched: false });
        let module = Arc::new(Self { path: path.clone(), started });
        loaded.insert(path, Arc::clone(&module));
        Ok(module)
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other thread speaks to the module.
    pub(crate) fn enter(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops and starts it, for modules that look for tokens and objects only then. All sessions are
    /// over.
    ///
    /// # Errors
    /// [`HardwareError::Start`].
    pub(crate) fn restart(&self, started: &mut Started) -> Result<(), HardwareError> {
        started.generation += 1;
        // whatever it says, starting it tells
        let _ = started.pkcs11.clone().finalize();
        start(&self.path, &started.pkcs11)
    }
}

fn start(path: &Path, pkcs11: &Pkcs11) -> Result<(), HardwareError> {
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) => Ok(()),
        Err(e) if code(&e) == Some(RvError::CryptokiAlreadyInitialized) => Ok(()),
        Err(e) => Err(HardwareError::Start { path: path.to_owned(), why: words(&e) }),
    }
}

impl Started {
    /// The module's functions.
    pub(crate) const fn pkcs11(&self) -> &Pkcs11 {
        &self.pkcs11
    }

    /// Whether it was searched for tokens since it was loaded; from now on it was.
    pub(crate) const fn searched(&mut self) -> bool {
        std::mem::replace(&mut self.searched, true)
    }

    /// Keeps a session together with the start that it belongs to.
    pub(crate) const fn keep(&self, session: Session) -> LiveSession {
        LiveSession { session: Some(session), generation: self.generation }
    }

    /// The session, if it belongs to the present start.
    pub(crate) fn session<'a>(&self, live: &'a LiveSession) -> Option<&'a Session> {
        live.session.as_ref().filter(|_| live.generation == self.generation)
    }

    /// Closes a session.
    pub(crate) fn close(&self, mut live: LiveSession) {
        if live.generation == self.generation
            && let Some(session) = live.session.take()
        {
            // of a token that is gone there is nothing to close
            let _ = session.close();
        }
    }
}
