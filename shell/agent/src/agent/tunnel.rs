//! A stream: from a local connection to an application, through records.
//!
//! ```text
//! local ──read──> 16 KiB ──seal──> gateway          one record at a time each way: a side that
//! local <──write── open <──records── gateway        does not read stops the other by itself
//! ```
//! The first data goes with the opening, before the gateway has answered.

use crate::AgentError;
use crate::agent::carry::ended_stream;
use crate::agent::shared::Shared;
use crate::agent::streams::{StreamEntry, StreamGuard};
use crate::connection::{FrameReader, dial};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use symbolon_policy::AppName;
use symbolon_record::{
    DATA_ROOM, DATA_TAIL, KeyUpdateRequest, MAX_PLAINTEXT, ReceiveHalf, SendHalf, StreamEnd, StreamEvent,
};
use symbolon_session::{EndReason, Line, OpeningStream, StreamReply, StreamRequest};
use symbolon_wire::{Decode, Frame, FrameKind, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long the gateway may take to reach the application; it gives up itself before.
const REPLY: Duration = Duration::from_secs(30);

/// How long the gateway may take to read the last words of a stream.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often a stream is opened under another number before it counts as failed.
const MAX_NUMBERS: usize = 3;

/// What the local side has sent before the stream was there: at most one record's content.
#[derive(Debug, Default)]
pub(crate) struct Early {
    pub(crate) data: Vec<u8>,
    /// Whether the local side has nothing more to send.
    pub(crate) closed: bool,
}

/// A stream that the application's side has accepted.
pub(crate) struct Tunnel {
    guard: StreamGuard,
    remote: TcpStream,
    send: SendHalf,
    receive: ReceiveHalf,
    early: Early,
}

impl Tunnel {
    /// Opens a stream to `app`. While the way is made, data of the local side is read ahead.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        app: &AppName,
        origin: &str,
        local: &mut (impl AsyncRead + Unpin),
        mut early: Early,
    ) -> Result<Self, AgentError> {
        shared.check_destination(app)?;
        for _ in 0..MAX_NUMBERS {
            let way = async {
                // A gateway does not wait long for who says nothing, so the number comes first.
                let ticket = shared.ticket().await?;
                let node = ticket.node.map_or_else(|| shared.address.clone(), |node| node.to_string());
                Ok::<_, AgentError>((ticket, dial(&node).await?))
            };
            let (ticket, mut remote) = ahead(way, local, &mut early).await?;
            let number = ticket.number.get();
            let session = ticket.root.session();
            let guard = shared.enter_stream(session, number, app)?;
            let request = StreamRequest { app: app.clone(), origin: Line::lossy(origin) };
            let OpeningStream { body, mut send, reply } =
                ticket.root.open(ticket.number, &request).map_err(|e| AgentError::failure(e.to_string()))?;
            let mut first = Frame::new(FrameKind::StreamOpen, body).to_bytes();
            if !early.data.is_empty() {
                let mut buffer = vec![0; DATA_ROOM + early.data.len() + DATA_TAIL];
                buffer[DATA_ROOM..][..early.data.len()].copy_from_slice(&early.data);
                let record = send.seal_data(&mut buffer, early.data.len()).map_err(|e| record_error(&e))?;
                first.extend_from_slice(record);
            }
            let answer = async {
                remote.write_all(&first).await?;
                FrameReader::default().next(&mut remote).await
            };
            let frame = match timeout(REPLY, answer).await {
                Ok(Ok(Some(frame))) => frame,
                Ok(Ok(None)) => return Err(broke("the gateway closed the connection")),
                Ok(Err(e)) => return Err(broke(&e.to_string())),
                Err(_) => return Err(broke("the gateway does not answer")),
            };
            let reply = match frame.kind {
                FrameKind::StreamReply => reply.receive(frame.body).map_err(|e| broke(&e.to_string()))?,
                FrameKind::Refusal => {
                    let refusal = Refusal::from_bytes(&frame.body)?;
                    return Err(AgentError::refused(&refusal, crate::clock::now()));
                }
                kind => return Err(broke(&format!("the gateway answered with {kind:?}"))),
            };
            match reply {
                StreamReply::Accepted(receive) => {
                    guard.entry.sent.fetch_add(early.data.len() as u64, Ordering::Relaxed);
                    early.data = Vec::new();
                    return Ok(Self { guard, remote, send, receive, early });
                }
                // The node forgot what it granted: it was started anew. Nothing has acted.
                StreamReply::Refused(refusal) if refusal.reason == EndReason::NumberRefused => {
                    shared.number_refused(session, number);
                }
                StreamReply::Refused(refusal) => return Err(ended_stream(refusal.reason, &refusal.detail)),
            }
        }
        Err(ended_stream(EndReason::NumberRefused, &Line::default()))
    }

    /// Names the stream for [`crate::RawStream::outcome`].
    pub(crate) fn id(&self) -> u64 {
        self.guard.entry.id
    }

    /// Moves bytes until both ways are closed or something cuts the stream.
    ///
    /// # Errors
    /// Why it was cut; the local side must not take it for a proper end.
    pub(crate) async fn carry(
        self,
        local_read: &mut (impl AsyncRead + Unpin),
        local_write: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), AgentError> {
        let Self { guard, mut remote, mut send, mut receive, early } = self;
        let entry = Arc::clone(&guard.entry);
        let (mut remote_read, mut remote_write) = remote.split();
        let signs = Signs::default();
        let cut = {
            let up = up(local_read, &mut remote_write, &mut send, &entry, early.closed, &signs);
            let down = down(&mut remote_read, local_write, &mut receive, &entry, &signs);
            tokio::pin!(up, down);
            let (mut up_done, mut down_done, mut down_over) = (false, false, false);
            loop {
                // After its close the gateway may still end the stream with a reason while we send,
                // so `down` goes on until its connection ends; but nothing of it is waited for.
                let result = tokio::select! {
                    result = &mut down, if !down_over => { (down_done, down_over) = (true, true); result }
                    result = &mut up, if !up_done => { up_done = true; result }
                    () = signs.peer_closed.notified(), if !down_done => { down_done = true; Ok(()) }
                    why = entry.killed() => Err(Cut::Killed(why)),
                };
                match result {
                    Err(cut) => break Some(cut),
                    Ok(()) if up_done && down_done => break None,
                    Ok(()) => {}
                }
            }
        };
        let last = match &cut {
            None | Some(Cut::Ended(_) | Cut::Broke(_)) => None,
            _ if signs.writing.load(Ordering::Relaxed) => None,
            Some(Cut::Record(e)) => send.fail(e),
            Some(Cut::Local(_)) => {
                let detail = "the local program broke off the connection";
                send.end(&StreamEnd::new(EndReason::ApplicationReset.code(), detail)).ok()
            }
            Some(Cut::Killed(why)) => send.end(&StreamEnd::new(EndReason::Logout.code(), &why.message)).ok(),
        };
        if let Some(last) = last {
            let _ = timeout(LAST_WORDS, remote_write.write_all(&last)).await;
        }
        let _ = timeout(LAST_WORDS, remote_write.shutdown()).await;
        // Programs break off as they like: only what comes from elsewhere is a problem.
        let is_problem = !matches!(cut, None | Some(Cut::Local(_)));
        let result = cut.map_or(Ok(()), |cut| Err(AgentError::from(cut)));
        if let (true, Err(why)) = (is_problem, &result) {
            guard.problem(why);
        }
        guard.ended(result.clone());
        result
    }
}

/// What both directions of a stream tell each other.
#[derive(Default)]
struct Signs {
    /// The gateway wants us to change our key.
    key_update: AtomicBool,
    /// A record is half written, after which nothing more can be said.
    writing: AtomicBool,
    /// The gateway sends no more data.
    peer_closed: Notify,
}

/// Why a stream was cut.
enum Cut {
    /// The gateway ended it with a reason.
    Ended(StreamEnd),
    /// The connection to the gateway broke.
    Broke(String),
    /// The gateway broke the protocol.
    Record(symbolon_record::RecordError),
    /// The local program's connection broke.
    Local(std::io::Error),
    /// It was ended from outside.
    Killed(AgentError),
}

impl From<Cut> for AgentError {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Ended(end) => {
                let detail = Line::lossy(end.reason());
                match EndReason::from_code(end.code()) {
                    Some(reason) => ended_stream(reason, &detail),
                    None => Self::failure(detail.to_string()),
                }
            }
            Cut::Broke(why) => broke(&why),
            Cut::Record(e) => record_error(&e),
            Cut::Local(e) => Self::failure(format!("the local program broke off the connection: {e}")),
            Cut::Killed(why) => why,
        }
    }
}

fn broke(why: &str) -> AgentError {
    AgentError::unreachable(format!("the stream to the gateway broke: {why}")).fix("try again")
}

fn record_error(e: &symbolon_record::RecordError) -> AgentError {
    AgentError::failure(format!("the stream to the gateway broke: {e}"))
}

/// Waits for `way` and reads meanwhile what the local side sends, up to one record's content.
async fn ahead<T>(
    way: impl Future<Output = Result<T, AgentError>>,
    local: &mut (impl AsyncRead + Unpin),
    early: &mut Early,
) -> Result<T, AgentError> {
    tokio::pin!(way);
    loop {
        let room = MAX_PLAINTEXT.saturating_sub(early.data.len()) as u64;
        let mut ahead = (&mut *local).take(room);
        tokio::select! {
            biased;
            result = &mut way => return result,
            count = ahead.read_buf(&mut early.data), if room > 0 && !early.closed => match count {
                Ok(0) => early.closed = true,
                Ok(_) => {}
                Err(e) => return Err(Cut::Local(e).into()),
            },
        }
    }
}

/// From the local program to the gateway.
async fn up(
    local: &mut (impl AsyncRead + Unpin),
    remote: &mut (impl AsyncWrite + Unpin),
    send: &mut SendHalf,
    entry: &StreamEntry,
    mut closed: bool,
    signs: &Signs,
) -> Result<(), Cut> {
    let mut buffer = vec![0; DATA_ROOM + MAX_PLAINTEXT + DATA_TAIL];
    while !closed {
        let count = match local.read(&mut buffer[DATA_ROOM..][..MAX_PLAINTEXT]).await {
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(Cut::Local(e)),
        };
        closed = count == 0;
        if closed {
            break;
        }
        if signs.key_update.swap(false, Ordering::Relaxed) {
            send.peer_updated(KeyUpdateRequest::Requested);
        }
        let record = send.seal_data(&mut buffer, count).map_err(Cut::Record)?;
        write(remote, record, signs).await?;
        entry.sent.fetch_add(count as u64, Ordering::Relaxed);
    }
    let record = send.close().map_err(Cut::Record)?;
    write(remote, &record, signs).await
}

async fn write(remote: &mut (impl AsyncWrite + Unpin), record: &[u8], signs: &Signs) -> Result<(), Cut> {
    signs.writing.store(true, Ordering::Relaxed);
    remote.write_all(record).await.map_err(|e| Cut::Broke(e.to_string()))?;
    signs.writing.store(false, Ordering::Relaxed);
    Ok(())
}

/// From the gateway to the local program.
async fn down(
    remote: &mut (impl AsyncRead + Unpin),
    local: &mut (impl AsyncWrite + Unpin),
    receive: &mut ReceiveHalf,
    entry: &StreamEntry,
    signs: &Signs,
) -> Result<(), Cut> {
    loop {
        while let Some(event) = receive.next_event().map_err(Cut::Record)? {
            match event {
                StreamEvent::Data(data) => {
                    local.write_all(data).await.map_err(Cut::Local)?;
                    entry.received.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
                StreamEvent::KeyUpdated(KeyUpdateRequest::Requested) => {
                    signs.key_update.store(true, Ordering::Relaxed);
                }
                StreamEvent::KeyUpdated(KeyUpdateRequest::NotRequested) => {}
                StreamEvent::PeerClosed => {
                    // A program that has gone meanwhile has read all that it wanted.
                    let _ = local.shutdown().await;
                    signs.peer_closed.notify_one();
                }
                StreamEvent::Ended(end) => return Err(Cut::Ended(end)),
            }
        }
        match remote.read(receive.room()).await {
            Ok(0) => return receive.end_of_input().map_err(|_| Cut::Broke("it was cut off".to_owned())),
            Ok(count) => receive.filled(count),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Cut::Broke(e.to_string())),
        }
    }
}
