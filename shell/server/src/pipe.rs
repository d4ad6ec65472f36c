//! The bytes of a stream: records on the client's side, plain on the application's.
//!
//! Each direction reads no further than the other side has taken, so back-pressure passes through,
//! and each ends by itself (half-close).

use crate::live::StreamPlace;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use symbolon_record::{
    DATA_ROOM, DATA_TAIL, MAX_PLAINTEXT, ReceiveHalf, RecordError, SendHalf, StreamEvent, StreamRecords,
};
use symbolon_session::{EndReason, Line};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
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
    app_read: R,
    mut app_write: W,
    mut place: StreamPlace,
) -> PipeEnd
where
    R: ReadReady,
    W: AsyncWrite + Unpin + BreakOff,
{
    let _ = client.set_nodelay(true);
    let (send, mut receive) = records.split();
    let (mut client_read, mut client_write) = client.into_split();
    let send = Mutex::new(send);
    let counters = place.counters.clone();
    let mut outgoing = Outgoing::new();
    let up = upwards(&mut client_read, &mut receive, &send, &mut app_write, &counters.up);
    let down = downwards(&app_read, &send, &mut outgoing, &mut client_write, &counters.down);
    let both = async { tokio::try_join!(up, down) };
    let outcome = tokio::select! {
        biased;
        cut = &mut place.cut => {
            let reason = cut.unwrap_or(EndReason::InternalError);
            app_write.reset();
            drop(app_read);
            end(&mut outgoing, &mut client_write, &send, reason).await;
            return PipeEnd::Cut(reason);
        }
        result = both => result.map(|_| ()),
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
async fn downwards<R: ReadReady>(
    application: &R,
    send: &Mutex<SendHalf>,
    outgoing: &mut Outgoing,
    client: &mut OwnedWriteHalf,
    counter: &std::sync::atomic::AtomicU64,
) -> Result<(), Stop> {
    loop {
        let n = outgoing.fill(application).await.map_err(|e| Stop::Application(e.to_string()))?;
        if n == 0 {
            let closing = send.lock().unwrap_or_else(PoisonError::into_inner).close();
            client
                .write_all(&closing.map_err(client_error)?)
                .await
                .map_err(|e| Stop::Client(e.to_string()))?;
            return client.shutdown().await.map_err(|e| Stop::Client(e.to_string()));
        }
        outgoing.seal(send).map_err(client_error)?;
        outgoing.flush(client).await.map_err(|e| Stop::Client(e.to_string()))?;
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

fn client_error(e: RecordError) -> Stop {
    Stop::Client(e.to_string())
}

/// Room for one record, as [`SendHalf::seal_data`] wants it.
const SLOT: usize = DATA_ROOM + MAX_PLAINTEXT + DATA_TAIL;
/// Records that leave together when the application has so much ready: as many bytes as our receive
/// buffer has, so that calls to the kernel cost little beside the bytes.
const SLOTS: usize = 4;

/// Records on their way to the client. They outlive the direction that writes them, because what comes after half a
/// record cannot be read: a stream that is cut ends behind the whole ones.
struct Outgoing {
    /// One slot, or all of them for an application that has filled one.
    buffer: Vec<u8>,
    /// How much was taken last.
    last: usize,
    unsent: [Range<usize>; SLOTS],
}

impl Outgoing {
    fn new() -> Self {
        Self { buffer: vec![0; SLOT], last: 0, unsent: [const { 0..0 }; SLOTS] }
    }

    /// Waits for bytes of the application and takes what is ready then. Returns how much that is:
    /// nothing at its end.
    async fn fill<R: ReadReady>(&mut self, application: &R) -> std::io::Result<usize> {
        if self.buffer.len() == SLOT && self.last == MAX_PLAINTEXT {
            self.buffer.resize(SLOTS * SLOT, 0);
        }
        let mut slots = self.buffer.chunks_exact_mut(SLOT);
        let mut rooms: [_; SLOTS] = std::array::from_fn(|_| {
            let room = slots.next().map(|slot| &mut slot[DATA_ROOM..][..MAX_PLAINTEXT]);
            IoSliceMut::new(room.unwrap_or_default())
        });
        loop {
            application.readable().await?;
            match application.try_read_vectored(&mut rooms) {
                Ok(n) => {
                    self.last = n;
                    return Ok(n);
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Seals what was taken, a record for each slot.
    fn seal(&mut self, send: &Mutex<SendHalf>) -> Result<(), RecordError> {
        let mut send = send.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.last;
        for (i, slot) in self.buffer.chunks_exact_mut(SLOT).enumerate() {
            let n = left.min(MAX_PLAINTEXT);
            left -= n;
            if n > 0 {
                let length = send.seal_data(slot, n)?.len();
                let end = i * SLOT + DATA_ROOM + n + DATA_TAIL;
                self.unsent[i] = end - length..end;
            }
        }
        Ok(())
    }

    /// Writes what is left; dropped halfway, it goes on where it was.
    async fn flush(&mut self, client: &mut OwnedWriteHalf) -> std::io::Result<()> {
        while self.unsent.iter().any(|r| !r.is_empty()) {
            let records = self.unsent.each_ref().map(|r| IoSlice::new(&self.buffer[r.clone()]));
            let mut written = client.write_vectored(&records).await?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            for record in &mut self.unsent {
                let of_this = written.min(record.len());
                record.start += of_this;
                written -= of_this;
            }
        }
        Ok(())
    }
}

/// A socket whose bytes can be taken into several places at once.
pub(crate) trait ReadReady {
    /// Waits until there is something to read, or the end.
    fn readable(&self) -> impl Future<Output = std::io::Result<()>> + Send;
    /// Reads what is there; [`std::io::ErrorKind::WouldBlock`] when it is nothing after all.
    fn try_read_vectored(&self, rooms: &mut [IoSliceMut<'_>]) -> std::io::Result<usize>;
}

impl ReadReady for OwnedReadHalf {
    fn readable(&self) -> impl Future<Output = std::io::Result<()>> + Send {
        Self::readable(self)
    }

    fn try_read_vectored(&self, rooms: &mut [IoSliceMut<'_>]) -> std::io::Result<usize> {
        Self::try_read_vectored(self, rooms)
    }
}

impl ReadReady for tokio::net::unix::OwnedReadHalf {
    fn readable(&self) -> impl Future<Output = std::io::Result<()>> + Send {
        Self::readable(self)
    }

    fn try_read_vectored(&self, rooms: &mut [IoSliceMut<'_>]) -> std::io::Result<usize> {
        Self::try_read_vectored(self, rooms)
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
