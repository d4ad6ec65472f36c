//! A process that ends with us, whatever ends us.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::exit::{Complaint, Outcome, plain};
use crate::interrupt::{self, Interruptible};

/// How long a process that was told to end may take before it is told more clearly.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A process; it has ended when this was dropped.
pub(super) struct Part {
    child: Child,
    process: Arc<OwnedFd>,
    _undo: Interruptible,
}

impl Part {
    /// Begins a process in a group of its own: ^C at the terminal is ours, and we end it in order.
    pub(super) fn begin(command: &mut Command) -> Outcome<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let failed = |e| Complaint::failure(format!("{name} cannot be started: {}", plain(&e)));
        let child = command.process_group(0).kill_on_drop(true).spawn().map_err(failed)?;
        // nobody has waited for it, so the number is its own
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let process = Arc::new(pidfd_open(pid, PidfdFlags::empty()).map_err(|e| failed(e.into()))?);
        let same = Arc::clone(&process);
        Ok(Self { child, process, _undo: interrupt::undo(move || end(&same)) })
    }

    /// Waits for its end; whether it went well.
    pub(super) async fn wait(&mut self) -> bool {
        self.child.wait().await.is_ok_and(|status| status.success())
    }

    /// Its standard input, output and errors, as far as they are ours; once.
    pub(super) fn take_streams(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        end(&self.process);
    }
}

/// Tells it to end; a node that is told twice does not wait for its streams.
fn end(process: &OwnedFd) {
    for signal in [Signal::TERM, Signal::TERM, Signal::KILL] {
        // fails when it has ended already
        if pidfd_send_signal(process, signal).is_err() {
            return;
        }
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        if poll(&mut ended, Some(&PATIENCE)).is_ok_and(|n| n > 0) {
            return;
        }
    }
}

/// How long anything may take that is done in a moment.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_ends_with_its_part_and_on_its_own() {
        let mut sleep = Command::new("sleep");
        let part = Part::begin(sleep.arg("1000")).unwrap();
        let process = Arc::clone(&part.process);
        drop(part);
        assert!(poll(&mut [PollFd::new(&*process, PollFlags::IN)], Some(&PATIENCE)).unwrap() > 0);
        let mut good = Part::begin(&mut Command::new("true")).unwrap();
        assert!(good.wait().await);
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let complaint = Part::begin(&mut Command::new("/nonexistent/curl")).err().unwrap();
        assert!(complaint.message.contains("/nonexistent/curl"), "{complaint}");
    }
}
