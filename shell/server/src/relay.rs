//! Applications behind a Unix socket, and those that want TLS themselves: reached through a process that outlives
//! the worker.
//!
//! The kernel counts what went over a TCP socket, and nothing elsewhere; by these counts the next worker goes on
//! (`docs/protocol/ledger.md`). So the **relay** dials such an application, and gives the worker one end of a pair of TCP
//! sockets of its own. It knows nothing of clients, and decides nothing.
//!
//! ```text
//! worker ── Request {where, how long}, a socket for the answer ──> relay ── dials (dial.rs, tls.rs) ──> application
//!        <───────────── Answer, one end of a pair (pair.rs) ──────   └───── copies bytes (copy.rs) ───────┘
//! ```
//! `message.rs` is what they say, `process.rs` the relay as a process. A node without a holder does the same by
//! itself.

mod copy;
mod dial;
mod message;
mod pair;
mod process;
mod tls;

pub(crate) use message::{Destination, Failure, FailureKind};
pub use process::RelayProcess;
pub(crate) use tls::{check_roots, is_certificate_name};

use message::{Answer, Request};
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;
use symbolon_os::pass;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixDatagram};

/// How soon a question is asked again that found no room: there are hundreds before it.
const FULL: Duration = Duration::from_millis(5);

/// Who dials in the worker's place.
#[derive(Debug)]
pub(crate) enum Relay {
    /// The process that is asked over this socket; the holder begins it when it is needed.
    Family(OwnedFd),
    /// This process, so that the connections end with it.
    Here,
}

impl Relay {
    /// A connection to an application, by a socket that the kernel counts on. To be given up when it takes too long:
    /// the relay gives up after `within`, too.
    pub(crate) async fn connect(&self, to: Destination, within: Duration) -> Result<TcpStream, Failure> {
        match self {
            Self::Here => {
                let application = dial::dial(&to).await?;
                let (ours, theirs) = pair::pair().await?;
                tokio::spawn(copy::carry(theirs, application));
                Ok(ours)
            }
            Self::Family(requests) => ask(requests.as_fd(), Request { to, within }).await,
        }
    }
}

async fn ask(requests: BorrowedFd<'_>, request: Request) -> Result<TcpStream, Failure> {
    let roots = request.to.roots().map(in_memory).transpose()?;
    let (answer, theirs) = pass::pair()?;
    let (bytes, answer) = (request.to_bytes(), waited_for(answer)?);
    let mut descriptors = vec![theirs.as_fd()];
    descriptors.extend(roots.as_ref().map(OwnedFd::as_fd));
    loop {
        match pass::send(requests, &bytes, &descriptors, SendFlags::DONTWAIT) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => tokio::time::sleep(FULL).await,
            sent => break sent?,
        }
    }
    drop(descriptors);
    // so that it is noticed when nobody is left who could answer
    drop(theirs);
    let receive = || pass::receive(answer.as_fd(), RecvFlags::DONTWAIT);
    let Some(message) = answer.async_io(Interest::READABLE, receive).await? else {
        return Err(Failure::unreachable("the relay ended before it had dialled"));
    };
    match (Answer::parse(message.bytes()), message.descriptors.into_iter().next()) {
        (Ok(Answer::Connected), Some(socket)) => {
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            Ok(TcpStream::from_std(stream)?)
        }
        (Ok(Answer::Failed(failure)), None) => Err(failure),
        (Ok(Answer::Connected), None) if message.cut => Err(Failure::unreachable("descriptors are used up")),
        _ => Err(Failure::unreachable("the relay says nonsense")),
    }
}

/// A socket that keeps the bounds of messages, to be waited for. tokio has no type for those that know an end, too; it
/// only waits with this one, and what is sent and received is `pass`'s to do.
fn waited_for(socket: OwnedFd) -> io::Result<UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::from(socket);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// A file without a name.
fn in_memory(text: &str) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("symbolon-roots", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(text.as_bytes())?;
    Ok(file.into())
}
