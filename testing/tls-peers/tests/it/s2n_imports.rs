//! s2n-tls goes on from our state: its serialized connection is written from the secrets and sequence
//! numbers of a [`TlsState`], and the peer notices nothing. So another implementation, with a key
//! schedule and a record layer of its own, agrees on what the state means.
//!
//! The form is that of `s2n_connection_serialize.c`, version 1:
//! `1 (8) | version (2) | suite (2) | client's number (8) | server's number (8) | longest fragment (2)`
//! and then, in TLS 1.3, `client's traffic secret | server's | resumption secret`, in TLS 1.2
//! `master secret (48) | client random (32) | server random (32)`.
#![expect(unsafe_code, reason = "s2n-tls calls back with a pointer to what it was given")]

use crate::pattern;
use s2n_tls::config::{Builder, Config};
use s2n_tls::connection::Connection;
use s2n_tls::enums::{Blinding, PeerKeyUpdate, SerializationVersion};
use s2n_tls::security;
use std::ffi::{c_int, c_void};
use std::io::{Read as _, Write as _};
use std::task::Poll;
use symbolon_provider::crypto;
use symbolon_record::{Alert, KeyUpdateRequest, MAX_PLAINTEXT, Outgoing};
use symbolon_record::{TlsRole, TlsSession, TlsState, TlsSuite, TlsVersion};
use symbolon_tls_peers::{Carried, HandshakeOver, Heard, RustlsPeer, Setup, shake_hands};

/// A connection of s2n-tls that talks to a peer in memory.
struct S2n {
    connection: Connection,
    /// In a box, because s2n-tls keeps its address.
    peer: Box<RustlsPeer>,
}

unsafe extern "C" fn receive(context: *mut c_void, buffer: *mut u8, length: u32) -> c_int {
    // SAFETY: `context` is the peer that `S2n::import` has set, which nobody else uses during a call
    // into s2n-tls, and `buffer` has `length` bytes for us to fill.
    let (peer, buffer) = unsafe {
        std::ptr::write_bytes(buffer, 0, length as usize);
        (&mut *context.cast::<RustlsPeer>(), std::slice::from_raw_parts_mut(buffer, length as usize))
    };
    match peer.read(buffer) {
        Ok(count) if count > 0 => count as c_int,
        _ => would_block(),
    }
}

unsafe extern "C" fn send(context: *mut c_void, buffer: *const u8, length: u32) -> c_int {
    // SAFETY: as above; `buffer` has `length` bytes to be read.
    let (peer, bytes) =
        unsafe { (&mut *context.cast::<RustlsPeer>(), std::slice::from_raw_parts(buffer, length as usize)) };
    match peer.write(bytes) {
        Ok(count) => count as c_int,
        Err(_) => would_block(),
    }
}

fn would_block() -> c_int {
    const EAGAIN: i32 = 11;
    errno::set_errno(errno::Errno(EAGAIN));
    -1
}

fn config() -> Config {
    let mut builder = Builder::new();
    builder.set_security_policy(&security::DEFAULT_TLS13).unwrap();
    builder.set_serialization_version(SerializationVersion::V1).unwrap();
    builder.build().unwrap()
}

impl S2n {
    fn import(role: TlsRole, serialized: &[u8], peer: RustlsPeer) -> Self {
        let mut peer = Box::new(peer);
        let mut connection = match role {
            TlsRole::Server => Connection::new_server(),
            TlsRole::Client => Connection::new_client(),
        };
        connection.set_config(config()).unwrap();
        connection.set_blinding(Blinding::SelfService).unwrap();
        connection.set_receive_callback(Some(receive)).unwrap();
        connection.set_send_callback(Some(send)).unwrap();
        let context: *mut RustlsPeer = &mut *peer;
        // SAFETY: the peer lives in its box as long as the connection does.
        unsafe {
            connection.set_receive_context(context.cast()).unwrap();
            connection.set_send_context(context.cast()).unwrap();
        }
        connection.deserialize(serialized).unwrap();
        Self { connection, peer }
    }

    fn say(&mut self, mut payload: &[u8]) {
        while !payload.is_empty() {
            match self.connection.poll_send(payload) {
                Poll::Ready(sent) => payload = &payload[sent.unwrap()..],
                Poll::Pending => panic!("the peer refuses: {:?}", self.peer.fault),
            }
        }
    }

    fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        let mut end = 0;
        while end < length {
            match self.connection.poll_recv(&mut heard[end..]) {
                Poll::Ready(received) => end += received.unwrap(),
                Poll::Pending => panic!("{end} bytes of {length}: {:?}", self.peer.fault),
            }
        }
        heard
    }

    fn exchange(&mut self) {
        let (out, back) = (pattern(50_000), pattern(40_001));
        self.say(&out);
        assert!(self.peer.heard() == out, "not what was sent");
        self.peer.say(&back).unwrap();
        assert!(self.hear(back.len()) == back, "not what was said");
        assert_eq!(self.peer.fault, None);
    }
}

/// The state as s2n-tls would have written it.
fn serialized(state: &TlsState, handshake: &HandshakeOver) -> Vec<u8> {
    let (client_first, (sent, received)) = (state.role() == TlsRole::Client, state.sequences());
    let version = match state.suite().version() {
        TlsVersion::Tls12 => [3, 3],
        TlsVersion::Tls13 => [3, 4],
    };
    let mut blob = 1u64.to_be_bytes().to_vec();
    blob.extend(version);
    blob.extend(state.suite().number().to_be_bytes());
    let (client, server) = if client_first { (sent, received) } else { (received, sent) };
    blob.extend([client.to_be_bytes(), server.to_be_bytes()].concat());
    blob.extend((MAX_PLAINTEXT as u16).to_be_bytes());
    if let Some((sending, receiving)) = state.traffic_secrets() {
        let (client, server) = if client_first { (sending, receiving) } else { (receiving, sending) };
        blob.extend_from_slice(client.expose());
        blob.extend_from_slice(server.expose());
        // for tickets, of which none are issued here
        blob.resize(blob.len() + server.expose().len(), 0);
    } else {
        blob.extend(handshake.kept.get("CLIENT_RANDOM").unwrap());
        blob.extend(handshake.kept.get("client random").unwrap());
        blob.extend(server_random(handshake));
    }
    blob
}

/// `record header (5) | type (1) | length (3) | version (2) | random (32)` (RFC 5246 §7.4.1.3).
fn server_random(handshake: &HandshakeOver) -> &[u8] {
    assert_eq!((handshake.server_hello[0], handshake.server_hello[5]), (22, 2), "a ServerHello");
    &handshake.server_hello[11..43]
}

/// A handshake by rustls, some data by us, and the rest by s2n-tls.
fn import(role: TlsRole, suite: TlsSuite, before: impl FnOnce(&mut Carried<RustlsPeer>)) -> S2n {
    let setup = Setup::new(role, suite).unwrap();
    let mut peer = RustlsPeer::new(&setup).unwrap();
    let handshake = shake_hands(&setup, &mut peer).unwrap();
    let mut us = Carried::resume(&handshake.state, peer);
    us.send(Outgoing::Data, &pattern(40_000)).unwrap();
    assert_eq!(us.wire.heard().len(), 40_000);
    us.wire.say(b"hello").unwrap();
    assert_eq!(us.hear_data(5).unwrap(), b"hello");
    before(&mut us);
    let blob = serialized(&us.session().state(), &handshake);
    S2n::import(role, &blob, us.wire)
}

const ROLES: [TlsRole; 2] = [TlsRole::Server, TlsRole::Client];

#[test]
fn s2n_goes_on_from_our_state() {
    for suite in TlsSuite::TLS {
        for role in ROLES {
            println!("{suite:?} as {role:?}");
            import(role, suite, |_| {}).exchange();
        }
    }
}

#[test]
fn s2n_goes_on_after_key_updates_and_makes_more() {
    for suite in TlsSuite::TLS.into_iter().filter(|s| s.version() == TlsVersion::Tls13) {
        for role in ROLES {
            println!("{suite:?} as {role:?}");
            let mut s2n = import(role, suite, |us| {
                for _ in 0..2 {
                    us.send(Outgoing::KeyUpdate(KeyUpdateRequest::Requested), b"").unwrap();
                    us.send(Outgoing::Data, b"under the next key").unwrap();
                    us.wire.heard();
                    us.wire.say(b"me too").unwrap();
                    assert_eq!(us.hear_data(6).unwrap(), b"me too");
                }
            });
            s2n.exchange();
            s2n.connection.request_key_update(PeerKeyUpdate::KeyUpdateNotRequested).unwrap();
            s2n.exchange();
            s2n.peer.tls.refresh_traffic_keys().unwrap();
            s2n.exchange();
        }
    }
}

#[test]
fn a_wrong_number_is_noticed_at_once() {
    let setup = Setup::new(TlsRole::Server, TlsSuite::Tls13Aes128GcmSha256).unwrap();
    let mut peer = RustlsPeer::new(&setup).unwrap();
    let handshake = shake_hands(&setup, &mut peer).unwrap();
    let mut blob = serialized(&handshake.state, &handshake);
    blob[27] += 1;
    let mut s2n = S2n::import(TlsRole::Server, &blob, peer);
    let _ = s2n.connection.poll_send(b"x");
    assert_eq!(s2n.peer.fault, Some(rustls::Error::DecryptError));
}

/// The other way round: what s2n-tls serialized after going on, we go on from.
#[test]
fn we_go_on_from_what_s2n_serialized() {
    for suite in [TlsSuite::Tls13Aes128GcmSha256, TlsSuite::Tls13Aes256GcmSha384] {
        let mut s2n = import(TlsRole::Server, suite, |_| {});
        s2n.exchange();
        let mut blob = vec![0; s2n.connection.serialization_length().unwrap()];
        s2n.connection.serialize(&mut blob).unwrap();
        let number = |at: usize| u64::from_be_bytes(blob[at..at + 8].try_into().unwrap());
        let secret = |n: usize| &blob[30 + n * suite.secret_length()..][..suite.secret_length()];
        let state = state_of(suite, (number(20), secret(1)), (number(12), secret(0)));
        let mut us = Carried::resume(&state, *s2n.peer);
        us.send(Outgoing::Data, b"back again").unwrap();
        assert_eq!(us.wire.heard(), b"back again");
        us.wire.say(b"welcome").unwrap();
        assert_eq!(us.hear_data(7).unwrap(), b"welcome");
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        us.wire.tls.send_close_notify();
        assert_eq!(us.hear().unwrap(), Heard::Closed);
    }
}

/// A server's state from secrets and numbers alone.
fn state_of(suite: TlsSuite, sending: (u64, &[u8]), receiving: (u64, &[u8])) -> TlsState {
    let derived = |secret: &[u8]| {
        let length = suite.cipher().key_length();
        (expand(secret, b"key", length), expand(secret, b"iv", 12))
    };
    let keys = [derived(sending.1), derived(receiving.1)];
    let direction = |n: usize, (sequence, secret)| symbolon_record::HandedOver {
        sequence,
        key: &keys[n].0,
        iv: keys[n].1.as_slice().try_into().unwrap(),
        traffic_secret: Some(secret),
    };
    let (sending, receiving) = (direction(0, sending), direction(1, receiving));
    let state = TlsState::after_handshake(crypto(), TlsRole::Server, suite, sending, receiving).unwrap();
    let session = TlsSession::resume(crypto(), &state);
    assert_eq!(session.suite(), suite);
    state
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
fn expand(secret: &[u8], label: &[u8], length: usize) -> Vec<u8> {
    let info = [&[0, length as u8, 6 + label.len() as u8][..], b"tls13 ", label, &[0, 1]].concat();
    let hash = if secret.len() == 48 { aws_lc_rs::hmac::HMAC_SHA384 } else { aws_lc_rs::hmac::HMAC_SHA256 };
    let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(hash, secret), &info);
    tag.as_ref()[..length].to_vec()
}
