//! Worlds without a planted bug: no rule is broken.
//!
//! In two halves, so that a runner with two threads has both of them at once.

use symbolon_simulation::{Counts, run};

/// How much of the trace of a world that went wrong is shown.
const LAST: usize = 120;

fn all_hold(seeds: std::ops::Range<u64>) {
    let mut total = Counts::default();
    for seed in seeds.clone() {
        let outcome = run(seed, None, false);
        if let Some(rule) = outcome.violation {
            let trace = run(seed, None, true).trace;
            println!("{}", trace[trace.len().saturating_sub(LAST)..].join("\n"));
            panic!("seed {seed}: {rule}; all of it: SIMULATION_SEED={seed}");
        }
        total += outcome.counts;
    }
    println!("{} worlds: {total:?}", seeds.end - seeds.start);
    let each = seeds.end - seeds.start;
    // A world in which nothing happens holds, too.
    assert!(total.streams > 20 * each && total.moves > 10 * each && total.faults > 10 * each, "{total:?}");
    assert!(total.tickets > each && total.withdrawals > each && total.takeovers > each, "{total:?}");
}

#[test]
fn a_thousand_worlds_hold() {
    all_hold(0..1000);
}

#[test]
fn another_thousand_worlds_hold() {
    all_hold(1000..2000);
}

#[test]
fn the_same_seed_is_the_same_world_byte_for_byte() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        assert!(first.trace.len() > 1000, "seed {seed}: only {} lines", first.trace.len());
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(run(0, None, true).trace, run(1, None, true).trace);
}

/// For people: one world with its whole trace.
#[test]
fn the_seed_that_was_asked_for() {
    let Ok(seed) = std::env::var("SIMULATION_SEED") else { return };
    let outcome = run(seed.parse().expect("SIMULATION_SEED is a number"), None, true);
    println!("{}", outcome.trace.join("\n"));
    assert_eq!(outcome.violation, None);
}
