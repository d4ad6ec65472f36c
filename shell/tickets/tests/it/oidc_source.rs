//! How an initiator comes by an ID token.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use symbolon_crypto::{CryptoError, InitiatorToken as _, SecretBytes, TokenKind, TranscriptHash};
use symbolon_tickets::oidc::{CommandSource, IdTokenSource, JwtToken, SourceError, nonce};

use crate::provider::{HERE, LIMIT, NOW, TestProvider, alice};

fn shell(script: &str, limit: Duration) -> JwtToken {
    let arguments: Vec<OsString> = vec!["-c".into(), script.into()];
    JwtToken::new(Box::new(CommandSource::new("sh".into(), arguments, limit)))
}

fn complaint_about(script: &str) -> Option<SourceError> {
    let mut token = shell(script, LIMIT);
    assert_eq!(token.present(&HERE).err(), Some(CryptoError::BadKey));
    token.complaint().take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_a_token_for_this_exchange_from_the_provider() {
    let provider = TestProvider::start("ES256").await;
    let script = format!(
        "curl -sf -d \"username=alice&password=wonderland&nonce=$SYMBOLON_NONCE\" {}/token | cut -d '\"' -f 4",
        provider.issuer
    );
    let mut token = shell(&script, LIMIT);
    let presented = token.present(&HERE).unwrap();
    assert_eq!(presented.kind, TokenKind::Jwt);
    let proved = provider.verifier().verify(presented.body.expose(), &HERE, NOW).await.unwrap();
    assert_eq!(proved.user(), &alice());
    token.confirm(b"").unwrap();
    assert_eq!(token.confirm(b"something"), Err(CryptoError::Forged));
}

#[test]
fn a_program_that_fails_or_says_nothing_useful_is_told_apart() {
    assert!(matches!(complaint_about("exit 3"), Some(SourceError::Failed(_))));
    assert!(matches!(complaint_about("echo e30.e30.x; exit 1"), Some(SourceError::Failed(_))));
    assert_eq!(complaint_about("true"), Some(SourceError::Malformed));
    assert_eq!(complaint_about("echo hello"), Some(SourceError::Malformed));
    assert_eq!(complaint_about("head -c 100000 /dev/zero"), Some(SourceError::Malformed));
    let mut absent =
        JwtToken::new(Box::new(CommandSource::new("/nonexistent/helper".into(), Vec::new(), LIMIT)));
    assert!(absent.present(&HERE).is_err());
    assert!(matches!(absent.complaint().take(), Some(SourceError::Failed(_))));
    assert_eq!(absent.complaint().take(), None);
}

#[test]
fn a_program_that_never_ends_is_ended() {
    let limit = Duration::from_millis(300);
    let mut token = shell("exec sleep 600", limit);
    let begun = Instant::now();
    assert!(token.present(&HERE).is_err());
    assert_eq!(token.complaint().take(), Some(SourceError::TimedOut));
    assert!(begun.elapsed() < limit * 10, "{:?}", begun.elapsed());
}

struct Fixed(String);

impl IdTokenSource for Fixed {
    fn fetch(&mut self, _nonce: &str) -> Result<SecretBytes, SourceError> {
        Ok(SecretBytes::from(self.0.clone()))
    }
}

#[tokio::test]
async fn a_token_for_another_exchange_does_not_leave() {
    let provider = TestProvider::start("ES256").await;
    let mut token = JwtToken::new(Box::new(Fixed(provider.token(&provider.claims()))));
    assert!(token.present(&HERE).is_ok());
    assert!(token.present(&TranscriptHash([8; 32])).is_err());
    assert_eq!(token.complaint().take(), Some(SourceError::NoNonce));
}

#[test]
fn the_nonce_is_the_whole_binding() {
    assert_eq!(nonce(&TranscriptHash([0xff; 32])), "_".repeat(42) + "8");
}
