//! Where ID tokens of an OpenID provider come from (A5): a program of the user's, or the user's browser.

use crate::config::OpenId;
use crate::files::read_bounded;
use crate::{AgentError, UserConfig};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use symbolon_tickets::oidc::{BrowserSource, CommandSource, IdTokenSource, SourceError, Transport};

/// How long it may take: a first message is good for 120 s after it was begun.
const LIMIT: Duration = Duration::from_secs(100);

/// How long the provider may take to answer.
const PROVIDER: Duration = Duration::from_secs(10);

/// Certificates of all authorities that a distribution knows are about 220 KB.
const MAX_AUTHORITIES: usize = 4 * 1024 * 1024;

/// Programs that open an address in the user's browser: of Linux and of macOS.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// What the configuration file says about it.
#[derive(Clone, Debug)]
pub(crate) enum IdTokens {
    /// This program prints one.
    Command(CommandSource),
    /// The user signs in at the provider.
    Browser { provider: OpenId, transport: Transport },
}

impl IdTokens {
    /// From the configuration file; files that it names are read.
    pub(crate) fn of(config: &UserConfig) -> Result<Self, AgentError> {
        if let Some((program, arguments)) = config.id_token_command.split_first() {
            return Ok(Self::Command(CommandSource::new(program.clone(), arguments.to_vec(), LIMIT)));
        }
        let provider = config.oidc.clone().ok_or_else(|| {
            AgentError::usage("there is nothing that gets ID tokens").fix(
                "name the provider in the configuration file: oidc = { provider = \"https://…\", client = \"…\" }; \
                 or a program: id_token_command = [\"PROGRAM\", \"ARGUMENT\"]",
            )
        })?;
        Ok(Self::Browser { transport: transport(&provider)?, provider })
    }

    /// A source for one sign-in.
    pub(crate) fn source(&self) -> Box<dyn IdTokenSource + Send> {
        match self {
            Self::Command(source) => Box::new(source.clone()),
            Self::Browser { provider, transport } => {
                let OpenId { provider, client, .. } = provider;
                let show = Box::new(|address: &str| show(address));
                Box::new(BrowserSource::new(provider, client, transport.clone(), show, LIMIT))
            }
        }
    }
}

fn transport(provider: &OpenId) -> Result<Transport, AgentError> {
    let wrong = |e: &dyn std::fmt::Display| {
        AgentError::usage(format!("oidc in the configuration file: {e}")).fix("correct that file")
    };
    match &provider.authorities {
        Some(path) => {
            let pem = read_bounded(path, MAX_AUTHORITIES)?
                .ok_or_else(|| wrong(&format!("there is no file {}", path.display())))?;
            Transport::https(&pem, PROVIDER).map_err(|e| wrong(&e))
        }
        None if provider.provider.starts_with("http://127.0.0.1:") => {
            Ok(Transport::unprotected_http(PROVIDER))
        }
        None => Err(wrong(&"name the `authorities` that vouch for the provider's server")),
    }
}

/// Brings an address before the user: in the browser where one can be opened, and on standard error.
fn show(address: &str) {
    let opened = OPENERS.iter().any(|program| {
        let mut command = Command::new(OsString::from(program));
        command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        // It ends when it has told the browser; nobody waits for that here.
        std::thread::spawn(move || child.wait());
        true
    });
    let words = if opened { "sign in in your browser, or open" } else { "to sign in, open" };
    // Whoever closed it does not want to read it.
    let _ = writeln!(std::io::stderr(), "{words}: {address}");
}

/// What went wrong, and what to do about it.
pub(crate) fn told(e: &SourceError) -> AgentError {
    let error = match e {
        SourceError::Provider(_) => AgentError::unreachable(e.to_string()),
        _ => AgentError::failure(e.to_string()),
    };
    error.fix("see what is said above, or by the program of id_token_command in the configuration file, and try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(address: &str) -> UserConfig {
        let oidc = OpenId { provider: address.to_owned(), client: "symbolon".into(), authorities: None };
        UserConfig { oidc: Some(oidc), ..UserConfig::default() }
    }

    #[test]
    fn a_program_comes_before_the_browser_and_a_provider_elsewhere_needs_authorities() {
        assert!(IdTokens::of(&UserConfig::default()).unwrap_err().fix.is_some());
        assert!(matches!(IdTokens::of(&provider("http://127.0.0.1:1")), Ok(IdTokens::Browser { .. })));
        for elsewhere in ["https://id.example.org", "http://id.example.org", "http://127.0.0.1.example.org"] {
            assert!(IdTokens::of(&provider(elsewhere)).unwrap_err().message.contains("authorities"));
        }
        let both = UserConfig { id_token_command: vec!["x".into()], ..provider("http://127.0.0.1:1") };
        assert!(matches!(IdTokens::of(&both), Ok(IdTokens::Command(_))));
    }
}
