//! Why a connection is not carried on. In each case both sockets are reset: never a wrong byte.

/// Why a ledger was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Nothing was ever committed, or the memory was damaged. No kill does that to a ledger that was
    /// committed once: the index is stored last.
    #[error("the ledger is damaged or was never begun")]
    Damaged,
    /// Another version of the program wrote it; the connection is not lost, but another's to carry.
    #[error("the ledger has layout {0}, which this program does not know")]
    UnknownLayout(u16),
    /// The sealed keys do not open under this family's key.
    #[error("the keys in the ledger do not open")]
    Keys,
}

/// Why what the kernel counted and what the ledger says cannot be brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The client's connection is over.
    #[error("the client is gone")]
    ClientGone,
    /// The application's connection is over.
    #[error("the application is gone")]
    ApplicationGone,
    /// The client was sent bytes that were never meant, or fewer than were committed.
    #[error("the client was sent {sent} bytes where at most {meant} were meant")]
    ClientCount {
        /// What the kernel took since the last finished record.
        sent: i64,
        /// The length of the record in hand.
        meant: u64,
    },
    /// The application was sent more than the record in hand contains.
    #[error("the application was sent {sent} bytes of a record of {meant}")]
    ApplicationCount {
        /// What the kernel took since the last finished record.
        sent: i64,
        /// The length of the record's content.
        meant: u64,
    },
    /// More was read than the ring of that side holds, or less than was passed on.
    #[error("a ring would hold {held} bytes of at most {room}")]
    RingOverrun {
        /// What the ring would hold.
        held: i64,
        /// What it can hold.
        room: usize,
    },
    /// The record of which a part was passed on does not open any more.
    #[error("a record that was opened before does not open again")]
    Unreadable,
    /// A record could not be made again.
    #[error("a record that was sealed before cannot be sealed again")]
    Unsealable,
}
