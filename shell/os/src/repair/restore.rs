//! Making a connection go on, on the host that gets it.

use super::image::{Buffers, MAX_BUFFER};
use super::kernel::{self, Queue, Repair, Window};
use super::segment::Segment;
use super::{CannotRepair, TcpImage};
use crate::address::is_here;
use crate::counters::{prepare, tcp_info, unacknowledged};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use symbolon_crypto::SecretBytes;

/// What is put into the receive queue at once: a few pages, so that each is one record of the kernel.
const STEP: usize = 16_384;
/// Room in a buffer for the kernel's own records.
const SLACK: u32 = 128 << 10;
/// How much later than the old host's the new one's timestamps begin, in the connection's unit (ms, or µs in the even
/// numbers): the lowest bit of the old clock is lost, and timestamps must not go back (RFC 7323 §5).
const CLOCK_MARGIN: u32 = 2;
/// See `has_marker`.
const MARKER: [u8; 1] = [0];
/// How long the acknowledgement of that may be on its way to ourselves.
const ACKNOWLEDGEMENT_LIMIT: Duration = Duration::from_millis(20);
/// How long the end of the peer may be on its way to ourselves.
const END_LIMIT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Why a connection does not go on here.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// This process may not.
    #[error(transparent)]
    CannotRepair(#[from] CannotRepair),
    /// This host has a connection with these addresses already.
    #[error("this host has that connection already")]
    Exists,
    /// There is no way to the peer from here.
    #[error("there is no way to the peer from this host")]
    NoWay,
    /// The address of the connection was not added to this host yet.
    #[error("this host has not the address {0}")]
    NoAddress(IpAddr),
    /// The kernel had no memory for the queues.
    #[error("the kernel had no room for the connection's queues")]
    NoRoom,
    /// A filter of this host keeps a packet to itself from arriving, so that the peer's end is not known to the socket.
    #[error("the peer's end could not be put back")]
    EndNotTaken,
    /// What the kernel says.
    #[error(transparent)]
    Kernel(#[from] io::Error),
}

impl From<Errno> for RestoreError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ADDRINUSE | Errno::ADDRNOTAVAIL => Self::Exists,
            Errno::NETUNREACH | Errno::HOSTUNREACH => Self::NoWay,
            Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN => Self::NoRoom,
            other => Self::Kernel(other.into()),
        }
    }
}

/// A connection that stands still on its new host. Dropped it is gone silently, and may be restored again.
#[derive(Debug)]
pub struct Restored {
    socket: OwnedFd,
    /// Ours, which moved with it.
    local: SocketAddr,
    /// Whose it is.
    peer: SocketAddr,
    /// What the old host had not sent yet.
    unsent: SecretBytes,
    /// What the peer had said to the old host, as far as it matters.
    acknowledgement: Option<Acknowledgement>,
    end: Option<Segment>,
    ended_by_us: bool,
    /// As they were: while the queues are put back there must be more room.
    buffers: Buffers,
}

impl TcpImage {
    /// Makes the socket, still standing still. The host need not have the address yet, and should not: see the steps
    /// of the [module](super).
    ///
    /// # Errors
    /// [`RestoreError`]; nothing is left of it then, and the image may be restored elsewhere.
    pub fn restore(&self) -> Result<Restored, RestoreError> {
        let family = if self.local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let owned = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let socket = owned.as_fd();
        kernel::repair(socket, Repair::On).map_err(CannotRepair::from)?;
        // from when it is an ordinary socket until all is in its place, a failure is a reset and no end
        sockopt::set_socket_linger(socket, Some(Duration::ZERO))?;
        self.make_room(socket)?;
        kernel::set_mss(socket, self.negotiated.mss)?;
        kernel::set_transparent(socket, family, true)?;
        rustix::net::bind(socket, &self.local)?;
        let (sent, unsent) = {
            let queue = self.sending.queue.expose();
            queue.split_at(queue.len() - self.sending.unsent as usize)
        };
        let received = self.receiving.queue.expose();
        kernel::choose(socket, Queue::Send)?;
        kernel::set_number(socket, self.first_number())?;
        kernel::choose(socket, Queue::Receive)?;
        kernel::set_number(socket, before(self.receiving.next, received.len()))?;
        kernel::choose(socket, Queue::None)?;
        // nothing goes out in repair mode
        rustix::net::connect(socket, &self.peer)?;
        kernel::set_negotiated(socket, self.negotiated)?;
        if self.negotiated.timestamps {
            kernel::set_timestamp(socket, self.timestamp.wrapping_add(CLOCK_MARGIN))?;
        }
        self.conduct_of(socket)?;
        kernel::choose(socket, Queue::Receive)?;
        for step in received.chunks(STEP) {
            write_all(socket, step)?;
        }
        kernel::choose(socket, Queue::Send)?;
        if self.has_marker() {
            write_all(socket, &MARKER)?;
        }
        write_all(socket, sent)?;
        kernel::choose(socket, Queue::None)?;
        kernel::set_window(socket, self.window_before())?;
        Ok(Restored {
            local: self.local,
            peer: self.peer,
            unsent: SecretBytes::new(unsent.to_vec()),
            acknowledgement: self.has_marker().then(|| self.acknowledgement()),
            end: self.ended.by_peer.then(|| self.end()),
            ended_by_us: self.ended.by_us,
            buffers: self.buffers,
            socket: owned,
        })
    }

    /// Before connecting, when the kernel derives from them how much it will ever let the peer send.
    fn make_room(&self, socket: BorrowedFd<'_>) -> Result<(), RestoreError> {
        let room = |buffer: u32, queue: usize, factor: u32| {
            let queue = u32::try_from(queue).unwrap_or(MAX_BUFFER);
            buffer.max(queue.saturating_mul(factor).saturating_add(SLACK))
        };
        // what was sent and what was not stand there in records of their own
        set_send_buffer(socket, room(self.buffers.send, self.unacknowledged(), 2))?;
        set_receive_buffer(socket, room(self.buffers.receive, self.unread(), 2))
    }

    fn conduct_of(&self, socket: BorrowedFd<'_>) -> Result<(), RestoreError> {
        let conduct = self.conduct;
        prepare(socket)?;
        sockopt::set_tcp_nodelay(socket, conduct.nodelay)?;
        sockopt::set_tcp_keepidle(socket, Duration::from_secs(conduct.keep_idle.into()))?;
        sockopt::set_tcp_keepintvl(socket, Duration::from_secs(conduct.keep_interval.into()))?;
        sockopt::set_tcp_keepcnt(socket, conduct.keep_count.into())?;
        sockopt::set_socket_keepalive(socket, conduct.keepalive)?;
        Ok(sockopt::set_tcp_user_timeout(socket, conduct.user_timeout)?)
    }

    /// Whether a byte is put before the send queue that the peer acknowledged long ago, and does so again before the
    /// socket goes on. That is news to the socket, and tells it how long the way is: so it asks within a few round trips
    /// for what was lost with the old host, or is lost while the neighbours learn of the new one; else it would wait for a
    /// second or three. What the byte says is never looked at. (The answer to its question at going on would do as well,
    /// but peers give only two of those in a second.)
    fn has_marker(&self) -> bool {
        // what was repaired has no other clock
        self.negotiated.timestamps
    }

    /// The marker's acknowledgement.
    fn acknowledgement(&self) -> Acknowledgement {
        let segment = Segment { end: false, ..self.end() };
        Acknowledgement { segment, round_trip: self.round_trip }
    }

    /// The number of the first byte that the new socket has for sent.
    fn first_number(&self) -> u32 {
        before(self.sending.next, self.unacknowledged() + usize::from(self.has_marker()))
    }

    /// The same windows, ours as told before the last byte came: what the peer says again is newer then, so that neither its
    /// end nor a timestamp that is none is taken for what stood when the window was told. And the peer's as told by
    /// nothing that is ahead: what came out of order did not come along, and beyond our window, which the kernel closes
    /// for want of memory, it takes no such number.
    fn window_before(&self) -> Window {
        let next = self.receiving.next;
        let ahead = (self.window.changed_by.wrapping_sub(next) as i32) > 0;
        let window = Window { changed_by: if ahead { next } else { self.window.changed_by }, ..self.window };
        let ours_from = next.wrapping_sub(1);
        let later = window.ours_from.wrapping_sub(ours_from);
        // the end has a number, too
        if later <= 2 { Window { ours_from, ours: window.ours + later, ..window } } else { window }
    }

    /// The peer's end.
    fn end(&self) -> Segment {
        let scale = self.negotiated.scales.map_or(0, |(peers, _)| peers);
        Segment {
            from: self.peer,
            to: self.local,
            number: self.receiving.next,
            acknowledged: before(self.sending.next, self.unacknowledged()),
            end: true,
            echo: None,
            window: u16::try_from(self.window.peers >> scale).unwrap_or(u16::MAX),
        }
    }
}

impl Restored {
    /// Whose connection it is.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Lets it go on: the peer is asked where it stands, and what was not sent is. The address must be here by now and
    /// announced, and the old host's socket ended.
    ///
    /// The socket blocks, until it is told not to.
    ///
    /// # Errors
    /// [`RestoreError::NoAddress`]; others, after which the peer is told by a reset that the connection is lost.
    pub fn go_on(self) -> Result<OwnedFd, RestoreError> {
        let socket = self.socket.as_fd();
        let family = if self.local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        if !is_here(self.local.ip())? {
            return Err(RestoreError::NoAddress(self.local.ip()));
        }
        kernel::set_transparent(socket, family, false)?;
        if let Some(acknowledgement) = self.acknowledgement {
            acknowledgement.send(socket)?;
        }
        kernel::repair(socket, Repair::OffAndAsk)?;
        // leaving repair mode forgets it, and a listener on the same port could not be made anew
        sockopt::set_socket_reuseaddr(socket, true)?;
        if let Some(end) = self.end {
            end.send()?;
            wait_for_end(socket)?;
        }
        write_all(socket, self.unsent.expose())?;
        if self.ended_by_us {
            rustix::net::shutdown(socket, Shutdown::Write)?;
        }
        set_send_buffer(socket, self.buffers.send)?;
        set_receive_buffer(socket, self.buffers.receive)?;
        // before Linux 5.15 the sizes stay as they are
        let _ = kernel::fix_buffers(socket, self.buffers.fixed.into());
        sockopt::set_socket_linger(socket, None)?;
        Ok(self.socket)
    }
}

/// The number `length` bytes before.
fn before(number: u32, length: usize) -> u32 {
    number.wrapping_sub(u32::try_from(length).expect("a queue has at most MAX_QUEUE bytes"))
}

/// Beyond what others may have, where we may.
fn set_send_buffer(socket: BorrowedFd<'_>, size: u32) -> Result<(), RestoreError> {
    // the kernel takes twice what it is told
    let size = size as usize / 2;
    match sockopt::set_socket_send_buffer_size_force(socket, size) {
        Err(Errno::PERM) => Ok(sockopt::set_socket_send_buffer_size(socket, size)?),
        done => Ok(done?),
    }
}

fn set_receive_buffer(socket: BorrowedFd<'_>, size: u32) -> Result<(), RestoreError> {
    let size = size as usize / 2;
    match sockopt::set_socket_recv_buffer_size_force(socket, size) {
        Err(Errno::PERM) => Ok(sockopt::set_socket_recv_buffer_size(socket, size)?),
        done => Ok(done?),
    }
}

fn write_all(socket: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), RestoreError> {
    while !bytes.is_empty() {
        let count = rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// What acknowledges the marker, as from a peer so far away.
#[derive(Debug)]
struct Acknowledgement {
    segment: Segment,
    /// In µs.
    round_trip: u32,
}

impl Acknowledgement {
    /// Sends it, and waits until it is there, which it usually is at once. A filter may keep it; then all comes later.
    fn send(self, socket: BorrowedFd<'_>) -> Result<(), RestoreError> {
        let before = unacknowledged(socket)?;
        let now = kernel::timestamp(socket)?;
        let in_microseconds = now & 1 == 1;
        let ago = if in_microseconds { self.round_trip } else { self.round_trip / 1_000 };
        Segment { echo: Some(now.wrapping_sub(ago.max(1))), ..self.segment }.send()?;
        let begun = Instant::now();
        while unacknowledged(socket)? == before && begun.elapsed() < ACKNOWLEDGEMENT_LIMIT {
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// Waits until the socket has taken the peer's end, which is on its way over the loopback interface.
fn wait_for_end(socket: BorrowedFd<'_>) -> Result<(), RestoreError> {
    let fds = &mut [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    while rustix::event::poll(fds, Some(&END_LIMIT)) == Err(Errno::INTR) {}
    // CLOSE_WAIT
    if tcp_info(socket)?.state == 8 { Ok(()) } else { Err(RestoreError::EndNotTaken) }
}
