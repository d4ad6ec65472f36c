//! `symbolon enrol`: from an invitation to a registered token.

mod dialogue;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use symbolon_agent::token::Replace;
use symbolon_agent::{EnrolOptions, EnrolTarget, Enrolled, Paths};
use symbolon_crypto::GatewayName;
use symbolon_policy::TemplateName;

use crate::cli::Global;
use crate::device::DeviceArgs;
use crate::exit::Outcome;
use crate::output::{Page, Report};
use crate::paste::Paste;
use crate::pin::PinArgs;
use crate::{answers, runtime};

pub(crate) use dialogue::{Asking, Conversation};

/// Where to register, and with what.
#[derive(Args, Debug)]
pub(crate) struct EnrolArgs {
    /// The invitation link, in quotation marks; or HOST:PORT of a gateway that a token already trusts
    #[arg(value_name = "LINK")]
    link: String,
    /// Answers to the gateway's questions: a TOML or JSON map
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    pin: PinArgs,
    /// Start with this token that was handed out, instead of the one that is in use or a new one
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    #[command(flatten)]
    place: DeviceArgs,
    /// By this registration template [default: the invitation's, or the gateway's]
    #[arg(long, value_name = "NAME")]
    template: Option<TemplateName>,
    /// The gateway's name, where it is not the host of HOST:PORT
    #[arg(long, value_name = "NAME", value_parser = gateway_name)]
    gateway: Option<GatewayName>,
    /// What to call this token [default: the machine's name]
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Give up the token that is in use, for example because it is locked
    #[arg(long)]
    replace: bool,
    /// Do not ask whether the gateway is the right one
    #[arg(short, long)]
    yes: bool,
}

/// A gateway's name on the command line.
pub(crate) fn gateway_name(text: &str) -> Result<GatewayName, String> {
    GatewayName::parse(text).map_err(|_| "is not a DNS name such as gateway.example".to_owned())
}

/// What came of it.
#[derive(Serialize)]
struct Registered {
    #[serde(flatten)]
    enrolled: Enrolled,
    #[serde(skip)]
    export: String,
    #[serde(skip)]
    login: String,
}

impl Report for Registered {
    fn write(&self, page: &mut Page) {
        let Enrolled { user, gateway, access_path, token, .. } = &self.enrolled;
        page.line(format!("You are registered with {gateway} as {user} ({access_path})."));
        page.line(format!("Your token is {}. To keep a copy of it:", token.display()));
        page.command(&self.export);
        if self.enrolled.awaits_approval {
            page.line("An administrator must approve the registration before you can reach anything.");
        }
        page.line("To sign in:");
        page.command(&self.login);
    }
}

/// Registers.
pub(crate) fn run(global: &Global, args: EnrolArgs) -> Outcome {
    let output = global.output();
    let mut options =
        EnrolOptions::new(Paths::new(global.home.clone())?, EnrolTarget::parse(&args.link, args.gateway)?);
    options.token = args.token;
    options.template = args.template;
    options.label = args.label;
    options.replace = if args.replace { Replace::Replace } else { Replace::Keep };
    options.answers = args.answers.as_deref().map(answers::read).transpose()?;
    options.device = args.place.uri()?;
    let asking = if options.answers.is_none() { Asking::Everything } else { Asking::PinAlone };
    let asking = if args.yes && asking == Asking::Everything { Asking::AllButTheGateway } else { asking };
    let mut conversation = Conversation::new(output, args.pin, asking);
    let enrolled = runtime::small()?.block_on(symbolon_agent::enrol(options, &mut conversation))?;
    let paste = Paste::new(global);
    let export = paste.user(["token", "export", "token.copy"]);
    // named, because the token may know other gateways too
    let login = paste.user(["login", "--gateway", &enrolled.gateway]);
    output.report(&Registered { enrolled, export, login });
    Ok(())
}
