//! Secrets at rest.

use crate::home::{Home, NOW, admin, fresh_id, person};
use crate::sessions::session;
use sqlx::{AnyPool, AssertSqlSafe, Column, Row};
use symbolon_crypto::{Secret, SecretBytes};
use symbolon_policy::TokenClass;
use symbolon_store::{
    HotStore, NewRegistration, NewSession, NewUser, RegistrationFor, SessionId, Store, StoreError, UserId,
};

/// What must appear nowhere. Long enough that it appears by no accident.
pub(crate) const CANARY: &[u8; 32] = b"canary-canary-canary-canary-cana";

/// Puts the canary into every secret of `who` that a store keeps.
pub(crate) async fn hide_canaries(store: &Store, who: &str, session_number: u8) -> UserId {
    let canary = || SecretBytes::new(CANARY.to_vec());
    let new = NewRegistration {
        id: fresh_id(),
        user: RegistrationFor::New(NewUser { answers: Some(canary()), ..person(who) }),
        ssk: Secret::new(*CANARY),
        class: TokenClass::Software,
        label: "laptop".into(),
        invitation: None,
    };
    let (id, user) = (new.id, store.begin_registration(&admin(), &new, NOW).await.unwrap());
    store.confirm_registration(&admin(), id, NOW).await.unwrap();
    store.set_password(&admin(), user.id, &canary(), NOW).await.unwrap();
    store.put_secret_setting(&admin(), who, &canary(), NOW).await.unwrap();
    store.put_setting(&admin(), "plain", b"plain", NOW).await.unwrap();
    let opened =
        NewSession { user: user.id, registration: Some(id), state: canary(), ..session(session_number) };
    store.hot().open_session(&opened, NOW).await.unwrap();
    store.hot().publish_session(opened.id, 1, &canary()).await.unwrap();
    user.id
}

/// Exchanges the values of `column` in the two rows of a table.
pub(crate) async fn swap(intruder: &AnyPool, table: &str, key: &str, column: &str) {
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT {key}, {column} FROM {table}")))
        .fetch_all(intruder)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for (to, from) in [(0, 1), (1, 0)] {
        let sealed: Vec<u8> = rows[from].get(1);
        let query = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET {column} = $1 WHERE {key} = $2")))
            .bind(sealed);
        match rows[to].try_get::<Vec<u8>, _>(0) {
            Ok(id) => query.bind(id),
            Err(_) => query.bind(rows[to].get::<String, _>(0)),
        }
        .execute(intruder)
        .await
        .unwrap();
    }
}

pub(crate) async fn a_sealed_value_moved_to_another_row_does_not_open(home: Home) {
    let store = home.open().await;
    let alice = hide_canaries(&store, "alice", 1).await;
    hide_canaries(&store, "bob", 2).await;
    store.remove_setting(&admin(), "plain", NOW).await.unwrap();
    let code = store.user(alice).await.unwrap().code;
    assert_eq!(store.password(alice).await.unwrap().unwrap().expose(), CANARY);
    let intruder = home.intruder().await;
    swap(&intruder, "registrations", "id", "ssk").await;
    swap(&intruder, "passwords", "user_id", "verifier").await;
    swap(&intruder, "users", "id", "answers").await;
    swap(&intruder, "settings", "name", "value").await;
    home.swap_states().await;
    let sealed = Some(StoreError::Sealed);
    assert_eq!(store.registrations_by_user_code(&code).await.err(), sealed);
    assert_eq!(store.password(alice).await.err(), sealed);
    assert_eq!(store.answers(alice).await.err(), sealed);
    assert_eq!(store.secret_setting("alice").await.err(), sealed);
    assert_eq!(store.hot().look(SessionId([1; 16]), NOW).await.err(), sealed);
}

pub(crate) async fn a_store_does_not_open_with_another_node_key(home: Home) {
    home.open().await.close().await;
    assert_eq!(home.try_open([8; 32]).await.err(), Some(StoreError::Sealed));
    home.open().await;
}

pub(crate) async fn no_secret_stands_in_the_tables_or_the_audit(home: Home) {
    let store = home.open().await;
    hide_canaries(&store, "alice", 1).await;
    let tables =
        ["audit", "users", "passwords", "registrations", "settings", "meta"].map(|t| (home.intruder(), t));
    let mut values = 0;
    for (intruder, table) in tables {
        values += search(&intruder.await, table).await;
    }
    values += home.search_hot(CANARY).await;
    assert!(values > 50, "the search looked at {values} values only");
}

/// Looks for the canary in every value of a table, and says at how many it looked.
pub(crate) async fn search(intruder: &AnyPool, table: &str) -> usize {
    let rows =
        sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(intruder).await.unwrap();
    assert!(!rows.is_empty(), "{table} is empty");
    let mut values = 0;
    for row in &rows {
        for column in row.columns() {
            let bytes = row
                .try_get::<Vec<u8>, _>(column.ordinal())
                .or_else(|_| row.try_get::<String, _>(column.ordinal()).map(String::into_bytes))
                .unwrap_or_default();
            assert!(!bytes.windows(CANARY.len()).any(|w| w == CANARY), "{table}.{}", column.name());
            values += 1;
        }
    }
    values
}
