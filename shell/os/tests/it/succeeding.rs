//! A holder that replaces itself while its workers are killed.

use crate::carrying::{Ends, kill, turn_until};
use crate::gateway::APPLICATION;
use crate::roles;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};
use symbolon_os::{Event, Holder};

const KILLS: &str = "SYMBOLON_OS_TEST_KILLS";
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
        panic!("{}", holder.replace_self(command));
    }
    println!("\n{ENOUGH}");
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
        let wrong = matches!(event, Event::Ended { .. } | Event::Nonsense { .. } | Event::DidNotStop(_));
        assert!(!wrong, "{event:?}");
    }
}

#[test]
fn a_holder_replaces_itself_without_losing_a_descriptor() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let applications = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut holder = roles::command("holder")
        .env(APPLICATION, applications.local_addr().unwrap().to_string())
        .env(KILLS, (6 * TERM).to_string())
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
    ends.finish();
    said.for_each(drop);
    assert!(holder.wait().unwrap().success());
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
    let error = holder.replace_self(std::process::Command::new("/nonexistent"));
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    kill(holder.pid(worker.unwrap()).unwrap());
    turn_until(&mut holder, |event| matches!(event, Event::Died { .. }));
    turn_until(&mut holder, |event| matches!(event, Event::Ready(_)));
}
