//! A worker as a process: begun, spoken to, waited for.

use super::{Death, WorkerId, WorkerProgram};
use crate::message::ToWorker;
use crate::{FamilyKey, HeldId, InHand, pass};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was begun and did not say anything; after this time since the holder began it is killed.
    Starting { until: Duration },
    /// It leads, or waits until it does.
    Ready,
    /// It was told to stop; after this time since the holder began it is killed.
    Stopping { until: Duration },
    /// It closed its socket, so it is dying; after this time since the holder began it is killed.
    Silent { until: Duration },
    /// It was killed, for nonsense or because it did not stop. Nothing it says counts any more.
    Condemned,
}

/// What waits to be sent to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// Without descriptors.
    Plain(ToWorker),
    /// A connection, with its descriptors.
    Carry(HeldId),
}

/// A worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: u32,
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// Whether it was ever ready.
    pub(super) proved: bool,
    /// How many connections it carries.
    pub(super) load: usize,
    pub(super) letters: VecDeque<Letter>,
    pub(super) process: OwnedFd,
    pub(super) socket: OwnedFd,
    pub(super) in_hand: OwnedFd,
}

impl Worker {
    /// Begins a process of `program`, with its end of a socket pair as standard input.
    pub(super) fn begin(
        program: &WorkerProgram,
        number: WorkerId,
        generation: u32,
        family: &FamilyKey,
        relay: BorrowedFd<'_>,
        listeners: &[OwnedFd],
        until: Duration,
    ) -> io::Result<Self> {
        let (socket, theirs) = pass::pair()?;
        let in_hand = InHand::file()?;
        let mut shared = vec![family.descriptor(), in_hand.as_fd(), relay];
        shared.extend(listeners.iter().map(AsFd::as_fd));
        // into the empty socket, so it cannot block
        pass::send(
            socket.as_fd(),
            &ToWorker::Begin { worker: number.0 }.to_bytes(),
            &shared,
            SendFlags::DONTWAIT,
        )?;
        let (pid, process) = spawn(program, theirs)?;
        Ok(Self {
            pid,
            generation,
            stage: Stage::Starting { until },
            proved: false,
            load: 0,
            letters: VecDeque::new(),
            process,
            socket,
            in_hand,
        })
    }

    /// Kills it, and hears nothing more of it.
    pub(super) fn condemn(&mut self) {
        self.stage = Stage::Condemned;
        self.letters.clear();
        // it may be dead already
        let _ = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Whether what it says still counts.
    pub(super) fn is_heard(&self) -> bool {
        !matches!(self.stage, Stage::Silent { .. } | Stage::Condemned)
    }

    /// How it died, if it is dead. It is gone for good after this: the fence behind which its
    /// connections are another's.
    pub(super) fn wait(&self) -> io::Result<Option<Death>> {
        wait(self.process.as_fd(), self.stage == Stage::Condemned)
    }

    /// Whether it can be given connections.
    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }
}

/// Begins a process with `standard_input`: its number, and itself.
pub(super) fn spawn(program: &WorkerProgram, standard_input: OwnedFd) -> io::Result<(u32, OwnedFd)> {
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(standard_input))
        // so that Ctrl-C at a terminal reaches the holder alone, which lets them end in order
        .process_group(0)
        .spawn()?;
    // it is not waited for before this holder does, so the number is still its own
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::INVAL);
    match pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty())) {
        Ok(process) => Ok((child.id(), process)),
        Err(error) => {
            // nobody else would wait for it; it may be dead already
            let _ = child.kill();
            child.wait()?;
            Err(error.into())
        }
    }
}

/// How a process died, if it is dead. One that was condemned was killed by us, with a reason.
pub(super) fn wait(process: BorrowedFd<'_>, condemned: bool) -> io::Result<Option<Death>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = match rustix::process::waitid(WaitId::PidFd(process), options) {
        Ok(None) => return Ok(None),
        Ok(Some(status)) => status,
        // somebody has waited for it, or the kernel did: it is dead, and nobody knows how
        Err(Errno::CHILD) => return Ok(Some(Death::Crashed { status: None, signal: None })),
        Err(error) => return Err(error.into()),
    };
    let signal = status.terminating_signal();
    let asked = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
    Ok(Some(match (status.exit_status(), signal) {
        (Some(0), _) => Death::Ended,
        // it is we who killed it then, with a reason
        (_, Some(signal)) if asked.contains(&signal) && !condemned => Death::Killed { signal },
        (status, signal) => Death::Crashed { status, signal },
    }))
}

/// How soon the next worker is begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Respawn {
    /// Workers in a row that died, or could not be begun, before one was ready.
    failures: u32,
    /// Not before this time since the holder began.
    pub(super) not_before: Duration,
}

impl Respawn {
    /// The longest pause between two attempts to begin a worker.
    const LONGEST: Duration = Duration::from_secs(5);

    /// A worker did not come as far as to be ready. The first two are replaced at once.
    pub(super) fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.failures {
            0..=2 => Duration::ZERO,
            n => (Duration::from_millis(100) * 2_u32.saturating_pow(n.min(10) - 3)).min(Self::LONGEST),
        };
        self.not_before = now + pause;
    }

    /// A worker is ready.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}
