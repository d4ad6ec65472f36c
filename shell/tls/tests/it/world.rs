//! A site with a certificate, and a gateway that echoes in capitals what its clients say.

use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::sync::Arc;
use symbolon_crypto::{Secret, SecretBytes};
use symbolon_provider::crypto;
use symbolon_record::{Alert, Outgoing, TlsEvent, TlsSession, TlsState};
use symbolon_tls::{Accepted, Clients, HandshakeError, NotServed, Opening, Site, TicketKeys};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const NAME: &str = "app.example";

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Authority");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A certificate and its key, both DER, and in PEM.
    pub(crate) fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (Vec<u8>, Vec<u8>, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        (certificate.der().to_vec(), key.serialize_der(), pem)
    }
}

pub(crate) fn tickets() -> Arc<TicketKeys> {
    Arc::new(TicketKeys::new(crypto(), Secret::new([5; 32])))
}

pub(crate) fn site(authority: &Authority, alpn: &[&str], clients: Clients) -> Site {
    let (certificate, key, _) = authority.issue(NAME, ExtendedKeyUsagePurpose::ServerAuth);
    Site::new(&[certificate], &SecretBytes::new(key), alpn, clients, Some(&tickets())).unwrap()
}

/// What came of a client.
pub(crate) type Came = Result<Accepted<TcpStream>, HandshakeError>;

/// Takes the next client of `listener` to `site` if it asks for [`NAME`].
pub(crate) async fn take(listener: &TcpListener, site: &Site) -> Came {
    let (stream, _) = listener.accept().await.unwrap();
    let opening = Opening::read(stream).await?;
    if opening.hello().server_name.as_deref() != Some(NAME) {
        opening.refuse(NotServed::UnknownName).await;
        return Err(HandshakeError::NotTls);
    }
    opening.accept(site).await
}

/// Answers in capitals until the client closes, with the state handed from one to the next after each
/// record, as if each were another process.
pub(crate) async fn shout(accepted: Accepted<TcpStream>) -> usize {
    let Accepted { mut stream, state, .. } = accepted;
    let mut state = state.to_bytes();
    let mut input = Vec::new();
    let mut records = 0;
    loop {
        let mut session = TlsSession::resume(crypto(), &TlsState::from_bytes(state.expose()).unwrap());
        let length = match session.record_length(&input).unwrap() {
            Some(length) if length <= input.len() => length,
            _ => {
                let n = stream.read_buf(&mut input).await.unwrap();
                assert!(n > 0, "the client is gone without a word");
                continue;
            }
        };
        let mut opened = vec![0; length];
        let mut ahead = session.ahead();
        let mut out = Vec::new();
        let answer = match session.open_from(&mut ahead, &input[..length], &mut opened).unwrap() {
            TlsEvent::Data(data) => Some(data.to_ascii_uppercase()),
            TlsEvent::PeerClosed | TlsEvent::Ended(_) => None,
            TlsEvent::KeyUpdated | TlsEvent::Nothing => Some(Vec::new()),
        };
        session.received(ahead).unwrap();
        input.drain(..length);
        records += 1;
        while let Some(owed) = session.owed() {
            session.send(owed, &[], &mut out).unwrap();
        }
        match answer {
            Some(answer) if answer.is_empty() => {}
            Some(answer) => session.send(Outgoing::Data, &answer, &mut out).unwrap(),
            None => session.send(Outgoing::Alert(Alert::CloseNotify), &[], &mut out).unwrap(),
        }
        stream.write_all(&out).await.unwrap();
        if !session.is_receiving() {
            stream.shutdown().await.unwrap();
            return records;
        }
        state = session.state().to_bytes();
    }
}
