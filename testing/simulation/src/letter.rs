//! What hosts send each other.

use crate::records::{Change, Records};
use crate::tables::Tables;
use crate::world::Inbox;
use std::any::Any;
use std::fmt;
use symbolon_store::StoreError;
use symbolon_wire::Time;

/// An answer whose kind the asker knows.
pub(crate) type Answer = Box<dyn Any + Send>;
/// What a store does for whoever asks.
pub(crate) type Call<T> = Box<dyn FnOnce(&mut T) -> Answer + Send>;

/// One letter.
pub(crate) enum Letter {
    /// To the hot store.
    Hot { call: Call<Tables>, what: &'static str, writes: bool, reply: Inbox },
    /// To the durable records.
    Durable { call: Call<Records>, what: &'static str, reply: Inbox },
    /// From either.
    Answer(Result<Answer, StoreError>),
    /// From the primary to its replica.
    Copy { term: u64, version: u64, tables: Box<Tables> },
    /// Back.
    Copied { term: u64, version: u64 },
    /// The replica is the primary now.
    Promote { term: u64 },
    /// A client, or whoever recorded one, begins a connection: the box to talk to it, and the one in which it hears.
    Connect { first: Frame, from_node: Inbox, to_node: Inbox },
    /// On a connection, either way.
    Frame(Frame),
    /// Within a node: look at the session of this connection again.
    Look,
    /// From the administrator to a node.
    Order { change: Change, reply: Inbox },
    /// The order is in force.
    Done,
}

/// What travels between client and node.
#[derive(Clone)]
pub(crate) enum Frame {
    SignIn(SignIn),
    Second {
        session: [u8; 16],
        random: [u8; 32],
    },
    Attach(Vec<u8>),
    Attached(Vec<u8>),
    StreamOpen(Vec<u8>),
    StreamReply(Vec<u8>),
    Wrapped(Vec<u8>),
    /// The node does not do it. True when the session is over.
    Refused {
        over: bool,
    },
}

/// The first message of a context as far as the simulator has contexts: see `docs/simulation.md`.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) user: u8,
    /// For which start of which node: context keys die with the process.
    pub(crate) key: u64,
    pub(crate) random: [u8; 32],
    pub(crate) time: Time,
    pub(crate) credential: Credential,
}

/// Who is there.
#[derive(Clone)]
pub(crate) enum Credential {
    /// A registered token: its number, and a MAC with its key.
    Token { registration: u32, mac: [u8; 32] },
    /// A session ticket of room C.
    Ticket(Vec<u8>),
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hot { what, .. } => write!(f, "hot {what}"),
            Self::Durable { what, .. } => write!(f, "durable {what}"),
            Self::Answer(Ok(_)) => write!(f, "answer"),
            Self::Answer(Err(e)) => write!(f, "answer: {e}"),
            Self::Copy { term, version, .. } => write!(f, "copy {term}.{version}"),
            Self::Copied { term, version } => write!(f, "copied {term}.{version}"),
            Self::Promote { term } => write!(f, "promote to {term}"),
            Self::Connect { first, to_node, .. } => write!(f, "connect ({to_node}) {first:?}"),
            Self::Frame(frame) => write!(f, "{frame:?}"),
            Self::Look => write!(f, "look"),
            Self::Order { change, .. } => write!(f, "order {change:?}"),
            Self::Done => write!(f, "done"),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |f: &mut fmt::Formatter<'_>, name: &str, body: &[u8]| {
            write!(f, "{name} {} bytes, ends ", body.len())?;
            body[body.len().saturating_sub(4)..].iter().try_for_each(|b| write!(f, "{b:02x}"))
        };
        match self {
            Self::SignIn(s) => {
                let with = match s.credential {
                    Credential::Token { .. } => "token",
                    Credential::Ticket(_) => "ticket",
                };
                write!(f, "sign-in of user {} by {with}", s.user)
            }
            Self::Second { .. } => write!(f, "second message"),
            Self::Attach(body) => bytes(f, "attach", body),
            Self::Attached(body) => bytes(f, "attached", body),
            Self::StreamOpen(body) => bytes(f, "stream open", body),
            Self::StreamReply(body) => bytes(f, "stream reply", body),
            Self::Wrapped(body) => bytes(f, "wrapped", body),
            Self::Refused { over } => write!(f, "refused{}", if *over { ", session over" } else { "" }),
        }
    }
}
