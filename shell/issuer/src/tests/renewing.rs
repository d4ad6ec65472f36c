//! Renewal.

use super::ours::{grant, person, phone};
use super::{DAY, NOW, World, crypto};
use crate::{
    CertificateRequest, PendingRenewal, RenewalAnswer, RenewalChallenge, RenewalError, RenewalPolicy,
    RenewalTiming, RequestKey, RequestedName, RevocationReason, Revoked, SubjectGrant, Validity,
};
use symbolon_crypto::{KemPrivateKey, RevocationList, Signer, SubjectError, SubjectId, SubjectTrust, Suite};
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, SystemEntropy};
use symbolon_wire::{Decode, Encode, Time};

const NO_GRACE: RenewalPolicy = RenewalPolicy { grace_lives: 0 };
const TEN_LIVES: RenewalPolicy = RenewalPolicy { grace_lives: 10 };

fn request(subject: &SubjectId, key: RequestKey<'_>) -> Vec<u8> {
    CertificateRequest::make(&RequestedName::Subject(subject.clone()), key).unwrap()
}

fn begin(
    trust: &SubjectTrust,
    policy: RenewalPolicy,
    certificate: &[u8],
    now: Time,
) -> Result<PendingRenewal, RenewalError> {
    PendingRenewal::begin(crypto(), &mut SystemEntropy, trust, policy, certificate, now)
}

#[test]
fn every_kind_of_key_renews_its_certificate() {
    let world = World::new();
    let (p256, ed25519) = (P256SigningKey::generate(), Ed25519SigningKey::generate());
    let later = NOW.plus_secs(DAY - 1);
    let signers: [(&dyn Signer, RequestKey<'_>); 2] =
        [(&p256, RequestKey::P256(&p256)), (&ed25519, RequestKey::Ed25519(&ed25519))];
    for (signer, key) in signers {
        let old = world.certify(&phone(), key);
        let pending = begin(&world.trust(), NO_GRACE, old.der(), later).unwrap();
        let challenge = RenewalChallenge::from_bytes(&pending.challenge().to_bytes()).unwrap();
        let next = P256SigningKey::generate();
        let request = request(&phone(), RequestKey::P256(&next));
        let answer = challenge.answer_signed(crypto(), old.der(), request, signer).unwrap();
        let answer = RenewalAnswer::from_bytes(&answer.to_bytes()).unwrap();
        let proven = pending.finish(crypto(), &answer).unwrap();
        assert_eq!((proven.subject(), proven.old().serial()), (&phone(), old.serial()));
        let grant = SubjectGrant { validity: Validity::starting(later, DAY), ..grant(&phone()) };
        let renewed = world.issuer.certify_subject(proven.request(), &grant).unwrap();
        let subject = world.trust().verify(crypto(), &[renewed.der()], later).unwrap();
        assert_eq!(subject.code(), "alice-0a1b2c");
    }
    for suite in Suite::ALL {
        let key = KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy);
        let old = world.certify(&phone(), RequestKey::Kem(key.public()));
        let pending = begin(&world.trust(), NO_GRACE, old.der(), later).unwrap();
        let same_key = request(&phone(), RequestKey::Kem(key.public()));
        let answer = pending.challenge().answer_opened(crypto(), old.der(), same_key, &key).unwrap();
        assert!(pending.finish(crypto(), &answer).is_ok());
    }
}

#[test]
fn cve_renewed_with_another_certificate() {
    let world = World::new();
    let (mine, theirs) = (P256SigningKey::generate(), P256SigningKey::generate());
    let old = world.certify(&phone(), RequestKey::P256(&mine));
    let laptop = SubjectId::device("alice-0a1b2c", "laptop").unwrap();
    let other = world.certify(&laptop, RequestKey::P256(&theirs));
    let later = NOW.plus_secs(DAY - 1);
    let trust = world.trust();
    let finish = |subject: &SubjectId, certificate: &[u8], key: &P256SigningKey| {
        let pending = begin(&trust, NO_GRACE, old.der(), later).unwrap();
        let request = request(subject, RequestKey::P256(key));
        let answer = pending.challenge().answer_signed(crypto(), certificate, request, key).unwrap();
        pending.finish(crypto(), &answer).map(|_| ())
    };
    assert_eq!(finish(&phone(), old.der(), &mine), Ok(()));
    assert_eq!(finish(&phone(), other.der(), &theirs), Err(RenewalError::NotProved), "another device's key");
    assert_eq!(
        finish(&phone(), old.der(), &theirs),
        Err(RenewalError::NotProved),
        "and the right certificate"
    );
    assert_eq!(finish(&phone(), other.der(), &mine), Err(RenewalError::NotProved), "a proof for another");
    for subject in [&laptop, &person()] {
        assert_eq!(finish(subject, old.der(), &mine), Err(RenewalError::OtherSubject), "{subject}");
    }
}

#[test]
fn an_answer_is_good_for_one_question_and_one_request() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let old = world.certify(&phone(), RequestKey::P256(&key));
    let later = NOW.plus_secs(DAY - 1);
    let trust = world.trust();
    let pending = || begin(&trust, NO_GRACE, old.der(), later).unwrap();
    let (first, second) = (pending(), pending());
    let mine = request(&phone(), RequestKey::P256(&key));
    let answer = first.challenge().answer_signed(crypto(), old.der(), mine, &key).unwrap();
    assert_eq!(second.finish(crypto(), &answer).unwrap_err(), RenewalError::NotProved, "replayed");
    let stolen = P256SigningKey::generate();
    let mut exchanged = answer;
    exchanged.request = request(&phone(), RequestKey::P256(&stolen));
    assert_eq!(
        first.finish(crypto(), &exchanged).unwrap_err(),
        RenewalError::NotProved,
        "another key put in"
    );
    // with a key for envelopes
    let kem = KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
    let stranger = KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
    let old = world.certify(&phone(), RequestKey::Kem(kem.public()));
    let pending = begin(&trust, NO_GRACE, old.der(), later).unwrap();
    let wanted = request(&phone(), RequestKey::Kem(stranger.public()));
    let answer = pending.challenge().answer_opened(crypto(), old.der(), wanted, &stranger).unwrap();
    assert_eq!(pending.finish(crypto(), &answer).unwrap_err(), RenewalError::NotProved, "who cannot open it");
}

#[test]
fn a_certificate_is_renewed_from_half_its_life() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let certificate = world.certify(&phone(), RequestKey::P256(&key));
    let trust = world.trust();
    let validity = (certificate.validity().from(), certificate.validity().until());
    let half = validity.1.minus_secs(validity.1.distance_secs(validity.0) / 2);
    let at = |policy, now| begin(&trust, policy, certificate.der(), now).map(|_| ());
    let early = Err(RenewalError::Timing(RenewalTiming::Early(half)));
    assert_eq!(at(NO_GRACE, half.minus_secs(1)), early);
    assert_eq!(at(NO_GRACE, half), Ok(()));
    assert_eq!(at(NO_GRACE, validity.1), Ok(()));
    let late = Err(RenewalError::Timing(RenewalTiming::Late));
    assert_eq!(at(NO_GRACE, validity.1.plus_secs(1)), late);
    assert_eq!(at(NO_GRACE, validity.0.minus_secs(DAY)), Err(SubjectError::OutsideValidity.into()));
}

#[test]
fn a_device_that_was_off_for_ten_lives_comes_back_where_policy_allows() {
    let world = World::new();
    let key = P256SigningKey::generate();
    let old = world.certify(&phone(), RequestKey::P256(&key));
    let trust = world.trust();
    let back = NOW.plus_secs(10 * DAY);
    assert_eq!(trust.verify(crypto(), &[old.der()], back).unwrap_err(), SubjectError::OutsideValidity);
    assert_eq!(
        begin(&trust, NO_GRACE, old.der(), back).unwrap_err(),
        RenewalError::Timing(RenewalTiming::Late)
    );
    let pending = begin(&trust, TEN_LIVES, old.der(), back).unwrap();
    let wanted = request(&phone(), RequestKey::P256(&key));
    let answer = pending.challenge().answer_signed(crypto(), old.der(), wanted, &key).unwrap();
    let proven = pending.finish(crypto(), &answer).unwrap();
    let grant = SubjectGrant { validity: Validity::starting(back, DAY), ..grant(&phone()) };
    let renewed = world.issuer.certify_subject(proven.request(), &grant).unwrap();
    assert!(trust.verify(crypto(), &[renewed.der()], back).is_ok());
    let too_late = NOW.plus_secs(12 * DAY);
    assert!(matches!(
        begin(&trust, TEN_LIVES, old.der(), too_late),
        Err(RenewalError::Timing(RenewalTiming::Late))
    ));
}

#[test]
fn grace_is_not_for_the_revoked_nor_for_strangers() {
    let (world, other) = (World::new(), World::new());
    let key = P256SigningKey::generate();
    let old = world.certify(&phone(), RequestKey::P256(&key));
    let back = NOW.plus_secs(5 * DAY);
    let refused = |trust: &SubjectTrust, certificate: &[u8]| match begin(trust, TEN_LIVES, certificate, back)
    {
        Err(RenewalError::Certificate(e)) => e,
        other => panic!("{other:?}"),
    };
    let mut trust = world.trust();
    let revoked = Revoked { serial: old.serial().to_vec(), at: NOW, reason: RevocationReason::KeyCompromise };
    let list = world.issuer.revocation_list(1, &[revoked], Validity::starting(back, DAY)).unwrap();
    trust.admit_list(
        crypto(),
        RevocationList::read(crypto(), &list, world.issuer.certificate(), back).unwrap(),
    );
    assert_eq!(refused(&trust, old.der()), SubjectError::Revoked);
    let mut trust = world.trust();
    let hash = crypto().sha256(&[&crate::certificate::Read::new(old.der()).unwrap().public_key_info]);
    trust.block_key(crypto(), hash);
    assert_eq!(refused(&trust, old.der()), SubjectError::Revoked);
    assert_eq!(refused(&other.trust(), old.der()), SubjectError::Untrusted);
    assert_eq!(refused(&world.trust(), world.identity.certificate()), SubjectError::WrongUsage);
}

#[test]
fn a_certificate_that_lives_for_ever_has_no_end_of_grace_either() {
    let policy = RenewalPolicy { grace_lives: u32::MAX };
    let end = Time(u64::MAX);
    assert_eq!(policy.timing((Time(0), Time::from_secs(1)), end), RenewalTiming::Late);
    assert_eq!(policy.timing((Time(0), Time(u64::MAX)), end), RenewalTiming::Due);
}
