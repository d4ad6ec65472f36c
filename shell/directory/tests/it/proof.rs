//! A right password becomes evidence for the one exchange and the one name that it came with.

use symbolon_crypto::{SecretBytes, TokenProof as _, TranscriptHash};
use symbolon_directory::{BackendError, Checked, Checking, DirectoryProved, PasswordBackend, prove};
use symbolon_policy::CanonName;
use symbolon_wire::Writer;

const HERE: TranscriptHash = TranscriptHash([7; 32]);

/// Knows that everybody's password is `sesame`; is down for zoe.
#[derive(Debug)]
struct Sesame;

impl PasswordBackend for Sesame {
    fn check<'a>(&'a self, user: &'a CanonName, password: &'a SecretBytes) -> Checking<'a> {
        Box::pin(async move {
            match (user.as_str(), password.expose()) {
                ("zoe", _) => Err(BackendError::Unavailable("asleep".to_owned())),
                (_, b"sesame") => Ok(Checked::Right { groups: Vec::new() }),
                _ => Ok(Checked::Wrong),
            }
        })
    }
}

fn name(text: &str) -> CanonName {
    CanonName::parse(text).unwrap()
}

async fn proved(asked: &str, token: SecretBytes) -> Result<Option<DirectoryProved>, BackendError> {
    prove(&Sesame, &name(asked), &token, HERE).await
}

/// A password token, as a first message carries it.
fn token(user: &str, password: &str) -> SecretBytes {
    let mut w = Writer::new();
    w.text16(user);
    w.bytes16(password.as_bytes());
    SecretBytes::new(w.into_bytes())
}

#[tokio::test]
async fn a_right_password_is_evidence_for_its_exchange_and_its_user() {
    let evidence = proved("alice", token("Alice", "sesame")).await.unwrap().unwrap();
    assert_eq!((evidence.binding(), evidence.user()), (&HERE, &name("alice")));
}

#[tokio::test]
async fn a_password_that_came_with_another_name_is_no_evidence() {
    assert!(proved("alice", token("bob", "sesame")).await.unwrap().is_none());
    assert!(proved("alice", token("", "sesame")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_wrong_password_and_a_malformed_token_are_no_evidence() {
    assert!(proved("alice", token("alice", "open")).await.unwrap().is_none());
    assert!(proved("alice", SecretBytes::new(vec![0, 200, b'a'])).await.unwrap().is_none());
}

#[tokio::test]
async fn a_back_end_that_is_down_is_no_evidence_but_an_error() {
    assert!(matches!(proved("zoe", token("zoe", "sesame")).await, Err(BackendError::Unavailable(_))));
}
