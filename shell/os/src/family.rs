//! What the holder and its workers share beside connections: the family's key, and the words that say
//! what a worker has in hand.

use crate::mapping::Words;
use crate::memory::{sealed_file, sealed_size};
use rustix::rand::GetRandomFlags;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use symbolon_crypto::Secret;

/// Bytes of the family's key.
const KEY: usize = 32;

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
            Some(KEY..) => Self::map(file),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn map(file: OwnedFd) -> io::Result<Self> {
        let words = Words::map(file.as_fd(), KEY / 8)?;
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
