//! A token whose keys are in a device: its file holds none, and opens with that device alone.

use crate::container::{CHEAP, blank, file, load, mend, pin};
use crate::pair::{Gateway, NOW, registration};
use symbolon_crypto::{Crypto, CryptoError, Secret};
use symbolon_policy::TokenClass;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{
    DeviceReference, HeldKey, ObjectId, Registration, Token, TokenError, UnlockedToken,
};
use symbolon_token::{AuthenticationKey, SoftwareKey};

const URI: &str = "pkcs11:token=work;serial=1?module-name=softhsm2";

/// The sealing key of a device.
fn device(byte: u8) -> SoftwareKey {
    SoftwareKey::new(Secret::new([byte; 32]))
}

/// A device that was pulled.
struct Pulled;

impl AuthenticationKey for Pulled {
    fn hmac(&self, _: Crypto, _: &[&[u8]]) -> Result<Secret<32>, CryptoError> {
        Err(CryptoError::BadKey)
    }
}

fn reference() -> DeviceReference {
    DeviceReference::new(URI.to_owned(), ObjectId::from([7; 16])).unwrap()
}

fn in_device(gateway: &Gateway) -> Registration {
    Registration { key: HeldKey::Device(ObjectId::from([3; 16])), ..registration(gateway, [0; 32]) }
}

fn device_file(gateway: &Gateway) -> Vec<u8> {
    let mut token =
        UnlockedToken::first_device(crypto(), &mut SystemEntropy, blank(gateway), reference(), &device(1))
            .unwrap();
    token.put(in_device(gateway)).unwrap();
    token.seal(crypto(), &mut SystemEntropy).to_file(crypto())
}

#[test]
fn a_token_in_a_device_opens_with_the_device() {
    let gateway = Gateway::new("gw.example");
    let bytes = device_file(&gateway);
    let token = load(&bytes);
    assert_eq!(token.device(), Some(&reference()));
    assert!(token.is_registered() && token.failures() == 0);
    let token = token.unlock_with(crypto(), &device(1)).unwrap();
    let kept = token.registration(gateway.verified.name()).unwrap();
    assert_eq!(kept.key, HeldKey::Device(ObjectId::from([3; 16])));
    assert_eq!(kept.key.class(), TokenClass::Hardware);
    assert_eq!(token.device(), Some(&reference()));
    let again = token.seal(crypto(), &mut SystemEntropy).to_file(crypto());
    assert_eq!(load(&again).unlock_with(crypto(), &device(1)).unwrap().registrations().len(), 1);
}

#[test]
fn its_file_is_of_version_two_and_tells_nobody_where_its_owner_is_registered() {
    let bytes = device_file(&Gateway::new("gw.example"));
    assert_eq!(bytes[15], 2);
    assert!(bytes.windows(URI.len()).any(|w| w == URI.as_bytes()), "where the device is can be read");
    assert!(!bytes.windows(5).any(|w| w == b"alice"));
}

#[test]
fn a_software_token_keeps_the_version_that_older_programs_read() {
    let gateway = Gateway::new("gw.example");
    assert_eq!(file(&gateway)[15], 1);
    assert_eq!(blank(&gateway).to_file(crypto())[15], 1);
}

#[test]
fn another_device_does_not_open_it_and_a_pulled_one_is_told_apart() {
    let bytes = device_file(&Gateway::new("gw.example"));
    let opened = |key: &dyn AuthenticationKey| load(&bytes).unlock_with(crypto(), key).err();
    assert_eq!(opened(&device(2)), Some(TokenError::OtherDevice));
    assert_eq!(opened(&Pulled), Some(TokenError::Device));
}

#[test]
fn a_file_that_points_to_another_device_or_issuer_does_not_open() {
    let gateway = Gateway::new("gw.example");
    let bytes = device_file(&gateway);
    let at = bytes.windows(URI.len()).position(|w| w == URI.as_bytes()).unwrap();
    for place in [16, at + 13, at + URI.len() + 3, at + URI.len() + 20, bytes.len() - 40] {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        mend(&mut altered);
        let opened = Token::from_file(crypto(), &altered).and_then(|t| t.unlock_with(crypto(), &device(1)));
        assert_eq!(opened.err(), Some(TokenError::OtherDevice), "byte {place}");
    }
}

#[test]
fn neither_lock_opens_what_the_other_closed() {
    let gateway = Gateway::new("gw.example");
    assert_eq!(load(&device_file(&gateway)).attempt(NOW).err(), Some(TokenError::InDevice));
    let software = load(&file(&gateway));
    assert_eq!(software.device(), None);
    assert_eq!(software.unlock_with(crypto(), &device(1)).err(), Some(TokenError::NotInDevice));
    assert_eq!(blank(&gateway).unlock_with(crypto(), &device(1)).err(), Some(TokenError::NotRegistered));
    let mut token = load(&device_file(&gateway)).unlock_with(crypto(), &device(1)).unwrap();
    let changed = token.change_pin(crypto(), &mut SystemEntropy, &pin("123456"), CHEAP);
    assert_eq!(changed.err(), Some(TokenError::InDevice));
}

#[test]
fn a_token_keeps_all_keys_in_one_place() {
    let gateway = Gateway::new("gw.example");
    let mut token = load(&device_file(&gateway)).unlock_with(crypto(), &device(1)).unwrap();
    assert_eq!(token.put(registration(&gateway, [1; 32])), Err(TokenError::OtherPlace));
    let software = file(&gateway);
    let mut token = crate::container::unlock(&software, "123456").unwrap();
    assert_eq!(token.put(in_device(&gateway)), Err(TokenError::OtherPlace));
    let registered = load(&software);
    let again =
        UnlockedToken::first_device(crypto(), &mut SystemEntropy, registered, reference(), &device(1));
    assert!(matches!(again, Err(TokenError::Damaged(_))));
}

#[test]
fn a_file_with_a_lock_that_is_not_its_versions_is_refused() {
    let gateway = Gateway::new("gw.example");
    for (mut bytes, version) in [(device_file(&gateway), 1), (file(&gateway), 2)] {
        bytes[15] = version;
        mend(&mut bytes);
        assert!(matches!(Token::from_file(crypto(), &bytes), Err(TokenError::Damaged(_))));
    }
}

#[test]
fn a_device_file_that_is_cut_anywhere_is_refused() {
    let bytes = device_file(&Gateway::new("gw.example"));
    for length in 0..bytes.len() {
        let mut cut = bytes[..length].to_vec();
        if length > 48 {
            mend(&mut cut);
        }
        let refused = Token::from_file(crypto(), &cut).err();
        assert!(matches!(refused, Some(TokenError::Damaged(_))), "at {length}: {refused:?}");
    }
}

#[test]
fn a_device_is_named_by_a_uri_alone() {
    let id = || ObjectId::from([1; 16]);
    for uri in ["", "token=work", "https://device", "pkcs11:token=a b", "pkcs11:token=ä", "pkcs11:a\n"] {
        assert!(DeviceReference::new(uri.to_owned(), id()).is_err(), "{uri}");
    }
    assert!(DeviceReference::new(format!("pkcs11:token={}", "a".repeat(2100)), id()).is_err());
    assert_eq!(ObjectId::new(Vec::new()), None);
    assert_eq!(ObjectId::new(vec![1; 129]), None);
    assert_eq!(id().to_string(), "01".repeat(16));
}
