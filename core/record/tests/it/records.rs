//! Sealer, opener and deframer.

use proptest::prelude::*;
use symbolon_crypto::Secret;
use symbolon_provider::crypto;
use symbolon_record::{
    Alert, CallerMisused, Cipher, ContentType, Deframer, MAX_PLAINTEXT, MAX_RECORD, PeerMisbehaved,
    RECORD_HEADER, RECORD_OVERHEAD, RecordError, RecordKeys, RecordOpener, RecordSealer,
};

const SECRET: [u8; 32] = [1; 32];

fn sealer() -> RecordSealer {
    RecordSealer::new(crypto(), Secret::new(SECRET))
}

fn opener() -> RecordOpener {
    RecordOpener::new(crypto(), Secret::new(SECRET))
}

fn data(sealer: &mut RecordSealer, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    sealer.seal_into(ContentType::ApplicationData, payload, &mut record).unwrap();
    record
}

/// A record around any inner plaintext, which a peer with the key could send.
fn sealed_by_hand(inner: &[u8]) -> Vec<u8> {
    let key: Secret<32> = expand(b"key");
    let iv: Secret<12> = expand(b"iv");
    let [high, low] = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
    let mut record = vec![23, 3, 3, high, low];
    let header = record.clone();
    record.extend_from_slice(inner);
    let tag = crypto().aes256_gcm(&key).seal(iv.expose(), &header, &mut record[RECORD_HEADER..]);
    record.extend_from_slice(&tag);
    record
}

fn expand<const N: usize>(label: &[u8]) -> Secret<N> {
    crypto().expand(&Secret::new(SECRET), &[&[0, N as u8, 6 + label.len() as u8], b"tls13 ", label, &[0]])
}

fn peer(fault: PeerMisbehaved) -> RecordError {
    RecordError::PeerMisbehaved(fault)
}

#[test]
fn a_record_is_sealed_and_opened_where_it_stands() {
    let mut buffer = [0; 64];
    buffer[RECORD_HEADER..][..5].copy_from_slice(b"hello");
    let mut sealer = sealer();
    let record = sealer.seal_in_place(&mut buffer, 5, ContentType::ApplicationData).unwrap();
    assert_eq!(record.len(), 5 + RECORD_OVERHEAD);
    assert_eq!(sealer.sequence(), 1);
    let mut opener = opener();
    let opened = opener.open_in_place(&mut buffer[..5 + RECORD_OVERHEAD]);
    assert_eq!(opened, Ok((ContentType::ApplicationData, &mut b"hello".to_owned()[..])));
    assert_eq!(opener.sequence(), 1);
}

#[test]
fn a_successor_with_secret_and_number_makes_the_same_bytes() {
    let mut first = sealer();
    data(&mut first, b"one");
    let secret = first.keys().traffic_secret().unwrap().duplicate();
    let keys = RecordKeys::derive(crypto(), Cipher::Aes256Gcm, secret);
    let mut successor = RecordSealer::at_sequence(keys, first.sequence());
    assert_eq!(data(&mut first, b"two"), data(&mut successor, b"two"));
    assert_eq!(first.sequence(), successor.sequence());
}

#[test]
fn padding_is_taken_off() {
    let mut record = sealed_by_hand(b"hello\x17\0\0\0");
    assert_eq!(
        opener().open_in_place(&mut record),
        Ok((ContentType::ApplicationData, &mut b"hello".to_owned()[..]))
    );
}

#[test]
fn a_record_with_nothing_but_padding_is_refused() {
    assert_eq!(opener().open_in_place(&mut sealed_by_hand(&[0; 40])), Err(peer(PeerMisbehaved::NoContent)));
}

#[test]
fn an_unknown_content_type_is_refused() {
    for unknown in [1, 20, 24, 0x44, 0x46, 255] {
        let error = peer(PeerMisbehaved::UnexpectedContent(unknown));
        assert_eq!(opener().open_in_place(&mut sealed_by_hand(&[b'x', unknown])), Err(error));
    }
}

#[test]
fn too_much_content_is_refused_even_when_it_authenticates() {
    let mut largest = vec![1; MAX_PLAINTEXT];
    largest.push(23);
    assert!(opener().open_in_place(&mut sealed_by_hand(&largest)).is_ok());
    largest.insert(0, 1);
    assert_eq!(opener().open_in_place(&mut sealed_by_hand(&largest)), Err(peer(PeerMisbehaved::Oversized)));
    let mut padded = vec![23];
    padded.resize(MAX_PLAINTEXT + 2, 0);
    assert_eq!(opener().open_in_place(&mut sealed_by_hand(&padded)), Err(peer(PeerMisbehaved::Oversized)));
}

#[test]
fn a_record_of_the_wrong_length_is_refused() {
    let record = data(&mut sealer(), b"hello");
    for cut in 0..record.len() {
        assert_eq!(
            opener().open_in_place(&mut record[..cut].to_vec()),
            Err(peer(PeerMisbehaved::Undersized))
        );
    }
    let mut longer = record.clone();
    longer.push(0);
    assert_eq!(opener().open_in_place(&mut longer), Err(peer(PeerMisbehaved::Undersized)));
    let mut tagless = vec![23, 3, 3, 0, 16];
    tagless.resize(21, 0);
    assert_eq!(opener().open_in_place(&mut tagless), Err(peer(PeerMisbehaved::Undersized)));
    let mut huge = vec![23, 3, 3, 0x41, 1];
    huge.resize(MAX_RECORD + 1, 0);
    assert_eq!(opener().open_in_place(&mut huge), Err(peer(PeerMisbehaved::Oversized)));
}

#[test]
fn every_flipped_bit_is_refused() {
    let record = data(&mut sealer(), b"to the gateway");
    for bit in 0..record.len() * 8 {
        let mut flipped = record.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = opener().open_in_place(&mut flipped).unwrap_err();
        assert!(matches!(error, RecordError::PeerMisbehaved(_)), "bit {bit}: {error:?}");
    }
}

#[test]
fn a_repeated_or_exchanged_record_is_refused() {
    let mut sealer = sealer();
    let (one, two) = (data(&mut sealer, b"one"), data(&mut sealer, b"two"));
    let forged = Err(peer(PeerMisbehaved::Forged));
    assert_eq!(opener().open_in_place(&mut two.clone()), forged);
    let mut opener = opener();
    assert!(opener.open_in_place(&mut one.clone()).is_ok());
    assert_eq!(opener.open_in_place(&mut one.clone()), forged);
    assert!(opener.open_in_place(&mut two.clone()).is_ok(), "a refused record uses up no number");
}

#[test]
fn a_payload_that_does_not_fit_is_the_callers_fault() {
    let mut buffer = vec![0; MAX_RECORD];
    let mut sealer = sealer();
    let too_long = sealer.seal_in_place(&mut buffer, MAX_PLAINTEXT + 1, ContentType::ApplicationData);
    assert_eq!(too_long, Err(CallerMisused::PayloadTooLong.into()));
    let no_room = sealer.seal_in_place(&mut buffer[..26], 5, ContentType::ApplicationData);
    assert_eq!(no_room, Err(CallerMisused::NoRoom.into()));
    assert_eq!(sealer.sequence(), 0);
}

#[test]
fn the_peer_is_told_by_the_alert_that_fits() {
    let alerts = [
        (peer(PeerMisbehaved::Forged), Some(Alert::BadRecordMac)),
        (peer(PeerMisbehaved::Oversized), Some(Alert::RecordOverflow)),
        (peer(PeerMisbehaved::Undersized), Some(Alert::BadRecordMac)),
        (peer(PeerMisbehaved::Malformed("alert")), Some(Alert::DecodeError)),
        (peer(PeerMisbehaved::IllegalValue("key update")), Some(Alert::IllegalParameter)),
        (peer(PeerMisbehaved::NoContent), Some(Alert::UnexpectedMessage)),
        (RecordError::Exhausted, Some(Alert::InternalError)),
        (RecordError::Truncated, None),
        (RecordError::PeerGaveUp(20), None),
        (CallerMisused::NoRoom.into(), None),
    ];
    for (error, alert) in alerts {
        assert_eq!(error.alert(), alert, "{error}");
    }
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_same_records_come_out(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..12),
        cuts in proptest::collection::vec(1usize..4000, 1..40),
    ) {
        let mut sealer = sealer();
        let records: Vec<Vec<u8>> = payloads.iter().map(|p| data(&mut sealer, p)).collect();
        let stream = records.concat();
        let (mut deframer, mut found, mut rest) = (Deframer::new(), Vec::new(), &stream[..]);
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = (*cuts.next().unwrap()).min(rest.len());
            let (piece, after) = rest.split_at(cut);
            prop_assert_eq!(deframer.feed(piece), cut);
            while let Some(record) = deframer.next_record().unwrap() {
                found.push(record.to_vec());
            }
            rest = after;
        }
        prop_assert_eq!(found, records);
        prop_assert!(deframer.is_empty());
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(opener().open_in_place(&mut bytes.clone()).is_err());
        let mut deframer = Deframer::new();
        deframer.feed(&bytes);
        while let Ok(Some(record)) = deframer.next_record() {
            prop_assert!(opener().open_in_place(record).is_err());
        }
    }

    #[test]
    fn bytes_with_a_record_header_are_refused_too(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let [high, low] = (body.len() as u16).to_be_bytes();
        let mut record = vec![23, 3, 3, high, low];
        record.extend_from_slice(&body);
        prop_assert!(opener().open_in_place(&mut record).is_err());
    }
}
