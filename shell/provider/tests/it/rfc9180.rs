use crate::export;
use crate::replay::Replay;
use crate::vectors::Vector;
use symbolon_crypto::{
    CryptoError, KemPrivateKey, KemPublicKey, Secret, SecretBytes, Suite, open_base, seal_base,
};
use symbolon_provider::{SystemEntropy, crypto};

const VECTOR: Vector = Vector::new(include_str!("vectors/rfc9180.txt"));

fn receiver() -> KemPrivateKey {
    let secret = Secret::from_slice(&VECTOR.get("skRm")).unwrap();
    KemPrivateKey::from_parts(Suite::X25519, crypto().x25519_from(&secret).unwrap(), None).unwrap()
}

#[test]
fn the_private_key_has_the_public_key_of_the_vector() {
    assert_eq!(receiver().public().as_bytes(), VECTOR.get("pkRm"));
}

#[test]
fn the_kem_recovers_the_shared_secret_of_the_vector() {
    let shared = receiver().decapsulate(crypto(), &VECTOR.get("enc")).unwrap();
    assert_eq!(shared.expose().as_slice(), VECTOR.get("shared_secret"));
}

#[test]
fn what_the_vector_sealed_we_open() {
    let [enc, info, aad, ct] = ["enc", "info", "aad", "ct"].map(|n| VECTOR.get(n));
    let opened = open_base(crypto(), &receiver(), &enc, &info, &aad, &ct).unwrap();
    assert_eq!(opened.plaintext.expose(), VECTOR.get("pt"));
    assert_eq!(opened.exporter.expose().as_slice(), VECTOR.get("exporter_secret"));
    for (context, name) in
        [(&b""[..], "export_empty"), (&[0], "export_00"), (b"TestContext", "export_test_context")]
    {
        assert_eq!(export(Suite::X25519, &opened.exporter, context).as_slice(), VECTOR.get(name));
    }
}

#[test]
fn with_the_vectors_randomness_we_seal_the_same_bytes() {
    let ephemeral = Secret::from_slice(&VECTOR.get("skEm")).unwrap();
    let crypto = Replay { x25519: ephemeral, ml_kem_message: [0; 32] }.into_crypto();
    let to = KemPublicKey::new(Suite::X25519, &VECTOR.get("pkRm")).unwrap();
    let [info, aad, pt] = ["info", "aad", "pt"].map(|n| VECTOR.get(n));
    let sealed = seal_base(crypto, &mut SystemEntropy, &to, &info, &aad, &SecretBytes::new(pt)).unwrap();
    assert_eq!(sealed.enc, VECTOR.get("enc"));
    assert_eq!(sealed.ciphertext, VECTOR.get("ct"));
    assert_eq!(sealed.exporter.expose().as_slice(), VECTOR.get("exporter_secret"));
}

#[test]
fn nothing_opens_when_anything_was_changed() {
    let names = ["enc", "info", "aad", "ct"];
    for (changed, _) in names.iter().enumerate() {
        let mut fields = names.map(|n| VECTOR.get(n));
        for at in 0..fields[changed].len() {
            fields[changed][at] ^= 1;
            let [enc, info, aad, ct] = &fields;
            let refused = open_base(crypto(), &receiver(), enc, info, aad, ct).unwrap_err();
            assert_eq!(refused, CryptoError::Forged, "{} at {at}", names[changed]);
            fields[changed][at] ^= 1;
        }
    }
    let [enc, info, aad, ct] = names.map(|n| VECTOR.get(n));
    for short in 0..ct.len() {
        let refused = open_base(crypto(), &receiver(), &enc, &info, &aad, &ct[..short]).unwrap_err();
        assert_eq!(refused, CryptoError::Forged);
    }
    let refused = open_base(crypto(), &receiver(), &enc[..31], &info, &aad, &ct).unwrap_err();
    assert_eq!(refused, CryptoError::BadKey);
}
