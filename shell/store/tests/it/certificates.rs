//! The register of certificates, revocation lists, requests that wait for the issuer's key.

use crate::home::{Home, NOW, admin};
use symbolon_policy::UserCode;
use symbolon_store::{
    CertificateState, NewCertificate, RevokedGateway, Store, StoreError, WaitingRequest, What,
};

const DAY: u64 = 86_400;
const GONE: StoreError = StoreError::NotFound { what: What::Certificate };

fn certificate(serial: u8, key: u8) -> NewCertificate {
    NewCertificate {
        serial: vec![serial; 16],
        subject: "symbolon:device:code-alice:phone".into(),
        code: UserCode::parse("code-alice").unwrap(),
        key_hash: [key; 32],
        certificate: vec![0x30, serial],
        hash: Some([serial; 32]),
        until: NOW.plus_secs(DAY),
        replaces: None,
        registration: None,
        confirmation: None,
    }
}

async fn state(store: &Store, serial: u8) -> CertificateState {
    store.certificate(&[serial; 16]).await.unwrap().state
}

pub(crate) async fn a_certificate_is_entered_once_and_renewed_once(home: Home) {
    let store = home.open().await;
    let first = certificate(1, 1);
    store.add_certificate(&admin(), &first, NOW).await.unwrap();
    let again = store.add_certificate(&admin(), &first, NOW).await;
    assert_eq!(again, Err(StoreError::Conflict { what: What::Certificate }));
    assert_eq!(store.certificate(&first.serial).await.unwrap().made, first);

    let next = NewCertificate { replaces: Some(first.serial.clone()), ..certificate(2, 2) };
    store.add_certificate(&admin(), &next, NOW).await.unwrap();
    assert_eq!(
        (state(&store, 1).await, state(&store, 2).await),
        (CertificateState::Superseded, CertificateState::Active)
    );
    let fork = NewCertificate { serial: vec![3; 16], ..next.clone() };
    assert_eq!(store.add_certificate(&admin(), &fork, NOW).await, Err(GONE), "somebody else renewed it");
    let other = NewCertificate { subject: "symbolon:device:code-alice:laptop".into(), ..certificate(4, 4) };
    let stolen = NewCertificate { replaces: Some(next.serial), ..other };
    assert_eq!(store.add_certificate(&admin(), &stolen, NOW).await, Err(GONE), "of another subject");
    assert_eq!(store.certificate(&[4; 16]).await.err(), Some(GONE));
}

pub(crate) async fn a_certificate_for_a_key_that_cannot_sign_waits_for_its_confirmation(home: Home) {
    let store = home.open().await;
    store.add_certificate(&admin(), &certificate(1, 1), NOW).await.unwrap();
    assert_eq!(store.certificate_of_hash([1; 32]).await.unwrap(), Some(vec![0x30, 1]));
    assert_eq!(store.certificate_of_hash([2; 32]).await.unwrap(), None);
    let sealed =
        NewCertificate { replaces: Some(vec![1; 16]), confirmation: Some([7; 32]), ..certificate(2, 2) };
    store.add_certificate(&admin(), &sealed, NOW).await.unwrap();
    assert_eq!(
        (state(&store, 1).await, state(&store, 2).await),
        (CertificateState::Active, CertificateState::Pending)
    );
    let confirm = async |answer| store.confirm_certificate(&admin(), &[2; 16], [answer; 32], NOW).await;
    assert_eq!(confirm(8).await, Err(GONE), "a wrong answer");
    confirm(7).await.unwrap();
    assert_eq!(
        (state(&store, 1).await, state(&store, 2).await),
        (CertificateState::Superseded, CertificateState::Active)
    );
    assert_eq!(confirm(7).await, Err(GONE), "once");
}

pub(crate) async fn a_certificate_whose_confirmation_was_lost_is_in_force_when_it_is_used(home: Home) {
    let store = home.open().await;
    store.add_certificate(&admin(), &certificate(1, 1), NOW).await.unwrap();
    for serial in [2, 3] {
        let next = NewCertificate {
            replaces: Some(vec![1; 16]),
            confirmation: Some([7; 32]),
            ..certificate(serial, serial)
        };
        store.add_certificate(&admin(), &next, NOW).await.unwrap();
    }
    let used = async |serial| store.certificate_used(&admin(), &[serial; 16], NOW).await;
    used(2).await.unwrap();
    assert_eq!(
        (state(&store, 1).await, state(&store, 2).await),
        (CertificateState::Superseded, CertificateState::Active)
    );
    assert_eq!(store.confirm_certificate(&admin(), &[2; 16], [7; 32], NOW).await, Err(GONE));
    let entries = store.audit_page(0, 100).await.unwrap().len();
    for serial in [1, 2, 9] {
        used(serial).await.unwrap();
    }
    // of two for one certificate the second is refused, whichever way it comes
    assert_eq!(used(3).await, Err(GONE));
    assert_eq!(store.confirm_certificate(&admin(), &[3; 16], [7; 32], NOW).await, Err(GONE));
    assert_eq!(state(&store, 3).await, CertificateState::Pending);
    assert_eq!(store.audit_page(0, 100).await.unwrap().len(), entries, "nothing was changed");
}

pub(crate) async fn what_is_lost_is_a_key_with_all_its_certificates(home: Home) {
    let store = home.open().await;
    for (serial, key) in [(1, 1), (2, 1), (3, 2)] {
        store.add_certificate(&admin(), &certificate(serial, key), NOW).await.unwrap();
    }
    let before = store.revision().await.unwrap();
    let revoked = store.revoke_certificate(&admin(), &[1; 16], "key-compromise", NOW).await.unwrap();
    assert_eq!(revoked.len(), 2);
    assert!(store.revision().await.unwrap() > before, "other nodes look again");
    assert_eq!(state(&store, 2).await, CertificateState::Revoked);
    assert_eq!(state(&store, 3).await, CertificateState::Active);
    let again = store.revoke_certificate(&admin(), &[2; 16], "key-compromise", NOW).await;
    assert_eq!(again.err(), Some(GONE));
    let alice = UserCode::parse("code-alice").unwrap();
    assert!(store.certificate_revoked_since(&alice, NOW).await.unwrap());
    assert!(!store.certificate_revoked_since(&alice, NOW.plus_secs(1)).await.unwrap());
    assert!(!store.certificate_revoked_since(&UserCode::parse("code-bob").unwrap(), NOW).await.unwrap());
    let listed = store.revoked_certificates(NOW).await.unwrap();
    assert!(listed.iter().all(|c| c.revoked == Some((NOW, "key-compromise".into()))));
    assert_eq!(listed.len(), 2);
    assert_eq!(store.revoked_certificates(NOW.plus_secs(2 * DAY)).await.unwrap(), []);
    assert_eq!(store.certificates(NOW).await.unwrap().len(), 3);
    // nothing is certified or renewed with a key that was lost
    let with_it = store.add_certificate(&admin(), &certificate(5, 1), NOW).await;
    assert_eq!(with_it, Err(StoreError::Conflict { what: What::RevokedKey }));
    let renewed = NewCertificate { replaces: Some(vec![1; 16]), ..certificate(6, 6) };
    assert_eq!(store.add_certificate(&admin(), &renewed, NOW).await, Err(GONE));
}

pub(crate) async fn revocation_lists_have_growing_numbers(home: Home) {
    let store = home.open().await;
    assert_eq!(store.revocation_list().await.unwrap(), None);
    assert_eq!(store.next_revocation_list_number().await.unwrap(), 1);
    store.put_revocation_list(&admin(), 1, b"first", NOW).await.unwrap();
    store.put_revocation_list(&admin(), 5, b"fifth", NOW).await.unwrap();
    for number in [1, 4, 5] {
        let late = store.put_revocation_list(&admin(), number, b"late", NOW).await;
        assert_eq!(late, Err(StoreError::Conflict { what: What::RevocationList }));
    }
    assert_eq!(store.revocation_list().await.unwrap().unwrap(), b"fifth");
    assert_eq!(store.next_revocation_list_number().await.unwrap(), 6);
}

pub(crate) async fn every_node_learns_that_another_issuer_follows(home: Home) {
    let store = home.open().await;
    assert_eq!(store.issuer_change().await.unwrap(), None);
    let before = store.revision().await.unwrap();
    for change in [&b"first"[..], b"second"] {
        store.put_issuer_change(&admin(), change, "the new one", NOW).await.unwrap();
        assert_eq!(store.issuer_change().await.unwrap().unwrap(), change);
    }
    assert_eq!(store.revision().await.unwrap(), before + 2, "they look again");
}

pub(crate) async fn requests_wait_for_the_issuers_key_and_go(home: Home) {
    let store = home.open().await;
    let request = |id| WaitingRequest {
        id: [id; 32],
        request: vec![0x30, id],
        subject: "symbolon:person:code-alice".into(),
        common_name: "Alice".into(),
        lifetime_secs: DAY,
        replaces: (id == 2).then(|| vec![9; 16]),
    };
    let rows = store.verify_audit().await.unwrap().rows;
    for (id, at) in [(2, NOW), (1, NOW.plus_secs(1)), (2, NOW.plus_secs(2))] {
        store.add_certificate_request(&admin(), &request(id), at).await.unwrap();
    }
    assert_eq!(store.certificate_requests().await.unwrap(), [request(2), request(1)]);
    assert_eq!(store.verify_audit().await.unwrap().rows, rows + 2, "the same one again is no change");
    store.remove_certificate_request(&admin(), [2; 32], "signed", NOW).await.unwrap();
    let again = store.remove_certificate_request(&admin(), [2; 32], "signed", NOW).await;
    assert_eq!(again, Err(StoreError::NotFound { what: What::CertificateRequest }));
    assert_eq!(store.certificate_requests().await.unwrap(), [request(1)]);
}

pub(crate) async fn no_more_requests_wait_than_one_file_holds(home: Home) {
    let store = home.open().await;
    let request = |n: u16| {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        WaitingRequest {
            id,
            request: vec![0x30],
            subject: "symbolon:person:code-alice".into(),
            common_name: "Alice".into(),
            lifetime_secs: DAY,
            replaces: None,
        }
    };
    for n in 0..1024 {
        store.add_certificate_request(&admin(), &request(n), NOW).await.unwrap();
    }
    let more = store.add_certificate_request(&admin(), &request(1024), NOW).await;
    assert_eq!(more, Err(StoreError::Conflict { what: What::CertificateRequest }));
    assert_eq!(store.add_certificate_request(&admin(), &request(7), NOW).await, Ok(()), "it waits already");
    assert_eq!(store.certificate_requests().await.unwrap().len(), 1024);
}

pub(crate) async fn a_gateways_certificate_is_revoked_once_and_other_nodes_look_again(home: Home) {
    let store = home.open().await;
    let gateway = |serial| RevokedGateway {
        serial: vec![serial; 16],
        name: "gw.example".into(),
        until: NOW.plus_secs(DAY),
        since: NOW,
        reason: "key-compromise".into(),
    };
    let before = store.revision().await.unwrap();
    store.revoke_gateway(&admin(), &gateway(1)).await.unwrap();
    assert!(store.revision().await.unwrap() > before, "other nodes look again");
    let again = store.revoke_gateway(&admin(), &gateway(1)).await;
    assert_eq!(again, Err(StoreError::Conflict { what: What::RevokedGateway }));
    store.revoke_gateway(&admin(), &gateway(2)).await.unwrap();
    assert_eq!(store.revoked_gateways(NOW).await.unwrap(), [gateway(1), gateway(2)]);
    assert_eq!(store.revoked_gateways(NOW.plus_secs(2 * DAY)).await.unwrap(), []);
    let before = store.revision().await.unwrap();
    store.put_revocation_list(&admin(), 1, b"list", NOW).await.unwrap();
    assert!(store.revision().await.unwrap() > before, "and tell their clients of the list");
    let last = store.audit_page(0, 10).await.unwrap().into_iter().map(|r| r.action).collect::<Vec<_>>();
    assert_eq!(last, ["gateway.revoke", "gateway.revoke", "revocation-list.put"]);
}

pub(crate) async fn everything_about_certificates_is_audited(home: Home) {
    let store = home.open().await;
    let sealed = NewCertificate { confirmation: Some([7; 32]), ..certificate(1, 1) };
    store.add_certificate(&admin(), &sealed, NOW).await.unwrap();
    store.confirm_certificate(&admin(), &[1; 16], [7; 32], NOW).await.unwrap();
    store.revoke_certificate(&admin(), &[1; 16], "superseded", NOW).await.unwrap();
    store.put_revocation_list(&admin(), 1, b"list", NOW).await.unwrap();
    let actions: Vec<_> = store.audit_page(0, 10).await.unwrap().into_iter().map(|r| r.action).collect();
    let expected = ["certificate.issue", "certificate.confirm", "certificate.revoke", "revocation-list.put"];
    assert_eq!(actions, expected);
    assert_eq!(store.verify_audit().await.unwrap().first_bad, None);
}
