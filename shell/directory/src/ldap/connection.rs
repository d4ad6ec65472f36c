//! One connection to a directory, from its beginning to its end.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Address;
use super::ber::{Malformed, message_length};
use super::message::{Entry, Outcome, Request, Response, Search, code, decode};
use super::protection::{Kind, Protection};
use crate::BackendError;

/// The most entries of one search that are kept, references not counted.
const MAX_REFERENCES: usize = 100;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What has come and was not read yet.
    inbox: Vec<u8>,
    asked: u32,
}

impl Connection {
    pub(super) async fn open(address: &Address, protection: &Protection) -> Result<Self, BackendError> {
        let at = |e: &dyn std::fmt::Display| BackendError::Unavailable(format!("{address}: {e}"));
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|e| at(&e))?;
        let plain = |stream: TcpStream| Self { stream: Box::new(stream), inbox: Vec::new(), asked: 0 };
        match &protection.0 {
            Kind::Unprotected => Ok(plain(stream)),
            Kind::Tls(config) => Self::with_tls(stream, address, config).await,
            Kind::StartTls(config) => {
                let mut bare = Bare { stream, inbox: Vec::new() };
                bare.start_tls().await.map_err(|e| at(&e))?;
                Self::with_tls(bare.stream, address, config).await
            }
        }
    }

    async fn with_tls(
        stream: TcpStream,
        address: &Address,
        config: &Arc<ClientConfig>,
    ) -> Result<Self, BackendError> {
        let at = |e: &dyn std::fmt::Display| BackendError::Unavailable(format!("{address}: {e}"));
        let name = ServerName::try_from(address.host.clone()).map_err(|e| at(&e))?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await.map_err(|e| at(&e))?;
        Ok(Self { stream: Box::new(stream), inbox: Vec::new(), asked: 0 })
    }

    /// A simple bind. The caller has made sure that neither part is empty.
    pub(super) async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<Outcome, BackendError> {
        debug_assert!(!dn.is_empty() && !password.is_empty(), "RFC 4513 §5.1: that is another bind");
        match self.ask(&Request::Bind { dn, password }).await? {
            Response::Bound(outcome) => Ok(outcome),
            _ => Err(unexpected()),
        }
    }

    /// The entries of a search, at most as many as were asked for, and how it ended.
    pub(super) async fn search(
        &mut self,
        search: &Search<'_>,
    ) -> Result<(Vec<Entry>, Outcome), BackendError> {
        let mut response = self.ask(&Request::Search(search)).await?;
        let (mut entries, mut references) = (Vec::new(), 0);
        loop {
            match response {
                Response::Entry(entry) if entries.len() < search.most as usize => entries.push(entry),
                Response::Reference if references < MAX_REFERENCES => references += 1,
                Response::Searched(outcome) => return Ok((entries, outcome)),
                _ => return Err(unexpected()),
            }
            response = self.receive().await?;
        }
    }

    /// Says good-bye, if the server still listens.
    pub(super) async fn close(mut self) {
        let farewell = Request::Unbind.encode(self.asked + 1);
        let _ = self.stream.write_all(farewell.expose()).await;
        let _ = self.stream.shutdown().await;
    }

    async fn ask(&mut self, request: &Request<'_>) -> Result<Response, BackendError> {
        self.asked += 1;
        let bytes = request.encode(self.asked);
        self.stream.write_all(bytes.expose()).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        self.receive().await
    }

    /// The next answer, which must be to the last question.
    async fn receive(&mut self) -> Result<Response, BackendError> {
        match receive(&mut self.stream, &mut self.inbox).await? {
            (id, response) if id == self.asked => Ok(response),
            (0, _) => Err(BackendError::Unavailable("the directory ended the connection".to_owned())),
            _ => Err(unexpected()),
        }
    }
}

/// A connection that is not protected yet, and on which nothing is said but the wish for it.
struct Bare {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Bare {
    async fn start_tls(&mut self) -> Result<(), BackendError> {
        self.stream.write_all(Request::StartTls.encode(1).expose()).await.map_err(broken)?;
        match receive(&mut self.stream, &mut self.inbox).await? {
            (1, Response::Extended(Outcome { code: code::SUCCESS, .. })) => {}
            (1, Response::Extended(outcome)) => {
                let why = format!("TLS is refused: {} ({})", outcome.words, outcome.code);
                return Err(BackendError::Misconfigured(why));
            }
            _ => return Err(unexpected()),
        }
        // What came along in clear could otherwise be taken for an answer under TLS.
        if self.inbox.is_empty() { Ok(()) } else { Err(unexpected()) }
    }
}

async fn receive(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    inbox: &mut Vec<u8>,
) -> Result<(u32, Response), BackendError> {
    loop {
        let whole = message_length(inbox).map_err(|_: Malformed| unexpected())?;
        if let Some(length) = whole.filter(|length| *length <= inbox.len()) {
            let message: Vec<u8> = inbox.drain(..length).collect();
            return decode(&message).map_err(|_: Malformed| unexpected());
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await.map_err(broken)? {
            0 => return Err(BackendError::Unavailable("the directory ended the connection".to_owned())),
            n => inbox.extend_from_slice(&piece[..n]),
        }
    }
}

fn broken(error: std::io::Error) -> BackendError {
    BackendError::Unavailable(error.to_string())
}

fn unexpected() -> BackendError {
    BackendError::Unavailable("the directory answered something that was not asked".to_owned())
}
