//! Applications, entitlements, templates, invitations, settings.

use crate::home::{Home, NOW, admin, groups, invitation, name, person};
use symbolon_crypto::{GatewayName, SecretBytes};
use symbolon_policy::{AppName, Conditions, Entitlement, EntitlementId, Standing, TemplateName};
use symbolon_store::{
    App, CodeHash, InvitationRefusal, InvitationState, NewInvitation, OwnCertificate, Protocol, Publication,
    StoreError, TlsClients, TlsEntry, What,
};

fn app(named: &str) -> App {
    App {
        name: named.parse().unwrap(),
        target: "tcp:10.0.0.5:5432".parse().unwrap(),
        certificate: OwnCertificate::default(),
        protocol: Protocol::Postgresql,
        description: "orders and stock".into(),
        template: Some("person".parse().unwrap()),
        tls: None,
        publication: Publication::Enabled,
    }
}

fn entitlement(id: u8, to: &str, app: &str) -> Entitlement {
    Entitlement {
        id: EntitlementId([id; 16]),
        grantee: to.parse().unwrap(),
        app: app.parse().unwrap(),
        conditions: Conditions::from_pieces(["hours=mon-fri 08:00-18:00", "network=10.0.0.0/8"]).unwrap(),
    }
}

pub(crate) async fn applications_are_published_changed_and_withdrawn(home: Home) {
    let store = home.open().await;
    store.put_app(&admin(), &app("db.office"), NOW).await.unwrap();
    store.put_app(&admin(), &app("db"), NOW).await.unwrap();
    let changed = App {
        target: "unix:/run/db.sock".parse().unwrap(),
        publication: Publication::Disabled,
        template: None,
        ..app("db")
    };
    let with_tls = App {
        target: "tls:db.internal:5433".parse().unwrap(),
        certificate: OwnCertificate { name: Some("db.example".into()), roots: Some("-----BEGIN".into()) },
        ..app("db")
    };
    for changed in [&with_tls, &changed] {
        store.put_app(&admin(), changed, NOW).await.unwrap();
        assert_eq!(store.app(&changed.name).await.unwrap(), *changed);
    }
    assert_eq!(store.apps().await.unwrap(), [changed.clone(), app("db.office")]);
    store.remove_app(&admin(), &changed.name, NOW).await.unwrap();
    let gone = StoreError::NotFound { what: What::App };
    assert_eq!(store.app(&changed.name).await.err(), Some(gone.clone()));
    assert_eq!(store.remove_app(&admin(), &changed.name, NOW).await, Err(gone));
}

pub(crate) async fn a_name_for_tls_clients_leads_to_one_application(home: Home) {
    let store = home.open().await;
    let served = |named: &str, host: &str, clients| App {
        tls: Some(TlsEntry {
            name: GatewayName::parse(host).unwrap(),
            clients,
            alpn: Some("h2,http/1.1".parse().unwrap()),
        }),
        ..app(named)
    };
    let first = served("db", "db.example", TlsClients::Entitled);
    store.put_app(&admin(), &first, NOW).await.unwrap();
    let taken = store.put_app(&admin(), &served("db.office", "db.example", TlsClients::Anyone), NOW).await;
    assert_eq!(taken, Err(StoreError::Conflict { what: What::TlsName }));
    let second = served("db.office", "office.example", TlsClients::Anyone);
    store.put_app(&admin(), &second, NOW).await.unwrap();
    store.put_app(&admin(), &first, NOW).await.unwrap();
    assert_eq!(store.apps().await.unwrap(), [first, second.clone()]);
    store.put_app(&admin(), &app("db"), NOW).await.unwrap();
    let moved = served("db.office", "db.example", TlsClients::Anyone);
    store.put_app(&admin(), &moved, NOW).await.unwrap();
    assert_eq!(store.app(&second.name).await.unwrap(), moved);
}

pub(crate) async fn entitlements_are_granted_changed_and_withdrawn(home: Home) {
    let store = home.open().await;
    store.put_entitlement(&admin(), &entitlement(1, "group:staff", "db"), NOW).await.unwrap();
    store.put_entitlement(&admin(), &entitlement(2, "path:/people", "db"), NOW).await.unwrap();
    let changed = Entitlement { conditions: Conditions::default(), ..entitlement(1, "user:alice", "db") };
    store.put_entitlement(&admin(), &changed, NOW).await.unwrap();
    assert_eq!(store.entitlements().await.unwrap(), [entitlement(2, "path:/people", "db"), changed.clone()]);
    store.remove_entitlement(&admin(), changed.id, NOW).await.unwrap();
    let again = store.remove_entitlement(&admin(), changed.id, NOW).await;
    assert_eq!(again, Err(StoreError::NotFound { what: What::Entitlement }));
}

pub(crate) async fn withdrawing_an_application_withdraws_its_entitlements(home: Home) {
    let store = home.open().await;
    store.put_app(&admin(), &app("db"), NOW).await.unwrap();
    store.put_entitlement(&admin(), &entitlement(1, "group:staff", "db"), NOW).await.unwrap();
    store.put_entitlement(&admin(), &entitlement(2, "group:staff", "db.office"), NOW).await.unwrap();
    store.remove_app(&admin(), &AppName::parse("db").unwrap(), NOW).await.unwrap();
    assert_eq!(store.entitlements().await.unwrap(), [entitlement(2, "group:staff", "db.office")]);
}

pub(crate) async fn templates_count_their_revisions(home: Home) {
    let store = home.open().await;
    let person = TemplateName::parse("person").unwrap();
    assert_eq!(store.put_template(&admin(), &person, "title = 'one'", NOW).await, Ok(1));
    assert_eq!(store.put_template(&admin(), &person, "title = 'two'", NOW).await, Ok(2));
    let read = store.template(&person).await.unwrap();
    assert_eq!((read.body.as_str(), read.rev), ("title = 'two'", 2));
    assert_eq!(store.templates().await.unwrap(), [read]);
    store.remove_template(&admin(), &person, NOW).await.unwrap();
    let gone = StoreError::NotFound { what: What::Template };
    assert_eq!(store.template(&person).await.err(), Some(gone.clone()));
    assert_eq!(store.remove_template(&admin(), &person, NOW).await, Err(gone));
}

pub(crate) async fn whatever_alters_a_decision_counts_the_revision_up(home: Home) {
    let store = home.open().await;
    let by = admin();
    let mut last = store.revision().await.unwrap();
    let mut grew = async || {
        let now = store.revision().await.unwrap();
        let grew = now > last;
        last = now;
        grew
    };
    let alice = store.create_user(&by, &person("alice"), NOW).await.unwrap();
    assert!(grew().await, "a new user");
    store.set_standing(&by, alice.id, Standing::Locked, NOW).await.unwrap();
    assert!(grew().await, "standing");
    store.set_groups(&by, alice.id, &groups(&["ops"]), NOW).await.unwrap();
    assert!(grew().await, "groups");
    store.put_app(&by, &app("db"), NOW).await.unwrap();
    assert!(grew().await, "an application");
    store.put_entitlement(&by, &entitlement(1, "user:alice", "db"), NOW).await.unwrap();
    assert!(grew().await, "an entitlement");
    store.remove_entitlement(&by, EntitlementId([1; 16]), NOW).await.unwrap();
    assert!(grew().await, "an entitlement withdrawn");
    store.remove_app(&by, &app("db").name, NOW).await.unwrap();
    assert!(grew().await, "an application withdrawn");
    store.remove_user(&by, alice.id, NOW).await.unwrap();
    assert!(grew().await, "a user removed");
    store.put_setting(&by, "motto", b"key and lock", NOW).await.unwrap();
    store.record(&by, "start", "node", &serde_json::json!({}), NOW).await.unwrap();
    assert!(!grew().await, "what alters no decision");
}

pub(crate) async fn invitations_are_listed_with_their_state(home: Home) {
    let store = home.open().await;
    let first = NewInvitation {
        for_user: Some(name("alice")),
        template: Some("bank-customer".parse().unwrap()),
        ..invitation(1)
    };
    let second = NewInvitation { groups: vec![], ..invitation(2) };
    store.create_invitation(&admin(), &first, NOW).await.unwrap();
    store.create_invitation(&admin(), &second, NOW.plus_secs(1)).await.unwrap();
    let again = store.create_invitation(&admin(), &first, NOW).await;
    assert_eq!(again, Err(StoreError::Conflict { what: What::Invitation }));
    store.revoke_invitation(&admin(), CodeHash([2; 32]), NOW).await.unwrap();
    let listed: Vec<_> =
        store.invitations().await.unwrap().into_iter().map(|i| (i.terms, i.created_by, i.state)).collect();
    assert_eq!(
        listed,
        [
            (second, "root".into(), InvitationState::Revoked),
            (first.clone(), "root".into(), InvitationState::Open)
        ]
    );
    assert_eq!(store.invitation(first.code_hash).await.unwrap().created, NOW);
    let unknown = CodeHash([9; 32]);
    assert_eq!(store.invitation(unknown).await.err(), Some(StoreError::NotFound { what: What::Invitation }));
    assert_ne!(store.revoke_invitation(&admin(), unknown, NOW).await, Err(InvitationRefusal::Unknown.into()));
}

pub(crate) async fn plain_and_secret_settings_are_not_mistaken_for_each_other(home: Home) {
    let store = home.open().await;
    assert_eq!(store.setting("motto").await, Ok(None));
    store.put_setting(&admin(), "motto", b"first", NOW).await.unwrap();
    store.put_setting(&admin(), "motto", b"second", NOW).await.unwrap();
    assert_eq!(store.setting("motto").await.unwrap().unwrap(), b"second");
    assert_eq!(store.secret_setting("motto").await.err(), Some(StoreError::Sealed));
    store
        .put_secret_setting(&admin(), "ticket key", &SecretBytes::new(b"secret".to_vec()), NOW)
        .await
        .unwrap();
    assert_eq!(store.secret_setting("ticket key").await.unwrap().unwrap().expose(), b"secret");
    assert_eq!(store.setting("ticket key").await, Err(StoreError::Sealed));
    store.remove_setting(&admin(), "motto", NOW).await.unwrap();
    assert_eq!(store.setting("motto").await, Ok(None));
    let again = store.remove_setting(&admin(), "motto", NOW).await;
    assert_eq!(again, Err(StoreError::NotFound { what: What::Setting }));
}
