//! An address that moves between hosts with the connections on it.

use crate::checksum::checksum;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Messages and flags of linux/rtnetlink.h and linux/netlink.h.
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLMSG_ERROR: u16 = 2;
const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const CREATE_OR_REPLACE: u16 = 0x500;
const RTA_DST: u16 = 1;
const RTN_LOCAL: u8 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// No search for another host that has it: it has just been taken from one, and would be of no use for a second.
const IFA_F_NODAD: u8 = 0x02;
/// Lengths of a message's head, and of that of a way's with it; and where this has the kind of way.
const HEAD: usize = 16;
const ROUTE_HEAD: usize = 28;
const ROUTE_TYPE_AT: usize = 23;
/// How long the kernel may take to make a way: it waits for nothing but its turn.
const LIMIT: Duration = Duration::from_secs(2);

const ETHERNET: usize = 6;
type Hardware = [u8; ETHERNET];

/// A service address of one interface: added, announced to the neighbours, removed.
///
/// It is added as an address of one host (/32 or /128), so it takes no network with it. What takes the kernel long is done
/// when this is made, so that little is left to do between removing it here and announcing it there. Needs CAP_NET_ADMIN
/// and CAP_NET_RAW in the user namespace that owns the network.
#[derive(Debug)]
pub struct ServiceAddress {
    address: IpAddr,
    interface: u32,
    hardware: Hardware,
    routes: OwnedFd,
    frames: OwnedFd,
}

impl ServiceAddress {
    /// The address, to be had on an interface of this name. Nothing is added yet.
    ///
    /// # Errors
    /// When there is no such interface, it is no Ethernet, or this process may not.
    pub fn new(address: IpAddr, interface: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let frames = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let interface = rustix::net::netdevice::name_to_index(&frames, interface)?;
        let hardware = bind_to(frames.as_fd(), interface)?;
        Ok(Self { address: address.to_canonical(), interface, hardware, routes: routes()?, frames })
    }

    /// Which it is.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Adds it, if it is not there. Nobody is told: neighbours that ask are answered from now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add(&self) -> io::Result<()> {
        self.ask(RTM_NEWADDR, CREATE_OR_REPLACE)?;
        // of IPv6 the kernel makes the way to it a little later
        let begun = Instant::now();
        while !is_local(self.routes.as_fd(), self.address)? {
            if begun.elapsed() > LIMIT {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Removes it, if it is there. What comes for it is dropped from now on, unless the host forwards packets.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(&self) -> io::Result<()> {
        match self.ask(RTM_DELADDR, 0) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL) => Ok(()),
            done => done,
        }
    }

    /// Tells all neighbours that the address is here: by gratuitous ARP (RFC 5227 §3), or by an unsolicited neighbour
    /// advertisement (RFC 4861 §7.2.6).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn announce(&self) -> io::Result<()> {
        let frame = match self.address {
            IpAddr::V4(v4) => gratuitous_arp(self.hardware, v4),
            IpAddr::V6(v6) => advertisement(self.hardware, v6),
        };
        rustix::net::send(&self.frames, &frame, SendFlags::empty())?;
        Ok(())
    }

    fn ask(&self, message: u16, flags: u16) -> io::Result<()> {
        let (family, octets) = octets(self.address);
        let duplicates = if self.address.is_ipv6() { IFA_F_NODAD } else { 0 };
        let mut body = vec![family, octets.len() as u8 * 8, duplicates, 0];
        body.extend(self.interface.to_ne_bytes());
        attribute(&mut body, IFA_LOCAL, &octets);
        attribute(&mut body, IFA_ADDRESS, &octets);
        let answer = exchange(self.routes.as_fd(), message, REQUEST | ACKNOWLEDGE | flags, &body)?;
        let error = answer.get(HEAD..HEAD + 4).and_then(|four| four.try_into().ok());
        match i32::from_ne_bytes(error.ok_or(io::ErrorKind::InvalidData)?) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }
}

/// Whether what comes for the address is this host's, by the kernel's own table of ways. (Taking a port of it would tell
/// nothing where `ip_nonlocal_bind` is set, and an address of IPv6 may be there before the way to it.)
pub(crate) fn is_here(address: IpAddr) -> io::Result<bool> {
    is_local(routes()?.as_fd(), address)
}

fn routes() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?)
}

fn is_local(routes: BorrowedFd<'_>, address: IpAddr) -> io::Result<bool> {
    let (family, octets) = octets(address);
    let mut body = vec![family, octets.len() as u8 * 8];
    body.resize(ROUTE_HEAD - HEAD, 0);
    attribute(&mut body, RTA_DST, &octets);
    let answer = exchange(routes, RTM_GETROUTE, REQUEST, &body)?;
    match kind(&answer) {
        Some(RTM_NEWROUTE) => Ok(answer.get(ROUTE_TYPE_AT) == Some(&RTN_LOCAL)),
        // no way at all
        Some(NLMSG_ERROR) => Ok(false),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (libc::AF_INET as u8, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6 as u8, v6.octets().to_vec()),
    }
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
}

/// Asks the kernel, and gives its answer.
fn exchange(routes: BorrowedFd<'_>, message: u16, flags: u16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend(((HEAD + body.len()) as u32).to_ne_bytes());
    bytes.extend(message.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // number of the message, and nobody's port: the kernel answers the socket
    bytes.extend([0; 8]);
    bytes.extend(body);
    rustix::net::send(routes, &bytes, SendFlags::empty())?;
    let mut answer = vec![0; 4096];
    let (count, _) = rustix::net::recv(routes, &mut answer, RecvFlags::empty())?;
    answer.truncate(count);
    Ok(answer)
}

/// Which message an answer is.
fn kind(answer: &[u8]) -> Option<u16> {
    answer.get(4..6).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes)
}

/// A request and no answer: an answer to everybody is not taken for a gratuitous one, and neighbours that have just
/// heard of the old host do not believe it for a second.
fn gratuitous_arp(hardware: Hardware, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = frame([0xFF; ETHERNET], hardware, 0x0806);
    // Ethernet and IPv4, their lengths, a request
    frame.extend([0, 1, 8, 0, ETHERNET as u8, 4, 0, 1]);
    frame.extend(hardware);
    frame.extend(address.octets());
    frame.extend([0; ETHERNET]);
    frame.extend(address.octets());
    frame
}

fn advertisement(hardware: Hardware, address: Ipv6Addr) -> Vec<u8> {
    let everybody = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
    // advertisement, which overrides what was known, of the address; and an option with the hardware's
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(hardware);
    let length = message.len() as u8;
    let (from, to) = (address.octets(), everybody.octets());
    let sum = checksum(&[&from, &to, &[0, length, 0, 58], &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = frame([0x33, 0x33, 0, 0, 0, 1], hardware, 0x86DD);
    // ICMPv6, and as many hops as nothing from outside the network has
    frame.extend([0x60, 0, 0, 0, 0, length, 58, 255]);
    frame.extend(from);
    frame.extend(to);
    frame.extend(message);
    frame
}

fn frame(to: Hardware, from: Hardware, kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(to);
    frame.extend(from);
    frame.extend(kind.to_be_bytes());
    frame
}

/// Binds a socket of frames to an interface, from which it receives nothing, and gives the interface's own address.
fn bind_to(frames: BorrowedFd<'_>, interface: u32) -> io::Result<Hardware> {
    let mut address = MaybeUninit::<libc::sockaddr_ll>::zeroed();
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: all fields are integers, for which zeros are values.
    let bound = unsafe { address.assume_init_mut() };
    bound.sll_family = libc::AF_PACKET as u16;
    bound.sll_ifindex = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: pointer and length describe `address`, which the first call only reads and the second fills at most
    // so far; every content is a value of it.
    let (done, address) = unsafe {
        let done = libc::bind(frames.as_raw_fd(), address.as_ptr().cast(), length) == 0
            && libc::getsockname(frames.as_raw_fd(), address.as_mut_ptr().cast(), &raw mut length) == 0;
        (done, address.assume_init())
    };
    if !done {
        return Err(io::Error::last_os_error());
    }
    match (address.sll_hatype, address.sll_addr) {
        (libc::ARPHRD_ETHER, [a, b, c, d, e, f, ..]) => Ok([a, b, c, d, e, f]),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
