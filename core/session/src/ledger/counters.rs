//! What the kernel knows of a socket, whoever used it.

/// How a socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is open in at least one direction.
    Live,
    /// Both ends have ended what they send, as far as can be told.
    Over,
    /// It was reset or timed out.
    Failed,
}

/// How many bytes were ever written to and read from a socket, ends not counted. Only differences
/// mean something: some kinds of sockets begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that the kernel took from us.
    pub written: u64,
    /// Bytes that the kernel gave us.
    pub read: u64,
    /// How it stands.
    pub standing: Standing,
}

/// What Linux says of a TCP socket: `TCP_INFO` (its fields), `SIOCOUTQ`, `SIOCINQ`. All of one moment,
/// and read with `SO_OOBINLINE` set: else an urgent byte counts as read and stands nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCounters {
    /// `tcpi_state`.
    pub state: u8,
    /// `tcpi_bytes_acked`: what the peer has acknowledged; our own end counts as one byte.
    pub bytes_acked: u64,
    /// `SIOCOUTQ`: what was written and is not acknowledged; our own end counts as one byte.
    pub unacknowledged: u64,
    /// `tcpi_bytes_received`: what came in order; the peer's end counts as one byte.
    pub bytes_received: u64,
    /// `SIOCINQ`: what can be read; the peer's end does not count.
    pub unread: u64,
    /// Whether an error is pending (`POLLERR`).
    pub error: bool,
}

// The states of Linux, include/net/tcp_states.h.
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

impl TcpCounters {
    /// The bytes alone.
    ///
    /// In state CLOSE it cannot be told whether the ends were exchanged or the connection was reset and
    /// somebody took note of it. The former is assumed; [`Adoption`](super::Adoption) makes nothing of
    /// it that would matter for bytes still to be written.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let own_end = matches!(self.state, FIN_WAIT1 | FIN_WAIT2 | TIME_WAIT | CLOSE | LAST_ACK | CLOSING);
        let peer_end = matches!(self.state, TIME_WAIT | CLOSE | CLOSE_WAIT | LAST_ACK | CLOSING);
        Counters {
            written: (self.bytes_acked + self.unacknowledged).wrapping_sub(u64::from(own_end)),
            read: self.bytes_received.wrapping_sub(self.unread).wrapping_sub(u64::from(peer_end)),
            standing: match self.state {
                _ if self.error => Standing::Failed,
                CLOSE => Standing::Over,
                _ => Standing::Live,
            },
        }
    }
}
