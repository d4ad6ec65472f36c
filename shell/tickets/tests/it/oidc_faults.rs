//! ID tokens that open nothing.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use symbolon_crypto::TranscriptHash;
use symbolon_tickets::Spelling;
use symbolon_tickets::oidc::{OidcError, OidcVerifier, SubjectMap, UserClaim, nonce};
use tokio::net::TcpListener;

use crate::provider::{AUDIENCE, HERE, NOW, TestProvider, alice};
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
async fn cve_ssrf_by_places_that_a_token_names() {
    let provider = TestProvider::start("ES256").await;
    let bait = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let place = format!("http://{}/keys", bait.local_addr().unwrap());
    let forger = NamedKey::generate("first", "ES256");
    let mut claims = provider.claims();
    for name in ["jku", "x5u"] {
        let header = json!({"alg": "ES256", "kid": "first", name: place});
        let token = forger.sign(&header, &claims);
        assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::Forged);
    }
    claims["iss"] = json!(place);
    let token = forger.sign(&forger.header(), &claims);
    assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::OtherIssuer);
    let visit = tokio::time::timeout(Duration::ZERO, bait.accept()).await;
    assert!(visit.is_err(), "a token sent us somewhere");
}

#[tokio::test]
async fn cve_path_traversal_by_a_key_name() {
    let provider = TestProvider::start("ES256").await;
    for name in ["../../../../dev/null", "file:///dev/null", "/dev/null", "first/../first", "first\0", ""] {
        let forger = NamedKey::generate(name, "ES256");
        let token = forger.sign(&forger.header(), &provider.claims());
        assert_eq!(provider.show(&token).await.unwrap_err(), OidcError::UnknownKey, "{name:?}");
    }
}

#[tokio::test]
async fn cve_dos_by_nesting_in_json() {
    let provider = TestProvider::start("ES256").await;
    let (open, close) = ("[".repeat(4_000), "]".repeat(4_000));
    let deep = format!("{{\"alg\":\"ES256\",\"kid\":\"first\",\"iss\":{open}{close}}}");
    let good = text(provider.claims().to_string().as_bytes());
    let header = text(provider.state().keys[0].header().to_string().as_bytes());
    for token in
        [format!("{}.{good}.AAAA", text(deep.as_bytes())), format!("{header}.{}.AAAA", text(deep.as_bytes()))]
    {
        let refused = provider.show(&token).await.unwrap_err();
        assert!(matches!(refused, OidcError::Malformed(_)), "{refused}");
    }
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
async fn cve_other_spelling_of_a_subject() {
    for other in ["Alice", "ALICE", "alice ", " alice", "alice\0", "\u{ff41}lice", "a\u{200d}lice"] {
        assert_eq!(refusal_with("sub", json!(other)).await, OidcError::UnknownSubject, "{other:?}");
    }
    // Where the provider tells no cases apart, another spelling is the same user and not a second one.
    let provider = TestProvider::start("ES256").await;
    let claim = UserClaim::Named { claim: "preferred_username".to_owned(), spelling: Spelling::AnyCase };
    let verifier = OidcVerifier::new(provider.provider(), AUDIENCE, SubjectMap::by(claim));
    for spelling in ["alice", "ALICE", "\u{ff41}lice"] {
        let mut claims = provider.claims();
        claims["preferred_username"] = json!(spelling);
        let proved = verifier.verify(provider.token(&claims).as_bytes(), &HERE, NOW).await.unwrap();
        assert_eq!(proved.user(), &alice(), "{spelling:?}");
    }
}

#[tokio::test]
async fn cve_identity_mapping_by_an_address() {
    let provider = TestProvider::start("ES256").await;
    let map = SubjectMap::by(UserClaim::Email { domain: "example.org".to_owned() });
    let verifier = OidcVerifier::new(provider.provider(), AUDIENCE, map);
    let show = async |address: &str, verified: Value| {
        let mut claims = provider.claims();
        claims["sub"] = json!("4711");
        claims["email"] = json!(address);
        match verified {
            Value::Null => {}
            verified => claims["email_verified"] = verified,
        }
        verifier.verify(provider.token(&claims).as_bytes(), &HERE, NOW).await.map(|p| p.user().clone())
    };
    assert_eq!(show("alice@example.org", json!(true)).await, Ok(alice()));
    for verified in [json!(false), json!("true"), json!(1), Value::Null] {
        let refused = show("alice@example.org", verified.clone()).await;
        assert_eq!(refused, Err(OidcError::UnknownSubject), "{verified}");
    }
    for odd in [
        "alice@evil@example.org",
        "alice@example.org@evil.org",
        "alice@example.org.evil.org",
        "alice@sub.example.org",
        "alice@example.org ",
        "\"alice@x\"@example.org",
        "@example.org",
        "alice",
    ] {
        assert_eq!(show(odd, json!(true)).await, Err(OidcError::UnknownSubject), "{odd}");
    }
}

#[tokio::test]
async fn a_subject_that_is_nobody_here_is_refused() {
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
