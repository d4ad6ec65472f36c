//! What the holder and its workers share beside connections: the family's key, and the words that say
//! what a worker has in hand.

use crate::mapping::Words;
use crate::memory::{sealed_file, sealed_size};
use rustix::rand::GetRandomFlags;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use symbolon_crypto::{Secret, SecretBytes};
use symbolon_session::ledger::checksum;
use zeroize::Zeroizing;

/// Bytes of the family's key.
const KEY: usize = 32;

/// The most bytes that a leader leaves for the next.
pub const MAX_LEGACY: usize = 96;
/// The word that says which of two places has what a leader leaves: none, the first, the second.
const PLACE: usize = 8;
/// The two places, in words: length, checksum, bytes.
const PLACES: [usize; 2] = [16, 32];
/// All words of the file.
const WORDS: usize = 48;

/// The key under which the workers of one holder seal what they put into ledgers.
///
/// It lives in a file without a name, locked in memory where the limits allow, and outside of core
/// dumps; it comes into being with the holder and dies with the last process of the family. The holder
/// has the descriptor and computes nothing.
#[derive(Debug)]
pub struct FamilyKey {
    file: OwnedFd,
    words: Words,
    locked: bool,
}

impl FamilyKey {
    /// A fresh key from the kernel's random source.
    ///
    /// # Errors
    /// When descriptors or memory are exhausted.
    pub fn create() -> io::Result<Self> {
        let family = Self::map(sealed_file("symbolon-family", rustix::param::page_size())?)?;
        for word in 0..KEY / 8 {
            let mut random = [0; 8];
            let mut filled = 0;
            while filled < random.len() {
                filled += rustix::rand::getrandom(&mut random[filled..], GetRandomFlags::empty())?;
            }
            family.words.word(word).store(u64::from_le_bytes(random), Ordering::Relaxed);
        }
        Ok(family)
    }

    /// The key that another process of the family made.
    ///
    /// # Errors
    /// When it is no such file, or address space is exhausted.
    pub fn open(file: OwnedFd) -> io::Result<Self> {
        match sealed_size(file.as_fd()) {
            Some(size) if size >= 8 * WORDS => Self::map(file),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn map(file: OwnedFd) -> io::Result<Self> {
        let words = Words::map(file.as_fd(), WORDS)?;
        let locked = words.lock();
        Ok(Self { file, words, locked })
    }

    /// Whether it is kept out of swap.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.locked
    }

    /// The key, to be made an AEAD of.
    #[must_use]
    pub fn secret(&self) -> Secret<KEY> {
        let mut bytes = [0; KEY];
        for (word, bytes) in bytes.chunks_exact_mut(8).enumerate() {
            bytes.copy_from_slice(&self.words.word(word).load(Ordering::Relaxed).to_le_bytes());
        }
        Secret::new(bytes)
    }

    /// What the leader before left in memory, if it did.
    #[must_use]
    pub fn legacy(&self) -> Option<SecretBytes> {
        let place = usize::try_from(self.words.word(PLACE).load(Ordering::Acquire)).ok()?.checked_sub(1)?;
        let at = *PLACES.get(place)?;
        let word = |i: usize| self.words.word(at + i).load(Ordering::Relaxed);
        let (length, sum) = (usize::try_from(word(0)).ok().filter(|&n| n <= MAX_LEGACY)?, word(1));
        let words: Zeroizing<Vec<u64>> =
            Zeroizing::new((0..length.div_ceil(8)).map(|i| word(2 + i)).collect());
        if checksum(&words) != sum {
            return None;
        }
        let mut bytes: Vec<u8> = Vec::with_capacity(MAX_LEGACY);
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes.truncate(length);
        Some(SecretBytes::new(bytes))
    }

    /// Leaves something in memory for the leader after this one: whole, or as it was before, whenever this process is
    /// killed. Of what was there before nothing is left. To be called by the leader alone.
    ///
    /// # Panics
    /// When it has more than [`MAX_LEGACY`] bytes.
    pub fn leave(&self, bytes: &SecretBytes) {
        assert!(bytes.expose().len() <= MAX_LEGACY, "a bound of the caller's");
        let present = self.words.word(PLACE).load(Ordering::Acquire);
        let place = usize::from(present == 1);
        let chunks = bytes.expose().chunks(8);
        let words: Zeroizing<Vec<u64>> = Zeroizing::new(
            chunks.map(|chunk| chunk.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))).collect(),
        );
        let store = |i: usize, word: u64| self.words.word(PLACES[place] + i).store(word, Ordering::Relaxed);
        store(0, bytes.expose().len() as u64);
        store(1, checksum(&words));
        words.iter().enumerate().for_each(|(i, &word)| store(2 + i, word));
        self.words.publish(PLACE, place as u64 + 1);
        for i in 0..2 + MAX_LEGACY / 8 {
            self.words.word(PLACES[1 - place] + i).store(0, Ordering::Relaxed);
        }
    }

    /// The descriptor, to be given to a worker.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Threads of a worker that have a word of their own for what they have in hand.
const HANDS: usize = 64;
/// Bytes from one thread's word to the next: a line of the cache, so that no two write to the same.
const HAND: usize = 64;

/// Says which connection each thread of a worker works on at this instant, so that the holder knows on
/// which of thousands it died. One store; no system call.
///
/// A thread keeps its word as long as it lives. Where more than 64 have ever taken a connection up, some
/// share a word: the last store counts then, and a connection may go without the blame that it earned.
#[derive(Debug)]
pub struct InHand(Words);

impl InHand {
    pub(crate) fn file() -> io::Result<OwnedFd> {
        sealed_file("symbolon-in-hand", (HANDS * HAND).next_multiple_of(rustix::param::page_size()))
    }

    pub(crate) fn open(file: &OwnedFd) -> io::Result<Self> {
        match sealed_size(file.as_fd()) {
            Some(size) if size >= HANDS * HAND => Words::map(file.as_fd(), HANDS * HAND / 8).map(Self),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// This thread takes the connection up.
    pub fn take(&self, id: crate::HeldId) {
        self.0.publish(Self::word(), id.0);
    }

    /// This thread has put it down again. The same one that took it up: a task does not wait for anything
    /// in between.
    pub fn put_down(&self) {
        self.0.publish(Self::word(), 0);
    }

    /// The word of this thread.
    fn word() -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        THREAD.with(|thread| thread % HANDS * (HAND / 8))
    }

    /// What a worker's threads had in hand, each connection once, as the holder sees it, who maps nothing
    /// of a worker's.
    pub(crate) fn read(file: &OwnedFd) -> Vec<crate::HeldId> {
        let mut hands = [0; HANDS * HAND];
        // what cannot be read blames nobody
        let read = rustix::io::pread(file, &mut hands, 0).unwrap_or(0);
        let words = hands[..read].chunks_exact(HAND).filter_map(<[u8]>::first_chunk);
        let taken: BTreeSet<u64> =
            words.map(|word| u64::from_ne_bytes(*word)).filter(|&id| id != 0).collect();
        taken.into_iter().map(crate::HeldId).collect()
    }
}

/// Keeps this process out of core dumps altogether, and from being looked into by others of its user.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_dumps() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let maximum = rustix::process::getrlimit(Resource::Core).maximum;
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })?)
}

#[cfg(test)]
mod tests {
    use super::{FamilyKey, MAX_LEGACY, PLACE, PLACES};
    use std::sync::atomic::Ordering;
    use symbolon_crypto::SecretBytes;

    #[test]
    fn what_a_leader_leaves_is_found_whole_and_nothing_of_what_was_before() {
        let family = FamilyKey::create().unwrap();
        assert!(family.legacy().is_none());
        for (fill, length) in [(1, 69), (2, MAX_LEGACY), (3, 0), (4, 7)] {
            family.leave(&SecretBytes::new(vec![fill; length]));
            let other = FamilyKey::open(family.descriptor().try_clone_to_owned().unwrap()).unwrap();
            assert_eq!(other.legacy().unwrap().expose(), vec![fill; length]);
            let here = family.words.word(PLACE).load(Ordering::Relaxed) as usize - 1;
            let there = PLACES[1 - here];
            assert!(
                (0..2 + MAX_LEGACY / 8).all(|i| family.words.word(there + i).load(Ordering::Relaxed) == 0)
            );
            // half written by one who died is not taken for whole
            family.words.word(PLACES[here] + 1).fetch_xor(1, Ordering::Relaxed);
            assert!(family.legacy().is_none());
            family.words.word(PLACES[here] + 1).fetch_xor(1, Ordering::Relaxed);
        }
    }
}
