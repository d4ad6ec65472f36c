//! What the kernel says of a socket: how much was ever written to it and read from it, whoever did.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode};
use std::io;
use std::mem::{MaybeUninit, offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use symbolon_session::ledger::{Counters, TcpCounters};

/// `SIOCOUTQ`, linux/sockios.h (it has the number of `TIOCOUTQ`).
const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;
/// How often counters that move are read again. Nobody uses the socket meanwhile; only the peer can
/// move them, and to do so between each two of our calls for so long it would have to know them.
const ATTEMPTS: usize = 10_000;

/// Prepares a socket that is to be carried, before anything is read from it or counted.
///
/// An urgent byte (`MSG_OOB`) is taken as an ordinary one: left out of line it would count as read and
/// stand in no ring.
///
/// # Errors
/// What the kernel says.
pub fn prepare(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_oobinline(socket, true)?)
}

/// How many bytes were ever written to and read from a TCP socket, ends left out.
///
/// # Errors
/// When it is no TCP socket, or does not hold still. No other kind counts: what a Unix socket took and gave is
/// counted nowhere (`SIOCOUTQ` gives memory, not bytes), so such an application is reached through a process that
/// lives on.
pub fn counters(socket: BorrowedFd<'_>) -> io::Result<Counters> {
    tcp_counters(socket).map(|counters| counters.counters())
}

/// The counters as the kernel gives them. What was written is of one moment, what was read of another:
/// the peer may be busy, and neither says anything of the other.
///
/// # Errors
/// When it is no TCP socket, or does not hold still.
pub fn tcp_counters(socket: BorrowedFd<'_>) -> io::Result<TcpCounters> {
    let mut before = tcp_info(socket)?;
    let (mut written, mut read) = (None, None);
    for _ in 0..ATTEMPTS {
        let (unacknowledged, unread) = (unacknowledged(socket)?, rustix::io::ioctl_fionread(socket)?);
        let error = pending_error(socket)?;
        let after = tcp_info(socket)?;
        if before.state != after.state {
            // an end came, or was acknowledged: it is a byte in one of the counters
            (written, read) = (None, None);
        } else {
            if before.bytes_acked == after.bytes_acked {
                written.get_or_insert((after.bytes_acked, unacknowledged));
            }
            if before.bytes_received == after.bytes_received {
                read.get_or_insert((after.bytes_received, unread));
            }
            if let (Some((bytes_acked, unacknowledged)), Some((bytes_received, unread))) = (written, read) {
                let state = after.state;
                return Ok(TcpCounters { state, bytes_acked, unacknowledged, bytes_received, unread, error });
            }
        }
        before = after;
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// What `TCP_INFO` says that is of use here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    pub(crate) state: u8,
    /// What was negotiated, as bits of linux/tcp.h.
    pub(crate) options: u8,
    /// The peer's window scale and ours.
    pub(crate) scales: (u8, u8),
    /// How long the way to the peer and back is, in µs; 0 if it is not known.
    pub(crate) round_trip: u32,
    bytes_acked: u64,
    bytes_received: u64,
}

/// Whether the socket has failed and nobody was told.
fn pending_error(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let fds = &mut [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    rustix::event::poll(fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(fds[0].revents().contains(PollFlags::ERR))
}

pub(crate) fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<Info> {
    const NEEDED: usize = offset_of!(libc::tcp_info, tcpi_bytes_received) + size_of::<u64>();
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `info`, which the kernel fills at most so far, and it
    // writes into `length` how far it did.
    let got = unsafe {
        let at = info.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, at, &raw mut length)
    };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    if (length as usize) < NEEDED {
        // before Linux 4.2
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: all fields are integers, for which zeros are values, and what the kernel did not fill is
    // zero.
    let info = unsafe { info.assume_init() };
    let (bytes_acked, bytes_received) = (info.tcpi_bytes_acked, info.tcpi_bytes_received);
    let (state, options, scales) = (info.tcpi_state, info.tcpi_options, info.tcpi_snd_rcv_wscale);
    // two bit fields of C: the first is in the low bits where the low byte comes first
    let (low, high) = (scales & 15, scales >> 4);
    let scales = if cfg!(target_endian = "little") { (low, high) } else { (high, low) };
    Ok(Info { state, options, scales, round_trip: info.tcpi_rtt, bytes_acked, bytes_received })
}

/// Bytes that were written and not acknowledged, our end counted as one.
pub(crate) fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: SIOCOUTQ writes one C int.
    let count = unsafe { rustix::ioctl::ioctl(socket.as_fd(), Getter::<SIOCOUTQ, libc::c_int>::new()) }?;
    u64::try_from(count).map_err(|_| Errno::RANGE.into())
}
