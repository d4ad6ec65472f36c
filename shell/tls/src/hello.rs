//! The first message of a client, before anything is decided.

use crate::handshake::{Accepted, finish};
use crate::records::Records;
use crate::{HandshakeError, Site};
use rustls::server::{Accepted as Begun, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// PostgreSQL's `SSLRequest` (protocol 3.0, §55.2.10): length 8, code 1234 5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Its `GSSENCRequest`, which some clients send first: code 1234 5680.
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

/// Why a name is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// It is none of ours (RFC 6066 §3).
    UnknownName,
    /// It should be.
    OurFault,
}

impl NotServed {
    /// An alert of TLS in the clear.
    const fn alert(self) -> [u8; 7] {
        let description = match self {
            Self::UnknownName => 112,
            Self::OurFault => 80,
        };
        [21, 3, 3, 0, 2, 2, description]
    }
}

/// What a client said of where it wants to go. Nothing of it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The host's name (SNI), in lower case.
    pub server_name: Option<String>,
    /// The protocols that it offers (ALPN), its best first.
    pub alpn: Vec<Vec<u8>>,
}

/// A client that has said hello.
pub struct Opening<S> {
    stream: S,
    records: Records,
    begun: Begun,
    hello: Hello,
}

impl<S> std::fmt::Debug for Opening<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({:?})", self.hello)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opening<S> {
    /// Takes the ClientHello off `stream`. The caller limits the time.
    ///
    /// # Errors
    /// [`HandshakeError`]; the client was told where TLS has a word for it.
    pub async fn read(mut stream: S) -> Result<Self, HandshakeError> {
        let mut acceptor = Acceptor::default();
        let mut records = Records::new();
        asked_for_tls(&mut records, &mut stream).await?;
        loop {
            let record = records.next(&mut stream).await?;
            acceptor.read_tls(&mut &record[..])?;
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(begun)) => {
                    let hello = {
                        let hello = begun.client_hello();
                        Hello {
                            server_name: hello.server_name().map(str::to_ascii_lowercase),
                            alpn: hello
                                .alpn()
                                .map(|all| all.map(<[u8]>::to_vec).collect())
                                .unwrap_or_default(),
                        }
                    };
                    return Ok(Self { stream, records, begun, hello });
                }
                Err((e, mut alert)) => {
                    let mut told = Vec::new();
                    alert.write_all(&mut told)?;
                    tell(&mut stream, &told).await;
                    return Err(e.into());
                }
            }
        }
    }

    /// What the client wants.
    #[must_use]
    pub const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// There is no site of that name: tells the client so.
    pub async fn refuse(mut self, why: NotServed) {
        tell(&mut self.stream, &why.alert()).await;
    }

    /// Does the handshake for `site`.
    ///
    /// # Errors
    /// As [`Opening::read`].
    pub async fn accept(self, site: &Site) -> Result<Accepted<S>, HandshakeError> {
        let Self { stream, records, begun, hello } = self;
        finish(stream, records, begun, hello, site).await
    }
}

/// Answers what a client of PostgreSQL asks before TLS.
async fn asked_for_tls<S: AsyncRead + AsyncWrite + Unpin>(
    records: &mut Records,
    stream: &mut S,
) -> Result<(), HandshakeError> {
    // Twice at most: encryption by the GSS-API, which is not offered, and then by TLS.
    for _ in 0..2 {
        if records.first(stream).await? != 0 {
            return Ok(());
        }
        let mut request = [0; 8];
        records.fill(stream, &mut request).await?;
        match request {
            SSL_REQUEST => {
                stream.write_all(b"S").await?;
                return records.first(stream).await.map(drop);
            }
            GSS_REQUEST => stream.write_all(b"N").await?,
            _ => return Err(HandshakeError::NotTls),
        }
    }
    Err(HandshakeError::NotTls)
}

/// A last word to a client that may be gone already.
pub(crate) async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, alert: &[u8]) {
    if stream.write_all(alert).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
