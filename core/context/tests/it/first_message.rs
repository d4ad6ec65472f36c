//! First messages that somebody recorded, cut, altered, made up or sent to the wrong place.

use crate::pair::{Gateway, NOW, Stopped, TestProof, accept, grant, places};
use symbolon_context::AcceptError;
use symbolon_crypto::{Entropy, OpenEnvelope, Purpose, SecretBytes, Suite, TranscriptHash};
use symbolon_issuer::Issuer;
use symbolon_provider::{SystemEntropy, crypto};

#[test]
fn a_replay_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (_, first) = gateway.first(Suite::XWing);
    gateway.accept(&first).unwrap();
    assert_eq!(gateway.accept(&first).err(), Some(Stopped::Core(AcceptError::Replayed)));
}

#[test]
fn a_replay_with_another_cookie_is_the_same_replay() {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, first) = gateway.first(Suite::X25519);
    gateway.accept(&first).unwrap();
    let again = waiting.with_cookie([9; 24]);
    assert_eq!(gateway.accept(&again).err(), Some(Stopped::Core(AcceptError::Replayed)));
}

#[test]
fn a_replay_is_remembered_for_as_long_as_its_time_is_accepted() {
    let mut gateway = Gateway::new("gw.example");
    gateway.clock = NOW.plus_secs(120); // an initiator whose clock is ahead
    let (_, first) = gateway.first(Suite::X25519);
    gateway.clock = NOW;
    let fresh_until = NOW.plus_secs(120 + 120);
    let envelope = symbolon_wire::Decode::from_bytes(&first).unwrap();
    let (key, set) = gateway.keys.key(&symbolon_crypto::Envelope::key(&envelope)).unwrap();
    let check = symbolon_crypto::CheapCheck::new(crypto(), set, Purpose::Context);
    let content = check.check(crypto(), envelope).unwrap().open(crypto(), key).unwrap();
    let opened = symbolon_context::Opened::read(crypto(), content, NOW).unwrap();
    assert!(opened.remember_until() > fresh_until);
}

#[test]
fn a_message_that_is_cut_anywhere_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (_, first) = gateway.first(Suite::X25519);
    for length in 0..first.len() {
        assert_eq!(gateway.open(&first[..length]).err(), Some(Stopped::NoEnvelope), "at {length}");
    }
    let mut longer = first;
    longer.push(0);
    assert_eq!(gateway.open(&longer).err(), Some(Stopped::NoEnvelope));
}

#[test]
fn a_message_with_any_bit_flipped_is_refused() {
    for suite in Suite::ALL {
        let mut gateway = Gateway::new("gw.example");
        let (_, first) = gateway.first(suite);
        for place in places(first.len()) {
            let mut altered = first.clone();
            altered[place] ^= 1 << (place % 8);
            let stopped = gateway.open(&altered).expect_err("altered");
            assert!(!matches!(stopped, Stopped::Core(_)), "{suite}, byte {place}: {stopped:?}");
        }
    }
}

#[test]
fn random_bytes_are_refused_before_any_private_key_is_used() {
    let mut gateway = Gateway::new("gw.example");
    let (_, first) = gateway.first(Suite::XWing);
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    for _ in 0..100 {
        let mut blind = first.clone();
        entropy.fill(&mut blind[10..26]); // the check
        entropy.fill(&mut blind[40..]);
        // the two lengths stay right, or it would not even be an envelope
        blind[27..29].copy_from_slice(&first[27..29]);
        let tail = 29 + Suite::XWing.encapsulation_len();
        blind[tail..tail + 2].copy_from_slice(&first[tail..tail + 2]);
        assert_eq!(gateway.open(&blind).err(), Some(Stopped::Cheaply));
    }
}

#[test]
fn a_registration_is_no_context_and_the_other_way_round() {
    let mut gateway = Gateway::new("gw.example");
    let entropy = &mut SystemEntropy;
    let (suites, purpose) = ([Suite::X25519], Purpose::Registration);
    let open = OpenEnvelope::begin(crypto(), entropy, &gateway.verified, &suites, purpose).unwrap();
    let (envelope, _) = open.seal(&SecretBytes::new(vec![0; 512]));
    let bytes = symbolon_wire::Encode::to_bytes(&envelope);
    assert_eq!(gateway.open(&bytes).err(), Some(Stopped::Cheaply));
    let (_, first) = gateway.first(Suite::X25519);
    assert_eq!(gateway.open_for(&first, Purpose::Registration).err(), Some(Stopped::Cheaply));
}

#[test]
fn a_clock_may_be_two_minutes_off_and_no_more() {
    for (offset, ok) in [(119, true), (121, false)] {
        for ahead in [true, false] {
            let mut gateway = Gateway::new("gw.example");
            let (_, first) = gateway.first(Suite::X25519);
            gateway.clock = if ahead { NOW.plus_secs(offset) } else { NOW.minus_secs(offset) };
            match gateway.accept(&first) {
                Ok(_) => assert!(ok),
                Err(e) => {
                    assert!(!ok);
                    assert_eq!(e, Stopped::Core(AcceptError::Clock { seconds: offset }));
                }
            }
        }
    }
}

#[test]
fn a_message_to_another_gateway_of_the_issuer_is_not_for_us() {
    let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
    let (here, mut there) = (Gateway::of(&issuer, "gw.example"), Gateway::of(&issuer, "other.example"));
    let (_, first) = here.first(Suite::XWing);
    assert_eq!(there.open(&first).err(), Some(Stopped::UnknownKey));
}

#[test]
fn a_proof_of_another_exchange_opens_nothing() {
    let mut gateway = Gateway::new("gw.example");
    let (_, one) = gateway.first(Suite::X25519);
    let (_, other) = gateway.first(Suite::X25519);
    let (one, other) = (gateway.open(&one).unwrap(), gateway.open(&other).unwrap());
    let nothing = TestProof { binding: TranscriptHash([0; 32]), ..TestProof::check(&one) };
    let refused = accept(other, TestProof::check(&one), &grant());
    assert_eq!(refused.err(), Some(AcceptError::ForeignProof));
    let refused = accept(one, nothing, &grant());
    assert_eq!(refused.err(), Some(AcceptError::ForeignProof));
}

#[test]
fn the_length_tells_nothing_about_names_and_passwords() {
    use symbolon_policy::{CanonName, PasswordGateways};
    let gateway = Gateway::new("gw.example");
    let permitted = PasswordGateways::new(["gw.example"]).permit("gw.example").unwrap();
    let length = |user: &str, password: &str| {
        let password = SecretBytes::from(password.to_owned());
        let user = CanonName::parse(user).unwrap();
        let token =
            symbolon_context::PasswordToken::new(user, password, &gateway.verified, &permitted).unwrap();
        let options = symbolon_context::InitiatorOptions::default();
        let (set, entropy) = (&gateway.verified, &mut SystemEntropy);
        symbolon_context::Initiator::begin(crypto(), entropy, set, &options, token, NOW).unwrap().1.len()
    };
    assert_eq!(length("al", "hunter2"), length("alice.longer-name", "correct horse battery staple"));
    assert_eq!(length("al", "hunter2"), gateway.first(Suite::XWing).1.len());
}
