//! A live TCP connection moves to another host of the same network, and its peer notices nothing but a short
//! pause (C3, C4).
//!
//! ```text
//!   old host                                              new host
//!   1  remove the address: nothing reaches the socket any more
//!   2  Frozen::freeze      -> TcpImage  ───────────────>  TcpImage::restore  -> Restored
//!   3  Frozen::end: the socket is gone, nobody was told
//!                          ── "it is gone" ────────────>
//!   4                                                     add the address
//!   5                                                     announce it: gratuitous ARP, neighbour advertisement
//!   6                                                     Restored::go_on -> a socket like any other
//! ```
//! **The order is the caller's duty**, for each step of it keeps some host from answering with a reset or from
//! acknowledging what is lost:
//!
//! - *Removed before frozen.* A frozen socket takes nothing any more, and a host that has the address answers with
//!   a reset what it has no socket for; so freezing is refused as long as the address is here
//!   ([`FreezeError::StillHere`]). Without the address it drops what comes, unless it forwards packets, which it must
//!   not for this address. All connections of an address move together.
//! - *Restored before added.* A host that has the address and no such socket answers with a reset, so all sockets
//!   are made first; [`TcpImage::restore`] does not need the address.
//! - *Ended before added.* Two hosts must not go on with one connection. If the image cannot be sent, [`Frozen::thaw`]
//!   takes it back, with the address back in its place first.
//! - *Announced before going on.* Going on asks the peer where it stands; its answer must find the new host, or the
//!   next thing heard is a retransmission, 200 ms or more later.
//!
//! [`crate::ServiceAddress`] does steps 1, 4 and 5.
//!
//! **What goes along**: both queues and their numbers, the windows, what was negotiated (segment size, window scales,
//! selective acknowledgement, timestamps), sizes of the buffers, nodelay, keepalive and user timeout; urgent bytes
//! are taken in line. **What does not**: congestion window and round-trip times, segments that came out of order
//! (the peer sends them again), explicit congestion notification, Fast Open, MD5 and AO keys, marks, and a device
//! that the socket was bound to. The kernel's counters ([`crate::counters()`]) begin anew: whoever goes by them reads them
//! right after [`Restored::go_on`], which is where they stood when it was frozen.
//!
//! **States**: established, and all in which one side or both have ended what they send and somebody still waits
//! for something. Refused are connections that are being opened and those that are over ([`FreezeError::State`]).
//! What the peer has said (its end, an acknowledgement) the new host tells itself again by a segment over its loopback
//! interface, which a filter there must let pass; our end is simply sent again. `CLOSING` becomes `LAST_ACK`.

mod freeze;
mod image;
#[expect(unsafe_code, reason = "the socket options of TCP repair, for which there is no safe interface")]
mod kernel;
mod restore;
mod segment;

pub use freeze::{FreezeError, Frozen};
pub use image::{MAX_QUEUE, TcpImage};
pub use restore::{RestoreError, Restored};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use std::io;
use std::os::fd::AsFd;

/// Why this process cannot move connections here.
#[derive(Debug, thiserror::Error)]
pub enum CannotRepair {
    /// It may not.
    #[error("TCP repair needs CAP_NET_ADMIN in the user namespace that owns the network")]
    NotPermitted,
    /// It may not make raw sockets, by which it is told again what a peer said.
    #[error("moving connections needs CAP_NET_RAW in the user namespace that owns the network")]
    NoRawSocket,
    /// The kernel has no such thing: not Linux 4.8 or later, or a sandbox that imitates it.
    #[error("this kernel has no TCP repair (TCP_REPAIR, TCP_REPAIR_WINDOW)")]
    NotSupported,
    /// The kernel says something else.
    #[error("trying TCP repair: {0}")]
    Kernel(#[source] io::Error),
}

impl From<io::Error> for CannotRepair {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::PERM | Errno::ACCESS) => Self::NotPermitted,
            Some(Errno::NOPROTOOPT | Errno::OPNOTSUPP | Errno::INVAL) => Self::NotSupported,
            _ => Self::Kernel(error),
        }
    }
}

/// Whether this process can move connections of the network namespace that it is in, found by trying on a socket
/// that nobody sees.
///
/// # Errors
/// [`CannotRepair`] says what is missing.
pub fn can_repair() -> Result<(), CannotRepair> {
    let new =
        |kind, protocol| rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, protocol);
    let socket = new(SocketType::STREAM, None).map_err(|error| CannotRepair::Kernel(error.into()))?;
    kernel::repair(socket.as_fd(), kernel::Repair::On)?;
    kernel::window(socket.as_fd())?;
    kernel::set_transparent(socket.as_fd(), AddressFamily::INET, true)?;
    match new(SocketType::RAW, Some(ipproto::RAW)) {
        Ok(_) => Ok(()),
        Err(Errno::PERM | Errno::ACCESS) => Err(CannotRepair::NoRawSocket),
        Err(error) => Err(io::Error::from(error).into()),
    }
}
