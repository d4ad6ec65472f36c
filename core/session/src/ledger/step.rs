//! What a carrier asks of whoever drives it.

use super::Lost;

/// The input rings of a connection. Every window is contiguous, also over the ring's end (a shell
/// maps each ring twice, back to back).
pub trait Rings {
    /// `length` bytes of what the client sent, from the `position`th ever read from it.
    fn client(&self, position: u64, length: usize) -> &[u8];
    /// `length` bytes of what the application sent, from the `position`th ever read from it.
    fn application(&self, position: u64, length: usize) -> &[u8];
}

/// The next thing to do. Each is one system call, or one change of the ledger; after it the carrier is
/// told what came of it by the method that the step names, and asked for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call [`Carrier::commit`](super::Carrier::commit).
    Commit,
    /// Read from the client into its ring; tell by [`Carrier::read_client`](super::Carrier::read_client).
    ReadClient {
        /// Where in the ring, counted from the first byte ever read.
        position: u64,
        /// How many bytes at most.
        room: usize,
    },
    /// Read from the application into its ring; tell by
    /// [`Carrier::read_application`](super::Carrier::read_application).
    ReadApplication {
        /// Where in the ring, counted from the first byte ever read.
        position: u64,
        /// How many bytes at most.
        room: usize,
    },
    /// Write [`Carrier::for_client`](super::Carrier::for_client); tell by
    /// [`Carrier::wrote_client`](super::Carrier::wrote_client).
    WriteClient,
    /// Write [`Carrier::for_application`](super::Carrier::for_application); tell by
    /// [`Carrier::wrote_application`](super::Carrier::wrote_application).
    WriteApplication,
    /// Shut the client's socket for writing; tell by
    /// [`Carrier::ended_client`](super::Carrier::ended_client). May come again after an adoption.
    EndClient,
    /// Shut the application's socket for writing; tell by
    /// [`Carrier::ended_application`](super::Carrier::ended_application). May come again after an
    /// adoption.
    EndApplication,
    /// Nothing to do before one of these happens; tell by [`Carrier::ready`](super::Carrier::ready).
    Wait(Interest),
    /// It is over. Close both sockets, or reset what [`Ended`] says.
    Ended(Ended),
}

/// Which events are waited for, or happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// The client's socket can be read.
    pub client_readable: bool,
    /// The client's socket can be written.
    pub client_writable: bool,
    /// The application's socket can be read.
    pub application_readable: bool,
    /// The application's socket can be written.
    pub application_writable: bool,
}

/// How a connection came to its end. In all cases but the first the application's socket is reset, so
/// that it takes no part for the whole.
///
/// A client's socket that is not reset is closed only when the client has ended what it sends, or after
/// a while, and what it sends is read and dropped until then: the kernel resets a socket that is closed
/// with bytes unread, and the client would lose what it has not yet received, an alert among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Both sides ended what they send, and all of it arrived.
    Orderly,
    /// The client's connection failed; its socket is reset.
    ClientGone,
    /// The client ended its connection without ending its TLS session, and that is not to be passed as
    /// an end ([`Truncation::Reset`](super::Truncation)); its socket is reset.
    Truncated,
    /// The client ended the connection with this alert.
    ClientAlert(u16),
    /// We ended the connection with this alert, which the client got: a fault of the client, the
    /// application's failure, used up keys, or the wish of whoever drives the carrier.
    Alerted(u16),
    /// What a dead process left does not fit together; both sockets are reset.
    Lost(Lost),
}
