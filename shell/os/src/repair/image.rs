//! All that makes up a TCP connection of ours, as a value and as bytes.

use super::kernel::{Negotiated, Window};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use symbolon_crypto::SecretBytes;
use symbolon_wire::{Reader, WireError, Writer};

/// The most bytes of one queue: twice the largest buffer that kernels are usually told to allow.
pub const MAX_QUEUE: usize = 64 << 20;
/// The most bytes of a buffer, which counts the kernel's own records of them too.
pub(super) const MAX_BUFFER: u32 = 4 * MAX_QUEUE as u32;
/// Bounds of keepalive, of which the kernel takes no more: seconds, and probes.
const MAX_KEEP_SECONDS: u16 = 32_767;
const MAX_KEEP_COUNT: u8 = 127;
/// The longest way that is believed, in µs: a minute.
pub(super) const MAX_ROUND_TRIP: u32 = 60_000_000;
/// The largest window scale, RFC 7323 §2.3.
const MAX_SCALE: u8 = 14;

/// The first bytes, and the version behind them.
const MAGIC: [u8; 4] = *b"SYMT";
const VERSION: u8 = 1;
/// The most bytes before the queues.
const MAX_HEAD: usize = 128;

/// A TCP connection of ours, taken from one host to be restored on another.
///
/// Its queues are what was sent and what came: of a client ciphertext, but of an application plaintext. They are
/// wiped when it is dropped, and never printed.
#[derive(PartialEq, Eq)]
pub struct TcpImage {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) ended: Ended,
    pub(super) sending: Sending,
    pub(super) receiving: Receiving,
    pub(super) window: Window,
    pub(super) negotiated: Negotiated,
    /// The clock of timestamps, where they were negotiated.
    pub(super) timestamp: u32,
    /// How long the way to the peer and back is, in µs.
    pub(super) round_trip: u32,
    pub(super) buffers: Buffers,
    pub(super) conduct: Conduct,
}

/// Who has said that nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) by_us: bool,
    pub(super) by_peer: bool,
}

#[derive(PartialEq, Eq)]
pub(super) struct Sending {
    /// The number behind the last byte, our end not counted.
    pub(super) next: u32,
    /// What is not acknowledged.
    pub(super) queue: SecretBytes,
    /// How much of it, at its end, was never sent.
    pub(super) unsent: u32,
}

#[derive(PartialEq, Eq)]
pub(super) struct Receiving {
    /// The number behind the last byte, the peer's end not counted.
    pub(super) next: u32,
    /// What was not read.
    pub(super) queue: SecretBytes,
}

/// Sizes of the kernel's buffers in bytes, and which of them are not tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buffers {
    pub(super) send: u32,
    pub(super) receive: u32,
    pub(super) fixed: u8,
}

/// How the socket behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conduct {
    pub(super) nodelay: bool,
    pub(super) keepalive: bool,
    pub(super) keep_idle: u16,
    pub(super) keep_interval: u16,
    pub(super) keep_count: u8,
    /// Milliseconds, 0 for the kernel's own.
    pub(super) user_timeout: u32,
}

impl TcpImage {
    /// Our address, which moves with it.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whose connection it is.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// How many bytes were written and not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.sending.queue.expose().len()
    }

    /// How many bytes came and were not read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.receiving.queue.expose().len()
    }

    /// Whether we have ended what we send, and whether the peer has.
    #[must_use]
    pub const fn ended(&self) -> (bool, bool) {
        (self.ended.by_us, self.ended.by_peer)
    }

    /// Its one encoding, at most 2 × [`MAX_QUEUE`] + 128 bytes: to be sealed by whoever sends it.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes {
        SecretBytes::written(MAX_HEAD + self.unacknowledged() + self.unread(), |w| self.encode(w))
    }

    fn encode(&self, w: &mut Writer) {
        w.fixed(&MAGIC);
        w.u8(VERSION);
        encode_address(w, self.local);
        encode_address(w, self.peer);
        w.flag(self.ended.by_us);
        w.flag(self.ended.by_peer);
        let Window { changed_by, peers, peers_largest, ours, ours_from } = self.window;
        for word in [changed_by, peers, peers_largest, ours, ours_from] {
            w.u32(word);
        }
        w.u16(self.negotiated.mss);
        w.flag(self.negotiated.scales.is_some());
        if let Some((peers, ours)) = self.negotiated.scales {
            w.u8(peers);
            w.u8(ours);
        }
        w.flag(self.negotiated.sack);
        w.flag(self.negotiated.timestamps);
        w.u32(self.timestamp);
        w.u32(self.round_trip);
        w.u32(self.buffers.send);
        w.u32(self.buffers.receive);
        w.u8(self.buffers.fixed);
        w.flag(self.conduct.nodelay);
        w.flag(self.conduct.keepalive);
        w.u16(self.conduct.keep_idle);
        w.u16(self.conduct.keep_interval);
        w.u8(self.conduct.keep_count);
        w.u32(self.conduct.user_timeout);
        w.u32(self.sending.next);
        w.u32(self.sending.unsent);
        encode_queue(w, &self.sending.queue);
        w.u32(self.receiving.next);
        encode_queue(w, &self.receiving.queue);
    }

    /// Reads what [`TcpImage::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`WireError`] when it is no image of a connection.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        if r.fixed()? != MAGIC {
            return Err(WireError::BadValue("mark of a connection's image"));
        }
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let (local, peer) = (decode_address(&mut r)?, decode_address(&mut r)?);
        demand(local.is_ipv4() == peer.is_ipv4(), "families of addresses")?;
        let ended = Ended { by_us: r.flag()?, by_peer: r.flag()? };
        let [changed_by, peers, peers_largest, ours, ours_from] =
            [r.u32()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?];
        let window = Window { changed_by, peers, peers_largest, ours, ours_from };
        // what a window may be, RFC 7323 §2.3
        let sane = [peers, peers_largest, ours].into_iter().all(|bytes| bytes <= 0xFFFF << MAX_SCALE);
        demand(sane && peers <= peers_largest, "window")?;
        let mss = r.u16()?;
        demand(mss > 0, "segment size")?;
        let scales = if r.flag()? { Some((r.u8()?, r.u8()?)) } else { None };
        demand(scales.is_none_or(|(peers, ours)| peers <= MAX_SCALE && ours <= MAX_SCALE), "window scale")?;
        let negotiated = Negotiated { mss, scales, sack: r.flag()?, timestamps: r.flag()? };
        let timestamp = r.u32()?;
        demand(negotiated.timestamps || timestamp == 0, "timestamp")?;
        let round_trip = r.u32()?;
        demand(round_trip <= MAX_ROUND_TRIP, "round trip")?;
        let buffers = Buffers { send: r.u32()?, receive: r.u32()?, fixed: r.u8()? };
        demand(buffers.send <= MAX_BUFFER && buffers.receive <= MAX_BUFFER && buffers.fixed <= 3, "buffers")?;
        let conduct = Conduct {
            nodelay: r.flag()?,
            keepalive: r.flag()?,
            keep_idle: r.u16()?,
            keep_interval: r.u16()?,
            keep_count: r.u8()?,
            user_timeout: r.u32()?,
        };
        let seconds = 1..=MAX_KEEP_SECONDS;
        demand(
            seconds.contains(&conduct.keep_idle)
                && seconds.contains(&conduct.keep_interval)
                && (1..=MAX_KEEP_COUNT).contains(&conduct.keep_count)
                && i32::try_from(conduct.user_timeout).is_ok(),
            "keepalive",
        )?;
        let (next, unsent) = (r.u32()?, r.u32()?);
        let sending = Sending { next, unsent, queue: decode_queue(&mut r)? };
        demand(unsent as usize <= sending.queue.expose().len(), "unsent bytes")?;
        let receiving = Receiving { next: r.u32()?, queue: decode_queue(&mut r)? };
        r.finish()?;
        Ok(Self {
            local,
            peer,
            ended,
            sending,
            receiving,
            window,
            negotiated,
            timestamp,
            round_trip,
            buffers,
            conduct,
        })
    }
}

impl std::fmt::Debug for TcpImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpImage")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .field("ended", &self.ended)
            .field("unacknowledged", &self.unacknowledged())
            .field("unsent", &self.sending.unsent)
            .field("unread", &self.unread())
            .finish_non_exhaustive()
    }
}

/// Whether a connection to or from this address means the same on another host.
pub(super) fn is_movable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local())
        }
        // one that is IPv4 in disguise is written as such
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some())
        }
    }
}

fn encode_address(w: &mut Writer, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(v4) => {
            w.u8(4);
            w.fixed(&v4.octets());
        }
        IpAddr::V6(v6) => {
            w.u8(6);
            w.fixed(&v6.octets());
        }
    }
    w.u16(address.port());
}

fn decode_address(r: &mut Reader<'_>) -> Result<SocketAddr, WireError> {
    let ip: IpAddr = match r.u8()? {
        4 => Ipv4Addr::from(r.fixed::<4>()?).into(),
        6 => Ipv6Addr::from(r.fixed::<16>()?).into(),
        _ => return Err(WireError::BadValue("family of an address")),
    };
    let port = r.u16()?;
    demand(is_movable(ip) && port != 0, "address")?;
    Ok(SocketAddr::new(ip, port))
}

fn encode_queue(w: &mut Writer, queue: &SecretBytes) {
    w.u32(u32::try_from(queue.expose().len()).expect("a queue has at most MAX_QUEUE bytes"));
    w.fixed(queue.expose());
}

fn decode_queue(r: &mut Reader<'_>) -> Result<SecretBytes, WireError> {
    let length = r.u32()? as usize;
    if length > MAX_QUEUE {
        return Err(WireError::TooLong("queue"));
    }
    Ok(SecretBytes::new(r.take(length)?.to_vec()))
}

fn demand(so: bool, what: &'static str) -> Result<(), WireError> {
    if so { Ok(()) } else { Err(WireError::BadValue(what)) }
}

#[cfg(test)]
mod tests;
