//! Live sessions and the replay cache.

use crate::home::{Home, NOW};
use symbolon_crypto::SecretBytes;
use symbolon_store::{
    Claim, Ending, HotStore, NewSession, News, NodeId, Notice, RegistrationId, ReplayKey, Result, Session,
    SessionId, SessionsOf, Store, StoreError, UserId, What,
};
use symbolon_wire::Time;

const GONE: StoreError = StoreError::NotFound { what: What::Session };

/// Session `n` of user `n % 2`, by token `n % 3` unless that is 0, for an hour.
pub(crate) fn session(n: u8) -> NewSession {
    NewSession {
        id: SessionId([n; 16]),
        user: UserId([n % 2; 16]),
        registration: (!n.is_multiple_of(3)).then_some(RegistrationId([n % 3; 16])),
        owner: NodeId([1; 16]),
        expires: NOW.plus_secs(3600),
        state: SecretBytes::new(vec![n; 40]),
        streams: 0,
    }
}

/// How node 1 ends the sessions that it opened.
const BY_ITS_NODE: Ending = Ending { by: NodeId([1; 16]), why: 1 };

fn by(node: u8, state: &SecretBytes) -> Claim<'_> {
    Claim { owner: NodeId([node; 16]), state, streams: 0 }
}

/// Claims a session as it stands; its state becomes "with" and the node.
pub(crate) async fn claim(store: &Store, id: SessionId, node: u8, now: Time) -> Result<Session> {
    let seen = store.hot().look(id, now).await?;
    let state = SecretBytes::new(vec![b'w', b'i', b't', b'h', node]);
    Ok(store.hot().claim_session(&seen, by(node, &state), now).await?.session)
}

async fn with_session(home: &Home) -> (Store, SessionId) {
    let store = home.open().await;
    assert_eq!(store.hot().open_session(&session(4), NOW).await, Ok(1));
    (store, SessionId([4; 16]))
}

pub(crate) async fn a_claimed_session_has_the_next_epoch_and_the_last_state(home: Home) {
    let (store, id) = with_session(&home).await;
    store.hot().publish_session(id, 1, &SecretBytes::new(b"later".to_vec())).await.unwrap();
    let seen = store.hot().look(id, NOW).await.unwrap();
    assert_eq!(seen.state.expose(), b"later");
    let next = SecretBytes::new(b"next".to_vec());
    let claimed = store.hot().claim_session(&seen, by(2, &next), NOW).await.unwrap().session;
    assert_eq!((claimed.epoch, claimed.owner), (2, NodeId([2; 16])));
    assert_eq!((claimed.user, claimed.created), (UserId([0; 16]), NOW));
    assert_eq!(claimed.registration, Some(RegistrationId([1; 16])));
    let now = store.hot().look(id, NOW).await.unwrap();
    assert_eq!((now.session, now.state), (claimed, next));
    let stale = store.hot().claim_session(&seen, by(3, &seen.state), NOW).await;
    assert_eq!(stale.err(), Some(StoreError::Fenced));
    assert_eq!(claim(&store, id, 3, NOW).await.unwrap().epoch, 3);
}

pub(crate) async fn a_claim_does_not_overwrite_what_was_published_meanwhile(home: Home) {
    let (store, id) = with_session(&home).await;
    for node in [1, 2] {
        let seen = store.hot().look(id, NOW).await.unwrap();
        let renewed = SecretBytes::new(b"renewed".to_vec());
        store.hot().publish_session(id, 1, &renewed).await.unwrap();
        let claimed = store.hot().claim_session(&seen, by(node, &seen.state), NOW).await;
        assert_eq!(claimed.err(), Some(StoreError::Fenced));
        assert_eq!(store.hot().look(id, NOW).await.unwrap().state, renewed);
    }
}

pub(crate) async fn a_node_learns_what_became_of_its_sessions(home: Home) {
    let (store, other) = (home.open().await, home.open().await);
    for n in 0..6 {
        store.hot().open_session(&session(n), NOW).await.unwrap();
    }
    claim(&other, SessionId([0; 16]), 2, NOW).await.unwrap();
    claim(&other, SessionId([0; 16]), 3, NOW).await.unwrap();
    let by_another = |why| Ending { by: NodeId([2; 16]), why };
    other.hot().end_session(SessionId([1; 16]), None, by_another(15)).await.unwrap();
    let ended =
        other.hot().end_sessions_of(SessionsOf::Registration(RegistrationId([2; 16])), by_another(4)).await;
    assert_eq!(ended.unwrap().len(), 2);
    let look = async |node| {
        let mut notices = store.hot().notices(NodeId([node; 16])).await.unwrap();
        notices.sort_by_key(|n| n.session);
        notices
    };
    let take = async |node| {
        let notices = look(node).await;
        store.hot().forget_notices(NodeId([node; 16]), &notices).await.unwrap();
        notices
    };
    let notice = |n, epoch, news| Notice { session: SessionId([n; 16]), epoch, news };
    let all = [
        notice(0, 2, News::Moved),
        notice(1, 1, News::Ended(15)),
        notice(2, 1, News::Ended(4)),
        notice(5, 1, News::Ended(4)),
    ];
    assert_eq!(look(1).await, all);
    assert_eq!(take(1).await, all, "an answer that was lost is given again");
    assert_eq!(take(1).await, [], "and what was acted upon is not");
    // news that came after the answer stay, though what the answer said of that session is forgotten
    let before = look(2).await;
    assert_eq!(before, [notice(0, 3, News::Moved)]);
    claim(&other, SessionId([0; 16]), 2, NOW).await.unwrap();
    claim(&other, SessionId([0; 16]), 3, NOW).await.unwrap();
    store.hot().forget_notices(NodeId([2; 16]), &before).await.unwrap();
    assert_eq!(take(2).await, [notice(0, 5, News::Moved)]);
    let moved = notice(0, 4, News::Moved);
    assert_eq!(look(3).await, [moved]);
    // what stands nowhere does no harm, however much it is
    let many: Vec<Notice> = std::iter::repeat_n(notice(9, 1, News::Moved), 1200).chain([moved]).collect();
    store.hot().forget_notices(NodeId([3; 16]), &many).await.unwrap();
    assert_eq!(look(3).await, []);
    // by the sweeper's clock they have expired, and by that of the node not yet
    other.hot().end_session(SessionId([3; 16]), None, by_another(1)).await.unwrap();
    store.hot().sweep(NOW.plus_secs(3600 - 1)).await.unwrap();
    claim(&other, SessionId([4; 16]), 2, NOW).await.unwrap();
    store.hot().sweep(NOW.plus_secs(3600 + 600)).await.unwrap();
    assert_eq!(take(1).await, [notice(3, 1, News::Ended(1)), notice(4, 2, News::Moved)]);
    // nobody takes this one, and it does not stay for ever
    store.hot().open_session(&session(7), NOW).await.unwrap();
    other.hot().end_session(SessionId([7; 16]), None, by_another(1)).await.unwrap();
    store.hot().sweep(NOW.plus_secs(3600 + 900)).await.unwrap();
    assert_eq!(take(1).await, []);
}

pub(crate) async fn what_a_node_does_itself_leaves_it_no_notice(home: Home) {
    let (store, id) = with_session(&home).await;
    claim(&store, id, 1, NOW).await.unwrap();
    let stale = store.hot().end_session(id, Some(1), BY_ITS_NODE).await;
    assert_eq!(stale, Err(StoreError::Fenced), "a connection of the past ends nothing");
    store.hot().end_session(id, Some(2), BY_ITS_NODE).await.unwrap();
    assert_eq!(store.hot().notices(NodeId([1; 16])).await.unwrap(), []);
}

pub(crate) async fn of_many_racing_nodes_one_claims_an_epoch(home: Home) {
    let (store, id) = with_session(&home).await;
    let other = home.open().await;
    let all_have_seen_it = std::sync::Arc::new(tokio::sync::Barrier::new(12));
    let nodes: Vec<_> = (0..12)
        .map(|i| {
            let store = if i % 2 == 0 { store.clone() } else { other.clone() };
            let barrier = all_have_seen_it.clone();
            tokio::spawn(async move {
                let seen = store.hot().look(id, NOW).await.unwrap();
                barrier.wait().await;
                store.hot().claim_session(&seen, by(i, &seen.state), NOW).await
            })
        })
        .collect();
    let mut won = Vec::new();
    for node in nodes {
        match node.await.unwrap() {
            Ok(claimed) => won.push(claimed.session.owner),
            Err(e) => assert_eq!(e, StoreError::Fenced),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(store.hot().session(id, NOW).await.unwrap().owner, won[0]);
}

pub(crate) async fn an_owner_of_the_past_publishes_nothing(home: Home) {
    let (store, id) = with_session(&home).await;
    claim(&store, id, 2, NOW).await.unwrap();
    let state = SecretBytes::new(b"stale".to_vec());
    assert_eq!(store.hot().publish_session(id, 1, &state).await, Err(StoreError::Fenced));
    assert_eq!(store.hot().renew_session(id, 1, NOW).await, Err(StoreError::Fenced));
    assert_eq!(store.hot().deal_streams(id, Some(1), 1).await, Err(StoreError::Fenced));
    store.hot().renew_session(id, 2, NOW.plus_secs(7200)).await.unwrap();
    let later = NOW.plus_secs(7000);
    assert_eq!(store.hot().look(id, later).await.unwrap().state.expose(), b"with\x02");
    claim(&store, id, 1, later).await.unwrap();
    store.hot().end_session(id, None, BY_ITS_NODE).await.unwrap();
    assert_eq!(store.hot().publish_session(id, 3, &state).await, Err(GONE));
    assert_eq!(store.hot().end_session(id, None, BY_ITS_NODE).await, Err(GONE));
}

pub(crate) async fn no_stream_number_is_dealt_twice(home: Home) {
    let (store, id) = with_session(&home).await;
    let other = home.open().await;
    let tasks: Vec<_> = (0..10)
        .map(|i| {
            let store = if i % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move {
                let mut dealt = Vec::new();
                for count in 1..=5 {
                    dealt.extend(store.hot().deal_streams(id, None, count).await.unwrap());
                }
                dealt
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..150).collect::<Vec<u64>>());
    assert_eq!(store.hot().session(id, NOW).await.unwrap().next_stream, 150);
    assert_eq!(store.hot().deal_streams(id, Some(1), 10).await, Ok(150..160));
    let seen = store.hot().look(id, NOW).await.unwrap();
    let claim = Claim { streams: 40, ..by(2, &seen.state) };
    assert_eq!(store.hot().claim_session(&seen, claim, NOW).await.unwrap().streams, 160..200);
    let opened = NewSession { streams: 30, ..session(5) };
    store.hot().open_session(&opened, NOW).await.unwrap();
    assert_eq!(store.hot().deal_streams(opened.id, Some(1), 10).await, Ok(30..40));
    assert_eq!(store.hot().deal_streams(SessionId([9; 16]), None, 1).await, Err(GONE));
}

pub(crate) async fn an_expired_session_is_gone_and_swept(home: Home) {
    let (store, id) = with_session(&home).await;
    let end = NOW.plus_secs(3600);
    assert!(store.hot().session(id, Time(end.0 - 1)).await.is_ok());
    assert_eq!(store.hot().session(id, end).await.err(), Some(GONE));
    let seen = store.hot().look(id, NOW).await.unwrap();
    let late = store.hot().claim_session(&seen, by(2, &seen.state), end).await;
    assert_eq!(late.err(), Some(GONE));
    assert_eq!(store.hot().list_sessions(end).await.unwrap(), []);
    store.hot().put_if_absent(ReplayKey([1; 32]), end, NOW).await.unwrap();
    store.hot().put_if_absent(ReplayKey([2; 32]), end.plus_secs(1), NOW).await.unwrap();
    let early = store.hot().sweep(Time(end.0 - 1)).await.unwrap();
    assert_eq!((early.sessions, early.replay_keys), (0, 0));
    let swept = store.hot().sweep(end).await.unwrap();
    assert_eq!((swept.sessions, swept.replay_keys), (1, home.sweeps_replay_keys().into()));
}

pub(crate) async fn a_session_is_opened_once(home: Home) {
    let (store, id) = with_session(&home).await;
    let again = NewSession { state: SecretBytes::new(b"impostor".to_vec()), ..session(4) };
    assert_eq!(
        store.hot().open_session(&again, NOW).await,
        Err(StoreError::Conflict { what: What::Session })
    );
    assert_eq!(store.hot().look(id, NOW).await.unwrap().state.expose(), [4; 40]);
}

pub(crate) async fn the_sessions_of_a_user_or_a_token_end_together(home: Home) {
    let store = home.open().await;
    for n in 0..6 {
        store.hot().open_session(&session(n), NOW.plus_secs(n.into())).await.unwrap();
    }
    let ids = |ids: &[u8]| ids.iter().map(|&n| SessionId([n; 16])).collect::<Vec<_>>();
    let listed: Vec<_> = store.hot().list_sessions(NOW).await.unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(listed, ids(&[0, 1, 2, 3, 4, 5]));
    let mut ended = store
        .hot()
        .end_sessions_of(SessionsOf::Registration(RegistrationId([2; 16])), BY_ITS_NODE)
        .await
        .unwrap();
    ended.sort();
    assert_eq!(ended, ids(&[2, 5]));
    let of_user = store.hot().sessions_of_user(UserId([0; 16]), NOW).await.unwrap();
    assert_eq!(of_user.into_iter().map(|s| s.id).collect::<Vec<_>>(), ids(&[0, 4]));
    assert_eq!(store.hot().count_sessions(UserId([0; 16])).await, Ok(2));
    let mut ended =
        store.hot().end_sessions_of(SessionsOf::User(UserId([0; 16])), BY_ITS_NODE).await.unwrap();
    ended.sort();
    assert_eq!(ended, ids(&[0, 4]));
    let left: Vec<_> = store.hot().list_sessions(NOW).await.unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(left, ids(&[1, 3]));
}

pub(crate) async fn a_replay_key_is_absent_once_for_all_who_race(home: Home) {
    let nodes = [home.open().await, home.open().await];
    let until = NOW.plus_secs(60);
    let tasks: Vec<_> = (0..24)
        .map(|i| {
            let store = nodes[i % 2].clone();
            let key = ReplayKey([(i / 8) as u8; 32]);
            tokio::spawn(async move { store.hot().put_if_absent(key, until, NOW).await.unwrap() })
        })
        .collect();
    let mut first = 0;
    for task in tasks {
        first += u32::from(task.await.unwrap());
    }
    assert_eq!(first, 3, "three keys, eight racers each");
}

pub(crate) async fn a_replay_key_may_come_again_after_it_expired(home: Home) {
    let store = home.open().await;
    let key = ReplayKey([1; 32]);
    let until = NOW.plus_secs(60);
    assert_eq!(store.hot().put_if_absent(key, until, NOW).await, Ok(true));
    assert_eq!(store.hot().put_if_absent(key, until, Time(until.0 - 1)).await, Ok(false));
    assert_eq!(store.hot().put_if_absent(key, until.plus_secs(60), until).await, Ok(true));
    assert_eq!(store.hot().put_if_absent(key, until.plus_secs(60), until).await, Ok(false));
}
