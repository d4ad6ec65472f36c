//! The bytes of a stream: records on the client's side, plain on the application's.
//!
//! Each direction reads no further than the other side has taken, so back-pressure passes through,
//! and each ends by itself (half-close).

use crate::live::StreamPlace;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use symbolon_record::{
    DATA_ROOM, DATA_TAIL, MAX_PLAINTEXT, ReceiveHalf, RecordError, SendHalf, StreamEvent, StreamRecords,
};
use symbolon_session::{EndReason, Line};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// How a stream ended.
pub(crate) enum PipeEnd {
    /// Both directions were closed in order.
    Finished,
    /// We ended it.
    Cut(EndReason),
    /// One side broke off.
    Broken(String),
}

/// Why one direction stopped.
enum Stop {
    /// The client's side is of no use any more: tell the application by a reset.
    Client(String),
    /// The application's side is of no use any more: tell the client why.
    Application(String),
}

/// Carries bytes until both directions are closed, or the stream is cut.
pub(crate) async fn run<R, W>(
    client: TcpStream,
    records: StreamRecords,
    mut app_read: R,
    mut app_write: W,
    mut place: StreamPlace,
) -> PipeEnd
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + BreakOff,
{
    let _ = client.set_nodelay(true);
    let (send, mut receive) = records.split();
    let (mut client_read, mut client_write) = client.into_split();
    let send = Mutex::new(send);
    let counters = place.counters.clone();
    let mut outgoing = Outgoing::new();
    let up = upwards(&mut client_read, &mut receive, &send, &mut app_write, &counters.up);
    let down = downwards(&mut app_read, &send, &mut outgoing, &mut client_write, &counters.down);
    let both = async { tokio::try_join!(up, down) };
    let outcome = tokio::select! {
        result = both => result.map(|_| ()),
        cut = &mut place.cut => {
            let reason = cut.unwrap_or(EndReason::InternalError);
            app_write.reset();
            drop(app_read);
            end(&mut outgoing, &mut client_write, &send, reason).await;
            return PipeEnd::Cut(reason);
        }
    };
    match outcome {
        Ok(()) => PipeEnd::Finished,
        Err(Stop::Application(why)) => {
            end(&mut outgoing, &mut client_write, &send, EndReason::ApplicationReset).await;
            PipeEnd::Broken(format!("application: {why}"))
        }
        Err(Stop::Client(why)) => {
            // Without a closing record the end of what the client sent is not proved: the
            // application must not take it for the end.
            app_write.reset();
            PipeEnd::Broken(format!("client: {why}"))
        }
    }
}

/// Client to application.
async fn upwards<W: AsyncWrite + Unpin>(
    client: &mut OwnedReadHalf,
    receive: &mut ReceiveHalf,
    send: &Mutex<SendHalf>,
    application: &mut W,
    counter: &std::sync::atomic::AtomicU64,
) -> Result<(), Stop> {
    loop {
        loop {
            match receive.next_event().map_err(client_error)? {
                None => break,
                Some(StreamEvent::Data(data)) => {
                    application.write_all(data).await.map_err(|e| Stop::Application(e.to_string()))?;
                    counter.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
                Some(StreamEvent::KeyUpdated(request)) => {
                    send.lock().unwrap_or_else(PoisonError::into_inner).peer_updated(request);
                }
                Some(StreamEvent::PeerClosed) => {
                    return application.shutdown().await.map_err(|e| Stop::Application(e.to_string()));
                }
                Some(StreamEvent::Ended(end)) => return Err(Stop::Client(end.reason().to_owned())),
            }
        }
        match client.read(receive.room()).await.map_err(|e| Stop::Client(e.to_string()))? {
            0 => return receive.end_of_input().map_err(client_error),
            n => receive.filled(n),
        }
    }
}

/// Application to client.
async fn downwards<R: AsyncRead + Unpin>(
    application: &mut R,
    send: &Mutex<SendHalf>,
    outgoing: &mut Outgoing,
    client: &mut OwnedWriteHalf,
    counter: &std::sync::atomic::AtomicU64,
) -> Result<(), Stop> {
    loop {
        let n = application.read(outgoing.room()).await.map_err(|e| Stop::Application(e.to_string()))?;
        if n == 0 {
            let closing = send.lock().unwrap_or_else(PoisonError::into_inner).close();
            client
                .write_all(&closing.map_err(client_error)?)
                .await
                .map_err(|e| Stop::Client(e.to_string()))?;
            return client.shutdown().await.map_err(|e| Stop::Client(e.to_string()));
        }
        outgoing.seal(send, n).map_err(client_error)?;
        outgoing.flush(client).await.map_err(|e| Stop::Client(e.to_string()))?;
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

fn client_error(e: RecordError) -> Stop {
    Stop::Client(e.to_string())
}

/// A record on its way to the client. It outlives the direction that writes it, because what comes after half a record
/// cannot be read: a stream that is cut ends behind the whole one.
struct Outgoing {
    buffer: Vec<u8>,
    unsent: Range<usize>,
}

impl Outgoing {
    fn new() -> Self {
        Self { buffer: vec![0; DATA_ROOM + MAX_PLAINTEXT + DATA_TAIL], unsent: 0..0 }
    }

    /// Where the next record's content is put.
    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[DATA_ROOM..DATA_ROOM + MAX_PLAINTEXT]
    }

    /// Seals the `n` bytes that were put there.
    fn seal(&mut self, send: &Mutex<SendHalf>, n: usize) -> Result<(), RecordError> {
        let mut send = send.lock().unwrap_or_else(PoisonError::into_inner);
        let length = send.seal_data(&mut self.buffer, n)?.len();
        let end = DATA_ROOM + n + DATA_TAIL;
        self.unsent = end - length..end;
        Ok(())
    }

    /// Writes what is left; dropped halfway, it goes on where it was.
    async fn flush(&mut self, client: &mut OwnedWriteHalf) -> std::io::Result<()> {
        while !self.unsent.is_empty() {
            match client.write(&self.buffer[self.unsent.clone()]).await? {
                0 => return Err(std::io::ErrorKind::WriteZero.into()),
                n => self.unsent.start += n,
            }
        }
        Ok(())
    }
}

/// Ends the stream for the client with a reason, if it still reads.
async fn end(
    outgoing: &mut Outgoing,
    client: &mut OwnedWriteHalf,
    send: &Mutex<SendHalf>,
    reason: EndReason,
) {
    let record = {
        let mut send = send.lock().unwrap_or_else(PoisonError::into_inner);
        send.end(&reason.stream_end(&Line::default()))
    };
    if let Ok(record) = record {
        let goodbye = async {
            outgoing.flush(client).await?;
            client.write_all(&record).await?;
            client.shutdown().await
        };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), goodbye).await;
    }
}

/// A socket that can be broken off so that its peer notices.
pub(crate) trait BreakOff {
    /// Has the peer see a reset instead of an orderly end, where the protocol has one.
    fn reset(self);
}

impl BreakOff for OwnedWriteHalf {
    fn reset(self) {
        let socket: &TcpStream = self.as_ref();
        let _ = rustix::net::sockopt::set_socket_linger(socket.as_fd(), Some(std::time::Duration::ZERO));
        // Dropped as it is, it would send an orderly end first.
        self.forget();
    }
}

impl BreakOff for tokio::net::unix::OwnedWriteHalf {
    fn reset(self) {}
}
