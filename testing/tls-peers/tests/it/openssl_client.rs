//! `openssl s_client` talks to us over a socket.

use crate::program::Program;
use std::net::{TcpListener, TcpStream};
use symbolon_record::{Alert, KeyUpdateRequest, Outgoing, RecordError, TlsRole, TlsSuite, TlsVersion};
use symbolon_tls_peers::{Carried, Heard, SERVER_NAME, Setup};

/// A client that checks our certificate, and our side after the handshake.
fn connected(suite: TlsSuite, more: &[&str]) -> (Program, Carried<TcpStream>) {
    let setup = Setup::new(TlsRole::Server, suite).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("authority.pem");
    std::fs::write(&authority, setup.authority.pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let version = if suite.version() == TlsVersion::Tls13 { "-tls1_3" } else { "-tls1_2" };
    let authority = authority.to_str().unwrap();
    let args = ["s_client", "-connect", &address, version, "-servername", SERVER_NAME];
    let checks = ["-verify_hostname", SERVER_NAME, "-CAfile", authority, "-verify_return_error"];
    let client = Program::openssl(&[&args[..], &checks, more].concat());
    let (socket, _) = listener.accept().unwrap();
    let us = Carried::after_handshake(&setup, socket).unwrap();
    (client, us)
}

/// One line there, and back with a word before it.
fn echo(client: &mut Program, us: &mut Carried<TcpStream>, line: &str) {
    client.type_in(&format!("{line}\n"));
    let heard = us.hear_data(line.len() + 1).unwrap();
    us.send(Outgoing::Data, &[b"echo ", &heard[..]].concat()).unwrap();
    client.wait_for(&format!("echo {line}"));
}

#[test]
fn openssl_clients_are_served_in_every_suite() {
    for suite in TlsSuite::TLS {
        println!("{suite:?}");
        let (mut client, mut us) = connected(suite, &[]);
        echo(&mut client, &mut us, "one");
        echo(&mut client, &mut us, "two");
        client.type_in("Q\n");
        assert_eq!(us.hear().unwrap(), Heard::Closed);
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        assert_eq!(us.hear().unwrap(), Heard::EndOfInput);
    }
}

#[test]
fn openssl_clients_change_keys_and_so_do_we() {
    for suite in TlsSuite::TLS.into_iter().filter(|s| s.version() == TlsVersion::Tls13) {
        println!("{suite:?}");
        let (mut client, mut us) = connected(suite, &[]);
        for (command, answered) in [("k", false), ("K", true), ("K", true), ("k", false)] {
            client.type_in(&format!("{command}\n"));
            client.wait_for("KEYUPDATE");
            client.type_in("after\n");
            assert_eq!(us.hear().unwrap(), Heard::KeyUpdated);
            assert_eq!(us.session().owed().is_some(), answered);
            assert_eq!(us.hear_data(6).unwrap(), b"after\n");
            echo(&mut client, &mut us, "and on");
            for request in [KeyUpdateRequest::NotRequested, KeyUpdateRequest::Requested] {
                us.send(Outgoing::KeyUpdate(request), b"").unwrap();
            }
            echo(&mut client, &mut us, "and further");
        }
    }
}

#[test]
fn openssl_clients_are_not_let_renegotiate() {
    let (mut client, mut us) = connected(TlsSuite::EcdheRsaAes128GcmSha256, &[]);
    echo(&mut client, &mut us, "before");
    client.type_in("R\n");
    client.wait_for("RENEGOTIATING");
    client.type_in("more\n");
    assert_eq!(us.hear().unwrap(), Heard::Nothing);
    let refusal = Outgoing::Alert(Alert::NoRenegotiation);
    assert_eq!(us.session().owed(), Some(refusal));
    us.send(refusal, b"").unwrap();
    // OpenSSL does not want to live without: handshake_failure
    assert_eq!(us.hear().unwrap(), Heard::Fault(RecordError::PeerGaveUp(40)));
}

#[test]
fn openssl_clients_see_our_close_and_our_alerts() {
    for suite in [TlsSuite::Tls13Aes256GcmSha384, TlsSuite::EcdheEcdsaAes256GcmSha384] {
        let (mut client, mut us) = connected(suite, &[]);
        echo(&mut client, &mut us, "hello");
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        client.wait_for("closed");
        assert_eq!(us.hear().unwrap(), Heard::Closed);

        let (mut client, mut us) = connected(suite, &[]);
        us.send(Outgoing::Alert(Alert::AccessDenied), b"").unwrap();
        client.wait_for("alert access denied");
    }
}

#[test]
fn half_a_megabyte_goes_to_an_openssl_client_and_back() {
    for suite in [TlsSuite::Tls13Aes128GcmSha256, TlsSuite::EcdheEcdsaChaCha20Poly1305Sha256] {
        let (mut client, mut us) = connected(suite, &["-quiet", "-no_ign_eof", "-nocommands"]);
        let text: Vec<u8> = crate::pattern(500_000).into_iter().map(|b| b'A' + b % 26).collect();
        let (mut keyboard, typed) = (client.keyboard(), text.clone());
        let typist = std::thread::spawn(move || {
            std::io::Write::write_all(&mut keyboard, &typed).unwrap();
            keyboard
        });
        let heard = us.hear_data(text.len()).unwrap();
        assert!(heard == text, "not what was typed");
        for part in heard.chunks(symbolon_record::MAX_PINNED - 1) {
            us.send(Outgoing::Data, part).unwrap();
        }
        us.send(Outgoing::Alert(Alert::CloseNotify), b"").unwrap();
        let keyboard = typist.join().unwrap();
        let said = client.wait_for_end();
        drop(keyboard);
        assert!(said.windows(text.len()).any(|w| w == text), "not what was sent: {} bytes", said.len());
    }
}
