//! A provider's keys: found, rotated, kept while the provider is down, and not asked for too often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use symbolon_tickets::oidc::{
    FetchError, KeyTimes, OidcError, OidcVerifier, Provider, ProviderError, SubjectMap, Transport, UserClaim,
};
use symbolon_wire::Time;

use crate::provider::{AUDIENCE, HERE, LIMIT, Manner, NOW, TestProvider, claims, say};
use crate::signing::NamedKey;

fn token_at(provider: &TestProvider, now: Time) -> String {
    provider.token(&claims(&provider.issuer, "alice", &symbolon_tickets::oidc::nonce(&HERE), now))
}

async fn show(gateway: &OidcVerifier, token: &str, now: Time) -> Result<(), OidcError> {
    gateway.verify(token.as_bytes(), &HERE, now).await.map(drop)
}

#[tokio::test]
async fn keys_are_asked_for_once_and_kept() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    for _ in 0..5 {
        show(&gateway, &token_at(&provider, NOW), NOW).await.unwrap();
    }
    assert_eq!(provider.asked_for_keys(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    let old = token_at(&provider, NOW);
    show(&gateway, &old, NOW).await.unwrap();
    provider.state().keys.push(NamedKey::generate("second", "RS256"));
    let later = NOW.plus_secs(11);
    show(&gateway, &token_at(&provider, later), later).await.unwrap();
    show(&gateway, &old, later).await.unwrap();
    assert_eq!(provider.asked_for_keys(), 2);
}

#[tokio::test]
async fn made_up_key_names_do_not_make_us_ask_again_and_again() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    show(&gateway, &token_at(&provider, NOW), NOW).await.unwrap();
    for i in 0..50 {
        let forger = NamedKey::generate(&format!("made-up-{i}"), "ES256");
        let token = forger.sign(&forger.header(), &provider.claims());
        assert_eq!(show(&gateway, &token, NOW.plus_secs(12)).await, Err(OidcError::UnknownKey));
    }
    assert_eq!(provider.asked_for_keys(), 2);
}

#[tokio::test]
async fn a_token_that_would_not_do_anyway_asks_for_nothing() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    let mut other = provider.claims();
    other["aud"] = "another".into();
    assert_eq!(show(&gateway, &provider.token(&other), NOW).await, Err(OidcError::OtherAudience));
    assert_eq!(provider.asked_for_keys(), 0);
}

#[tokio::test]
async fn a_withdrawn_key_is_believed_no_longer_after_the_next_renewal() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    let stolen = provider.state().keys.pop().unwrap();
    provider.state().keys.push(NamedKey::generate("second", "ES256"));
    provider.state().keys.push(stolen);
    show(&gateway, &token_at(&provider, NOW), NOW).await.unwrap();
    let stolen = provider.state().keys.pop().unwrap();
    let later = NOW.plus_secs(900);
    let forged = stolen.sign(
        &stolen.header(),
        &claims(&provider.issuer, "alice", &symbolon_tickets::oidc::nonce(&HERE), later),
    );
    // The renewal runs beside this one, which may still be taken; it ends by itself.
    let _ = show(&gateway, &forged, later).await;
    let end = Instant::now() + Duration::from_secs(10);
    while show(&gateway, &forged, later).await != Err(OidcError::UnknownKey) {
        assert!(Instant::now() < end, "the withdrawn key is still believed");
        tokio::task::yield_now().await;
    }
    assert_eq!(provider.asked_for_keys(), 2);
}

#[tokio::test]
async fn cve_provider_down_and_kept_keys_serve_for_a_day() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    show(&gateway, &token_at(&provider, NOW), NOW).await.unwrap();
    provider.state().manner = Manner::Say(say("503 Service Unavailable", ""));
    for hours in [1, 12, 23] {
        let later = NOW.plus_secs(hours * 3600);
        assert_eq!(show(&gateway, &token_at(&provider, later), later).await, Ok(()), "{hours}");
    }
    let too_late = NOW.plus_secs(24 * 3600);
    let refused = show(&gateway, &token_at(&provider, too_late), too_late).await;
    assert_eq!(refused, Err(OidcError::Unavailable(ProviderError::Fetch(FetchError::Status(503)))));
    provider.state().manner = Manner::Answer;
    let back = too_late.plus_secs(10);
    assert_eq!(show(&gateway, &token_at(&provider, back), back).await, Ok(()));
}

#[tokio::test]
async fn cve_provider_slow_is_waited_for_once_and_no_longer_than_the_limit() {
    let provider = TestProvider::start("ES256").await;
    provider.state().manner = Manner::Silence;
    let limit = Duration::from_millis(300);
    let asked = Provider::new(&provider.issuer, Transport::unprotected_http(limit), KeyTimes::default());
    let gateway = OidcVerifier::new(asked.unwrap(), AUDIENCE, SubjectMap::by(UserClaim::Subject));
    let token = token_at(&provider, NOW);
    let begun = Instant::now();
    for _ in 0..20 {
        let refused = show(&gateway, &token, NOW).await;
        assert_eq!(refused, Err(OidcError::Unavailable(ProviderError::Fetch(FetchError::TimedOut))));
    }
    assert!(begun.elapsed() < limit * 10, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn cve_provider_slow_delays_nobody_whose_key_is_known() {
    let provider = TestProvider::start("ES256").await;
    let gateway = provider.verifier();
    show(&gateway, &token_at(&provider, NOW), NOW).await.unwrap();
    provider.state().manner = Manner::Silence;
    let later = NOW.plus_secs(1000);
    let begun = Instant::now();
    for _ in 0..20 {
        show(&gateway, &token_at(&provider, later), later).await.unwrap();
    }
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_a_provider_says_amiss_is_told() {
    let provider = TestProvider::start("ES256").await;
    let said = |bytes: Vec<u8>| provider.state().manner = Manner::Say(bytes);
    let result = || async { provider.provider().prepare(NOW).await.unwrap_err() };
    let big = "x".repeat(300_000);
    said(say("200 OK", &big));
    assert_eq!(result().await, ProviderError::Fetch(FetchError::TooLong));
    said(say("200 OK", "<html>"));
    assert!(matches!(result().await, ProviderError::Malformed(_)));
    said(say("200 OK", "[]"));
    assert_eq!(result().await, ProviderError::OtherIssuer);
    let elsewhere =
        format!("HTTP/1.1 302 Found\r\nlocation: {}/keys\r\ncontent-length: 0\r\n\r\n", provider.issuer);
    said(elsewhere.into_bytes());
    assert_eq!(result().await, ProviderError::Fetch(FetchError::Status(302)));
    said(b"nonsense\r\n\r\n".to_vec());
    assert!(matches!(result().await, ProviderError::Fetch(FetchError::Connection(_))));
    said(Vec::new());
    assert!(matches!(result().await, ProviderError::Fetch(FetchError::Connection(_))));
    provider.state().manner = Manner::Answer;
    provider.state().other_name = Some("https://id.example.org".to_owned());
    assert_eq!(result().await, ProviderError::OtherIssuer);
    provider.state().other_name = None;
    for place in ["file:///etc/passwd", "https://127.0.0.1/keys", "/keys", "http://user@127.0.0.1/keys"] {
        provider.state().other_place = Some(place.to_owned());
        assert!(matches!(result().await, ProviderError::Fetch(FetchError::Address(_))), "{place}");
    }
    provider.state().other_place = None;
    provider.state().keys.clear();
    assert!(matches!(result().await, ProviderError::Malformed(_)));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told() {
    let provider = TestProvider::start("ES256").await;
    let gone = provider.provider();
    let issuer = provider.issuer.clone();
    drop(provider);
    let end = Instant::now() + LIMIT;
    while tokio::net::TcpStream::connect(issuer.trim_start_matches("http://")).await.is_ok() {
        assert!(Instant::now() < end);
    }
    assert!(matches!(gone.prepare(NOW).await, Err(ProviderError::Fetch(FetchError::Connection(_)))));
}

#[tokio::test]
async fn cve_wrong_ca_of_a_provider() {
    let named = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(named.signing_key.serialize_der()).unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![named.cert.der().clone()], key)
        .unwrap();
    let provider = TestProvider::start_with_tls(Arc::new(config)).await;
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ask = |pem: String| {
        let transport = Transport::https(pem.as_bytes(), LIMIT).unwrap();
        let provider = Provider::new(&provider.issuer, transport, KeyTimes::default()).unwrap();
        async move { provider.prepare(NOW).await }
    };
    assert_eq!(ask(named.cert.pem()).await, Ok(()));
    assert!(matches!(ask(stranger.cert.pem()).await, Err(ProviderError::Fetch(FetchError::Connection(_)))));
}

#[test]
fn https_is_asked_for_unless_told_otherwise() {
    let named = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let transport = Transport::https(named.cert.pem().as_bytes(), LIMIT).unwrap();
    for issuer in ["http://id.example.org", "id.example.org", "", "https://", "https://a@b", "ftp://x"] {
        let made = Provider::new(issuer, transport.clone(), KeyTimes::default());
        assert!(matches!(made, Err(ProviderError::Fetch(FetchError::Address(_)))), "{issuer}");
    }
    assert!(matches!(Transport::https(b"", LIMIT), Err(FetchError::Certificates(_))));
}
