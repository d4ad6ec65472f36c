//! `symbolon quickstart`: a whole system on this machine, used once, and what to try next.
//!
//! ```text
//! DIR/node   a node with its embedded store          ┐
//! DIR/home   the first user's token, agent, answers  ├ listed in DIR/made-by-quickstart, removed by --clean
//! DIR/pin    the token's PIN, drawn at random        ┘
//! ```
//! Nothing is pretended: the user is enrolled by the invitation and over the wire, the application is published by the
//! interface of administration, and the request goes through agent and gateway.

mod clean;
mod next;
mod request;
mod steps;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::Global;
use crate::exit::{Complaint, Outcome};
use crate::output::{Output, Page, Report};
use crate::paste::Paste;
use crate::progress::{Progress, StepTime};
use crate::serve::Signals;
use crate::{place, runtime};

use next::WhatNext;
use request::Answer;
use steps::{Broken, Up};

/// Where the gateway listens unless another place is named.
const DEFAULT_LISTEN: &str = "127.0.0.1:7843";

/// How long a start that is stopped may take to come to its end and to be taken down again: several times what it takes.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How to bring it up.
#[derive(Args, Debug)]
pub(crate) struct QuickstartArgs {
    /// End when the request was made, instead of staying up
    #[arg(long)]
    once: bool,
    /// Remove what an earlier run made, and nothing else
    #[arg(long, conflicts_with_all = ["once", "listen"])]
    clean: bool,
    /// Where the gateway listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Where all of it is made [default: quickstart in the XDG state directory]
    // in the place of the global one, which a variable names too: that is where a real node lives
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Where the parts of a quickstart are.
#[derive(Clone, Debug)]
struct Layout {
    dir: PathBuf,
    node: PathBuf,
    home: PathBuf,
    pin: PathBuf,
}

impl Layout {
    fn new(dir: PathBuf) -> Self {
        Self { node: dir.join("node"), home: dir.join("home"), pin: dir.join("pin"), dir }
    }

    fn paste(&self) -> Paste {
        Paste::at(&self.home, &self.node)
    }
}

/// What was done.
#[derive(Serialize)]
struct Done {
    steps: Vec<StepTime>,
    dir: PathBuf,
    home: PathBuf,
    gateway: String,
    address: SocketAddr,
    user: String,
    app: String,
    http: Answer,
    /// How to go on; nothing with `--once`, after which nothing runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<WhatNext>,
}

impl Report for Done {
    fn write(&self, page: &mut Page) {
        page.gap();
        page.title(&format!("GET / through the gateway: {}", self.http.status));
        self.http
            .body
            .lines()
            .for_each(|line| page.aside(&format!("  │ {}", crate::output::printable(line))));
        match &self.next {
            Some(next) => next.write(page),
            None => {
                page.gap();
                page.line("It is stopped again. To bring it up, and to leave it up:");
                let (dir, address) = (self.dir.display().to_string(), self.address.to_string());
                let mut words = vec!["quickstart", "--dir", &dir];
                if address != DEFAULT_LISTEN {
                    words.extend(["--listen", &address]);
                }
                page.command(&Paste::plain().user(words));
            }
        }
    }
}

/// Brings everything up.
pub(crate) fn run(global: &Global, args: &QuickstartArgs) -> Outcome {
    let output = global.output();
    let dir =
        args.dir.as_deref().map_or_else(|| Ok(place::state_dir()?.join("quickstart")), place::absolute)?;
    let layout = Layout::new(dir);
    if args.clean {
        return clean::run(output, &layout);
    }
    check_paths(&layout)?;
    clean::refuse_running(&layout)?;
    clean::mark(&layout)?;
    runtime::log(global, LevelFilter::WARN);
    runtime::large()?.block_on(async {
        let mut signals = Signals::new()?;
        let (mut up, steps) = bring_up(&layout, args.listen, output, &mut signals).await?;
        let next = (!args.once).then(|| WhatNext::new(&layout, &up));
        output.report(&Done {
            steps,
            dir: layout.dir.clone(),
            home: layout.home.clone(),
            gateway: up.node.gateway_name().to_owned(),
            address: up.node.address(),
            user: steps::USER.to_owned(),
            app: steps::APP.to_owned(),
            http: up.answer.clone(),
            next,
        });
        if !args.once {
            tokio::select! {
                () = signals.stop() => {}
                broken = up.broken() => match broken {
                    Broken::Node(failure) => {
                        up.stop().await;
                        let complaint = Complaint::failure(failure.to_string());
                        return Err(complaint.fix("its log says more; start it again"));
                    }
                    Broken::Agent(complaint) => {
                        // the node stays: whoever ended the session may want to see what follows
                        let again =
                            layout.paste().user(["login", "--pin-file", &layout.pin.display().to_string()]);
                        output.note(&format!("The agent has ended: {complaint}. To sign in again:\n  {again}"));
                        signals.stop().await;
                    }
                },
            }
            output.note("Stopping.");
        }
        tokio::select! {
            () = up.stop() => Ok(()),
            () = signals.stop() => Err(Complaint::failure("stopped before every stream had finished")),
        }
    })
}

/// Brings everything up, and takes it down again when it is told to stop meanwhile.
async fn bring_up(
    layout: &Layout,
    listen: SocketAddr,
    output: Output,
    signals: &mut Signals,
) -> Outcome<(Up, Vec<StepTime>)> {
    let mut progress = Progress::new(output);
    let up = {
        let mut start = pin!(steps::run(layout, listen, &mut progress));
        tokio::select! {
            up = &mut start => Some(up?),
            () = signals.stop() => {
                // to its end: a registration that is broken off keeps its name from the next try for ten minutes
                let down = async {
                    if let Ok(Ok(up)) = tokio::time::timeout(LAST_WORDS, start).await {
                        up.stop().await;
                    }
                };
                tokio::select! {
                    () = down => None,
                    () = signals.stop() => None,
                }
            }
        }
    };
    let up = up.ok_or_else(|| Complaint::failure("stopped before everything was up"))?;
    Ok((up, progress.finish()))
}

/// Sockets have short paths.
fn check_paths(layout: &Layout) -> Outcome {
    place::check_socket_path(&place::admin_socket(&layout.node))?;
    place::check_socket_path(&layout.home.join("agent.sock"))
}

/// Makes a directory that only its owner enters.
fn make_dir(dir: &Path) -> Outcome {
    use crate::exit::AtPath as _;
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)
}
