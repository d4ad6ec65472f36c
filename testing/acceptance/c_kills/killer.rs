//! Who kills workers.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use symbolon_acceptance::{Gateway, LIMIT, Signal, finish, step, until};

use crate::counts::Counts;

/// Of so many kills one is of any of the workers, the others of the one that leads.
const ANY_OF: u64 = 4;

/// Lines of the gateway's log that are told with a failure.
const TOLD: usize = 40;

/// `symbolon admin status --json`, not shown.
pub(crate) fn status(gateway: &Gateway) -> Result<Value> {
    let mut command = gateway.machine().symbolon(gateway.words(&["status", "--json"]));
    finish(&mut command, b"", LIMIT)?.success()?.json()
}

/// The worker that leads.
pub(crate) fn leader(gateway: &Gateway) -> Result<u32> {
    let status = status(gateway)?;
    let pid = status["worker"]["pid"].as_u64().with_context(|| format!("no worker leads in {status}"))?;
    Ok(u32::try_from(pid)?)
}

/// All workers: the holder has no other children but relays, and one thread.
pub(crate) fn workers(gateway: &Gateway) -> Result<Vec<u32>> {
    Ok(children(gateway)?.into_iter().filter(|&pid| !is_relay(pid)).collect())
}

/// All relays.
pub(crate) fn relays(gateway: &Gateway) -> Result<Vec<u32>> {
    Ok(children(gateway)?.into_iter().filter(|&pid| is_relay(pid)).collect())
}

fn children(gateway: &Gateway) -> Result<Vec<u32>> {
    let holder = gateway.pid()?;
    let children = std::fs::read_to_string(format!("/proc/{holder}/task/{holder}/children"))?;
    children.split_whitespace().map(|pid| Ok(pid.parse()?)).collect()
}

fn is_relay(pid: u32) -> bool {
    // one that has ended is none
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|&byte| byte == 0).any(|word| word == b"--relay")
}

/// `kill -9`.
pub(crate) fn kill(pid: u32) -> Result<()> {
    let pid = Pid::from_raw(pid.try_into()?).context("no process")?;
    kill_process(pid, Signal::KILL).with_context(|| format!("{pid:?} has ended by itself"))
}

/// Kills the worker that leads, and waits until the next leads, which is returned.
pub(crate) fn kill_leader(gateway: &Gateway) -> Result<u32> {
    let victim = leader(gateway)?;
    kill(victim)?;
    until(LIMIT, "another worker to lead", || leader(gateway).ok().filter(|next| *next != victim))
}

/// Workers that are killed, and have been.
pub(crate) struct Kills {
    leaders: AtomicUsize,
    all: AtomicUsize,
    /// The longest time from a kill to the next leader's first word, in milliseconds; polling is a part of it.
    longest: AtomicUsize,
    /// Held while somebody is being killed, or is not to be.
    knife: Mutex<()>,
}

impl Kills {
    /// While this is held nobody is killed: a client whose handshake is cut off has to begin again.
    pub(crate) fn calm(&self) -> MutexGuard<'_, ()> {
        self.knife.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the leading worker was killed.
    pub(crate) fn leaders(&self) -> usize {
        self.leaders.load(Ordering::SeqCst)
    }

    /// Waits until so many more leading workers were killed.
    pub(crate) fn wait_for_more(&self, more: usize) -> Result<()> {
        let goal = self.leaders() + more;
        until(LIMIT * 2, "kills", || (self.leaders() >= goal).then_some(()))
    }

    fn go_on(&self, gateway: &Gateway, mut chance: Chance, stopped: &Receiver<()>) -> Result<()> {
        let pause = Counts::of_this_run().pause;
        loop {
            match stopped.recv_timeout(chance.below(pause)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let _knife = self.calm();
            let leads = leader(gateway)?;
            let workers = workers(gateway)?;
            ensure!(workers.contains(&leads), "{leads} leads, and the holder's workers are {workers:?}");
            let any = chance.next().is_multiple_of(ANY_OF);
            let victim = if any { workers[chance.index(workers.len())] } else { leads };
            kill(victim)?;
            self.all.fetch_add(1, Ordering::SeqCst);
            if victim == leads {
                let killed = Instant::now();
                until(LIMIT, "another worker to lead", || {
                    leader(gateway).ok().filter(|next| *next != leads)
                })?;
                let stall = usize::try_from(killed.elapsed().as_millis())?;
                self.longest.fetch_max(stall, Ordering::SeqCst);
                self.leaders.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Repeats some work while workers are killed at random instants, until the leading one has been so many times.
pub(crate) fn through_kills(
    gateway: &Gateway,
    leaders: usize,
    mut work: impl FnMut(&Kills) -> Result<()>,
) -> Result<()> {
    let chance = Chance::new()?;
    step!("workers are killed at random instants (seed {})", chance.0);
    let kills = Kills {
        leaders: AtomicUsize::new(0),
        all: AtomicUsize::new(0),
        longest: AtomicUsize::new(0),
        knife: Mutex::new(()),
    };
    let (stop, stopped) = channel();
    let (worked, killed) = std::thread::scope(|scope| {
        let kills = &kills;
        let killer = scope.spawn(move || kills.go_on(gateway, chance, &stopped));
        let worked = loop {
            match work(kills) {
                Ok(()) if kills.leaders() < leaders && !killer.is_finished() => {}
                worked => break worked,
            }
        };
        drop(stop);
        (worked, killer.join().unwrap_or_else(|_| Err(anyhow!("the killer panicked"))))
    });
    let (count, all) = (kills.leaders(), kills.all.load(Ordering::SeqCst));
    step!(
        "{all} killed, of whom {count} led; after at most {} ms the next did",
        kills.longest.load(Ordering::SeqCst)
    );
    let context = || format!("{all} were killed, of whom {count} led. {}", last_words(gateway));
    match (worked, killed) {
        (Ok(()), killed) => killed.with_context(context)?,
        (Err(worked), Ok(())) => return Err(worked).with_context(context),
        (Err(worked), Err(killed)) => bail!("{worked:#}\n{killed:#}\n{}", context()),
    }
    Ok(())
}

/// The end of the gateway's log, for who failed.
pub(crate) fn last_words(gateway: &Gateway) -> String {
    let log = gateway.log();
    let lines: Vec<&str> = log.lines().collect();
    let told = &lines[lines.len().saturating_sub(TOLD)..];
    format!("The gateway's last words:\n{}", told.join("\n"))
}

/// Pseudo-random numbers (SplitMix64), so that a seed repeats them.
struct Chance(u64);

impl Chance {
    fn new() -> Result<Self> {
        match std::env::var("SYMBOLON_ACCEPTANCE_SEED") {
            Ok(seed) => Ok(Self(seed.parse().context("SYMBOLON_ACCEPTANCE_SEED")?)),
            // Each of these hashes under a key of its own.
            Err(_) => Ok(Self(std::hash::RandomState::new().build_hasher().finish())),
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.next() % length.max(1) as u64).unwrap_or_default()
    }

    fn below(&mut self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.next() % micros)
    }
}
