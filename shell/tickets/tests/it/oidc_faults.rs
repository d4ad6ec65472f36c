//! ID tokens that open nothing.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use symbolon_crypto::TranscriptHash;
use symbolon_tickets::oidc::{OidcError, OidcVerifier, SubjectMap, UserClaim, nonce};

use crate::provider::{AUDIENCE, HERE, NOW, TestProvider};
use crate::signing::{NamedKey, text, unsigned};

/// What becomes of a token that says otherwise in one claim; null takes the claim away.
async fn refusal_with(name: &str, value: Value) -> OidcError {
    let provider = TestProvider::start("ES256").await;
    let mut claims = provider.claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    provider.show(&provider.token(&claims)).await.unwrap_err()
}

#[tokio::test]
async fn cve_alg_none() {
    let provider = TestProvider::start("ES256").await;
    for algorithm in ["none", "None", "nOnE", ""] {
        let unsigned = unsigned(&json!({"alg": algorithm, "kid": "first"}), &provider.claims());
        for token in [format!("{unsigned}."), format!("{unsigned}.{}", text(b"x"))] {
            assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::Algorithm);
        }
    }
    let header = provider.state().keys[0].header();
    let stripped = format!("{}.", unsigned(&header, &provider.claims()));
    assert_eq!(provider.show(&stripped).await.unwrap_err(), OidcError::Forged);
    assert_eq!(provider.asked_for_keys(), 1);
}

#[tokio::test]
async fn cve_key_confusion_a_public_key_used_as_a_shared_secret() {
    let provider = TestProvider::start("RS256").await;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &provider.state().keys[0].public_der());
    let signed = unsigned(&json!({"alg": "HS256", "kid": "first"}), &provider.claims());
    let token = format!("{signed}.{}", text(hmac::sign(&key, signed.as_bytes()).as_ref()));
    assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::Algorithm);
}

#[tokio::test]
async fn cve_key_confusion_another_algorithm_than_the_key_is_for() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let provider = TestProvider::start(algorithm).await;
        for other in ["RS256", "PS256", "ES256", "EdDSA"].into_iter().filter(|o| *o != algorithm) {
            let forger = NamedKey::generate("first", other);
            let token = forger.sign(&forger.header(), &provider.claims());
            assert_eq!(
                provider.show(&token).await.unwrap_err(),
                OidcError::UnknownKey,
                "{algorithm} {other}"
            );
        }
    }
}

#[tokio::test]
async fn cve_wrong_key_of_an_id_token() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let provider = TestProvider::start(algorithm).await;
        let forger = NamedKey::generate("first", algorithm);
        let token = forger.sign(&forger.header(), &provider.claims());
        assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::Forged, "{algorithm}");
    }
}

#[tokio::test]
async fn cve_key_confusion_a_key_that_the_token_brings_along() {
    let provider = TestProvider::start("ES256").await;
    let forger = NamedKey::generate("first", "ES256");
    let header = json!({"alg": "ES256", "kid": "first", "jwk": forger.jwk(),
        "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/certificate"});
    let token = forger.sign(&header, &provider.claims());
    assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::Forged);
}

#[tokio::test]
async fn cve_crypto_misuse_a_signature_of_zeros() {
    let provider = TestProvider::start("ES256").await;
    let signed = unsigned(&provider.state().keys[0].header(), &provider.claims());
    let token = format!("{signed}.{}", text(&[0; 64]));
    assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::Forged);
}

#[tokio::test]
async fn claims_that_were_changed_after_signing_are_refused() {
    let provider = TestProvider::start("EdDSA").await;
    let token = provider.token(&provider.claims());
    let mut claims = provider.claims();
    claims["sub"] = json!("mallory");
    let parts: Vec<&str> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], text(claims.to_string().as_bytes()), parts[2]);
    assert_eq!(provider.show(&forged).await.unwrap_err(), OidcError::Forged);
}

#[tokio::test]
async fn a_token_of_another_exchange_is_refused() {
    let elsewhere = nonce(&TranscriptHash([8; 32]));
    assert_eq!(refusal_with("nonce", json!(elsewhere)).await, OidcError::NotBound);
    assert_eq!(refusal_with("nonce", json!("")).await, OidcError::NotBound);
    assert_eq!(refusal_with("nonce", json!(format!("{}=", nonce(&HERE)))).await, OidcError::NotBound);
    assert_eq!(refusal_with("nonce", Value::Null).await, OidcError::NotBound);
}

#[tokio::test]
async fn cve_replayed_id_token() {
    let provider = TestProvider::start("ES256").await;
    let (token, gateway) = (provider.token(&provider.claims()), provider.verifier());
    assert!(gateway.verify(token.as_bytes(), &HERE, NOW).await.is_ok());
    let again = gateway.verify(token.as_bytes(), &TranscriptHash([8; 32]), NOW).await;
    assert_eq!(again.unwrap_err(), OidcError::NotBound);
}

#[tokio::test]
async fn cve_other_audience() {
    for audience in [
        json!("another-gateway"),
        json!(["another-gateway"]),
        json!([]),
        json!([AUDIENCE, "another-gateway"]),
        json!(AUDIENCE.to_uppercase()),
        json!(7),
        Value::Null,
    ] {
        assert_eq!(refusal_with("aud", audience.clone()).await, OidcError::OtherAudience, "{audience}");
    }
    assert_eq!(refusal_with("azp", json!("another-gateway")).await, OidcError::OtherAudience);
}

#[tokio::test]
async fn cve_other_issuer() {
    for issuer in [json!("https://id.example.org"), json!(""), Value::Null] {
        assert_eq!(refusal_with("iss", issuer).await, OidcError::OtherIssuer);
    }
    let provider = TestProvider::start("ES256").await;
    let mut claims = provider.claims();
    claims["iss"] = json!(format!("{}/", provider.issuer));
    assert_eq!(provider.show(&provider.token(&claims)).await.unwrap_err(), OidcError::OtherIssuer);
    let stranger = TestProvider::start("ES256").await;
    let theirs = stranger.token(&provider.claims());
    assert_eq!(provider.show(&theirs).await.unwrap_err(), OidcError::Forged);
}

#[tokio::test]
async fn cve_expired_id_token() {
    let now = NOW.secs();
    assert_eq!(refusal_with("exp", json!(now - 120)).await, OidcError::Expired);
    assert_eq!(refusal_with("exp", json!(0)).await, OidcError::Expired);
    // Long-lived, but issued long before this exchange began.
    assert_eq!(refusal_with("iat", json!(now - 901)).await, OidcError::Expired);
}

#[tokio::test]
async fn cve_early_id_token() {
    let now = NOW.secs();
    assert_eq!(refusal_with("nbf", json!(now + 121)).await, OidcError::Early);
    assert_eq!(refusal_with("iat", json!(now + 121)).await, OidcError::Early);
}

#[tokio::test]
async fn clocks_may_differ_by_two_minutes() {
    let provider = TestProvider::start("ES256").await;
    let now = NOW.secs();
    for (name, value) in [("exp", now - 119), ("nbf", now + 120), ("iat", now + 120)] {
        let mut claims = provider.claims();
        claims[name] = json!(value);
        assert!(provider.show(&provider.token(&claims)).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn a_token_with_odd_claims_is_refused() {
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!("1900000000")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("iat", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(["alice"])),
        ("sub", json!("a".repeat(256))),
        ("acr", json!(1)),
    ] {
        let refused = refusal_with(name, value.clone()).await;
        assert!(matches!(refused, OidcError::Malformed(_)), "{name} {value}: {refused}");
    }
}

#[tokio::test]
async fn a_subject_that_is_nobody_here_is_refused() {
    assert_eq!(refusal_with("sub", json!("Alice")).await, OidcError::UnknownSubject);
    let provider = TestProvider::start("ES256").await;
    let nobody = SubjectMap::by(UserClaim::Listed);
    let verifier = OidcVerifier::new(provider.provider(), AUDIENCE, nobody);
    let token = provider.token(&provider.claims());
    let refused = verifier.verify(token.as_bytes(), &HERE, NOW).await.unwrap_err();
    assert_eq!(refused, OidcError::UnknownSubject);
}

#[tokio::test]
async fn cve_malformed_id_token_never_fails_open() {
    let provider = TestProvider::start("ES256").await;
    let (token, gateway) = (provider.token(&provider.claims()), provider.verifier());
    for end in (0..token.len()).step_by(7) {
        assert!(gateway.verify(&token.as_bytes()[..end], &HERE, NOW).await.is_err(), "{end}");
    }
    for place in (0..token.len()).step_by(5) {
        let mut damaged = token.clone().into_bytes();
        damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
        assert!(gateway.verify(&damaged, &HERE, NOW).await.is_err(), "{place}");
    }
    assert!(gateway.verify(token.as_bytes(), &HERE, NOW).await.is_ok());
}
