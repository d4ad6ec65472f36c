//! Challenge and response as a context's authentication token (B8).

use crate::pair::{NOW, binding, code};
use symbolon_crypto::{
    CryptoError, InitiatorToken, Secret, SecretBytes, TokenKind, TokenProof, TranscriptHash,
};
use symbolon_policy::UserCode;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::{ChallengeProved, ChallengeToken, Claimant, ClaimedResponse, GatewayNumbers};
use symbolon_wire::Time;

fn key(byte: u8) -> SoftwareKey {
    SoftwareKey::new(Secret::new([byte; 32]))
}

fn numbers() -> GatewayNumbers {
    GatewayNumbers::new(crypto(), &Secret::new([9; 32]))
}

fn issued() -> [u8; 32] {
    numbers().issue(crypto(), &mut SystemEntropy, NOW)
}

fn token<'a>(key: &'a SoftwareKey, user: &'a UserCode, number: [u8; 32]) -> ChallengeToken<'a> {
    let claimed = Claimant { registration_id: [6; 16], user };
    ChallengeToken::new(crypto(), &mut SystemEntropy, key, claimed, "gw.example", number)
}

fn verify(
    body: &SecretBytes,
    with: &SoftwareKey,
    gateway: &str,
    binding: &TranscriptHash,
    now: Time,
) -> Result<ChallengeProved, CryptoError> {
    let claimed = ClaimedResponse::parse(body).map_err(|_| CryptoError::Forged)?;
    claimed.verify(crypto(), with, gateway, &numbers(), binding, now)
}

#[test]
fn both_sides_prove_the_key_to_each_other() {
    let (key, user, binding) = (key(1), code(), binding(b"exchange"));
    let mut token = token(&key, &user, issued());
    let presented = token.present(&binding).unwrap();
    assert_eq!(presented.kind, TokenKind::Challenge);
    let claimed = ClaimedResponse::parse(&presented.body).unwrap();
    assert_eq!((claimed.user(), claimed.registration_id()), (&user, &[6; 16]));
    let proof = verify(&presented.body, &key, "gw.example", &binding, NOW).unwrap();
    assert_eq!(proof.contribution(), presented.contribution.as_ref());
    assert_eq!(proof.binding(), &binding);
    token.confirm(proof.reply()).unwrap();
}

#[test]
fn a_gateway_that_does_not_return_the_number_is_refused() {
    let (key, user) = (key(1), code());
    let mut token = token(&key, &user, issued());
    token.present(&binding(b"exchange")).unwrap();
    for reply in [&[][..], &[0; 32], &[0; 31]] {
        assert_eq!(token.confirm(reply), Err(CryptoError::Forged));
    }
}

#[test]
fn an_unknown_user_and_a_wrong_key_are_refused_alike() {
    let (key_, user, binding) = (key(1), code(), binding(b"exchange"));
    let presented = token(&key_, &user, issued()).present(&binding).unwrap();
    // For an unknown user a gateway checks against a random key: the same code, the same error.
    for other in [key(2), key(3)] {
        let refused = verify(&presented.body, &other, "gw.example", &binding, NOW);
        assert_eq!(refused.err(), Some(CryptoError::Forged));
    }
}

#[test]
fn a_response_is_good_for_one_exchange_and_one_gateway() {
    let (key, user, here) = (key(1), code(), binding(b"exchange"));
    let presented = token(&key, &user, issued()).present(&here).unwrap();
    let other = binding(b"other exchange");
    assert!(verify(&presented.body, &key, "gw.example", &other, NOW).is_err());
    assert!(verify(&presented.body, &key, "other.example", &here, NOW).is_err());
    assert!(verify(&presented.body, &key, "gw.example", &here, NOW).is_ok());
}

#[test]
fn a_response_in_another_users_name_is_refused() {
    let (key, user, binding) = (key(1), code(), binding(b"exchange"));
    let presented = token(&key, &user, issued()).present(&binding).unwrap();
    let text = presented.body.expose();
    let mut renamed = text.to_vec();
    let at = text.windows(5).position(|w| w == b"alice").unwrap();
    renamed[at..at + 5].copy_from_slice(b"mallo");
    assert!(verify(&SecretBytes::new(renamed), &key, "gw.example", &binding, NOW).is_err());
}

#[test]
fn a_number_that_is_not_ours_or_no_longer_is_refused() {
    const FOUR_DAYS: u64 = 4 * 86_400;
    let (key, user, binding) = (key(1), code(), binding(b"exchange"));
    let good = issued();
    let presented = token(&key, &user, good).present(&binding).unwrap();
    let at = |now| verify(&presented.body, &key, "gw.example", &binding, now);
    assert!(at(NOW.plus_secs(FOUR_DAYS)).is_ok());
    assert_eq!(at(NOW.plus_secs(FOUR_DAYS + 1)).err(), Some(CryptoError::Forged));
    let others = GatewayNumbers::new(crypto(), &Secret::new([7; 32]));
    let foreign = others.issue(crypto(), &mut SystemEntropy, NOW);
    let mut longer_lived = good;
    longer_lived[0] ^= 0x40;
    for bad in [foreign, longer_lived, [0; 32], [0xff; 32]] {
        let presented = token(&key, &user, bad).present(&binding).unwrap();
        let refused = verify(&presented.body, &key, "gw.example", &binding, NOW);
        assert_eq!(refused.err(), Some(CryptoError::Forged));
    }
}

#[test]
fn a_response_that_is_cut_or_altered_is_refused() {
    let (key, user, binding) = (key(1), code(), binding(b"exchange"));
    let presented = token(&key, &user, issued()).present(&binding).unwrap();
    let bytes = presented.body.expose();
    // The registration's id picks the key; all that follows is authenticated by it.
    for place in 16..bytes.len() {
        let mut altered = bytes.to_vec();
        altered[place] ^= 1 << (place % 8);
        assert!(verify(&SecretBytes::new(altered), &key, "gw.example", &binding, NOW).is_err(), "{place}");
    }
    for length in 0..bytes.len() {
        assert!(ClaimedResponse::parse(&SecretBytes::new(bytes[..length].to_vec())).is_err());
    }
}

#[test]
fn a_response_is_made_as_the_document_says() {
    // docs/protocol/token.md, with HMAC and AES-GCM alone. HKDF-Expand to 32 bytes is one HMAC.
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto().hmac_sha256(key, parts);
    let derive = |key: &[u8], label: &[u8], x: &[&[u8]]| {
        let mut parts = vec![label, &[0]];
        parts.extend_from_slice(x);
        parts.push(&[1]);
        hmac(key, &parts)
    };
    let (key, user, binding, n1) = (key(1), code(), binding(b"exchange"), issued());
    let presented = token(&key, &user, n1).present(&binding).unwrap();
    let body = presented.body.expose();
    let (head, rest) = body.split_at(16 + 1 + user.as_str().len());
    assert_eq!(head, [&[6; 16][..], &[10], b"alice-7f3a"].concat().as_slice());
    let (e, n2) = rest.split_at(48);
    let k = hmac(
        key.secret().expose(),
        &[&[24], b"symbolon/1 challenge key", &[0, 10], b"gw.example", &[0, 10], b"alice-7f3a", &binding.0],
    );
    let sealing = derive(&k, b"symbolon/1 challenge number", &[n2]);
    let mut opened = e.to_vec();
    let length = crypto().aes256_gcm(&Secret::new(sealing)).open(&[0; 12], n2, &mut opened).unwrap();
    assert_eq!(opened[..length], n1);
    let contribution = derive(&k, b"symbolon/1 challenge session", &[e, n2, &binding.0]);
    assert_eq!(presented.contribution.unwrap().expose(), &contribution);
}

#[test]
fn nothing_secret_is_printed() {
    let (key, user) = (key(0xab), code());
    let printed = format!("{key:?} {:?} {:?}", token(&key, &user, issued()), numbers());
    assert!(!printed.contains("171") && !printed.contains("ab, ab"));
}
