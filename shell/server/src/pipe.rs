//! The bytes of a connection: records on the client's side, plain on the application's; TLS clients and native
//! streams alike.
//!
//! ```text
//! keeper.rs   what keeps a connection when this process dies: the holder, if there is one
//! note.rs     whose connection it is, for who carries it on
//! begin.rs    a connection is new, or comes from a worker that died
//! turn.rs     its steps, one system call each
//! ```
//! Each direction reads no further than the other side has taken, and ends by itself. What is true of a connection
//! stands in its ledger before it happens (`docs/protocol/ledger.md`), so that this process may be killed between any two
//! instructions.

mod begin;
mod keeper;
mod note;
mod turn;

pub(crate) use begin::{Adopted, Fresh};
pub(crate) use keeper::Keeper;
pub(crate) use note::{Note, Owner};

use crate::live::Counters;
use crate::metrics::Traffic;
use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use symbolon_os::{HeldId, MemoryFile};
use symbolon_record::Alert;
use symbolon_session::EndReason;
use symbolon_session::ledger::{Carrier, Ended, Interest, STREAM_END, TlsProtection};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout};
use turn::Turn;

/// How long a client may take to read the last word.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may be silent after the application closed: its half of the connection may go on, and
/// a client that forgot it keeps no place for ever.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// After how much silence the memory of the rings is given back. To map it again costs as much as some records.
const REST_AFTER: Duration = Duration::from_secs(1);

/// As many connections that have more to do are worked on at once as there are threads, and they have their turns one
/// after the other, whichever thread they are on: each thread shares its time fairly, but one has more connections than
/// another.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    Semaphore::new(threads)
});

/// How a connection ended.
pub(crate) enum PipeEnd {
    /// Both directions were closed in order.
    Finished,
    /// We ended it.
    Cut(EndReason),
    /// One side broke off.
    Broken(String),
}

/// How its client is told of an end that is no close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Tls,
    Native,
}

impl Language {
    const fn say(self, reason: EndReason) -> u16 {
        match (self, reason) {
            (Self::Native, reason) => STREAM_END + reason.code() as u16,
            (
                Self::Tls,
                EndReason::EntitlementWithdrawn
                | EndReason::UserLocked
                | EndReason::TokenRevoked
                | EndReason::Expired
                | EndReason::EndedByAdministrator
                | EndReason::NotPermitted,
            ) => Alert::AccessDenied as u16,
            (Self::Tls, _) => Alert::InternalError as u16,
        }
    }
}

/// A connection that is carried.
pub(crate) struct Pipe {
    carrier: Carrier<TlsProtection>,
    /// None when it is over.
    memory: Option<MemoryFile>,
    client: TcpStream,
    application: TcpStream,
    keeper: Arc<Keeper>,
    held: Option<HeldId>,
    language: Language,
    /// What the counters of the application's socket said at the beginning: up, down.
    base: (u64, u64),
    rests: bool,
    /// What the application's socket failed with.
    failure: Option<std::io::Error>,
}

impl Pipe {
    /// Carries bytes until both directions are closed, or `cut` says why not.
    pub(crate) async fn run(
        mut self,
        cut: &mut oneshot::Receiver<EndReason>,
        counters: &Counters,
        traffic: &Traffic,
    ) -> PipeEnd {
        // what passed before this worker had it
        self.count(counters);
        let mut told = None;
        let mut patience = None;
        let mut has_more = false;
        let mut moved = Instant::now();
        // One timer for all its waits: to set and to take away one for each costs as much as a system call.
        let mut silence = pin!(tokio::time::sleep(REST_AFTER));
        let ended = loop {
            if told.is_none() {
                match cut.try_recv() {
                    Err(oneshot::error::TryRecvError::Empty) => {}
                    reason => {
                        let reason = reason.unwrap_or(EndReason::InternalError);
                        (told, patience) = (Some(reason), Some(Instant::now() + PATIENCE));
                        self.carrier.end_with(self.language.say(reason));
                    }
                }
            }
            let turn = {
                let _in_turn = if has_more { Some(TURNS.acquire().await) } else { None };
                self.turn()
            };
            let (up, down) = self.count(counters);
            traffic.up.inc_by(up);
            traffic.down.inc_by(down);
            if up > 0 || down > 0 {
                moved = Instant::now();
            }
            match turn {
                Turn::Ended(ended) => break ended,
                Turn::Busy => {
                    has_more = true;
                    tokio::task::yield_now().await;
                }
                Turn::Waits(interest) => loop {
                    has_more = false;
                    let cut = async {
                        match told {
                            None => (&mut *cut).await.unwrap_or(EndReason::InternalError),
                            Some(_) => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        biased;
                        () = self.ready(interest) => {}
                        reason = cut => {
                            (told, patience) = (Some(reason), Some(Instant::now() + PATIENCE));
                            self.carrier.end_with(self.language.say(reason));
                        }
                        () = until(patience) => self.carrier.client_failed(),
                        () = tokio::time::sleep(HALF_CLOSED), if self.carrier.entry().to_client.closed => {
                            self.carrier.client_failed();
                        }
                        () = silence.as_mut(), if !self.rests && self.carrier.is_idle() => {
                            if moved.elapsed() < REST_AFTER {
                                silence.as_mut().reset(moved + REST_AFTER);
                            } else {
                                self.rest();
                            }
                            // a turn would look at the sockets, and wake the memory for it
                            continue;
                        }
                    }
                    break;
                },
            }
        };
        self.farewell(ended).await;
        match (ended, told, self.failure.take()) {
            (Ended::Orderly, _, _) => PipeEnd::Finished,
            (_, Some(reason), _) => PipeEnd::Cut(reason),
            (_, None, Some(failure)) => PipeEnd::Broken(format!("application: {failure}")),
            (Ended::Lost(lost), None, None) => PipeEnd::Broken(lost.to_string()),
            (ended, None, None) => PipeEnd::Broken(format!("client: {ended:?}")),
        }
    }

    /// Says how much passed, and returns how much since the last time: up, down.
    fn count(&self, counters: &Counters) -> (u64, u64) {
        let entry = self.carrier.entry();
        let up = entry.to_application.written.wrapping_sub(self.base.0);
        let down = entry.to_client.taken.wrapping_sub(self.base.1);
        let since = |counter: &AtomicU64, now: u64| now.saturating_sub(counter.swap(now, Ordering::Relaxed));
        (since(&counters.up, up), since(&counters.down, down))
    }

    fn rest(&mut self) {
        self.rests = true;
        if let Some(Err(e)) = self.memory.as_mut().map(MemoryFile::rest) {
            tracing::debug!("memory was not given back: {e}");
        }
    }

    /// Comes when one of `interest` can be tried.
    async fn ready(&self, interest: Interest) {
        let client = async {
            let wanted = wanted(interest.client_readable, interest.client_writable);
            match wanted {
                // what is wrong with it is told by the next read or write
                Some(wanted) => drop(self.client.ready(wanted).await),
                None => std::future::pending().await,
            }
        };
        let application = async {
            match wanted(interest.application_readable, interest.application_writable) {
                Some(wanted) => drop(self.application.ready(wanted).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = client => {}
            () = application => {}
        }
    }

    /// Closes both sockets as the end wants it, then lets go of what was kept.
    async fn farewell(&mut self, ended: Ended) {
        if ended != Ended::Orderly {
            reset(&self.application);
        }
        match ended {
            Ended::Orderly => {}
            Ended::ClientGone | Ended::Truncated | Ended::Lost(_) => reset(&self.client),
            // A socket with unread bytes is reset when it is closed, and the last word may be lost with it.
            Ended::ClientAlert(_) | Ended::Alerted(_) => {
                let mut rest = [0; 4096];
                let rest = async { while self.client.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
                let _ = timeout(PATIENCE, rest).await;
            }
        }
        self.let_go();
    }

    /// The holder first: whoever found an empty ledger would reset the sockets.
    fn let_go(&mut self) {
        if let Some(id) = self.held.take() {
            self.keeper.release(id);
        }
        if let Some(Err(e)) = self.memory.take().map(MemoryFile::erase) {
            tracing::debug!("memory was not given back: {e}");
        }
    }
}

/// One that is dropped in the middle is of no use to anybody.
impl Drop for Pipe {
    fn drop(&mut self) {
        if self.memory.is_some() {
            reset(&self.client);
            reset(&self.application);
            self.let_go();
        }
    }
}

fn reset(socket: &TcpStream) {
    // one that is not connected any more needs none
    let _ = rustix::net::sockopt::set_socket_linger(socket.as_fd(), Some(Duration::ZERO));
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn wanted(readable: bool, writable: bool) -> Option<tokio::io::Interest> {
    match (readable, writable) {
        (true, true) => Some(tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE),
        (true, false) => Some(tokio::io::Interest::READABLE),
        (false, true) => Some(tokio::io::Interest::WRITABLE),
        (false, false) => None,
    }
}
