//! `symbolon token`: look at the token, move it, change its PIN.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use symbolon_agent::token::Replace;
use symbolon_agent::{AgentError, Paths, RegistrationInfo, TokenInfo, token};
use symbolon_token::container::{PinCost, TokenError};

use crate::cli::Global;
use crate::exit::Outcome;
use crate::output::{Page, Report, Table, seconds};
use crate::paste::Paste;
use crate::pin::{self, PinArgs};

/// What can be done with the token.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Show the token; with its PIN also where it is registered
    Info {
        /// Open the token, and show its registrations
        #[arg(long)]
        unlock: bool,
        #[command(flatten)]
        pin: PinArgs,
    },
    /// Take a token into use: one that was handed out, or a copy of one's own
    Import {
        /// The token's file
        file: PathBuf,
        /// Give up another token that is in use
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        pin: PinArgs,
    },
    /// Copy the token to a file, for another machine or to keep; it stays protected by its PIN
    Export {
        /// The file to make
        file: PathBuf,
    },
    /// Change the PIN
    ChangePin {
        #[command(flatten)]
        pin: PinArgs,
        /// Read the new PIN from a file that only its owner may read
        #[arg(long, value_name = "FILE")]
        new_pin_file: Option<PathBuf>,
    },
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    info: TokenInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    registrations: Option<Vec<RegistrationInfo>>,
    #[serde(skip)]
    sentence: String,
    #[serde(skip)]
    next: Option<String>,
}

impl Told {
    fn new(info: TokenInfo, sentence: impl Into<String>) -> Self {
        Self { info, registrations: None, sentence: sentence.into(), next: None }
    }
}

impl Report for Told {
    fn write(&self, page: &mut Page) {
        if !self.sentence.is_empty() {
            page.line(&self.sentence);
        }
        let TokenInfo {
            path,
            token_id,
            issuer,
            registered,
            device,
            gateway,
            attempts_left,
            locked,
            open_to_others,
            ..
        } = &self.info;
        let state = match (registered, locked) {
            (true, _) if device.is_some() => {
                "registered; opens with its device and the device's PIN".to_owned()
            }
            (false, _) => "blank: registered nowhere yet, no PIN".to_owned(),
            (true, true) => "locked after too many wrong PINs".to_owned(),
            (true, false) => format!("registered; {attempts_left} attempts at the PIN left"),
        };
        page.pairs([
            ("token", path.display().to_string()),
            ("id", token_id.clone()),
            ("issuer", issuer.clone()),
            ("device", device.clone().unwrap_or_default()),
            ("handed out for", gateway.clone().unwrap_or_default()),
            ("state", state),
        ]);
        if *open_to_others {
            let file = crate::paste::quote(&path.display().to_string());
            page.line("Others on this machine can read the token's file. Mend it with");
            page.command(&format!("chmod 600 {file}"));
        }
        if let Some(registrations) = &self.registrations {
            page.gap();
            let mut table = Table::new(["GATEWAY", "ADDRESS", "USER", "PATH", "SINCE"]);
            for r in registrations {
                let cells = [&r.gateway, &r.address, &r.user, &r.access_path];
                table.row(cells.map(String::clone).into_iter().chain([seconds(&r.registered).into_owned()]));
            }
            page.table(&table, "It is registered nowhere.");
        }
        if let Some(next) = &self.next {
            page.line("Next:");
            page.command(next);
        }
    }
}

/// Runs one of the commands.
pub(crate) fn run(global: &Global, command: TokenCommand) -> Outcome {
    let paths = Paths::new(global.home.clone())?;
    let paste = Paste::new(global);
    let told = match command {
        TokenCommand::Info { unlock, pin } => {
            let info = token::info(&paths)?;
            if (unlock || pin.pin_file.is_some()) && info.registered {
                let open = if info.device.is_some() {
                    token::unlock_device(&paths, pin.ask_for_device()?)?
                } else {
                    token::unlock(&paths, &pin.ask()?)?
                };
                let registrations = Some(token::registrations(open.token()));
                Told { registrations, ..Told::new(token::info(&paths)?, "") }
            } else {
                Told::new(info, "")
            }
        }
        TokenCommand::Import { file, replace, pin } => {
            let replace = if replace { Replace::Replace } else { Replace::Keep };
            let mut ask = || pin.ask().map_err(AgentError::from);
            let info = token::import(&paths, &file, &mut ask, replace)?;
            let next = if info.registered { paste.user(["login"]) } else { paste.user(["enrol", "--help"]) };
            Told { next: Some(next), ..Told::new(info, "The token is in use now.") }
        }
        TokenCommand::Export { file } => {
            let info = token::export(&paths, &file)?;
            let needs =
                if info.device.is_some() { "and needs the same device" } else { "behind the same PIN" };
            Told::new(info, format!("{} is a copy of your token, {needs}.", file.display()))
        }
        TokenCommand::ChangePin { pin, new_pin_file } => {
            if token::info(&paths)?.device.is_some() {
                return Err(AgentError::from(TokenError::InDevice).into());
            }
            let old = pin.ask()?;
            let new = match new_pin_file {
                Some(file) => pin::pin(pin::read_file(&file)?)?,
                None => pin::pin(pin::prompt_twice("New PIN")?)?,
            };
            token::change_pin(&paths, &old, &new, PinCost::default())?;
            Told::new(
                token::info(&paths)?,
                "The PIN is changed. Copies that were made before keep the old one.",
            )
        }
    };
    global.output().report(&told);
    Ok(())
}
