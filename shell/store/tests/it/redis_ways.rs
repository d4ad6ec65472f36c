//! What only a Redis server has: who gets in, what it forgets by itself, what it says of itself.

use crate::home::{Home, NODE_KEY, NOW};
use crate::redis::{PASSWORD, Server};
use crate::sessions::{claim, session};
use std::sync::Arc;
use symbolon_store::{HotStore, HotUrl, NewSession, NodeId, ReplayKey, SessionId, Store, StoreError, UserId};

/// Opens a store whose hot records are at `url`.
pub(crate) async fn open(url: HotUrl) -> (Result<Store, StoreError>, tempfile::TempDir) {
    let dir = tempfile::TempDir::new().unwrap();
    let options = symbolon_store::StoreOptions::exclusive(dir.path()).hot(url);
    (crate::home::open(&options, NODE_KEY).await, dir)
}

#[tokio::test]
async fn who_is_not_let_in_learns_it_at_once_and_no_password_is_told() {
    let server = Server::start();
    let good = server.text("symbolon", "");
    let stranger = Server::start();
    let own_files = |text: &str| {
        let query = good.split_once('?').unwrap().1;
        let other = stranger.text("symbolon", "");
        text.replace(query, other.split_once('?').unwrap().1)
    };
    let (host, query) = good.split_once('?').unwrap();
    let no_certificate = format!("{host}?{}", query.split('&').next().unwrap());
    for (what, text) in [
        ("another password", good.replace("canary", "other-canary")),
        ("another user", good.replace("node:", "nobody:")),
        ("no password", good.replace(good.split_once("//").unwrap().1.split_once('@').unwrap().0, "")),
        ("keys of another domain", server.text("elsewhere", "")),
        ("another authority", own_files(&good)),
        ("no certificate", no_certificate),
        ("no TLS", format!("{}/0", host.replace("rediss", "redis").trim_end_matches("/0"))),
    ] {
        let (refused, _dir) = open(text.parse().unwrap()).await;
        let refused = refused.err().unwrap_or_else(|| panic!("{what} was let in"));
        let said = format!("{refused} {refused:?}");
        assert!(!said.contains("canary") && !said.contains(PASSWORD), "{what}: {said}");
        assert!(matches!(refused, StoreError::Other(_) | StoreError::Unreachable(_)), "{what}: {said}");
    }
    let (store, _dir) = open(good.parse().unwrap()).await;
    assert_eq!(store.unwrap().hot().count_sessions(UserId([1; 16])).await, Ok(0));
}

#[test]
fn operators_are_told_the_rights_that_are_tested() {
    let page = include_str!("../../../../docs/hot-store.md");
    assert!(page.contains(crate::redis::RIGHTS), "{}", crate::redis::RIGHTS);
}

#[tokio::test]
async fn a_password_may_stand_in_a_file() {
    let server = Server::start();
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let text = server.text("symbolon", &format!("&password_file={}", file.display()));
    let (before, after) = text.split_once("node:").unwrap();
    let text = format!("{before}node@{}", after.split_once('@').unwrap().1);
    let (store, _dir) = open(text.parse().unwrap()).await;
    store.unwrap();
    std::fs::remove_file(&file).unwrap();
    let endless = text.replace(&file.display().to_string(), "/dev/zero");
    for text in [text, endless] {
        let (refused, _dir) = open(text.parse().unwrap()).await;
        assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_throws_records_away_is_refused() {
    let server = Server::with("maxmemory 64mb\nmaxmemory-policy allkeys-lru");
    let (refused, _dir) = open(server.url("symbolon", "")).await;
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("allkeys-lru") && said.contains("noeviction"), "{said}");
}

#[tokio::test]
async fn the_server_forgets_by_itself_what_nobody_sweeps() {
    let server = Arc::new(Server::start());
    let store = Home::redis(&server, "symbolon").open().await;
    let ms = |key: &str| server.admin(&["PTTL", &format!("symbolon:{key}")]).parse::<i64>().unwrap();
    let about = |ms: i64, secs: i64| ms > (secs - 60) * 1000 && ms <= secs * 1000;
    const LONGER: i64 = 900;
    store.hot().put_if_absent(ReplayKey([1; 32]), NOW.plus_secs(60), NOW).await.unwrap();
    assert!(about(ms(&format!("seen:{}", "01".repeat(32))), 60 + LONGER));
    store.hot().open_session(&session(4), NOW).await.unwrap();
    let of_session = format!("session:{}", "04".repeat(16));
    let others = [
        "sessions".to_owned(),
        format!("user:{}", "00".repeat(16)),
        format!("registration:{}", "01".repeat(16)),
    ];
    assert!(about(ms(&of_session), 3600 + LONGER));
    // a session that is renewed is kept longer, and with it what leads to it
    store.hot().renew_session(SessionId([4; 16]), 1, NOW.plus_secs(7200)).await.unwrap();
    for key in others.iter().chain([&of_session]) {
        assert!(about(ms(key), 7200 + LONGER), "{key}: {}", ms(key));
    }
    store.hot().renew_session(SessionId([4; 16]), 1, NOW.plus_secs(600)).await.unwrap();
    assert!(about(ms(&of_session), 600 + LONGER));
    claim(&store, SessionId([4; 16]), 2, NOW).await.unwrap();
    assert!(about(ms(&format!("notices:{}", "01".repeat(16))), 600 + LONGER));
    // what it has forgotten leaves nothing behind
    server.admin(&["DEL", &format!("symbolon:{of_session}")]);
    let user = UserId([0; 16]);
    assert_eq!(store.hot().list_sessions(NOW).await.unwrap(), []);
    assert_eq!(store.hot().sessions_of_user(user, NOW).await.unwrap(), []);
    assert_eq!(store.hot().sweep(NOW.plus_secs(600)).await.unwrap().sessions, 1);
    assert_eq!(store.hot().count_sessions(user).await, Ok(0));
    store.hot().sweep(NOW.plus_secs(600 + 900)).await.unwrap();
    assert_eq!(store.hot().notices(NodeId([1; 16])).await.unwrap(), []);
    assert_eq!(
        server.admin(&["KEYS", "*"]).lines().count(),
        2,
        "what is known of the store, and a replay key"
    );
}

#[tokio::test]
async fn a_server_that_was_emptied_is_used_again() {
    let server = Arc::new(Server::start());
    let store = Home::redis(&server, "symbolon").open().await;
    store.hot().open_session(&session(4), NOW).await.unwrap();
    server.admin(&["FLUSHALL"]);
    assert!(matches!(store.hot().look(SessionId([4; 16]), NOW).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.hot().open_session(&session(4), NOW).await, Ok(1));
}

#[tokio::test]
async fn more_sessions_are_listed_and_swept_than_the_server_looks_at_at_once() {
    let server = Arc::new(Server::start());
    let store = Home::redis(&server, "symbolon").open().await;
    for n in 0..1100_u16 {
        let mut id = [7; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let new = NewSession { id: SessionId(id), ..session(4) };
        store.hot().open_session(&new, NOW).await.unwrap();
    }
    let listed = store.hot().list_sessions(NOW).await.unwrap();
    assert_eq!(listed.len(), 1100);
    assert!(listed.is_sorted_by_key(|s| s.id));
    assert_eq!(store.hot().sweep(NOW.plus_secs(3600)).await.unwrap().sessions, 1100);
    assert_eq!(server.admin(&["KEYS", "*"]), "symbolon:meta");
}
