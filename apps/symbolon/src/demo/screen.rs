//! The live picture on a terminal; elsewhere a line for each kill.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::flow::Flow;
use super::{Picture, Seen, seen};
use crate::interrupt::{self, Interruptible};
use crate::output::{self, Output};
use crate::sample::bulk::TOTAL;

/// How often it is drawn.
const TICK: Duration = Duration::from_millis(100);

/// A line with words alone.
const WORDS: &str = "  {prefix:<9} {msg}";

/// A transfer: with a rate it has 78 columns.
const TRANSFER: &str = "  {prefix:<9} {bar:32} {percent:>3} %  {msg}";

/// What a person looks at meanwhile.
pub(super) struct Screen {
    output: Output,
    picture: Picture,
    moving: Option<Moving>,
}

struct Moving {
    workers: ProgressBar,
    download: ProgressBar,
    upload: ProgressBar,
    stalls: ProgressBar,
    _undo: Interruptible,
}

impl Screen {
    /// One that moves where somebody sees it.
    pub(super) fn new(output: Output, picture: &Picture) -> Self {
        let moves = !output.json && !output.quiet && output::progress_on_terminal();
        Self { output, picture: picture.clone(), moving: moves.then(Moving::new) }
    }

    /// Draws for as long as it is asked to.
    pub(super) async fn draw(&self) -> Infallible {
        loop {
            if let Some(moving) = &self.moving {
                moving.draw(&mut seen(&self.picture));
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Says what the last kill did, where nothing moves; to be called before the next one.
    pub(super) fn tell_kill(&self) {
        let seen = seen(&self.picture);
        if let (None, Some(leader), kills @ 1..) = (&self.moving, seen.leader, seen.kills) {
            let now = Instant::now();
            let [down, up] = [&seen.download, &seen.upload].map(|flow| ms(flow.stalls(now).0));
            self.output.note(&format!(
                "  kill {kills:<2}  worker {leader} carries on; stalls: download {down}, upload {up}"
            ));
        }
    }

    /// The end of it.
    pub(super) fn finish(&self) {
        self.tell_kill();
        // the report says it all again
        self.moving.iter().for_each(Moving::clear);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Moving {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let bar = |prefix: &'static str, template: &str| {
            let bar = all.add(ProgressBar::new(TOTAL)).with_prefix(prefix);
            // the template is a constant of ours; should it be wrong, the default moves as well
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        };
        Self {
            workers: bar("carries", WORDS),
            download: bar("download", TRANSFER),
            upload: bar("upload", TRANSFER),
            stalls: bar("stalls", WORDS),
            _undo: interrupt::undo(move || {
                let _ = all.clear();
                all.set_draw_target(ProgressDrawTarget::hidden());
            }),
        }
    }

    fn clear(&self) {
        for bar in [&self.workers, &self.download, &self.upload, &self.stalls] {
            bar.finish_and_clear();
        }
    }

    fn draw(&self, seen: &mut Seen) {
        self.workers.set_message(workers(seen));
        let now = Instant::now();
        for (bar, flow) in [(&self.download, &mut seen.download), (&self.upload, &mut seen.upload)] {
            bar.set_message(amount(flow, now));
            bar.set_position(flow.bytes);
        }
        self.stalls.set_message(stalls(&seen.download, &seen.upload, now));
    }
}

/// Who carries the connections, and who did.
fn workers(seen: &Seen) -> String {
    let before = match seen.kills {
        0 => "the first".to_owned(),
        1 => "1 before it was killed".to_owned(),
        kills => format!("{kills} before it were killed"),
    };
    match seen.leader {
        Some(leader) => format!("worker {leader}; {before}"),
        None => format!("nobody at this moment; {} killed", seen.kills),
    }
}

fn amount(flow: &mut Flow, now: Instant) -> String {
    if flow.bytes == TOTAL {
        return format!("{:>3} MB  all of it", TOTAL / 1_000_000);
    }
    format!("{:>3} MB  {:>5.1} MB/s", flow.bytes / 1_000_000, flow.rate(now) as f64 / 1e6)
}

fn stalls(download: &Flow, upload: &Flow, now: Instant) -> String {
    let [down, up] = [download, upload].map(|flow| {
        let (last, longest) = flow.stalls(now);
        format!("{}, longest {}", ms(last), ms(longest))
    });
    format!("download {down}; upload {up}")
}

/// A stall as people read it.
pub(super) fn ms(stall: Duration) -> String {
    format!("{} ms", stall.as_micros().div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_into_eighty_columns() {
        let mut flow = Flow::default();
        flow.arrived(Instant::now(), (TOTAL - 1, Duration::from_millis(9999)));
        let words = stalls(&flow, &flow, Instant::now());
        assert!(12 + words.chars().count() <= 80, "{words}");
        let words = amount(&mut flow, Instant::now());
        assert!(12 + 32 + 8 + words.chars().count() <= 80, "{words}");
        let seen = Seen {
            download: Flow::default(),
            upload: Flow::default(),
            kills: 1000,
            leader: Some(4_194_304),
            carried_on: [0; 2],
        };
        assert!(12 + workers(&seen).chars().count() <= 80);
    }
}
