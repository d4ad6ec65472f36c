//! A client and a server of rustls, in every suite.

use crate::pattern;
use rustls::{AlertDescription, Error};
use std::io::Write as _;
use symbolon_record::{Alert, KeyUpdateRequest, Outgoing, PeerMisbehaved, RecordError};
use symbolon_record::{TlsRole, TlsSuite, TlsVersion};
use symbolon_tls_peers::{Carried, Heard, RustlsPeer, Setup};

type Connected = Carried<RustlsPeer>;

fn connected(role: TlsRole, suite: TlsSuite) -> Connected {
    let setup = Setup::new(role, suite).unwrap();
    let peer = RustlsPeer::new(&setup).unwrap();
    Carried::after_handshake(&setup, peer).unwrap()
}

fn everywhere(test: impl Fn(Connected)) {
    for suite in TlsSuite::TLS {
        for role in [TlsRole::Server, TlsRole::Client] {
            println!("{suite:?} as {role:?}");
            test(connected(role, suite));
        }
    }
}

fn tls13(test: impl Fn(Connected)) {
    everywhere(|us| {
        if us.session().suite().version() == TlsVersion::Tls13 {
            test(us);
        }
    });
}

/// What we hear but for the tickets that a server of TLS 1.3 sends first.
fn hear(us: &mut Connected) -> Heard {
    loop {
        match us.hear().unwrap() {
            Heard::Nothing => {}
            other => return other,
        }
    }
}

fn exchange(us: &mut Connected) {
    let (down, up) = (pattern(100_000), pattern(70_001));
    for part in down.chunks(symbolon_record::MAX_PINNED) {
        us.send(Outgoing::Data, part).unwrap();
    }
    assert!(us.wire.heard() == down, "not what was sent");
    for part in up.chunks(20_000) {
        us.wire.say(part).unwrap();
        assert!(us.hear_data(part.len()).unwrap() == part, "not what was said");
    }
    assert_eq!(us.wire.fault, None);
}

#[test]
fn data_flows_both_ways() {
    everywhere(|mut us| exchange(&mut us));
}

#[test]
fn keys_change_at_our_wish_and_at_the_peers() {
    tls13(|mut us| {
        for request in [KeyUpdateRequest::NotRequested, KeyUpdateRequest::Requested] {
            us.send(Outgoing::KeyUpdate(request), b"").unwrap();
            exchange(&mut us);
        }
        for _ in 0..3 {
            us.wire.tls.refresh_traffic_keys().unwrap();
            assert_eq!(hear(&mut us), Heard::KeyUpdated);
            let owed = Outgoing::KeyUpdate(KeyUpdateRequest::NotRequested);
            assert_eq!(us.session().owed(), Some(owed));
            exchange(&mut us);
        }
        // both at once, before either has heard of the other's
        us.wire.tls.refresh_traffic_keys().unwrap();
        us.send(Outgoing::KeyUpdate(KeyUpdateRequest::Requested), b"").unwrap();
        exchange(&mut us);
    });
}

#[test]
fn either_side_closes_first_and_the_other_goes_on() {
    everywhere(|mut us| {
        us.wire.say(b"last words").unwrap();
        us.wire.tls.send_close_notify();
        assert_eq!(hear(&mut us), Heard::Data(b"last words".to_vec()));
        assert_eq!(hear(&mut us), Heard::Closed);
        assert_eq!(us.session().end_of_input(), Ok(()));
        us.send(Outgoing::Data, b"reply").unwrap();
        assert_eq!(us.wire.heard(), b"reply");
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        assert!(us.wire.tls.process_new_packets().unwrap().peer_has_closed());
    });
    everywhere(|mut us| {
        us.send(Outgoing::Data, b"request").unwrap();
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        assert_eq!(us.wire.heard(), b"request");
        assert!(us.wire.tls.process_new_packets().unwrap().peer_has_closed());
        us.wire.say(b"answer").unwrap();
        assert_eq!(hear(&mut us), Heard::Data(b"answer".to_vec()));
    });
}

#[test]
fn a_cut_connection_is_not_taken_for_a_close() {
    everywhere(|mut us| {
        us.wire.say(b"half").unwrap();
        assert_eq!(hear(&mut us), Heard::Data(b"half".to_vec()));
        assert_eq!(hear(&mut us), Heard::EndOfInput);
        assert_eq!(us.session().end_of_input(), Err(RecordError::Truncated));
    });
}

#[test]
fn the_peer_learns_of_a_withdrawn_right() {
    everywhere(|mut us| {
        us.send(Outgoing::Alert(Alert::AccessDenied), b"").unwrap();
        assert_eq!(us.wire.fault, Some(Error::AlertReceived(AlertDescription::AccessDenied)));
    });
}

#[test]
fn every_byte_that_the_path_changes_in_the_peers_record_is_noticed_and_told() {
    for suite in [TlsSuite::Tls13Aes128GcmSha256, TlsSuite::EcdheEcdsaAes128GcmSha256] {
        let setup = Setup::new(TlsRole::Server, suite).unwrap();
        for at in 0.. {
            let peer = Meddler { peer: RustlsPeer::new(&setup).unwrap(), at: None, reached: false };
            let mut us = Carried::after_handshake(&setup, peer).unwrap();
            us.wire.peer.say(b"to the server").unwrap();
            us.wire.at = Some(at);
            let heard = us.hear();
            if !us.wire.reached {
                assert_eq!(heard.unwrap(), Heard::Data(b"to the server".to_vec()));
                break;
            }
            let fault = match heard {
                Ok(Heard::Fault(fault)) => fault,
                // a greater length was announced than came
                Err(_) => continue,
                other => panic!("byte {at}: {other:?}"),
            };
            assert!(matches!(fault, RecordError::PeerMisbehaved(_)), "byte {at}: {fault:?}");
            let told = us.wire.peer.fault.take();
            assert!(matches!(told, Some(Error::AlertReceived(_))), "byte {at}: {told:?}");
        }
    }
}

#[test]
fn every_byte_that_the_path_changes_in_our_record_is_noticed_and_told() {
    for suite in [TlsSuite::Tls13ChaCha20Poly1305Sha256, TlsSuite::EcdheRsaAes256GcmSha384] {
        let setup = Setup::new(TlsRole::Server, suite).unwrap();
        // behind the header, which rustls judges by itself
        for at in 5..5 + 8 + 13 + 16 {
            let peer = Meddler { peer: RustlsPeer::new(&setup).unwrap(), at: None, reached: false };
            let mut us = Carried::after_handshake(&setup, peer).unwrap();
            us.wire.at = Some(at);
            us.send(Outgoing::Data, b"to the client").unwrap();
            if !us.wire.reached {
                break;
            }
            assert_eq!(us.wire.peer.fault, Some(Error::DecryptError), "byte {at}");
            us.wire.at = None;
            assert_eq!(us.hear().unwrap(), Heard::Fault(RecordError::PeerGaveUp(20)), "byte {at}");
        }
    }
}

/// A path that changes one byte of what goes over it.
struct Meddler {
    peer: RustlsPeer,
    at: Option<usize>,
    reached: bool,
}

impl Meddler {
    fn meddle(&mut self, bytes: &mut [u8]) {
        if let Some(at) = &mut self.at {
            match bytes.get_mut(*at) {
                Some(byte) => {
                    *byte ^= 0x04;
                    (self.at, self.reached) = (None, true);
                }
                None => *at -= bytes.len(),
            }
        }
    }
}

impl std::io::Read for Meddler {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.peer.read(buffer)?;
        self.meddle(&mut buffer[..count]);
        Ok(count)
    }
}

impl std::io::Write for Meddler {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut bytes = bytes.to_vec();
        self.meddle(&mut bytes);
        self.peer.write(&bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.peer.flush()
    }
}

#[test]
fn rustls_gives_up_on_a_flood_of_key_updates_as_we_do() {
    let mut us = connected(TlsRole::Server, TlsSuite::Tls13Aes128GcmSha256);
    for _ in 0..symbolon_record::MAX_WITHOUT_DATA {
        us.wire.tls.refresh_traffic_keys().unwrap();
        assert_eq!(us.hear().unwrap(), Heard::KeyUpdated);
    }
    us.wire.tls.refresh_traffic_keys().unwrap();
    let refused = RecordError::from(PeerMisbehaved::TooManyWithoutData);
    assert_eq!(us.hear().unwrap(), Heard::Fault(refused));
    let told = Some(Error::AlertReceived(AlertDescription::UnexpectedMessage));
    assert_eq!(us.wire.fault, told);
}

#[test]
fn a_handshake_that_went_on_is_not_taken_over() {
    let setup = Setup::new(TlsRole::Server, TlsSuite::Tls13Aes128GcmSha256).unwrap();
    let kept = std::sync::Arc::default();
    let server = setup.connection(TlsRole::Server, &kept).unwrap();
    assert!(symbolon_tls_peers::handed_over(server, &kept).is_err(), "no handshake");

    let mut peer = RustlsPeer::new(&setup).unwrap();
    let mut server = setup.connection(TlsRole::Server, &kept).unwrap();
    while server.is_handshaking() {
        let mut flight = Vec::new();
        std::io::Read::read_to_end(&mut peer, &mut flight).unwrap();
        server.read_tls(&mut flight.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut flight = Vec::new();
        server.write_tls(&mut flight).unwrap();
        peer.write_all(&flight).unwrap();
    }
    server.refresh_traffic_keys().unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    let error = symbolon_tls_peers::handed_over(server, &kept).unwrap_err();
    assert_eq!(error.to_string(), "traffic secret and key do not belong together");
}
