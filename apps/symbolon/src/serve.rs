//! `symbolon serve`: a node.

mod complaint;
mod holder;
mod issuer;
mod relay;
mod settings;
mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use symbolon_server::{Node, NodeConfig, replace_hot_store};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::Global;
use crate::exit::{Complaint, Outcome, plain};
use crate::output::{self, Output, Page, Report};
use crate::paste::{Paste, quote};
use crate::{interrupt, place, private, runtime};

pub(crate) use complaint::{listen_complaint, node_complaint, other_port};
pub(crate) use settings::load as load_config;

/// What is set for this run. Flags are stronger than the environment, which is stronger than the configuration file.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServeArgs {
    /// Where clients connect [env: SYMBOLON_LISTEN] [default: 0.0.0.0:7843]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The gateway's name; the first start fixes it [env: SYMBOLON_NAME] [default: this machine's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// HOST:PORT under which clients reach this node, for invitation links [env: SYMBOLON_PUBLIC_ADDRESS]
    #[arg(long, value_name = "HOST:PORT")]
    public_address: Option<String>,
    /// At the first start, take the issuer of the node in this directory instead of making one
    #[arg(long, value_name = "DIR")]
    issuer_of: Option<PathBuf>,
    /// Share store, keys and name with the node in this directory: one more node for the same sessions [env: SYMBOLON_WITH]
    #[arg(long, value_name = "DIR", conflicts_with = "issuer_of")]
    with: Option<PathBuf>,
    /// The registration template of who names none [env: SYMBOLON_TEMPLATE] [default: person]
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Let people register without an invitation; they wait for approval [env: SYMBOLON_OPEN_REGISTRATION]
    #[arg(long)]
    open_registration: bool,
    /// Take passwords where a user has one [env: SYMBOLON_ACCEPT_PASSWORDS]
    #[arg(long)]
    accept_passwords: bool,
    /// Give up where live sessions and replay keys were, take the place that `hot` names for them, and end; no node on
    /// this store may run
    #[arg(long)]
    new_hot_store: bool,
    /// Be a worker of the holder at standard input
    #[arg(long, hide = true)]
    worker: bool,
    /// Be the relay of the holder at standard input
    #[arg(long, hide = true)]
    relay: bool,
    /// Go on with what the program before held, whose list is standard input
    #[arg(long, hide = true)]
    held_before: bool,
    /// Say by the exit code whether this program, called like this, could go on
    #[arg(long, hide = true)]
    can_go_on: bool,
}

impl ServeArgs {
    fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        let texts = [
            ("listen", self.listen.map(|l| l.to_string())),
            ("name", self.name.clone()),
            ("public_address", self.public_address.clone()),
            ("template", self.template.clone()),
            ("with", self.with.as_ref().map(|dir| dir.display().to_string())),
        ];
        let switches =
            [("open_registration", self.open_registration), ("accept_passwords", self.accept_passwords)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
        let switches =
            switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name.to_owned(), true.into()));
        table.extend(texts.chain(switches));
        table
    }
}

/// What is said when the node is up.
#[derive(Serialize)]
struct Started {
    gateway: String,
    address: SocketAddr,
    public_address: String,
    dir: PathBuf,
    admin_socket: PathBuf,
    /// Where the first invitation is; at the first start alone, when nobody sits at the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation_file: Option<PathBuf>,
    /// The first invitation; at the first start alone, on a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<String>,
    #[serde(skip)]
    paste: Paste,
}

impl Report for Started {
    fn write(&self, page: &mut Page) {
        page.title(&format!("Gateway {} listens on {}", self.gateway, self.address));
        page.line(format!(
            "Clients reach it at {}; its state is in {}.",
            self.public_address,
            self.dir.display()
        ));
        page.gap();
        let enrol = match (&self.invitation, &self.invitation_file) {
            (Some(link), _) => Paste::plain().user(["enrol", link]),
            (None, Some(file)) => {
                page.line(format!(
                    "The first invitation is in {}, which only its owner reads.",
                    file.display()
                ));
                format!(
                    "{} \"$(cat {})\"",
                    Paste::plain().user(["enrol"]),
                    quote(&file.display().to_string())
                )
            }
            (None, None) => {
                page.line("Manage it from another terminal:");
                for words in
                    [["admin", "users", "list"], ["admin", "apps", "list"], ["admin", "tokens", "invite"]]
                {
                    page.command(&self.paste.node(words));
                }
                return;
            }
        };
        page.line(
            "Register the first person with it, within 24 hours, on any machine that reaches this one:",
        );
        page.command(&enrol);
        page.gap();
        page.line("Then publish an application, and let everybody below /people reach it:");
        page.command(&self.paste.node(["admin", "apps", "add", "db", "127.0.0.1:5432"]));
        page.command(&self.paste.node(["admin", "entitlements", "grant", "/people", "db"]));
    }
}

/// Runs a node until it is told to stop: a holder and its workers, of which one is the node.
pub(crate) fn run(global: &Global, args: &ServeArgs) -> Outcome {
    let (config, log) = settings::load(global, args.table())?;
    let reload = runtime::log_reloadable(global, LevelFilter::INFO, log.as_deref());
    if args.can_go_on {
        return Ok(());
    }
    if args.worker {
        return worker::run(global, args, config, reload);
    }
    if args.relay {
        return relay::run();
    }
    let paste = Paste::new(global).about(&config.dir);
    if args.new_hot_store {
        let replaced = runtime::small()?.block_on(replace_hot_store(&config));
        replaced.map_err(|e| node_complaint(e, &config, &paste))?;
        global.output().note("Live sessions and replay keys are kept there from now on: start the nodes.");
        return Ok(());
    }
    let signals = holder::signals()?;
    if args.held_before {
        return holder::go_on(global, &config, &paste, signals);
    }
    place::check_socket_path(&place::admin_socket(&config.dir))?;
    if let Some(from) = &args.issuer_of {
        issuer::take(from, &config.dir)?;
    }
    holder::run(global, &config, &paste, signals)
}

fn started(output: Output, node: &Node, dir: &Path, paste: Paste) -> Outcome {
    // A journal, a log file and a pipe are all read by more people than an invitation is for.
    let (mut invitation, mut invitation_file) = (None, None);
    match node.first_invitation() {
        Some(link) if output::on_terminal() => invitation = Some(link.to_owned()),
        Some(link) => {
            let file = dir.join("invitation");
            private::replace(&file, format!("{link}\n").as_bytes())?;
            invitation_file = Some(file);
        }
        None => {}
    }
    output.report(&Started {
        gateway: node.gateway_name().to_owned(),
        address: node.address(),
        public_address: node.public_address().to_owned(),
        dir: dir.to_owned(),
        admin_socket: node.admin_socket(),
        invitation_file,
        invitation,
        paste,
    });
    Ok(())
}

/// What the outside tells a long-running command.
pub(crate) enum Told {
    /// Take the configuration in again.
    Reload,
    /// Finish.
    Stop,
}

/// The signals that a service listens to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on signals are heard instead of ending the process.
    pub(crate) fn new() -> Outcome<Self> {
        interrupt::hand_over();
        let hear = |kind| signal(kind).map_err(|e| Complaint::failure(format!("no signals: {}", plain(&e))));
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Until somebody says stop.
    pub(crate) async fn stop(&mut self) {
        while !matches!(self.next().await, Told::Stop) {}
    }
}

/// The configuration of a node that quickstart runs, which no file and no environment changes.
pub(crate) fn plain_config(dir: PathBuf, listen: SocketAddr, name: &str) -> NodeConfig {
    NodeConfig { listen, name: Some(name.to_owned()), ..NodeConfig::in_dir(dir) }
}
