//! The chain of audit rows, and those who would like to change the past.

use crate::home::{Home, NOW, admin, groups, person};
use serde_json::json;
use sqlx::{AnyPool, AssertSqlSafe, Row};
use symbolon_policy::Standing;
use symbolon_store::{Actor, AuditFault, Note, Store, StoreError};

/// A store with `n` audit rows.
async fn with_rows(home: &Home, n: u64) -> Store {
    let store = home.open().await;
    for i in 1..=n {
        store
            .record(&admin(), "note", &format!("object {i}"), &json!({ "i": i }), NOW.plus_secs(i))
            .await
            .unwrap();
    }
    store
}

async fn run(intruder: &AnyPool, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(intruder).await.unwrap();
}

async fn fault(store: &Store) -> Option<(u64, AuditFault)> {
    store.verify_audit().await.unwrap().first_bad
}

pub(crate) async fn every_change_writes_one_row_that_says_who_did_what(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let node = Actor::node("n1");
    store.set_standing(&node, alice.id, Standing::Locked, NOW.plus_secs(1)).await.unwrap();
    store.set_groups(&admin(), alice.id, &groups(&["ops"]), NOW.plus_secs(2)).await.unwrap();
    let refused = json!({ "why": "unknown user" });
    store
        .record(&Actor::user("mallory"), "sign-in.refused", "mallory", &refused, NOW.plus_secs(3))
        .await
        .unwrap();
    let rows = store.audit_page(0, 99).await.unwrap();
    let told: Vec<_> =
        rows.iter().map(|r| (r.seq, r.actor.clone(), r.action.as_str(), r.object.as_str())).collect();
    assert_eq!(
        told,
        [
            (1, admin(), "user.create", "alice"),
            (2, node, "user.standing", "alice"),
            (3, admin(), "user.groups", "alice"),
            (4, Actor::user("mallory"), "sign-in.refused", "mallory"),
        ]
    );
    assert_eq!(rows[3].time, NOW.plus_secs(3));
    assert_eq!(rows[3].detail, refused.to_string());
    assert!(rows[1].detail.contains("locked"), "{}", rows[1].detail);
    assert_eq!(store.audit_page(1, 2).await.unwrap(), rows[1..3]);
    let report = store.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.first_bad), (4, None));
}

pub(crate) async fn the_chain_holds_over_many_pages(home: Home) {
    let store = home.open().await;
    assert_eq!(store.verify_audit().await.unwrap().rows, 0);
    let intruder = home.intruder().await;
    for i in 0..1205 {
        store.record(&admin(), "note", "", &json!({ "i": i }), NOW).await.unwrap();
    }
    let report = store.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.first_bad), (1205, None));
    run(&intruder, "UPDATE audit SET detail = '{}' WHERE seq = 1100").await;
    let report = store.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.first_bad), (1099, Some((1100, AuditFault::Altered))));
}

pub(crate) async fn what_comes_in_crowds_is_written_as_one_row_each(home: Home) {
    let store = home.open().await;
    store.record_all(&[]).await.unwrap();
    let note = |n: u64| Note {
        time: NOW.plus_secs(n),
        by: Actor::user("alice"),
        action: "session.attach",
        object: n.to_string(),
        detail: json!({ "n": n }),
    };
    for from in [0, 10] {
        store.record_all(&(from..from + 10).map(note).collect::<Vec<_>>()).await.unwrap();
        store.record(&admin(), "between", "", &json!({}), NOW).await.unwrap();
    }
    let rows = store.audit_page(0, 99).await.unwrap();
    assert_eq!(
        (rows[3].object.as_str(), rows[3].time, rows[10].action.as_str()),
        ("3", NOW.plus_secs(3), "between")
    );
    let report = store.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.first_bad), (22, None));
}

pub(crate) async fn any_edited_column_is_noticed(home: Home) {
    let store = with_rows(&home, 4).await;
    let intruder = home.intruder().await;
    for (edit, undo) in [
        ("time = time + 1", "time = time - 1"),
        ("actor_kind = 'user'", "actor_kind = 'admin'"),
        ("actor_kind = 'nobody'", "actor_kind = 'admin'"),
        ("actor = 'mallory'", "actor = 'root'"),
        ("action = 'nothing'", "action = 'note'"),
        ("object = 'object 3'", "object = 'object 2'"),
        ("detail = '{\"i\":3}'", "detail = '{\"i\":2}'"),
        // the same letters, shared out among the columns in another way
        ("action = 'noteo', object = 'bject 2'", "action = 'note', object = 'object 2'"),
        ("time = -1", "time = 1800000002000000"),
    ] {
        run(&intruder, &format!("UPDATE audit SET {edit} WHERE seq = 2")).await;
        assert_eq!(fault(&store).await, Some((2, AuditFault::Altered)), "{edit}");
        run(&intruder, &format!("UPDATE audit SET {undo} WHERE seq = 2")).await;
        assert_eq!(fault(&store).await, None, "{undo}");
    }
    run(&intruder, "UPDATE audit SET hash = prev WHERE seq = 2").await;
    assert_eq!(fault(&store).await, Some((2, AuditFault::Altered)));
}

pub(crate) async fn removed_moved_and_added_rows_are_noticed(home: Home) {
    let store = with_rows(&home, 6).await;
    let intruder = home.intruder().await;
    let copy = "INSERT INTO audit SELECT 7, hash, time, actor_kind, actor, action, object, detail, hash FROM audit WHERE seq = 6";
    run(&intruder, copy).await;
    assert_eq!(fault(&store).await, Some((7, AuditFault::Added)));
    run(&intruder, "DELETE FROM audit WHERE seq = 7").await;
    run(&intruder, "INSERT INTO audit SELECT 0, prev, time, actor_kind, actor, action, object, detail, hash FROM audit WHERE seq = 1")
        .await;
    assert_eq!(fault(&store).await, Some((1, AuditFault::Added)));
    run(&intruder, "DELETE FROM audit WHERE seq = 0").await;
    assert_eq!(fault(&store).await, None);

    for swap in [
        "UPDATE audit SET seq = 99 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 99",
    ] {
        run(&intruder, swap).await;
    }
    assert_eq!(fault(&store).await, Some((2, AuditFault::Unlinked)));
    run(&intruder, "DELETE FROM audit WHERE seq = 2").await;
    assert_eq!(fault(&store).await, Some((2, AuditFault::Missing)));
    run(&intruder, "DELETE FROM audit WHERE seq = 1").await;
    assert_eq!(fault(&store).await, Some((1, AuditFault::Missing)));
    run(&intruder, "DELETE FROM audit").await;
    assert_eq!(fault(&store).await, Some((1, AuditFault::Missing)));
}

pub(crate) async fn a_cut_tail_is_noticed_even_with_a_fitting_head(home: Home) {
    let store = with_rows(&home, 6).await;
    let intruder = home.intruder().await;
    run(&intruder, "DELETE FROM audit WHERE seq > 4").await;
    assert_eq!(fault(&store).await, Some((5, AuditFault::Missing)));
    let hash: Vec<u8> =
        sqlx::query("SELECT hash FROM audit WHERE seq = 4").fetch_one(&intruder).await.unwrap().get(0);
    sqlx::query("UPDATE meta SET number = 4, bytes = $1 WHERE name = 'audit head'")
        .bind([hash, vec![0; 32]].concat())
        .execute(&intruder)
        .await
        .unwrap();
    assert_eq!(fault(&store).await, Some((4, AuditFault::ForgedHead)));
}

pub(crate) async fn a_rewritten_chain_is_noticed(home: Home) {
    let store = with_rows(&home, 3).await;
    let intruder = home.intruder().await;
    // an honest history of somebody else's store, whole and well linked, in place of ours
    run(&intruder, "UPDATE audit SET hash = prev WHERE seq = 3").await;
    run(&intruder, "DELETE FROM audit WHERE seq = 3").await;
    run(&intruder, "UPDATE meta SET number = 2 WHERE name = 'audit head'").await;
    let report = store.verify_audit().await.unwrap();
    assert!(
        matches!(report.first_bad, Some((2, AuditFault::ForgedHead | AuditFault::WrongEnd))),
        "{report:?}"
    );
}

pub(crate) async fn nothing_changes_under_a_forged_head(home: Home) {
    let store = with_rows(&home, 3).await;
    let intruder = home.intruder().await;
    run(&intruder, "UPDATE meta SET number = 9 WHERE name = 'audit head'").await;
    let refused = store.create_user(&admin(), &person("alice"), NOW).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(store.users(None, 9).await.unwrap(), []);
}

pub(crate) async fn a_chain_that_got_shorter_under_a_running_node_stops_it(home: Home) {
    let store = with_rows(&home, 3).await;
    let intruder = home.intruder().await;
    let then: Vec<u8> = sqlx::query("SELECT bytes FROM meta WHERE name = 'audit head'")
        .fetch_one(&intruder)
        .await
        .unwrap()
        .get(0);
    store.record(&admin(), "note", "what mallory wants to hide", &json!({}), NOW).await.unwrap();
    // an old head is authentic, but this node knows a newer one
    run(&intruder, "DELETE FROM audit WHERE seq = 4").await;
    sqlx::query("UPDATE meta SET number = 3, bytes = $1 WHERE name = 'audit head'")
        .bind(then)
        .execute(&intruder)
        .await
        .unwrap();
    let refused = store.record(&admin(), "note", "", &json!({}), NOW).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

pub(crate) async fn hostile_text_is_recorded_and_bounded(home: Home) {
    let store = home.open().await;
    let hostile = format!("'; DROP TABLE audit; --\0\n\u{202e}{}", "ü".repeat(5000));
    let detail = json!({ "tried": hostile.repeat(9) });
    store.record(&Actor::user(&hostile), "sign-in.refused", &hostile, &detail, NOW).await.unwrap();
    let rows = store.audit_page(0, 9).await.unwrap();
    assert!(rows[0].object.starts_with("'; DROP TABLE audit; --\u{fffd}\n") && rows[0].object.len() < 1100);
    assert!(rows[0].detail.len() < 100, "{}", rows[0].detail);
    assert_eq!(fault(&store).await, None);
}
