//! Where things are in a memory file. The unit is a word of 64 bits, as the machine has it: the file
//! never leaves it.

use super::{LedgerError, checksum};
use crate::ConnectionId;

/// The layout that this program writes. A program goes on in the layout that it finds, and refuses
/// what it does not know, so that old and new programs live side by side.
pub const LAYOUT: u16 = 1;

/// Bytes of the ledger, from the beginning of the file.
pub const LEDGER_BYTES: usize = 8 * (SEALED + 2 * SEALED_WORDS);

/// Where the client's ring begins in the file, in bytes: a boundary of the largest pages in use
/// (64 KiB). The application's ring follows it.
pub const RINGS_AT: usize = 1 << 16;

/// Where the word stands, in bytes, that changes with each commit, in every layout. Who only wants to
/// know whether a connection goes forward (the holder) compares it, and understands no more.
pub const STAMP_AT: usize = 8 * INDEX;

/// Words of a header.
const HEADER_WORDS: usize = 4;
/// The word that says which slot counts.
pub(super) const INDEX: usize = 4;
/// The first slot.
const SLOTS: usize = 8;
/// Words of a slot.
pub(super) const SLOT_WORDS: usize = 16;
/// The first place for sealed keys.
const SEALED: usize = SLOTS + 2 * SLOT_WORDS;
/// Words of a place for sealed keys.
pub(super) const SEALED_WORDS: usize = 40;

/// "SYML", so that another file is not taken for a ledger.
const MAGIC: u32 = 0x5359_4D4C;
/// The smallest ring: 64 bytes, for tests.
const MIN_RING: u8 = 6;
/// The largest ring: 16 MiB.
const MAX_RING: u8 = 24;

/// The first word of the slot of a generation.
pub(super) const fn slot(generation: u64) -> usize {
    SLOTS + (generation & 1) as usize * SLOT_WORDS
}

/// The first word of a place for sealed keys, of which there are two.
pub(super) const fn sealed(place: u8) -> usize {
    SEALED + (place & 1) as usize * SEALED_WORDS
}

/// What a memory file says once and for all: which connection it belongs to, how large its rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Whose ledger it is.
    pub connection: ConnectionId,
    client_ring: u8,
    application_ring: u8,
}

impl Geometry {
    /// Rings of `client_ring` and `application_ring` bytes. A ring must hold two of the longest
    /// records. None if one is no power of two between 64 bytes and 16 MiB.
    #[must_use]
    pub fn new(connection: ConnectionId, client_ring: usize, application_ring: usize) -> Option<Self> {
        let exponent = |size: usize| {
            let exponent = size.trailing_zeros() as u8;
            (size.is_power_of_two() && (MIN_RING..=MAX_RING).contains(&exponent)).then_some(exponent)
        };
        Some(Self {
            connection,
            client_ring: exponent(client_ring)?,
            application_ring: exponent(application_ring)?,
        })
    }

    /// Bytes of the ring of what the client sent.
    #[must_use]
    pub const fn client_ring(&self) -> usize {
        1 << self.client_ring
    }

    /// Bytes of the ring of what the application sent.
    #[must_use]
    pub const fn application_ring(&self) -> usize {
        1 << self.application_ring
    }

    /// Bytes of the whole memory file.
    #[must_use]
    pub const fn file_size(&self) -> usize {
        RINGS_AT + self.client_ring() + self.application_ring()
    }

    pub(super) fn to_words(self) -> [u64; HEADER_WORDS] {
        let id = u128::from_le_bytes(self.connection.0);
        let first = u64::from(MAGIC)
            | u64::from(LAYOUT) << 32
            | u64::from(self.client_ring) << 48
            | u64::from(self.application_ring) << 56;
        let words = [first, id as u64, (id >> 64) as u64];
        [words[0], words[1], words[2], checksum::of_words(&words)]
    }

    pub(super) fn from_words(words: [u64; HEADER_WORDS]) -> Result<Self, LedgerError> {
        let [first, low, high, sum] = words;
        if first as u32 != MAGIC || sum != checksum::of_words(&words[..3]) {
            return Err(LedgerError::Damaged);
        }
        match (first >> 32) as u16 {
            LAYOUT => {}
            other => return Err(LedgerError::UnknownLayout(other)),
        }
        let (client_ring, application_ring) = ((first >> 48) as u8, (first >> 56) as u8);
        let known = MIN_RING..=MAX_RING;
        if !known.contains(&client_ring) || !known.contains(&application_ring) {
            return Err(LedgerError::Damaged);
        }
        let id = u128::from(low) | u128::from(high) << 64;
        Ok(Self { connection: ConnectionId(id.to_le_bytes()), client_ring, application_ring })
    }
}
