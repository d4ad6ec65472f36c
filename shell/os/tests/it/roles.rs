//! This program again, as a worker or a holder.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use symbolon_os::{
    FromHolder, HeldConnection, HolderLink, HolderSettings, MemoryFile, Unable, WorkerProgram,
};
use symbolon_session::ledger::{LedgerMemory, STAMP_AT};

/// Where workers write down what the holder says.
pub(crate) const DIARIES: &str = "SYMBOLON_OS_TEST_DIARIES";
const ROLE: &str = "SYMBOLON_OS_TEST_ROLE";
const ARGUMENTS: [&str; 3] = ["roles::the_role_that_another_test_gave", "--exact", "--nocapture"];

/// Not a test of its own: what the processes do that other tests start. Without a role it does nothing.
#[test]
fn the_role_that_another_test_gave() {
    match std::env::var(ROLE).unwrap_or_default().as_str() {
        "gateway" => crate::gateway::run(),
        "keeps" => keeps(None),
        "two hands" => two_hands(),
        "one refuses, one is never ready" if crate::offering::is_first() => keeps(Some(Unable::Layout)),
        "one refuses, one is never ready" | "is never ready" => is_never_ready(),
        "asks" => crate::relaying::asks(),
        "relays" => crate::relaying::relays(),
        "refuses" => keeps(Some(Unable::Layout)),
        "is full" => keeps(Some(Unable::Exhausted)),
        "dies young" => panic!("before it is ready"),
        "babbles" => crate::offering::babbles(),
        "does not stop" => does_not_stop(),
        "hangs up" => hangs_up(),
        "holder" => crate::succeeding::holder(),
        "holder again" => crate::succeeding::holder_again(),
        "few descriptors" => crate::passing::few_descriptors(),
        _ => {}
    }
}

/// This program in a role.
pub(crate) fn worker(role: &str, environment: &[(&str, String)]) -> WorkerProgram {
    // a worker that panics dies at once, rather than after a second of looking up names
    let mut all = vec![(ROLE.into(), role.into()), ("RUST_BACKTRACE".into(), OsString::from("0"))];
    all.extend(environment.iter().map(|(name, value)| (name.into(), value.into())));
    WorkerProgram {
        path: std::env::current_exe().unwrap(),
        arguments: ARGUMENTS.iter().map(Into::into).collect(),
        environment: all,
    }
}

/// This program in a role, as a command.
pub(crate) fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(ARGUMENTS).env(ROLE, role);
    command
}

/// A holder of such workers.
pub(crate) fn settings(program: WorkerProgram, workers: usize) -> HolderSettings {
    HolderSettings {
        program,
        relay: None,
        workers,
        listeners: vec![],
        breaker: symbolon_os::BreakerRules::default(),
        start_within: std::time::Duration::from_secs(10),
        stop_within: std::time::Duration::from_secs(10),
    }
}

/// A worker that carries without moving a byte, or refuses to. What else it does stands in its
/// environment.
fn keeps(refuses: Option<Unable>) {
    let link = HolderLink::from_standard_input().unwrap();
    let FromHolder::Begin { in_hand, .. } = link.receive().unwrap() else { panic!("the first message") };
    link.ready().unwrap();
    let mut kept = vec![];
    let (poison, works) = (std::env::var("POISON").ok(), std::env::var("WORKS").ok());
    loop {
        let message = link.receive().unwrap();
        diary(&message);
        match message {
            FromHolder::Lead { .. } => {
                // the first that finds the file offers so many connections
                let offers = std::env::var("OFFERS").ok().and_then(|file| {
                    let count = std::fs::read_to_string(&file).ok()?.parse().ok()?;
                    std::fs::remove_file(file).ok().map(|()| count)
                });
                for _ in 0..offers.unwrap_or(0) {
                    kept.push(crate::offering::offer(&link));
                }
            }
            FromHolder::Carry(connections) => {
                for held in connections {
                    in_hand.take(held.id);
                    assert_ne!(poison, Some(held.id.to_string()), "this one is too much for it");
                    match refuses {
                        Some(why) => link.unable(held.id, why).unwrap(),
                        None => carries(&link, held, works.as_deref()),
                    }
                    if works.is_none() {
                        in_hand.put_down();
                    }
                }
            }
            FromHolder::Stop { last: false } if std::env::var("LINGERS").is_ok() => {}
            FromHolder::Stop { .. } | FromHolder::HolderGone => return,
            // as a sign to the test
            FromHolder::Reload => return,
            FromHolder::Begin { .. } | FromHolder::Relay { .. } | FromHolder::NotHeld(_) => {}
        }
    }
}

/// Writes down what the holder said, for the test, in a file of this process.
fn diary(message: &FromHolder) {
    let line = match message {
        FromHolder::Lead { before: 0 } => "lead as the first",
        FromHolder::Lead { .. } => "lead",
        FromHolder::Carry(_) => "carry",
        FromHolder::Stop { last: true } => "stop as the last",
        FromHolder::Stop { last: false } => "stop",
        _ => return,
    };
    if let Ok(diaries) = std::env::var(DIARIES) {
        let path = Path::new(&diaries).join(std::process::id().to_string());
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// Carries a connection as long as the process lives, and commits where that is asked.
fn carries(link: &HolderLink, held: HeldConnection, works: Option<&str>) {
    if works == Some("forward") {
        let mut memory = MemoryFile::open(held.memory.try_clone().unwrap()).unwrap();
        memory.publish(STAMP_AT / 8, std::process::id().into());
    }
    link.carried(held.id).unwrap();
    std::mem::forget(held);
}

/// A worker that dies of the first two connections of the family, each in a thread's hand.
fn two_hands() {
    symbolon_os::forbid_dumps().unwrap();
    let link = HolderLink::from_standard_input().unwrap();
    let FromHolder::Begin { in_hand, .. } = link.receive().unwrap() else { panic!("the first message") };
    link.ready().unwrap();
    let poison = |held: &HeldConnection| ["1.1", "1.2"].contains(&held.id.to_string().as_str());
    loop {
        let connections = match link.receive().unwrap() {
            FromHolder::Carry(connections) => connections,
            FromHolder::Stop { .. } | FromHolder::HolderGone => return,
            _ => continue,
        };
        if connections.iter().filter(|held| poison(held)).count() == 2 {
            let (both, in_hand) = (&std::sync::Barrier::new(3), &in_hand);
            std::thread::scope(|threads| {
                for held in &connections {
                    let thread = threads.spawn(move || {
                        in_hand.take(held.id);
                        if poison(held) {
                            both.wait();
                            std::thread::park();
                        }
                        in_hand.put_down();
                    });
                    if !poison(held) {
                        thread.join().unwrap();
                    }
                }
                both.wait();
                std::process::abort();
            });
        }
        for held in connections {
            carries(&link, held, None);
        }
    }
}

/// A worker whose start takes until it is told to stop.
fn is_never_ready() {
    let link = HolderLink::from_standard_input().unwrap();
    while !matches!(link.receive().unwrap(), FromHolder::Stop { .. } | FromHolder::HolderGone) {}
}

/// A worker that hears and does not obey.
fn does_not_stop() {
    let link = HolderLink::from_standard_input().unwrap();
    link.ready().unwrap();
    loop {
        if matches!(link.receive().unwrap(), FromHolder::HolderGone) {
            return;
        }
    }
}

/// A worker that closes its socket and lives on, until it is killed.
fn hangs_up() {
    let link = HolderLink::from_standard_input().unwrap();
    link.ready().unwrap();
    let (_here, there) = symbolon_os::pass::pair().unwrap();
    drop(link);
    let _ = symbolon_os::pass::receive(there.as_fd(), rustix::net::RecvFlags::empty());
}
