//! All nodes on one store keep its hot records in one place: what one has seen, no other takes for new.

use crate::home::{NODE_KEY, NOW, admin, open};
use crate::redis::Server;
use symbolon_crypto::Secret;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_store::{HotStore, HotUrl, ReplayKey, Result, Store, StoreError, StoreOptions};
use tempfile::TempDir;

/// A durable store for several nodes.
struct Durable(TempDir);

impl Durable {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn options(&self, hot: Option<HotUrl>) -> StoreOptions {
        StoreOptions { hot, ..StoreOptions::shared(self.0.path()) }
    }

    /// A node that names this server, or none.
    async fn node(&self, hot: Option<HotUrl>) -> Result<Store> {
        open(&self.options(hot), NODE_KEY).await
    }

    /// The operator says that hot records are there from now on.
    async fn replace(&self, hot: Option<HotUrl>) -> Result<()> {
        let (key, entropy) = (Secret::new(NODE_KEY), Box::new(SystemEntropy));
        Store::replace_hot(&self.options(hot), &key, crypto(), entropy, &admin(), NOW).await
    }
}

fn is_elsewhere<T: std::fmt::Debug>(answer: &Result<T>) -> bool {
    matches!(answer, Err(StoreError::HotElsewhere(_)))
}

async fn put(store: &Store, key: u8) -> Result<bool> {
    store.hot().put_if_absent(ReplayKey([key; 32]), NOW.plus_secs(60), NOW).await
}

#[tokio::test]
async fn a_node_that_names_another_server_or_none_does_not_start() {
    let (one, two) = (Server::start(), Server::start());
    let durable = Durable::new();
    let first = durable.node(Some(one.url("symbolon", ""))).await.unwrap();
    assert_eq!(put(&first, 1).await, Ok(true));
    for (what, hot) in [
        ("an empty server", Some(two.url("symbolon", ""))),
        ("another prefix", Some(one.url("behaviour-b", ""))),
        ("none", None),
    ] {
        let refused = durable.node(hot).await;
        assert!(is_elsewhere(&refused), "{what}: {refused:?}");
        let said = format!("{refused:?} {}", refused.as_ref().unwrap_err());
        assert!(!said.contains("canary"), "{said}");
    }
    assert_eq!(two.admin(&["KEYS", "*"]), "", "a server that is refused is left alone");
    Durable::new().node(Some(two.url("symbolon", ""))).await.unwrap();
    assert!(is_elsewhere(&durable.node(Some(two.url("symbolon", ""))).await), "it has another store's");
    let again = durable.node(Some(one.url("symbolon", "&replicas=0"))).await.unwrap();
    assert_eq!(put(&again, 1).await, Ok(false));
}

#[tokio::test]
async fn a_store_that_keeps_its_hot_records_itself_takes_no_server() {
    let server = Server::start();
    let durable = Durable::new();
    durable.node(None).await.unwrap();
    assert!(is_elsewhere(&durable.node(Some(server.url("symbolon", ""))).await));
    durable.node(None).await.unwrap();
}

#[tokio::test]
async fn of_nodes_that_start_at_once_with_different_servers_one_does() {
    let (one, two) = (Server::start(), Server::start());
    let durable = Durable::new();
    let nodes = [&one, &two, &one, &two].map(|server| durable.node(Some(server.url("symbolon", ""))));
    let [a, b, c, d] = nodes;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    assert_eq!([a.is_ok(), b.is_ok()], [c.is_ok(), d.is_ok()], "{a:?} {b:?} {c:?} {d:?}");
    assert!(a.is_ok() != b.is_ok());
    assert!(is_elsewhere(if a.is_ok() { &b } else { &a }));
}

#[tokio::test]
async fn a_server_that_lost_everything_is_taken_by_a_node_that_runs_and_by_none_that_starts() {
    let server = Server::start();
    let durable = Durable::new();
    let url = || Some(server.url("symbolon", ""));
    let running = durable.node(url()).await.unwrap();
    assert_eq!(put(&running, 1).await, Ok(true));
    server.admin(&["FLUSHALL"]);
    assert!(is_elsewhere(&durable.node(url()).await), "it may be another server");
    assert_eq!(server.admin(&["KEYS", "*"]), "");
    assert_eq!(put(&running, 2).await, Ok(true));
    let started = durable.node(url()).await.unwrap();
    assert_eq!(put(&started, 2).await, Ok(false));
}

#[tokio::test]
async fn a_node_that_comes_to_another_stores_server_while_it_runs_takes_nothing_from_it() {
    let server = Server::start();
    let durable = Durable::new();
    let url = || Some(server.url("symbolon", ""));
    let running = durable.node(url()).await.unwrap();
    server.admin(&["FLUSHALL"]);
    let other = Durable::new().node(url()).await.unwrap();
    server.kill();
    server.start_again();
    assert!(is_elsewhere(&put(&running, 1).await));
    assert!(is_elsewhere(&running.is_there().await));
    assert_eq!(put(&other, 1).await, Ok(true));
}

#[tokio::test]
async fn an_operator_replaces_the_server_while_no_node_runs() {
    let (one, two) = (Server::start(), Server::start());
    let durable = Durable::new();
    let [old, new] = [&one, &two].map(|server| Some(server.url("symbolon", "")));
    let running = durable.node(old.clone()).await.unwrap();
    let refused = durable.replace(new.clone()).await;
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    running.close().await;

    durable.replace(new.clone()).await.unwrap();
    assert!(is_elsewhere(&durable.node(old).await));
    let node = durable.node(new).await.unwrap();
    let last = node.audit_page(0, 9).await.unwrap().pop().unwrap();
    assert_eq!((last.action.as_str(), last.actor), ("hot.replace", admin()));
    assert!(last.object.contains("node@127.0.0.1") && !last.object.contains("canary"), "{}", last.object);
    node.close().await;

    durable.replace(None).await.unwrap();
    durable.node(None).await.unwrap();
}
