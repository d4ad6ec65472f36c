//! The memory file of a carried connection.

use crate::mapping::{RingPair, Which, Words};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use symbolon_session::ledger::{Geometry, LEDGER_BYTES, Ledger, LedgerMemory, RINGS_AT, Rings, checksum};

/// Where the note stands in the file, in bytes: behind the ledger, before the rings.
const NOTE_AT: usize = 1024;
/// Bytes before the note itself: its length and its checksum.
const NOTE_HEAD: usize = 8;
/// The most bytes of a connection's note.
pub const MAX_NOTE: usize = RINGS_AT - NOTE_AT - NOTE_HEAD;
const _: () = assert!(LEDGER_BYTES <= NOTE_AT, "the note is behind the ledger");

/// Makes an anonymous file of `size` bytes that nobody can execute, enlarge or shrink.
pub(crate) fn sealed_file(name: &str, size: usize) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // before Linux 6.3
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        file => file,
    }?;
    rustix::fs::ftruncate(&file, size as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

/// Whether `file` is an anonymous file that cannot shrink, and how long it is.
pub(crate) fn sealed_size(file: BorrowedFd<'_>) -> Option<usize> {
    let seals = rustix::fs::fcntl_get_seals(file).ok()?;
    let size = rustix::fs::fstat(file).ok()?.st_size;
    seals.contains(SealFlags::SHRINK | SealFlags::GROW).then_some(usize::try_from(size).ok()?)
}

/// Why a memory file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum MemoryFileError {
    /// The kernel refused something: descriptors, memory or address space are exhausted.
    #[error("memory file: {0}")]
    System(#[from] io::Error),
    /// It is no memory file, or damaged, or of a layout that this program does not know.
    #[error("memory file: {0}")]
    Ledger(#[from] symbolon_session::ledger::LedgerError),
    /// The note has more than [`MAX_NOTE`] bytes: so many.
    #[error("a note of {0} bytes, where {MAX_NOTE} have room")]
    NoteTooLong(usize),
    /// The note is damaged, or gone with its connection.
    #[error("the note in a memory file is damaged")]
    NoteDamaged,
}

/// The ledger and the rings of one connection, shared with who carries it next, and a note of its
/// owner's, which never changes.
///
/// Never in a core dump, never executable, of constant size. The pages of ledger and note are there from
/// the beginning; the rings' pages come when bytes do, and go by [`MemoryFile::rest`]. Only the process that
/// carries the connection may have it open as this; the holder has the descriptor alone.
#[derive(Debug)]
pub struct MemoryFile {
    file: OwnedFd,
    words: Words,
    geometry: Geometry,
    /// What the client sent, and what the application sent; not mapped while there is nothing.
    rings: Option<RingPair>,
}

impl MemoryFile {
    /// A new memory file and the ledger in it. The rings are whole pages. `note` is what the owner must
    /// know of the connection to carry it on, as [`MemoryFile::note`] will say in any process.
    ///
    /// # Errors
    /// [`MemoryFileError::NoteTooLong`], [`MemoryFileError::System`].
    pub fn create(geometry: Geometry, note: &[u8]) -> Result<(Self, Ledger), MemoryFileError> {
        if note.len() > MAX_NOTE {
            return Err(MemoryFileError::NoteTooLong(note.len()));
        }
        let file = sealed_file("symbolon-connection", geometry.file_size())?;
        // the memory of ledger and note is taken now: a store must never fail for want of it
        let page = rustix::param::page_size();
        let taken = (NOTE_AT + NOTE_HEAD + note.len()).next_multiple_of(page) as u64;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, taken).map_err(io::Error::from)?;
        write_note(file.as_fd(), note)?;
        let words = Words::map(file.as_fd(), LEDGER_BYTES / 8)?;
        let mut memory = Self { file, words, geometry, rings: None };
        memory.wake()?;
        let ledger = Ledger::begin(&mut memory, geometry);
        Ok((memory, ledger))
    }

    /// A memory file that another process left, which has been waited for.
    ///
    /// # Errors
    /// [`MemoryFileError`].
    pub fn open(file: OwnedFd) -> Result<Self, MemoryFileError> {
        let damaged = symbolon_session::ledger::LedgerError::Damaged;
        let size = sealed_size(file.as_fd()).filter(|&size| size >= RINGS_AT).ok_or(damaged)?;
        let words = Words::map(file.as_fd(), LEDGER_BYTES / 8)?;
        let geometry = Ledger::geometry_in(&Loads(&words))?;
        if geometry.file_size() != size {
            return Err(damaged.into());
        }
        let mut memory = Self { file, words, geometry, rings: None };
        memory.wake()?;
        Ok(memory)
    }

    /// The descriptor, to be given to the holder.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The note with which it was created.
    ///
    /// # Errors
    /// [`MemoryFileError::NoteDamaged`], [`MemoryFileError::System`].
    pub fn note(&self) -> Result<Vec<u8>, MemoryFileError> {
        let mut head = [0; NOTE_HEAD];
        self.read_at(&mut head, NOTE_AT)?;
        let [a, b, c, d, sum @ ..] = head;
        let (length, sum) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes(sum));
        let length = usize::try_from(length).ok().filter(|&length| length <= MAX_NOTE);
        let mut note = vec![0; length.ok_or(MemoryFileError::NoteDamaged)?];
        self.read_at(&mut note, NOTE_AT + NOTE_HEAD)?;
        (note_sum(&note) == sum).then_some(note).ok_or(MemoryFileError::NoteDamaged)
    }

    /// Fills `bytes` with what stands in the file.
    fn read_at(&self, bytes: &mut [u8], at: usize) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::pread(&self.file, &mut bytes[filled..], (at + filled) as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(())
    }

    /// Maps the rings, if they are not.
    ///
    /// # Errors
    /// When address space is exhausted.
    pub fn wake(&mut self) -> io::Result<()> {
        if self.rings.is_none() {
            let sizes = [self.geometry.client_ring(), self.geometry.application_ring()];
            self.rings = Some(RingPair::map(self.file.as_fd(), RINGS_AT, sizes)?);
        }
        Ok(())
    }

    /// Gives the rings' memory and address space back, with what was in them. For a connection of
    /// which both rings are empty: [`Carrier::is_idle`](symbolon_session::ledger::Carrier::is_idle).
    ///
    /// # Errors
    /// When the kernel does not punch holes; the rings are unmapped all the same.
    pub fn rest(&mut self) -> io::Result<()> {
        self.empty_from(RINGS_AT)
    }

    /// Unmaps the rings, and gives all memory behind `at` back.
    fn empty_from(&mut self, at: usize) -> io::Result<()> {
        self.rings = None;
        let length = (self.geometry.file_size() - at) as u64;
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(&self.file, punch, at as u64, length)?)
    }

    /// Where up to `room` bytes from the client go.
    ///
    /// # Errors
    /// When the rings rested and cannot be mapped again.
    pub fn client_room(&mut self, position: u64, room: usize) -> io::Result<&mut [u8]> {
        self.room(Which::First, position, room)
    }

    /// Where up to `room` bytes from the application go.
    ///
    /// # Errors
    /// When the rings rested and cannot be mapped again.
    pub fn application_room(&mut self, position: u64, room: usize) -> io::Result<&mut [u8]> {
        self.room(Which::Second, position, room)
    }

    fn room(&mut self, which: Which, position: u64, room: usize) -> io::Result<&mut [u8]> {
        self.wake()?;
        let rings = self.rings.as_mut().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(rings.window_mut(which, position, room))
    }

    /// Wipes keys, note and rings when the connection is over, and the holder was told
    /// ([`HolderLink::release`](crate::HolderLink::release)). Not before: whoever found an empty ledger
    /// would reset the sockets, and take away what the peers have not yet received.
    ///
    /// # Errors
    /// When the kernel does not punch holes; the ledger is wiped all the same.
    pub fn erase(mut self) -> io::Result<()> {
        Ledger::erase(&mut self);
        self.empty_from(NOTE_AT)
    }
}

/// Writes length, checksum and bytes of a note, which is no longer than [`MAX_NOTE`].
fn write_note(file: BorrowedFd<'_>, note: &[u8]) -> Result<(), MemoryFileError> {
    let length = u32::try_from(note.len()).map_err(|_| MemoryFileError::NoteTooLong(note.len()))?;
    let bytes = [&length.to_ne_bytes()[..], &note_sum(note).to_ne_bytes(), note].concat();
    let mut written = 0;
    while written < bytes.len() {
        let at = (NOTE_AT + written) as u64;
        written += rustix::io::pwrite(file, &bytes[written..], at).map_err(io::Error::from)?;
    }
    Ok(())
}

/// The upper half of the ledger's checksum, of a note's length and its bytes as words of 64 bits.
fn note_sum(note: &[u8]) -> u32 {
    let mut words = vec![note.len() as u64];
    words.extend(note.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    }));
    (checksum(&words) >> 32) as u32
}

impl LedgerMemory for MemoryFile {
    fn load(&self, word: usize) -> u64 {
        self.words.word(word).load(Ordering::Acquire)
    }

    fn store(&mut self, word: usize, value: u64) {
        self.words.word(word).store(value, Ordering::Relaxed);
    }

    fn publish(&mut self, word: usize, value: u64) {
        self.words.publish(word, value);
    }
}

impl Rings for MemoryFile {
    fn client(&self, position: u64, length: usize) -> &[u8] {
        // without rings nothing came since they rested
        self.rings.as_ref().map_or(&[], |rings| rings.window(Which::First, position, length))
    }

    fn application(&self, position: u64, length: usize) -> &[u8] {
        self.rings.as_ref().map_or(&[], |rings| rings.window(Which::Second, position, length))
    }
}

/// The ledger's words before the rest is known.
struct Loads<'a>(&'a Words);

impl LedgerMemory for Loads<'_> {
    fn load(&self, word: usize) -> u64 {
        self.0.word(word).load(Ordering::Acquire)
    }

    fn store(&mut self, _: usize, _: u64) {}

    fn publish(&mut self, _: usize, _: u64) {}
}
