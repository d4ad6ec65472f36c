//! Ledgers that are damaged, counters that contradict them, and ends that are not orderly.

use super::drive::{Process, Says, Story, World};
use super::kernel::Stores;
use super::record::BAD_RECORD;
use super::{assert_whole, both_ways, nothing_wrong, whole_run};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::{
    Ended, Geometry, LAYOUT, LEDGER_BYTES, Ledger, LedgerError, Lost, STAMP_AT, Truncation,
};

/// The story until its process was killed after so much.
fn killed(story: &Story, after: u64) -> World {
    let mut world = World::new(story, true);
    world.fuel.refill(after);
    assert_eq!(world.begin(), Process::Killed);
    world.fuel.refill(u64::MAX);
    world
}

/// A process carries the story to its end without being killed.
fn undisturbed(story: &Story) -> (World, Process) {
    let mut world = World::new(story, true);
    let ended = world.begin();
    (world, ended)
}

#[test]
fn a_ledger_that_is_damaged_at_any_byte_never_gives_a_wrong_one() {
    let story = both_ways();
    let (mut refused, mut carried) = (0, 0);
    for kill in (120..whole_run(&story, true)).step_by(61) {
        for byte in 0..LEDGER_BYTES {
            let mut world = killed(&story, kill);
            let mask = [0x01, 0x80, 0xFF, 0x10][(byte + kill as usize) % 4];
            world.kernel.memory.words[byte / 8] ^= mask << (byte % 8 * 8);
            let ended = world.adopt();
            let when = format!("killed after {kill}, byte {byte} damaged by {mask:#x}");
            if ended == Process::Ended(Ended::Orderly) {
                assert_whole(&story, &world, ended, &when);
                carried += 1;
            } else {
                assert!(matches!(ended, Process::Refused(_)), "{when}: {ended:?}");
                assert_eq!(nothing_wrong(&story, &world), Ok(()), "{when}");
                refused += 1;
            }
        }
    }
    // of the two slots and the two places for keys one counts
    assert!(refused > 1_000 && carried > 1_000, "{refused} refused, {carried} carried on");
}

#[test]
fn counters_that_the_ledger_cannot_explain_end_the_connection() {
    let story = both_ways();
    for kill in (120..whole_run(&story, true)).step_by(13) {
        // somebody else wrote to the client, more than any record in hand
        let mut world = killed(&story, kill);
        if !world.kernel.client.own_end {
            world.kernel.client.outgoing.extend([0; 40]);
            let ended = world.adopt();
            assert!(
                matches!(ended, Process::Ended(Ended::Lost(Lost::ClientCount { .. }))),
                "killed after {kill}: {ended:?}"
            );
        }
        // somebody else wrote to the application
        let mut world = killed(&story, kill);
        if !world.kernel.application.own_end {
            world.kernel.application.outgoing.extend([0; 40]);
            let ended = world.adopt();
            assert!(
                matches!(
                    ended,
                    Process::Ended(Ended::Lost(Lost::ApplicationCount { .. } | Lost::ApplicationGone))
                ) || ended == Process::Ended(Ended::Orderly),
                "killed after {kill}: {ended:?}"
            );
            if ended == Process::Ended(Ended::Orderly) {
                assert!(world.kernel.application.own_end, "all was passed on before, and committed");
            }
        }
    }
}

#[test]
fn another_layout_is_left_to_a_program_that_knows_it() {
    let mut world = killed(&both_ways(), 300);
    let geometry = {
        let memory = Stores(&mut world.kernel.memory, &world.fuel);
        Ledger::geometry_in(&memory).unwrap()
    };
    assert_eq!(geometry, Geometry::new(ConnectionId([9; 16]), 64, 64).unwrap());
    // a slot of the layout to come, whole and sealed by its own checksum
    let words = &mut world.kernel.memory.words;
    let index = words[STAMP_AT / 8];
    let slot = 8 + 16 * (index & 1) as usize;
    words[slot + 1] = words[slot + 1] & !0xFFFF | u64::from(LAYOUT + 1);
    let mut sum = 0x9E37_79B9_7F4A_7C15 ^ 15;
    for word in &words[slot..slot + 15] {
        sum = (sum ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^= sum >> 29;
    }
    words[slot + 15] = sum;
    let before = world.kernel.memory.words.clone();
    assert_eq!(world.adopt(), Process::Refused(LedgerError::UnknownLayout(LAYOUT + 1)));
    assert_eq!(world.kernel.memory.words, before, "nothing was changed");
}

#[test]
fn an_erased_ledger_holds_nothing() {
    let mut world = killed(&both_ways(), 400);
    Ledger::erase(&mut Stores(&mut world.kernel.memory, &world.fuel));
    assert!(world.kernel.memory.words.iter().all(|&word| word == 0));
    assert_eq!(world.adopt(), Process::Refused(LedgerError::Damaged));
}

#[test]
fn rings_are_powers_of_two() {
    let id = ConnectionId([0; 16]);
    assert!(Geometry::new(id, 64, 1 << 24).is_some());
    assert_eq!(Geometry::new(id, 1 << 16, 1 << 17).unwrap().file_size(), 4 << 16);
    for size in [0, 1, 32, 63, 65, 100, 1 << 25] {
        assert_eq!(Geometry::new(id, size, 64), None);
        assert_eq!(Geometry::new(id, 64, size), None);
    }
}

#[test]
fn a_client_that_vanishes_without_its_end_resets_the_application_where_that_is_asked() {
    let client = vec![Says::Data(vec![1; 20]), Says::Data(vec![2; 20])];
    let passed = Story { client, application: vec![7; 30], ..both_ways() };
    let (world, ended) = undisturbed(&passed);
    assert_eq!(ended, Process::Ended(Ended::Orderly));
    assert!(world.kernel.application.own_end, "its end is passed on as an end");

    let reset = Story { truncation: Truncation::Reset, ..passed };
    let steps = undisturbed(&reset).0.fuel.used();
    for kill in 80..steps {
        let mut world = killed(&reset, kill);
        assert_eq!(world.adopt(), Process::Ended(Ended::Truncated), "killed after {kill}");
        assert!(!world.kernel.application.own_end, "no end is made up");
        assert_eq!(world.kernel.application.outgoing, reset.upload(), "but nothing is lost");
    }
}

#[test]
fn an_application_that_resets_in_the_middle_is_told_to_the_client_by_an_alert_or_a_reset() {
    let story = Story { application_resets_at: Some(90), ..both_ways() };
    let (world, ended) = undisturbed(&story);
    assert_eq!(ended, Process::Ended(Ended::Alerted(80)));
    let saw = world.client_saw();
    assert_eq!((saw.alert, saw.closed, saw.wrong, saw.cut), (Some(80), false, false, false));
    assert!(story.application.starts_with(&saw.data));

    for kill in 100..world.fuel.used() {
        let mut world = killed(&story, kill);
        let ended = world.adopt();
        let gone = Process::Ended(Ended::Lost(Lost::ApplicationGone));
        assert!(
            ended == gone || ended == Process::Ended(Ended::Alerted(80)),
            "killed after {kill}: {ended:?}"
        );
        let saw = world.client_saw();
        assert!(!saw.closed, "killed after {kill}: a part was passed as the whole");
        assert_eq!(nothing_wrong(&story, &world), Ok(()), "killed after {kill}");
    }
}

#[test]
fn a_record_that_does_not_open_is_answered_by_an_alert_and_never_passed_on() {
    let garbage = [vec![1, 3], vec![0; 7]].concat();
    for garbage in [garbage, vec![99; 40], vec![1, 250, 0]] {
        let client = vec![Says::Data(vec![4; 9]), Says::Garbage(garbage), Says::Data(vec![5; 9])];
        let story = Story { client, application: vec![], ..both_ways() };
        // the application stays open as long as the client, so the fault is what ends it
        let story = Story { application: vec![8; 40], application_pieces: vec![0, 0, 0, 1], ..story };
        let (world, ended) = undisturbed(&story);
        assert!(matches!(ended, Process::Ended(Ended::Alerted(BAD_RECORD | 22))), "{ended:?}");
        assert_eq!(world.kernel.application.outgoing, [4; 9]);
        assert!(!world.kernel.application.own_end);
        for kill in 100..world.fuel.used() {
            let mut world = killed(&story, kill);
            assert_eq!(world.adopt(), ended, "killed after {kill}");
            assert_eq!(world.kernel.application.outgoing, [4; 9], "killed after {kill}");
        }
    }
}

#[test]
fn an_alert_of_the_client_ends_the_connection_without_an_orderly_end() {
    let client = vec![Says::Data(vec![4; 9]), Says::Alert(90), Says::Data(vec![5; 9])];
    let story = Story { client, ..both_ways() };
    let (world, ended) = undisturbed(&story);
    assert_eq!(ended, Process::Ended(Ended::ClientAlert(90)));
    assert_eq!(world.kernel.application.outgoing, [4; 9]);
    assert!(!world.kernel.application.own_end);
}
