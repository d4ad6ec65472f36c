//! A store is copied whole: to another engine, for bad days, and back.

use crate::home::{Home, NODE_KEY, NOW, admin, invitation, name, open, person};
use crate::postgres::Server;
use crate::run;
use crate::sessions::session;
use sqlx::{AssertSqlSafe, Column as _, Row as _};
use symbolon_crypto::Secret;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_store::{
    Copied, CopyFor, Copying, HotStore, InvitationState, Result, Store, StoreError, StoreOptions,
};

/// All but what only one of two copies has.
const TABLES: [&str; 16] = [
    "users",
    "retired_codes",
    "user_groups",
    "passwords",
    "registrations",
    "invitations",
    "templates",
    "apps",
    "entitlements",
    "settings",
    "certificates",
    "revocation_lists",
    "certificate_requests",
    "spent_tickets",
    "revoked_gateways",
    "meta",
];

async fn copy(from: &Home, to: &Home, what_for: CopyFor) -> Result<Copied> {
    copy_with(from, to, what_for, NODE_KEY).await
}

async fn copy_with(from: &Home, to: &Home, what_for: CopyFor, key: [u8; 32]) -> Result<Copied> {
    let by = admin();
    let copying = Copying { from: from.options(), to: to.options(), what_for, by: &by, now: NOW };
    Store::copy(&copying, &Secret::new(key), crypto(), Box::new(SystemEntropy)).await
}

/// With people, invitations, a secret setting and a live session.
async fn filled(home: &Home) {
    let store = home.open().await;
    for who in ["ann", "bea"] {
        store.create_user(&admin(), &person(who), NOW).await.unwrap();
    }
    for code in [1, 2] {
        store.create_invitation(&admin(), &invitation(code), NOW).await.unwrap();
    }
    store.hot().open_session(&session(4), NOW).await.unwrap();
    store.close().await;
}

/// Every value of every table, as it lies there.
async fn values(home: &Home) -> Vec<String> {
    let intruder = home.intruder().await;
    let mut all = vec![];
    for table in TABLES {
        let rows =
            sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(&intruder).await.unwrap();
        for row in rows {
            let value = |at: usize| {
                let bytes = row.try_get::<Option<Vec<u8>>, _>(at).map(|b| b.map(hex::encode));
                let text = bytes.or_else(|_| row.try_get::<Option<String>, _>(at));
                let number = || row.try_get::<Option<i64>, _>(at).map(|n| n.map(|n| n.to_string()));
                format!("{:?}", text.or_else(|_| number()).unwrap())
            };
            let mut cells: Vec<String> =
                row.columns().iter().map(|c| format!("{}={}", c.name(), value(c.ordinal()))).collect();
            cells.sort();
            all.push(format!("{table}: {cells:?}"));
        }
    }
    // what differs: the schema of hot records is there where they are, the audit goes on, and what is moved says so
    all.retain(|row| {
        !["schema hot", "audit head", "\"moved\"", "hot store"].iter().any(|own| row.contains(own))
    });
    all.sort();
    all
}

#[test]
fn a_store_moves_to_postgresql_with_its_live_sessions() {
    let server = Server::start();
    run(async {
        let (here, there) = (Home::directory(), server.database("moved").await);
        filled(&here).await;
        let before = values(&here).await;
        let copied = copy(&here, &there, CopyFor::Moving).await.unwrap();
        assert_eq!((copied.audited, values(&there).await), (4, before));
        let store = there.open().await;
        assert!(store.hot().session(session(4).id, NOW).await.is_ok());
        let report = store.verify_audit().await.unwrap();
        assert_eq!((report.rows, report.first_bad), (5, None), "the chain goes on");
        store.create_user(&admin(), &person("carla"), NOW).await.unwrap();
        store.close().await;
        match here.try_open(NODE_KEY).await.err() {
            Some(StoreError::Moved(place)) => assert!(place.ends_with("/moved"), "{place}"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(copy(&here, &Home::directory(), CopyFor::Keeping).await, Err(StoreError::Moved(_))));
    });
}

#[test]
fn what_was_kept_comes_back_into_another_engine() {
    let server = Server::start();
    run(async {
        let homes = [server.database("lived").await, Home::directory(), server.database("lives").await];
        let [lived, kept, lives] = &homes;
        filled(lived).await;
        let going_on = lived.open().await;
        copy(lived, kept, CopyFor::Keeping).await.unwrap();
        going_on.create_user(&admin(), &person("carla"), NOW).await.unwrap();
        copy(kept, lives, CopyFor::Restoring).await.unwrap();
        let store = lives.open().await;
        assert!(store.user_by_name(&name("bea")).await.is_ok());
        assert!(store.user_by_name(&name("carla")).await.is_err(), "she came later");
        assert_eq!(store.hot().list_sessions(NOW).await.unwrap(), [], "they are of another time");
        let states: Vec<_> = store.invitations().await.unwrap().iter().map(|i| i.state).collect();
        assert_eq!(states, [InvitationState::Revoked; 2], "nobody knows which were used since");
        assert_eq!(store.verify_audit().await.unwrap().first_bad, None);
        let last = store.audit_page(0, 100).await.unwrap().pop().unwrap();
        assert_eq!((last.action.as_str(), &last.actor), ("store.restore", &admin()));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_moment() {
    let (here, there) = (Home::directory(), Home::directory());
    filled(&here).await;
    let writes = here.clone();
    let writing = std::thread::spawn(move || {
        run(async {
            let store = writes.open().await;
            for n in 0..200 {
                store.create_user(&admin(), &person(&format!("user{n}")), NOW).await.unwrap();
            }
        });
    });
    let mut copies = vec![];
    for _ in 0..5 {
        let there = Home::directory();
        let copied = copy(&here, &there, CopyFor::Keeping).await.unwrap();
        let users = there.open().await.users(None, 1000).await.unwrap().len() as u64;
        // two of the audit's rows are of the invitations
        assert_eq!(copied.audited, users + 2, "each user with its row of the audit");
        copies.push(users);
    }
    writing.join().unwrap();
    copy(&here, &there, CopyFor::Keeping).await.unwrap();
    assert_eq!(there.open().await.users(None, 1000).await.unwrap().len(), 202, "{copies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_nowhere_where_a_store_is_and_comes_from_nowhere_else() {
    let (here, there) = (Home::directory(), Home::directory());
    assert_eq!(copy(&here, &there, CopyFor::Keeping).await, Err(StoreError::Missing));
    filled(&here).await;
    filled(&there).await;
    assert_eq!(copy(&here, &there, CopyFor::Moving).await, Err(StoreError::NotEmpty));
    here.open().await.close().await;
    let empty = Home::directory();
    assert_eq!(copy_with(&here, &empty, CopyFor::Moving, [8; 32]).await, Err(StoreError::Sealed));
    let running = here.open().await;
    assert!(matches!(copy(&here, &empty, CopyFor::Moving).await, Err(StoreError::InUse { .. })));
    running.close().await;
    let intruder = here.intruder().await;
    sqlx::query("UPDATE meta SET number = number - 1 WHERE name = 'schema durable'")
        .execute(&intruder)
        .await
        .unwrap();
    assert!(matches!(copy(&here, &empty, CopyFor::Moving).await, Err(StoreError::OlderSchema { .. })));
    sqlx::query("UPDATE meta SET number = number + 1 WHERE name = 'schema durable'")
        .execute(&intruder)
        .await
        .unwrap();
    sqlx::query("UPDATE audit SET actor = 'nobody' WHERE seq = 2").execute(&intruder).await.unwrap();
    assert!(matches!(copy(&here, &empty, CopyFor::Moving).await, Err(StoreError::Corrupt(_))));
    here.open().await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_halfway_leaves_nothing() {
    let (here, dir) = (Home::directory(), tempfile::TempDir::new().unwrap());
    filled(&here).await;
    let store = here.open().await;
    for n in 0..400 {
        store.create_user(&admin(), &person(&format!("user{n}")), NOW).await.unwrap();
    }
    store.close().await;
    let by = admin();
    let small = StoreOptions { quota: Some(40 * 4096), ..StoreOptions::exclusive(dir.path()) };
    let copying = Copying { from: here.options(), to: &small, what_for: CopyFor::Moving, by: &by, now: NOW };
    let failed = Store::copy(&copying, &Secret::new(NODE_KEY), crypto(), Box::new(SystemEntropy)).await;
    assert_eq!(failed, Err(StoreError::DiskFull));
    assert!(here.open().await.users(None, 1).await.is_ok(), "nothing was moved");
    let large = StoreOptions::exclusive(dir.path());
    let copying = Copying { to: &large, ..copying };
    Store::copy(&copying, &Secret::new(NODE_KEY), crypto(), Box::new(SystemEntropy)).await.unwrap();
    assert_eq!(open(&large, NODE_KEY).await.unwrap().users(None, 1000).await.unwrap().len(), 402);
}
