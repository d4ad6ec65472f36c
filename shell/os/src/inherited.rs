//! Descriptors that stayed open when this program replaced another in the same process.

use rustix::io::FdFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Lets a descriptor stay open over the next exec, and gives the number by which it is found then.
pub(crate) fn keep(descriptor: BorrowedFd<'_>) -> io::Result<u32> {
    rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
    u32::try_from(descriptor.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Closes a descriptor at the next exec again, after one that failed.
pub(crate) fn close_on_exec(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)?)
}

/// The numbers that a list of a former program names, each of which can be taken once.
#[derive(Debug, Default)]
pub(crate) struct Inherited(std::collections::BTreeSet<u32>);

impl Inherited {
    /// Owns the descriptor of this number.
    ///
    /// # Errors
    /// When it is not open, stands for input or output of the program, or was taken before.
    pub(crate) fn take(&mut self, number: u32) -> io::Result<OwnedFd> {
        let raw = RawFd::try_from(number).map_err(|_| io::ErrorKind::InvalidData)?;
        if raw <= 2 || !self.0.insert(number) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: this function is called before anything else of this program opens descriptors that
        // it would not own: the list was made by the program that ran in this process before, which
        // let just these stay open for us (`keep`), and each is taken once. Whether it is open at all
        // is asked of the kernel next; a number that is not open is given back unowned.
        let owned = unsafe { OwnedFd::from_raw_fd(raw) };
        match close_on_exec(owned.as_fd()) {
            Ok(()) => Ok(owned),
            Err(error) => {
                std::mem::forget(owned);
                Err(error)
            }
        }
    }
}
