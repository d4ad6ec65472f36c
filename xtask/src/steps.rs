//! A list of steps: each has a title, runs whatever became of those before it, and is timed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::tally::Tally;

/// What a step came to.
pub(crate) enum Outcome {
    /// It held; so many checks were in it.
    Held(Tally),
    /// It did not; what was found has been printed. So many checks were in it.
    Failed(Tally),
    /// It could not be done here, and that is no failure.
    Skipped(&'static str),
}

impl Outcome {
    /// The outcome of a run of tests that `succeeded` or did not.
    pub(crate) fn of_tests(tally: Tally, succeeded: bool) -> Self {
        if succeeded && tally.failed == 0 {
            Self::Held(tally)
        } else {
            Self::Failed(Tally { failed: tally.failed.max(1), ..tally })
        }
    }
}

type Work<'a> = Box<dyn FnOnce() -> Result<Outcome> + 'a>;

/// Steps to be run in order.
#[derive(Default)]
pub(crate) struct Steps<'a>(Vec<(&'static str, Work<'a>)>);

impl<'a> Steps<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a step that is a single check.
    pub(crate) fn check(&mut self, title: &'static str, work: impl FnOnce() -> Result<()> + 'a) {
        self.step(title, || work().map(|()| Outcome::Held(Tally::HELD)));
    }

    /// Adds a step that counts by itself.
    pub(crate) fn step(&mut self, title: &'static str, work: impl FnOnce() -> Result<Outcome> + 'a) {
        self.0.push((title, Box::new(work)));
    }

    /// Runs all of them; the last line printed is `N passed, N failed`.
    pub(crate) fn run(self) -> ExitCode {
        let count = self.0.len();
        let begin = Instant::now();
        let mut lines = Vec::with_capacity(count);
        let mut total = Tally::default();
        let mut all_held = true;
        for (number, (title, work)) in self.0.into_iter().enumerate() {
            println!("\n=== {}/{count} {title}", number + 1);
            let start = Instant::now();
            let outcome = work().unwrap_or_else(|e| {
                println!("{e:#}");
                Outcome::Failed(Tally { passed: 0, failed: 1 })
            });
            let took = seconds(start.elapsed());
            let (word, note) = match outcome {
                Outcome::Held(tally) => {
                    total += tally;
                    ("held", if tally == Tally::HELD { String::new() } else { format!("  {tally}") })
                }
                Outcome::Failed(tally) => {
                    total += tally;
                    all_held = false;
                    ("FAILED", if tally.passed > 0 { format!("  {tally}") } else { String::new() })
                }
                Outcome::Skipped(why) => ("skipped", format!("  {why}")),
            };
            println!("--- {title}: {word}, {took}");
            lines.push(format!("  {word:<8} {took:>8}  {title}{note}"));
        }
        println!("\nIn {}:", seconds(begin.elapsed()));
        for line in lines {
            println!("{line}");
        }
        println!("\n{total}");
        if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn seconds(d: Duration) -> String {
    format!("{:.1} s", d.as_secs_f64())
}
