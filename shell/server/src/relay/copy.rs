//! Bytes go both ways until both have ended, and an end is passed on as what it is: a close as a close, a reset as a
//! reset.
//!
//! Each way reads no further than the other side has taken. Nothing is kept for a connection on which nothing moves: bytes
//! are read into memory of the thread, and only those that found no room are put aside.

use super::dial::Application;
use super::pair::end_when_closed;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What is read at once.
const CHUNK: usize = 64 * 1024;

/// How often it is looked whether a worker has taken the last bytes of an application that was reset: rare, and the
/// kernel tells of nothing.
const LOOK: Duration = Duration::from_millis(10);
/// How long a worker may take none of them.
const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    static ROOM: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// How it ended.
#[derive(Debug)]
enum End {
    /// Both ways were closed in order.
    Orderly,
    /// The worker's side was reset: a client that broke off, or was cut.
    Worker,
    /// The application's side was.
    Application(io::Error),
}

/// Carries the bytes of a connection to the end. `worker` is reset, and not closed, if this is dropped before.
pub(super) async fn carry(worker: TcpStream, mut application: Application) {
    match copied(&worker, &mut application).await {
        End::Orderly => {
            end_when_closed(&worker);
            application.end();
        }
        End::Worker => tracing::debug!("a relayed connection was reset on the gateway's side"),
        End::Application(e) => {
            tracing::debug!("a relayed connection broke on the application's side: {e}");
            drop(application);
            taken(&worker).await;
        }
    }
}

async fn copied(worker: &TcpStream, application: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> End {
    let (mut up, mut down) = (Way::default(), Way::default());
    let mut refused = None;
    let both = poll_fn(|cx| {
        let mut side = Side(worker);
        if refused.is_none() {
            match up.poll(cx, &mut side, application) {
                Poll::Ready(Err(Broken::Source(_))) => return Poll::Ready(End::Worker),
                // it may have said something before
                Poll::Ready(Err(Broken::Sink(e))) => refused = Some(e),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        match down.poll(cx, application, &mut side) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(Broken::Source(e))) => Poll::Ready(End::Application(e)),
            Poll::Ready(Err(Broken::Sink(_))) => Poll::Ready(End::Worker),
            Poll::Ready(Ok(())) => match refused.take() {
                Some(e) => Poll::Ready(End::Application(e)),
                None if up.is_over() => Poll::Ready(End::Orderly),
                None => Poll::Pending,
            },
        }
    });
    tokio::select! {
        biased;
        end = both => end,
        // also when its bytes wait for an application that takes none
        _ = worker.ready(Interest::ERROR) => End::Worker,
    }
}

/// Waits until the other end has all that was written: a reset throws away what is still on its way.
async fn taken(worker: &TcpStream) {
    let (mut left, mut since) = (u64::MAX, Instant::now());
    while let Ok(counters) = symbolon_os::tcp_counters(worker.as_fd()) {
        if counters.unacknowledged == 0 || counters.error || since.elapsed() > PATIENCE {
            return;
        }
        if counters.unacknowledged != left {
            (left, since) = (counters.unacknowledged, Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Which side broke.
enum Broken {
    Source(io::Error),
    Sink(io::Error),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The source has ended; the sink is to be told.
    Ends,
    Over,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// What was read and found no room.
    waiting: Vec<u8>,
    /// How much of it has gone since.
    gone: usize,
    /// Something was written that may not be on its way.
    unflushed: bool,
    stage: Stage,
}

impl Way {
    fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Does what can be done; ready when it is over.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Broken>> {
        loop {
            while self.gone < self.waiting.len() {
                let written = Pin::new(&mut *sink).poll_write(cx, &self.waiting[self.gone..]);
                self.gone += ready!(written).and_then(some).map_err(Broken::Sink)?;
                self.unflushed = true;
            }
            (self.waiting, self.gone) = (Vec::new(), 0);
            match self.stage {
                Stage::Over => return Poll::Ready(Ok(())),
                Stage::Ends => {
                    // one that is not connected any more has ended
                    let _ = ready!(Pin::new(&mut *sink).poll_shutdown(cx));
                    self.stage = Stage::Over;
                }
                Stage::Open => {
                    let read = ROOM.with_borrow_mut(|room| self.step(cx, room, source, sink));
                    if read.is_pending() && self.unflushed {
                        ready!(Pin::new(&mut *sink).poll_flush(cx)).map_err(Broken::Sink)?;
                        self.unflushed = false;
                    }
                    ready!(read)?;
                }
            }
        }
    }

    /// Reads once, and writes what was read as far as there is room.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
        source: &mut (impl AsyncRead + Unpin),
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Broken>> {
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(source).poll_read(cx, &mut room)).map_err(Broken::Source)?;
        let read = room.filled();
        if read.is_empty() {
            self.stage = Stage::Ends;
            return Poll::Ready(Ok(()));
        }
        let written = match Pin::new(sink).poll_write(cx, read) {
            Poll::Ready(written) => written.and_then(some).map_err(Broken::Sink)?,
            Poll::Pending => 0,
        };
        self.unflushed |= written > 0;
        self.waiting = read[written..].to_vec();
        Poll::Ready(Ok(()))
    }
}

fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(ErrorKind::WriteZero.into()) } else { Ok(written) }
}

/// The worker's side, which is also waited upon for its errors alone.
struct Side<'a>(&'a TcpStream);

impl AsyncRead for Side<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(room.initialize_unfilled()) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|count| room.advance(count))),
            }
        }
    }
}

impl AsyncWrite for Side<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(self.0, rustix::net::Shutdown::Write).map_err(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pair::pair;
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream as Socket;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    /// More than all buffers on the way hold.
    const MUCH: usize = 24 << 20;

    /// The worker's end of a connection, and the application's.
    async fn relayed() -> (TcpStream, Socket) {
        let (worker, theirs) = pair().await.unwrap();
        let (application, dialled) = Socket::pair().unwrap();
        dialled.set_nonblocking(true).unwrap();
        tokio::spawn(carry(theirs, Application::Unix(UnixStream::from_std(dialled).unwrap())));
        (worker, application)
    }

    /// An application that says much, and is closed with something unread or not.
    async fn says_much(first: &[u8]) -> (usize, io::Result<usize>) {
        let (mut worker, mut application) = relayed().await;
        worker.write_all(first).await.unwrap();
        let unread = !first.is_empty();
        let says = tokio::task::spawn_blocking(move || {
            if unread {
                application.read_exact(&mut [0]).unwrap();
            }
            io::Write::write_all(&mut application, &vec![7; MUCH]).unwrap();
        });
        // nothing is read before the relay has much to wait for
        while symbolon_os::tcp_counters(worker.as_fd()).unwrap().unread == 0 {
            tokio::task::yield_now().await;
        }
        let (mut all, mut part) = (0, vec![0; 1 << 16]);
        let end = loop {
            match worker.read(&mut part).await {
                Ok(0) => break Ok(0),
                Ok(count) => all += count,
                Err(e) => break Err(e),
            }
        };
        says.await.unwrap();
        (all, end)
    }

    #[tokio::test]
    async fn all_that_was_said_comes_before_the_end_and_before_a_reset() {
        let (all, end) = says_much(b"").await;
        assert_eq!((all, end.unwrap()), (MUCH, 0));
        let (all, end) = says_much(b"two").await;
        assert_eq!((all, end.unwrap_err().kind()), (MUCH, ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn an_application_sees_that_its_client_broke_off_also_while_it_reads_nothing() {
        let (mut worker, mut application) = relayed().await;
        let much = vec![7; MUCH];
        let sends = tokio::time::timeout(Duration::from_millis(300), worker.write_all(&much));
        assert!(sends.await.is_err(), "nobody reads");
        super::super::pair::reset_when_closed(&worker).unwrap();
        drop(worker);
        let writes = tokio::task::spawn_blocking(move || {
            let begun = std::time::Instant::now();
            while io::Write::write_all(&mut application, b"still there?").is_ok() {
                assert!(begun.elapsed() < Duration::from_secs(20), "it never sees it");
                std::thread::yield_now();
            }
        });
        writes.await.unwrap();
    }

    #[tokio::test]
    async fn an_end_of_one_direction_leaves_the_other() {
        let (mut worker, mut application) = relayed().await;
        worker.write_all(b"all of it").await.unwrap();
        worker.shutdown().await.unwrap();
        let answers = tokio::task::spawn_blocking(move || {
            let mut heard = String::new();
            application.read_to_string(&mut heard).unwrap();
            io::Write::write_all(&mut application, heard.to_uppercase().as_bytes()).unwrap();
        });
        let mut heard = String::new();
        worker.read_to_string(&mut heard).await.unwrap();
        answers.await.unwrap();
        assert_eq!(heard, "ALL OF IT");
    }
}
