//! Frames on a TCP connection to a gateway, with bounds and deadlines.

use crate::dialling::first_of;
use crate::{AgentError, clock};
use std::time::Duration;
use symbolon_crypto::Cookie;
use symbolon_wire::{
    Decode, FRAME_HEADER, Frame, FrameHeader, FrameKind, MAX_BODY_IN_SESSION, Refusal, WireError,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long a gateway may take to accept a connection.
const DIAL: Duration = Duration::from_secs(10);

/// How long a gateway may take to answer one message: it may have to compute an Argon2 hash for
/// somebody else first.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);

/// How often a gateway may ask for a cookie before we give up: one is right, and one more for a
/// cookie that became old on the way.
pub(crate) const MAX_RETRIES: usize = 3;

/// Reads frames. Dropping the future of [`FrameReader::next`] loses no byte.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    header: [u8; FRAME_HEADER],
    have: usize,
    body: Vec<u8>,
}

impl FrameReader {
    /// The next frame, or nothing at a clean end.
    pub(crate) async fn next(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> std::io::Result<Option<Frame>> {
        let invalid = |e: WireError| std::io::Error::new(std::io::ErrorKind::InvalidData, e);
        while self.have < FRAME_HEADER {
            match from.read(&mut self.header[self.have..]).await? {
                0 if self.have == 0 => return Ok(None),
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => self.have += n,
            }
        }
        let header = FrameHeader::parse(self.header).map_err(invalid)?;
        debug_assert!(header.length <= MAX_BODY_IN_SESSION, "FrameHeader::parse bounds it");
        while self.body.len() < header.length {
            let missing = (header.length - self.body.len()) as u64;
            // Grows with what arrives, not with what is promised.
            if (&mut *from).take(missing).read_buf(&mut self.body).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.have = 0;
        Ok(Some(Frame::new(header.kind, std::mem::take(&mut self.body))))
    }
}

/// A connection to a gateway before there is a session on it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    reader: FrameReader,
    address: String,
}

impl Connection {
    /// Dials `address`, `host:port`.
    pub(crate) async fn dial(address: &str) -> Result<Self, AgentError> {
        let stream = dial(address).await?;
        Ok(Self { stream, reader: FrameReader::default(), address: address.to_owned() })
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, kind: FrameKind, body: Vec<u8>) -> Result<(), AgentError> {
        let bytes = Frame::new(kind, body).to_bytes();
        match timeout(ANSWER, self.stream.write_all(&bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(self.broke(&e)),
            Err(_) => Err(self.silent()),
        }
    }

    /// The next frame, which is of one of `kinds` or a refusal.
    pub(crate) async fn receive(
        &mut self,
        kinds: &[FrameKind],
    ) -> Result<Result<Frame, Refusal>, AgentError> {
        let frame = match timeout(ANSWER, self.reader.next(&mut self.stream)).await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return Err(self.broke(&std::io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(e)) => return Err(self.broke(&e)),
            Err(_) => return Err(self.silent()),
        };
        match frame.kind {
            FrameKind::Refusal => Ok(Err(Refusal::from_bytes(&frame.body)?)),
            kind if kinds.contains(&kind) => Ok(Ok(frame)),
            _ => Err(WireError::BadValue("order of messages").into()),
        }
    }

    /// The body of the next frame, which must be of `kind`; a refusal is an error.
    pub(crate) async fn expect(&mut self, kind: FrameKind) -> Result<Vec<u8>, AgentError> {
        match self.receive(&[kind]).await? {
            Ok(frame) => Ok(frame.body),
            Err(refusal) => Err(AgentError::refused(&refusal, clock::now())),
        }
    }

    /// Sends a first message and takes the answer of `kind`, coming again with a cookie when the
    /// gateway asks for one.
    pub(crate) async fn ask(
        &mut self,
        first: (FrameKind, Vec<u8>),
        with_cookie: impl Fn(Cookie) -> Vec<u8>,
        answer: FrameKind,
    ) -> Result<Result<Vec<u8>, Refusal>, AgentError> {
        let (kind, mut body) = first;
        for _ in 0..=MAX_RETRIES {
            self.send(kind, body).await?;
            match self.receive(&[answer, FrameKind::Retry]).await? {
                Err(refusal) => return Ok(Err(refusal)),
                Ok(frame) if frame.kind == answer => return Ok(Ok(frame.body)),
                Ok(retry) => {
                    let cookie = Cookie::try_from(retry.body).map_err(|_| WireError::BadValue("cookie"))?;
                    body = with_cookie(cookie);
                }
            }
        }
        Err(AgentError::unreachable(format!("the gateway at {} is busy", self.address))
            .fix("try again in a minute"))
    }

    /// The bare connection, for a session that has begun on it.
    pub(crate) fn into_session(self) -> (TcpStream, FrameReader) {
        (self.stream, self.reader)
    }

    fn broke(&self, e: &std::io::Error) -> AgentError {
        if e.kind() == std::io::ErrorKind::InvalidData {
            return AgentError::failure(format!(
                "{} does not answer like a symbolon gateway: {e}",
                self.address
            ))
            .fix("check the address and the port");
        }
        AgentError::unreachable(format!("the connection to {} broke off: {e}", self.address)).fix("try again")
    }

    fn silent(&self) -> AgentError {
        AgentError::unreachable(format!(
            "{} accepted the connection, but did not answer for {} s",
            self.address,
            ANSWER.as_secs()
        ))
        .fix("check the address and the port; the gateway may be overloaded")
    }
}

/// A TCP connection whose peer's silent disappearance is noticed.
pub(crate) async fn dial(address: &str) -> Result<TcpStream, AgentError> {
    let unreachable = |why: String| {
        AgentError::unreachable(format!("cannot reach the gateway at {address}: {why}"))
            .fix("check the address, the network and whether the gateway runs")
    };
    let dialled = async { first_of(lookup_host(address).await?).await };
    let stream = match timeout(DIAL, dialled).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return Err(unreachable(e.to_string())),
        Err(_) => return Err(unreachable(format!("no answer within {} s", DIAL.as_secs()))),
    };
    // Comfort, not correctness: a system that knows these options not is as good without.
    let _ = stream.set_nodelay(true);
    let _ = keep_alive(&stream);
    Ok(stream)
}

/// A peer that is gone is noticed after a minute at most.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)
}
