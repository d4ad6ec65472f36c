//! The ledger in its memory, and the commit.

use super::entry::SealedAt;
use super::layout::{self, INDEX, SEALED_WORDS, SLOT_WORDS};
use super::{Entry, Geometry, KeySeal, LedgerError, checksum};
use symbolon_crypto::SecretBytes;

/// The first [`LEDGER_BYTES`](super::LEDGER_BYTES) of a memory file, by words of 64 bits.
pub trait LedgerMemory {
    /// The word at `word`.
    fn load(&self, word: usize) -> u64;

    /// Stores a word. May become visible to another process in any order with other stores.
    fn store(&mut self, word: usize, value: u64);

    /// Stores a word after all stores before it, and before all after it: whoever sees it in another
    /// process, or after this one was killed, sees those before it too.
    fn publish(&mut self, word: usize, value: u64);
}

/// Where the commits of one connection stand. It knows the memory only for the length of each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    geometry: Geometry,
    generation: u64,
    sealed: SealedAt,
}

/// What [`Ledger::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// To go on with.
    pub ledger: Ledger,
    /// What was committed last.
    pub entry: Entry,
    /// The keys at that moment, as [`Protection::keys`](super::Protection::keys) gave them.
    pub keys: SecretBytes,
}

impl Ledger {
    /// Begins the ledger of a new connection in memory that is all zero. It holds nothing before its
    /// first commit.
    pub fn begin(memory: &mut impl LedgerMemory, geometry: Geometry) -> Self {
        for (word, value) in geometry.to_words().into_iter().enumerate() {
            memory.store(word, value);
        }
        Self { geometry, generation: 0, sealed: SealedAt::default() }
    }

    /// Reads what a process that is dead left behind, or one that stopped.
    ///
    /// # Errors
    /// [`LedgerError`]; but for an unknown layout the connection is to be reset.
    pub fn open(memory: &impl LedgerMemory, seal: &KeySeal<'_>) -> Result<Opened, LedgerError> {
        let geometry = Self::geometry_in(memory)?;
        let index = memory.load(INDEX);
        if index != checksum::index(index) {
            return Err(LedgerError::Damaged);
        }
        let at = layout::slot(index);
        let words: [u64; SLOT_WORDS] = std::array::from_fn(|i| memory.load(at + i));
        let (generation, entry, sealed) = Entry::from_words(&words, index as u32)?;
        let at = layout::sealed(sealed.place);
        let words: [u64; SEALED_WORDS] = std::array::from_fn(|i| memory.load(at + i));
        let keys = seal.open(geometry.connection, &words, sealed.length)?;
        Ok(Opened { ledger: Self { geometry, generation, sealed }, entry, keys })
    }

    /// Which connection a memory belongs to, and how large its rings are: what must be known before
    /// they are mapped.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::UnknownLayout`].
    pub fn geometry_in(memory: &impl LedgerMemory) -> Result<Geometry, LedgerError> {
        Geometry::from_words(std::array::from_fn(|word| memory.load(word)))
    }

    /// Whose it is, and how large the rings are.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How many commits there were.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Makes `entry` what is true, with new `keys` if they changed: into the slot, and the place for
    /// keys, that do not count, then the index. Killed at any point, the last commit counts whole or the
    /// one before it does.
    pub fn commit(
        &mut self,
        memory: &mut impl LedgerMemory,
        entry: &Entry,
        keys: Option<(&SecretBytes, &mut KeySeal<'_>)>,
    ) {
        let mut sealed = self.sealed;
        if let Some((keys, seal)) = keys {
            let (words, length) = seal.seal(self.geometry.connection, keys);
            sealed = SealedAt { place: sealed.place ^ 1, length };
            store_all(memory, layout::sealed(sealed.place), &words);
        }
        let generation = self.generation + 1;
        store_all(memory, layout::slot(generation), &entry.to_words(generation, sealed));
        memory.publish(INDEX, checksum::index(generation));
        (self.generation, self.sealed) = (generation, sealed);
    }

    /// Wipes all that was ever committed, when the connection is over. The memory is then as good as
    /// never begun.
    pub fn erase(memory: &mut impl LedgerMemory) {
        memory.publish(INDEX, 0);
        for word in 0..super::LEDGER_BYTES / 8 {
            memory.store(word, 0);
        }
    }
}

fn store_all(memory: &mut impl LedgerMemory, at: usize, words: &[u64]) {
    for (i, &word) in words.iter().enumerate() {
        memory.store(at + i, word);
    }
}
