//! Shared memory, mapped: the only place where a pointer is followed.

use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// A range of address space of ours, unmapped when dropped.
#[derive(Debug)]
struct Region {
    at: NonNull<u8>,
    length: usize,
}

// SAFETY: the region is plain memory that belongs to this value alone; no thread is special to it.
unsafe impl Send for Region {}
// SAFETY: through a shared reference it is only read, or changed by atomics.
unsafe impl Sync for Region {}

impl Region {
    /// Address space without memory behind it.
    fn reserve(length: usize) -> io::Result<Self> {
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let at = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::empty(), MapFlags::PRIVATE)
        }?;
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, length })
    }

    /// The first `length` bytes of `file`.
    fn of_file(length: usize, file: BorrowedFd<'_>) -> io::Result<Self> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let at = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, protection, flags, file, 0) }?;
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let region = Self { at, length };
        region.keep_from_others()?;
        Ok(region)
    }

    /// Puts `length` bytes of `file` from `offset` at `at` of the region.
    fn put(&mut self, at: usize, length: usize, file: BorrowedFd<'_>, offset: usize) -> io::Result<()> {
        assert!(at.checked_add(length).is_some_and(|end| end <= self.length), "inside the region");
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: the range lies in this region (asserted), which is ours and to which no reference
        // exists, since `self` is borrowed exclusively; the kernel checks alignment.
        unsafe {
            let at = self.at.as_ptr().add(at).cast();
            rustix::mm::mmap(at, length, protection, flags, file, offset as u64)?;
        }
        Ok(())
    }

    /// Never in a core dump, never in a child. After the last file was put there.
    fn keep_from_others(&self) -> io::Result<()> {
        let at = self.at.as_ptr().cast();
        // SAFETY: the range is this region; neither changes what is there.
        unsafe {
            rustix::mm::madvise(at, self.length, Advice::LinuxDontDump)?;
            rustix::mm::madvise(at, self.length, Advice::LinuxDontFork)?;
        }
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the region is ours, and no reference into it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.at.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a region that was mapped can be unmapped");
    }
}

/// The beginning of a file as words that other processes see.
#[derive(Debug)]
pub(crate) struct Words(Region);

impl Words {
    /// Maps the first `words` words of `file`, which cannot shrink: the caller has seen its seals.
    pub(crate) fn map(file: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let length = (words * 8).next_multiple_of(page);
        Ok(Self(Region::of_file(length, file)?))
    }

    /// The word at `word`. All of them are atomics, whoever uses them.
    pub(crate) fn word(&self, word: usize) -> &AtomicU64 {
        assert!(word < self.0.length / 8, "inside the mapping");
        // SAFETY: the word lies in the mapping (asserted), which is aligned to a page, readable and
        // writable, and lives as long as `self`; the file cannot shrink, so its pages exist. Every
        // access in every process is atomic.
        unsafe { AtomicU64::from_ptr(self.0.at.as_ptr().cast::<u64>().add(word)) }
    }

    /// Keeps it out of swap, if the limit on locked memory allows.
    pub(crate) fn lock(&self) -> bool {
        // SAFETY: the range is this mapping.
        unsafe { rustix::mm::mlock(self.0.at.as_ptr().cast(), self.0.length) }.is_ok()
    }

    /// Stores after all stores before, and before all after: for other processes by the release, for
    /// a kill at any instruction because the compiler moves nothing across.
    pub(crate) fn publish(&self, word: usize, value: u64) {
        self.word(word).store(value, Ordering::Release);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }
}

/// Two rings that follow each other in a file. Each is mapped twice back to back, so that each window up to its
/// size is one slice.
#[derive(Debug)]
pub(crate) struct RingPair {
    region: Region,
    /// Sizes of the first and of the second.
    sizes: [usize; 2],
}

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    First,
    Second,
}

impl RingPair {
    /// Maps rings of `sizes` bytes, powers of two and whole pages, from `offset` of `file`, which cannot
    /// shrink: the caller has seen its seals.
    pub(crate) fn map(file: BorrowedFd<'_>, offset: usize, sizes: [usize; 2]) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let whole = |size: usize| size.is_power_of_two() && size.is_multiple_of(page);
        if !sizes.into_iter().all(whole) || !offset.is_multiple_of(page) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let [first, second] = sizes;
        let mut region = Region::reserve(2 * (first + second))?;
        region.put(0, first, file, offset)?;
        // the first's second image and the second's first are neighbours in the file too
        region.put(first, first + second, file, offset)?;
        region.put(2 * first + second, second, file, offset + first)?;
        region.keep_from_others()?;
        Ok(Self { region, sizes })
    }

    fn at(&self, which: Which, position: u64, length: usize) -> NonNull<u8> {
        let [first, second] = self.sizes;
        let (begin, size) = match which {
            Which::First => (0, first),
            Which::Second => (2 * first, second),
        };
        assert!(length <= size, "no window is longer than the ring");
        let offset = begin + (position as usize & (size - 1));
        // SAFETY: both images of the ring lie in the region, and the offset is in the first of them.
        unsafe { self.region.at.add(offset) }
    }

    /// The window of `length` bytes at `position`.
    pub(crate) fn window(&self, which: Which, position: u64, length: usize) -> &[u8] {
        // SAFETY: `at` and `length` stay inside the ring's two images, which are mapped for as long as `self`
        // lives, from a file that cannot shrink. It is changed only through `window_mut`, for which
        // `self` is borrowed exclusively: of all processes that have the file only the one that
        // carries the connection maps its rings, the others have been waited for.
        unsafe { std::slice::from_raw_parts(self.at(which, position, length).as_ptr(), length) }
    }

    /// The window of `length` bytes at `position`, to be filled.
    pub(crate) fn window_mut(&mut self, which: Which, position: u64, length: usize) -> &mut [u8] {
        // SAFETY: as for `window`, and `self` is borrowed exclusively. The slice is at most the ring's size
        // long, so it does not meet its own second image.
        unsafe { std::slice::from_raw_parts_mut(self.at(which, position, length).as_ptr(), length) }
    }
}
