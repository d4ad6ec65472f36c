//! What things are called.

use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// An id of 16 random bytes that prints as hexadecimal digits.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.fixed(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
                r.fixed().map(Self)
            }
        }
    };
}

id!(
    /// A session, named by whoever accepted its context. It is no secret: it only says which
    /// secret is meant.
    SessionId
);
id!(
    /// A node that carries sessions.
    NodeId
);
id!(
    /// The user or device whose session it is.
    UserId
);
id!(
    /// The registration of the token that opened the session.
    RegistrationId
);
id!(
    /// A connection whose ledger lets another process carry it on.
    ConnectionId
);

/// Counts who carries a session: it grows each time a connection takes the session over, and what
/// belongs to a smaller one has no effect any more (the fencing number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the connection on which the context was opened.
    pub const FIRST: Self = Self(1);

    /// The one after this, unless this is the last of all.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for Epoch {
    fn encode(&self, w: &mut Writer) {
        w.u64(self.0);
    }
}

impl Decode for Epoch {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.u64().map(Self)
    }
}
