//! Second messages that somebody recorded, cut, altered, or that a gateway without the key made.

use crate::pair::{Gateway, TestProof, accept, grant, places, refused};
use symbolon_context::InitiateError;
use symbolon_crypto::{Secret, Suite};

#[test]
fn a_message_that_is_cut_altered_or_longer_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    // A waiting state is used up by one attempt, so each alteration takes an exchange of its own;
    // the short suite keeps that cheap.
    let (_, sample) = gateway.first(Suite::X25519);
    let (_, sample) = gateway.accept(&sample).unwrap();
    for place in places(sample.len()) {
        let mut exchange = |alter: &dyn Fn(&mut Vec<u8>)| {
            let (waiting, first) = gateway.first(Suite::X25519);
            let (_, mut second) = gateway.accept(&first).unwrap();
            alter(&mut second);
            waiting.finish(&second)
        };
        assert!(refused(exchange(&|m| m[place] ^= 1 << (place % 8))), "bit flipped in {place}");
        assert!(refused(exchange(&|m| m.truncate(place))), "cut at {place}");
    }
    let (waiting, first) = gateway.first(Suite::X25519);
    let (_, mut second) = gateway.accept(&first).unwrap();
    second.push(0);
    assert!(refused(waiting.finish(&second)));
}

#[test]
fn the_answer_to_another_exchange_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    for suite in Suite::ALL {
        let (waiting, first) = gateway.first(suite);
        let (_, other) = gateway.first(suite);
        gateway.accept(&first).unwrap();
        let (_, crossed) = gateway.accept(&other).unwrap();
        assert_eq!(waiting.finish(&crossed).err(), Some(InitiateError::Forged), "{suite}");
    }
}

#[test]
fn the_answer_of_another_gateway_is_refused() {
    let (mut here, mut there) = (Gateway::new("gw.example"), Gateway::new("gw.example"));
    let (waiting, first) = here.first(Suite::XWing);
    here.accept(&first).unwrap();
    let (_, theirs) = there.first(Suite::XWing);
    let (_, second) = there.accept(&theirs).unwrap();
    assert_eq!(waiting.finish(&second).err(), Some(InitiateError::Forged));
}

#[test]
fn cve_reflected_first_message_is_no_answer() {
    let gateway = Gateway::new("gw.example");
    let (waiting, first) = gateway.first(Suite::XWing);
    assert!(refused(waiting.finish(&first)));
}

#[test]
fn a_gateway_that_does_not_return_the_second_number_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, first) = gateway.first(Suite::X25519);
    let fresh = gateway.open(&first).unwrap();
    let proof = TestProof { reply: Vec::new(), ..TestProof::check(&fresh) };
    let (_, second) = accept(fresh, proof, &grant()).unwrap();
    assert_eq!(waiting.finish(&second).err(), Some(InitiateError::Forged));
}

#[test]
fn a_gateway_that_has_another_contribution_cannot_answer() {
    for contribution in [None, Some(Secret::new([4; 32]))] {
        let mut gateway = Gateway::new("gw.example");
        let (waiting, first) = gateway.first(Suite::X25519);
        let fresh = gateway.open(&first).unwrap();
        let proof = TestProof { contribution, ..TestProof::check(&fresh) };
        let (_, second) = accept(fresh, proof, &grant()).unwrap();
        assert_eq!(waiting.finish(&second).err(), Some(InitiateError::Forged));
    }
}

#[test]
fn a_subject_that_could_move_the_cursor_is_refused() {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, first) = gateway.first(Suite::X25519);
    let fresh = gateway.open(&first).unwrap();
    let proof = TestProof::check(&fresh);
    let grant = symbolon_context::Grant { subject: "alice\u{1b}[2J".into(), ..grant() };
    let (_, second) = accept(fresh, proof, &grant).unwrap();
    assert!(matches!(waiting.finish(&second).err(), Some(InitiateError::Malformed(_))));
}
