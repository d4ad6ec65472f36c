//! A holder that replaces itself while its workers are killed.

use crate::carrying::{Ends, kill, turn_until};
use crate::gateway::APPLICATION;
use crate::roles;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use symbolon_os::{Event, Holder};

const KILLS: &str = "SYMBOLON_OS_TEST_KILLS";
const LEADER: &str = "SYMBOLON_OS_TEST_LEADER";
const HELD: &str = "the connections are held";
const ENOUGH: &str = "enough kills";
/// Kills between two successions.
const TERM: usize = 7;

/// A first holder, with a listening socket as its standard input.
pub(crate) fn holder() {
    let listener: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).unwrap();
    let environment = [(APPLICATION, std::env::var(APPLICATION).unwrap())];
    let mut settings = roles::settings(roles::worker("gateway", &environment), 2);
    settings.listeners.push(listener);
    let mut holder = Holder::new(settings).unwrap();
    while holder.connections() < 3 {
        holder.turn(None, Some(Duration::from_secs(10))).unwrap();
    }
    println!("\n{HELD}");
    reign(holder);
}

/// The next holder in the same process.
pub(crate) fn holder_again() {
    let holder = Holder::resume().unwrap();
    assert_eq!(std::env::var(LEADER).unwrap(), format!("{:?}", holder.leader()));
    assert_eq!(holder.connections(), 3, "none was lost on the way");
    reign(holder);
}

/// Kills workers for a term, then lets another holder follow, until there were enough kills.
fn reign(mut holder: Holder) {
    let left: usize = std::env::var(KILLS).unwrap().parse().unwrap();
    let mut random = left as u64 * 0x9E37_79B9 + u64::from(std::process::id());
    for _ in 0..TERM.min(left) {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let until = Instant::now() + Duration::from_micros(random >> 33 & 0x3FFF);
        while let Some(wait) = until.checked_duration_since(Instant::now()) {
            check(holder.turn(None, Some(wait)).unwrap());
        }
        if let Some(pid) = holder.busiest().and_then(|worker| holder.pid(worker)) {
            kill(pid);
        }
    }
    // in the middle of whatever is going on
    if left > TERM {
        let mut command = roles::command("holder again");
        command.env(KILLS, (left - TERM).to_string());
        command.env(LEADER, format!("{:?}", holder.leader()));
        panic!("{}", holder.replace_self(command));
    }
    println!("\n{ENOUGH}");
    if left == 0 {
        // this holder is killed itself
        loop {
            check(holder.turn(None, None).unwrap());
        }
    }
    while holder.connections() > 0 {
        check(holder.turn(None, Some(Duration::from_secs(10))).unwrap());
    }
    holder.stop();
    while holder.workers() > 0 {
        check(holder.turn(None, Some(Duration::from_secs(10))).unwrap());
    }
}

fn check(events: Vec<Event>) {
    for event in events {
        let wrong = matches!(event, Event::Ended { .. } | Event::Nonsense { .. } | Event::DidNotStop(_))
            || matches!(event, Event::Led { before: 0, .. });
        assert!(!wrong, "{event:?}");
    }
}

/// A holder in a process of its own, with three connections that are busy, which has killed so many
/// workers, and the lines that it goes on to say.
fn holder_with_connections(kills: usize) -> (Child, impl Iterator<Item = String>, Ends, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let applications = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut holder = roles::command("holder")
        .env(APPLICATION, applications.local_addr().unwrap().to_string())
        .env(KILLS, kills.to_string())
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut ends = Ends::default();
    for _ in 0..3 {
        ends.connect(address, &applications, 50_000);
    }
    assert!(said.any(|line| line == HELD));
    ends.begin();
    assert!(said.any(|line| line == ENOUGH));
    (holder, said, ends, address)
}

#[test]
fn a_holder_replaces_itself_without_losing_a_descriptor() {
    let (mut holder, said, ends, _) = holder_with_connections(6 * TERM);
    ends.finish();
    said.for_each(drop);
    assert!(holder.wait().unwrap().success());
}

#[test]
fn when_the_holder_is_killed_connections_go_on_and_another_can_listen() {
    let (mut holder, said, ends, address) = holder_with_connections(0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    // the workers close the listening socket as soon as they hear of it
    let begun = Instant::now();
    while TcpListener::bind(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    ends.move_on(1 << 20);
    ends.finish();
    // they have its standard output, and end it when they end
    said.for_each(drop);
}

/// The descriptors that this process would leave open over an exec.
fn left_open() -> BTreeSet<std::path::PathBuf> {
    const CLOSED_BY_EXEC: u32 = 0o2_000_000;
    let flags = |path: &std::path::Path| {
        let info = std::fs::read_to_string(path).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        u32::from_str_radix(flags.trim(), 8).unwrap()
    };
    let all = std::fs::read_dir("/proc/self/fdinfo").unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| flags(path) & CLOSED_BY_EXEC == 0).collect()
}

#[test]
fn a_holder_that_cannot_be_replaced_goes_on() {
    let mut holder = Holder::new(roles::settings(roles::worker("keeps", &[]), 2)).unwrap();
    let mut worker = None;
    turn_until(&mut holder, |event| {
        if let Event::Ready(ready) = event {
            worker = Some(*ready);
        }
        worker.is_some()
    });
    let before = left_open();
    let error = holder.replace_self(std::process::Command::new("/nonexistent"));
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(left_open(), before, "the next worker gets nothing that is not its own");
    // and one that has no descriptor left for the list
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..limit }).unwrap();
    let error = holder.replace_self(std::process::Command::new("/nonexistent"));
    setrlimit(Resource::Nofile, limit).unwrap();
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
    assert_eq!(left_open(), before);
    kill(holder.pid(worker.unwrap()).unwrap());
    turn_until(&mut holder, |event| matches!(event, Event::Died { .. }));
    turn_until(&mut holder, |event| matches!(event, Event::Ready(_)));
}
