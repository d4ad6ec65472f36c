//! The X25519 suite with rustls' HPKE: the same primitives, another hand.

use proptest::collection::vec;
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as RUSTLS;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePublicKey};
use symbolon_crypto::{KemPrivateKey, KemPublicKey, Secret, SecretBytes, Suite, open_base, seal_base};
use symbolon_provider::{SystemEntropy, crypto};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn we_seal_and_rustls_opens(
        info in vec(any::<u8>(), 0..200), aad in vec(any::<u8>(), 0..200), plaintext in vec(any::<u8>(), 0..4_000),
    ) {
        let (public, private) = RUSTLS.generate_key_pair().unwrap();
        let to = KemPublicKey::new(Suite::X25519, &public.0).unwrap();
        let secret = SecretBytes::new(plaintext.clone());
        let sealed = seal_base(crypto(), &mut SystemEntropy, &to, &info, &aad, &secret).unwrap();
        let enc = EncapsulatedSecret(sealed.enc);
        prop_assert_eq!(RUSTLS.open(&enc, &info, &aad, &sealed.ciphertext, &private).unwrap(), plaintext);
    }

    #[test]
    fn rustls_seals_and_we_open(
        secret in any::<[u8; 32]>(),
        info in vec(any::<u8>(), 0..200), aad in vec(any::<u8>(), 0..200), plaintext in vec(any::<u8>(), 0..4_000),
    ) {
        let x25519 = crypto().x25519_from(&Secret::new(secret)).unwrap();
        let key = KemPrivateKey::from_parts(Suite::X25519, x25519, None).unwrap();
        let to = HpkePublicKey(key.public().as_bytes().to_vec());
        let (enc, ciphertext) = RUSTLS.seal(&info, &aad, &plaintext, &to).unwrap();
        let opened = open_base(crypto(), &key, &enc.0, &info, &aad, &ciphertext).unwrap();
        prop_assert_eq!(opened.plaintext.expose(), plaintext);
    }
}
