//! What is being done, and how long it took: moving on a terminal, a line for each step elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::output::{self, Output};

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(100);

/// A step and how long it took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepTime {
    /// A stable word.
    step: &'static str,
    /// Milliseconds, rounded up.
    ms: u128,
}

/// The steps so far.
pub(crate) struct Progress {
    output: Output,
    moving: bool,
    done: Vec<StepTime>,
}

impl Progress {
    pub(crate) fn new(output: Output) -> Self {
        let moving = !output.json && !output.quiet && output::progress_on_terminal();
        Self { output, moving, done: Vec::new() }
    }

    /// Does a step; its future gives what came of it and a few words about that.
    pub(crate) async fn step<T, E>(
        &mut self,
        step: &'static str,
        doing: &str,
        work: impl Future<Output = Result<(T, String), E>>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let bar = self.moving.then(|| spinner(doing));
        let result = work.await;
        let ms = start.elapsed().as_micros().div_ceil(1000);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let (value, words) = match result {
            Ok(done) => done,
            Err(e) => {
                self.output.note(&format!("  ✗ {doing}"));
                return Err(e);
            }
        };
        self.output.note(&format!("  ✓ {words} ({ms} ms)"));
        self.done.push(StepTime { step, ms });
        Ok(value)
    }

    /// All steps, in order.
    pub(crate) fn finish(self) -> Vec<StepTime> {
        self.done
    }
}

fn spinner(doing: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // the template is a constant of ours; should it be wrong, the default moves as well
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(doing.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_step_is_counted_once_and_a_failed_one_not_at_all() {
        let mut progress = Progress::new(Output { json: true, quiet: false });
        let one: Result<u8, ()> =
            progress.step("one", "doing one", async { Ok((1, "one".to_owned())) }).await;
        let two: Result<u8, ()> = progress.step("two", "doing two", async { Err(()) }).await;
        assert_eq!((one, two), (Ok(1), Err(())));
        let steps: Vec<&str> = progress.finish().iter().map(|s| s.step).collect();
        assert_eq!(steps, ["one"]);
    }
}
