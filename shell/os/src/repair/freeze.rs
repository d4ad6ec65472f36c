//! Taking a connection from the host that has it.

use super::image::{Buffers, Conduct, Ended, MAX_BUFFER, MAX_ROUND_TRIP, Receiving, Sending, is_movable};
use super::kernel::{self, Negotiated, Queue, Repair};
use super::{CannotRepair, MAX_QUEUE, TcpImage};
use crate::address::is_here;
use crate::counters::{Info, prepare, tcp_info, unacknowledged};
use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use symbolon_crypto::SecretBytes;
use zeroize::Zeroizing;

/// Bits of `tcpi_options`, linux/tcp.h.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const SCALES: u8 = 4;
/// The first segment of the send queue may be acknowledged in part and still stands there whole.
const MAX_SEGMENT: usize = 65_536;
/// How long a connection that moves is read again. The kernel delivers what it has routed before, some dozens of segments;
/// what is delivered after the reading is not acknowledged, so the peer sends it again.
const LIMIT: Duration = Duration::from_secs(1);
/// The number of the loopback interface in every network namespace.
const LOOPBACK: u32 = 1;

/// Why a connection is not taken.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// This process may not.
    #[error(transparent)]
    CannotRepair(#[from] CannotRepair),
    /// It is being opened, or is over; the state is the kernel's number.
    #[error("a connection in state {0} cannot be moved")]
    State(u8),
    /// An address of it means nothing on another host.
    #[error("a connection with address {0} cannot be moved")]
    Address(std::net::IpAddr),
    /// Its queues are longer than [`MAX_QUEUE`].
    #[error("a connection with so full queues cannot be moved")]
    TooMuch,
    /// Its address was not removed from this host before.
    #[error("this host still has the address {0}")]
    StillHere(std::net::IpAddr),
    /// An urgent byte is among what was not read, and this kernel, older than Linux 6.9, does not show what is behind it.
    #[error("a connection with an urgent byte that was not read cannot be moved by this kernel")]
    Urgent,
    /// It does not hold still, although nothing can reach it.
    #[error("the connection does not stand still")]
    Restless,
    /// What the kernel says.
    #[error(transparent)]
    Kernel(#[from] io::Error),
}

impl From<Errno> for FreezeError {
    fn from(error: Errno) -> Self {
        Self::Kernel(error.into())
    }
}

/// A connection that stands still, and its image.
///
/// Dropped it stays as it is, for others who have the socket; when nobody has it any more it is gone silently.
#[derive(Debug)]
pub struct Frozen {
    socket: OwnedFd,
    image: TcpImage,
    /// The interface that it was bound to, 0 for none.
    interface: u32,
}

/// What moves when a packet comes or goes, the ends counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    state: u8,
    written: u32,
    received: u32,
    unacknowledged: u64,
    unsent: u32,
    unread: u64,
}

impl Frozen {
    /// Freezes a connection and reads all of it. The host must not have its address any more; the steps are those of
    /// the [module](super). Nobody else may use the socket meanwhile; it may have further descriptors, here or elsewhere.
    ///
    /// # Errors
    /// [`FreezeError`]; the connection then goes on as before.
    pub fn freeze(socket: BorrowedFd<'_>) -> Result<Self, FreezeError> {
        let socket = socket.try_clone_to_owned()?;
        ends_of(tcp_info(socket.as_fd())?.state)?;
        let local = address(rustix::net::getsockname(&socket)?)?;
        if is_here(local.ip())? {
            return Err(FreezeError::StillHere(local.ip()));
        }
        let interface = kernel::interface(socket.as_fd())?;
        kernel::repair(socket.as_fd(), Repair::On).map_err(CannotRepair::from)?;
        match isolate(socket.as_fd()).and_then(|()| read(socket.as_fd(), local)) {
            Ok(image) => Ok(Self { socket, image, interface }),
            Err(error) => {
                go_on(socket.as_fd(), interface, Repair::Off)?;
                Err(error)
            }
        }
    }

    /// What was read.
    #[must_use]
    pub fn image(&self) -> &TcpImage {
        &self.image
    }

    /// Lets it go on here, as if nothing had been. The address must be back, and nobody may have restored the image.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn thaw(self) -> io::Result<()> {
        go_on(self.socket.as_fd(), self.interface, Repair::OffAndAsk)
    }

    /// Ends the socket, whoever has it, and tells nobody: no end and no reset goes out. After this the image is all
    /// there is of the connection.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn end(self) -> io::Result<TcpImage> {
        rustix::net::connect_unspec(&self.socket)?;
        Ok(self.image)
    }
}

impl Standing {
    fn of(socket: BorrowedFd<'_>) -> Result<Self, FreezeError> {
        let state = tcp_info(socket)?.state;
        kernel::choose(socket, Queue::Receive)?;
        let received = kernel::number(socket)?;
        kernel::choose(socket, Queue::Send)?;
        let written = kernel::number(socket)?;
        let (unacknowledged, unsent) = (unacknowledged(socket)?, kernel::unsent(socket)?);
        let unread = rustix::io::ioctl_fionread(socket)?;
        kernel::choose(socket, Queue::None)?;
        Ok(Self { state, written, received, unacknowledged, unsent, unread })
    }
}

fn go_on(socket: BorrowedFd<'_>, interface: u32, mode: Repair) -> io::Result<()> {
    kernel::bind_to(socket, interface)?;
    kernel::repair(socket, mode)?;
    // leaving repair mode forgets it, and a listener on the same port could not be made anew
    Ok(sockopt::set_socket_reuseaddr(socket, true)?)
}

/// Who has ended, by the states of linux/tcp_states.h.
fn ends_of(state: u8) -> Result<Ended, FreezeError> {
    let (by_us, by_peer) = match state {
        1 => (false, false),
        // FIN_WAIT1, FIN_WAIT2
        4 | 5 => (true, false),
        // CLOSE_WAIT
        8 => (false, true),
        // LAST_ACK, CLOSING
        9 | 11 => (true, true),
        other => return Err(FreezeError::State(other)),
    };
    Ok(Ended { by_us, by_peer })
}

/// Cuts the socket off: bound to the loopback interface it is not found by what comes from others, and finds no way
/// to them. Without this its timers would go on sending; of IPv6 the kernel does not mind that the address is gone. The new host
/// would take acknowledgements of what was sent after the image was made for nonsense, and wait for ever.
fn isolate(socket: BorrowedFd<'_>) -> Result<(), FreezeError> {
    Ok(kernel::bind_to(socket, LOOPBACK)?)
}

/// Reads until nothing moved meanwhile: a packet may have been on its way within the kernel.
fn read(socket: BorrowedFd<'_>, local: SocketAddr) -> Result<TcpImage, FreezeError> {
    prepare(socket)?;
    let peer = address(rustix::net::getpeername(socket)?.ok_or(Errno::NOTCONN)?)?;
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let standing = Standing::of(socket)?;
        match read_once(socket, (local, peer), standing) {
            Ok(image) if Standing::of(socket)? == standing => return Ok(image),
            Ok(_) | Err(FreezeError::Restless) => {}
            Err(error) => return Err(error),
        }
    }
    Err(FreezeError::Restless)
}

fn read_once(
    socket: BorrowedFd<'_>,
    (local, peer): (SocketAddr, SocketAddr),
    standing: Standing,
) -> Result<TcpImage, FreezeError> {
    let ended = ends_of(standing.state)?;
    let (our_end, peers_end) = (u32::from(ended.by_us), u32::from(ended.by_peer));
    // our end is among what is not acknowledged, unless it is
    let sending = Sending {
        next: standing.written.wrapping_sub(our_end),
        unsent: standing.unsent.saturating_sub(our_end),
        queue: sent(socket, standing.unacknowledged.saturating_sub(u64::from(our_end)))?,
    };
    let receiving = Receiving {
        next: standing.received.wrapping_sub(peers_end),
        queue: received(socket, standing.unread)?,
    };
    let info = tcp_info(socket)?;
    let negotiated = negotiated(socket, info)?;
    Ok(TcpImage {
        local,
        peer,
        ended,
        sending,
        receiving,
        window: kernel::window(socket)?,
        negotiated,
        timestamp: if negotiated.timestamps { kernel::timestamp(socket)? } else { 0 },
        round_trip: info.round_trip.min(MAX_ROUND_TRIP),
        buffers: buffers(socket)?,
        conduct: conduct(socket)?,
    })
}

fn address(any: rustix::net::SocketAddrAny) -> Result<SocketAddr, FreezeError> {
    let address = SocketAddr::try_from(any).map_err(FreezeError::from)?;
    // IPv4 over a socket of IPv6; and without scope and flow
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    if is_movable(address.ip()) { Ok(address) } else { Err(FreezeError::Address(address.ip())) }
}

/// The last `length` bytes of the send queue, which are those that are not acknowledged.
fn sent(socket: BorrowedFd<'_>, length: u64) -> Result<SecretBytes, FreezeError> {
    let length = bounded(length)?;
    kernel::choose(socket, Queue::Send)?;
    let mut bytes = peek(socket, length, MAX_SEGMENT)?;
    kernel::choose(socket, Queue::None)?;
    let acknowledged = bytes.len().checked_sub(length).ok_or(FreezeError::Restless)?;
    bytes.drain(..acknowledged);
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

fn received(socket: BorrowedFd<'_>, length: u64) -> Result<SecretBytes, FreezeError> {
    let length = bounded(length)?;
    kernel::choose(socket, Queue::Receive)?;
    let mut bytes = peek(socket, length, 0)?;
    if bytes.len() < length {
        peek_past_urgent(socket, &mut bytes, length)?;
    }
    kernel::choose(socket, Queue::None)?;
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

/// The kernel stops reading before an urgent byte, also where that is taken in line; only from there it goes on.
fn peek_past_urgent(
    socket: BorrowedFd<'_>,
    bytes: &mut Zeroizing<Vec<u8>>,
    length: usize,
) -> Result<(), FreezeError> {
    let from = u32::try_from(bytes.len()).map_err(|_| FreezeError::TooMuch)?;
    match kernel::peek_from(socket, from) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => {
            return Err(FreezeError::Urgent);
        }
        done => done?,
    }
    let more = peek(socket, length - bytes.len(), 0);
    kernel::peek_from_first(socket)?;
    let mut all = Zeroizing::new(Vec::with_capacity(length));
    all.extend_from_slice(bytes);
    all.extend_from_slice(&more?);
    *bytes = all;
    if bytes.len() == length { Ok(()) } else { Err(FreezeError::Restless) }
}

fn bounded(length: u64) -> Result<usize, FreezeError> {
    usize::try_from(length).ok().filter(|length| *length <= MAX_QUEUE).ok_or(FreezeError::TooMuch)
}

/// What stands in the queue that is chosen, at most `length + more` bytes.
fn peek(socket: BorrowedFd<'_>, length: usize, more: usize) -> Result<Zeroizing<Vec<u8>>, FreezeError> {
    let mut bytes = Zeroizing::new(vec![0; if length == 0 { 0 } else { length + more }]);
    if !bytes.is_empty() {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let (count, _) = rustix::net::recv(socket, bytes.as_mut_slice(), flags)?;
        bytes.truncate(count);
    }
    Ok(bytes)
}

fn negotiated(socket: BorrowedFd<'_>, info: Info) -> Result<Negotiated, FreezeError> {
    let mss = u16::try_from(kernel::mss(socket)?).unwrap_or(u16::MAX).max(1);
    let has = |option| info.options & option != 0;
    Ok(Negotiated {
        mss,
        scales: has(SCALES).then_some(info.scales),
        sack: has(SACK),
        timestamps: has(TIMESTAMPS),
    })
}

fn buffers(socket: BorrowedFd<'_>) -> Result<Buffers, FreezeError> {
    let bounded = |size: usize| u32::try_from(size).unwrap_or(MAX_BUFFER).min(MAX_BUFFER);
    let fixed = match kernel::buffers_fixed(socket) {
        Ok(which) => which as u8 & 3,
        // before Linux 5.15
        Err(_) => 0,
    };
    Ok(Buffers {
        send: bounded(sockopt::socket_send_buffer_size(socket)?),
        receive: bounded(sockopt::socket_recv_buffer_size(socket)?),
        fixed,
    })
}

fn conduct(socket: BorrowedFd<'_>) -> Result<Conduct, FreezeError> {
    let seconds = |time: Duration| u16::try_from(time.as_secs()).unwrap_or(1).max(1);
    Ok(Conduct {
        nodelay: sockopt::tcp_nodelay(socket)?,
        keepalive: sockopt::socket_keepalive(socket)?,
        keep_idle: seconds(sockopt::tcp_keepidle(socket)?),
        keep_interval: seconds(sockopt::tcp_keepintvl(socket)?),
        keep_count: u8::try_from(sockopt::tcp_keepcnt(socket)?).unwrap_or(1).max(1),
        user_timeout: sockopt::tcp_user_timeout(socket)?,
    })
}
