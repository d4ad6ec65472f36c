use symbolon_crypto::{
    CryptoError, Entropy, KemPrivateKey, Secret, SecretBytes, Signer, Suite, open_base, seal_base,
};
use symbolon_provider::{P256SigningKey, SystemEntropy, crypto};

#[test]
fn what_holds_a_secret_does_not_print_it() {
    let key = KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
    let plaintext = SecretBytes::new(b"canary".to_vec());
    let sealed = seal_base(crypto(), &mut SystemEntropy, key.public(), b"", b"", &plaintext).unwrap();
    let opened = open_base(crypto(), &key, &sealed.enc, b"", b"", &sealed.ciphertext).unwrap();
    let sent = key.public().encapsulate(crypto(), &mut SystemEntropy).unwrap();
    assert_eq!(format!("{key:?}"), "KemPrivateKey(X-Wing)");
    assert_eq!(format!("{:?}", P256SigningKey::generate()), "P256SigningKey");
    assert_eq!(format!("{opened:?}"), "HpkeOpened { plaintext: SecretBytes, exporter: Secret<32> }");
    assert!(format!("{sealed:?}").ends_with("exporter: Secret<32> }"));
    assert!(format!("{sent:?}").ends_with("secret: Secret<32> }"));
}

#[test]
fn a_forged_tag_is_refused_whichever_bit_is_wrong() {
    let aead = crypto().aes256_gcm(&Secret::new([7; 32]));
    let mut sealed = b"attack at dawn".to_vec();
    let tag = aead.seal(&[1; 12], b"aad", &mut sealed);
    sealed.extend_from_slice(&tag);
    for bit in 0..sealed.len() * 8 {
        let mut forged = sealed.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(aead.open(&[1; 12], b"aad", &mut forged), Err(CryptoError::Forged));
        assert!(!forged.starts_with(b"attack"), "what was forged is not handed out");
    }
    assert_eq!(aead.open(&[2; 12], b"aad", &mut sealed.clone()), Err(CryptoError::Forged));
    assert_eq!(aead.open(&[1; 12], b"add", &mut sealed.clone()), Err(CryptoError::Forged));
    for short in 0..sealed.len() {
        assert_eq!(aead.open(&[1; 12], b"aad", &mut sealed[..short].to_vec()), Err(CryptoError::Forged));
    }
    assert_eq!(aead.open(&[1; 12], b"aad", &mut sealed), Ok(14));
}

#[test]
fn two_draws_from_the_system_differ() {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    assert_ne!(entropy.secret::<32>(), entropy.secret::<32>());
    let keys = [0, 1].map(|_| KemPrivateKey::generate(Suite::XWing, crypto(), entropy));
    assert_ne!(keys[0].public(), keys[1].public());
    let sent = [0, 1].map(|_| keys[0].public().encapsulate(crypto(), entropy).unwrap());
    assert_ne!(sent[0].bytes, sent[1].bytes);
    assert_ne!(sent[0].secret, sent[1].secret);
}

#[test]
fn a_signing_key_survives_the_way_through_pkcs8_and_nothing_else_does() {
    let key = P256SigningKey::generate();
    let again = P256SigningKey::from_pkcs8(key.pkcs8().duplicate()).unwrap();
    assert_eq!(again.public_point(), key.public_point());
    assert_eq!(key.public_point().len(), 65);
    assert!(again.sign(b"message").is_ok());
    let cut = key.pkcs8().expose()[1..].to_vec();
    for bad in [Vec::new(), cut, vec![0x30; 138]] {
        let refused = P256SigningKey::from_pkcs8(SecretBytes::new(bad));
        assert_eq!(refused.unwrap_err(), CryptoError::BadKey);
    }
}
