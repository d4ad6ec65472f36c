use crate::replay::{Replay, ml_kem_from_seed};
use crate::vectors::Vector;
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use symbolon_crypto::{CryptoError, KemPrivateKey, KemPublicKey, Secret, Suite};
use symbolon_provider::{SystemEntropy, crypto};

const VECTOR: Vector = Vector::new(include_str!("vectors/x_wing.txt"));

/// draft-connolly-cfrg-xwing-kem §5.2, `expandDecapsulationKey`.
fn from_seed(seed: &[u8]) -> KemPrivateKey {
    let mut expanded = [0; 96];
    let mut shake = Shake256::default();
    shake.update(seed);
    shake.finalize_xof().read(&mut expanded);
    let (ml_kem, x25519) = expanded.split_at(64);
    let x25519 = crypto().x25519_from(&Secret::from_slice(x25519).unwrap()).unwrap();
    let ml_kem = ml_kem_from_seed(ml_kem.try_into().unwrap());
    KemPrivateKey::from_parts(Suite::XWing, x25519, Some(ml_kem)).unwrap()
}

#[test]
fn the_seed_has_the_public_key_of_the_vector() {
    assert_eq!(from_seed(&VECTOR.get("sk")).public().as_bytes(), VECTOR.get("pk"));
}

#[test]
fn what_the_vector_encapsulated_we_recover() {
    let shared = from_seed(&VECTOR.get("sk")).decapsulate(crypto(), &VECTOR.get("ct")).unwrap();
    assert_eq!(shared.expose().as_slice(), VECTOR.get("ss"));
}

#[test]
fn with_the_vectors_randomness_we_encapsulate_the_same_bytes() {
    let eseed = VECTOR.get("eseed");
    let (ml_kem, x25519) = eseed.split_at(32);
    let crypto =
        Replay { x25519: Secret::from_slice(x25519).unwrap(), ml_kem_message: ml_kem.try_into().unwrap() }
            .into_crypto();
    let to = KemPublicKey::new(Suite::XWing, &VECTOR.get("pk")).unwrap();
    let encapsulated = to.encapsulate(crypto, &mut SystemEntropy).unwrap();
    assert_eq!(encapsulated.bytes, VECTOR.get("ct"));
    assert_eq!(encapsulated.secret.expose().as_slice(), VECTOR.get("ss"));
}

#[test]
fn a_changed_encapsulation_gives_another_secret_and_never_an_oracle() {
    let (key, right) = (from_seed(&VECTOR.get("sk")), VECTOR.get("ct"));
    let shared = key.decapsulate(crypto(), &right).unwrap();
    for at in (0..right.len()).step_by(37).chain([right.len() - 32]) {
        let mut changed = right.clone();
        changed[at] ^= 1;
        let other = key.decapsulate(crypto(), &changed).unwrap();
        assert_ne!(other, shared);
        // implicit rejection: the same answer each time
        assert_eq!(other, key.decapsulate(crypto(), &changed).unwrap());
    }
    for wrong in [&right[1..], &[&right[..], &[0]].concat(), &[]] {
        assert_eq!(key.decapsulate(crypto(), wrong), Err(CryptoError::BadKey));
    }
}

#[test]
fn both_halves_are_checked() {
    let (key, right) = (from_seed(&VECTOR.get("sk")), VECTOR.get("ct"));
    // a point of low order in the X25519 half, in either direction
    let low_order = [&right[..1088], &[0; 32]].concat();
    assert_eq!(key.decapsulate(crypto(), &low_order), Err(CryptoError::BadKey));
    let public = VECTOR.get("pk");
    let bad_x25519 = [&public[..1184], &[0; 32]].concat();
    // coefficients not below q in the ML-KEM half (FIPS 203 §7.2)
    let bad_ml_kem = [&[0xff; 1184], &public[1184..]].concat();
    for bad in [bad_x25519, bad_ml_kem] {
        let to = KemPublicKey::new(Suite::XWing, &bad).unwrap();
        assert_eq!(to.encapsulate(crypto(), &mut SystemEntropy).unwrap_err(), CryptoError::BadKey);
    }
}

#[test]
fn a_key_has_the_parts_of_its_suite() {
    let x25519 = || crypto().x25519_generate(&mut SystemEntropy);
    let ml_kem = || Some(crypto().ml_kem768_generate(&mut SystemEntropy));
    let refused = KemPrivateKey::from_parts(Suite::XWing, x25519(), None);
    assert_eq!(refused.unwrap_err(), CryptoError::BadKey);
    let refused = KemPrivateKey::from_parts(Suite::X25519, x25519(), ml_kem());
    assert_eq!(refused.unwrap_err(), CryptoError::BadKey);
    let suites = Suite::ALL.map(|suite| KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy));
    for key in suites {
        let suite = key.public().suite();
        assert_eq!(key.public().as_bytes().len(), suite.public_len());
        let sent = key.public().encapsulate(crypto(), &mut SystemEntropy).unwrap();
        assert_eq!(sent.bytes.len(), suite.encapsulation_len());
        assert_eq!(key.decapsulate(crypto(), &sent.bytes), Ok(sent.secret));
    }
}
