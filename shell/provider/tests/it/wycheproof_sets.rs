//! Wycheproof's collections of nasty inputs, through our interfaces.

use crate::replay::ml_kem_from_seed;
use symbolon_crypto::{Aead, CryptoError, KemPrivateKey, KemPublicKey, Secret, SecretBytes, Suite};
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
fn aes_gcm_seals_and_opens_as_it_should() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let counted = check_aead(&set, 256, |key| crypto().aes256_gcm(&Secret::from_slice(key).unwrap()));
    assert!(counted > 60, "{counted}");
    let counted = check_aead(&set, 128, |key| crypto().aes128_gcm(&Secret::from_slice(key).unwrap()));
    assert!(counted > 60, "{counted}");
}

#[test]
fn chacha20_poly1305_seals_and_opens_as_it_should() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let counted = check_aead(&set, 256, |key| crypto().chacha20_poly1305(&Secret::from_slice(key).unwrap()));
    assert!(counted > 200, "{counted}");
}

/// All tests of `set` for keys of `bits`, nonces of 12 bytes and tags of 16, in place and from one
/// place to another.
fn check_aead(set: &aead::TestSet, bits: usize, keyed: impl Fn(&[u8]) -> Box<dyn Aead>) -> usize {
    let ours = |g: &&aead::TestGroup| (g.key_size, g.nonce_size, g.tag_size) == (bits, 96, 128);
    let mut counted = 0;
    for test in set.test_groups.iter().filter(ours).flat_map(|g| &g.tests) {
        let aead = keyed(&test.key);
        let nonce: &[u8; 12] = test.nonce.as_ref().try_into().unwrap();
        let published = [test.ct.as_ref(), test.tag.as_ref()].concat();
        let mut received = published.clone();
        let opened = aead.open(nonce, &test.aad, &mut received);
        let mut elsewhere = vec![0; test.pt.len()];
        let opened_elsewhere = aead.open_from(nonce, &test.aad, &published, &mut elsewhere);
        if test.result == TestResult::Valid {
            let mut sealed = test.pt.to_vec();
            let tag = aead.seal(nonce, &test.aad, &mut sealed);
            assert_eq!([&sealed[..], &tag].concat(), published, "{test:?}");
            for last in 0..=1.min(test.pt.len()) {
                let (plaintext, last) = test.pt.split_at(test.pt.len() - last);
                let mut sealed = vec![0; published.len()];
                aead.seal_from(nonce, &test.aad, plaintext, last, &mut sealed);
                assert_eq!(sealed, published, "{test:?}");
            }
            assert_eq!(opened.map(|n| &received[..n]), Ok(test.pt.as_ref()), "{test:?}");
            assert_eq!(opened_elsewhere.map(|n| &elsewhere[..n]), Ok(test.pt.as_ref()), "{test:?}");
        } else {
            assert_eq!(opened, Err(CryptoError::Forged), "{test:?}");
            assert_eq!(opened_elsewhere, Err(CryptoError::Forged), "{test:?}");
        }
        counted += 1;
    }
    counted
}

#[test]
fn what_is_too_short_for_a_tag_or_for_its_room_does_not_open() {
    let aead = crypto().aes128_gcm(&Secret::new([1; 16]));
    for length in 0..16 {
        let forged = Err(CryptoError::Forged);
        assert_eq!(aead.open_from(&[0; 12], b"", &vec![0; length], &mut [0; 32]), forged);
    }
    let mut sealed = [0; 20];
    aead.seal_from(&[0; 12], b"", b"four", b"", &mut sealed);
    assert_eq!(aead.open_from(&[0; 12], b"", &sealed, &mut [0; 3]), Err(CryptoError::Forged));
    assert_eq!(aead.open_from(&[0; 12], b"", &sealed, &mut [0; 9]), Ok(4));
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
fn hkdf_with_sha_384_derives_what_it_should() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha384).unwrap();
    let mut counted = 0;
    for test in set.test_groups.iter().flat_map(|g| &g.tests).filter(|t| t.size <= 48) {
        let prk = Secret::new(crypto().hmac_sha384(&test.salt, &[&test.ikm]));
        let okm = crypto().expand_sha384::<48>(&prk, &[&test.info]);
        assert_eq!(&okm.expose()[..test.size], test.okm.as_ref(), "{test:?}");
        counted += 1;
    }
    assert!(counted > 30, "{counted}");
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
    let counted =
        check_hmac(mac::TestName::HmacSha256, |key, parts| crypto().hmac_sha256(key, parts).to_vec());
    assert!(counted > 150, "{counted}");
    let counted =
        check_hmac(mac::TestName::HmacSha384, |key, parts| crypto().hmac_sha384(key, parts).to_vec());
    assert!(counted > 150, "{counted}");
}

fn check_hmac(name: mac::TestName, hmac: impl Fn(&[u8], &[&[u8]]) -> Vec<u8>) -> usize {
    let set = mac::TestSet::load(name).unwrap();
    let mut counted = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let (head, tail) = test.msg.split_at(test.msg.len() / 2);
            let tag = hmac(&test.key, &[head, tail]);
            let same = tag[..group.tag_size / 8] == *test.tag.as_ref();
            assert_eq!(same, !test.result.must_fail(), "{test:?}");
            counted += 1;
        }
    }
    counted
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
