//! The signals by which an operator speaks to the holder, as a descriptor, so that it waits for them and
//! for its workers in one place and has no handlers.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// End (SIGTERM, SIGINT).
    Stop,
    /// Read the configuration again (SIGHUP).
    Reload,
    /// Replace the program (SIGUSR2).
    Replace,
}

/// The signals, and what they ask.
const ALL: [(libc::c_int, Asked); 4] = [
    (libc::SIGTERM, Asked::Stop),
    (libc::SIGINT, Asked::Stop),
    (libc::SIGHUP, Asked::Reload),
    (libc::SIGUSR2, Asked::Replace),
];

/// The signals that were taken. Readable when one came.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Takes the signals from now on. To be called before the process has a second thread; the children
    /// inherit that the signals are held back, and call [`Signals::give_back`] first.
    ///
    /// # Errors
    /// When descriptors are exhausted.
    pub fn take() -> io::Result<Self> {
        let set = mask(libc::SIG_BLOCK)?;
        // SAFETY: `set` is a set of signals that was made; -1 asks for a new descriptor.
        let raw = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, and nobody else has it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(raw) } })
    }

    /// Lets the signals have their usual effects again, in a worker that its holder began.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn give_back() -> io::Result<()> {
        mask(libc::SIG_UNBLOCK).map(drop)
    }

    /// What is asked next, if anything is.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn next(&self) -> io::Result<Option<Asked>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        // SAFETY: the pointer and the length describe `info`, into which the kernel writes at most so
        // much.
        let got = unsafe {
            let size = size_of::<libc::signalfd_siginfo>();
            libc::read(self.descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size)
        };
        if got < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        // SAFETY: all fields are integers, for which zeros are values.
        let signal = unsafe { info.assume_init() }.ssi_signo;
        Ok(ALL.into_iter().find(|(number, _)| u32::try_from(*number) == Ok(signal)).map(|(_, asked)| asked))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Adds the signals to those that this thread holds back, or takes them off.
fn mask(how: libc::c_int) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `set` is made by sigemptyset before anything else looks at it; the signals are ones that
    // exist; the old mask is not asked for.
    let (set, error) = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for (signal, _) in ALL {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        (set.assume_init(), libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut()))
    };
    if error == 0 { Ok(set) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Signals};

    #[test]
    fn each_signal_is_read_as_what_it_asks() {
        let signals = Signals::take().unwrap();
        assert_eq!(signals.next().unwrap(), None);
        for (signal, asked) in ALL {
            // SAFETY: to this thread alone, which holds it back; the others of the test program do not.
            assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), signal) }, 0);
            assert_eq!(signals.next().unwrap(), Some(asked));
            assert_eq!(signals.next().unwrap(), None);
        }
        Signals::give_back().unwrap();
    }
}
