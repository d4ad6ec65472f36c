//! Wycheproof's collections of nasty inputs, through our interfaces.

use crate::replay::ml_kem_from_seed;
use symbolon_crypto::{CryptoError, KemPrivateKey, KemPublicKey, Secret, SecretBytes, Suite};
use symbolon_provider::{SystemEntropy, crypto, ml_kem768_from};
use wycheproof::{TestResult, aead, hkdf, mac, mlkem, xdh};

#[test]
fn x25519_agrees_and_refuses_points_of_low_order() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut counted = [0; 2];
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        let key = crypto().x25519_from(&Secret::from_slice(&test.private_key).unwrap()).unwrap();
        let Ok(public) = <&[u8; 32]>::try_from(test.public_key.as_ref()) else {
            let too_long = KemPublicKey::new(Suite::X25519, &test.public_key);
            assert_eq!(too_long, Err(CryptoError::BadKey), "{test:?}");
            continue;
        };
        let shared = key.agree(public);
        let low_order = test.flags.contains(&xdh::TestFlag::ZeroSharedSecret);
        if low_order {
            assert_eq!(shared, Err(CryptoError::BadKey), "{test:?}");
            let key = KemPrivateKey::from_parts(Suite::X25519, key, None).unwrap();
            assert_eq!(key.decapsulate(crypto(), public), Err(CryptoError::BadKey), "{test:?}");
            let to = KemPublicKey::new(Suite::X25519, public).unwrap();
            assert_eq!(to.encapsulate(crypto(), &mut SystemEntropy).unwrap_err(), CryptoError::BadKey);
        } else {
            assert!(!test.result.must_fail(), "{test:?}");
            assert_eq!(shared.unwrap().expose().as_slice(), test.shared_secret.as_ref(), "{test:?}");
        }
        counted[usize::from(low_order)] += 1;
    }
    assert!(counted[0] > 400 && counted[1] > 20, "{counted:?}");
}

#[test]
fn aes_256_gcm_seals_and_opens_as_it_should() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let ours = |g: &&aead::TestGroup| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128);
    let mut counted = 0;
    for test in set.test_groups.iter().filter(ours).flat_map(|g| &g.tests) {
        let aead = crypto().aes256_gcm(&Secret::from_slice(&test.key).unwrap());
        let nonce: &[u8; 12] = test.nonce.as_ref().try_into().unwrap();
        let mut sealed = test.pt.to_vec();
        let tag = aead.seal(nonce, &test.aad, &mut sealed);
        let mut received = [test.ct.as_ref(), test.tag.as_ref()].concat();
        let opened = aead.open(nonce, &test.aad, &mut received);
        if test.result == TestResult::Valid {
            assert_eq!(
                (sealed.as_slice(), tag.as_slice()),
                (test.ct.as_ref(), test.tag.as_ref()),
                "{test:?}"
            );
            assert_eq!(opened.map(|n| &received[..n]), Ok(test.pt.as_ref()), "{test:?}");
        } else {
            assert_eq!(opened, Err(CryptoError::Forged), "{test:?}");
        }
        counted += 1;
    }
    assert!(counted > 60, "{counted}");
}

#[test]
fn hkdf_derives_what_it_should() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let mut counted = 0;
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        if test.size > 255 * 32 {
            // `Crypto::expand` of so many bytes does not compile
            assert!(test.result.must_fail(), "{test:?}");
            continue;
        }
        let prk = crypto().extract(&test.salt, &[&test.ikm]);
        // shorter outputs are the front of longer ones (RFC 5869 §2.3)
        let okm = crypto().expand::<{ 255 * 32 }>(&prk, &[&test.info]);
        assert_eq!(&okm.expose()[..test.size], test.okm.as_ref(), "{test:?}");
        counted += 1;
    }
    assert!(counted > 80, "{counted}");
}

#[test]
fn parts_are_hashed_as_if_they_were_joined() {
    let prk = crypto().extract(b"salt", &[b"a", b"", b"bc"]);
    assert_eq!(prk, crypto().extract(b"salt", &[b"abc"]));
    assert_eq!(crypto().expand::<42>(&prk, &[b"in", b"fo"]), crypto().expand::<42>(&prk, &[b"info"]));
    assert_eq!(crypto().sha256(&[b"ab", b"c"]), crypto().sha256(&[b"abc"]));
    assert_eq!(crypto().sha3_256(&[b"ab", b"c"]), crypto().sha3_256(&[b"abc"]));
}

#[test]
fn hmac_authenticates_what_it_should() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut counted = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let (head, tail) = test.msg.split_at(test.msg.len() / 2);
            let tag = crypto().hmac_sha256(&test.key, &[head, tail]);
            let same = tag[..group.tag_size / 8] == *test.tag.as_ref();
            assert_eq!(same, !test.result.must_fail(), "{test:?}");
            counted += 1;
        }
    }
    assert!(counted > 150, "{counted}");
}

#[test]
fn ml_kem_decapsulates_what_it_should() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768).unwrap();
    let mut counted = [0; 2];
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        // a seed of a wrong length cannot be written down in our types
        let Ok(seed) = <&[u8; 64]>::try_from(test.seed.as_ref().unwrap().as_ref()) else { continue };
        let key = ml_kem_from_seed(seed);
        let shared = key.decapsulate(test.ct.as_ref().unwrap());
        if test.result.must_fail() {
            assert_eq!(shared, Err(CryptoError::BadKey), "{}", test.tc_id);
        } else {
            assert_eq!(key.public(), test.encaps_key.as_ref().unwrap().as_ref(), "{}", test.tc_id);
            let expected = test.shared_secret.as_ref().unwrap();
            assert_eq!(shared.unwrap().expose().as_slice(), expected.as_ref(), "{}", test.tc_id);
        }
        counted[usize::from(test.result.must_fail())] += 1;
    }
    assert!(counted[0] > 150 && counted[1] > 10, "{counted:?}");
}

#[test]
fn ml_kem_refuses_private_keys_that_do_not_fit_together() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768SemiExpandedDecaps).unwrap();
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        let private = SecretBytes::new(test.decaps_key.as_ref().unwrap().to_vec());
        let shared = ml_kem768_from(&private).and_then(|key| key.decapsulate(test.ct.as_ref().unwrap()));
        if test.result.must_fail() {
            assert_eq!(shared, Err(CryptoError::BadKey), "{}", test.tc_id);
        } else {
            let expected = test.shared_secret.as_ref().unwrap();
            assert_eq!(shared.unwrap().expose().as_slice(), expected.as_ref(), "{}", test.tc_id);
        }
    }
}

#[test]
fn ml_kem_encapsulates_to_right_keys_and_to_no_others() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let mut counted = [0; 2];
    for test in set.test_groups.iter().flat_map(|g| &g.tests) {
        let public = test.encaps_key.as_ref().unwrap();
        let sent = crypto().ml_kem768_encapsulate(public, &mut SystemEntropy);
        assert_eq!(sent.is_err(), test.result.must_fail(), "{}", test.tc_id);
        counted[usize::from(sent.is_err())] += 1;
    }
    assert!(counted[0] > 100 && counted[1] > 100, "{counted:?}");
}
