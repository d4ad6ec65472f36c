//! An ID token of a provider opens what it was issued for.

use std::process::Command;

use serde_json::{Value, json};
use symbolon_crypto::TokenProof as _;
use symbolon_tickets::oidc::{OidcVerifier, SubjectMap, UserClaim, claimed_issuer, nonce};

use crate::provider::{AUDIENCE, HERE, Manner, NOW, TestProvider, alice, say};
use crate::signing::NamedKey;

#[tokio::test]
async fn a_token_says_who_somebody_is_and_how_the_provider_knows() {
    let provider = TestProvider::start("ES256").await;
    let proved = provider.show(&provider.token(&provider.claims())).await.unwrap();
    assert_eq!(proved.user(), &alice());
    assert_eq!(proved.subject(), "alice");
    assert_eq!(proved.issuer(), provider.issuer);
    assert_eq!(proved.binding(), &HERE);
    assert_eq!(proved.expires(), NOW.plus_secs(300));
    assert_eq!(proved.authentication_class(), Some("phr"));
    assert_eq!(proved.methods(), ["pwd", "otp"]);
}

#[tokio::test]
async fn every_accepted_algorithm_is_understood() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let provider = TestProvider::start(algorithm).await;
        assert!(provider.show(&provider.token(&provider.claims())).await.is_ok(), "{algorithm}");
    }
}

#[tokio::test]
async fn tokens_that_another_implementation_signed_are_taken() {
    let script = r#"
import json, sys, jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode
claims = json.loads(sys.argv[1])
rsa_key, ec_key, ed_key = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
n = ec_key.public_key().public_numbers()
b = lambda i: base64url_encode(i.to_bytes(32, "big")).decode()
keys = [dict(json.loads(RSAAlgorithm.to_jwk(rsa_key.public_key())), kid="rsa"),
        {"kty": "EC", "crv": "P-256", "x": b(n.x), "y": b(n.y), "kid": "ec"},
        dict(json.loads(OKPAlgorithm.to_jwk(ed_key.public_key())), kid="ed")]
tokens = {a: jwt.encode(claims, k, algorithm=a, headers={"kid": i}) for a, k, i in
          [("RS256", rsa_key, "rsa"), ("PS256", rsa_key, "rsa"), ("ES256", ec_key, "ec"), ("EdDSA", ed_key, "ed")]}
print(json.dumps({"keys": keys, "tokens": tokens}))
"#;
    let provider = TestProvider::start("ES256").await;
    let claims = provider.claims().to_string();
    let output = Command::new("/usr/bin/python3").args(["-c", script, &claims]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let made: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("Debian: python3-jwt, python3-cryptography: {error}"));
    // One document is both description and keys, so that the other implementation's are served.
    let place = format!("{}/keys", provider.issuer);
    let both = json!({"issuer": provider.issuer, "jwks_uri": place, "keys": made["keys"]});
    provider.state().manner = Manner::Say(say("200 OK", &both.to_string()));
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let token = made["tokens"][algorithm].as_str().unwrap();
        let proved = provider.show(token).await;
        assert_eq!(proved.unwrap().user(), &alice(), "{algorithm}");
    }
}

#[tokio::test]
async fn a_token_for_several_audiences_is_taken_when_it_was_issued_to_us() {
    let provider = TestProvider::start("ES256").await;
    let mut claims = provider.claims();
    claims["aud"] = json!([AUDIENCE, "another"]);
    claims["azp"] = json!(AUDIENCE);
    assert!(provider.show(&provider.token(&claims)).await.is_ok());
    claims["aud"] = json!([AUDIENCE]);
    claims.as_object_mut().unwrap().remove("azp");
    assert!(provider.show(&provider.token(&claims)).await.is_ok());
}

#[tokio::test]
async fn a_token_without_a_key_name_is_for_the_only_key() {
    let provider = TestProvider::start("EdDSA").await;
    let token = {
        let state = provider.state();
        state.keys[0].sign(&json!({"alg": "EdDSA"}), &provider_claims(&provider.issuer))
    };
    assert!(provider.show(&token).await.is_ok());
    provider.state().keys.push(NamedKey::generate("second", "EdDSA"));
    assert!(provider.show(&token).await.is_err());
}

fn provider_claims(issuer: &str) -> Value {
    crate::provider::claims(issuer, "alice", &nonce(&HERE), NOW)
}

#[tokio::test]
async fn a_listed_subject_is_who_the_gateway_says() {
    let provider = TestProvider::start("ES256").await;
    let mut claims = provider.claims();
    claims["sub"] = json!("5f1c-8a");
    claims["preferred_username"] = json!("root");
    let people = SubjectMap::by(UserClaim::Listed).with_person("5f1c-8a", alice());
    let verifier = OidcVerifier::new(provider.provider(), AUDIENCE, people);
    let proved = verifier.verify(provider.token(&claims).as_bytes(), &HERE, NOW).await.unwrap();
    assert_eq!((proved.user(), proved.subject()), (&alice(), "5f1c-8a"));
}

#[tokio::test]
async fn the_claimed_issuer_finds_the_verifier() {
    let provider = TestProvider::start("ES256").await;
    let token = provider.token(&provider.claims());
    assert_eq!(claimed_issuer(token.as_bytes()), Some(provider.issuer.clone()));
    assert_eq!(claimed_issuer(b"nonsense"), None);
}
