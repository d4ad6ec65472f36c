//! Honest clients: rustls in memory, OpenSSL and curl as processes.

use crate::world::{Authority, NAME, shout, site, take, tickets};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use symbolon_record::TlsVersion;
use symbolon_tls::{Clients, Site};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

fn config(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<(Vec<u8>, Vec<u8>)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own {
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate.into()], PrivateKeyDer::try_from(key).unwrap())
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// Says something, and returns the answer and the agreed protocol.
async fn talk(
    listener: &TcpListener,
    config: Arc<ClientConfig>,
    words: &[u8],
) -> std::io::Result<(Vec<u8>, Option<Vec<u8>>)> {
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await?;
    let mut tls = TlsConnector::from(config).connect(ServerName::try_from(NAME).unwrap(), stream).await?;
    let alpn = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    tls.write_all(words).await?;
    tls.shutdown().await?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).await?;
    Ok((answer, alpn))
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_client_of_either_version_is_carried_on_by_our_records() {
    let authority = Authority::new();
    let site = site(&authority, &["http/1.1"], Clients::NotAsked);
    let listener = listener().await;
    for (version, ours) in
        [(&rustls::version::TLS12, TlsVersion::Tls12), (&rustls::version::TLS13, TlsVersion::Tls13)]
    {
        for suite in rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES {
            if suite.version() != version || format!("{:?}", suite.suite()).contains("RSA") {
                continue;
            }
            let mut config = config(&authority, &[version], None);
            let mut provider = rustls::crypto::aws_lc_rs::default_provider();
            provider.cipher_suites = vec![*suite];
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.der())).unwrap();
            let mut only = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            only.alpn_protocols = config.alpn_protocols;
            let words = "words ".repeat(9000);
            let gateway = async {
                let accepted = take(&listener, &site).await.unwrap();
                assert_eq!(accepted.hello.server_name.as_deref(), Some(NAME));
                assert_eq!(accepted.hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
                assert_eq!(accepted.alpn.as_deref(), Some(&b"http/1.1"[..]));
                assert!(!accepted.resumed && accepted.certificates.is_empty());
                let session =
                    symbolon_record::TlsSession::resume(symbolon_provider::crypto(), &accepted.state);
                assert_eq!(session.suite().version(), ours);
                shout(accepted).await
            };
            let (records, answer) = tokio::join!(gateway, talk(&listener, Arc::new(only), words.as_bytes()));
            assert!(records > 1);
            assert!(answer.unwrap().0 == words.to_uppercase().as_bytes(), "{suite:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_a_client_shows_is_its_own_and_known_after_a_resumption() {
    let authority = Authority::new();
    let (certificate, key, _) = authority.issue("ann", ExtendedKeyUsagePurpose::ClientAuth);
    let (_, another_key, _) = authority.issue("eve", ExtendedKeyUsagePurpose::ClientAuth);
    let site = site(&authority, &[], Clients::Asked);
    let listener = listener().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let own = Arc::new(config(&authority, &[version], Some((certificate.clone(), key.clone()))));
        for resumed in [false, true] {
            let gateway = async {
                let accepted = take(&listener, &site).await.unwrap();
                assert_eq!((accepted.resumed, &accepted.certificates[0]), (resumed, &certificate));
                shout(accepted).await
            };
            let (_, answer) = tokio::join!(gateway, talk(&listener, own.clone(), b"again"));
            assert_eq!(answer.unwrap().0, b"AGAIN");
        }
        let none = Arc::new(config(&authority, &[version], None));
        for _ in 0..2 {
            let gateway = async {
                let accepted = take(&listener, &site).await.unwrap();
                assert!(accepted.certificates.is_empty(), "nobody must show one");
                assert!(!accepted.resumed, "who showed none is asked again");
                shout(accepted).await
            };
            let (_, answer) = tokio::join!(gateway, talk(&listener, none.clone(), b"hello"));
            assert_eq!(answer.unwrap().0, b"HELLO");
        }

        let key = PrivateKeyDer::try_from(another_key.clone()).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let stolen = CertifiedKey::new(vec![certificate.clone().into()], key);
        let mut thief = config(&authority, &[version], None);
        thief.client_auth_cert_resolver = Arc::new(Shows(Arc::new(stolen)));
        let (came, _) = tokio::join!(take(&listener, &site), talk(&listener, Arc::new(thief), b"let me in"));
        assert!(came.is_err(), "a certificate without its key");
    }
}

/// A client that shows a certificate whatever key it has.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_ticket_of_one_worker_resumes_at_another() {
    let authority = Authority::new();
    let (certificate, key, _) = authority.issue(NAME, ExtendedKeyUsagePurpose::ServerAuth);
    let key = symbolon_crypto::SecretBytes::new(key);
    let shared = tickets();
    let worker = || {
        Site::new(std::slice::from_ref(&certificate), &key, &[], Clients::NotAsked, Some(&shared)).unwrap()
    };
    let listener = listener().await;
    let client = Arc::new(config(&authority, rustls::ALL_VERSIONS, None));
    for resumed in [false, true, true] {
        let gateway = async {
            let accepted = take(&listener, &worker()).await.unwrap();
            assert_eq!(accepted.resumed, resumed);
            shout(accepted).await
        };
        let (_, answer) = tokio::join!(gateway, talk(&listener, client.clone(), b"x"));
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_site_without_tickets_asks_for_the_certificate_each_time() {
    let authority = Authority::new();
    let (certificate, key, _) = authority.issue(NAME, ExtendedKeyUsagePurpose::ServerAuth);
    let key = symbolon_crypto::SecretBytes::new(key);
    let site = Site::new(&[certificate], &key, &[], Clients::NotAsked, None).unwrap();
    let listener = listener().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Arc::new(config(&authority, &[version], None));
        for _ in 0..2 {
            let gateway = async {
                let accepted = take(&listener, &site).await.unwrap();
                assert!(!accepted.resumed);
                shout(accepted).await
            };
            let (_, answer) = tokio::join!(gateway, talk(&listener, client.clone(), b"x"));
            answer.unwrap();
        }
    }
}

/// Says each line to a program and waits for the answer to it before the next; returns all that was said.
fn converse(mut program: Command, lines: &[(&str, &str)]) -> String {
    let (read, write) = std::io::pipe().unwrap();
    program.stdin(Stdio::piped()).stdout(write.try_clone().unwrap()).stderr(write);
    let mut child = program.spawn().unwrap();
    drop(program);
    let mut input = child.stdin.take().unwrap();
    let mut answers = BufReader::new(read).lines();
    let mut all = String::new();
    for (line, answer) in lines {
        input.write_all(line.as_bytes()).unwrap();
        while all.lines().last().is_none_or(|last| last != *answer) {
            let said = answers.next().unwrap_or_else(|| panic!("no {answer:?} after {all}")).unwrap();
            all.extend([said.as_str(), "\n"]);
        }
    }
    drop(input);
    child.wait().unwrap();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_is_carried_on_through_key_updates() {
    let authority = Authority::new();
    let site = site(&authority, &[], Clients::NotAsked);
    let listener = listener().await;
    let address = listener.local_addr().unwrap().to_string();
    let plain: &[_] = &[("one\n", "ONE"), ("two\n", "TWO"), ("Q\n", "DONE")];
    let updates: &[_] = &[
        ("one\n", "ONE"),
        ("K\n", "KEYUPDATE"),
        ("two\n", "TWO"),
        ("k\n", "KEYUPDATE"),
        ("three\n", "THREE"),
        ("K\n", "KEYUPDATE"),
        ("four\n", "FOUR"),
        ("Q\n", "DONE"),
    ];
    for (version, lines) in [("-tls1_2", plain), ("-tls1_3", updates)] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, "-servername", NAME, version]);
        let talk = tokio::task::spawn_blocking(move || converse(openssl, lines));
        let gateway = async { shout(take(&listener, &site).await.unwrap()).await };
        let (records, said) = tokio::join!(gateway, talk);
        assert!(records >= lines.len(), "{version}, {records}: {}", said.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_reaches_a_site_by_its_name() {
    let authority = Authority::new();
    let site = site(&authority, &["http/1.1"], Clients::NotAsked);
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    let directory = std::env::temp_dir().join(format!("symbolon-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let roots = directory.join("roots.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let gateway = async {
        let accepted = take(&listener, &site).await.unwrap();
        assert_eq!(accepted.alpn.as_deref(), Some(&b"http/1.1"[..]));
        let mut session = symbolon_record::TlsSession::resume(symbolon_provider::crypto(), &accepted.state);
        let mut stream = accepted.stream;
        let mut out = Vec::new();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
        session.send(symbolon_record::Outgoing::Data, answer, &mut out).unwrap();
        stream.write_all(&out).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.is_empty(), "the request");
    };
    let (url, host) = (format!("https://{NAME}:{port}/"), format!("{NAME}:{port}:127.0.0.1"));
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--resolve", &host, &url, "--cacert"])
        .arg(&roots);
    let talk = tokio::task::spawn_blocking(move || curl.output().unwrap());
    let (_, said) = tokio::join!(gateway, talk);
    let said = said.unwrap();
    assert_eq!(said.stdout, b"hello\n", "{}", String::from_utf8_lossy(&said.stderr));
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn early_data_is_not_taken_and_what_comes_in_time_is() {
    let authority = Authority::new();
    let mut client = config(&authority, &[&rustls::version::TLS13], None);
    client.enable_early_data = true;
    let client = Arc::new(client);
    let elsewhere = listener().await;
    let (certificate, key, _) = authority.issue(NAME, ExtendedKeyUsagePurpose::ServerAuth);
    let mut permissive =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivateKeyDer::try_from(key).unwrap())
            .unwrap();
    permissive.max_early_data_size = 1024;
    let permissive = tokio_rustls::TlsAcceptor::from(Arc::new(permissive));
    let other = async {
        let mut tls = permissive.accept(elsewhere.accept().await.unwrap().0).await.unwrap();
        tls.read_to_end(&mut Vec::new()).await.unwrap();
        tls.shutdown().await.unwrap();
    };
    let ((), first) = tokio::join!(other, talk(&elsewhere, client.clone(), b"hello"));
    first.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let mut eager = rustls::ClientConnection::new(client, name).unwrap();
    let mut early = eager.early_data().expect("it has a ticket by which it may speak early");
    early.write_all(b"too early").unwrap();

    let (here, site) = (listener().await, site(&authority, &[], Clients::NotAsked));
    let address = here.local_addr().unwrap();
    let client = tokio::task::spawn_blocking(move || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        let mut tls = rustls::StreamOwned::new(eager, stream);
        tls.write_all(b"in time").unwrap();
        assert!(!tls.conn.is_early_data_accepted());
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).unwrap();
        answer
    });
    let accepted = take(&here, &site).await.unwrap();
    assert!(!accepted.resumed, "the ticket was another server's");
    shout(accepted).await;
    assert_eq!(client.await.unwrap(), b"IN TIME");
}
