//! How a store is opened: the tables brought up to date, the node's key tried, the hot records found.

use crate::chain::Audited;
use crate::copying::refuse_moved;
use crate::engine::{Columns, Durability, Engine};
use crate::options::private_file;
use crate::seal::{Guard, Place};
use crate::{
    Actor, DirectoryLock, Hot, HotUrl, Location, RedisHotStore, Result, Sharing, SqlHotStore, Store,
    StoreError, StoreOptions, hot_place, schema,
};
use std::sync::Arc;
use symbolon_crypto::{Crypto, Entropy, Secret};
use symbolon_wire::Time;

impl Store {
    /// Opens a store, makes it when it is new, and brings an older one up to date.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::ReadOnly`], [`StoreError::DiskFull`],
    /// [`StoreError::NewerSchema`], [`StoreError::Corrupt`]; [`StoreError::Sealed`] when the store
    /// was made with another node key; [`StoreError::HotElsewhere`] when its other nodes keep hot records in another place.
    pub async fn open(
        options: &StoreOptions,
        node_key: &Secret<32>,
        crypto: Crypto,
        entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self> {
        let opened = Opened::new(options, Guard::new(crypto, node_key, entropy)).await?;
        let known = hot_place::remembered(&opened.engines.durable).await?;
        let (store, mark) = opened.reach_hot(known).await?;
        hot_place::remember(store.durable(), &mark, options.hot.as_ref()).await?;
        Ok(store)
    }

    /// Has the hot records of a store be where `options` say from now on; those in the place before are given up. No
    /// node may use the store meanwhile, wherever it runs: in a directory that is seen to.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn replace_hot(
        options: &StoreOptions,
        node_key: &Secret<32>,
        crypto: Crypto,
        entropy: Box<dyn Entropy + Send>,
        by: &Actor,
        now: Time,
    ) -> Result<()> {
        let alone = StoreOptions { sharing: Sharing::Exclusive, ..options.clone() };
        let opened = Opened::new(&alone, Guard::new(crypto, node_key, entropy)).await?;
        let (store, mark) = opened.reach_hot(None).await?;
        let mut change = store.change(by, now).await?;
        hot_place::replace(&mut change, &mark).await?;
        let server = hot_place::described(options.hot.as_ref());
        change.commit("hot.replace", &server, &serde_json::json!({})).await?;
        store.close().await;
        Ok(())
    }
}

/// The databases of a store, whatever is in them.
pub(crate) struct Engines<'a> {
    pub(crate) durable: Engine,
    pub(crate) hot: HotAt<'a>,
    lock: Option<Arc<DirectoryLock>>,
}

/// Where hot records are to be.
pub(crate) enum HotAt<'a> {
    Server(&'a HotUrl),
    /// Beside the durable ones: what is written soon, and what is written before a call returns.
    Beside {
        lazy: Engine,
        firm: Engine,
    },
}

impl<'a> Engines<'a> {
    pub(crate) async fn open(options: &'a StoreOptions) -> Result<Self> {
        let server = options.hot.as_ref().map(HotAt::Server);
        match &options.location {
            Location::Directory(dir) => {
                let lock = Some(Arc::new(DirectoryLock::take(dir, options.sharing)?));
                let open = async |file: &str, durability| {
                    let file = dir.join(file);
                    private_file(&file).map_err(|e| StoreError::from_io(&e))?;
                    Engine::sqlite(&file, durability, options.quota).await
                };
                let durable = open("durable.db", Durability::Power).await?;
                let hot = match server {
                    Some(server) => server,
                    None => {
                        let firm = open("hot.db", Durability::Process).await?;
                        HotAt::Beside { lazy: firm.clone(), firm }
                    }
                };
                Ok(Self { durable, hot, lock })
            }
            Location::Database(url) => {
                let url = url.for_driver();
                let durable = Engine::postgres(url, Durability::Power).await?;
                let hot = match server {
                    Some(server) => server,
                    None => {
                        let lazy = Engine::postgres(url, Durability::Process).await?;
                        HotAt::Beside { lazy, firm: durable.clone() }
                    }
                };
                Ok(Self { durable, hot, lock: None })
            }
        }
    }

    pub(crate) async fn close(self) {
        if let HotAt::Beside { lazy, .. } = self.hot {
            lazy.close().await;
        }
        self.durable.close().await;
    }
}

/// A store whose hot records are not reached yet.
struct Opened<'a> {
    engines: Engines<'a>,
    guard: Arc<Guard>,
}

impl<'a> Opened<'a> {
    async fn new(options: &'a StoreOptions, guard: Guard) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let engines = Engines::open(options).await?;
        schema::DURABLE.migrate(&engines.durable).await?;
        refuse_moved(&engines.durable).await?;
        check_node_key(&engines.durable, &guard).await?;
        Ok(Self { engines, guard: Arc::new(guard) })
    }

    /// The whole store, and the mark of the place of its hot records. When one is known, a server must have it.
    async fn reach_hot(self, known: Option<Vec<u8>>) -> Result<(Store, Vec<u8>)> {
        let Self { engines: Engines { durable, hot, lock }, guard } = self;
        let (hot, mark) = match hot {
            HotAt::Server(url) => {
                let (store, mark) = RedisHotStore::open(url, guard.clone(), known).await?;
                (Hot::redis(store), mark)
            }
            HotAt::Beside { lazy, firm } => {
                schema::HOT.migrate(&firm).await?;
                (Hot::sql(SqlHotStore::new(lazy, firm, guard.clone())), hot_place::BESIDE.to_vec())
            }
        };
        let durable = Audited::start(durable, guard.clone()).await?;
        Ok((Store { durable, hot, guard, _lock: lock }, mark))
    }
}

/// A sealed sample tells at once, and not at the first sign-in, that a node has the wrong key.
pub(crate) async fn check_node_key(engine: &Engine, guard: &Guard) -> Result<()> {
    const PLACE: Place<'_> = Place { table: "meta", row: b"node key", column: "bytes" };
    sqlx::query(
        "INSERT INTO meta (name, number, bytes) VALUES ('node key', 0, $1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(guard.seal(&PLACE, b"symbolon"))
    .execute(engine.write())
    .await?;
    sqlx::query(
        "INSERT INTO meta (name, number, bytes) VALUES ('revision', 1, $1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(Vec::<u8>::new())
    .execute(engine.write())
    .await?;
    let row = sqlx::query("SELECT bytes FROM meta WHERE name = 'node key'").fetch_one(engine.write()).await?;
    guard.open(&PLACE, &row.bytes("bytes")?).map(drop)
}
