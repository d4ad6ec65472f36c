//! A place for one test's store, on either engine, and the people of the tests.

use sqlx::AnyPool;
use std::path::Path;
use std::sync::Arc;
use symbolon_crypto::{Entropy, Secret};
use symbolon_policy::{AccessPath, CanonName, GroupName, Standing, UserCode};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_store::{Actor, CodeHash, NewInvitation, NewUser, RegistrationId, Result, Store, StoreOptions};
use symbolon_wire::Time;
use tempfile::TempDir;

/// When the tests take place.
pub(crate) const NOW: Time = Time::from_secs(1_800_000_000);
/// The node key of the tests.
pub(crate) const NODE_KEY: [u8; 32] = [7; 32];

/// Where one test keeps its store. A copy is the same place.
#[derive(Clone)]
pub(crate) struct Home {
    options: StoreOptions,
    durable_url: String,
    hot_url: String,
    _dir: Option<Arc<TempDir>>,
}

impl Home {
    /// A fresh directory.
    pub(crate) fn directory() -> Self {
        let dir = TempDir::new().unwrap();
        let url = |file: &str| format!("sqlite://{}?mode=rw", dir.path().join(file).display());
        Self {
            options: StoreOptions::shared(dir.path()),
            durable_url: url("durable.db"),
            hot_url: url("hot.db"),
            _dir: Some(Arc::new(dir)),
        }
    }

    /// An empty PostgreSQL database.
    pub(crate) fn database(url: String) -> Self {
        Self { options: StoreOptions::url(url.as_str()), durable_url: url.clone(), hot_url: url, _dir: None }
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open(NODE_KEY).await.unwrap()
    }

    pub(crate) async fn try_open(&self, node_key: [u8; 32]) -> Result<Store> {
        open(&self.options, node_key).await
    }

    /// Somebody who edits the durable tables behind the store's back.
    pub(crate) async fn intruder(&self) -> AnyPool {
        AnyPool::connect(&self.durable_url).await.unwrap()
    }

    /// The same for the hot tables.
    pub(crate) async fn hot_intruder(&self) -> AnyPool {
        AnyPool::connect(&self.hot_url).await.unwrap()
    }
}

pub(crate) async fn open(options: &StoreOptions, node_key: [u8; 32]) -> Result<Store> {
    Store::open(options, &Secret::new(node_key), crypto(), Box::new(SystemEntropy)).await
}

pub(crate) async fn open_directory(dir: &Path) -> Result<Store> {
    open(&StoreOptions::exclusive(dir), NODE_KEY).await
}

pub(crate) fn admin() -> Actor {
    Actor::admin("root")
}

pub(crate) fn name(text: &str) -> CanonName {
    CanonName::parse(text).unwrap()
}

pub(crate) fn groups(names: &[&str]) -> Vec<GroupName> {
    names.iter().map(|g| GroupName::parse(g).unwrap()).collect()
}

/// `who`, with a code that is made from the name.
pub(crate) fn person(who: &str) -> NewUser {
    NewUser {
        name: name(who),
        display: format!("{who} of the tests"),
        code: UserCode::parse(&format!(
            "code-{}",
            who.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "0")
        ))
        .unwrap(),
        path: AccessPath::parse("/people").unwrap(),
        standing: Standing::Active,
        groups: groups(&["staff"]),
        answers: None,
    }
}

/// An open invitation for anybody, valid for a day.
pub(crate) fn invitation(code: u8) -> NewInvitation {
    NewInvitation {
        code_hash: CodeHash([code; 32]),
        for_user: None,
        template: None,
        groups: groups(&["staff", "guests"]),
        expires: NOW.plus_secs(86_400),
    }
}

/// An id that no other registration of the test run has.
pub(crate) fn fresh_id() -> RegistrationId {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    RegistrationId(entropy.number())
}
