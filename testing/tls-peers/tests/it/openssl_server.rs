//! We are the client of `openssl s_server`, over a socket.

use crate::program::Program;
use std::net::TcpStream;
use symbolon_record::{Alert, KeyUpdateRequest, Outgoing, RecordError, TlsRole, TlsSuite, TlsVersion};
use symbolon_tls_peers::{Carried, Heard, Setup};

fn connected(suite: TlsSuite) -> (Program, Carried<TcpStream>) {
    let setup = Setup::new(TlsRole::Client, suite).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let certificate = dir.path().join("server.pem");
    std::fs::write(&certificate, setup.authority.server_pem()).unwrap();
    let certificate = certificate.to_str().unwrap();
    let args = ["s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", certificate];
    let mut server = Program::openssl(&args);
    let address = server.wait_for("ACCEPT ");
    let us = Carried::after_handshake(&setup, TcpStream::connect(address).unwrap()).unwrap();
    (server, us)
}

/// A line from us, and one to us; tickets and whatever else is none of the application's come between.
fn exchange(server: &mut Program, us: &mut Carried<TcpStream>, line: &str) {
    us.send(Outgoing::Data, format!("{line}\n").as_bytes()).unwrap();
    server.wait_for(line);
    server.type_in(&format!("answer to {line}\n"));
    let answer = us.hear_data(line.len() + 11).unwrap();
    assert_eq!(answer, format!("answer to {line}\n").as_bytes());
}

#[test]
fn openssl_servers_serve_us_in_every_suite() {
    for suite in TlsSuite::TLS {
        println!("{suite:?}");
        let (mut server, mut us) = connected(suite);
        exchange(&mut server, &mut us, "one");
        exchange(&mut server, &mut us, "two");
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        assert_eq!(us.hear().unwrap(), Heard::Closed);
    }
}

#[test]
fn openssl_servers_change_keys_and_so_do_we() {
    for suite in TlsSuite::TLS.into_iter().filter(|s| s.version() == TlsVersion::Tls13) {
        println!("{suite:?}");
        let (mut server, mut us) = connected(suite);
        exchange(&mut server, &mut us, "hello");
        for (command, answered) in [("k", false), ("K", true), ("K", true)] {
            server.type_in(&format!("{command}\n"));
            assert_eq!(us.hear().unwrap(), Heard::KeyUpdated);
            assert_eq!(us.session().owed().is_some(), answered);
            exchange(&mut server, &mut us, "after");
            us.send(Outgoing::KeyUpdate(KeyUpdateRequest::Requested), b"").unwrap();
            exchange(&mut server, &mut us, "our turn");
        }
    }
}

#[test]
fn openssl_servers_do_not_make_us_renegotiate() {
    let (mut server, mut us) = connected(TlsSuite::EcdheEcdsaAes128GcmSha256);
    exchange(&mut server, &mut us, "before");
    server.type_in("r\n");
    assert_eq!(us.hear().unwrap(), Heard::Nothing);
    let refusal = Outgoing::Alert(Alert::NoRenegotiation);
    assert_eq!(us.session().owed(), Some(refusal));
    us.send(refusal, b"").unwrap();
    // OpenSSL does not want to live without: handshake_failure
    server.wait_for("no renegotiation");
    assert_eq!(us.hear().unwrap(), Heard::Fault(RecordError::PeerGaveUp(40)));
}
