//! Each planted bug is found, and soon.

use symbolon_simulation::{Bug, run};

/// Within how many seeds.
const SOON: u64 = 200;

#[test]
fn each_planted_bug_is_found_within_two_hundred_seeds() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = (0..SOON).find_map(|seed| Some((seed, run(seed, Some(bug), false).violation?)));
        match found {
            Some((seed, rule)) => println!("{bug:?}: seed {seed}: {rule}"),
            None => missed.push(bug),
        }
    }
    assert_eq!(missed, [], "not found within {SOON} seeds");
}

#[test]
fn the_same_seed_goes_wrong_in_the_same_way() {
    let (first, second) =
        (run(0, Some(Bug::NumberNotClaimed), true), run(0, Some(Bug::NumberNotClaimed), true));
    assert!(first.violation.is_some());
    assert_eq!(first, second);
}
