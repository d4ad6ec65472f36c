//! Wycheproof's signatures, through the key of a certificate as we verify with it.

use symbolon_crypto::{CryptoError, SignatureKey, SignatureKind, SubjectKey};
use symbolon_provider::crypto;
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn key(public_key_info: &[u8], kind: SignatureKind) -> SignatureKey {
    let SubjectKey::Signature(key) = SubjectKey::from_public_key_info(public_key_info).unwrap() else {
        panic!("a key for envelopes")
    };
    assert_eq!(key.kind(), kind);
    key
}

/// Checks one case and tells whether the signature was right.
fn check(key: &SignatureKey, message: &[u8], signature: &[u8], expected: TestResult, id: usize) -> bool {
    let outcome = key.verify(crypto(), message, signature);
    match expected {
        TestResult::Valid => assert_eq!(outcome, Ok(()), "{id}"),
        TestResult::Invalid => assert_eq!(outcome, Err(CryptoError::Forged), "{id}"),
        TestResult::Acceptable => {}
    }
    outcome.is_ok()
}

#[test]
fn ed25519_accepts_right_signatures_only() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut counted = [0; 2];
    for group in &set.test_groups {
        let key = key(&group.der, SignatureKind::Ed25519);
        for test in &group.tests {
            counted[usize::from(check(&key, &test.msg, &test.sig, test.result, test.tc_id))] += 1;
        }
    }
    assert!(counted[0] > 50 && counted[1] > 50, "{counted:?}");
}

#[test]
fn ecdsa_accepts_right_signatures_only() {
    for (name, kind) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256, SignatureKind::P256),
        (ecdsa::TestName::EcdsaSecp384r1Sha384, SignatureKind::P384),
    ] {
        let set = ecdsa::TestSet::load(name).unwrap();
        let mut counted = [0; 2];
        for group in &set.test_groups {
            let key = key(&group.der, kind);
            for test in &group.tests {
                counted[usize::from(check(&key, &test.msg, &test.sig, test.result, test.tc_id))] += 1;
            }
        }
        assert!(counted[0] > 100 && counted[1] > 100, "{counted:?}");
    }
}

#[test]
fn rsa_accepts_right_signatures_only() {
    let mut counted = [0; 2];
    for name in [
        rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32,
        rsa_pss_verify::TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in &rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = key(&group.der, SignatureKind::Rsa { bits: group.key_size });
            // right signatures in the other padding, which we take as well
            let other =
                |t: &&rsa_pss_verify::Test| t.flags.contains(&rsa_pss_verify::TestFlag::WrongPrimitive);
            for test in group.tests.iter().filter(|t| !other(t)) {
                counted[usize::from(check(&key, &test.msg, &test.sig, test.result, test.tc_id))] += 1;
            }
        }
    }
    let set = rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256).unwrap();
    for group in &set.test_groups {
        if SubjectKey::from_public_key_info(&group.der).is_err() {
            assert_eq!(group.key.e.as_slice(), &[3][..], "only small exponents are refused");
            continue;
        }
        let key = key(&group.der, SignatureKind::Rsa { bits: group.key_size });
        let other =
            |t: &&rsa_pkcs1_verify::Test| t.flags.contains(&rsa_pkcs1_verify::TestFlag::WrongPrimitive);
        for test in group.tests.iter().filter(|t| !other(t)) {
            counted[usize::from(check(&key, &test.msg, &test.sig, test.result, test.tc_id))] += 1;
        }
    }
    assert!(counted[0] > 200 && counted[1] > 100, "{counted:?}");
}

#[test]
fn other_hashes_and_salts_are_not_guessed() {
    let name = rsa_pss_verify::TestName::RsaPss2048Sha384Mgf1SaltLen48;
    for group in &rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
        let key = key(&group.der, SignatureKind::Rsa { bits: group.key_size });
        let other = |t: &&rsa_pss_verify::Test| t.flags.contains(&rsa_pss_verify::TestFlag::WrongPrimitive);
        for test in group.tests.iter().filter(|t| !other(t)) {
            assert!(key.verify(crypto(), &test.msg, &test.sig).is_err(), "{}", test.tc_id);
        }
    }
}
