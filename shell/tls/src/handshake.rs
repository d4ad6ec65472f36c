//! The rest of the handshake, and what it leaves.

use crate::hello::{Hello, tell};
use crate::key_log::Secrets;
use crate::records::Records;
use crate::{HandshakeError, Site};
use rustls::server::Accepted as Begun;
use rustls::{ConnectionTrafficSecrets, ServerConnection};
use std::sync::Arc;
use symbolon_crypto::SecretBytes;
use symbolon_provider::crypto;
use symbolon_record::{HandedOver, TlsRole, TlsState, TlsSuite};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// A connection whose handshake is done.
pub struct Accepted<S> {
    /// Its socket: the next byte is the first after the handshake.
    pub stream: S,
    /// All that is needed to carry it on.
    pub state: TlsState,
    /// What the client asked for.
    pub hello: Hello,
    /// The protocol that was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The client's certificates in DER, its own first, whose key it has; none when it showed none. Whether they
    /// count is not looked at here. Of a session that was resumed, those of its first connection.
    pub certificates: Vec<Vec<u8>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl<S> std::fmt::Debug for Accepted<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accepted({:?}, resumed: {})", self.hello, self.resumed)
    }
}

pub(crate) async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut records: Records,
    begun: Begun,
    hello: Hello,
    site: &Site,
) -> Result<Accepted<S>, HandshakeError> {
    let secrets = Secrets::default();
    // One for each connection, since a key log does not say of whom it speaks.
    let mut config = site.for_one_client()?;
    config.key_log = Arc::new(secrets.clone());
    let mut connection = match begun.into_connection(Arc::new(config)) {
        Ok(connection) => connection,
        Err((e, mut alert)) => {
            let mut told = Vec::new();
            alert.write_all(&mut told)?;
            tell(&mut stream, &told).await;
            return Err(e.into());
        }
    };
    loop {
        flush(&mut connection, &mut stream).await?;
        if !connection.is_handshaking() {
            break;
        }
        let record = records.next(&mut stream).await?;
        connection.read_tls(&mut &record[..])?;
        if let Err(e) = connection.process_new_packets() {
            // The alert, if the client is there to read it.
            let _ = flush(&mut connection, &mut stream).await;
            let _ = stream.shutdown().await;
            return Err(e.into());
        }
    }
    if !records.nothing_ahead() {
        // before it had heard of us
        return Err(HandshakeError::NotTls);
    }
    let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
    let certificates =
        connection.peer_certificates().unwrap_or_default().iter().map(|c| c.to_vec()).collect();
    let resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    let suite = connection.negotiated_cipher_suite().map_or(0, |suite| suite.suite().into());
    let suite = TlsSuite::from_number(suite).ok_or(HandshakeError::Suite(suite))?;
    let state = hand_over(connection, suite, &secrets)?;
    Ok(Accepted { stream, state, hello, alpn, certificates, resumed })
}

async fn flush<S: AsyncWrite + Unpin>(
    connection: &mut ServerConnection,
    stream: &mut S,
) -> Result<(), HandshakeError> {
    let mut flight = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut flight)?;
    }
    Ok(stream.write_all(&flight).await?)
}

/// Takes the keys out of rustls, which forgets them.
fn hand_over(
    connection: ServerConnection,
    suite: TlsSuite,
    secrets: &Secrets,
) -> Result<TlsState, HandshakeError> {
    let extracted = connection.dangerous_extract_secrets()?;
    let (client, server) = secrets.take();
    let (send_sequence, send) = &extracted.tx;
    let (receive_sequence, receive) = &extracted.rx;
    Ok(TlsState::after_handshake(
        crypto(),
        TlsRole::Server,
        suite,
        direction(*send_sequence, send, server.as_ref())?,
        direction(*receive_sequence, receive, client.as_ref())?,
    )?)
}

fn direction<'a>(
    sequence: u64,
    keys: &'a ConnectionTrafficSecrets,
    secret: Option<&'a SecretBytes>,
) -> Result<HandedOver<'a>, HandshakeError> {
    use ConnectionTrafficSecrets as Keys;
    let (key, iv) = match keys {
        Keys::Aes128Gcm { key, iv } | Keys::Aes256Gcm { key, iv } | Keys::Chacha20Poly1305 { key, iv } => {
            (key.as_ref(), iv.as_ref())
        }
        _ => return Err(symbolon_record::HandoverError::KeyLength.into()),
    };
    let iv = iv.try_into().map_err(|_| symbolon_record::HandoverError::KeyLength)?;
    Ok(HandedOver { sequence, key, iv, traffic_secret: secret.map(SecretBytes::expose) })
}
