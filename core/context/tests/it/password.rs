//! User name and password (A4).

use crate::pair::{Gateway, NOW, accept, grant};
use symbolon_context::{
    AwaitSecond, Fresh, Initiator, InitiatorOptions, MAX_PASSWORD, PasswordCheck, PasswordToken,
    PasswordVerifier,
};
use symbolon_crypto::{CryptoError, SecretBytes, Suite, TokenKind};
use symbolon_policy::{CanonName, PasswordGateways};
use symbolon_provider::{SystemEntropy, crypto};

fn secret(text: &str) -> SecretBytes {
    SecretBytes::from(text.to_owned())
}

fn token(gateway: &Gateway, password: &str) -> Result<PasswordToken, CryptoError> {
    let permitted = PasswordGateways::new(["GW.example"]).permit("gw.example").unwrap();
    let user = CanonName::parse("alice").unwrap();
    PasswordToken::new(user, secret(password), &gateway.verified, &permitted)
}

fn sign_in(gateway: &mut Gateway, password: &str, suite: Suite) -> (AwaitSecond<PasswordToken>, Fresh) {
    let options = InitiatorOptions { suites: vec![suite], ..InitiatorOptions::default() };
    let token = token(gateway, password).unwrap();
    let (waiting, first) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway.verified, &options, token, NOW).unwrap();
    (waiting, gateway.open(&first).unwrap())
}

#[test]
fn the_right_password_opens_a_context_in_every_suite() {
    let check = PasswordCheck::new(&mut SystemEntropy).unwrap();
    let verifier = PasswordVerifier::new(&secret("correct horse"), &mut SystemEntropy).unwrap();
    for suite in Suite::ALL {
        let mut gateway = Gateway::new("gw.example");
        let (waiting, fresh) = sign_in(&mut gateway, "correct horse", suite);
        assert_eq!(fresh.token_kind(), TokenKind::Password);
        let claimed = PasswordCheck::claimed_name(fresh.token()).unwrap().unwrap();
        assert_eq!(claimed.as_str(), "alice");
        let proof = check.verify(fresh.token(), Some(&verifier), fresh.binding()).unwrap();
        let (acceptor, second) = accept(fresh, proof, &grant()).unwrap();
        assert_eq!(waiting.finish(&second).unwrap().secrets.session, acceptor.session);
    }
}

#[test]
fn an_unknown_user_and_a_wrong_password_are_refused_alike() {
    let check = PasswordCheck::new(&mut SystemEntropy).unwrap();
    let verifier = PasswordVerifier::new(&secret("correct horse"), &mut SystemEntropy).unwrap();
    let mut gateway = Gateway::new("gw.example");
    let (_, fresh) = sign_in(&mut gateway, "wrong horse", Suite::X25519);
    let wrong = check.verify(fresh.token(), Some(&verifier), fresh.binding()).unwrap_err();
    let unknown = check.verify(fresh.token(), None, fresh.binding()).unwrap_err();
    assert_eq!((wrong, unknown), (CryptoError::Forged, CryptoError::Forged));
}

#[test]
fn nobody_is_checked_as_dearly_as_somebody() {
    // One verification each, of verifiers made by one function: what could differ is the cost that
    // a verifier states.
    let real = PasswordVerifier::new(&secret("correct horse"), &mut SystemEntropy).unwrap();
    let check = PasswordCheck::new(&mut SystemEntropy).unwrap();
    let cost = |verifier: &PasswordVerifier| {
        let text = std::str::from_utf8(verifier.phc().expose()).unwrap().to_owned();
        text.split('$').skip(1).take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cost(&real), ["argon2id", "v=19", "m=19456,t=2,p=1"]);
    assert_eq!(cost(check.nobody()), cost(&real));
}

#[test]
fn a_password_goes_only_to_the_gateway_that_policy_names() {
    let gateway = Gateway::new("other.example");
    assert_eq!(token(&gateway, "correct horse").err(), Some(CryptoError::BadKey));
    assert!(PasswordGateways::new(["gw.example"]).permit("other.example").is_none());
}

#[test]
fn an_empty_or_overlong_password_is_refused() {
    let gateway = Gateway::new("gw.example");
    let long = "x".repeat(MAX_PASSWORD + 1);
    assert!(token(&gateway, &long).is_err());
    assert!(PasswordVerifier::new(&secret(&long), &mut SystemEntropy).is_err());
    assert!(PasswordVerifier::new(&secret(""), &mut SystemEntropy).is_err());
}

#[test]
fn a_verifier_survives_its_store_and_prints_nothing() {
    let verifier = PasswordVerifier::new(&secret("correct horse"), &mut SystemEntropy).unwrap();
    let phc = std::str::from_utf8(verifier.phc().expose()).unwrap().to_owned();
    assert!(!format!("{verifier:?}").contains("argon2"));
    let again = PasswordVerifier::from_phc(SecretBytes::from(phc));
    let check = PasswordCheck::new(&mut SystemEntropy).unwrap();
    let mut gateway = Gateway::new("gw.example");
    let (_, fresh) = sign_in(&mut gateway, "correct horse", Suite::X25519);
    check.verify(fresh.token(), Some(&again), fresh.binding()).unwrap();
}
