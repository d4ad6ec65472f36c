//! The executors that commands run on, and the log that they write.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry, reload};

use crate::cli::Global;
use crate::exit::{Complaint, Outcome, plain};

/// For a command that asks something and ends.
pub(crate) fn small() -> Outcome<Runtime> {
    made(Builder::new_current_thread().enable_all().build())
}

/// For what serves others.
pub(crate) fn large() -> Outcome<Runtime> {
    made(Builder::new_multi_thread().enable_all().build())
}

fn made(runtime: io::Result<Runtime>) -> Outcome<Runtime> {
    runtime.map_err(|e| Complaint::failure(format!("the system gives us no threads: {}", plain(&e))))
}

/// Sends log lines to standard error, from `level` upwards unless `-v`, `-q` or `SYMBOLON_LOG` says otherwise.
pub(crate) fn log(global: &Global, level: LevelFilter) {
    let _ = log_reloadable(global, level, std::env::var("SYMBOLON_LOG").ok().as_deref());
}

/// The same, with directives such as `debug` or `symbolon_server=trace`, and the means to change them.
pub(crate) fn log_reloadable(
    global: &Global,
    level: LevelFilter,
    directives: Option<&str>,
) -> impl Fn(Option<&str>) + use<> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => level,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let (filter, handle) = reload::Layer::new(filter(level, directives));
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(!refused && io::IsTerminal::is_terminal(&io::stderr()));
    // a second call, as in tests, finds the first one's subscriber and leaves it
    let _ = if global.json {
        registry().with(filter).with(lines.json()).try_init()
    } else {
        registry().with(filter).with(lines.with_target(false)).try_init()
    };
    move |directives| {
        // fails only when the subscriber is gone, and then there is no log
        let _ = handle.reload(self::filter(level, directives));
    }
}

/// What libraries say about themselves matters only to whoever asks for it.
fn filter(level: LevelFilter, directives: Option<&str>) -> EnvFilter {
    let ours =
        ["symbolon", "symbolon_server", "symbolon_agent", "symbolon_store"].map(|c| format!("{c}={level}"));
    let default = || format!("warn,{}", ours.join(","));
    EnvFilter::builder().parse_lossy(directives.filter(|d| !d.is_empty()).map_or_else(default, str::to_owned))
}
