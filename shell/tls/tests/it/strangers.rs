//! Clients that are not honest, or not clients of TLS.

use crate::world::{Authority, NAME, site, take};
use symbolon_tls::{Clients, HandshakeError, MAX_HANDSHAKE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Sends these bytes to a gateway and returns what came of them, and what the client was told.
async fn shown(bytes: &[u8]) -> (HandshakeError, Vec<u8>) {
    let site = site(&Authority::new(), &[], Clients::NotAsked);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = async {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told).await;
        told
    };
    let (came, told) = tokio::join!(take(&listener, &site), client);
    (came.err().unwrap(), told)
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1, length[0], length[1]], body].concat()
}

#[tokio::test]
async fn what_is_no_tls_is_closed_without_a_word() {
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 2, 0, 0, 5], &[0x16, 3, 1, 0xff, 0xff], &[0; 40]] {
        let (error, told) = shown(bytes).await;
        assert!(matches!(error, HandshakeError::NotTls), "{error:?}");
        assert_eq!(told, []);
    }
}

#[tokio::test]
async fn half_a_hello_and_silence_are_a_broken_connection() {
    for bytes in [&[][..], &[0x16], &[0x16, 3, 1, 0, 5, 1], &[0, 0, 0]] {
        assert!(matches!(shown(bytes).await.0, HandshakeError::Broken(_)));
    }
}

#[tokio::test]
async fn a_malformed_hello_is_told_so() {
    let (error, told) = shown(&record(22, &[1, 0, 0, 4, 9, 9, 9, 9])).await;
    assert!(matches!(error, HandshakeError::Tls(_)), "{error:?}");
    assert_eq!(told.first(), Some(&21), "an alert");
}

#[tokio::test]
async fn a_handshake_without_an_end_is_cut_off() {
    // a message of 16 MiB, in records of full size
    let mut bytes = record(22, &[&[1, 0xff, 0xff, 0xff], &[0; 16000][..]].concat());
    while bytes.len() < MAX_HANDSHAKE + 40_000 {
        bytes.extend(record(22, &[0; 16000]));
    }
    let (error, _) = shown(&bytes).await;
    assert!(matches!(error, HandshakeError::TooLong | HandshakeError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_client_of_postgresql_is_answered_in_its_own_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = site(&Authority::new(), &[], Clients::NotAsked);
    let client = async {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 48]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'N');
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
        stream.write_all(&record(22, &[1, 0, 0, 0])).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 21);
    };
    let (came, ()) = tokio::join!(take(&listener, &site), client);
    assert!(matches!(came.err().unwrap(), HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_name_that_nobody_has_here_is_told_so() {
    use rustls::pki_types::ServerName;
    use std::sync::Arc;
    let authority = Authority::new();
    let site = site(&authority, &[], Clients::NotAsked);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = async {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().into()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let other = ServerName::try_from(format!("not-{NAME}")).unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(other, stream).await.err().unwrap()
    };
    let (came, told) = tokio::join!(take(&listener, &site), client);
    assert!(came.is_err());
    assert!(told.to_string().contains("UnrecognisedName"), "{told}");
}
