//! Users, their groups and passwords.

use crate::home::{Home, NOW, admin, groups, name, person};
use symbolon_crypto::SecretBytes;
use symbolon_policy::{AccessPath, Conditions, Entitlement, EntitlementId, Grantee, Standing, UserCode};
use symbolon_store::{NewUser, StoreError, UserId, What};

pub(crate) async fn a_user_is_found_by_id_name_and_code(home: Home) {
    let store = home.open().await;
    let new = NewUser { answers: Some(SecretBytes::new(b"born in 1815".to_vec())), ..person("Ada") };
    let ada = store.create_user(&admin(), &new, NOW).await.unwrap();
    assert_eq!(
        (ada.subject.name.as_str(), ada.display.as_str(), ada.created, ada.rev),
        ("ada", "Ada of the tests", NOW, 1)
    );
    assert_eq!(ada.subject.groups, groups(&["staff"]));
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
    assert_eq!(store.user_by_name(&name("ADA")).await.unwrap(), ada);
    assert_eq!(store.user_by_code(&new.code).await.unwrap(), ada);
    assert_eq!(store.answers(ada.id).await.unwrap().unwrap().expose(), b"born in 1815");
}

pub(crate) async fn a_name_is_given_once_however_it_looks(home: Home) {
    let store = home.open().await;
    store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let code = |c: &str| UserCode::parse(c).unwrap();
    for (who, what) in [
        (NewUser { code: code("another"), ..person("ALICE") }, What::UserName),
        // a one in place of the letter l
        (NewUser { code: code("another"), ..person("a1ice") }, What::ConfusableName),
        (NewUser { code: code("code-alice"), ..person("bob") }, What::UserCode),
    ] {
        let refused = store.create_user(&admin(), &who, NOW).await;
        assert_eq!(refused, Err(StoreError::Conflict { what }), "{:?}", who.name);
    }
    assert_eq!(store.users(None, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_code_is_never_given_again(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    store.remove_user(&admin(), alice.id, NOW).await.unwrap();
    let heir = NewUser { code: alice.code, ..person("bob") };
    let refused = store.create_user(&admin(), &heir, NOW).await;
    assert_eq!(refused, Err(StoreError::Conflict { what: What::UserCode }));
}

pub(crate) async fn a_change_of_standing_groups_or_path_shows_at_once(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    store.set_standing(&admin(), alice.id, Standing::Locked, NOW).await.unwrap();
    store.set_groups(&admin(), alice.id, &groups(&["ops", "dba", "ops"]), NOW).await.unwrap();
    let path = AccessPath::parse("/people/night-shift").unwrap();
    let returned = store.set_path(&admin(), alice.id, &path, NOW).await.unwrap();
    let read = store.user(alice.id).await.unwrap();
    assert_eq!(read, returned);
    assert_eq!(read.subject.standing, Standing::Locked);
    assert_eq!(read.subject.groups, groups(&["dba", "ops"]));
    assert_eq!(read.subject.path, path);
    assert_eq!(read.rev, 4);
}

pub(crate) async fn whoever_gets_a_removed_users_name_inherits_nothing(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    store.set_password(&admin(), alice.id, &SecretBytes::new(b"$argon2id$".to_vec()), NOW).await.unwrap();
    for (id, grantee) in [(1, Grantee::User(name("alice"))), (2, "group:staff".parse().unwrap())] {
        let app = "db".parse().unwrap();
        let entitlement =
            Entitlement { id: EntitlementId([id; 16]), grantee, app, conditions: Conditions::default() };
        store.put_entitlement(&admin(), &entitlement, NOW).await.unwrap();
    }
    store.remove_user(&admin(), alice.id, NOW).await.unwrap();
    let heir = NewUser { code: UserCode::parse("fresh-code").unwrap(), ..person("alice") };
    let heir = store.create_user(&admin(), &heir, NOW).await.unwrap();
    assert_ne!(heir.id, alice.id);
    assert_eq!(store.password(heir.id).await.unwrap(), None);
    let left: Vec<_> = store.entitlements().await.unwrap().into_iter().map(|e| e.id).collect();
    assert_eq!(left, [EntitlementId([2; 16])]);
}

pub(crate) async fn users_are_listed_page_by_page(home: Home) {
    let store = home.open().await;
    for who in ["carol", "alice", "dave", "bob", "erin"] {
        store
            .create_user(&admin(), &NewUser { groups: groups(&["a", "b"]), ..person(who) }, NOW)
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.users(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && page.iter().all(|u| u.subject.groups == groups(&["a", "b"])));
        after = Some(last.subject.name.clone());
        seen.extend(page.into_iter().map(|u| u.subject.name.to_string()));
    }
    assert_eq!(seen, ["alice", "bob", "carol", "dave", "erin"]);
}

pub(crate) async fn a_password_verifier_is_set_replaced_and_taken_away(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    assert_eq!(store.password(alice.id).await.unwrap(), None);
    for verifier in ["$argon2id$first", "$argon2id$second"] {
        store.set_password(&admin(), alice.id, &verifier.to_owned().into(), NOW).await.unwrap();
        assert_eq!(store.password(alice.id).await.unwrap().unwrap().expose(), verifier.as_bytes());
    }
    store.remove_password(&admin(), alice.id, NOW).await.unwrap();
    assert_eq!(store.password(alice.id).await.unwrap(), None);
    let again = store.remove_password(&admin(), alice.id, NOW).await;
    assert_eq!(again, Err(StoreError::NotFound { what: What::Password }));
}

pub(crate) async fn what_does_not_exist_is_not_found(home: Home) {
    let store = home.open().await;
    let nobody = UserId([9; 16]);
    let missing = Some(StoreError::NotFound { what: What::User });
    assert_eq!(store.user(nobody).await.err(), missing);
    assert_eq!(store.user_by_name(&name("nobody")).await.err(), missing);
    assert_eq!(store.answers(nobody).await.err(), missing);
    assert_eq!(store.set_standing(&admin(), nobody, Standing::Locked, NOW).await.err(), missing);
    assert_eq!(store.set_groups(&admin(), nobody, &[], NOW).await.err(), missing);
    assert_eq!(store.set_password(&admin(), nobody, &SecretBytes::new(vec![1]), NOW).await.err(), missing);
    assert_eq!(store.remove_user(&admin(), nobody, NOW).await.err(), missing);
    // and what did not happen is not audited
    assert_eq!(store.audit_page(0, 10).await.unwrap(), []);
}
