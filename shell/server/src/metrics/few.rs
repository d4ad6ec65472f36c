//! A port at which few may stand at a time, and nobody for long.

use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// How many connections are open at once; others wait in the kernel's queue.
const AT_ONCE: usize = 16;

/// How long one is read from: several questions of a Prometheus that asks every 15 seconds.
const READ_FOR: Duration = Duration::from_secs(60);

/// Accepts so few that nobody takes descriptors away from those whom the node serves.
pub(super) struct Few {
    listener: TcpListener,
    places: Arc<Semaphore>,
    read_for: Duration,
}

impl Few {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(AT_ONCE)), read_for: READ_FOR }
    }
}

impl Listener for Few {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.expect("nobody closes it");
        let (socket, from) = Listener::accept(&mut self.listener).await;
        let until = Box::pin(tokio::time::sleep(self.read_for));
        (Visit { socket, until, _place: place }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with its place.
pub(super) struct Visit {
    socket: TcpStream,
    until: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(cx, to);
        if read.is_pending() && self.until.as_mut().poll(cx).is_ready() {
            // as if the other end had hung up, which is no error
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Visit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn answer(socket: &mut TcpStream) -> Option<usize> {
        let mut bytes = [0; 512];
        tokio::time::timeout(Duration::from_secs(10), socket.read(&mut bytes)).await.ok()?.ok()
    }

    #[tokio::test]
    async fn who_stands_there_and_asks_nothing_makes_others_wait_for_a_while_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "ok"));
        let port = Few { read_for: Duration::from_secs(2), ..Few::new(listener) };
        tokio::spawn(async move { axum::serve(port, router).await });
        let mut standing = vec![];
        for _ in 0..AT_ONCE {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(QUESTION).await.unwrap();
            assert!(answer(&mut socket).await.is_some_and(|n| n > 0));
            standing.push(socket);
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(QUESTION).await.unwrap();
        let first = standing.first_mut().unwrap();
        tokio::select! {
            biased;
            ended = answer(first) => assert_eq!(ended, Some(0), "its time is over"),
            answered = answer(&mut late) => panic!("there is no place: {answered:?}"),
        }
        assert!(answer(&mut late).await.is_some_and(|n| n > 0));
    }
}
