//! Who may reach what, as of now: a snapshot of the directory and the catalogue with the compiled
//! policy, replaced whole when anything changes.

use crate::error::NodeError;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use symbolon_policy::{AppName, CanonName, Policy};
use symbolon_store::{App, Publication, RegistrationId, Store, User, UserId};

/// Users read at once.
const PAGE: u32 = 500;

/// One state of directory and catalogue.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) policy: Policy,
    pub(crate) users: HashMap<UserId, User>,
    pub(crate) apps: BTreeMap<AppName, App>,
    /// The registrations that are in force.
    pub(crate) registrations: HashSet<RegistrationId>,
}

impl Snapshot {
    async fn read(store: &Store) -> Result<Self, NodeError> {
        // The revision first: what changes while we read makes the next look read again.
        let revision = store.revision().await?;
        let policy = Policy::new(&store.entitlements().await?)?;
        let mut users = HashMap::new();
        let mut after: Option<CanonName> = None;
        loop {
            let page = store.users(after.as_ref(), PAGE).await?;
            after = page.last().map(|u| u.subject.name.clone());
            let more = page.len() == PAGE as usize;
            users.extend(page.into_iter().map(|u| (u.id, u)));
            if !more {
                break;
            }
        }
        let apps = store.apps().await?.into_iter().filter(|a| a.publication == Publication::Enabled);
        let apps = apps.map(|a| (a.name.clone(), a)).collect();
        let registrations = store.active_registrations().await?;
        Ok(Self { revision, policy, users, apps, registrations })
    }
}

/// The present snapshot.
pub(crate) struct Desk {
    present: RwLock<Arc<Snapshot>>,
}

impl Desk {
    pub(crate) async fn open(store: &Store) -> Result<Self, NodeError> {
        Ok(Self { present: RwLock::new(Arc::new(Snapshot::read(store).await?)) })
    }

    pub(crate) fn present(&self) -> Arc<Snapshot> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads everything anew if the store has changed. Tells whether it has.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<bool, NodeError> {
        if store.revision().await? == self.present().revision {
            return Ok(false);
        }
        let snapshot = Arc::new(Snapshot::read(store).await?);
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(true)
    }
}
