//! The ids under which records are kept: random bytes, each kind a type of its own.

/// Makes an id of `$n` bytes that prints as hexadecimal digits.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $n:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $n]);

        impl $name {
            pub(crate) fn column(self) -> Vec<u8> {
                self.0.to_vec()
            }
        }

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

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(s: &str) -> Result<Self, NotAnId> {
                let mut bytes = [0; $n];
                hex::decode_to_slice(s, &mut bytes).map_err(|_| NotAnId)?;
                Ok(Self(bytes))
            }
        }
    };
}

id!(
    /// A user record, drawn by the store.
    UserId, 16
);
id!(
    /// The registration of one token at this gateway, drawn by the store.
    RegistrationId, 16
);
id!(
    /// A live session, drawn by whoever opens it.
    SessionId, 16
);
id!(
    /// A node that owns sessions.
    NodeId, 16
);
id!(
    /// SHA-256 of an invitation code: the code itself is never stored.
    CodeHash, 32
);
id!(
    /// What must not be seen twice, hashed by the caller.
    ReplayKey, 32
);

/// The text is not the hexadecimal form of such an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_prints() {
        let id = UserId(*b"\x00\x01\xfe\xff567890123456");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("00".parse::<UserId>(), Err(NotAnId));
        assert_eq!("+0".repeat(16).parse::<UserId>(), Err(NotAnId));
    }
}
