//! A place for one test's store, on each engine, and the people of the tests.

use crate::redis::{Server, lua_text};
use sqlx::{AnyPool, Row as _};
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

/// Where the hot records are, for somebody behind the store's back.
#[derive(Clone)]
pub(crate) enum HotPlace {
    /// The URL of a database.
    Sql(String),
    /// What the keys begin with.
    Redis(Arc<Server>, String),
}

/// Where one test keeps its store. A copy is the same place.
#[derive(Clone)]
pub(crate) struct Home {
    options: StoreOptions,
    durable_url: String,
    hot: HotPlace,
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
            hot: HotPlace::Sql(url("hot.db")),
            _dir: Some(Arc::new(dir)),
        }
    }

    /// An empty PostgreSQL database.
    pub(crate) fn database(url: String) -> Self {
        Self {
            options: StoreOptions::database(url.parse().unwrap()),
            durable_url: url.clone(),
            hot: HotPlace::Sql(url),
            _dir: None,
        }
    }

    /// A fresh directory, with its hot records in a Redis server.
    pub(crate) fn redis(server: &Arc<Server>, prefix: &str) -> Self {
        let home = Self::directory();
        Self {
            options: home.options.clone().hot(server.url(prefix, "")),
            hot: HotPlace::Redis(server.clone(), prefix.to_owned()),
            ..home
        }
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.options
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

    /// Exchanges the sealed states of sessions 1 and 2.
    pub(crate) async fn swap_states(&self) {
        match &self.hot {
            HotPlace::Sql(url) => {
                crate::sealing::swap(&AnyPool::connect(url).await.unwrap(), "sessions", "id", "state").await;
            }
            HotPlace::Redis(server, prefix) => {
                let swap = "local one, two = redis.call('HGET', KEYS[1], 'state'), redis.call('HGET', KEYS[2], 'state') \
                            redis.call('HSET', KEYS[1], 'state', two) redis.call('HSET', KEYS[2], 'state', one) \
                            return one ~= two and 1";
                let [one, two] = [1_u8, 2].map(|n| format!("{prefix}:session:{}", hex::encode([n; 16])));
                assert_eq!(server.admin(&["EVAL", swap, "2", &one, &two]), "1");
            }
        }
    }

    /// Looks for `needle` in every hot value, and says at how many it looked.
    pub(crate) async fn search_hot(&self, needle: &[u8]) -> usize {
        match &self.hot {
            HotPlace::Sql(url) => {
                crate::sealing::search(&AnyPool::connect(url).await.unwrap(), "sessions").await
            }
            HotPlace::Redis(server, prefix) => {
                let search = format!(
                    "local looked = 0 \
                     for _, key in ipairs(redis.call('KEYS', '{prefix}:*')) do \
                       local values = {{ redis.call('DUMP', key) }} \
                       if redis.call('TYPE', key).ok == 'hash' then values = redis.call('HGETALL', key) end \
                       for _, value in ipairs(values) do \
                         looked = looked + 1 \
                         if string.find(value, \"{}\", 1, true) then return key end \
                       end \
                     end \
                     return looked",
                    lua_text(needle)
                );
                let looked = server.admin(&["EVAL", &search, "0"]);
                looked.parse().unwrap_or_else(|_| panic!("the secret stands in {looked}"))
            }
        }
    }

    /// Counts the schema of the hot records up: what it is then, and what it was.
    pub(crate) async fn raise_hot_schema(&self, by: i64) -> (u64, u64) {
        let newer: i64 = match &self.hot {
            HotPlace::Sql(url) => {
                let set = "UPDATE meta SET number = number + $1 WHERE name = 'schema hot' RETURNING number";
                let hot = AnyPool::connect(url).await.unwrap();
                sqlx::query(set).bind(by).fetch_one(&hot).await.unwrap().get(0)
            }
            HotPlace::Redis(server, prefix) => {
                let meta = format!("{prefix}:meta");
                server.admin(&["HINCRBY", &meta, "schema", &by.to_string()]).parse().unwrap()
            }
        };
        (newer.unsigned_abs(), (newer - by).unsigned_abs())
    }

    /// Whether replay keys are swept away, and not forgotten by the engine itself.
    pub(crate) fn sweeps_replay_keys(&self) -> bool {
        matches!(self.hot, HotPlace::Sql(_))
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
