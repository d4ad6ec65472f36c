//! From an invitation to an active token.

use crate::home::{Home, NOW, admin, fresh_id, invitation, name, person};
use symbolon_crypto::Secret;
use symbolon_policy::{TokenClass, UserCode};
use symbolon_store::{
    Actor, CONFIRM_WITHIN_SECS, CodeHash, InvitationRefusal, InvitationState, NewInvitation, NewRegistration,
    NewUser, RegistrationFor, RegistrationId, RegistrationState, Result, Store, StoreError, User, UserId,
    What,
};
use symbolon_wire::Time;

const CODE: CodeHash = CodeHash([1; 32]);
const GONE: StoreError = StoreError::NotFound { what: What::Registration };

fn of(user: RegistrationFor, invitation: Option<CodeHash>) -> NewRegistration {
    NewRegistration {
        id: fresh_id(),
        user,
        ssk: Secret::new([5; 32]),
        class: TokenClass::Software,
        label: "laptop".into(),
        invitation,
    }
}

fn by_invitation(who: &str) -> NewRegistration {
    of(RegistrationFor::New(person(who)), Some(CODE))
}

fn client() -> Actor {
    Actor::user("a client")
}

/// Begins a registration; its id and its user.
async fn begin(store: &Store, new: &NewRegistration, now: Time) -> Result<(RegistrationId, User)> {
    Ok((new.id, store.begin_registration(&client(), new, now).await?))
}

async fn refusal(store: &Store, new: NewRegistration, now: Time) -> Option<StoreError> {
    store.begin_registration(&client(), &new, now).await.err()
}

fn refused(why: InvitationRefusal) -> Option<StoreError> {
    Some(StoreError::Invitation(why))
}

pub(crate) async fn an_invitation_opens_one_registration(home: Home) {
    let store = home.open().await;
    store.create_invitation(&admin(), &invitation(1), NOW).await.unwrap();
    let (id, user) = begin(&store, &by_invitation("alice"), NOW).await.unwrap();
    assert_eq!(refusal(&store, by_invitation("bob"), NOW).await, refused(InvitationRefusal::Claimed));
    let confirmed = store.confirm_registration(&client(), id, NOW).await.unwrap();
    assert_eq!((confirmed.id, confirmed.subject.name), (user.id, name("alice")));
    assert_eq!(refusal(&store, by_invitation("bob"), NOW).await, refused(InvitationRefusal::Consumed));
    // nor ever
    let later = NOW.plus_secs(80_000);
    assert_eq!(refusal(&store, by_invitation("bob"), later).await, refused(InvitationRefusal::Consumed));

    let keyed = store.registrations_by_user_code(&user.code).await.unwrap();
    assert_eq!(keyed.len(), 1);
    assert_eq!(keyed[0].ssk.expose(), &[5; 32]);
    assert_eq!(keyed[0].user.id, user.id);
    assert_eq!(keyed[0].registration.label, "laptop");
    assert_eq!(store.registration(id).await.unwrap().registration.state, RegistrationState::Active);
}

/// Lets `n` clients begin at once, half of them at another node, and returns who succeeded.
async fn race(home: &Home, n: usize, new: impl Fn(usize) -> NewRegistration) -> Vec<Result<()>> {
    let nodes = [home.open().await, home.open().await];
    let clients: Vec<_> = (0..n)
        .map(|i| {
            let (store, new) = (nodes[i % 2].clone(), new(i));
            tokio::spawn(async move {
                let (id, _) = begin(&store, &new, NOW).await?;
                store.confirm_registration(&client(), id, NOW).await.map(drop)
            })
        })
        .collect();
    let mut results = Vec::new();
    for client in clients {
        results.push(client.await.unwrap());
    }
    results
}

pub(crate) async fn of_many_racing_clients_one_gets_the_invitation(home: Home) {
    let store = home.open().await;
    store.create_invitation(&admin(), &invitation(1), NOW).await.unwrap();
    let results =
        race(&home, 12, |i| by_invitation(&format!("client-{}", ["x", "y", "z"][i % 3].repeat(i + 1)))).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    for result in results {
        let fair = [Ok(()), Err(InvitationRefusal::Claimed.into()), Err(InvitationRefusal::Consumed.into())];
        assert!(fair.contains(&result), "{result:?}");
    }
    assert_eq!(store.users(None, 99).await.unwrap().len(), 1);
    assert_eq!(store.verify_audit().await.unwrap().first_bad, None);
}

pub(crate) async fn of_many_racing_clients_one_gets_the_name(home: Home) {
    let store = home.open().await;
    let spellings = ["alice", "Alice", "a1ice", "ALICE"];
    let results = race(&home, 8, |i| {
        let code = UserCode::parse(&format!("client-{i}")).unwrap();
        of(RegistrationFor::New(NewUser { code, ..person(spellings[i % 4]) }), None)
    })
    .await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    assert_eq!(store.users(None, 99).await.unwrap().len(), 1);
}

pub(crate) async fn a_refused_invitation_says_why_and_leaves_no_trace(home: Home) {
    let store = home.open().await;
    assert_eq!(refusal(&store, by_invitation("bob"), NOW).await, refused(InvitationRefusal::Unknown));
    for (code, new) in [
        (1, NewInvitation { for_user: Some(name("alice")), ..invitation(1) }),
        (2, NewInvitation { expires: NOW, ..invitation(2) }),
        (3, invitation(3)),
    ] {
        assert_eq!(new.code_hash, CodeHash([code; 32]));
        store.create_invitation(&admin(), &new, NOW.minus_secs(60)).await.unwrap();
    }
    store.revoke_invitation(&admin(), CodeHash([3; 32]), NOW).await.unwrap();
    let rows = store.audit_page(0, 99).await.unwrap().len();
    for (code, why) in [
        (1, InvitationRefusal::ForAnotherUser),
        (2, InvitationRefusal::Expired),
        (3, InvitationRefusal::Revoked),
    ] {
        let new = of(RegistrationFor::New(person("bob")), Some(CodeHash([code; 32])));
        assert_eq!(refusal(&store, new, NOW).await, refused(why));
    }
    assert_eq!(store.audit_page(0, 99).await.unwrap().len(), rows);
    // bob is nobody, not even a name that is taken
    let bob = store.create_user(&admin(), &person("bob"), NOW).await.unwrap();
    // and an invitation for another is refused to a user of the directory too
    let existing = of(RegistrationFor::Existing(bob.id), Some(CODE));
    assert_eq!(refusal(&store, existing, NOW).await, refused(InvitationRefusal::ForAnotherUser));
    store.begin_registration(&client(), &by_invitation("alice"), NOW).await.unwrap();
}

pub(crate) async fn a_claim_that_nobody_confirms_lapses_after_ten_minutes(home: Home) {
    let store = home.open().await;
    store.create_invitation(&admin(), &invitation(1), NOW).await.unwrap();
    let (first, before) = begin(&store, &by_invitation("alice"), NOW).await.unwrap();
    let just_before = Time(NOW.plus_secs(CONFIRM_WITHIN_SECS).0 - 1);
    assert_eq!(
        refusal(&store, by_invitation("alice"), just_before).await,
        refused(InvitationRefusal::Claimed)
    );
    let lapsed = NOW.plus_secs(CONFIRM_WITHIN_SECS);
    assert_eq!(store.confirm_registration(&client(), first, lapsed).await, Err(GONE));
    // the same name, looks and code are free, and the invitation is open
    let (second, after) = begin(&store, &by_invitation("a1ice"), lapsed).await.unwrap();
    assert_ne!(before.id, after.id);
    assert_eq!(store.confirm_registration(&client(), first, lapsed).await, Err(GONE));
    store.confirm_registration(&client(), second, lapsed).await.unwrap();
    // a confirmed one never lapses
    store.create_user(&admin(), &person("bob"), lapsed.plus_secs(86_400)).await.unwrap();
    assert_eq!(store.user_by_name(&name("a1ice")).await.unwrap().id, after.id);
    assert_eq!(store.invitation(CODE).await.unwrap().state, InvitationState::Consumed);
}

pub(crate) async fn an_invitation_revoked_meanwhile_cannot_be_confirmed(home: Home) {
    let store = home.open().await;
    store.create_invitation(&admin(), &invitation(1), NOW).await.unwrap();
    let (id, user) = begin(&store, &by_invitation("alice"), NOW).await.unwrap();
    store.revoke_invitation(&admin(), CODE, NOW).await.unwrap();
    let late = store.confirm_registration(&client(), id, NOW).await;
    assert_eq!(late, Err(InvitationRefusal::Revoked.into()));
    assert_eq!(store.registrations_by_user_code(&user.code).await.unwrap().len(), 0);
}

pub(crate) async fn confirming_twice_is_confirming_once(home: Home) {
    let store = home.open().await;
    store.create_invitation(&admin(), &invitation(1), NOW).await.unwrap();
    let (id, _) = begin(&store, &by_invitation("alice"), NOW).await.unwrap();
    let first = store.confirm_registration(&client(), id, NOW).await.unwrap();
    let rows = store.audit_page(0, 99).await.unwrap().len();
    assert_eq!(store.confirm_registration(&client(), id, NOW.plus_secs(900)).await.unwrap(), first);
    assert_eq!(store.audit_page(0, 99).await.unwrap().len(), rows);
}

pub(crate) async fn a_user_is_nobody_until_its_registration_is_confirmed(home: Home) {
    let store = home.open().await;
    let new = of(RegistrationFor::New(person("alice")), None);
    let (id, user) = begin(&store, &new, NOW).await.unwrap();
    let nobody = Some(StoreError::NotFound { what: What::User });
    assert_eq!(store.user(user.id).await.err(), nobody);
    assert_eq!(store.user_by_name(&name("alice")).await.err(), nobody);
    assert_eq!(store.user_by_code(&user.code).await.err(), nobody);
    assert_eq!(store.users(None, 9).await.unwrap(), []);
    assert_eq!(refusal(&store, of(RegistrationFor::Existing(user.id), None), NOW).await, nobody);
    assert_eq!(store.registrations_by_user_code(&user.code).await.unwrap().len(), 0);
    // whoever confirms needs the key
    let keyed = store.registration(id).await.unwrap();
    assert_eq!((keyed.registration.state, keyed.user.id), (RegistrationState::Provisional, user.id));
    store.confirm_registration(&client(), id, NOW).await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap().id, user.id);
}

pub(crate) async fn a_user_registers_a_second_token(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    for i in 0..2 {
        let now = NOW.plus_secs(i);
        let new = NewRegistration {
            ssk: Secret::new([i as u8; 32]),
            ..of(RegistrationFor::Existing(alice.id), None)
        };
        let (id, _) = begin(&store, &new, now).await.unwrap();
        store.confirm_registration(&client(), id, now).await.unwrap();
    }
    let keys: Vec<_> =
        store.registrations_by_user_code(&alice.code).await.unwrap().into_iter().map(|k| k.ssk).collect();
    assert_eq!(keys, [Secret::new([0; 32]), Secret::new([1; 32])]);
    assert_eq!(store.registrations_of(alice.id).await.unwrap().len(), 2);
    let unknown = of(RegistrationFor::Existing(UserId([9; 16])), None);
    assert_eq!(refusal(&store, unknown, NOW).await, Some(StoreError::NotFound { what: What::User }));
}

pub(crate) async fn a_revoked_token_signs_in_no_more(home: Home) {
    let store = home.open().await;
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let new = of(RegistrationFor::Existing(alice.id), None);
    let (id, _) = begin(&store, &new, NOW).await.unwrap();
    let detail = serde_json::json!({ "method": "token" });
    let sign_in = |now| {
        let (store, detail) = (store.clone(), detail.clone());
        async move { store.record_sign_in(&client(), id, &detail, now).await }
    };
    assert_eq!(sign_in(NOW).await, Err(GONE), "not confirmed yet");
    store.confirm_registration(&client(), id, NOW).await.unwrap();
    sign_in(NOW.plus_secs(5)).await.unwrap();
    assert_eq!(store.registrations_of(alice.id).await.unwrap()[0].last_used, Some(NOW.plus_secs(5)));
    store.revoke_registration(&admin(), id, NOW).await.unwrap();
    assert_eq!(sign_in(NOW.plus_secs(6)).await, Err(GONE));
    assert_eq!(store.confirm_registration(&client(), id, NOW).await, Err(GONE));
    assert_eq!(store.revoke_registration(&admin(), id, NOW).await, Err(GONE));
    assert_eq!(store.registrations_by_user_code(&alice.code).await.unwrap().len(), 0);
    assert_eq!(store.registration(id).await.unwrap().registration.state, RegistrationState::Revoked);
}
