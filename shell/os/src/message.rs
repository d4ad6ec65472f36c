//! What holder and workers say to each other. One message, one packet; numbers are big-endian.

use crate::HeldId;
use symbolon_wire::{Reader, WireError, Writer};

/// The most connections of one [`ToWorker::Carry`], each with three descriptors and twelve bytes.
pub(crate) const MAX_CARRIED: usize = crate::pass::MAX_DESCRIPTORS / 3;

/// Why a worker does not carry a connection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unable {
    /// Its ledger has a layout that this worker's program does not know.
    Layout,
    /// The worker has as many descriptors, or as much memory, as it may.
    Exhausted,
}

/// A worker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToHolder {
    /// It can carry connections.
    Ready,
    /// Hold this connection under a name of the worker's own: with descriptors of client, application and
    /// memory file.
    Hold { id: HeldId },
    /// The connection has come to its end.
    Release { id: HeldId },
    /// The connection that was handed over is carried on.
    Carried { id: HeldId },
    /// The connection that was handed over is another's to carry.
    Unable { id: HeldId, why: Unable },
}

/// The holder speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToWorker {
    /// The first: the worker's number, with descriptors of the family's key, of the words that say what is
    /// in hand, of the socket to the relay, and of the listening sockets.
    Begin { worker: u32 },
    /// Carry these on: how often the worker of each died, with descriptors of client, application and
    /// memory file of each.
    Carry(Vec<(HeldId, u32)>),
    /// The connection is not held; carry it without a net or not at all.
    NotHeld { id: HeldId },
    /// Stop: at the next step, and others carry on; or, if the whole family ends, in order.
    Stop { last: bool },
    /// Read the configuration again.
    Reload,
    /// Lead: accept, and carry what is there. How many did before.
    Lead { before: u64 },
    /// The first to a relay: with the descriptor on which it is asked.
    Relay,
}

impl ToHolder {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Ready => w.u8(1),
            Self::Hold { id } => {
                w.u8(2);
                w.u64(id.0);
            }
            Self::Release { id } => {
                w.u8(3);
                w.u64(id.0);
            }
            Self::Carried { id } => {
                w.u8(4);
                w.u64(id.0);
            }
            Self::Unable { id, why } => {
                w.u8(if why == Unable::Layout { 5 } else { 6 });
                w.u64(id.0);
            }
        }
        w.into_bytes()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            1 => Self::Ready,
            2 => Self::Hold { id: HeldId(r.u64()?) },
            3 => Self::Release { id: HeldId(r.u64()?) },
            4 => Self::Carried { id: HeldId(r.u64()?) },
            5 => Self::Unable { id: HeldId(r.u64()?), why: Unable::Layout },
            6 => Self::Unable { id: HeldId(r.u64()?), why: Unable::Exhausted },
            _ => return Err(WireError::BadValue("kind of message")),
        };
        r.finish()?;
        Ok(message)
    }
}

impl ToWorker {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Begin { worker } => {
                w.u8(1);
                w.u32(*worker);
            }
            Self::Carry(connections) => {
                w.u8(2);
                for (id, deaths) in connections {
                    w.u64(id.0);
                    w.u32(*deaths);
                }
            }
            Self::NotHeld { id } => {
                w.u8(3);
                w.u64(id.0);
            }
            Self::Stop { last } => {
                w.u8(4);
                w.flag(*last);
            }
            Self::Reload => w.u8(5),
            Self::Lead { before } => {
                w.u8(6);
                w.u64(*before);
            }
            Self::Relay => w.u8(7),
        }
        w.into_bytes()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            1 => Self::Begin { worker: r.u32()? },
            2 => {
                let mut connections = Vec::new();
                while !r.rest().is_empty() {
                    connections.push((HeldId(r.u64()?), r.u32()?));
                }
                Self::Carry(connections)
            }
            3 => Self::NotHeld { id: HeldId(r.u64()?) },
            4 => Self::Stop { last: r.flag()? },
            5 => Self::Reload,
            6 => Self::Lead { before: r.u64()? },
            7 => Self::Relay,
            _ => return Err(WireError::BadValue("kind of message")),
        };
        r.finish()?;
        Ok(message)
    }
}
