//! Connections that are carried on: killed after every store and every system call.

mod drive;
mod faults;
mod kernel;
mod record;
mod tls;

use drive::{Layer, Process, Says, Story, World, WorldOf};
use proptest::prelude::*;
use symbolon_session::ledger::{Ended, Entry, LedgerError, Truncation};

/// Half a hundred records each way, key updates asked for and of our own, and an orderly end.
fn both_ways() -> Story {
    let mut client = vec![];
    for i in 0..9_u8 {
        client.push(Says::Data((0..=i % 5 * 2).map(|j| i * 16 + j).collect()));
        if i % 3 == 1 {
            client.push(Says::KeyUpdate { reply: i % 2 == 0 });
        }
    }
    client.push(Says::Data(vec![]));
    client.push(Says::CloseNotify);
    Story {
        client,
        application: (0..150).collect(),
        client_pieces: vec![3, 0, 11, 1, 40],
        application_pieces: vec![7, 30, 0, 2, 19, 64],
        truncation: Truncation::Passed,
        application_resets_at: None,
    }
}

/// Both ends got everything, once, in order.
fn assert_whole<L: Layer>(story: &Story, world: &WorldOf<L>, ended: Process, when: &str) {
    assert_eq!(ended, Process::Ended(Ended::Orderly), "{when}");
    let saw = world.client_saw();
    assert!(!saw.wrong && !saw.cut && saw.closed, "{when}: {saw:?}");
    assert_eq!(saw.data, story.application, "{when}");
    assert_eq!(world.kernel.application.outgoing, story.upload(), "{when}");
    assert!(world.kernel.client.own_end && world.kernel.application.own_end, "{when}");
}

/// No byte is wrong, whatever is missing.
fn nothing_wrong<L: Layer>(story: &Story, world: &WorldOf<L>) -> Result<(), String> {
    let saw = world.client_saw();
    if saw.wrong {
        return Err("the client got a record that does not open".into());
    }
    if !story.application.starts_with(&saw.data) {
        return Err("the client got other bytes".into());
    }
    if saw.closed && saw.data != story.application {
        return Err("the client was told an end too early".into());
    }
    let upload = story.upload();
    if !upload.starts_with(&world.kernel.application.outgoing) {
        return Err("the application got other bytes".into());
    }
    if world.kernel.application.own_end && world.kernel.application.outgoing != upload {
        return Err("the application was told an end too early".into());
    }
    Ok(())
}

/// How much fuel the story takes when nobody is killed.
fn whole_run(story: &Story, every_word: bool) -> u64 {
    let mut world = World::new(story, every_word);
    let ended = world.begin();
    assert_whole(story, &world, ended, "undisturbed");
    world.fuel.used()
}

/// Kills the processes one after the other after so many stores and system calls, then lets one live.
/// None if the first was killed before its first commit, with which a connection begins to be carried.
fn killed_after<L: Layer>(story: &Story, world: &mut WorldOf<L>, kills: &[u64]) -> Option<Process> {
    let mut process = None;
    for &kill in kills.iter().chain(&[u64::MAX]) {
        world.fuel.refill(kill);
        process = Some(match process {
            None => world.begin(),
            Some(_) => world.adopt(),
        });
        if let Some(ended @ Process::Ended(_)) = process {
            return Some(ended);
        }
        if process == Some(Process::Refused(LedgerError::Damaged)) {
            assert!(world.kernel.client.outgoing.is_empty() && world.kernel.application.outgoing.is_empty());
            assert_eq!(nothing_wrong(story, world), Ok(()));
            return None;
        }
    }
    process
}

#[test]
fn killed_after_any_store_or_system_call_it_goes_on_without_a_lost_byte() {
    let story = both_ways();
    let steps = whole_run(&story, true);
    assert!(steps > 700, "the story is long enough: {steps}");
    let mut begun = 0;
    for kill in 0..=steps {
        let mut world = World::new(&story, true);
        if let Some(ended) = killed_after(&story, &mut world, &[kill]) {
            assert_whole(&story, &world, ended, &format!("killed after {kill}"));
            begun += 1;
        }
    }
    assert!(begun > steps - 100, "only the very first commit has nothing before it: {begun} of {steps}");
}

#[test]
fn the_next_process_may_be_killed_at_any_point_too() {
    let story =
        Story { client: both_ways().client[6..].to_vec(), application: (0..60).collect(), ..both_ways() };
    let steps = whole_run(&story, false);
    for first in 0..=steps {
        for second in 0..=steps - first + 20 {
            let mut world = World::new(&story, false);
            if let Some(ended) = killed_after(&story, &mut world, &[first, second]) {
                assert_whole(&story, &world, ended, &format!("killed after {first}, then {second}"));
            }
        }
    }
}

#[test]
fn processes_that_all_die_young_bring_it_to_its_end_together() {
    for every_word in [false, true] {
        for life in 30..80 {
            let story = both_ways();
            let mut world = World::new(&story, every_word);
            // the first lives until it has committed; each of the others commits once before it moves a
            // byte, and shorter lives get nowhere
            let kills = [vec![100], vec![life; 4_000]].concat();
            let ended = killed_after(&story, &mut world, &kills).unwrap();
            assert_whole(&story, &world, ended, &format!("lives of {life}"));
        }
    }
}

#[test]
fn a_key_update_that_the_client_asks_for_comes_once_whoever_answers() {
    let story = Story {
        client: vec![Says::KeyUpdate { reply: true }, Says::Data(vec![1]), Says::CloseNotify],
        application: vec![5; 8],
        client_pieces: vec![20],
        application_pieces: vec![1, 0, 1, 0, 1, 1],
        ..both_ways()
    };
    for kill in 70..=whole_run(&story, true) {
        let mut world = World::new(&story, true);
        if let Some(ended) = killed_after(&story, &mut world, &[kill]) {
            assert_whole(&story, &world, ended, &format!("killed after {kill}"));
            let saw = world.client_saw();
            // the application's bytes come one by one, so that there is one of our own, too
            let own = usize::try_from(8 / record::KEY_LASTS).unwrap();
            assert!((1..=1 + own).contains(&saw.key_updates), "killed after {kill}: {saw:?}");
        }
    }
}

#[test]
fn without_commits_a_kill_costs_bytes() {
    type Forgets = fn(&Entry) -> bool;
    let up_only = || Story { application: vec![], ..both_ways() };
    let forgets: [(&str, Story, Forgets); 3] = [
        ("everything", both_ways(), |_| true),
        ("what it means to send", both_ways(), |entry| entry.to_client.intent.is_some()),
        ("what it passed on", up_only(), |entry| entry.to_client.intent.is_none()),
    ];
    for (what, story, forgets) in forgets {
        let steps = whole_run(&story, true);
        let mut wrong = 0;
        for kill in (100..steps).step_by(3) {
            let mut world = World::new(&story, true);
            world.forgets = forgets;
            world.fuel.refill(kill);
            if world.begin() == Process::Killed {
                world.fuel.refill(u64::MAX);
                // the numbers of the toy are used twice then, which it notices too
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.adopt()));
                let whole = outcome.is_ok_and(|ended| ended == Process::Ended(Ended::Orderly))
                    && nothing_wrong(&story, &world).is_ok();
                wrong += u64::from(!whole);
            }
        }
        assert!(wrong > 0, "the tests above would notice a ledger that forgets {what}");
    }
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    // one that is not nothing, or nothing ever arrives
    (prop::collection::vec(0..70_usize, 0..6), 1..70_usize).prop_map(|(mut pieces, last)| {
        pieces.push(last);
        pieces
    })
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..=24).prop_map(Says::Data),
        1 => any::<bool>().prop_map(|reply| Says::KeyUpdate { reply }),
    ]
}

fn any_story() -> impl Strategy<Value = Story> {
    (
        prop::collection::vec(says(), 0..20),
        prop::collection::vec(any::<u8>(), 0..300),
        pieces(),
        pieces(),
        any::<bool>(),
    )
        .prop_map(|(mut client, application, client_pieces, application_pieces, orderly)| {
            if orderly {
                client.push(Says::CloseNotify);
            }
            Story {
                client,
                application,
                client_pieces,
                application_pieces,
                truncation: Truncation::Passed,
                application_resets_at: None,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_transfer_survives_any_kills(
        story in any_story(),
        kills in prop::collection::vec(0..400_u64, 0..12),
        every_word in any::<bool>(),
    ) {
        let mut world = World::new(&story, every_word);
        if let Some(ended) = killed_after(&story, &mut world, &kills) {
            assert_whole(&story, &world, ended, &format!("{kills:?}"));
        }
    }
}
