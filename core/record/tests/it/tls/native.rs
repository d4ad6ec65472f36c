//! Native streams are carried on as TLS connections are; the other side has [`StreamRecords`].

use super::*;
use symbolon_record::{
    DATA_ROOM, DATA_TAIL, KeyUpdateRequest, MAX_END_REASON, PeerMisbehaved, RecordOpener, RecordSealer,
    StreamEnd, StreamEvent, StreamRecords,
};

/// A gateway's side after an opening of one record each way, and its client.
fn opened() -> (TlsSession, StreamRecords) {
    let sealer = |seed| RecordSealer::new(crypto(), Secret::new([seed; 32]));
    let opener = |seed| RecordOpener::new(crypto(), Secret::new([seed; 32]));
    let (mut up, mut at_gateway) = (sealer(2), opener(2));
    let (mut down, mut at_client) = (sealer(1), opener(1));
    for (from, to) in [(&mut up, &mut at_gateway), (&mut down, &mut at_client)] {
        let mut opening = Vec::new();
        from.seal_into(symbolon_record::ContentType::Handshake, b"open", &mut opening).unwrap();
        to.open_in_place(&mut opening).unwrap();
    }
    let state = TlsState::after_opening(TlsRole::Server, &down, &at_gateway);
    assert_eq!(state.sequences(), (1, 1));
    let state = TlsState::from_bytes(state.to_bytes().expose()).unwrap();
    (TlsSession::resume(crypto(), &state), StreamRecords::new(up, at_client))
}

fn said_by_client(client: &mut StreamRecords, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; DATA_ROOM + payload.len() + DATA_TAIL];
    buffer[DATA_ROOM..][..payload.len()].copy_from_slice(payload);
    client.seal_data(&mut buffer, payload.len()).unwrap().to_vec()
}

fn heard_by_client(client: &mut StreamRecords, bytes: &[u8]) -> Vec<String> {
    assert_eq!(client.feed(bytes), bytes.len());
    let mut events = Vec::new();
    while let Some(event) = client.next_event().unwrap() {
        events.push(match event {
            StreamEvent::Data(data) => String::from_utf8_lossy(data).into_owned(),
            StreamEvent::KeyUpdated(request) => format!("{request:?}"),
            StreamEvent::PeerClosed => "closed".into(),
            StreamEvent::Ended(end) => format!("ended {} {}", end.code(), end.reason()),
        });
    }
    events
}

fn end(session: &mut TlsSession, reason: &str) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::new();
    session.send(Outgoing::End(3), reason.as_bytes(), &mut out).map(|()| out)
}

#[test]
fn data_and_keys_flow_as_on_the_stream_before() {
    let (mut gateway, mut client) = opened();
    assert_eq!(seen(&mut gateway, &said_by_client(&mut client, b"request")).unwrap(), ["request"]);
    assert_eq!(heard_by_client(&mut client, &data(&mut gateway, b"reply")), ["reply"]);
    let update = client.update_key(KeyUpdateRequest::Requested).unwrap();
    let after = said_by_client(&mut client, b"new");
    assert_eq!(seen(&mut gateway, &[update, after].concat()).unwrap(), ["KeyUpdated", "new"]);
    let heard = heard_by_client(&mut client, &data(&mut gateway, b"both new"));
    assert_eq!(heard, ["NotRequested", "both new"]);
    let heard = seen(&mut gateway, &client.close().unwrap()).unwrap();
    assert_eq!((heard, gateway.end_of_input()), (vec!["PeerClosed".to_owned()], Ok(())));
}

#[test]
fn an_end_says_why_even_after_a_close_and_nothing_follows() {
    for close_first in [false, true] {
        let (mut gateway, mut client) = opened();
        let mut bytes = Vec::new();
        if close_first {
            bytes = sent(&mut gateway, Outgoing::Alert(Alert::CloseNotify));
        }
        bytes.extend(end(&mut gateway, "the entitlement was withdrawn").unwrap());
        let heard = heard_by_client(&mut client, &bytes);
        assert_eq!(heard.last().unwrap(), "ended 3 the entitlement was withdrawn");
        assert_eq!(end(&mut gateway, "again"), Err(CallerMisused::AlreadyClosed.into()));
    }
    let (mut gateway, mut client) = opened();
    let mut bytes = client.close().unwrap();
    bytes.extend(client.end(&StreamEnd::new(7, "gone")).unwrap());
    let heard = seen(&mut gateway, &bytes).unwrap();
    assert!(heard[0] == "PeerClosed" && heard[1].starts_with("Ended(") && heard[1].contains("gone"));
    assert_eq!(gateway.end_of_input(), Ok(()));
    let late = sealed_by_hand(&client_of(&gateway), 23, b"late");
    assert_eq!(seen(&mut gateway, &late), Err(PeerMisbehaved::AfterClose.into()));
}

/// Somebody with the client's keys, at the number that the gateway waits for.
fn client_of(gateway: &TlsSession) -> TlsSession {
    pair_at(TlsSuite::NativeStream, 0, gateway.state().sequences().1).1
}

#[test]
fn only_a_farewell_may_follow_a_close() {
    for (content, payload, allowed) in [
        (23, &b"late"[..], false),
        (21, &[1, 0], false),
        (0x45, b"\x01end", true),
        (22, &[24, 0, 0, 1, 0], false),
    ] {
        let (mut gateway, mut client) = opened();
        seen(&mut gateway, &client.close().unwrap()).unwrap();
        let record = sealed_by_hand(&client_of(&gateway), content, payload);
        let after_close = Err(PeerMisbehaved::AfterClose.into());
        let heard = seen(&mut gateway, &record);
        assert!(if allowed { heard.is_ok() } else { heard == after_close }, "{content}: {heard:?}");
    }
}

#[test]
fn a_successor_makes_the_same_end_and_tls_has_none() {
    let (mut gateway, _) = opened();
    let longest = "x".repeat(MAX_END_REASON);
    gateway.pin(Outgoing::End(9), longest.len()).unwrap();
    let state = TlsState::from_bytes(gateway.state().to_bytes().expose()).unwrap();
    let successor = TlsSession::resume(crypto(), &state);
    let (mut one, mut two) = (vec![0; gateway.sealed_length()], vec![0; successor.sealed_length()]);
    gateway.seal(longest.as_bytes(), &mut one).unwrap();
    successor.seal(longest.as_bytes(), &mut two).unwrap();
    assert_eq!(one, two);

    let (mut gateway, _) = opened();
    let too_long = gateway.pin(Outgoing::End(9), MAX_END_REASON + 1);
    assert_eq!(too_long, Err(CallerMisused::PayloadLength.into()));
    let (mut server, _) = pair(TlsSuite::Tls13Aes256GcmSha384);
    assert_eq!(end(&mut server, "no"), Err(CallerMisused::NotInThisVersion.into()));
}
