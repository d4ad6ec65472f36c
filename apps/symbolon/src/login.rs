//! `symbolon login` and `symbolon agent`: the same agent, in the background and in the foreground.

mod background;
mod with;

use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use symbolon_agent::{Agent, AgentError, AgentOptions, Client, Destinations, Link, Paths, Patience, Status};
use symbolon_crypto::GatewayName;
use tracing_subscriber::filter::LevelFilter;
use zeroize::Zeroizing;

use crate::cli::Global;
use crate::enrol::gateway_name;
use crate::exit::{Complaint, Kind, Outcome, plain};
use crate::output::{Output, Page, Report};
use crate::paste::Paste;
use crate::pin;
use crate::serve::Signals;
use crate::user::{NOTHING, destinations_table};
use crate::{notify, runtime};
use with::{CredentialArgs, Method};

/// How long an agent that is stopped while it signs in may take to sign out again: many times what either takes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// As whom, and where.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SignInArgs {
    #[command(flatten)]
    credential: CredentialArgs,
    /// Which gateway, when the token is registered with several, or for another credential than a token
    #[arg(long, value_name = "NAME", value_parser = gateway_name)]
    gateway: Option<GatewayName>,
    /// HOST:PORT where the gateway is, when it has moved since the registration or there was none
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// What to tell the gateway about where this machine is
    #[arg(long, value_name = "TEXT")]
    place: Option<String>,
}

impl SignInArgs {
    fn options(
        self,
        paths: Paths,
        secret: Option<Zeroizing<String>>,
        patience: Patience,
    ) -> Outcome<AgentOptions> {
        let Self { credential, gateway, address, place } = self;
        let credential = credential.credential(&paths, secret)?;
        Ok(AgentOptions { gateway, address, place, patience, ..AgentOptions::new(paths, credential) })
    }

    /// Whether a ticket of the last session spares a person the PIN: that of another one's session does not.
    fn may_resume(&self, paths: &Paths) -> bool {
        // One that cannot be read is no reason not to ask.
        let ticket = symbolon_agent::kept_ticket(paths).ok().flatten();
        let ticket = ticket.filter(|ticket| !ticket.over && ticket.of_this_token);
        let here = |gateway: &str| self.gateway.as_ref().is_none_or(|wanted| wanted.as_str() == gateway);
        self.credential.is_left_open() && ticket.is_some_and(|ticket| here(&ticket.gateway))
    }
}

/// How to sign in.
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    sign_in: SignInArgs,
}

/// How to run as a service.
#[derive(Args, Debug)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    sign_in: SignInArgs,
    /// Give up when the first sign-in fails, instead of trying on
    #[arg(long)]
    first_try: bool,
    /// Started by `login`: the secret comes on standard input, and the terminal is left
    #[arg(long, hide = true)]
    background: bool,
}

/// Who is signed in, where, and what may be reached.
#[derive(Serialize)]
pub(crate) struct SignedIn {
    status: Status,
    destinations: Vec<symbolon_agent::DestinationInfo>,
    #[serde(skip)]
    already: bool,
    #[serde(skip)]
    paste: Paste,
}

impl SignedIn {
    pub(crate) fn new(status: Status, destinations: Destinations, paste: Paste) -> Self {
        Self { status, destinations: destinations.destinations, already: false, paste }
    }
}

impl Report for SignedIn {
    fn write(&self, page: &mut Page) {
        let Status { user, gateway, address, .. } = &self.status;
        match self.status.link {
            Link::Connected => {
                let already = if self.already { "already " } else { "" };
                page.line(format!("You are {already}signed in to {gateway} ({address}) as {user}."));
            }
            _ => {
                return page
                    .line(format!("The agent tries to reach {gateway} ({address}), and goes on trying."));
            }
        }
        page.gap();
        page.table(&destinations_table(&self.destinations), NOTHING);
        if let Some(first) = self.destinations.first() {
            page.gap();
            page.line("Next:");
            page.command(&self.paste.user(["connect", &first.app]));
        }
    }
}

/// Starts an agent in the background and waits until it is signed in.
pub(crate) fn run(global: &Global, args: &LoginArgs) -> Outcome {
    let paths = Paths::new(global.home.clone())?;
    let runtime = runtime::small()?;
    let mut already = true;
    if runtime.block_on(Client::connect(&paths)).is_err() {
        start(global, &paths, &args.sign_in)?;
        already = false;
    }
    let signed_in = runtime.block_on(signed_in(&paths, Paste::new(global)))?;
    let other = args.sign_in.gateway.as_ref().is_some_and(|g| g.as_str() != signed_in.status.gateway);
    if already && other {
        return Err(Complaint::usage(format!(
            "an agent is signed in to {} already",
            signed_in.status.gateway
        ))
        .fix("end that session first: symbolon logout"));
    }
    global.output().report(&SignedIn { already, ..signed_in });
    Ok(())
}

/// Starts an agent: by the ticket of the last session without a question, where that is possible.
fn start(global: &Global, paths: &Paths, sign_in: &SignInArgs) -> Outcome {
    if sign_in.may_resume(paths) {
        let by_ticket = SignInArgs { credential: CredentialArgs::ticket(), ..sign_in.clone() };
        match background::start(global, paths, &by_ticket, None) {
            Err(e) if matches!(e.kind, Kind::Denied | Kind::Usage) => {
                global.output().note(&format!("the ticket of the last session opens nothing: {}", e.message));
            }
            other => return other,
        }
    }
    // what is wrong with the token is worth knowing before a PIN is typed
    if sign_in.credential.method()? == Method::Token {
        let token = symbolon_agent::token::info(paths)?;
        if !token.registered {
            return Err(Complaint::usage("the token is not registered with any gateway yet")
                .fix("use your invitation: symbolon enrol LINK"));
        }
    }
    let secret = sign_in.credential.secret(paths)?;
    background::start(global, paths, sign_in, secret.as_deref().map(String::as_str))
}

async fn signed_in(paths: &Paths, paste: Paste) -> Result<SignedIn, AgentError> {
    let mut client = Client::connect(paths).await?;
    Ok(SignedIn::new(client.status().await?, client.ls().await?, paste))
}

/// Runs an agent until it is told to stop, or its session is over for good.
pub(crate) fn agent(global: &Global, args: AgentArgs) -> Outcome {
    let AgentArgs { sign_in, first_try, background } = args;
    let paths = Paths::new(global.home.clone())?;
    let secret = if background {
        // Out of the terminal's reach before anything else: it may be closed at any time.
        let _ = rustix::process::setsid();
        if sign_in.credential.has_secret(&paths)? { Some(from_stdin()?) } else { None }
    } else {
        sign_in.credential.secret(&paths)?
    };
    // JSON is for whoever started us; people read the log of a background agent
    runtime::log(&Global { json: global.json && !background, ..global.clone() }, LevelFilter::INFO);
    let patience = if first_try || background { Patience::FirstTry } else { Patience::KeepTrying };
    let options = sign_in.options(paths.clone(), secret, patience)?;
    runtime::large()?.block_on(async {
        let mut signals = Signals::new()?;
        let start = Agent::start(options);
        tokio::pin!(start);
        let agent = tokio::select! {
            agent = &mut start => agent?,
            () = signals.stop() => {
                // otherwise the gateway would keep a session that nobody uses
                if let Ok(Ok(agent)) = tokio::time::timeout(LAST_WORDS, start).await {
                    agent.logout().await?;
                }
                return Err(Complaint::failure("stopped before the sign-in was done"));
            }
        };
        ready(global.output(), &paths, Paste::new(global)).await?;
        let sign_out = agent.sign_out();
        let wait = agent.wait();
        tokio::pin!(wait);
        tokio::select! {
            ended = &mut wait => return Ok(ended?),
            () = signals.stop() => {}
        }
        notify::stopping();
        sign_out.now();
        Ok(wait.await?)
    })
}

async fn ready(output: Output, paths: &Paths, paste: Paste) -> Outcome {
    let signed_in = signed_in(paths, paste).await?;
    let Status { user, gateway, link, .. } = &signed_in.status;
    // a service that goes on trying is up: what waits for it would wait for the network
    notify::ready(&match link {
        Link::Connected => format!("{user} at {gateway}"),
        _ => format!("trying to reach {gateway}"),
    });
    output.report(&signed_in);
    Ok(())
}

fn from_stdin() -> Outcome<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    std::io::stdin()
        .take(4096)
        .read_to_end(&mut bytes)
        .map_err(|e| Complaint::failure(format!("standard input: {}", plain(&e))))?;
    pin::first_line(&bytes).ok_or_else(|| Complaint::usage("no secret came on standard input"))
}
