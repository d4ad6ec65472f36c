//! Challenge and response within a session, whoever starts (B8; patent claims 4, 10, 17, 23).

use crate::pair::{binding, places};
use symbolon_crypto::{CryptoError, KemPrivateKey, Secret, Suite, TranscriptHash};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::{Challenger, Parties, Responder};
use symbolon_wire::Encode;

const CLIENT: &str = "alice-7f3a";
const GATEWAY: &str = "gw.example";
const BY_CLIENT: Parties<'static> = Parties { challenger: CLIENT, responder: GATEWAY };
const BY_GATEWAY: Parties<'static> = Parties { challenger: GATEWAY, responder: CLIENT };

fn key() -> SoftwareKey {
    SoftwareKey::new(Secret::new([1; 32]))
}

fn session() -> TranscriptHash {
    binding(b"session")
}

fn begin() -> (Challenger, Vec<u8>) {
    Challenger::begin(crypto(), &mut SystemEntropy, session())
}

fn answer(parties: Parties<'_>, first: &[u8]) -> Result<(Responder, Vec<u8>), CryptoError> {
    Responder::answer(crypto(), &mut SystemEntropy, &key(), parties, first, session())
}

fn conclude(
    challenger: Challenger,
    parties: Parties<'_>,
    answer: &[u8],
) -> Result<(Secret<32>, Vec<u8>), CryptoError> {
    challenger.conclude(&mut SystemEntropy, &key(), parties, answer)
}

#[test]
fn either_party_may_start_and_both_get_one_new_key() {
    let mut keys = Vec::new();
    for parties in [BY_CLIENT, BY_GATEWAY] {
        let (challenger, first) = begin();
        let (responder, second) = answer(parties, &first).unwrap();
        let (ours, last) = conclude(challenger, parties, &second).unwrap();
        let theirs = responder.finish(&last).unwrap();
        assert_eq!(ours, theirs);
        keys.push(theirs);
    }
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn cve_reflected_challenge() {
    // The client challenges; somebody hands its number back as if the gateway challenged.
    let (challenger, first) = begin();
    let (_, reflected) = answer(BY_GATEWAY, &first).unwrap();
    assert_eq!(conclude(challenger, BY_CLIENT, &reflected).err(), Some(CryptoError::Forged));
}

#[test]
fn two_parties_of_one_name_do_not_talk() {
    let same = Parties { challenger: GATEWAY, responder: GATEWAY };
    let (challenger, first) = begin();
    assert_eq!(answer(same, &first).err(), Some(CryptoError::BadKey));
    let (_, second) = answer(BY_CLIENT, &first).unwrap();
    assert_eq!(conclude(challenger, same, &second).err(), Some(CryptoError::BadKey));
}

#[test]
fn who_holds_another_key_or_is_in_another_session_proves_nothing() {
    let other = SoftwareKey::new(Secret::new([2; 32]));
    let (challenger, first) = begin();
    let entropy = &mut SystemEntropy;
    let (_, second) = Responder::answer(crypto(), entropy, &other, BY_CLIENT, &first, session()).unwrap();
    assert_eq!(conclude(challenger, BY_CLIENT, &second).err(), Some(CryptoError::Forged));
    let (challenger, first) = begin();
    let elsewhere = binding(b"other session");
    let (_, second) = Responder::answer(crypto(), entropy, &key(), BY_CLIENT, &first, elsewhere).unwrap();
    assert_eq!(conclude(challenger, BY_CLIENT, &second).err(), Some(CryptoError::Forged));
}

#[test]
fn the_responders_kem_key_cannot_be_replaced() {
    // Whoever replaced it could read what the challenger sends once the authentication key is known.
    for suite in Suite::ALL {
        let (challenger, first) = begin();
        let (_, mut second) = answer(BY_CLIENT, &first).unwrap();
        let mine = KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy);
        second.truncate(48 + 32);
        second.extend_from_slice(&mine.public().to_bytes());
        let refused = conclude(challenger, BY_CLIENT, &second).unwrap_err();
        assert!(matches!(refused, CryptoError::Forged | CryptoError::BadKey), "{suite}");
    }
}

#[test]
fn an_answer_that_is_cut_or_altered_is_refused() {
    let (_, first) = begin();
    let (_, sample) = answer(BY_CLIENT, &first).unwrap();
    for place in places(sample.len()) {
        let (challenger, first) = begin();
        let (_, mut second) = answer(BY_CLIENT, &first).unwrap();
        second[place] ^= 1 << (place % 8);
        assert!(conclude(challenger, BY_CLIENT, &second).is_err(), "byte {place}");
        let (challenger, first) = begin();
        let (_, second) = answer(BY_CLIENT, &first).unwrap();
        assert!(conclude(challenger, BY_CLIENT, &second[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_confirmation_that_is_cut_altered_or_anothers_is_refused() {
    let exchange = || {
        let (challenger, first) = begin();
        let (responder, second) = answer(BY_CLIENT, &first).unwrap();
        (responder, conclude(challenger, BY_CLIENT, &second).unwrap().1)
    };
    let (responder, last) = exchange();
    assert!(exchange().0.finish(&last).is_err(), "another's");
    responder.finish(&last).unwrap();
    for place in places(last.len()) {
        let (responder, mut last) = exchange();
        last[place] ^= 1 << (place % 8);
        assert!(responder.finish(&last).is_err(), "byte {place}");
        let (responder, last) = exchange();
        assert!(responder.finish(&last[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_first_message_has_one_length() {
    for length in [0, 31, 33] {
        assert_eq!(answer(BY_CLIENT, &vec![0; length]).err(), Some(CryptoError::Forged));
    }
}
