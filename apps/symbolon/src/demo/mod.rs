//! `symbolon demo`: what Symbolon does when something breaks, to be watched.
//!
//! ```text
//!                  ┌─ node: a holder and two workers ─┐
//! curl ◄── TLS ──► │  the one that leads is killed    │ ◄──► sample application
//! curl ◄── TLS ──► │  again and again                 │      a process of its own
//!                  └──────────────────────────────────┘
//! ```
//! Nothing is pretended: every part is a process, `curl` is the system's own and knows nothing of Symbolon, and a worker
//! is killed with `SIGKILL`, of which it hears nothing.

mod application;
mod clients;
mod flow;
mod killer;
mod part;
mod place;
mod report;
mod screen;
mod stage;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use clap::{Args, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::Global;
use crate::exit::Outcome;
use crate::output::Output;
use crate::progress::Progress;
use crate::runtime;

use clients::{Direction, Transfer};
use flow::Flow;
use killer::Killer;
use report::{Report, Row};
use screen::Screen;
use stage::Stage;

/// What can be watched.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Kill the process that carries two transfers of curl, again and again: both arrive whole, each on one connection
    #[command(
        after_help = "It takes about ten seconds and needs curl. Everything runs on this machine, on free ports and in a \
                      temporary directory, which is gone afterwards.\nA stall is a time in which nothing arrived: of the \
                      download at curl, of the upload at the application."
    )]
    Failover(FailoverArgs),
}

/// How to run it.
#[derive(Args, Debug)]
pub(crate) struct FailoverArgs {
    /// End after one round, as it does anyway
    #[arg(long)]
    once: bool,
    /// Be the application behind the gateway, until standard input ends
    #[arg(long, hide = true, conflicts_with = "once")]
    application: bool,
}

/// Shows one of them.
pub(crate) fn run(global: &Global, command: DemoCommand) -> Outcome {
    let DemoCommand::Failover(args) = command;
    runtime::log(global, LevelFilter::WARN);
    runtime::large()?.block_on(async {
        if args.application { application::run().await } else { failover(global.output()).await }
    })
}

/// What is known of the two transfers and of the kills, by whoever looks.
type Picture = Arc<Mutex<Seen>>;

/// What has been seen so far.
#[derive(Debug)]
struct Seen {
    download: Flow,
    upload: Flow,
    /// How many workers were killed.
    kills: usize,
    /// Who leads, unless nobody does at the moment.
    leader: Option<u32>,
    /// How often each transfer was carried on by another worker.
    carried_on: [u64; 2],
}

/// What was seen; another thread's panic leaves numbers that are right.
fn seen(picture: &Picture) -> std::sync::MutexGuard<'_, Seen> {
    picture.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn failover(output: Output) -> Outcome {
    clients::check_curl().await?;
    let picture = Arc::new(Mutex::new(Seen {
        download: Flow::default(),
        upload: Flow::default(),
        kills: 0,
        leader: None,
        carried_on: [0; 2],
    }));
    let mut progress = Progress::new(output);
    let stage = Stage::set(&mut progress, &picture).await?;
    let steps = progress.finish();
    output.note("\nTwo curls transfer 200 MB each. Every 0.7 s the worker in between is killed.");

    let begun = Instant::now();
    let screen = Screen::new(output, &picture);
    let download = Transfer::begin(Direction::Download, &stage, &picture)?;
    let upload = Transfer::begin(Direction::Upload, &stage, &picture)?;
    let killer = Killer::new(&stage.admin, &picture, &screen);
    let transfers = async { tokio::join!(download.finish(), upload.finish()) };
    let (download, upload) = tokio::select! {
        both = transfers => both,
        never = killer.run() => match never? {},
        never = screen.draw() => match never {},
    };
    screen.finish();
    let milliseconds = begun.elapsed().as_millis();

    let seen = seen(&picture);
    let rows = vec![
        Row::new(Direction::Download, download, &seen.download, seen.carried_on[0]),
        Row::new(Direction::Upload, upload, &seen.upload, seen.carried_on[1]),
    ];
    Report::new(steps, seen.kills, milliseconds, rows).tell(output, &stage)
}
