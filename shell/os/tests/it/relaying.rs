//! The relay: begun when somebody asks, replaced when it is dead, and ended with the family.

use crate::carrying::kill;
use crate::roles::{settings, worker};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};
use symbolon_os::{Death, Event, FromHolder, Holder, HolderLink, HolderSettings, WorkerProgram, pass};

/// Where a worker writes who answered.
const ANSWERS: &str = "SYMBOLON_OS_TEST_ANSWERS";

/// A worker that asks when it leads, and whenever it is told to read its configuration.
pub(crate) fn asks() {
    let link = HolderLink::from_standard_input().unwrap();
    let FromHolder::Begin { relay, .. } = link.receive().unwrap() else { panic!("the first message") };
    link.ready().unwrap();
    loop {
        match link.receive().unwrap() {
            FromHolder::Lead { .. } | FromHolder::Reload => {
                let (answer, theirs) = pass::pair().unwrap();
                pass::send(relay.as_fd(), b"who?", &[theirs.as_fd()], SendFlags::empty()).unwrap();
                drop(theirs);
                let said = pass::receive(answer.as_fd(), RecvFlags::empty()).unwrap();
                let said =
                    said.map_or("nobody".to_owned(), |m| String::from_utf8_lossy(m.bytes()).into_owned());
                let file = std::env::var(ANSWERS).unwrap();
                let before = std::fs::read_to_string(&file).unwrap_or_default();
                std::fs::write(file, format!("{before}{said}\n")).unwrap();
            }
            FromHolder::Stop { .. } | FromHolder::HolderGone => return,
            _ => {}
        }
    }
}

/// A relay that says who it is, and has something to carry until the family ends.
pub(crate) fn relays() {
    let link = HolderLink::from_standard_input().unwrap();
    let FromHolder::Relay { requests } = link.receive().unwrap() else { panic!("the first message") };
    let mut serves = true;
    loop {
        let mut fds = vec![PollFd::new(&link, PollFlags::IN)];
        fds.extend(serves.then(|| PollFd::new(&requests, PollFlags::IN)));
        poll(&mut fds, None).unwrap();
        if !fds[0].revents().is_empty() {
            match link.receive().unwrap() {
                FromHolder::Stop { last: false } => serves = false,
                _ => return,
            }
        } else if let Ok(Some(asked)) = pass::receive(requests.as_fd(), RecvFlags::DONTWAIT) {
            let me = std::process::id().to_string();
            pass::send(asked.descriptors[0].as_fd(), me.as_bytes(), &[], SendFlags::empty()).unwrap();
        }
    }
}

/// A holder whose worker asks, and this relay; where the answers are.
fn holder(relay: WorkerProgram, directory: &Path) -> (Holder, WorkerProgram) {
    let file = directory.join("answers").to_str().unwrap().to_owned();
    let program = worker("asks", &[(ANSWERS, file)]);
    let holder = Holder::new(HolderSettings { relay: Some(relay), ..settings(program.clone(), 1) }).unwrap();
    (holder, program)
}

/// Takes turns until there are so many answers.
fn answers(holder: &mut Holder, directory: &Path, count: usize) -> (Vec<String>, Vec<Event>) {
    let (begun, mut events) = (Instant::now(), vec![]);
    loop {
        let said = std::fs::read_to_string(directory.join("answers")).unwrap_or_default();
        let said: Vec<String> = said.lines().map(str::to_owned).collect();
        if said.len() >= count {
            return (said, events);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{events:?}");
        events.extend(holder.turn(None, Some(Duration::from_millis(10))).unwrap());
    }
}

fn until_nobody_lives(holder: &mut Holder) -> Vec<Event> {
    let mut all = vec![];
    while holder.processes() > 0 {
        all.extend(holder.turn(None, Some(Duration::from_secs(10))).unwrap());
    }
    all
}

#[test]
fn a_relay_is_begun_when_somebody_asks_and_again_when_it_is_dead() {
    let directory = tempfile::tempdir().unwrap();
    let (mut holder, _) = holder(worker("relays", &[]), directory.path());
    assert!(holder.relays().is_empty());
    let mut dead = vec![];
    for round in 1..=4 {
        let (said, events) = answers(&mut holder, directory.path(), round);
        let now = holder.relays();
        assert_eq!(said[round - 1], now[0].to_string(), "{events:?}");
        assert!(now.len() == 1 && !dead.contains(&now[0]));
        let answered_twice = |holder: &mut Holder| {
            holder.reload();
            answers(holder, directory.path(), round + 1).0
        };
        if round == 4 {
            let said = answered_twice(&mut holder);
            assert_eq!(said[4], now[0].to_string(), "the same, as long as it lives");
            break;
        }
        kill(now[0]);
        while !holder.relays().is_empty() {
            holder.turn(None, Some(Duration::from_secs(10))).unwrap();
        }
        dead.push(now[0]);
        holder.reload();
    }
    holder.stop();
    let events = until_nobody_lives(&mut holder);
    assert!(events.iter().any(|e| matches!(e, Event::RelayDied { death: Death::Ended, .. })), "{events:?}");
}

#[test]
fn a_relay_of_a_former_program_carries_on_and_another_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (mut holder, program) = holder(worker("relays", &[]), directory.path());
    let (said, _) = answers(&mut holder, directory.path(), 1);
    holder.replace_workers(program, Some(worker("relays", &[])));
    // the new worker asks as soon as it leads
    let (more, events) = answers(&mut holder, directory.path(), 2);
    assert_ne!(said[0], more[1], "{events:?}");
    assert_eq!(holder.relays().iter().map(u32::to_string).collect::<Vec<_>>(), more);
    holder.stop();
    until_nobody_lives(&mut holder);
}

#[test]
fn a_relay_that_dies_at_once_is_begun_with_pauses() {
    let directory = tempfile::tempdir().unwrap();
    let (mut holder, _) = holder(worker("dies young", &[]), directory.path());
    let (begun, mut relays) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) {
        let events = holder.turn(None, Some(Duration::from_millis(100))).unwrap();
        relays += events.iter().filter(|e| matches!(e, Event::RelayBegun { .. })).count();
    }
    // at once, at once, after 0.1, 0.2, 0.4, 0.8 s
    assert!((2..=7).contains(&relays), "{relays}");
    holder.kill();
    until_nobody_lives(&mut holder);
}
