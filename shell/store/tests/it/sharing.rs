//! Closing and opening again, and several nodes on one store.

use crate::home::{Home, NODE_KEY, NOW, admin, groups, invitation, person};
use crate::sealing::{CANARY, hide_canaries};
use serde_json::json;
use sqlx::Row;
use std::pin::pin;
use std::task::Poll;
use symbolon_policy::Standing;
use symbolon_store::{HotStore, ReplayKey, SessionId, StoreError};

pub(crate) async fn what_was_acknowledged_is_there_after_reopening(home: Home) {
    let store = home.open().await;
    let alice = hide_canaries(&store, "alice", 1).await;
    store.create_invitation(&admin(), &invitation(1), NOW).await.unwrap();
    store.hot().put_if_absent(ReplayKey([1; 32]), NOW.plus_secs(60), NOW).await.unwrap();
    store.hot().deal_streams(SessionId([1; 16]), None, 64).await.unwrap();
    let before = (
        store.users(None, 9).await.unwrap(),
        store.invitations().await.unwrap(),
        store.revision().await.unwrap(),
        store.audit_page(0, 99).await.unwrap(),
    );
    // not closed: a process that ends closes nothing either
    drop(store);
    let store = home.open().await;
    let after = (
        store.users(None, 9).await.unwrap(),
        store.invitations().await.unwrap(),
        store.revision().await.unwrap(),
        store.audit_page(0, 99).await.unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(store.password(alice).await.unwrap().unwrap().expose(), CANARY);
    let seen = store.hot().look(SessionId([1; 16]), NOW).await.unwrap();
    assert_eq!(seen.state.expose(), CANARY);
    assert_eq!(seen.session.next_stream, 64);
    assert_eq!(store.hot().put_if_absent(ReplayKey([1; 32]), NOW.plus_secs(60), NOW).await, Ok(false));
    assert_eq!(store.verify_audit().await.unwrap().first_bad, None);
}

pub(crate) async fn two_nodes_on_one_store_see_each_others_changes(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let alice = one.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let revision = two.revision().await.unwrap();
    assert_eq!(two.user(alice.id).await.unwrap(), alice);
    two.set_standing(&admin(), alice.id, Standing::Locked, NOW).await.unwrap();
    assert_eq!(one.user(alice.id).await.unwrap().subject.standing, Standing::Locked);
    assert!(one.revision().await.unwrap() > revision);
    let key = ReplayKey([1; 32]);
    assert_eq!(one.hot().put_if_absent(key, NOW.plus_secs(60), NOW).await, Ok(true));
    assert_eq!(two.hot().put_if_absent(key, NOW.plus_secs(60), NOW).await, Ok(false));
}

pub(crate) async fn changes_of_two_nodes_make_one_chain(home: Home) {
    let nodes = [home.open().await, home.open().await];
    let alice = nodes[0].create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let tasks: Vec<_> = (0..16_u64)
        .map(|i| {
            let store = nodes[i as usize % 2].clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    store.record(&admin(), "note", "", &json!({ "by": i }), NOW).await.unwrap();
                    store.set_groups(&admin(), alice.id, &groups(&["ops"]), NOW).await.unwrap();
                    // readers are not held up
                    store.user(alice.id).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let report = nodes[1].verify_audit().await.unwrap();
    assert_eq!((report.rows, report.first_bad), (161, None));
    assert_eq!(nodes[0].user(alice.id).await.unwrap().rev, 81);
}

pub(crate) async fn a_store_of_a_newer_program_is_refused_and_left_alone(home: Home) {
    home.open().await.close().await;
    let intruder = home.intruder().await;
    let raise_durable = async |by: i64| {
        let set = "UPDATE meta SET number = number + $1 WHERE name = 'schema durable' RETURNING number";
        let newer: i64 = sqlx::query(set).bind(by).fetch_one(&intruder).await.unwrap().get(0);
        (newer.unsigned_abs(), (newer - by).unsigned_abs())
    };
    for durable in [true, false] {
        let raise =
            async |by| if durable { raise_durable(by).await } else { home.raise_hot_schema(by).await };
        let (found, known) = raise(5).await;
        let refused = home.try_open(NODE_KEY).await.err();
        assert_eq!(refused, Some(StoreError::NewerSchema { found, known }), "durable: {durable}");
        let message = refused.unwrap().to_string();
        assert!(message.contains("start the newer program"), "{message}");
        raise(-5).await;
        home.open().await;
    }
}

/// Polls `call` at most `polls` times, then drops it wherever it stands.
async fn give_up_after<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        call.as_mut().poll(cx).map(Some)
    })
    .await
}

pub(crate) async fn a_caller_who_gives_up_halfway_leaves_no_half_change(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let mut acknowledged = 0;
    for polls in 0..30 {
        let by = admin();
        let changed = give_up_after(polls, store.set_groups(&by, alice.id, &[], NOW)).await;
        acknowledged += u64::from(changed.is_some());
        let key = ReplayKey([polls as u8; 32]);
        let seen = give_up_after(polls, store.hot().put_if_absent(key, NOW.plus_secs(60), NOW)).await;
        let again = store.hot().put_if_absent(key, NOW.plus_secs(60), NOW).await.unwrap();
        assert!(seen.is_none() || !again, "an acknowledged key was forgotten");
    }
    assert!(acknowledged > 0 && acknowledged < 30, "{acknowledged} of 30 came to their end");
    // each change is whole: its revision and its audit row are there, or neither
    store.record(&admin(), "note", "", &json!({}), NOW).await.unwrap();
    let report = store.verify_audit().await.unwrap();
    let rev = store.user(alice.id).await.unwrap().rev;
    assert_eq!((report.rows, report.first_bad), (rev + 1, None));
    assert!(rev > acknowledged);
}
