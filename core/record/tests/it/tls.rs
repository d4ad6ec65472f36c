//! TLS connections that are carried on: two sessions with made-up keys talk to each other. Live peers
//! of other libraries are in `testing/tls-peers`.

mod closing;
mod faults;
mod key_updates;
mod native;
mod renegotiation;
mod rfc8448;
mod successors;

use symbolon_crypto::Secret;
use symbolon_provider::crypto;
use symbolon_record::{
    Alert, CallerMisused, HandedOver, Outgoing, RecordError, TlsEvent, TlsRole, TlsSession, TlsState,
    TlsSuite,
};

/// Some number that both sides have come to.
const SENT: u64 = 3;

/// All suites of TLS, and ours.
fn every_suite() -> impl Iterator<Item = TlsSuite> {
    TlsSuite::TLS.into_iter().chain([TlsSuite::NativeStream])
}

/// What a handshake leaves of one direction.
struct Keys {
    key: Vec<u8>,
    iv: [u8; 12],
    secret: Option<Vec<u8>>,
}

impl Keys {
    /// Made of `seed`, by the key schedule of TLS 1.3 where the suite has one.
    fn new(suite: TlsSuite, seed: u8) -> Self {
        let length = suite.cipher().key_length();
        let secret = vec![seed; suite.secret_length()];
        let mut keys = Self { key: vec![seed; length], iv: [seed ^ 0x55; 12], secret: None };
        if !secret.is_empty() {
            keys.key = expand::<32>(&secret, b"key", length)[..length].to_vec();
            keys.iv = expand(&secret, b"iv", 12);
            keys.secret = Some(secret);
        }
        keys
    }

    fn handed_over(&self, sequence: u64) -> HandedOver<'_> {
        HandedOver { sequence, key: &self.key, iv: &self.iv, traffic_secret: self.secret.as_deref() }
    }
}

/// HKDF-Expand-Label to `length` bytes (RFC 8446 §7.1), and zeros to `N`.
fn expand<const N: usize>(secret: &[u8], label: &[u8], length: usize) -> [u8; N] {
    let info: [&[u8]; 4] = [&[0, length as u8, 6 + label.len() as u8], b"tls13 ", label, &[0]];
    let wide: Secret<48> = match secret.len() {
        32 => crypto().expand(&Secret::from_slice(secret).unwrap(), &info),
        _ => crypto().expand_sha384(&Secret::from_slice(secret).unwrap(), &info),
    };
    std::array::from_fn(|i| if i < length { wide.expose()[i] } else { 0 })
}

/// A server and its client whose next records have these numbers, downwards and upwards.
fn pair_at(suite: TlsSuite, down: u64, up: u64) -> (TlsSession, TlsSession) {
    let (downwards, upwards) = (Keys::new(suite, 1), Keys::new(suite, 2));
    let state = |role, sending, receiving| {
        let state = TlsState::after_handshake(crypto(), role, suite, sending, receiving).unwrap();
        TlsSession::resume(crypto(), &state)
    };
    (
        state(TlsRole::Server, downwards.handed_over(down), upwards.handed_over(up)),
        state(TlsRole::Client, upwards.handed_over(up), downwards.handed_over(down)),
    )
}

fn pair(suite: TlsSuite) -> (TlsSession, TlsSession) {
    pair_at(suite, SENT, SENT)
}

/// Sends data, and before it what is owed.
fn data(session: &mut TlsSession, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(owed) = session.owed() {
        session.send(owed, b"", &mut out).unwrap();
    }
    if session.is_sending() {
        session.send(Outgoing::Data, payload, &mut out).unwrap();
    }
    out
}

fn sent(session: &mut TlsSession, what: Outgoing) -> Vec<u8> {
    let mut out = Vec::new();
    session.send(what, b"", &mut out).unwrap();
    out
}

/// What the records in `bytes` were for, in words.
fn seen(session: &mut TlsSession, bytes: &[u8]) -> Result<Vec<String>, RecordError> {
    let (mut events, mut rest, mut out) = (Vec::new(), bytes, vec![0; 20_000]);
    while let Some(length) = session.record_length(rest)? {
        let Some((record, after)) = rest.split_at_checked(length) else { break };
        let mut ahead = session.ahead();
        let event = session.open_from(&mut ahead, record, &mut out)?;
        events.push(match event {
            TlsEvent::Data(data) => String::from_utf8_lossy(data).into_owned(),
            other => format!("{other:?}"),
        });
        session.received(ahead)?;
        rest = after;
    }
    Ok(events)
}

/// A record of any content that a peer with the keys could send next.
fn sealed_by_hand(session: &TlsSession, content: u8, payload: &[u8]) -> Vec<u8> {
    let state = session.state();
    let (keys, sequence) = by_hand::sending_keys(&state);
    by_hand::seal(session.suite(), &keys, sequence, content, payload)
}

/// Records made without the record layer, from the state's bytes as documented.
mod by_hand {
    use super::*;
    use symbolon_crypto::Aead;
    use symbolon_record::{Cipher, TlsVersion};

    pub(super) fn sending_keys(state: &TlsState) -> (Keys, u64) {
        let bytes = state.to_bytes();
        let direction = &bytes.expose()[20..120];
        let key = direction[48..48 + state.suite().cipher().key_length()].to_vec();
        let sequence = u64::from_be_bytes(direction[92..].try_into().unwrap());
        assert_eq!(sequence, state.sequences().0);
        (Keys { key, iv: direction[80..92].try_into().unwrap(), secret: None }, sequence)
    }

    pub(super) fn seal(suite: TlsSuite, keys: &Keys, number: u64, content: u8, payload: &[u8]) -> Vec<u8> {
        let aead: Box<dyn Aead> = match suite.cipher() {
            Cipher::Aes128Gcm => crypto().aes128_gcm(&Secret::from_slice(&keys.key).unwrap()),
            Cipher::Aes256Gcm => crypto().aes256_gcm(&Secret::from_slice(&keys.key).unwrap()),
            Cipher::ChaCha20Poly1305 => crypto().chacha20_poly1305(&Secret::from_slice(&keys.key).unwrap()),
        };
        let mut nonce = keys.iv;
        for (n, s) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *n ^= s;
        }
        let tls13 = suite.version() == TlsVersion::Tls13;
        let explicit =
            if tls13 || suite.cipher() == Cipher::ChaCha20Poly1305 { &[][..] } else { &nonce[4..] };
        let mut inner = payload.to_vec();
        if tls13 {
            inner.push(content);
        }
        let [high, low] = u16::try_from(explicit.len() + inner.len() + 16).unwrap().to_be_bytes();
        let header = [if tls13 { 23 } else { content }, 3, 3, high, low];
        let aad = if tls13 {
            header.to_vec()
        } else {
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            [&number.to_be_bytes()[..], &[content, 3, 3], &length].concat()
        };
        let tag = aead.seal(&nonce, &aad, &mut inner);
        [&header, explicit, &inner, &tag].concat()
    }
}

#[test]
fn both_directions_carry_data_in_every_suite() {
    for suite in every_suite() {
        let (mut server, mut client) = pair(suite);
        for (number, payload) in [&b"x"[..], &[7; 16_384], b"end"].into_iter().enumerate() {
            let bytes = data(&mut server, payload);
            let by_hand = by_hand::seal(suite, &Keys::new(suite, 1), SENT + number as u64, 23, payload);
            assert_eq!(bytes, by_hand);
            assert_eq!(seen(&mut client, &bytes).unwrap(), [String::from_utf8_lossy(payload)]);
        }
        let bytes = data(&mut client, b"and back");
        assert_eq!(seen(&mut server, &bytes).unwrap(), ["and back"], "{suite:?}");
        assert_eq!(server.state().sequences(), (SENT + 3, SENT + 1));
    }
}

#[test]
fn much_data_at_once_fills_records() {
    let (mut server, mut client) = pair(TlsSuite::Tls13Aes128GcmSha256);
    let payload: Vec<u8> = (0..symbolon_record::MAX_PINNED).map(|n| b'a' + (n % 26) as u8).collect();
    for (length, records) in [(payload.len(), 8), (16_385, 2), (16_384, 1)] {
        let bytes = data(&mut server, &payload[..length]);
        assert_eq!(bytes.len(), length + records * 22);
        let parts = seen(&mut client, &bytes).unwrap();
        assert_eq!(parts.len(), records);
        assert_eq!(parts.concat().as_bytes(), &payload[..length]);
    }
    let mut out = Vec::new();
    for length in [0, payload.len() + 1] {
        let refused = server.send(Outgoing::Data, &vec![0; length], &mut out);
        assert_eq!(refused, Err(CallerMisused::PayloadLength.into()));
    }
    let refused = server.send(Outgoing::Alert(Alert::CloseNotify), b"x", &mut out);
    assert_eq!(refused, Err(CallerMisused::PayloadLength.into()));
    assert_eq!((out.len(), server.pinned()), (0, None));
}
