//! What the peer has said to the old host, told to the new one again as the segment that said so (RFC 9293 §3.1): that it has
//! ended, for no call puts an end into a receive queue; and how far it has acknowledged.

use super::RestoreError;
use crate::checksum::checksum;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};
use std::net::{IpAddr, SocketAddr};

const FIN: u8 = 0x01;
const ACK: u8 = 0x10;
/// The protocol's number, in headers and in the checksum.
const TCP: u8 = 6;
/// Lengths of the header, which is all, and of the option with timestamps (RFC 7323 §3.2) in it.
const HEADER: u8 = 20;
const TIMESTAMPS: [u8; 4] = [1, 1, 8, 10];
const TIMESTAMPS_LENGTH: u8 = 12;

/// A segment of the peer without data. Its timestamp echoes one of ours at most: what the peer's clock says is not
/// known, so it says nothing of it that the socket would keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) number: u32,
    pub(super) acknowledged: u32,
    /// In units of the peer's scale.
    pub(super) window: u16,
    /// Whether the peer ended what it sends.
    pub(super) end: bool,
    /// Which of our timestamps it answers.
    pub(super) echo: Option<u32>,
}

impl Segment {
    /// Sends it to this host, which must have the address.
    pub(super) fn send(self) -> Result<(), RestoreError> {
        let family = if self.to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC;
        // with this protocol the packet has its header already
        let socket = rustix::net::socket_with(family, SocketType::RAW, flags, Some(ipproto::RAW))?;
        // raw sockets have no port, and of IPv6 refuse one
        let to = SocketAddr::new(self.to.ip(), 0);
        rustix::net::sendto(&socket, &self.packet(), SendFlags::empty(), &to)?;
        Ok(())
    }

    fn packet(self) -> Vec<u8> {
        let length = HEADER + self.echo.map_or(0, |_| TIMESTAMPS_LENGTH);
        let mut tcp = Vec::with_capacity(length.into());
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(self.number.to_be_bytes());
        tcp.extend(self.acknowledged.to_be_bytes());
        tcp.extend([(length / 4) << 4, ACK | if self.end { FIN } else { 0 }]);
        tcp.extend(self.window.to_be_bytes());
        // checksum, and no urgent byte
        tcp.extend([0; 4]);
        if let Some(echo) = self.echo {
            tcp.extend(TIMESTAMPS);
            tcp.extend([0; 4]);
            tcp.extend(echo.to_be_bytes());
        }
        let (mut packet, addresses) = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let addresses = [from.octets(), to.octets()].concat();
                // the kernel fills in identification and checksum
                let mut header = vec![0x45, 0, 0, 20 + length, 0, 0, 0, 0, 64, TCP, 0, 0];
                header.extend(&addresses);
                (header, addresses)
            }
            (from, to) => {
                let octets = |ip| match ip {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    IpAddr::V6(v6) => v6.octets(),
                };
                let addresses = [octets(from), octets(to)].concat();
                let mut header = vec![0x60, 0, 0, 0, 0, length, TCP, 64];
                header.extend(&addresses);
                (header, addresses)
            }
        };
        let sum = checksum(&[&addresses, &[0, TCP, 0, length], &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        packet.extend(tcp);
        packet
    }
}
