//! A whole context, and what its keys are bound to.

use crate::pair::{Gateway, NOW, TestToken, connected, name, options};
use symbolon_context::{InitiateError, Initiator};
use symbolon_crypto::{KeySetError, Suite, TrustedIssuer};
use symbolon_issuer::Issuer;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{Delivery, Role};

#[test]
fn both_sides_have_the_same_keys_in_every_suite() {
    for suite in Suite::ALL {
        let (initiator, acceptor) = connected(suite);
        assert_eq!(initiator.secrets.wrap, acceptor.wrap, "{suite}");
        assert_eq!(initiator.secrets.session, acceptor.session);
        let export = |s: &symbolon_context::ContextSecrets, p: &[u8]| s.export(crypto(), p);
        assert_eq!(export(&initiator.secrets, b"mine"), export(&acceptor, b"mine"));
        assert_ne!(export(&initiator.secrets, b"mine"), export(&acceptor, b"yours"));
    }
}

#[test]
fn every_key_serves_one_purpose() {
    let (initiator, _) = connected(Suite::XWing);
    let secrets = initiator.secrets;
    let keys = [
        secrets.wrap.from_initiator.expose(),
        secrets.wrap.from_acceptor.expose(),
        secrets.session.expose(),
        secrets.export(crypto(), b"").expose(),
    ]
    .map(|k| *k);
    for (i, key) in keys.iter().enumerate() {
        assert!(!keys[i + 1..].contains(key));
    }
}

#[test]
fn the_initiator_learns_session_subject_and_lifetime() {
    let (initiator, _) = connected(Suite::XWing);
    assert_eq!(initiator.session_id, [5; 16]);
    assert_eq!((initiator.subject.as_str(), initiator.lifetime_secs), ("alice", 3600));
}

#[test]
fn messages_go_both_ways_under_the_contexts_keys() {
    let (initiator, acceptor) = connected(Suite::XWing);
    let (mut a, mut b) = initiator.secrets.wrap.into_pair(crypto(), Role::Initiator, Delivery::InOrder);
    let (mut c, mut d) = acceptor.wrap.into_pair(crypto(), Role::Acceptor, Delivery::InOrder);
    let mut there = a.wrap(b"there").unwrap();
    assert_eq!(d.unwrap_in_place(&mut there).unwrap(), b"there");
    let mut back = c.wrap(b"back").unwrap();
    assert_eq!(b.unwrap_in_place(&mut back).unwrap(), b"back");
}

#[test]
fn two_contexts_share_no_key() {
    let (one, _) = connected(Suite::X25519);
    let (other, _) = connected(Suite::X25519);
    assert_ne!(one.secrets.session, other.secrets.session);
}

#[test]
fn cve_downgrade_to_a_suite_that_is_not_named() {
    let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
    let mut gateway = Gateway::of(&issuer, "gw.example");
    // The gateway shows a set with X25519 only.
    let weak =
        gateway.keys.identity().context_key(Suite::X25519, symbolon_issuer::Validity::starting(NOW, 3600));
    let set = gateway.keys.identity().key_set(issuer.certificate(), &[weak.unwrap()]).unwrap();
    let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
    gateway.verified = set
        .verify(crypto(), &trusted, &symbolon_crypto::RevocationLists::none(), &name("gw.example"), NOW)
        .unwrap();
    let begin = |suite| {
        let (options, token) = (options(suite), TestToken::new());
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway.verified, &options, token, NOW).err()
    };
    assert_eq!(begin(Suite::XWing), Some(InitiateError::Gateway(KeySetError::NoAcceptableSuite)));
    assert_eq!(begin(Suite::X25519), None);
}

#[test]
fn a_set_that_offers_less_than_was_signed_is_refused() {
    let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
    let gateway = Gateway::of(&issuer, "gw.example");
    let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
    let mut less = gateway.keys.offer().clone();
    less.context_keys.remove(0);
    assert_eq!(
        less.verify(crypto(), &trusted, &symbolon_crypto::RevocationLists::none(), &name("gw.example"), NOW),
        Err(KeySetError::NotSignedByIdentity)
    );
}

#[test]
fn keys_of_another_gateway_of_the_issuer_are_refused() {
    let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
    let gateway = Gateway::of(&issuer, "other.example");
    let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
    assert_eq!(
        gateway.keys.offer().verify(
            crypto(),
            &trusted,
            &symbolon_crypto::RevocationLists::none(),
            &name("gw.example"),
            NOW
        ),
        Err(KeySetError::OtherName(name("gw.example")))
    );
}

#[test]
fn the_second_message_is_shorter_than_the_first() {
    // So that nobody can be flooded through a gateway.
    for suite in Suite::ALL {
        let mut gateway = Gateway::new("gw.example");
        let (_, first) = gateway.first(suite);
        let (_, second) = gateway.accept(&first).unwrap();
        assert!(second.len() < first.len(), "{suite}: {} and {}", second.len(), first.len());
    }
}
