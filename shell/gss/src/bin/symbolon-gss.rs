#![forbid(unsafe_code)]
//! Makes and keeps what the GSS-API mechanism needs; `docs/gss.md` shows how.

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use symbolon_crypto::{SecretBytes, Suite};
use symbolon_gss::acceptors::Service;
use symbolon_gss::admin::{self, Account};
use symbolon_gss::{check, now};
use symbolon_policy::CanonName;

/// Issuer, services and users for Symbolon's GSS-API mechanism
#[derive(Parser)]
#[command(name = "symbolon-gss", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an issuer, who vouches for services
    InitIssuer {
        /// Directory for issuer.crt and issuer.key
        #[arg(long)]
        dir: PathBuf,
        /// What the issuer is called
        #[arg(long, default_value = "Symbolon issuer")]
        name: String,
    },
    /// Make a service that answers on this machine, or renew its certificate
    InitAcceptor {
        /// Directory of the issuer
        #[arg(long)]
        issuer: PathBuf,
        /// Directory of services
        #[arg(long)]
        services: PathBuf,
        /// The service, as ldap@db.example
        #[arg(long)]
        name: String,
        /// Account under which the service runs; yours without it
        #[arg(long)]
        owner: Option<String>,
        /// Suites that it answers in, best first
        #[arg(long, value_parser = suite, value_delimiter = ',', default_value = "X-Wing")]
        suites: Vec<Suite>,
        /// How long its first context keys live, in hours
        #[arg(long, default_value_t = DEFAULT_HOURS)]
        hours: u32,
    },
    /// Give every service new context keys, and delete those whose time is over
    Rotate {
        /// Directory of services
        #[arg(long)]
        services: PathBuf,
        /// How long the new keys live, in hours; rotate twice in that time
        #[arg(long, default_value_t = DEFAULT_HOURS)]
        hours: u32,
    },
    /// Copy the services' key sets to where initiators look for them
    Publish {
        /// Directory of services
        #[arg(long)]
        services: PathBuf,
        /// Directory of key sets
        #[arg(long)]
        to: PathBuf,
    },
    /// Add a user, or give one a new password, which is read from the terminal or the first line of input
    AddUser {
        /// The list of users
        #[arg(long)]
        users: PathBuf,
        /// Group that may read the list
        #[arg(long)]
        group: Option<String>,
        /// The user
        name: String,
    },
    /// Say what programs under this account will find, and why not what they should
    Check,
    /// Take a user off the list
    RemoveUser {
        /// The list of users
        #[arg(long)]
        users: PathBuf,
        /// The user
        name: String,
    },
}

/// Rotated every day, a key lives for two.
const DEFAULT_HOURS: u32 = 48;

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::InitIssuer { dir, name } => {
            let issuer = admin::init_issuer(&dir, &name, now())?;
            say(&format!("issuer {}\nfingerprint {}", dir.display(), issuer.fingerprint()))
        }
        Command::InitAcceptor { issuer, services, name, owner, suites, hours } => {
            let account = owner.map_or_else(|| Ok(Account::own()), |o| Account::find(&o))?;
            let service =
                admin::init_acceptor(&issuer, &services, &name, account, &suites, secs(hours)?, now())?;
            say(&format!("service {} in {}", service.certified(), service.directory().display()))
        }
        Command::Rotate { services, hours } => {
            for service in Service::all(&services)? {
                admin::rotate(&service, secs(hours)?, now()).context(service.certified().to_string())?;
                say(&format!("new key for {}", service.certified()))?;
            }
            Ok(())
        }
        Command::Publish { services, to } => {
            for file in admin::publish(&Service::all(&services)?, &to)? {
                say(&format!("published {}", file.display()))?;
            }
            Ok(())
        }
        Command::AddUser { users, group, name } => {
            let user = CanonName::parse(&name)?;
            let group = group.map(|g| admin::find_group(&g)).transpose()?;
            admin::add_user(&users, &user, &password()?, group)?;
            say(&format!("user {user}"))
        }
        Command::Check => {
            let findings = check::all(now());
            for finding in &findings {
                match &finding.outcome {
                    Ok(detail) => say(&format!("ok      {}: {detail}", finding.what))?,
                    Err(reason) => say(&format!("FAILED  {}: {reason}", finding.what))?,
                }
            }
            ensure!(findings.iter().all(|f| f.outcome.is_ok()), "not all is as it should be");
            Ok(())
        }
        Command::RemoveUser { users, name } => {
            let user = CanonName::parse(&name)?;
            admin::remove_user(&users, &user)?;
            say(&format!("removed {user}"))
        }
    }
}

fn suite(name: &str) -> Result<Suite, String> {
    symbolon_gss::find_suite(name).ok_or_else(|| "X-Wing or X25519".to_owned())
}

fn secs(hours: u32) -> Result<u64> {
    ensure!((1..=8760).contains(&hours), "a key lives for 1 to 8760 hours");
    Ok(u64::from(hours) * 3600)
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// A line of input; a terminal does not show it.
fn password() -> Result<SecretBytes> {
    let stdin = io::stdin();
    let before = if stdin.is_terminal() {
        write!(io::stderr(), "Password: ")?;
        let shown = rustix::termios::tcgetattr(&stdin)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(rustix::termios::LocalModes::ECHO);
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, &hidden)?;
        Some(shown)
    } else {
        None
    };
    let mut line = String::with_capacity(1024);
    let read = stdin.lock().read_line(&mut line);
    if let Some(shown) = before {
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, &shown)?;
        writeln!(io::stderr())?;
    }
    read?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(SecretBytes::from(line))
}
