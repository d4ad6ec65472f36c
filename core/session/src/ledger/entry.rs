//! What one commit says: the state of both directions.

use super::layout::SLOT_WORDS;
use super::{CONDUCT, Intent, LAYOUT, LedgerError, checksum};

/// Towards the client: plaintext from the application's ring becomes records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToClient {
    /// The number of the record in hand, or of the next.
    pub number: u64,
    /// How often the sending keys were changed.
    pub keys: u32,
    /// The bytes of the application that are wholly sent: the tail of its ring.
    pub taken: u64,
    /// What the kernel had taken for the client before the record in hand.
    pub written: u64,
    /// The record in hand. From the commit that says it on, it is sent in exactly this shape.
    pub intent: Option<Intent>,
    /// Whether the last record was sent whole: an orderly end, or an alert.
    pub closed: bool,
}

/// Towards the application: records from the client's ring become plaintext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToApplication {
    /// The number of the next record.
    pub number: u64,
    /// How often the receiving keys were changed.
    pub keys: u32,
    /// The bytes of the client that are wholly passed on: the tail of its ring.
    pub taken: u64,
    /// What the kernel had taken for the application before the next record.
    pub written: u64,
    /// Whether and how the client has ended what it sends.
    pub end: ClientEnd,
}

/// How the client ended what it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientEnd {
    /// It did not.
    #[default]
    Open,
    /// By a close_notify.
    Orderly,
    /// Its TCP connection ended without one.
    Truncated,
}

/// What a client's end without close_notify means for the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// An ordinary end, as most programs take it.
    #[default]
    Passed,
    /// A reset, so that a part is not taken for the whole (RFC 8446 §6.1).
    Reset,
}

/// All that one commit says of a connection, but for the keys themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// How often the connection was taken over; grows with the first commit of each carrier.
    pub epoch: u32,
    /// Towards the client.
    pub to_client: ToClient,
    /// Towards the application.
    pub to_application: ToApplication,
    /// What the record layer remembers beside keys and numbers.
    pub conduct: [u8; CONDUCT],
    /// What an end without close_notify means.
    pub truncation: Truncation,
}

/// Where the sealed keys of an entry are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SealedAt {
    /// Which of the two places.
    pub(super) place: u8,
    /// How many bytes.
    pub(super) length: u16,
}

/// The words of a slot.
pub(super) type SlotWords = [u64; SLOT_WORDS];

const CLOSED: u64 = 1;
const RESET_WHEN_TRUNCATED: u64 = 2;
const CLIENT_ORDERLY: u64 = 4;
const CLIENT_TRUNCATED: u64 = 8;
const ALL_FLAGS: u64 = 15;
/// Where the conduct stands.
const CONDUCT_AT: std::ops::Range<usize> = 11..15;

impl Entry {
    pub(super) fn to_words(self, generation: u64, sealed: SealedAt) -> SlotWords {
        let (kind, detail) = match self.to_client.intent {
            None => (0, 0),
            Some(Intent::Data(length)) => (1, u64::from(length)),
            Some(Intent::KeyUpdate) => (2, 0),
            Some(Intent::CloseNotify) => (3, 0),
            Some(Intent::Alert(alert)) => (4, u64::from(alert)),
            Some(Intent::Warning(alert)) => (5, u64::from(alert)),
        };
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        let flags = flag(self.to_client.closed, CLOSED)
            | flag(self.truncation == Truncation::Reset, RESET_WHEN_TRUNCATED)
            | flag(self.to_application.end == ClientEnd::Orderly, CLIENT_ORDERLY)
            | flag(self.to_application.end == ClientEnd::Truncated, CLIENT_TRUNCATED);
        let mut words = [0; SLOT_WORDS];
        words[..CONDUCT_AT.start].copy_from_slice(&[
            generation,
            u64::from(LAYOUT) | u64::from(sealed.place) << 16 | u64::from(sealed.length) << 32,
            u64::from(self.epoch) | flags << 32,
            u64::from(self.to_client.keys) | u64::from(self.to_application.keys) << 32,
            kind | detail << 32,
            self.to_client.number,
            self.to_client.taken,
            self.to_client.written,
            self.to_application.number,
            self.to_application.taken,
            self.to_application.written,
        ]);
        for (word, bytes) in words[CONDUCT_AT].iter_mut().zip(self.conduct.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words[SLOT_WORDS - 1] = checksum::of_words(&words[..SLOT_WORDS - 1]);
        words
    }

    /// The entry of this generation.
    pub(super) fn from_words(
        words: &SlotWords,
        generation: u32,
    ) -> Result<(u64, Self, SealedAt), LedgerError> {
        let (said, sum) = (&words[..SLOT_WORDS - 1], words[SLOT_WORDS - 1]);
        if checksum::of_words(said) != sum || words[0] as u32 != generation {
            return Err(LedgerError::Damaged);
        }
        if words[1] as u16 != LAYOUT {
            return Err(LedgerError::UnknownLayout(words[1] as u16));
        }
        let (flags, detail) = (words[2] >> 32, (words[4] >> 32) as u32);
        let intent = match (words[4] as u32, detail) {
            (0, 0) => None,
            (1, 1..) => Some(Intent::Data(detail)),
            (2, 0) => Some(Intent::KeyUpdate),
            (3, 0) => Some(Intent::CloseNotify),
            (4, _) => Some(Intent::Alert(detail as u16)),
            (5, _) => Some(Intent::Warning(detail as u16)),
            _ => return Err(LedgerError::Damaged),
        };
        let end = match flags & (CLIENT_ORDERLY | CLIENT_TRUNCATED) {
            0 => ClientEnd::Open,
            CLIENT_ORDERLY => ClientEnd::Orderly,
            CLIENT_TRUNCATED => ClientEnd::Truncated,
            _ => return Err(LedgerError::Damaged),
        };
        if flags & !ALL_FLAGS != 0 {
            return Err(LedgerError::Damaged);
        }
        let mut conduct = [0; CONDUCT];
        for (word, bytes) in words[CONDUCT_AT].iter().zip(conduct.as_chunks_mut::<8>().0) {
            *bytes = word.to_le_bytes();
        }
        let entry = Self {
            epoch: words[2] as u32,
            to_client: ToClient {
                number: words[5],
                keys: words[3] as u32,
                taken: words[6],
                written: words[7],
                intent,
                closed: flags & CLOSED != 0,
            },
            to_application: ToApplication {
                number: words[8],
                keys: (words[3] >> 32) as u32,
                taken: words[9],
                written: words[10],
                end,
            },
            conduct,
            truncation: if flags & RESET_WHEN_TRUNCATED == 0 {
                Truncation::Passed
            } else {
                Truncation::Reset
            },
        };
        let sealed = SealedAt { place: (words[1] >> 16) as u8 & 1, length: (words[1] >> 32) as u16 };
        Ok((words[0], entry, sealed))
    }
}
