//! Descriptors over a socket pair that keeps the bounds of messages.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The most descriptors of one message: `SCM_MAX_FD` of Linux.
pub const MAX_DESCRIPTORS: usize = 253;
/// The most bytes of one message.
pub const MAX_MESSAGE: usize = 1024;

const CONTROL: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// A pair of sockets, closed by exec.
///
/// # Errors
/// When descriptors are exhausted.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message whole, or nothing of it.
///
/// # Errors
/// `WouldBlock` with [`SendFlags::DONTWAIT`], or when too many descriptors are on their way already;
/// `InvalidInput` for more than [`MAX_DESCRIPTORS`], more than [`MAX_MESSAGE`] bytes, or none;
/// `BrokenPipe` when the other end is gone.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    // no bytes would be the end to whoever receives it
    if bytes.is_empty() || bytes.len() > MAX_MESSAGE || descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags | SendFlags::NOSIGNAL)
        {
            Err(Errno::INTR) => {}
            Err(Errno::TOOMANYREFS) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// A message as it came.
#[derive(Debug)]
pub struct Message {
    bytes: [u8; MAX_MESSAGE],
    length: usize,
    /// Its descriptors, in order, closed by exec. With `cut` the last ones are missing.
    pub descriptors: Vec<OwnedFd>,
    /// Descriptors did not fit into this process: it has as many as it may.
    pub cut: bool,
    /// It is longer than any message may be: nonsense.
    pub too_long: bool,
}

impl Message {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Receives one message; none when the other end is gone.
///
/// # Errors
/// `WouldBlock` with [`RecvFlags::DONTWAIT`]; what else the kernel says.
pub fn receive(socket: BorrowedFd<'_>, flags: RecvFlags) -> io::Result<Option<Message>> {
    let mut bytes = [0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
    let got = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            // the latter once, if the other end was closed with messages of ours unread; what it said
            // before is still there
            Err(Errno::INTR | Errno::CONNRESET) => {}
            got => break got?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    Ok(Some(Message {
        bytes,
        length: got.bytes.min(MAX_MESSAGE),
        descriptors,
        cut: got.flags.contains(ReturnFlags::CTRUNC),
        too_long: got.bytes > MAX_MESSAGE || got.flags.contains(ReturnFlags::TRUNC),
    }))
}
