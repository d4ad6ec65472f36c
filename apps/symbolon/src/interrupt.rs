//! Told to end in the middle: what a command has changed for a moment is put back first.
//!
//! Most commands need nothing of this: a signal ends them as it ends any program, and files of ours are written whole or
//! not at all. From the first [`undo`] on, a thread waits for the signals, takes back what is not done yet, and ends the
//! process with the code that a shell shows for that signal anyway: 128 and its number.

use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::runtime;

type Undo = Box<dyn FnOnce() + Send>;

static STATE: Mutex<State> = Mutex::new(State { undos: Vec::new(), last: 0, heard_by: HeardBy::Nobody });

struct State {
    undos: Vec<(u64, Undo)>,
    last: u64,
    heard_by: HeardBy,
}

/// Who hears the signals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeardBy {
    /// They end the process.
    Nobody,
    /// The thread of this module.
    Thread,
    /// The command itself, by [`crate::serve::Signals`].
    Command,
}

/// Something that is taken back should a signal come while this is held.
#[must_use]
pub(crate) struct Interruptible(u64);

/// Says how to take back what is about to be done.
pub(crate) fn undo(undo: impl FnOnce() + Send + 'static) -> Interruptible {
    let mut state = state();
    if state.heard_by == HeardBy::Nobody && listen() {
        state.heard_by = HeardBy::Thread;
    }
    state.last += 1;
    let number = state.last;
    state.undos.push((number, Box::new(undo)));
    Interruptible(number)
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        state().undos.retain(|(number, _)| *number != self.0);
    }
}

/// From now on the command hears the signals itself.
pub(crate) fn hand_over() {
    state().heard_by = HeardBy::Command;
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread. Where the system gives none, signals end the process as before.
fn listen() -> bool {
    let (ready, is_ready) = mpsc::channel();
    let listen = async move {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)] = kinds.map(signal) else { return };
        let _ = ready.send(());
        loop {
            end_by(tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = hang_up.recv() => SignalKind::hangup(),
            });
        }
    };
    let thread = thread::Builder::new().spawn(|| runtime::small().map(|runtime| runtime.block_on(listen)));
    thread.is_ok() && is_ready.recv().is_ok()
}

/// Takes everything back, the last first, and ends the process; unless the command hears signals itself.
fn end_by(kind: SignalKind) {
    // held to the end, so that nobody takes anything back a second time
    let mut state = state();
    if state.heard_by == HeardBy::Command {
        return;
    }
    while let Some((_, undo)) = state.undos.pop() {
        undo();
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the main thread may wait for a person who will not answer; what must be put back is put back"
    )]
    process::exit(128 + kind.as_raw_value());
}
