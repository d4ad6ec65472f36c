//! Records of TLS connections that are carried on, from a peer that has no keys or has them and no manners, and the
//! states in which such connections are remembered.

use symbolon_crypto::Secret;
use symbolon_record::{
    Alert, Cipher, ContentType, HandedOver, KeyUpdateRequest, MAX_PINNED, MAX_PLAINTEXT, MAX_RECORD,
    Outgoing, RecordError, RecordKeys, TLS_STATE, TlsEvent, TlsRole, TlsSession, TlsState, TlsSuite,
    TrafficSecret,
};
use symbolon_wire::{Reader, Writer};

use crate::gateway::crypto;
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "tls_records", feed, seeds };

/// Suite, and what a connection brings: a recorded conversation, altered.
const RECORDS: u8 = 0;
/// Role, and what a peer with the keys seals in TLS 1.3: content type, length, content, and so on.
const CONTENTS: u8 = 1;
/// A state out of a ledger.
const STATE: u8 = 2;

pub(crate) const SAID: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", b"and a body", b"after a change of keys"];

/// Towards the server and towards the client.
const SECRETS: [u8; 2] = [5, 6];

fn feed(data: &[u8]) {
    match data {
        [RECORDS, suite, rest @ ..] => {
            records(suites().cycle().nth(usize::from(*suite)).unwrap_or(TlsSuite::NativeStream), rest);
        }
        [CONTENTS, role, rest @ ..] => contents(*role % 2 == 0, rest),
        [STATE, rest @ ..] => state(rest),
        _ => {}
    }
}

/// Those of TLS, and ours.
fn suites() -> impl Iterator<Item = TlsSuite> + Clone {
    TlsSuite::TLS.into_iter().chain([TlsSuite::NativeStream])
}

/// The keys of a direction; those of TLS 1.2 are made up, those of TLS 1.3 derived.
fn keys(suite: TlsSuite, secret: u8) -> (Vec<u8>, [u8; 12], Option<Vec<u8>>) {
    let length = suite.cipher().key_length();
    match suite.secret_length() {
        0 => (vec![secret; length], [secret; 12], None),
        secret_length => {
            let secret = vec![secret; secret_length];
            let expand = |label: &[u8], length: usize| {
                let info: [&[u8]; 4] = [&[0, length as u8, 6 + label.len() as u8], b"tls13 ", label, &[0]];
                let okm: Secret<48> = match Secret::from_slice(&secret) {
                    Some(secret) => crypto().expand(&secret, &info),
                    None => crypto().expand_sha384(&Secret::from_slice(&secret).expect("48 bytes"), &info),
                };
                okm.expose()[..length].to_vec()
            };
            (expand(b"key", length), expand(b"iv", 12).try_into().expect("12 bytes"), Some(secret))
        }
    }
}

pub(crate) fn session(suite: TlsSuite, role: TlsRole) -> TlsSession {
    let directions = SECRETS.map(|secret| keys(suite, secret));
    let [up, down] = [0, 1].map(|n| {
        let (key, iv, secret) = &directions[n];
        HandedOver { sequence: 0, key, iv, traffic_secret: secret.as_deref() }
    });
    let (sending, receiving) = if role == TlsRole::Server { (down, up) } else { (up, down) };
    let state = TlsState::after_handshake(crypto(), role, suite, sending, receiving);
    TlsSession::resume(crypto(), &state.expect("the parts belong together"))
}

/// Lets `session` hear `bytes`, replaced by its successor after each record; returns the data, and whether the peer
/// ended it orderly.
fn heard(mut session: TlsSession, mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let (mut data, mut out) = (Vec::new(), vec![0; MAX_RECORD]);
    while let Ok(Some(length)) = session.record_length(bytes) {
        assert!(length <= MAX_RECORD, "a record is bounded");
        let Some((record, rest)) = bytes.split_at_checked(length) else { break };
        let mut ahead = session.ahead();
        match session.open_from(&mut ahead, record, &mut out) {
            Ok(TlsEvent::Data(payload)) => {
                assert!((1..=MAX_PLAINTEXT).contains(&payload.len()), "data is bounded");
                data.extend_from_slice(payload);
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(alert) = session.fail(&error) {
                    session.send(alert, b"", &mut Vec::new()).expect("the peer can be told");
                }
                assert!(session.end_of_input().is_err(), "a connection that failed has not ended");
                return (data, false);
            }
        }
        session.received(ahead).expect("it went ahead by itself");
        session = succeeded(&session);
        bytes = rest;
    }
    (data, session.end_of_input().is_ok())
}

fn succeeded(session: &TlsSession) -> TlsSession {
    let mut bytes = [0; TLS_STATE];
    session.write_state(&mut bytes);
    let state = TlsState::from_bytes(&bytes).expect("a session's own state");
    assert_eq!(state.to_bytes().expose(), &bytes, "two forms of one state");
    TlsSession::resume(crypto(), &state)
}

fn records(suite: TlsSuite, bytes: &[u8]) {
    let (data, ended) = heard(session(suite, TlsRole::Server), bytes);
    let said = SAID.concat();
    assert!(said.starts_with(&data), "nothing altered, doubled or moved comes through");
    assert!(!ended || data == said, "a missing end is noticed");
}

fn contents(server: bool, script: &[u8]) {
    let suite = TlsSuite::Tls13Aes128GcmSha256;
    let (role, secret) = if server { (TlsRole::Server, SECRETS[0]) } else { (TlsRole::Client, SECRETS[1]) };
    let secret = TrafficSecret::Sha256(Secret::new([secret; 32]));
    let keys = RecordKeys::derive(crypto(), Cipher::Aes128Gcm, secret);
    let (mut r, mut bytes, mut sequence) = (Reader::new(script), Vec::new(), 0);
    while let Ok(content) = r.u8() {
        let content = match content % 4 {
            0 => ContentType::Alert,
            1 => ContentType::Handshake,
            2 => ContentType::ApplicationData,
            _ => ContentType::StreamEnd,
        };
        let Ok(payload) = r.bytes16() else { break };
        let mut record = vec![0; payload.len() + keys.head() + keys.tail()];
        match keys.seal_from(sequence, content, payload, &mut record) {
            Ok(_) => bytes.extend(record),
            Err(_) => assert!(payload.len() > MAX_PLAINTEXT, "what fits a record is sealed"),
        }
        sequence += 1;
    }
    heard(session(suite, role), &bytes);
}

fn state(bytes: &[u8]) {
    let Ok(bytes) = <&[u8; TLS_STATE]>::try_from(bytes) else { return };
    let Ok(state) = TlsState::from_bytes(bytes) else { return };
    assert_eq!(state.to_bytes().expose(), bytes, "two forms of one state");
    let mut session = TlsSession::resume(crypto(), &state);
    if let Some((_, length)) = session.pinned() {
        assert!(length <= MAX_PINNED, "what is pinned is bounded");
        let mut out = vec![0; session.sealed_length()];
        assert_eq!(session.seal(&vec![7; length], &mut out), Ok(out.len()), "what is pinned is sealed");
        session.sent().expect("it was pinned");
    }
    for _ in 0..3 {
        let Some(owed) = session.owed() else { break };
        match session.send(owed, b"", &mut Vec::new()) {
            Ok(()) => {}
            Err(RecordError::Exhausted) => return,
            Err(other) => panic!("what is owed can be sent: {other}"),
        }
    }
    assert_eq!(session.owed(), None, "debts end");
    if session.is_sending() {
        let gone_on = session.send(Outgoing::Data, b"on", &mut Vec::new());
        assert!(matches!(gone_on, Ok(()) | Err(RecordError::Exhausted)), "nothing is owed: {gone_on:?}");
    }
    succeeded(&session);
}

pub(crate) fn conversation(suite: TlsSuite) -> Vec<u8> {
    let mut client = session(suite, TlsRole::Client);
    let mut bytes = Vec::new();
    for (n, said) in SAID.iter().enumerate() {
        if n == 2 && suite.secret_length() > 0 {
            let update = Outgoing::KeyUpdate(KeyUpdateRequest::Requested);
            client.send(update, b"", &mut bytes).expect("the connection is open");
        }
        client.send(Outgoing::Data, said, &mut bytes).expect("the connection is open");
    }
    client.send(Outgoing::Alert(Alert::CloseNotify), b"", &mut bytes).expect("the connection is open");
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (suites().zip(0u8..))
        .map(|(suite, n)| by(RECORDS, &[&[n][..], &conversation(suite)].concat()))
        .collect();
    let ticket = [&[4, 0, 0, 20][..], &[9; 20]].concat();
    for (role, contents) in [
        (0, [(2, &b"data"[..]), (1, &[24, 0, 0, 1, 1]), (0, &[1, 90]), (0, &[1, 0])]),
        (1, [(1, &ticket[..7]), (1, &ticket[7..]), (2, b""), (0, &[2, 40])]),
    ] {
        let mut script = Writer::new();
        for (content, payload) in contents {
            script.u8(content);
            script.bytes16(payload);
        }
        seeds.push(by(CONTENTS, &[&[role][..], &script.into_bytes()].concat()));
    }
    for suite in suites() {
        let mut server = session(suite, TlsRole::Server);
        seeds.push(by(STATE, server.state().to_bytes().expose()));
        server.pin(Outgoing::Data, 20_000).expect("the connection is open");
        seeds.push(by(STATE, server.state().to_bytes().expose()));
    }
    seeds
}
