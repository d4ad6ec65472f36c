//! Both suites with the `hpke` crate, which is RustCrypto all the way down.

use crate::export;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};
use proptest::collection::vec;
use proptest::prelude::*;
use symbolon_crypto::{KemPrivateKey, KemPublicKey, SecretBytes, Suite, open_base, seal_base};
use symbolon_provider::{SystemEntropy, crypto};

fn we_seal_and_they_open<K: Kem>(suite: Suite, info: &[u8], aad: &[u8], plaintext: &[u8]) {
    let (private, public) = K::gen_keypair();
    let to = KemPublicKey::new(suite, &public.to_bytes()).unwrap();
    let secret = SecretBytes::new(plaintext.to_vec());
    let sealed = seal_base(crypto(), &mut SystemEntropy, &to, info, aad, &secret).unwrap();

    let enc = K::EncappedKey::from_bytes(&sealed.enc).unwrap();
    let mut context =
        setup_receiver::<AesGcm256, HkdfSha256, K>(&OpModeR::Base, &private, &enc, info).unwrap();
    assert_eq!(context.open(&sealed.ciphertext, aad).unwrap(), plaintext);
    let mut exported = [0; 32];
    context.export(info, &mut exported).unwrap();
    assert_eq!(exported, export(suite, &sealed.exporter, info));
}

fn they_seal_and_we_open<K: Kem>(suite: Suite, info: &[u8], aad: &[u8], plaintext: &[u8]) {
    let key = KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy);
    let to = K::PublicKey::from_bytes(key.public().as_bytes()).unwrap();
    let (enc, mut context) = setup_sender::<AesGcm256, HkdfSha256, K>(&OpModeS::Base, &to, info).unwrap();
    let ciphertext = context.seal(plaintext, aad).unwrap();

    let opened = open_base(crypto(), &key, &enc.to_bytes(), info, aad, &ciphertext).unwrap();
    assert_eq!(opened.plaintext.expose(), plaintext);
    let mut exported = [0; 32];
    context.export(aad, &mut exported).unwrap();
    assert_eq!(exported, export(suite, &opened.exporter, aad));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn x25519_works_in_both_directions(
        info in vec(any::<u8>(), 0..200), aad in vec(any::<u8>(), 0..200), plaintext in vec(any::<u8>(), 0..4_000),
    ) {
        we_seal_and_they_open::<X25519HkdfSha256>(Suite::X25519, &info, &aad, &plaintext);
        they_seal_and_we_open::<X25519HkdfSha256>(Suite::X25519, &info, &aad, &plaintext);
    }

    #[test]
    fn x_wing_works_in_both_directions(
        info in vec(any::<u8>(), 0..200), aad in vec(any::<u8>(), 0..200), plaintext in vec(any::<u8>(), 0..4_000),
    ) {
        we_seal_and_they_open::<XWing>(Suite::XWing, &info, &aad, &plaintext);
        they_seal_and_we_open::<XWing>(Suite::XWing, &info, &aad, &plaintext);
    }
}
