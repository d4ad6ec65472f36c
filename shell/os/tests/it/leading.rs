//! Who leads, who waits, and how they are begun and stopped.

use crate::carrying::{kill, turn_until};
use crate::offering::{FIRST, OTHER_ENDS, Offered, is_reset};
use crate::roles::{DIARIES, settings, worker};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use symbolon_os::{BreakerRules, Death, EndedBy, Event, Holder, WorkerId};

const LONG: Option<Duration> = Some(Duration::from_secs(10));

fn path(at: &Path) -> String {
    at.to_str().unwrap().to_owned()
}

/// A file that is there until the first worker takes it away.
fn first(directory: &Path) -> (&'static str, String) {
    std::fs::write(directory.join("first"), "").unwrap();
    (FIRST, path(&directory.join("first")))
}

/// Takes turns until so many workers have become ready. What happened.
fn until_ready(holder: &mut Holder, workers: usize) -> Vec<Event> {
    let (mut all, mut ready) = (vec![], 0);
    turn_until(holder, |event| {
        all.push(event.clone());
        ready += usize::from(matches!(event, Event::Ready(_)));
        ready == workers
    });
    all
}

/// Takes turns until no worker lives. What happened.
fn until_nobody_lives(holder: &mut Holder) -> Vec<Event> {
    let mut all = vec![];
    while holder.workers() > 0 {
        all.extend(holder.turn(None, LONG).unwrap());
    }
    all
}

/// What the processes were told, the one that was told most first.
fn diaries(directory: &Path) -> Vec<Vec<String>> {
    let read =
        |file: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(file.unwrap().path()).unwrap();
    let mut all: Vec<Vec<String>> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| read(file).lines().map(str::to_owned).collect())
        .collect();
    all.sort_by_key(|diary| std::cmp::Reverse(diary.len()));
    all
}

/// A holder with connections and two ready workers, which write down what they are told. The one that leads
/// and carries, and the one that waits.
fn with_a_spare(connections: usize, diaries: &Path) -> (Offered, WorkerId, WorkerId) {
    let mut offered = Offered::new(connections, 2, "keeps", BreakerRules::default());
    let (former, _) = offered.carrier();
    assert_eq!(offered.holder.leader(), Some(former));
    offered.holder.replace_workers(worker("keeps", &[(DIARIES, path(diaries))]), None);
    let (mut ready, mut carried) = (vec![], 0);
    turn_until(&mut offered.holder, |event| {
        if let Event::Ready(worker) = event {
            ready.push(*worker);
        }
        carried += usize::from(matches!(event, Event::Carried { .. }));
        carried == connections
    });
    // until the former ones have ended
    while offered.holder.workers() > 2 {
        offered.holder.turn(None, LONG).unwrap();
    }
    let [.., leader, spare] = ready[..] else { panic!("{ready:?}") };
    assert_eq!(offered.holder.leader(), Some(leader));
    (offered, leader, spare)
}

#[test]
fn of_two_workers_one_leads_and_knows_that_it_is_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [(DIARIES, path(directory.path()))];
    let mut holder = Holder::new(settings(worker("keeps", &environment), 2)).unwrap();
    let happened = until_ready(&mut holder, 2);
    let leader = holder.leader().unwrap();
    let led: Vec<_> = happened.iter().filter(|event| matches!(event, Event::Led { .. })).collect();
    assert_eq!(led, [&Event::Led { worker: leader, before: 0 }]);
    assert!(matches!(happened[0], Event::Begun { worker, .. } if worker == leader));
    assert_eq!(happened[1], *led[0], "it need not be ready to be told");
    holder.stop();
    until_nobody_lives(&mut holder);
    assert_eq!(holder.leader(), None);
    let told = diaries(directory.path());
    assert_eq!(told, [vec!["lead as the first", "stop as the last"], vec!["stop as the last"]]);
}

#[test]
fn when_the_leader_is_killed_the_next_leads_and_then_carries() {
    let directory = tempfile::tempdir().unwrap();
    let (mut offered, leader, spare) = with_a_spare(5, directory.path());
    kill(offered.holder.pid(leader).unwrap());
    // all of it in one turn
    let happened = loop {
        let events = offered.holder.turn(None, LONG).unwrap();
        if events.iter().any(|event| matches!(event, Event::Died { .. })) {
            break events;
        }
    };
    let died = happened.iter().position(|event| matches!(event, Event::Died { .. })).unwrap();
    assert!(matches!(happened[died + 1], Event::Led { worker, before: 1.. } if worker == spare));
    let handed = offered.ids.iter().map(|&id| Event::HandedOver { id, worker: spare });
    assert_eq!(happened[died + 2..], handed.collect::<Vec<_>>());
    assert_eq!(offered.holder.leader(), Some(spare));
    let last = offered.ids[4];
    turn_until(&mut offered.holder, |event| matches!(event, Event::Carried { id, .. } if *id == last));
    assert_eq!(diaries(directory.path()), [["lead", "carry"], ["lead", "carry"]]);
    assert!(offered.all_open());
}

#[test]
fn what_the_leader_does_not_know_a_worker_of_another_program_carries_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut offered, leader, spare) = with_a_spare(2, directory.path());
    // not all of these will be ready, so the former ones stay
    offered
        .holder
        .replace_workers(worker("one refuses, one is never ready", &[first(directory.path())]), None);
    let happened = until_ready(&mut offered.holder, 1);
    let Some(Event::Ready(newest)) = happened.last() else { panic!("{happened:?}") };
    kill(offered.holder.pid(leader).unwrap());
    let mut carried = 0;
    turn_until(&mut offered.holder, |event| {
        if let Event::Carried { worker, .. } = event {
            assert_eq!(*worker, spare);
            carried += 1;
        }
        carried == 2
    });
    assert_eq!(offered.holder.leader(), Some(*newest));
    assert!(offered.all_open());
    kill(offered.holder.pid(spare).unwrap());
    let mut ended = vec![];
    turn_until(&mut offered.holder, |event| {
        if let Event::Ended { id, why } = event {
            ended.push((*id, *why));
        }
        ended.len() == 2
    });
    assert_eq!(ended, [0, 1].map(|i| (offered.ids[i], EndedBy::NobodyAble)));
    assert!(offered.ends().iter().all(is_reset));
}

#[test]
fn a_connection_of_a_worker_that_does_not_lead_is_nonsense() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let environment =
        [(OTHER_ENDS, address), ("NONSENSE", "without leading".into()), first(directory.path())];
    let mut holder = Holder::new(settings(worker("babbles", &environment), 2)).unwrap();
    let mut babbled = None;
    turn_until(&mut holder, |event| {
        if let Event::Nonsense { worker, what } = event {
            babbled = Some((*worker, *what));
        }
        babbled.is_some()
    });
    let (worker, what) = babbled.unwrap();
    assert_eq!(what, "a connection of one that does not lead");
    assert!(holder.leader().is_some_and(|leader| leader != worker));
    assert_eq!(holder.connections(), 0);
}

#[test]
fn workers_are_begun_one_after_the_other() {
    let mut holder = Holder::new(settings(worker("keeps", &[]), 3)).unwrap();
    let (mut starting, mut ready) = (None, BTreeSet::new());
    for round in 0..2 {
        for killed in ready.iter().copied().take(2).collect::<Vec<_>>() {
            kill(holder.pid(killed).unwrap());
            ready.remove(&killed);
        }
        while ready.len() < 3 {
            for event in holder.turn(None, LONG).unwrap() {
                match event {
                    Event::Begun { worker, .. } => {
                        assert_eq!(starting.replace(worker), None, "two at once");
                    }
                    Event::Ready(worker) => {
                        assert_eq!(starting.take(), Some(worker));
                        ready.insert(worker);
                    }
                    Event::Led { before, .. } => assert_eq!(before == 0, round == 0),
                    Event::Died { worker, .. } => assert!(!ready.contains(&worker)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_worker_that_is_never_ready_does_not_keep_another_program_from_its_start() {
    let mut holder = Holder::new(settings(worker("is never ready", &[]), 2)).unwrap();
    turn_until(&mut holder, |event| matches!(event, Event::Begun { .. }));
    let never = holder.leader().unwrap();
    holder.replace_workers(worker("keeps", &[]), None);
    let happened = until_ready(&mut holder, 2);
    let at = |is: &dyn Fn(&Event) -> bool| happened.iter().position(is).unwrap();
    let died = at(
        &|event| matches!(event, Event::Died { worker, death: Death::Ended, never_ready: false, .. } if *worker == never),
    );
    assert!(died < at(&|event| matches!(event, Event::Begun { .. })), "not two at once");
    assert!(died < at(&|event| matches!(event, Event::Led { before: 0, .. })), "nobody was ready yet");
}

#[test]
fn that_a_program_never_came_to_be_ready_is_told_with_its_status() {
    let mut holder = Holder::new(settings(worker("dies young", &[]), 2)).unwrap();
    let panicked = Death::Crashed { status: Some(101), signal: None };
    let next = |holder: &mut Holder| {
        let mut died = None;
        turn_until(holder, |event| {
            if let Event::Died { death, never_ready, .. } = event {
                died = Some((*death, *never_ready));
            }
            died.is_some()
        });
        died.unwrap()
    };
    assert_eq!(next(&mut holder), (panicked, true));
    assert_eq!(next(&mut holder), (panicked, true));
    holder.replace_workers(worker("keeps", &[]), None);
    until_ready(&mut holder, 2);
    holder.replace_workers(worker("dies young", &[]), None);
    assert_eq!(next(&mut holder), (panicked, false));
}

#[test]
fn who_was_told_to_stop_is_told_again_when_the_family_ends() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [(DIARIES, path(directory.path())), ("LINGERS", "".into())];
    let mut holder = Holder::new(settings(worker("keeps", &environment), 1)).unwrap();
    until_ready(&mut holder, 1);
    let former = holder.leader();
    holder.replace_workers(worker("keeps", &[]), None);
    let begun = Instant::now();
    while diaries(directory.path()) != [["lead as the first", "stop"]] {
        assert!(begun.elapsed() < Duration::from_secs(20));
        holder.turn(None, Some(Duration::from_millis(10))).unwrap();
    }
    assert_eq!(holder.leader(), former, "it leads as long as it lives");
    holder.stop();
    holder.stop();
    for event in until_nobody_lives(&mut holder) {
        assert!(matches!(event, Event::Died { death: Death::Ended, .. }), "{event:?}");
    }
    assert_eq!(diaries(directory.path()), [["lead as the first", "stop", "stop as the last"]]);
}

#[test]
fn a_holder_that_is_to_end_at_once_kills_its_workers() {
    for stopped_before in [false, true] {
        let mut holder = Holder::new(settings(worker("does not stop", &[]), 2)).unwrap();
        until_ready(&mut holder, 2);
        if stopped_before {
            holder.stop();
        }
        holder.kill();
        let happened = until_nobody_lives(&mut holder);
        assert_eq!(happened.len(), 2, "{happened:?}");
        for event in happened {
            let killed = Death::Crashed { status: None, signal: Some(9) };
            assert!(matches!(event, Event::Died { death, .. } if death == killed), "{event:?}");
        }
        assert_eq!(holder.turn(None, Some(Duration::ZERO)).unwrap(), [], "and begins nobody");
    }
}
