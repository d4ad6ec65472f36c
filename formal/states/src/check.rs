//! Walking a machine to its end, and saying in one line what was found.

use stateright::{Checker, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

/// Longest way to a fault that is looked for; the longest that we know has 11 steps.
const DEEPEST: usize = 40;

/// A machine of this collection.
pub(crate) trait Machine:
    Model<
        State: Clone + PartialEq + Hash + Debug + Send + Sync + 'static,
        Action: Clone + PartialEq + Debug + Send + Sync + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<M> Machine for M where
    M: Model<
            State: Clone + PartialEq + Hash + Debug + Send + Sync + 'static,
            Action: Clone + PartialEq + Debug + Send + Sync + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Explores every state of `machine`, in which nothing may be found that must not be, and everything
/// that should be reachable must be reached. Prints a line, and returns whether it was so.
pub(crate) fn holds<M: Machine>(title: &str, machine: M) -> bool {
    let start = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = machine.checker().threads(threads).spawn_bfs().join();
    let mut found = checker.discoveries();
    let mut faults = Vec::new();
    for property in checker.model().properties() {
        let path = found.remove(property.name);
        if property.expectation.discovery_is_failure() == path.is_some() {
            faults.push((property.name, path));
        }
    }
    let held = faults.is_empty() && checker.is_done();
    print(held, checker.unique_state_count(), start, title, if held { "holds" } else { "does not hold" });
    for (name, path) in faults {
        let way = path.map_or_else(|| "never reached".to_owned(), |p| steps(p.into_actions()));
        println!("{:>31}{name}: {way}", "");
    }
    held
}

/// Looks for the shortest way to a state in which `promise` is broken, and prints it: a part was left
/// out, or the world is worse than we ask it to be, so there must be one. Returns whether it was found.
pub(crate) fn breaks<M: Machine>(title: &str, machine: M, promise: &'static str) -> bool {
    let start = Instant::now();
    let mut states = 0;
    for depth in 2..DEEPEST {
        let only = HasDiscoveries::AnyOf([promise].into());
        let search = machine.clone().checker().finish_when(only).target_max_depth(depth);
        let checker = search.spawn_bfs().join();
        states = checker.unique_state_count();
        if let Some(path) = checker.discovery(promise) {
            print(true, states, start, title, &format!("breaks, as expected: {promise}"));
            println!("{:>31}{}", "", steps(path.into_actions()));
            return true;
        }
    }
    print(false, states, start, title, &format!("should break: {promise}"));
    false
}

fn print(held: bool, states: usize, start: Instant, title: &str, what: &str) {
    let word = if held { "held" } else { "FAILED" };
    println!("{word:<7}{states:>9} states {:>5.2} s  {title}: {what}", start.elapsed().as_secs_f64());
}

fn steps<A: Debug>(actions: Vec<A>) -> String {
    actions.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join(", ")
}
