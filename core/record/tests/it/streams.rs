//! Streams: half-close, ends, key changes, cuts.

use proptest::prelude::*;
use symbolon_crypto::Secret;
use symbolon_provider::crypto;
use symbolon_record::{
    CallerMisused, ContentType, DATA_ROOM, DATA_TAIL, KeyUpdateRequest, PeerMisbehaved, RecordError,
    RecordOpener, RecordSealer, StreamEnd, StreamEvent, StreamRecords,
};

const UP: [u8; 32] = [1; 32];
const DOWN: [u8; 32] = [2; 32];

fn pair() -> (StreamRecords, StreamRecords) {
    let sealer = |secret| RecordSealer::new(crypto(), Secret::new(secret));
    let opener = |secret| RecordOpener::new(crypto(), Secret::new(secret));
    (StreamRecords::new(sealer(UP), opener(DOWN)), StreamRecords::new(sealer(DOWN), opener(UP)))
}

fn data(stream: &mut StreamRecords, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; DATA_ROOM + payload.len() + DATA_TAIL];
    buffer[DATA_ROOM..][..payload.len()].copy_from_slice(payload);
    stream.seal_data(&mut buffer, payload.len()).unwrap().to_vec()
}

/// What the stream sees in `bytes`, in words.
fn seen(stream: &mut StreamRecords, bytes: &[u8]) -> Vec<String> {
    let (mut events, mut fed) = (Vec::new(), 0);
    while fed < bytes.len() {
        fed += stream.feed(&bytes[fed..]);
        while let Some(event) = stream.next_event().unwrap() {
            events.push(match event {
                StreamEvent::Data(data) => String::from_utf8_lossy(data).into_owned(),
                StreamEvent::KeyUpdated(request) => format!("{request:?}"),
                StreamEvent::PeerClosed => "closed".into(),
                StreamEvent::Ended(end) => format!("ended {} {}", end.code(), end.reason()),
            });
        }
    }
    events
}

fn fault(stream: &mut StreamRecords, bytes: &[u8]) -> RecordError {
    stream.feed(bytes);
    loop {
        match stream.next_event() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no fault was found"),
            Err(error) => return error,
        }
    }
}

#[test]
fn one_side_closes_and_the_other_goes_on() {
    let (mut client, mut gateway) = pair();
    let mut sent = data(&mut client, b"request");
    sent.extend(client.close().unwrap());
    assert_eq!(seen(&mut gateway, &sent), ["request", "closed"]);
    assert_eq!(gateway.end_of_input(), Ok(()));

    let reply = data(&mut gateway, b"reply");
    assert_eq!(seen(&mut client, &reply), ["reply"]);
    let close = gateway.close().unwrap();
    assert_eq!(seen(&mut client, &close), ["closed"]);
    assert_eq!(client.end_of_input(), Ok(()));
}

#[test]
fn a_closed_direction_carries_no_more_data() {
    let (mut client, mut gateway) = pair();
    let close = client.close().unwrap();
    let closed = RecordError::from(CallerMisused::AlreadyClosed);
    assert_eq!(client.seal_data(&mut [0; 100], 1), Err(closed.clone()));
    assert_eq!(client.close(), Err(closed.clone()));
    assert_eq!(client.update_key(KeyUpdateRequest::NotRequested), Err(closed));
    assert_eq!(seen(&mut gateway, &close), ["closed"]);

    let mut sealer = RecordSealer::new(crypto(), Secret::new(UP));
    let mut records = Vec::new();
    sealer.seal_into(ContentType::Alert, &[1, 0], &mut records).unwrap();
    let first = records.len();
    sealer.seal_into(ContentType::ApplicationData, b"late", &mut records).unwrap();
    let late = fault(&mut gateway, &records[first..]);
    assert_eq!(late, PeerMisbehaved::AfterClose.into());
    assert_eq!(gateway.next_event(), Err(CallerMisused::AlreadyFailed.into()));
    assert_eq!(gateway.end_of_input(), Err(CallerMisused::AlreadyFailed.into()));
}

#[test]
fn an_end_says_why_even_after_a_close() {
    let (mut client, mut gateway) = pair();
    let mut sent = gateway.close().unwrap();
    sent.extend(gateway.end(&StreamEnd::new(3, "the entitlement was withdrawn")).unwrap());
    assert_eq!(seen(&mut client, &sent), ["closed", "ended 3 the entitlement was withdrawn"]);
    assert_eq!(client.end_of_input(), Ok(()));
    assert_eq!(gateway.end(&StreamEnd::new(3, "again")), Err(CallerMisused::AlreadyClosed.into()));
}

#[test]
fn nothing_follows_an_end() {
    for (content, payload) in [(ContentType::ApplicationData, &b"x"[..]), (ContentType::Alert, &[1, 0])] {
        let (_, mut gateway) = pair();
        let mut records = Vec::new();
        let mut sealer = RecordSealer::new(crypto(), Secret::new(UP));
        sealer.seal_into(ContentType::StreamEnd, b"\x01", &mut records).unwrap();
        sealer.seal_into(content, payload, &mut records).unwrap();
        assert_eq!(fault(&mut gateway, &records), PeerMisbehaved::AfterClose.into());
    }
}

#[test]
fn a_connection_that_stops_without_a_farewell_is_cut() {
    let (mut client, mut gateway) = pair();
    assert_eq!(gateway.end_of_input(), Err(RecordError::Truncated));
    let record = data(&mut client, b"half of it");
    gateway.feed(&record[..10]);
    assert_eq!(gateway.next_event(), Ok(None));
    assert_eq!(gateway.end_of_input(), Err(RecordError::Truncated));

    let (mut client, mut gateway) = pair();
    let mut sent = client.close().unwrap();
    sent.push(23);
    assert_eq!(seen(&mut gateway, &sent), ["closed"]);
    assert_eq!(gateway.end_of_input(), Err(RecordError::Truncated), "a byte hangs over");
}

#[test]
fn keys_change_in_one_direction_or_both() {
    let (mut client, mut gateway) = pair();
    let mut sent = data(&mut client, b"old");
    sent.extend(client.update_key(KeyUpdateRequest::NotRequested).unwrap());
    sent.extend(data(&mut client, b"new"));
    assert_eq!(seen(&mut gateway, &sent), ["old", "NotRequested", "new"]);
    let reply = data(&mut gateway, b"unchanged");
    assert_eq!(seen(&mut client, &reply), ["unchanged"]);

    let mut sent = client.update_key(KeyUpdateRequest::Requested).unwrap();
    sent.extend(client.update_key(KeyUpdateRequest::Requested).unwrap());
    assert_eq!(seen(&mut gateway, &sent), ["Requested", "Requested"]);
    let mut reply = data(&mut gateway, b"changed once");
    reply.extend(data(&mut gateway, b"and not again"));
    assert_eq!(seen(&mut client, &reply), ["NotRequested", "changed once", "and not again"]);
}

#[test]
fn split_halves_keep_the_same_rules() {
    let (mut client, gateway) = pair();
    let sent = client.update_key(KeyUpdateRequest::Requested).unwrap();
    let (mut send, mut receive) = gateway.split();
    receive.feed(&sent);
    let Ok(Some(StreamEvent::KeyUpdated(request))) = receive.next_event() else { panic!("no key update") };
    send.peer_updated(request);
    let mut gateway = StreamRecords::from_halves(send, receive);
    let reply = data(&mut gateway, b"x");
    assert_eq!(seen(&mut client, &reply), ["NotRequested", "x"]);
}

#[test]
fn a_flood_of_key_updates_is_refused() {
    let (mut client, mut gateway) = pair();
    let mut flood = Vec::new();
    for _ in 0..33 {
        flood.extend(client.update_key(KeyUpdateRequest::NotRequested).unwrap());
    }
    assert_eq!(fault(&mut gateway, &flood), PeerMisbehaved::TooManyKeyUpdates.into());

    let (mut client, mut gateway) = pair();
    for _ in 0..100 {
        let mut sent = client.update_key(KeyUpdateRequest::NotRequested).unwrap();
        sent.extend(data(&mut client, b"x"));
        assert_eq!(seen(&mut gateway, &sent).len(), 2);
    }
}

#[test]
fn the_peer_learns_of_its_fault_by_an_alert() {
    let (mut client, mut gateway) = pair();
    let mut record = data(&mut client, b"x");
    record[6] ^= 1;
    let error = fault(&mut gateway, &record);
    let alert = gateway.fail(&error).unwrap();
    assert_eq!(gateway.fail(&error), None);
    assert_eq!(fault(&mut client, &alert), RecordError::PeerGaveUp(20));
    assert_eq!(client.fail(&RecordError::PeerGaveUp(20)), None);
}

#[test]
fn malformed_control_records_are_refused() {
    for (content, payload, error) in [
        (ContentType::Alert, &[1][..], PeerMisbehaved::Malformed("alert")),
        (ContentType::Alert, &[], PeerMisbehaved::Malformed("alert")),
        (ContentType::Alert, &[1, 0, 1, 0], PeerMisbehaved::Malformed("alert")),
        (ContentType::Handshake, &[], PeerMisbehaved::UnexpectedContent(22)),
        (ContentType::Handshake, &[1, 0, 0, 0], PeerMisbehaved::UnexpectedContent(22)),
        (ContentType::Handshake, &[24, 0, 0, 1], PeerMisbehaved::Malformed("key update")),
        (ContentType::StreamEnd, &[], PeerMisbehaved::Malformed("end")),
        (ContentType::StreamEnd, &[1, 0xc3], PeerMisbehaved::Malformed("end")),
    ] {
        let (_, mut gateway) = pair();
        let mut record = Vec::new();
        RecordSealer::new(crypto(), Secret::new(UP)).seal_into(content, payload, &mut record).unwrap();
        assert_eq!(fault(&mut gateway, &record), error.into(), "{content:?} {payload:?}");
    }
}

proptest! {
    #[test]
    fn whatever_arrives_in_place_of_records_ends_the_stream_or_waits(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        flip in any::<proptest::sample::Index>(),
    ) {
        let (mut client, mut gateway) = pair();
        gateway.feed(&bytes);
        prop_assert!(!matches!(gateway.next_event(), Ok(Some(_))));

        let (_, mut gateway) = pair();
        let mut sent = data(&mut client, &bytes);
        let at = flip.index(sent.len());
        sent[at] ^= 0x10;
        gateway.feed(&sent);
        prop_assert!(!matches!(gateway.next_event(), Ok(Some(_))));
        prop_assert!(gateway.end_of_input().is_err());
    }

    #[test]
    fn both_directions_carry_every_byte_however_cut(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 1..8),
        cut in 1usize..5000,
    ) {
        let (mut client, mut gateway) = pair();
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for message in &messages {
            sent.extend(data(&mut client, message));
        }
        sent.extend(client.close().unwrap());
        for piece in sent.chunks(cut) {
            gateway.feed(piece);
            while let Some(event) = gateway.next_event().unwrap() {
                if let StreamEvent::Data(data) = event {
                    received.extend_from_slice(data);
                }
            }
        }
        prop_assert_eq!(received, messages.concat());
        prop_assert_eq!(gateway.end_of_input(), Ok(()));
    }
}
