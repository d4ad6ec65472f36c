//! An application is dialled.

use super::message::{Destination, Failure};
use super::pair::{end_when_closed, reset_when_closed};
use super::tls;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// How soon a Unix socket is tried again whose queue is full: the kernel tells of no room.
const FULL: Duration = Duration::from_millis(10);

/// A connection to an application.
#[derive(Debug)]
pub(super) enum Application {
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Dials, as long as its caller waits.
pub(super) async fn dial(to: &Destination) -> Result<Application, Failure> {
    match to {
        Destination::Unix(path) => Ok(Application::Unix(unix(path).await?)),
        Destination::Tls(destination) => {
            let stream = TcpStream::connect((destination.host.as_str(), destination.port)).await?;
            stream.set_nodelay(true)?;
            let stream = tls::connect(destination, stream).await?;
            reset_when_closed(stream.get_ref().0)?;
            Ok(Application::Tls(Box::new(stream)))
        }
    }
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(e) if e.kind() == ErrorKind::WouldBlock => tokio::time::sleep(FULL).await,
            connected => return connected,
        }
    }
}

impl Application {
    /// It ended in order. Otherwise it sees a reset, where there is one.
    pub(super) fn end(&self) {
        if let Self::Tls(stream) = self {
            end_when_closed(stream.get_ref().0);
        }
    }
}

impl AsyncRead for Application {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, room),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, room),
        }
    }
}

impl AsyncWrite for Application {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
