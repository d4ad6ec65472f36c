//! Frames on a TCP connection, with bounds and deadlines.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use symbolon_wire::{
    Encode, FRAME_HEADER, Frame, FrameHeader, FrameKind, MAX_BODY_BEFORE_SESSION, Refusal, RefusalCode,
    WireError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a peer may leave our bytes unread, in seconds, before it is taken for gone.
const WRITE_SECS: u64 = 30;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the peer sent no frame of ours: {0}")]
    Malformed(#[from] WireError),
    #[error("the peer sent {0:?}, which was not expected")]
    Unexpected(FrameKind),
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("the peer does not read")]
    Stalled,
    #[error("the peer closed the connection")]
    Closed,
}

/// A connection, and the frame that is on its way.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    peer: SocketAddr,
    header: [u8; FRAME_HEADER],
    have: usize,
    body: Vec<u8>,
    in_session: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { stream, peer, header: [0; FRAME_HEADER], have: 0, body: Vec::new(), in_session: false }
    }

    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The peer's address, an IPv4 one as such.
    pub(crate) fn source(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// Allows the longer frames of a session.
    pub(crate) fn enter_session(&mut self) {
        self.in_session = true;
    }

    /// Gives the socket up to whatever follows the frames. Nothing was read beyond the last frame.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The next frame, or nothing at a clean end. Dropping the future loses no byte.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ConnectionError> {
        while self.have < FRAME_HEADER {
            match self.stream.read(&mut self.header[self.have..]).await? {
                0 if self.have == 0 => return Ok(None),
                0 => return Err(ConnectionError::Closed),
                n => self.have += n,
            }
        }
        let header = FrameHeader::parse(self.header)?;
        if !self.in_session && header.length > MAX_BODY_BEFORE_SESSION {
            return Err(WireError::TooLong("frame").into());
        }
        while self.body.len() < header.length {
            let missing = (header.length - self.body.len()) as u64;
            // Grows with what arrives, not with what is promised.
            if (&mut self.stream).take(missing).read_buf(&mut self.body).await? == 0 {
                return Err(ConnectionError::Closed);
            }
        }
        self.have = 0;
        Ok(Some(Frame::new(header.kind, std::mem::take(&mut self.body))))
    }

    /// The next frame, which must be of `kind`.
    pub(crate) async fn expect(&mut self, kind: FrameKind) -> Result<Vec<u8>, ConnectionError> {
        match self.next().await? {
            Some(frame) if frame.kind == kind => Ok(frame.body),
            Some(frame) => Err(ConnectionError::Unexpected(frame.kind)),
            None => Err(ConnectionError::Closed),
        }
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, kind: FrameKind, body: Vec<u8>) -> Result<(), ConnectionError> {
        self.write(&Frame::new(kind, body).to_bytes()).await
    }

    /// Sends bytes that are framed already.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        match tokio::time::timeout(Duration::from_secs(WRITE_SECS), self.stream.write_all(bytes)).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ConnectionError::Stalled),
        }
    }

    /// Tells the peer that it is refused; the connection is of no use any more.
    pub(crate) async fn refuse(&mut self, code: RefusalCode, text: &str) {
        let refusal = Refusal { code, time: crate::clock::now(), text: text.to_owned() };
        let _ = self.send(FrameKind::Refusal, refusal.to_bytes()).await;
        let _ = self.stream.shutdown().await;
    }
}
