//! The holder and workers that die, babble, refuse and do not stop.

use crate::carrying::{kill, turn_until};
use crate::offering::{OTHER_ENDS, Offered, is_open, is_reset, with_connections};
use crate::roles::{settings, worker};
use rustix::net::SendFlags;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use symbolon_os::{BreakerRules, Death, EndedBy, Event, Holder, WorkerId};

#[test]
fn connections_go_to_the_next_worker_only_when_the_former_is_dead_and_waited_for() {
    let mut offered = with_connections(100);
    let (first, pid) = offered.carrier();
    kill(pid);
    let (mut dead, mut handed, mut carried) = (false, 0, 0);
    turn_until(&mut offered.holder, |event| {
        match event {
            Event::Died { worker, death, connections, .. } => {
                assert_eq!((*worker, *death, *connections), (first, Death::Killed { signal: 9 }, 100));
                dead = true;
            }
            Event::HandedOver { worker, .. } => {
                assert!(dead && *worker != first);
                assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it was waited for");
                handed += 1;
            }
            Event::Carried { .. } => carried += 1,
            _ => {}
        }
        carried == 100
    });
    assert_eq!(handed, 100);
    assert!(offered.all_open(), "nobody noticed");
}

#[test]
fn a_connection_that_crashes_its_workers_is_ended_and_the_others_live() {
    let mut offered = with_connections(3);
    let ids = offered.ids.clone();
    offered.holder.replace_workers(worker("keeps", &[("POISON", ids[0].to_string())]), None);
    let (mut crashes, mut ended, mut carried) = (0, vec![], vec![]);
    turn_until(&mut offered.holder, |event| {
        match event {
            Event::Died { death: Death::Crashed { status: Some(101), .. }, in_hand, .. } => {
                assert_eq!(*in_hand, [ids[0]]);
                crashes += 1;
            }
            Event::Ended { id, why } => ended.push((*id, *why)),
            Event::Carried { id, .. } => carried.push(*id),
            _ => {}
        }
        carried == ids[1..]
    });
    assert_eq!(crashes, 3);
    assert_eq!(ended, [(ids[0], EndedBy::Breaker)]);
    let ends = offered.ends();
    assert!(is_reset(&ends[0]) && is_reset(&ends[1]));
    assert!(ends[2..].iter().all(is_open));
    assert_eq!(offered.holder.connections(), 2);
}

#[test]
fn what_each_thread_of_a_dead_worker_had_in_hand_is_blamed() {
    let mut offered = with_connections(4);
    let ids = offered.ids.clone();
    offered.holder.replace_workers(worker("two hands", &[]), None);
    let (mut crashes, mut ended, mut carried) = (0, vec![], 0);
    turn_until(&mut offered.holder, |event| {
        match event {
            Event::Died { death: Death::Crashed { signal: Some(6), .. }, in_hand, .. } => {
                assert_eq!(*in_hand, ids[..2], "and not what was put down, or another thread does not touch");
                crashes += 1;
            }
            Event::Ended { id, why } => ended.push((*id, *why)),
            Event::Carried { .. } => carried += 1,
            _ => {}
        }
        ended.len() == 2 && carried == 2
    });
    assert_eq!(crashes, 3);
    assert_eq!(ended, [(ids[0], EndedBy::Breaker), (ids[1], EndedBy::Breaker)]);
    let ends = offered.ends();
    assert!(ends[..4].iter().all(is_reset));
    assert!(ends[4..].iter().all(is_open));
}

#[test]
fn kills_are_held_against_a_connection_only_while_it_does_not_go_forward() {
    let breaker = BreakerRules { fruitless_kills: 3, ..BreakerRules::default() };
    for (works, lives) in [("forward", true), ("in vain", false)] {
        let mut offered = Offered::new(1, 1, "keeps", breaker);
        offered.holder.replace_workers(worker("keeps", &[("WORKS", works.into())]), None);
        for kills in 1..=6 {
            let mut ended = false;
            turn_until(&mut offered.holder, |event| {
                ended = matches!(event, Event::Ended { why: EndedBy::Breaker, .. });
                ended || matches!(event, Event::Carried { .. })
            });
            assert_eq!(ended, !lives && kills == 4, "{works} after {} kills", kills - 1);
            if ended {
                assert!(offered.ends().iter().all(is_reset));
                break;
            }
            kill(offered.carrier().1);
        }
        assert_eq!(offered.holder.connections(), usize::from(lives));
    }
}

#[test]
fn a_worker_that_talks_nonsense_is_replaced_and_its_connections_go_on() {
    for (kind, complaint, carried) in [
        ("an unknown message", "an unknown message", 1),
        ("too many bytes", "an unknown message", 1),
        ("too few bytes", "an unknown message", 1),
        ("far too many bytes", "an unknown message", 1),
        ("ready twice", "ready for the second time", 1),
        ("not its own", "a connection that is not its own", 1),
        ("descriptors where none belong", "descriptors where none belong", 1),
        ("a name that is taken", "a name that is not free", 1),
        ("a name of another's", "a name that is not free", 1),
        ("no descriptors", "another number of descriptors than three", 1),
        ("four descriptors", "another number of descriptors than three", 1),
        ("no sockets", "a connection that is no stream socket", 1),
        ("no memory file", "a memory file that is none", 1),
        ("before it is ready", "a connection before it was ready", 0),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let environment = [(OTHER_ENDS, address), ("NONSENSE", kind.into())];
        let mut holder = Holder::new(settings(worker("babbles", &environment), 1)).unwrap();
        turn_until(
            &mut holder,
            |event| matches!(event, Event::Nonsense { what, .. } if { assert_eq!(*what, complaint, "{kind}"); true }),
        );
        holder.replace_workers(worker("keeps", &[]), None);
        let (mut carries, mut deaths, mut ready) = (0, 0, false);
        turn_until(&mut holder, |event| {
            match event {
                Event::Died { death: Death::Crashed { .. }, .. } => deaths += 1,
                Event::Carried { .. } => carries += 1,
                Event::Ready(_) => ready = true,
                _ => {}
            }
            deaths == 1 && ready && carries == carried
        });
        assert_eq!(holder.connections(), carried, "{kind}");
        drop(listener);
    }
}

#[test]
fn a_full_holder_refuses_new_connections_and_keeps_the_old() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut offered = with_connections(5);
    let before = getrlimit(Resource::Nofile);
    let limit = Rlimit { current: Some(64 + 3 * 8), maximum: before.maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    offered.offer(5);
    kill(offered.carrier().1);
    let (mut held, mut full, mut carried) = (0, 0, 0);
    turn_until(&mut offered.holder, |event| {
        held += usize::from(matches!(event, Event::Held { .. }));
        full += usize::from(matches!(event, Event::Full(_)));
        carried += usize::from(matches!(event, Event::Carried { .. }));
        held + full == 5 && carried == 5
    });
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!((held, full), (3, 2));
    assert_eq!(offered.holder.connections(), 8);
    assert!(offered.all_open());
}

#[test]
fn another_program_is_ready_before_the_former_stops() {
    let mut offered = with_connections(30);
    let (former, _) = offered.carrier();
    // without the offers
    offered.holder.replace_workers(worker("keeps", &offered.environment[..1]), None);
    let (mut ready, mut carried): (Option<WorkerId>, usize) = (None, 0);
    turn_until(&mut offered.holder, |event| {
        match event {
            Event::Ready(worker) => ready = Some(*worker),
            Event::Died { worker, death, connections, .. } => {
                assert_eq!((*worker, *death, *connections), (former, Death::Ended, 30));
                assert!(ready.is_some(), "the next is ready before");
            }
            Event::Carried { worker, .. } => {
                assert_eq!(Some(*worker), ready);
                carried += 1;
            }
            _ => {}
        }
        carried == 30
    });
    assert!(offered.all_open());
}

#[test]
fn what_nobody_is_able_to_carry_is_reset() {
    for role in ["refuses", "is full"] {
        let mut offered = with_connections(2);
        offered.holder.replace_workers(worker(role, &[]), None);
        let mut ended = vec![];
        turn_until(&mut offered.holder, |event| {
            if let Event::Ended { id, why } = event {
                ended.push((*id, *why));
            }
            ended.len() == 2
        });
        assert_eq!(ended, offered.ids.iter().map(|&id| (id, EndedBy::NobodyAble)).collect::<Vec<_>>());
        assert!(offered.ends().iter().all(is_reset));
    }
}

#[test]
fn a_worker_that_does_not_stop_or_only_hangs_up_is_killed() {
    for role in ["does not stop", "hangs up"] {
        let mut settings = settings(worker(role, &[]), 1);
        settings.stop_within = Duration::from_millis(50);
        let mut holder = Holder::new(settings).unwrap();
        turn_until(&mut holder, |event| matches!(event, Event::Ready(_)));
        holder.stop();
        let mut told = false;
        while holder.workers() > 0 {
            let events = holder.turn(None, Some(Duration::from_secs(10))).unwrap();
            told |= events.iter().any(|event| matches!(event, Event::DidNotStop(_)));
        }
        assert!(told, "{role}");
    }
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_killed_and_the_next_is_begun() {
    let mut settings = settings(worker("is never ready", &[]), 1);
    settings.start_within = Duration::from_millis(50);
    let mut holder = Holder::new(settings).unwrap();
    let mut told = vec![];
    turn_until(&mut holder, |event| {
        match event {
            Event::Begun { .. } => told.push("begun"),
            Event::DidNotStart(_) => told.push("not ready"),
            Event::Died { never_ready: true, .. } => told.push("dead"),
            _ => {}
        }
        told.len() == 4
    });
    assert_eq!(told, ["begun", "not ready", "dead", "begun"]);
    holder.kill();
}

#[test]
fn workers_that_die_young_are_begun_less_and_less_often() {
    let mut holder = Holder::new(settings(worker("dies young", &[]), 1)).unwrap();
    let (begun, mut times) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_millis(1_500) {
        for event in holder.turn(None, Some(Duration::from_millis(100))).unwrap() {
            times += usize::from(matches!(event, Event::Begun { .. }));
        }
    }
    assert!((2..=7).contains(&times), "begun {times} times");
    // and a program that is not there does not end the holder
    holder.replace_workers(
        symbolon_os::WorkerProgram { path: "/nonexistent".into(), arguments: vec![], environment: vec![] },
        None,
    );
    turn_until(&mut holder, |event| matches!(event, Event::NotBegun(_)));
    holder.replace_workers(worker("keeps", &[]), None);
    turn_until(&mut holder, |event| matches!(event, Event::Ready(_)));
}

#[test]
fn a_worker_has_a_process_group_of_its_own() {
    let mut holder = Holder::new(settings(worker("keeps", &[]), 1)).unwrap();
    let mut begun = None;
    turn_until(&mut holder, |event| {
        if let Event::Begun { pid, .. } = event {
            begun = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap());
        }
        begun.is_some()
    });
    assert_eq!(rustix::process::getpgid(begun).ok(), begun);
}

#[test]
fn workers_are_told_to_read_their_configuration_again() {
    let mut holder = Holder::new(settings(worker("keeps", &[]), 2)).unwrap();
    let mut ready = 0;
    turn_until(&mut holder, |event| {
        ready += usize::from(matches!(event, Event::Ready(_)));
        ready == 2
    });
    holder.reload();
    // these end when they are told
    let mut ended = 0;
    turn_until(&mut holder, |event| {
        ended += usize::from(matches!(event, Event::Died { death: Death::Ended, .. }));
        ended == 2
    });
}

#[test]
fn the_caller_can_wake_the_holder() {
    let mut holder = Holder::new(settings(worker("keeps", &[]), 1)).unwrap();
    turn_until(&mut holder, |event| matches!(event, Event::Ready(_)));
    let (here, there): (OwnedFd, OwnedFd) = symbolon_os::pass::pair().unwrap();
    symbolon_os::pass::send(here.as_fd(), b"!", &[], SendFlags::empty()).unwrap();
    let events = holder.turn(Some(there.as_fd()), Some(Duration::from_secs(10))).unwrap();
    assert_eq!(events, [Event::Woken]);
}
