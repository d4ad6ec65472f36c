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

/// Owns the descriptor of this number, which a former program of this process left open by [`keep`], and
/// closes it at the next exec.
///
/// # Errors
/// When it is not open, stands for input or output of the program, or is this program's own: what that
/// opens is closed at an exec, and so is what was taken before.
pub(crate) fn inherit(number: u32) -> io::Result<OwnedFd> {
    let raw = RawFd::try_from(number).map_err(|_| io::ErrorKind::InvalidData)?;
    if raw <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: reads a number's flags and touches no memory; one that is not open is an error.
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: it is open, and nobody in this program owns it: all that Rust's library and this crate open
    // is closed at an exec, this is not, and from here on it is, so it is not taken again.
    let owned = unsafe { OwnedFd::from_raw_fd(raw) };
    close_on_exec(owned.as_fd())?;
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::{inherit, keep};
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    #[test]
    fn a_descriptor_that_was_kept_is_taken_once_and_one_of_our_own_never() {
        let own = File::open("/dev/null").unwrap();
        assert!(inherit(own.as_raw_fd() as u32).is_err(), "of this program");
        let kept = keep(own.as_fd()).unwrap();
        // as an exec does, which drops nothing
        let _ = own.into_raw_fd();
        let taken = inherit(kept).unwrap();
        assert!(inherit(kept).is_err(), "for the second time");
        drop(taken);
        for number in [0, 1, 2, kept, u32::MAX] {
            assert!(inherit(number).is_err(), "{number}");
        }
    }
}
