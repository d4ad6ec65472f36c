//! Verdicts that were reached before.

use super::ours::{person, phone};
use super::{DAY, NOW, World, crypto};
use crate::{RequestKey, RevocationReason, Revoked, Validity};
use symbolon_crypto::{RevocationList, SubjectError, VerdictCache};
use symbolon_provider::P256SigningKey;

#[test]
fn a_known_certificate_is_known_without_its_path() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let (trust, mut cache) = (world.trust(), VerdictCache::new(8));
    assert!(cache.known(&trust, &crypto().sha256(&[certificate.der()]), NOW).is_none());
    let first = cache.verify(crypto(), &trust, &[certificate.der()], NOW).unwrap();
    let known = cache.known(&trust, &crypto().sha256(&[certificate.der()]), NOW).unwrap();
    assert_eq!((known.code(), known.key()), (first.code(), first.key()));
    let mut other = certificate.der().to_vec();
    *other.last_mut().unwrap() ^= 1;
    assert!(
        cache.known(&trust, &crypto().sha256(&[&other]), NOW).is_none(),
        "one bit makes another certificate"
    );
    assert_eq!(cache.verify(crypto(), &trust, &[&other], NOW).unwrap_err(), SubjectError::Untrusted);
    assert_eq!(cache.len(), 1, "a refusal is not kept");
}

#[test]
fn a_verdict_ends_with_the_first_thing_that_it_rests_on() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let (mut trust, mut cache) = (world.trust(), VerdictCache::new(8));
    cache.verify(crypto(), &trust, &[certificate.der()], NOW).unwrap();
    let mut known_at =
        |trust: &_, now| cache.known(trust, &crypto().sha256(&[certificate.der()]), now).is_some();
    assert!(known_at(&trust, NOW.plus_secs(DAY)));
    assert!(!known_at(&trust, NOW.plus_secs(DAY + 1)));
    assert!(!known_at(&trust, NOW.minus_secs(DAY)), "a clock that was set back");
    let list = world.issuer.revocation_list(1, &[], Validity::starting(NOW, 60)).unwrap();
    let list = RevocationList::read(crypto(), &list, world.issuer.certificate(), NOW).unwrap();
    trust.admit_list(crypto(), list);
    assert!(!known_at(&trust, NOW), "another state of trust");
    cache.verify(crypto(), &trust, &[certificate.der()], NOW).unwrap();
    assert!(cache.known(&trust, &crypto().sha256(&[certificate.der()]), NOW.plus_secs(60)).is_some());
    assert!(
        cache.known(&trust, &crypto().sha256(&[certificate.der()]), NOW.plus_secs(61)).is_none(),
        "the list's end"
    );
}

#[test]
fn a_revocation_is_in_force_for_known_certificates_at_once() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let (mut trust, mut cache) = (world.trust(), VerdictCache::new(8));
    let subject = cache.verify(crypto(), &trust, &[certificate.der()], NOW).unwrap();
    let revoked =
        Revoked { serial: subject.serial().to_vec(), at: NOW, reason: RevocationReason::Unspecified };
    let list = world.issuer.revocation_list(1, &[revoked], Validity::starting(NOW, DAY)).unwrap();
    trust.admit_list(
        crypto(),
        RevocationList::read(crypto(), &list, world.issuer.certificate(), NOW).unwrap(),
    );
    assert_eq!(cache.verify(crypto(), &trust, &[certificate.der()], NOW).unwrap_err(), SubjectError::Revoked);

    let other = world.certify(&person(), RequestKey::P256(&P256SigningKey::generate()));
    let subject = cache.verify(crypto(), &trust, &[other.der()], NOW).unwrap();
    trust.block_key(crypto(), *subject.key_hash());
    assert_eq!(cache.verify(crypto(), &trust, &[other.der()], NOW).unwrap_err(), SubjectError::Revoked);
}

#[test]
fn the_oldest_verdict_gives_way() {
    let world = World::new();
    let trust = world.trust();
    let certificates: Vec<_> =
        (0..5).map(|_| world.certify(&phone(), RequestKey::P256(&P256SigningKey::generate()))).collect();
    let mut cache = VerdictCache::new(3);
    for certificate in &certificates {
        for _ in 0..3 {
            cache.verify(crypto(), &trust, &[certificate.der()], NOW).unwrap();
        }
    }
    assert_eq!(cache.len(), 3);
    let known: Vec<_> = certificates
        .iter()
        .map(|c| cache.known(&trust, &crypto().sha256(&[c.der()]), NOW).is_some())
        .collect();
    assert_eq!(known, [false, false, true, true, true]);
    let mut none = VerdictCache::new(0);
    none.verify(crypto(), &trust, &[certificates[0].der()], NOW).unwrap();
    assert!(none.is_empty());
}
