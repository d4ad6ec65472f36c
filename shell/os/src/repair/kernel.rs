//! The socket options of TCP repair, as words of 32 bits, which all of them are.

use rustix::ioctl::{Getter, Opcode};
use rustix::net::AddressFamily;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `SIOCOUTQNSD`, linux/sockios.h.
const SIOCOUTQNSD: Opcode = 0x894B;
/// Kinds of TCP options, linux/tcp.h and RFC 9293 §3.1, RFC 7323, RFC 2018.
const OPTION_MSS: u32 = 2;
const OPTION_SCALES: u32 = 3;
const OPTION_SACK: u32 = 4;
const OPTION_TIMESTAMP: u32 = 8;

/// What is set of repair mode.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repair {
    /// Nobody is told of what is done to the socket.
    On,
    /// An ordinary socket again, which asks its peer where it stands if nobody has ended.
    OffAndAsk,
    /// An ordinary socket again, which says nothing.
    Off,
}

/// Which queue is meant next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Queue {
    None,
    Receive,
    Send,
}

/// `struct tcp_repair_window` of linux/tcp.h, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Number of the segment that last changed the peer's window.
    pub(super) changed_by: u32,
    /// The peer's window in bytes, scaled.
    pub(super) peers: u32,
    /// The largest that it ever was.
    pub(super) peers_largest: u32,
    /// Ours in bytes, as it was last told.
    pub(super) ours: u32,
    /// The number up to which we had received when it was told.
    pub(super) ours_from: u32,
}

/// What was negotiated, as far as the kernel can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    /// Largest segment that the peer takes, in bytes.
    pub(super) mss: u16,
    /// The peer's window scale and ours, 0 to 14.
    pub(super) scales: Option<(u8, u8)>,
    pub(super) sack: bool,
    pub(super) timestamps: bool,
}

pub(super) fn repair(socket: BorrowedFd<'_>, mode: Repair) -> io::Result<()> {
    let value = match mode {
        Repair::On => 1,
        Repair::OffAndAsk => 0,
        Repair::Off => u32::MAX,
    };
    set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, &[value])
}

pub(super) fn choose(socket: BorrowedFd<'_>, queue: Queue) -> io::Result<()> {
    let value = match queue {
        Queue::None => 0,
        Queue::Receive => 1,
        Queue::Send => 2,
    };
    set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE, &[value])
}

/// The number behind the last byte of the queue that is chosen, the end counted as one.
pub(super) fn number(socket: BorrowedFd<'_>) -> io::Result<u32> {
    get(socket, libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ).map(|[number]| number)
}

/// Sets the number of the first byte of the queue that is chosen, before connecting.
pub(super) fn set_number(socket: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ, &[number])
}

pub(super) fn window(socket: BorrowedFd<'_>) -> io::Result<Window> {
    let [changed_by, peers, peers_largest, ours, ours_from] =
        get(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR_WINDOW)?;
    Ok(Window { changed_by, peers, peers_largest, ours, ours_from })
}

pub(super) fn set_window(socket: BorrowedFd<'_>, window: Window) -> io::Result<()> {
    let Window { changed_by, peers, peers_largest, ours, ours_from } = window;
    let words = [changed_by, peers, peers_largest, ours, ours_from];
    set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR_WINDOW, &words)
}

/// In repair mode the largest segment that the peer takes; else the size of segments now.
pub(super) fn mss(socket: BorrowedFd<'_>) -> io::Result<u32> {
    get(socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG).map(|[mss]| mss)
}

/// Bounds the size of segments before connecting, which is when the kernel computes it.
pub(super) fn set_mss(socket: BorrowedFd<'_>, mss: u16) -> io::Result<()> {
    // TCP_MIN_MSS of the kernel, which takes no less here
    set(socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG, &[u32::from(mss.max(88))])
}

pub(super) fn set_negotiated(socket: BorrowedFd<'_>, negotiated: Negotiated) -> io::Result<()> {
    let mut words = vec![OPTION_MSS, u32::from(negotiated.mss)];
    if let Some((peers, ours)) = negotiated.scales {
        words.extend([OPTION_SCALES, u32::from(peers) | u32::from(ours) << 16]);
    }
    if negotiated.sack {
        words.extend([OPTION_SACK, 0]);
    }
    if negotiated.timestamps {
        words.extend([OPTION_TIMESTAMP, 0]);
    }
    set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR_OPTIONS, &words)
}

/// The clock of the connection's timestamps, with the kernel's mark of its unit in the lowest bit.
pub(super) fn timestamp(socket: BorrowedFd<'_>) -> io::Result<u32> {
    get(socket, libc::IPPROTO_TCP, libc::TCP_TIMESTAMP).map(|[timestamp]| timestamp)
}

pub(super) fn set_timestamp(socket: BorrowedFd<'_>, timestamp: u32) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_TIMESTAMP, &[timestamp])
}

/// Lets the socket have an address that this host has not.
pub(super) fn set_transparent(socket: BorrowedFd<'_>, family: AddressFamily, so: bool) -> io::Result<()> {
    let (level, option) = if family == AddressFamily::INET6 {
        (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)
    } else {
        (libc::IPPROTO_IP, libc::IP_TRANSPARENT)
    };
    set(socket, level, option, &[u32::from(so)])
}

/// Lets what is peeked at begin so many bytes behind the first, which it otherwise does with.
pub(super) fn peek_from(socket: BorrowedFd<'_>, offset: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &[offset])
}

pub(super) fn peek_from_first(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &[u32::MAX])
}

/// The interface that the socket is bound to, 0 for none.
pub(super) fn interface(socket: BorrowedFd<'_>) -> io::Result<u32> {
    get(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX).map(|[interface]| interface)
}

pub(super) fn bind_to(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, &[interface])
}

/// Which buffers have a size that was set, so that the kernel does not tune it: 1 for sending, 2 for receiving.
pub(super) fn buffers_fixed(socket: BorrowedFd<'_>) -> io::Result<u32> {
    get(socket, libc::SOL_SOCKET, libc::SO_BUF_LOCK).map(|[which]| which)
}

pub(super) fn fix_buffers(socket: BorrowedFd<'_>, which: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BUF_LOCK, &[which])
}

/// Bytes that were written and never sent, the end counted as one.
pub(super) fn unsent(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: SIOCOUTQNSD writes one C int.
    let count = unsafe { rustix::ioctl::ioctl(socket, Getter::<SIOCOUTQNSD, libc::c_int>::new()) }?;
    u32::try_from(count).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, words: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `words`, which the kernel only reads.
    let done = unsafe {
        let length = size_of_val(words) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, option, words.as_ptr().cast(), length)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn get<const N: usize>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<[u32; N]> {
    let mut words = [0_u32; N];
    let mut length = size_of::<[u32; N]>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `words`, of which every content is a value; the kernel writes at
    // most so far, and into `length` how far it did.
    let done = unsafe {
        let at = words.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), level, option, at, &raw mut length)
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    if length as usize == size_of::<[u32; N]>() { Ok(words) } else { Err(io::ErrorKind::Unsupported.into()) }
}
