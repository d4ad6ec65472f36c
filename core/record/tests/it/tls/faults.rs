//! What a hostile peer or path can do, and what the peer is told of it.

use super::*;
use proptest::prelude::*;
use symbolon_record::{Alert, MAX_PLAINTEXT, MAX_RECORD, PeerMisbehaved, TlsVersion};

fn told(session: &mut TlsSession, bytes: &[u8]) -> Option<Alert> {
    let error = seen(session, bytes).unwrap_err();
    match session.fail(&error) {
        Some(Outgoing::Alert(alert)) => Some(alert),
        Some(other) => panic!("{other:?} is no alert"),
        None => None,
    }
}

#[test]
fn every_flipped_bit_of_a_record_is_refused() {
    for suite in every_suite() {
        let (_, mut client) = pair(suite);
        let record = data(&mut client, b"to the application");
        for bit in 0..record.len() * 8 {
            let (mut server, _) = pair(suite);
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match seen(&mut server, &flipped) {
                Err(RecordError::PeerMisbehaved(_)) => {}
                // a greater length: bytes are missing
                Ok(events) => assert!(events.is_empty() && matches!(bit / 8, 3 | 4), "{suite:?} bit {bit}"),
                Err(other) => panic!("{suite:?} bit {bit}: {other:?}"),
            }
            assert!(server.end_of_input().is_err());
        }
    }
}

#[test]
fn a_cut_record_waits_and_its_connection_ends_truncated() {
    for suite in TlsSuite::TLS {
        let (mut server, mut client) = pair(suite);
        let record = data(&mut client, b"half of it");
        for cut in 0..record.len() {
            assert_eq!(seen(&mut server, &record[..cut]).unwrap(), [""; 0]);
            assert_eq!(server.end_of_input(), Err(RecordError::Truncated));
        }
        let mut ahead = server.ahead();
        let mut out = [0; 64];
        for cut in 0..record.len() {
            let error = server.open_from(&mut ahead, &record[..cut], &mut out);
            assert_eq!(error, Err(PeerMisbehaved::Undersized.into()));
        }
        assert_eq!(seen(&mut server, &record).unwrap(), ["half of it"], "a failed try changes nothing");
    }
}

#[test]
fn a_repeated_moved_or_returned_record_is_refused() {
    for suite in TlsSuite::TLS {
        let forged = Err(PeerMisbehaved::Forged.into());
        let (mut server, mut client) = pair(suite);
        let (one, two) = (data(&mut client, b"one"), data(&mut client, b"two"));
        assert_eq!(seen(&mut server, &two), forged);
        assert_eq!(seen(&mut server, &one).unwrap(), ["one"]);
        assert_eq!(seen(&mut server, &one), forged);
        let own = data(&mut server, b"down");
        assert_eq!(seen(&mut server, &own), forged, "{suite:?}");
    }
}

#[test]
fn the_alert_fits_the_fault() {
    for suite in TlsSuite::TLS {
        let tls13 = suite.version() == TlsVersion::Tls13;
        let told_by = |content: u8, payload: &[u8]| {
            let (mut server, client) = pair(suite);
            told(&mut server, &sealed_by_hand(&client, content, payload))
        };
        assert_eq!(told_by(21, &[1]), Some(Alert::DecodeError));
        assert_eq!(told_by(21, &[]), Some(Alert::UnexpectedMessage));
        assert_eq!(told_by(22, &[]), Some(Alert::UnexpectedMessage));
        assert_eq!(told_by(22, &[20, 0, 0, 0]), Some(Alert::UnexpectedMessage), "Finished");
        assert_eq!(told_by(20, &[1]), Some(Alert::UnexpectedMessage), "change_cipher_spec");
        assert_eq!(told_by(0x45, b"\x01end"), Some(Alert::UnexpectedMessage), "ours, not TLS");
        assert_eq!(told_by(99, b"?"), Some(Alert::UnexpectedMessage));
        if tls13 {
            assert_eq!(told_by(22, &[24, 0, 0, 1, 2]), Some(Alert::IllegalParameter));
            assert_eq!(told_by(22, &[24, 0, 0, 2, 0, 0]), Some(Alert::DecodeError));
            assert_eq!(told_by(22, &[24, 0, 0, 1]), Some(Alert::UnexpectedMessage), "divided");
        } else {
            assert_eq!(told_by(21, &[3, 0]), Some(Alert::IllegalParameter));
        }
        let (mut server, mut client) = pair(suite);
        let mut record = data(&mut client, b"x");
        *record.last_mut().unwrap() ^= 1;
        assert_eq!(told(&mut server, &record), Some(Alert::BadRecordMac));
    }
}

#[test]
fn a_record_that_is_too_long_is_refused_by_its_header_and_by_its_content() {
    for suite in TlsSuite::TLS {
        let (mut server, client) = pair(suite);
        let longest = sealed_by_hand(&client, 23, &[b'x'; MAX_PLAINTEXT]);
        assert_eq!(seen(&mut server, &longest).unwrap()[0].len(), MAX_PLAINTEXT);
        let (mut server, client) = pair(suite);
        let longer = sealed_by_hand(&client, 23, &[b'x'; MAX_PLAINTEXT + 1]);
        assert_eq!(told(&mut server, &longer), Some(Alert::RecordOverflow));
        let (mut server, _) = pair(suite);
        let [high, low] = ((MAX_RECORD - 4) as u16).to_be_bytes();
        assert_eq!(told(&mut server, &[23, 3, 3, high, low]), Some(Alert::RecordOverflow), "{suite:?}");
    }
}

#[test]
fn a_record_without_encryption_is_refused() {
    for (suite, record) in [
        (TlsSuite::Tls13Aes128GcmSha256, &[21, 3, 3, 0, 2, 2, 40][..]),
        (TlsSuite::Tls13Aes128GcmSha256, &[20, 3, 3, 0, 1, 1]),
        (TlsSuite::EcdheRsaAes128GcmSha256, &[20, 3, 3, 0, 1, 1]),
        (TlsSuite::EcdheRsaAes128GcmSha256, b"GET / HTTP/1.1\r\n"),
    ] {
        let (mut server, _) = pair(suite);
        assert_eq!(told(&mut server, record), Some(Alert::UnexpectedMessage));
    }
    let (mut server, _) = pair(TlsSuite::EcdheRsaAes128GcmSha256);
    assert_eq!(told(&mut server, &[21, 3, 3, 0, 2, 2, 40]), Some(Alert::BadRecordMac));
}

#[test]
fn padding_of_tls_1_3_is_taken_off() {
    let (mut server, client) = pair(TlsSuite::Tls13Aes256GcmSha384);
    // type 23 by hand within the payload, zeros after it, the last of which stands for the type
    let padded = sealed_by_hand(&client, 0, b"hello\x17\0\0\0");
    assert_eq!(seen(&mut server, &padded).unwrap(), ["hello"]);
    let (mut server, client) = pair(TlsSuite::Tls13Aes256GcmSha384);
    assert_eq!(told(&mut server, &sealed_by_hand(&client, 0, &[0; 9])), Some(Alert::UnexpectedMessage));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_wait(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        suite in 0..9usize,
        with_header in any::<bool>(),
    ) {
        let (mut server, _) = pair(TlsSuite::TLS[suite]);
        if with_header && bytes.len() >= 5 {
            let [high, low] = (bytes.len() as u16 - 5).to_be_bytes();
            bytes[..5].copy_from_slice(&[23, 3, 3, high, low]);
        }
        prop_assert!(seen(&mut server, &bytes).is_ok_and(|events| events.is_empty()) || server.end_of_input().is_err());
        prop_assert_eq!(server.state().sequences(), (SENT, SENT));
    }

    /// A peer that has the keys and no manners.
    #[test]
    fn any_content_is_taken_or_refused_and_nothing_panics(
        records in proptest::collection::vec(
            (prop_oneof![Just(20u8), Just(21), Just(22), Just(23), any::<u8>()],
             proptest::collection::vec(prop_oneof![0..5u8, Just(24u8), any::<u8>()], 0..12)),
            1..20,
        ),
        suite in 0..10usize,
        role in any::<bool>(),
    ) {
        let suite = every_suite().nth(suite).unwrap();
        let (server, client) = pair_at(suite, 0, 0);
        let (mut session, keys) =
            if role { (server, Keys::new(suite, 2)) } else { (client, Keys::new(suite, 1)) };
        for (number, (content, payload)) in records.into_iter().enumerate() {
            let record = by_hand::seal(suite, &keys, number as u64, content, &payload);
            match seen(&mut session, &record) {
                Ok(events) => prop_assert_eq!(events.len(), 1),
                Err(error) => {
                    session.fail(&error);
                    prop_assert!(!session.is_receiving());
                    break;
                }
            }
            let state = session.state();
            prop_assert_eq!(TlsState::from_bytes(state.to_bytes().expose()).unwrap().to_bytes(), state.to_bytes());
        }
    }
}
