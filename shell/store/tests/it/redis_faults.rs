//! A Redis server that is gone, slow, restarted, full or no longer the primary: nothing is acknowledged that was
//! not done.

use crate::home::{Home, NOW};
use crate::redis::{Server, until};
use crate::redis_ways::open;
use crate::sessions::{claim, session};
use std::sync::Arc;
use symbolon_store::{
    Ending, HotStore, NewSession, NodeId, ReplayKey, Result, SessionId, Store, StoreError, UserId,
};

const ID: SessionId = SessionId([4; 16]);

/// Numbers that lie at least this far after those that were dealt before belong to another life of the server.
const SKIPPED: u64 = 1 << 28;

/// Whether replay key `n` is a first one.
async fn put(store: &Store, n: u32) -> Result<bool> {
    let key = ReplayKey(std::array::from_fn(|i| n.to_be_bytes()[i % 4]));
    store.hot().put_if_absent(key, NOW.plus_secs(3600), NOW).await
}

fn is_unreachable<T: std::fmt::Debug>(answer: &Result<T>) -> bool {
    matches!(answer, Err(StoreError::Unreachable(_)))
}

#[tokio::test]
async fn a_server_that_is_gone_acknowledges_nothing_and_is_found_again() {
    let server = Arc::new(Server::start());
    let home = Home::redis(&server, "symbolon");
    let store = home.open().await;
    assert_eq!(put(&store, 1).await, Ok(true));
    assert_eq!(store.is_there().await, Ok(()));
    server.kill();
    assert!(is_unreachable(&store.is_there().await));
    for answer in [put(&store, 1).await, put(&store, 2).await] {
        assert!(is_unreachable(&answer), "{answer:?}");
    }
    assert!(is_unreachable(&store.hot().look(ID, NOW).await));
    assert!(is_unreachable(&home.try_open(crate::home::NODE_KEY).await));
    server.start_again();
    assert_eq!(put(&store, 1).await, Ok(false), "the same store, connected again");
    assert_eq!(put(&store, 2).await, Ok(true));
}

#[tokio::test]
async fn a_server_that_answers_nobody_is_waited_for_and_then_reported() {
    let server = Arc::new(Server::start());
    let store = Home::redis(&server, "symbolon").open().await;
    assert_eq!(put(&store, 0).await, Ok(true));
    server.freeze();
    // as many as there are connections, and more
    let mut calls = tokio::task::JoinSet::new();
    for n in 1..=12 {
        let store = store.clone();
        calls.spawn(async move { (n, put(&store, n).await) });
    }
    let begun = std::time::Instant::now();
    let mut answers = calls.join_all().await;
    assert!(begun.elapsed() < symbolon_store::BUSY_TIMEOUT * 2);
    answers.retain(|(_, answer)| !is_unreachable(answer) && *answer != Err(StoreError::Busy));
    assert_eq!(answers, [], "each said that it was not known");
    server.thaw();
    // whatever it does now of what it was asked then was acknowledged to nobody, and counts once
    for n in 1..=12 {
        let _ = put(&store, n).await.unwrap();
        assert_eq!(put(&store, n).await, Ok(false));
    }
    assert_eq!(put(&store, 0).await, Ok(false));
}

#[tokio::test]
async fn a_restarted_server_has_what_it_kept_and_deals_no_number_twice() {
    let server = Arc::new(Server::start());
    let store = Home::redis(&server, "symbolon").open().await;
    store.hot().open_session(&NewSession { streams: 10, ..session(4) }, NOW).await.unwrap();
    assert_eq!(store.hot().deal_streams(ID, Some(1), 10).await, Ok(10..20));
    let mut dealt = 20;
    for life in 0..2 {
        server.kill();
        server.start_again();
        let seen = store.hot().look(ID, NOW).await.unwrap();
        assert_eq!((seen.session.epoch, seen.state.expose()), (1, &[4; 40][..]));
        let range = store.hot().deal_streams(ID, Some(1), 5).await.unwrap();
        assert_eq!((range.end - range.start, range.start % SKIPPED), (5, 20 + life * 5));
        assert!(range.start >= dealt + SKIPPED, "{range:?} after {dealt}");
        dealt = range.end;
    }
    // a session that is opened now has nothing to leave out
    store.hot().open_session(&session(5), NOW).await.unwrap();
    assert_eq!(store.hot().deal_streams(SessionId([5; 16]), None, 3).await, Ok(0..3));
    store.hot().skip_streams().await.unwrap();
    assert_eq!(store.hot().deal_streams(SessionId([5; 16]), None, 3).await, Ok(3 + (1 << 32)..6 + (1 << 32)));
}

#[tokio::test]
async fn a_full_server_refuses_what_needs_room_and_still_ends_sessions() {
    let server = Arc::new(Server::start());
    let store = Home::redis(&server, "symbolon").open().await;
    for n in 4..=5 {
        store.hot().open_session(&session(n), NOW).await.unwrap();
    }
    assert_eq!(put(&store, 1).await, Ok(true));
    server.admin(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(put(&store, 2).await, Err(StoreError::DiskFull), "a key that was not kept is no first one");
    assert_eq!(store.hot().open_session(&session(6), NOW).await, Err(StoreError::DiskFull));
    assert_eq!(claim(&store, ID, 2, NOW).await, Err(StoreError::DiskFull));
    assert_eq!(store.hot().deal_streams(ID, None, 1).await, Err(StoreError::DiskFull));
    assert_eq!(store.hot().list_sessions(NOW).await.unwrap().len(), 2, "it still answers");
    let ending = Ending { by: NodeId([2; 16]), why: 3 };
    store.hot().end_session(ID, None, ending).await.unwrap();
    assert_eq!(store.hot().notices(NodeId([1; 16])).await.unwrap().len(), 1);
    server.admin(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(put(&store, 2).await, Ok(true));
    assert_eq!(store.hot().deal_streams(SessionId([5; 16]), None, 1).await, Ok(0..1));
}

#[tokio::test]
async fn a_replica_is_no_store_and_a_primary_that_becomes_one_says_so() {
    let primary = Arc::new(Server::start());
    let replica = Server::replica_of(&primary);
    let (refused, _dir) = open(replica.url("symbolon", "")).await;
    assert_eq!(refused.err(), Some(StoreError::ReadOnly));
    let store = Home::redis(&primary, "symbolon").open().await;
    store.hot().open_session(&session(4), NOW).await.unwrap();
    assert_eq!(store.hot().deal_streams(ID, None, 5).await, Ok(0..5));
    until("the replica has it", || {
        replica.admin(&["HGET", &format!("symbolon:session:{ID}"), "next"]) == "5"
    });
    let port = replica.admin(&["CONFIG", "GET", "tls-port"]);
    let port = port.lines().last().unwrap();
    replica.admin(&["REPLICAOF", "NO", "ONE"]);
    primary.admin(&["REPLICAOF", "127.0.0.1", port]);
    assert_eq!(store.hot().deal_streams(ID, None, 5).await, Err(StoreError::ReadOnly));
    let session = store.hot().session(ID, NOW).await;
    assert_eq!(session, Err(StoreError::ReadOnly), "what a replica has may be old");
    until("the former primary follows", || {
        primary.admin(&["INFO", "replication"]).contains("master_link_status:up")
    });
    primary.admin(&["REPLICAOF", "NO", "ONE"]);
    assert!(store.hot().deal_streams(ID, None, 5).await.unwrap().start >= SKIPPED);
}

#[tokio::test]
async fn what_is_acknowledged_is_at_the_replica_when_the_operator_says_so() {
    let primary = Server::start();
    let (store, _dir) = open(primary.url("symbolon", "&replicas=1")).await;
    let alone = store.unwrap();
    assert_eq!(put(&alone, 0).await, Err(StoreError::NotReplicated));
    assert_eq!(alone.hot().open_session(&session(5), NOW).await, Err(StoreError::NotReplicated));
    assert_eq!(alone.hot().count_sessions(UserId([1; 16])).await, Ok(1), "it may be done all the same");

    let replica = Server::replica_of(&primary);
    let store = alone;
    store.hot().open_session(&session(4), NOW).await.unwrap();
    claim(&store, ID, 2, NOW).await.unwrap();
    let mut acknowledged = Vec::new();
    for n in 1..=50 {
        if put(&store, n).await == Ok(true) {
            acknowledged.push(n);
        }
    }
    assert!(!acknowledged.is_empty());
    replica.freeze();
    assert_eq!(put(&store, 99).await, Err(StoreError::NotReplicated));
    replica.thaw();
    // the replica takes over while the primary, cut off from it, still answers
    replica.admin(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(put(&store, 100).await, Err(StoreError::NotReplicated));
    primary.kill();

    let (store, _dir) = open(replica.url("symbolon", "")).await;
    let store = store.unwrap();
    for n in acknowledged {
        assert_eq!(put(&store, n).await, Ok(false), "key {n} was acknowledged");
    }
    assert_eq!(store.hot().session(ID, NOW).await.unwrap().epoch, 2);
}

/// The control: it shows that the test above can fail, and what is safe even so.
#[tokio::test]
async fn without_replicas_the_last_writes_are_lost_at_a_fail_over_but_no_number_is_dealt_twice() {
    let primary = Server::start();
    let (store, _dir) = open(primary.url("symbolon", "")).await;
    let store = store.unwrap();
    let replica = Server::replica_of(&primary);
    store.hot().open_session(&session(4), NOW).await.unwrap();
    assert_eq!(store.hot().deal_streams(ID, None, 10).await, Ok(0..10));
    until("the replica has it", || {
        replica.admin(&["HGET", &format!("symbolon:session:{ID}"), "next"]) == "10"
    });
    // the replica takes over while the primary, cut off from it, still answers
    replica.admin(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(put(&store, 1).await, Ok(true));
    assert_eq!(store.hot().deal_streams(ID, None, 10).await, Ok(10..20));
    primary.kill();

    let (store, _dir) = open(replica.url("symbolon", "")).await;
    let store = store.unwrap();
    assert_eq!(put(&store, 1).await, Ok(true), "the acknowledged key is lost");
    assert!(store.hot().deal_streams(ID, None, 10).await.unwrap().start >= SKIPPED);
}

#[tokio::test]
async fn a_replica_that_was_left_behind_long_ago_deals_no_number_twice_either() {
    let primary = Arc::new(Server::start());
    let home = Home::redis(&primary, "symbolon");
    let store = home.open().await;
    let replica = Server::replica_of(&primary);
    store.hot().open_session(&session(4), NOW).await.unwrap();
    until("the replica has it", || replica.admin(&["EXISTS", &format!("symbolon:session:{ID}")]) == "1");
    replica.admin(&["REPLICAOF", "NO", "ONE"]);
    // neither what this life of the primary left out nor what it dealt is known there
    primary.kill();
    primary.start_again();
    let dealt = store.hot().deal_streams(ID, None, 10).await.unwrap();
    let tick = || primary.admin(&["TIME"]);
    let now = tick();
    until("the clock goes on", || tick().lines().next() != now.lines().next());
    primary.kill();
    let (store, _dir) = open(replica.url("symbolon", "")).await;
    let again = store.unwrap().hot().deal_streams(ID, None, 10).await.unwrap();
    assert!(again.start >= dealt.end, "{again:?} after {dealt:?}");
}
