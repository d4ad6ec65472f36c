//! The process of `serve` that stays: it has the ports and keeps what its workers carry, and does nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use symbolon_os::{Asked, BreakerRules, Death, Event, Holder, HolderSettings, Signals, WorkerProgram};
use symbolon_server::{Directory, Listeners, NodeConfig};

use super::complaint::node_complaint;
use crate::cli::Global;
use crate::exit::{Complaint, Kind, Outcome, plain};
use crate::paste::Paste;
use crate::{interrupt, notify};

/// One that leads, and one that is ready to.
const WORKERS: usize = 2;

/// How long a worker may take until it is ready: a large store's schema may have to be changed first.
const START_WITHIN: Duration = Duration::from_secs(300);

/// How long a worker may take to tell its clients that the node stops: longer than it lets streams go on.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// Said to a program that is begun in the place of a holder, to one that is begun as a worker, and to a relay.
const AGAIN: &str = "--held-before";
const WORKER: &str = "--worker";
const RELAY: &str = "--relay";
/// Asked of a program before it is begun in the place of this one: one that ends at once takes everything along.
const CAN_GO_ON: &str = "--can-go-on";

/// How long a program may take to answer that. Nobody is replaced meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Opens the ports and keeps workers until it is told to stop.
pub(super) fn run(global: &Global, config: &NodeConfig, paste: &Paste, signals: Signals) -> Outcome {
    allow_descriptors();
    let (listeners, directory) = Listeners::open(config).map_err(|e| node_complaint(e, config, paste))?;
    let program = program()?;
    let settings = HolderSettings {
        program: worker(program.clone()),
        relay: Some(relay(program.clone())),
        workers: WORKERS,
        listeners: listeners.into_descriptors(),
        breaker: BreakerRules::default(),
        start_within: START_WITHIN,
        stop_within: STOP_WITHIN,
    };
    let holder = Holder::new(settings).map_err(|e| no_holder(&e))?;
    Turning { holder, program, signals, global, _directory: directory, proved: false, stopping: false }.run()
}

/// Goes on with what the program before this one held, which ran in this process, and replaces its workers.
pub(super) fn go_on(global: &Global, config: &NodeConfig, paste: &Paste, signals: Signals) -> Outcome {
    let mut holder = Holder::resume().map_err(|e| no_holder(&e))?;
    // the program before had it until this one took its place
    let directory = Directory::take(config).map_err(|e| node_complaint(e, config, paste))?;
    allow_descriptors();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        connections = holder.connections(),
        "a new program holds them"
    );
    let program = program()?;
    holder.replace_workers(worker(program.clone()), Some(relay(program.clone())));
    notify::ready("a new program leads");
    Turning { holder, program, signals, global, _directory: directory, proved: true, stopping: false }.run()
}

fn no_holder(e: &std::io::Error) -> Complaint {
    Complaint::failure(format!("connections cannot be held: {}", plain(e)))
}

/// Has signals wait for the holder. First of all: a thread that came before would take them.
pub(super) fn signals() -> Outcome<Signals> {
    interrupt::hand_over();
    Signals::take().map_err(|e| Complaint::failure(format!("no signals: {}", plain(&e))))
}

/// A connection takes three descriptors, and what the shell allows is meant for programs that have few.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(e) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!("there will be few connections, no more descriptors are allowed: {e}");
    }
}

/// This program as it was called, as a worker.
fn worker(path: PathBuf) -> WorkerProgram {
    called(path, WORKER)
}

/// The same as a relay.
fn relay(path: PathBuf) -> WorkerProgram {
    called(path, RELAY)
}

fn called(path: PathBuf, role: &str) -> WorkerProgram {
    let arguments = arguments().into_iter().chain([role.into()]).collect();
    WorkerProgram { path, arguments, environment: Vec::new() }
}

fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).filter(|argument| argument != AGAIN).collect()
}

/// Where this program was when it was begun: another one may stand there later.
fn program() -> Outcome<PathBuf> {
    std::env::current_exe()
        .map_err(|e| Complaint::failure(format!("this program cannot be found: {}", plain(&e))))
}

/// Whether the program at `path` understands how this one was called, and its configuration.
fn can_go_on(path: &Path) -> Result<(), String> {
    let mut command = Command::new(path);
    command.args(arguments()).arg(CAN_GO_ON).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|e| plain(&e))?;
    let until = Instant::now() + ANSWER_WITHIN;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it says that it cannot go on ({status})")),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                // it may have ended meanwhile
                let _ = child.kill();
                let _ = child.wait();
                return Err("it does not answer".to_owned());
            }
        }
    }
}

struct Turning<'a> {
    holder: Holder,
    program: PathBuf,
    signals: Signals,
    global: &'a Global,
    _directory: Directory,
    /// Whether a worker was ever ready.
    proved: bool,
    stopping: bool,
}

impl Turning<'_> {
    fn run(mut self) -> Outcome {
        loop {
            let events = self
                .holder
                .turn(Some(std::os::fd::AsFd::as_fd(&self.signals)), None)
                .map_err(|e| no_holder(&e))?;
            for event in events {
                self.tell(&event)?;
                if event == Event::Woken {
                    self.obey()?;
                }
            }
            if self.stopping && self.holder.processes() == 0 {
                return Ok(());
            }
        }
    }

    fn obey(&mut self) -> Outcome {
        while let Some(asked) =
            self.signals.next().map_err(|e| Complaint::failure(format!("no signals: {}", plain(&e))))?
        {
            match asked {
                Asked::Stop if self.stopping => {
                    self.holder.kill();
                    return Err(Complaint::failure("stopped before every stream had finished"));
                }
                Asked::Stop => {
                    notify::stopping();
                    self.global.output().note("Stopping: streams may finish; once more to stop at once.");
                    self.stopping = true;
                    self.holder.stop();
                }
                Asked::Reload => {
                    notify::reloading();
                    self.holder.reload();
                    notify::ready("reloaded");
                }
                Asked::Replace => self.replace(),
            }
        }
        Ok(())
    }

    /// Puts the program that stands in this one's place now in charge of everything.
    fn replace(&mut self) {
        if self.stopping {
            return;
        }
        if let Err(why) = can_go_on(&self.program) {
            let path = self.program.display();
            return tracing::error!(%path, "the program is not replaced: {why}");
        }
        let mut command = Command::new(&self.program);
        command.args(arguments()).arg(AGAIN);
        let error = self.holder.replace_self(command);
        tracing::error!("the program is not replaced: {error}");
    }

    /// Has the log say what an operator would ask about.
    fn tell(&mut self, event: &Event) -> Outcome {
        match event {
            Event::Begun { worker, pid } => tracing::debug!(?worker, pid, "worker begun"),
            Event::NotBegun(why) => tracing::error!("no process can be begun: {why}"),
            Event::RelayBegun { pid } => tracing::debug!(pid, "relay begun"),
            Event::RelayDied { pid, death: Death::Ended } => tracing::debug!(pid, "relay ended"),
            Event::RelayDied { pid, death } => tracing::error!(pid, "relay died, {}", how(*death)),
            Event::Ready(worker) => {
                tracing::debug!(?worker, "worker ready");
                if !self.proved {
                    self.proved = true;
                    notify::ready("a worker leads");
                }
            }
            Event::Led { worker, before } => {
                tracing::debug!(?worker, before, pid = self.holder.pid(*worker), "worker leads");
            }
            Event::Nonsense { worker, what } => tracing::error!(?worker, "a worker says nonsense: {what}"),
            Event::DidNotStart(worker) => tracing::warn!(?worker, "a worker is not ready in time: killed"),
            Event::DidNotStop(worker) => tracing::warn!(?worker, "a worker does not stop: killed"),
            Event::Died { worker, death, connections, .. } => {
                self.died(*death)?;
                match death {
                    Death::Ended => tracing::info!(?worker, connections, "worker ended"),
                    death => tracing::error!(?worker, connections, "worker died, {}", how(*death)),
                }
            }
            Event::Full(_) => tracing::warn!("no more connections can be held: descriptors are used up"),
            Event::Ended { id, why } => tracing::error!(%id, ?why, "connection reset"),
            Event::Held { id, .. } => tracing::trace!(%id, "connection held"),
            Event::HandedOver { id, .. } => tracing::trace!(%id, "connection handed over"),
            Event::Carried { id, .. } => tracing::trace!(%id, "connection carried on"),
            Event::Released(id) => tracing::trace!(%id, "connection released"),
            Event::Woken => {}
        }
        Ok(())
    }

    /// A node that never started will not start the next time either; what was wrong it has said itself.
    fn died(&mut self, death: Death) -> Outcome {
        if self.proved || self.stopping {
            return Ok(());
        }
        self.holder.kill();
        let Death::Crashed { status: Some(status), .. } = death else {
            return Err(Complaint::failure(format!("the node did not start: {}", how(death))));
        };
        let kinds = [Kind::Failure, Kind::Usage, Kind::Denied, Kind::Unreachable];
        let kind = kinds.into_iter().find(|kind| i32::from(kind.code()) == status);
        match kind {
            Some(kind) => Err(Complaint::new(kind, "").said()),
            None => Err(Complaint::failure(format!("the node did not start: {}", how(death)))),
        }
    }
}

fn how(death: Death) -> String {
    match death {
        Death::Ended => "ended".to_owned(),
        Death::Killed { signal } | Death::Crashed { signal: Some(signal), .. } => format!("signal {signal}"),
        Death::Crashed { status: Some(status), .. } => format!("status {status}"),
        Death::Crashed { .. } => "nobody knows how".to_owned(),
    }
}
