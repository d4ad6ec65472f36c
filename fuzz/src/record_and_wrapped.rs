//! Records of a stream and wrapped messages of a session, after the keys are there, and the messages that they hold.

use symbolon_crypto::{Secret, SecretBytes};
use symbolon_record::{
    ContentType, DATA_ROOM, DATA_TAIL, Delivery, KeyUpdateRequest, MAX_PLAINTEXT, ReceiveHalf, RecordOpener,
    RecordSealer, SendHalf, StreamEvent, Unwrapper, Wrapper,
};
use symbolon_wire::{Reader, Writer};

use crate::gateway::crypto;
use crate::{Target, by, session_messages};

pub(crate) const TARGET: Target = Target { name: "record_and_wrapped", feed, seeds };

/// The rest is what a connection brings: the recorded conversation, altered.
const RECORDS: u8 = 0;
/// The rest says what a peer with the right key seals: content type, length, content, and so on.
const CONTENTS: u8 = 1;
/// The rest is wrapped messages, each with its length: the recorded ones, altered.
const WRAPPED: u8 = 2;
/// The rest is the state of an unwrapper out of a store.
const UNWRAPPER: u8 = 3;
/// The rest is the state of a wrapper out of a store.
const WRAPPER: u8 = 4;

/// What the recorded conversation says, in one record each.
const SAID: [&[u8]; 3] = [b"select 6 * 7;", b"", b"select 'a rather longer statement than the first';"];

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&RECORDS, rest)) => records(rest),
        Some((&CONTENTS, rest)) => contents(rest),
        Some((&WRAPPED, rest)) => {
            wrapped(rest, Delivery::InOrder);
            wrapped(rest, Delivery::Windowed);
        }
        Some((&UNWRAPPER, rest)) => {
            if let Ok(state) = Unwrapper::import(crypto(), &SecretBytes::new(rest.to_vec())) {
                assert_eq!(state.export().expose(), rest, "two states of one unwrapper");
            }
        }
        Some((&WRAPPER, rest)) => {
            if let Ok(state) = Wrapper::import(crypto(), &SecretBytes::new(rest.to_vec())) {
                assert_eq!(state.export().expose(), rest, "two states of one wrapper");
            }
        }
        _ => session_messages::feed(data),
    }
}

fn secret() -> Secret<32> {
    Secret::new([11; 32])
}

/// Feeds `bytes` to a receiver; returns the data it gave, and whether the conversation ended orderly.
fn received(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut half = ReceiveHalf::new(RecordOpener::new(crypto(), secret()));
    let (mut data, mut left) = (Vec::new(), bytes);
    while !left.is_empty() {
        // Pieces of an odd size, so that records come in parts.
        let piece = left.len().min(1009);
        let taken = half.feed(&left[..piece]);
        left = &left[taken..];
        loop {
            match half.next_event() {
                Ok(Some(StreamEvent::Data(bytes))) => {
                    assert!(bytes.len() <= MAX_PLAINTEXT, "a record is bounded");
                    data.extend_from_slice(bytes);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    assert!(half.end_of_input().is_err(), "a stream that failed has not ended");
                    return (data, false);
                }
            }
        }
        assert!(taken > 0 || left.is_empty(), "a receiver that gave everything has room");
    }
    (data, half.end_of_input().is_ok())
}

fn records(bytes: &[u8]) {
    let (data, ended) = received(bytes);
    let said = SAID.concat();
    assert!(said.starts_with(&data), "nothing altered, doubled or moved comes through");
    assert!(!ended || data == said, "a missing end is noticed");
}

fn contents(script: &[u8]) {
    let mut sealer = RecordSealer::new(crypto(), secret());
    let mut bytes = Vec::new();
    let mut r = Reader::new(script);
    while let Ok(content) = r.u8() {
        let content = match content % 4 {
            0 => ContentType::Alert,
            1 => ContentType::Handshake,
            2 => ContentType::ApplicationData,
            _ => ContentType::StreamEnd,
        };
        let Ok(payload) = r.bytes16() else { break };
        if sealer.seal_into(content, payload, &mut bytes).is_err() {
            assert!(payload.len() > MAX_PLAINTEXT, "what fits a record is sealed");
        }
    }
    received(&bytes);
}

fn messages() -> [Vec<u8>; 4] {
    [Vec::new(), b"status".to_vec(), vec![7; 300], b"logout".to_vec()]
}

fn wrapped(bytes: &[u8], delivery: Delivery) {
    let mut unwrapper = Unwrapper::new(crypto(), secret(), delivery);
    let mut left = messages().to_vec();
    let mut r = Reader::new(bytes);
    while let Ok(message) = r.bytes16() {
        let mut message = message.to_vec();
        let Ok(plain) = unwrapper.unwrap_in_place(&mut message) else { continue };
        let at = left.iter().position(|m| m == plain).expect("a message comes once and unaltered");
        assert!(delivery == Delivery::Windowed || at == 0, "a message comes in its turn");
        left.remove(at);
    }
    assert!(unwrapper.end_of_input().is_err() || delivery == Delivery::Windowed || left.is_empty());
}

fn seeds() -> Vec<Vec<u8>> {
    let mut half = SendHalf::new(RecordSealer::new(crypto(), secret()));
    let mut conversation = Vec::new();
    for (n, said) in SAID.iter().enumerate() {
        let mut buffer = vec![0; DATA_ROOM + said.len() + DATA_TAIL];
        buffer[DATA_ROOM..DATA_ROOM + said.len()].copy_from_slice(said);
        conversation.extend_from_slice(half.seal_data(&mut buffer, said.len()).expect("it fits"));
        if n == 1 {
            conversation.extend(half.update_key(KeyUpdateRequest::Requested).expect("the stream is open"));
        }
    }
    conversation.extend(half.close().expect("the stream is open"));

    let mut script = Writer::new();
    for (content, payload) in [(2, &b"data"[..]), (1, &[24, 0, 0, 1, 0]), (0, &[1, 0]), (3, b"\x05because")] {
        script.u8(content);
        script.bytes16(payload);
    }

    let mut wrapper = Wrapper::new(crypto(), secret());
    let mut wrapped = Writer::new();
    for (n, message) in messages().iter().enumerate() {
        if n == 2 {
            wrapper.rekey().expect("there are keys left");
        }
        wrapped.bytes16(&wrapper.wrap(message).expect("there are numbers left"));
    }
    let in_order = Unwrapper::new(crypto(), secret(), Delivery::InOrder).export();
    let windowed = Unwrapper::new(crypto(), secret(), Delivery::Windowed).export();
    let mut seeds = vec![
        by(RECORDS, &conversation),
        by(CONTENTS, &script.into_bytes()),
        by(CONTENTS, &[&[2, 0, 2][..], b"ok"].concat()),
        by(WRAPPED, &wrapped.into_bytes()),
        by(UNWRAPPER, in_order.expose()),
        by(UNWRAPPER, windowed.expose()),
        by(WRAPPER, wrapper.export().expose()),
    ];
    seeds.extend(session_messages::seeds());
    seeds
}
