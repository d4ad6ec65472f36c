//! A holder that replaces itself: the same process runs another program, with all descriptors.

use super::breaker::Blame;
use super::process::{Letter, Respawn, Stage, Worker};
use super::relay::{self, Relay, Relays};
use super::table::{Held, Table};
use super::{Holder, HolderSettings, Past, WorkerId, WorkerProgram};
use crate::inherited::{close_on_exec, inherit, keep};
use crate::message::ToWorker;
use crate::{FamilyKey, HeldId};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use symbolon_wire::{Reader, WireError, Writer};

/// The version of the list; a program refuses what it does not know, and the former goes on.
const VERSION: u8 = 4;

impl Holder {
    /// Replaces this program by `command` in the same process, which finds the list of what is held as
    /// its standard input and goes on with [`Holder::resume`]. Returns only if that fails; the holder
    /// then goes on as before.
    pub fn replace_self(&mut self, mut command: Command) -> io::Error {
        let error = match self.list() {
            Ok(list) => command.stdin(Stdio::from(list)).exec(),
            Err(error) => error,
        };
        // or every worker begun from now on would have all connections
        for descriptor in self.descriptors() {
            // it was open a moment ago
            let _ = close_on_exec(descriptor);
        }
        error
    }

    /// Goes on with what the former program of this process held, from the list on its standard input.
    /// To be called before anything else of the program opens a descriptor.
    ///
    /// # Errors
    /// When the list is not one, or of a version that this program does not know.
    pub fn resume() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let mut list = Vec::new();
        let mut file = File::from(rustix::io::fcntl_dupfd_cloexec(stdin, 3)?);
        file.rewind()?;
        file.read_to_end(&mut list)?;
        rustix::stdio::dup2_stdin(&File::open("/dev/null")?)?;
        let resumed = Self::from_list(&mut Reader::new(&list));
        resumed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Everything that goes along.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let mut all = vec![self.family.descriptor()];
        all.extend(self.settings.listeners.iter().map(AsFd::as_fd));
        for worker in self.workers.values() {
            all.extend([worker.process.as_fd(), worker.socket.as_fd(), worker.in_hand.as_fd()]);
        }
        all.extend([self.relays.requests.as_fd(), self.relays.asking.as_fd()]);
        for relay in &self.relays.all {
            all.extend([relay.process.as_fd(), relay.socket.as_fd()]);
        }
        all.extend(self.table.iter().flat_map(|(_, held)| held.descriptors()));
        all
    }

    /// The list, in a file without a name; what it names stays open over an exec.
    fn list(&self) -> io::Result<OwnedFd> {
        let mut w = Writer::new();
        w.u8(VERSION);
        w.u32(self.next_worker);
        w.u32(self.generation);
        w.flag(self.stopping);
        w.u32(self.leader.map_or(0, |leader| leader.0));
        w.flag(self.past.ready);
        w.u64(self.past.leaders);
        self.settings.program.encode(&mut w);
        w.u32(u32::try_from(self.settings.workers).unwrap_or(u32::MAX));
        for time in [self.settings.start_within, self.settings.stop_within] {
            w.u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        let breaker = self.settings.breaker;
        w.u32(breaker.crashes);
        w.u64(u64::try_from(breaker.within.as_millis()).unwrap_or(u64::MAX));
        w.u32(breaker.fruitless_kills);
        w.u32(keep(self.family.descriptor())?);
        count(&mut w, self.settings.listeners.len());
        for listener in &self.settings.listeners {
            w.u32(keep(listener.as_fd())?);
        }
        count(&mut w, self.workers.len());
        for (id, worker) in &self.workers {
            w.u32(id.0);
            worker.encode(&mut w)?;
        }
        self.relays.encode(&mut w)?;
        count(&mut w, self.table.len());
        for (id, held) in self.table.iter() {
            w.u64(id.0);
            w.u32(held.carrier.map_or(0, |worker| worker.0));
            w.u32(held.deaths);
            for descriptor in held.descriptors() {
                w.u32(keep(descriptor)?);
            }
        }
        let mut file =
            File::from(rustix::fs::memfd_create("symbolon-held", rustix::fs::MemfdFlags::CLOEXEC)?);
        file.write_all(&w.into_bytes())?;
        Ok(file.into())
    }

    fn from_list(r: &mut Reader<'_>) -> Result<Self, ListError> {
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other).into()),
        }
        let mut table = Table::default();
        let (next_worker, generation, stopping) = (r.u32()?, r.u32()?, r.flag()?);
        let leader = read_worker(r)?;
        let past = Past { ready: r.flag()?, leaders: r.u64()? };
        let program = WorkerProgram::decode(r)?;
        let wanted = r.u32()? as usize;
        let start_within = Duration::from_millis(r.u64()?);
        let stop_within = Duration::from_millis(r.u64()?);
        let breaker = super::BreakerRules {
            crashes: r.u32()?,
            within: Duration::from_millis(r.u64()?),
            fruitless_kills: r.u32()?,
        };
        let family = FamilyKey::open(inherit(r.u32()?)?)?;
        let mut listeners = Vec::new();
        for _ in 0..r.u32()? {
            listeners.push(inherit(r.u32()?)?);
        }
        let mut workers = BTreeMap::new();
        for _ in 0..r.u32()? {
            workers.insert(WorkerId(r.u32()?), Worker::decode(r, start_within, stop_within)?);
        }
        let relays = Relays::decode(r, stop_within)?;
        for _ in 0..r.u32()? {
            let id = HeldId(r.u64()?);
            let carrier = read_worker(r)?;
            let deaths = r.u32()?;
            let (client, application) = (inherit(r.u32()?)?, inherit(r.u32()?)?);
            let memory = inherit(r.u32()?)?;
            // who killed whom is forgotten: the new program begins to count again
            let (blame, unfit) = (Blame::default(), vec![]);
            table.insert(id, Held { client, application, memory, carrier, deaths, blame, unfit });
        }
        r.clone().finish()?;
        if leader.is_some_and(|leader| !workers.contains_key(&leader)) {
            return Err(WireError::BadValue("a leader that is no worker").into());
        }
        let settings = HolderSettings {
            program,
            relay: None,
            workers: wanted,
            listeners,
            breaker,
            start_within,
            stop_within,
        };
        let (respawn, since) = (Respawn::default(), Instant::now());
        let events = Vec::new();
        Ok(Self {
            settings,
            family,
            table,
            workers,
            relays,
            leader,
            past,
            generation,
            next_worker,
            respawn,
            since,
            stopping,
            events,
        })
    }
}

/// Why a list was not taken over.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("the list of what is held: {0}")]
    Wire(#[from] WireError),
    #[error("a descriptor of the list: {0}")]
    Descriptor(#[from] io::Error),
}

fn count(w: &mut Writer, n: usize) {
    w.u32(u32::try_from(n).expect("there are fewer descriptors than 2^32"));
}

fn text(w: &mut Writer, text: &OsStr) {
    count(w, text.len());
    w.fixed(text.as_bytes());
}

fn read_text(r: &mut Reader<'_>) -> Result<OsString, WireError> {
    let length = r.u32()? as usize;
    Ok(OsString::from_vec(r.take(length)?.to_vec()))
}

/// A worker, or none.
fn read_worker(r: &mut Reader<'_>) -> Result<Option<WorkerId>, WireError> {
    Ok(Some(r.u32()?).filter(|&worker| worker != 0).map(WorkerId))
}

impl WorkerProgram {
    fn encode(&self, w: &mut Writer) {
        text(w, self.path.as_os_str());
        count(w, self.arguments.len());
        self.arguments.iter().for_each(|argument| text(w, argument));
        count(w, self.environment.len());
        for (name, value) in &self.environment {
            text(w, name);
            text(w, value);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let path = read_text(r)?.into();
        let arguments = (0..r.u32()?).map(|_| read_text(r)).collect::<Result<_, _>>()?;
        let environment =
            (0..r.u32()?).map(|_| Ok((read_text(r)?, read_text(r)?))).collect::<Result<_, WireError>>()?;
        Ok(Self { path, arguments, environment })
    }
}

impl Relays {
    fn encode(&self, w: &mut Writer) -> io::Result<()> {
        w.flag(self.program.is_some());
        if let Some(program) = &self.program {
            program.encode(w);
        }
        w.u32(keep(self.requests.as_fd())?);
        w.u32(keep(self.asking.as_fd())?);
        count(w, self.all.len());
        for relay in &self.all {
            w.u32(relay.pid);
            w.u32(relay.generation);
            w.u8(match relay.stage {
                relay::Stage::Serves => 0,
                relay::Stage::Leaves => 1,
                relay::Stage::Ends { .. } => 2,
                relay::Stage::Condemned => 3,
            });
            w.u32(keep(relay.process.as_fd())?);
            w.u32(keep(relay.socket.as_fd())?);
        }
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, stop: Duration) -> Result<Self, ListError> {
        let program = if r.flag()? { Some(WorkerProgram::decode(r)?) } else { None };
        let (requests, asking) = (inherit(r.u32()?)?, inherit(r.u32()?)?);
        let mut all = Vec::new();
        for _ in 0..r.u32()? {
            let (pid, generation) = (r.u32()?, r.u32()?);
            let stage = match r.u8()? {
                0 => relay::Stage::Serves,
                1 => relay::Stage::Leaves,
                // the time begins anew
                2 => relay::Stage::Ends { until: stop },
                3 => relay::Stage::Condemned,
                _ => return Err(WireError::BadValue("stage of a relay").into()),
            };
            let (process, socket) = (inherit(r.u32()?)?, inherit(r.u32()?)?);
            all.push(Relay { pid, generation, stage, since: Duration::ZERO, process, socket });
        }
        Ok(Self { program, requests, asking, all, respawn: Respawn::default() })
    }
}

impl Worker {
    fn encode(&self, w: &mut Writer) -> io::Result<()> {
        w.u32(self.pid);
        w.u32(self.generation);
        w.u8(match self.stage {
            Stage::Starting { .. } => 0,
            Stage::Ready => 1,
            Stage::Stopping { .. } => 2,
            Stage::Silent { .. } => 3,
            Stage::Condemned => 4,
        });
        w.flag(self.proved);
        count(w, self.load);
        for descriptor in [&self.process, &self.socket, &self.in_hand] {
            w.u32(keep(descriptor.as_fd())?);
        }
        count(w, self.letters.len());
        for letter in &self.letters {
            let bytes = match letter {
                Letter::Plain(message) => message.to_bytes(),
                Letter::Carry(id) => ToWorker::Carry(vec![(*id, 0)]).to_bytes(),
            };
            w.bytes16(&bytes);
        }
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, start: Duration, stop: Duration) -> Result<Self, ListError> {
        let (pid, generation) = (r.u32()?, r.u32()?);
        let stage = match r.u8()? {
            // the time begins anew
            0 => Stage::Starting { until: start },
            1 => Stage::Ready,
            2 => Stage::Stopping { until: stop },
            3 => Stage::Silent { until: stop },
            4 => Stage::Condemned,
            _ => return Err(WireError::BadValue("stage of a worker").into()),
        };
        let (proved, load) = (r.flag()?, r.u32()? as usize);
        let (process, socket) = (inherit(r.u32()?)?, inherit(r.u32()?)?);
        let in_hand = inherit(r.u32()?)?;
        let mut letters = VecDeque::new();
        for _ in 0..r.u32()? {
            letters.push_back(match ToWorker::parse(r.bytes16()?)? {
                ToWorker::Carry(carried) => match carried.first() {
                    Some((id, _)) => Letter::Carry(*id),
                    None => return Err(WireError::Truncated.into()),
                },
                message => Letter::Plain(message),
            });
        }
        Ok(Self { pid, generation, stage, proved, load, letters, process, socket, in_hand })
    }
}
