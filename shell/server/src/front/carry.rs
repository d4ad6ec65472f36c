//! The bytes of a TLS connection: records on the client's side, plain on the application's.
//!
//! Like a native stream's ([`crate::pipe`]): each direction reads no further than the other side has taken,
//! and ends by itself.

use super::live::TlsPlace;
use crate::pipe::{BreakOff, PipeEnd, ReadReady};
use crate::stream::Application;
use std::io::IoSliceMut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use symbolon_provider::crypto;
use symbolon_record::{Alert, MAX_PLAINTEXT, MAX_RECORD, Outgoing, RecordError, TlsEvent, TlsSession};
use symbolon_session::EndReason;
use symbolon_tls::Accepted;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

/// Bytes that are read and sealed together: four records of full size.
const AT_ONCE: usize = 4 * MAX_PLAINTEXT;

/// What is read from a client at once.
const ROOM: usize = 4 * MAX_RECORD;

/// How long a client may take to read the last word.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may be silent after the application closed: its half of the connection may go on, and
/// a client that forgot it keeps no place for ever.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// Why one direction stopped.
enum Stop {
    /// The client's side is of no use any more; what it is told, if anything.
    Client(String, Option<Outgoing>),
    /// The application's side is of no use any more.
    Application(String),
}

fn gone(e: &std::io::Error) -> Stop {
    Stop::Client(e.to_string(), None)
}

/// A connection that both directions and whoever ends it use.
struct Shared(Mutex<TlsSession>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, TlsSession> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, e: &RecordError) -> Stop {
        let told = self.lock().fail(e);
        Stop::Client(e.to_string(), told)
    }
}

/// Carries bytes until both directions are closed, or the connection is cut.
pub(super) async fn run(accepted: Accepted<TcpStream>, application: Application, place: TlsPlace) -> PipeEnd {
    let session = TlsSession::resume(crypto(), &accepted.state);
    match application {
        Application::Tcp(stream) => {
            let (read, write) = stream.into_split();
            both_ways(accepted.stream, session, read, write, place).await
        }
        Application::Unix(stream) => {
            let (read, write) = stream.into_split();
            both_ways(accepted.stream, session, read, write, place).await
        }
    }
}

async fn both_ways<R, W>(
    client: TcpStream,
    session: TlsSession,
    app_read: R,
    mut app_write: W,
    mut place: TlsPlace,
) -> PipeEnd
where
    R: ReadReady,
    W: AsyncWrite + Unpin + BreakOff,
{
    let (mut client_read, mut client_write) = client.into_split();
    let session = Shared(Mutex::new(session));
    let counters = place.counters.clone();
    let mut down = Down::default();
    let (said_all, app_closed) = watch::channel(false);
    let outcome = {
        let up = upwards(&mut client_read, &session, &mut app_write, &counters.up, app_closed);
        let down = async {
            down.carry(&app_read, &session, &mut client_write, &counters.down).await?;
            said_all.send_replace(true);
            Ok(())
        };
        tokio::select! {
            biased;
            cut = &mut place.cut => Err(Ended::Cut(cut.unwrap_or(EndReason::InternalError))),
            result = async { tokio::try_join!(up, down) } => result.map(|_| ()).map_err(Ended::Stopped),
        }
    };
    let (end, told) = match outcome {
        Ok(()) => return PipeEnd::Finished,
        Err(Ended::Cut(reason)) => (PipeEnd::Cut(reason), Some(Outgoing::Alert(alert_for(reason)))),
        Err(Ended::Stopped(Stop::Application(why))) => {
            (PipeEnd::Broken(format!("application: {why}")), Some(Outgoing::Alert(Alert::InternalError)))
        }
        Err(Ended::Stopped(Stop::Client(why, told))) => (PipeEnd::Broken(format!("client: {why}")), told),
    };
    // Without a close the end of what the client sent is not proved: the application must not take it for
    // the end.
    app_write.reset();
    drop(app_read);
    let farewell = down.last_word(&session, &mut client_write, told);
    let _ = tokio::time::timeout(PATIENCE, farewell).await;
    end
}

enum Ended {
    Cut(EndReason),
    Stopped(Stop),
}

/// What the client is told of an end that is no close.
const fn alert_for(reason: EndReason) -> Alert {
    match reason {
        EndReason::EntitlementWithdrawn
        | EndReason::UserLocked
        | EndReason::TokenRevoked
        | EndReason::Expired
        | EndReason::EndedByAdministrator
        | EndReason::NotPermitted => Alert::AccessDenied,
        _ => Alert::InternalError,
    }
}

/// Client to application.
async fn upwards<W: AsyncWrite + Unpin>(
    client: &mut OwnedReadHalf,
    session: &Shared,
    application: &mut W,
    counter: &AtomicU64,
    app_closed: watch::Receiver<bool>,
) -> Result<(), Stop> {
    let mut input = Vec::with_capacity(ROOM);
    let mut opened = vec![0; MAX_RECORD];
    let mut plain = Vec::new();
    loop {
        let (taken, closed) =
            open_all(session, &input, &mut opened, &mut plain).map_err(|e| session.failed(&e))?;
        input.drain(..taken);
        application.write_all(&plain).await.map_err(|e| Stop::Application(e.to_string()))?;
        counter.fetch_add(plain.len() as u64, Ordering::Relaxed);
        plain.clear();
        if closed {
            return application.shutdown().await.map_err(|e| Stop::Application(e.to_string()));
        }
        let read = tokio::select! {
            read = client.read_buf(&mut input) => read.map_err(|e| gone(&e))?,
            () = silence_after(app_closed.clone()) => {
                return Err(Stop::Client("it says nothing more, nor does the application".to_owned(), None));
            }
        };
        if read == 0 {
            let end = session.lock().end_of_input();
            return end.map_err(|e| Stop::Client(e.to_string(), None));
        }
    }
}

/// Comes when the application has closed and a while has passed: whoever reads on has heard all there is.
async fn silence_after(mut closed: watch::Receiver<bool>) {
    // The sender lives as long as both directions.
    if closed.wait_for(|closed| *closed).await.is_ok() {
        tokio::time::sleep(HALF_CLOSED).await;
    }
}

/// Opens all whole records at the front of `input`: how many bytes they took, and whether the client closed.
fn open_all(
    session: &Shared,
    input: &[u8],
    opened: &mut [u8],
    plain: &mut Vec<u8>,
) -> Result<(usize, bool), RecordError> {
    let mut session = session.lock();
    let mut taken = 0;
    while let Some(length) = session.record_length(&input[taken..])? {
        let Some(record) = input.get(taken..taken + length) else { break };
        let mut ahead = session.ahead();
        // Everything else is for the session itself.
        if let TlsEvent::Data(data) = session.open_from(&mut ahead, record, opened)? {
            plain.extend_from_slice(data);
        }
        session.received(ahead)?;
        taken += length;
        if !session.is_receiving() {
            return Ok((taken, true));
        }
    }
    Ok((taken, false))
}

/// Application to client. It outlives the direction, because what comes after half a record cannot be
/// read: a connection that is cut ends behind the whole ones.
#[derive(Default)]
struct Down {
    sealed: Vec<u8>,
    sent: usize,
}

impl Down {
    async fn carry<R: ReadReady>(
        &mut self,
        application: &R,
        session: &Shared,
        client: &mut OwnedWriteHalf,
        counter: &AtomicU64,
    ) -> Result<(), Stop> {
        let mut buffer = vec![0; MAX_PLAINTEXT];
        loop {
            let n =
                read_some(application, &mut buffer).await.map_err(|e| Stop::Application(e.to_string()))?;
            if n == 0 {
                self.seal(session, Outgoing::Alert(Alert::CloseNotify), &[])
                    .map_err(|e| session.failed(&e))?;
                self.flush(client).await.map_err(|e| gone(&e))?;
                return client.shutdown().await.map_err(|e| gone(&e));
            }
            self.seal(session, Outgoing::Data, &buffer[..n]).map_err(|e| session.failed(&e))?;
            self.flush(client).await.map_err(|e| gone(&e))?;
            counter.fetch_add(n as u64, Ordering::Relaxed);
            if n == buffer.len() && n < AT_ONCE {
                buffer.resize(AT_ONCE, 0);
            }
        }
    }

    fn seal(&mut self, session: &Shared, what: Outgoing, payload: &[u8]) -> Result<(), RecordError> {
        let mut session = session.lock();
        while let Some(owed) = session.owed() {
            session.send(owed, &[], &mut self.sealed)?;
        }
        session.send(what, payload, &mut self.sealed)
    }

    async fn flush(&mut self, client: &mut OwnedWriteHalf) -> std::io::Result<()> {
        while self.sent < self.sealed.len() {
            self.sent += client.write(&self.sealed[self.sent..]).await?;
        }
        self.sealed.clear();
        self.sent = 0;
        Ok(())
    }

    async fn last_word(
        &mut self,
        session: &Shared,
        client: &mut OwnedWriteHalf,
        told: Option<Outgoing>,
    ) -> std::io::Result<()> {
        if let Some(told) = told.filter(|_| session.lock().is_sending()) {
            // Nothing can be said to a client whose key is used up.
            let _ = self.seal(session, told, &[]);
        }
        self.flush(client).await?;
        client.shutdown().await
    }
}

/// Waits for bytes of the application and takes what is ready then; nothing at its end.
async fn read_some<R: ReadReady>(application: &R, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        application.readable().await?;
        match application.try_read_vectored(&mut [IoSliceMut::new(buffer)]) {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}
