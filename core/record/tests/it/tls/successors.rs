//! What is remembered, and that a successor makes and takes the very same bytes from it.

use super::*;
use proptest::prelude::*;
use symbolon_record::{CallerMisused, HandoverError, KeyUpdateRequest, TLS_STATE};
use symbolon_wire::WireError;

/// A session that knows nothing but the bytes of another's state.
fn successor(of: &TlsSession) -> TlsSession {
    let mut bytes = [0; TLS_STATE];
    of.write_state(&mut bytes);
    assert_eq!(of.state().to_bytes().expose(), &bytes);
    TlsSession::resume(crypto(), &TlsState::from_bytes(&bytes).unwrap())
}

#[test]
fn a_successor_seals_what_was_pinned_to_the_same_bytes() {
    for suite in every_suite() {
        let (mut server, mut client) = pair(suite);
        let payload = vec![9; 40_000];
        server.pin(Outgoing::Data, payload.len()).unwrap();
        let remembered = successor(&server);
        let mut first = vec![0; server.sealed_length()];
        assert_eq!(server.seal(&payload, &mut first), Ok(first.len()));
        let mut again = vec![0; remembered.sealed_length()];
        remembered.seal(&payload, &mut again).unwrap();
        assert_eq!(first, again, "{suite:?}");
        server.seal(&payload, &mut again).unwrap();
        assert_eq!(first, again, "sealing changes nothing");
        assert_eq!(seen(&mut client, &again).unwrap().len(), 3);
    }
}

#[test]
fn another_length_than_was_pinned_is_not_sealed() {
    let (mut server, _) = pair(TlsSuite::Tls13Aes256GcmSha384);
    let mut out = vec![0; 100];
    assert_eq!(server.seal(b"", &mut out), Err(CallerMisused::NothingPinned.into()));
    assert_eq!(server.sent(), Err(CallerMisused::NothingPinned.into()));
    server.pin(Outgoing::Data, 5).unwrap();
    for wrong in [&b"four"[..], b"sixsix"] {
        assert_eq!(server.seal(wrong, &mut out), Err(CallerMisused::NotAsPinned.into()));
    }
    assert_eq!(server.seal(b"exact", &mut out[..26]), Err(CallerMisused::NoRoom.into()));
    assert_eq!(server.pin(Outgoing::Data, 5), Err(CallerMisused::PinnedBefore.into()));
    assert_eq!(server.seal(b"exact", &mut out), Ok(27));
}

#[test]
fn what_was_opened_and_not_received_opens_again() {
    let (server, mut client) = pair(TlsSuite::EcdheEcdsaAes128GcmSha256);
    let records = [data(&mut client, b"one"), data(&mut client, b"two")];
    let mut out = vec![0; 100];
    let mut ahead = server.ahead();
    for (record, expected) in records.iter().zip([b"one", b"two"]) {
        let event = server.open_from(&mut ahead, record, &mut out).unwrap();
        assert_eq!(event, TlsEvent::Data(expected));
    }
    drop(ahead);
    let mut next = successor(&server);
    assert_eq!(seen(&mut next, &records.concat()).unwrap(), ["one", "two"]);
    assert_eq!(next.state().sequences().1, SENT + 2);
}

#[test]
fn nothing_is_opened_beyond_a_change_of_keys_before_it_is_received() {
    let (server, mut client) = pair(TlsSuite::Tls13Aes128GcmSha256);
    let update = sent(&mut client, Outgoing::KeyUpdate(KeyUpdateRequest::Requested));
    let after = data(&mut client, b"new");
    let (mut out, mut ahead) = (vec![0; 100], server.ahead());
    assert_eq!(server.open_from(&mut ahead, &update, &mut out), Ok(TlsEvent::KeyUpdated));
    assert!(!ahead.may_go_on());
    let too_early = server.open_from(&mut ahead, &after, &mut out);
    assert_eq!(too_early, Err(CallerMisused::ReceiveFirst.into()));
    drop(ahead);
    assert_eq!(successor(&server).owed(), None, "it did not happen");
}

#[test]
fn a_request_that_comes_while_data_is_on_its_way_changes_nothing_of_it() {
    let (mut server, mut client) = pair(TlsSuite::Tls13ChaCha20Poly1305Sha256);
    server.pin(Outgoing::Data, 5).unwrap();
    let mut first = vec![0; server.sealed_length()];
    server.seal(b"hello", &mut first).unwrap();
    let update = sent(&mut client, Outgoing::KeyUpdate(KeyUpdateRequest::Requested));
    seen(&mut server, &update).unwrap();

    let mut server = successor(&server);
    assert_eq!(server.pinned(), Some((Outgoing::Data, 5)));
    let mut again = vec![0; server.sealed_length()];
    server.seal(b"hello", &mut again).unwrap();
    assert_eq!(first, again);
    server.sent().unwrap();
    let answer = data(&mut server, b"!");
    assert_eq!(seen(&mut client, &[again, answer].concat()).unwrap(), ["hello", "KeyUpdated", "!"]);
}

#[test]
fn a_state_has_one_form_and_does_not_print_itself() {
    for suite in every_suite() {
        let state = pair(suite).0.state();
        let printed = format!("{state:?} {:?}", pair(suite).0);
        assert!(!printed.contains("1, 1, 1") && !printed.contains("0101"), "{printed}");
        let bytes = state.to_bytes();
        assert_eq!(TlsState::from_bytes(bytes.expose()).unwrap().to_bytes(), bytes);
    }
    const { assert!(TLS_STATE <= 280) };
}

#[test]
fn parts_that_do_not_belong_together_are_not_handed_over() {
    let after = |suite, sending: HandedOver<'_>| {
        let receiving = Keys::new(suite, 2);
        let receiving = receiving.handed_over(0);
        TlsState::after_handshake(crypto(), TlsRole::Server, suite, sending, receiving).err()
    };
    let suite = TlsSuite::Tls13Aes128GcmSha256;
    let keys = Keys::new(suite, 1);
    let good = keys.handed_over(0);
    assert_eq!(after(suite, good), None);
    let (other_key, other_secret) = ([8; 16], [3; 32]);
    for (wrong, error) in [
        (HandedOver { key: &other_key, ..good }, HandoverError::Disagreement),
        (HandedOver { iv: &[1; 12], ..good }, HandoverError::Disagreement),
        (HandedOver { traffic_secret: Some(&other_secret), ..good }, HandoverError::Disagreement),
        (HandedOver { traffic_secret: Some(&other_secret[1..]), ..good }, HandoverError::SecretLength),
        (HandedOver { traffic_secret: None, ..good }, HandoverError::SecretLength),
        (HandedOver { key: &other_secret, ..good }, HandoverError::KeyLength),
        (HandedOver { key: &[], ..good }, HandoverError::KeyLength),
        (HandedOver { sequence: 1 << 24, ..good }, HandoverError::Sequence),
    ] {
        assert_eq!(after(suite, wrong), Some(error), "{wrong:?}");
    }
    let suite = TlsSuite::EcdheRsaAes128GcmSha256;
    let keys = Keys::new(suite, 1);
    let with_secret = HandedOver { traffic_secret: Some(&other_secret), ..keys.handed_over(0) };
    assert_eq!(after(suite, with_secret), Some(HandoverError::SecretLength));
}

#[test]
fn states_that_no_session_has_are_refused() {
    let state = pair(TlsSuite::EcdheEcdsaAes128GcmSha256).0.state();
    let good = *state.to_bytes().expose();
    let impossible = |at: usize, value: u8| {
        let mut bytes = good;
        bytes[at] = value;
        TlsState::from_bytes(&bytes).err()
    };
    assert_eq!(impossible(0, 2), Some(WireError::UnknownVersion(2)));
    let bad = Some(WireError::BadValue("TLS state"));
    for (at, value) in [
        (1, 2),
        (2, 0xff),
        (4, 3),
        (5, 3),
        (6, 1),
        (6, 4),
        (7, 33),
        (8, 4),
        (8, 1),
        (10, 1),
        (14, 4),
        (15, 1),
    ] {
        assert_eq!(impossible(at, value), bad, "byte {at}: {value}");
    }
    let padding = Some(WireError::BadValue("padding"));
    assert_eq!(impossible(20, 1), padding, "TLS 1.2 has no traffic secret");
    assert_eq!(impossible(20 + 48 + 16, 1), padding, "AES-128 has 16 bytes");
    assert_eq!(impossible(20 + 92, 0x81), Some(WireError::BadValue("sequence number")));
}

#[test]
fn a_state_at_the_end_of_all_numbers_goes_no_further() {
    let (server, mut client) = pair(TlsSuite::Tls13ChaCha20Poly1305Sha256);
    let mut bytes = *server.state().to_bytes().expose();
    for direction in [20, 120] {
        bytes[direction + 92..][..8].copy_from_slice(&(1u64 << 63).to_be_bytes());
    }
    let mut server = TlsSession::resume(crypto(), &TlsState::from_bytes(&bytes).unwrap());
    let update = server.owed().unwrap();
    assert_eq!(server.pin(update, 0), Err(RecordError::Exhausted));
    let record = data(&mut client, b"x");
    assert_eq!(seen(&mut server, &record), Err(symbolon_record::PeerMisbehaved::Forged.into()));
}

proptest! {
    /// Whatever the bytes are, they are refused or come out as they went in.
    #[test]
    fn a_changed_state_is_refused_or_is_another(at in 0..TLS_STATE, to in any::<u8>(), suite in 0..10usize) {
        let state = pair(every_suite().nth(suite).unwrap()).0.state();
        let mut bytes = *state.to_bytes().expose();
        bytes[at] = to;
        if let Ok(state) = TlsState::from_bytes(&bytes) {
            prop_assert!(state.to_bytes().expose() == &bytes);
            let session = TlsSession::resume(crypto(), &state);
            prop_assert!(session.state().to_bytes().expose() == &bytes);
        }
    }

    /// A conversation in which a side is replaced by its successor between any two steps.
    #[test]
    fn a_conversation_goes_on_whenever_a_side_is_replaced(
        steps in proptest::collection::vec((any::<bool>(), 0..4u8, 1..3000usize), 1..40),
        suite in 0..10usize,
    ) {
        let (mut server, mut client) = pair(every_suite().nth(suite).unwrap());
        for (down, what, length) in steps {
            let (from, to) = if down { (&mut server, &mut client) } else { (&mut client, &mut server) };
            let payload = vec![b'a' + what; length];
            let bytes = match what {
                0 if from.suite().secret_length() > 0 => {
                    sent(from, Outgoing::KeyUpdate(KeyUpdateRequest::Requested))
                }
                _ => data(from, &payload),
            };
            if what == 1 {
                *from = successor(from);
            }
            *to = successor(to);
            let heard = seen(to, &bytes).unwrap();
            if heard.last().is_some_and(|h| h != "KeyUpdated") {
                prop_assert_eq!(heard.last().unwrap().as_bytes(), &payload[..]);
            }
        }
    }
}
