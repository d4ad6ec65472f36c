//! Registration (B3–B7) with somebody on the path.

use crate::pair::{Gateway, NOW, grant, places, request};
use symbolon_crypto::{Purpose, Secret, Suite};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::{AwaitReply, InvitationCode, MAX_ANSWERS, RegistrationError};

#[test]
fn both_sides_get_the_same_key_in_every_suite() {
    for suite in Suite::ALL {
        let mut gateway = Gateway::new("gw.example");
        let (waiting, request) = gateway.request(suite);
        let (key, reply, confirming) = gateway.accept(&request).unwrap();
        let (registered, done, confirmation) = waiting.finish(&reply).unwrap();
        assert_eq!(registered.key, key, "{suite}");
        assert_eq!(registered.grant, grant());
        done.finish(&confirming.confirm(&confirmation).unwrap()).unwrap();
    }
}

#[test]
fn the_gateway_reads_what_the_client_asked_for() {
    let mut gateway = Gateway::new("gw.example");
    let (_, bytes) = gateway.request(Suite::XWing);
    let opened = gateway.open(&bytes).unwrap();
    let (asked, sent) = (opened.request(), request());
    assert_eq!((&asked.template, &asked.answers, &asked.label), (&sent.template, &sent.answers, &sent.label));
    assert_eq!((&asked.invitation, asked.class), (&sent.invitation, sent.class));
}

#[test]
fn the_key_is_no_mixture_of_what_is_on_the_wire() {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, request) = gateway.request(Suite::X25519);
    let (key, reply, confirming) = gateway.accept(&request).unwrap();
    let (_, _, confirmation) = waiting.finish(&reply).unwrap();
    let done = confirming.confirm(&confirmation).unwrap();
    let wire = [request, reply, confirmation, done].concat();
    let key = key.secret().expose();
    for (i, one) in wire.windows(32).enumerate() {
        assert_ne!(one, key);
        for other in wire[i + 1..].windows(32).step_by(7) {
            let mixed = one.iter().zip(other).zip(key).all(|((a, b), k)| a ^ b == *k);
            assert!(!mixed, "XOR, the combination that the patent allows");
        }
    }
}

#[test]
fn two_registrations_have_two_keys() {
    let mut gateway = Gateway::new("gw.example");
    let (_, one) = gateway.request(Suite::X25519);
    let (_, other) = gateway.request(Suite::X25519);
    assert_ne!(gateway.accept(&one).unwrap().0, gateway.accept(&other).unwrap().0);
}

#[test]
fn a_request_that_is_cut_or_altered_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (_, request) = gateway.request(Suite::XWing);
    for place in places(request.len()) {
        let mut altered = request.clone();
        altered[place] ^= 1 << (place % 8);
        assert_eq!(gateway.open(&altered).err(), Some(RegistrationError::Forged), "byte {place}");
        assert_eq!(gateway.open(&request[..place]).err(), Some(RegistrationError::Forged));
    }
    gateway.open(&request).unwrap();
}

#[test]
fn a_reply_that_is_cut_or_altered_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let mut exchange = |alter: &dyn Fn(&mut Vec<u8>)| {
        let (waiting, request) = gateway.request(Suite::X25519);
        let (_, mut reply, _) = gateway.accept(&request).unwrap();
        let length = reply.len();
        alter(&mut reply);
        let refused = waiting.finish(&reply).err();
        assert!(matches!(refused, Some(RegistrationError::Forged | RegistrationError::Malformed(_))));
        length
    };
    let length = exchange(&|m| m.push(0));
    for place in places(length) {
        exchange(&|m| m[place] ^= 1 << (place % 8));
        exchange(&|m| m.truncate(place));
    }
}

#[test]
fn a_replayed_request_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, request) = gateway.request(Suite::X25519);
    gateway.accept(&request).unwrap();
    assert_eq!(gateway.accept(&request).err(), Some(RegistrationError::Replayed));
    let again = waiting.with_cookie([1; 24]);
    assert_eq!(gateway.accept(&again).err(), Some(RegistrationError::Replayed));
}

#[test]
fn a_reply_to_another_request_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (one, first) = gateway.request(Suite::XWing);
    let (_, other) = gateway.request(Suite::XWing);
    gateway.accept(&first).unwrap();
    let (_, crossed, _) = gateway.accept(&other).unwrap();
    assert_eq!(one.finish(&crossed).err(), Some(RegistrationError::Forged));
}

#[test]
fn a_wrong_confirmation_is_refused_on_both_sides() {
    let mut gateway = Gateway::new("gw.example");
    let mut exchange = || {
        let (waiting, request) = gateway.request(Suite::X25519);
        let (_, reply, confirming) = gateway.accept(&request).unwrap();
        let (_, done, confirmation) = waiting.finish(&reply).unwrap();
        (confirming, confirmation, done)
    };
    for place in 0..32 {
        let (confirming, mut confirmation, _) = exchange();
        confirmation[place] ^= 1;
        assert_eq!(confirming.confirm(&confirmation), Err(RegistrationError::Forged));
    }
    let (confirming, confirmation, _) = exchange();
    assert_eq!(confirming.confirm(&confirmation[..31]), Err(RegistrationError::Forged));
    // what one side says proves nothing when it is said back to it
    let (_, confirmation, done) = exchange();
    assert_eq!(done.finish(&confirmation), Err(RegistrationError::Forged));
    let (confirming, _, _) = exchange();
    let (other, confirmation, _) = exchange();
    other.confirm(&confirmation).unwrap();
    assert_eq!(confirming.confirm(&confirmation), Err(RegistrationError::Forged));
}

#[test]
fn a_clock_may_be_two_minutes_off_and_no_more() {
    for (clock, ok) in [
        (NOW.plus_secs(119), true),
        (NOW.minus_secs(119), true),
        (NOW.plus_secs(121), false),
        (NOW.minus_secs(121), false),
    ] {
        let mut gateway = Gateway::new("gw.example");
        let (_, request) = gateway.request(Suite::X25519);
        gateway.clock = clock;
        let refused = gateway.open(&request).err();
        assert_eq!(refused, (!ok).then_some(RegistrationError::Clock { seconds: 121 }));
    }
}

#[test]
fn a_registration_does_not_open_as_a_context() {
    let gateway = Gateway::new("gw.example");
    let (_, request) = gateway.request(Suite::X25519);
    assert!(gateway.content(&request, Purpose::Context).is_none());
    assert!(gateway.content(&request, Purpose::Registration).is_some());
}

#[test]
fn answers_and_labels_have_bounds() {
    let mut gateway = Gateway::new("gw.example");
    let mut refused = |change: &dyn Fn(&mut symbolon_token::RegistrationRequest)| {
        let mut asked = request();
        change(&mut asked);
        let (set, suites) = (&gateway.verified, [Suite::X25519]);
        let (_, bytes) = AwaitReply::begin(crypto(), &mut SystemEntropy, set, &suites, &asked, NOW).unwrap();
        matches!(gateway.open(&bytes).err(), Some(RegistrationError::Malformed(_)))
    };
    assert!(!refused(&|r| r.answers = vec![0; MAX_ANSWERS]));
    assert!(refused(&|r| r.answers = vec![0; MAX_ANSWERS + 1]));
    assert!(!refused(&|r| r.label = "x".repeat(64)));
    assert!(refused(&|r| r.label = "x".repeat(65)));
    assert!(refused(&|r| r.label = "two\nlines".into()));
    assert!(!refused(&|r| r.invitation = None));
}

#[test]
fn the_largest_request_fits_a_frame() {
    let gateway = Gateway::new("gw.example");
    let asked = symbolon_token::RegistrationRequest { answers: vec![0; MAX_ANSWERS], ..request() };
    let (set, suites) = (&gateway.verified, [Suite::XWing]);
    let (_, bytes) = AwaitReply::begin(crypto(), &mut SystemEntropy, set, &suites, &asked, NOW).unwrap();
    assert!(bytes.len() <= symbolon_wire::MAX_BODY_BEFORE_SESSION, "{}", bytes.len());
}

#[test]
fn an_invitation_is_kept_by_its_hash() {
    let hash = |byte| InvitationCode::new(Secret::new([byte; 16])).hash(crypto());
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
    assert!(!hash(1).windows(4).any(|w| w == [1; 4]));
}
