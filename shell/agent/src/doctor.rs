//! What may be wrong, and how to mend it.

mod credentials;

use crate::connection::Connection;
use crate::directory::Directory;
use crate::files::is_open_to_others;
use crate::gateway::{Misfit, Trust, meet};
use crate::issuers::Issuers;
use crate::sign_in::published;
use crate::status::{SCHEMA, Status};
use crate::{AgentError, Client, Link, Paths, UserConfig, clock, device, token};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use symbolon_crypto::{GatewayName, TrustedIssuer};
use symbolon_hardware::{Device, HardwareError, Tries};
use symbolon_policy::{format_time, parse_time};
use symbolon_token::Hello;
use symbolon_wire::Time;

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// In order.
    Ok,
    /// Works, but should be looked at; or could not be looked at.
    Warn,
    /// Does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What: `configuration`, `token`, `permissions`, `attempts`, `device`, `kerberos`, `oidc`, `certificate`,
    /// `ticket`, `agent`, `socket`, `session`, `directory`, `gateway`, `certificates`, `clock`.
    pub name: String,
    /// How it is.
    pub finding: Finding,
    /// One sentence about it.
    pub detail: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The checks, in the order in which to mend them.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// The worst of all findings.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let has = |f| self.checks.iter().any(|c| c.finding == f);
        if has(Finding::Fail) {
            Finding::Fail
        } else if has(Finding::Warn) {
            Finding::Warn
        } else {
            Finding::Ok
        }
    }

    fn add(&mut self, name: &str, finding: Finding, detail: impl Into<String>, fix: Option<&str>) {
        let (detail, fix) = (detail.into(), fix.map(str::to_owned));
        self.checks.push(Check { name: name.to_owned(), finding, detail, fix });
    }

    fn ok(&mut self, name: &str, detail: impl Into<String>) {
        self.add(name, Finding::Ok, detail, None);
    }

    fn error(&mut self, name: &str, finding: Finding, error: &AgentError) {
        self.add(name, finding, error.message.clone(), error.fix.as_deref());
    }
}

/// Looks at everything that the user's side needs. Needs no PIN and changes nothing.
///
/// `address` is where to look for the gateway when neither a running agent nor the configuration
/// tells, `host:port`.
pub async fn doctor(paths: &Paths, address: Option<(String, GatewayName)>) -> Diagnosis {
    let mut found = Diagnosis { schema: SCHEMA, checks: Vec::new() };
    let config = match UserConfig::load(paths) {
        Ok(config) => {
            found.ok("configuration", format!("{} is in order, or absent", paths.config.display()));
            Some(config)
        }
        Err(e) => {
            found.error("configuration", Finding::Fail, &e);
            None
        }
    };
    let issuer = look_at_token(paths, config.as_ref(), &mut found);
    credentials::look(paths, config.as_ref(), &mut found).await;
    let agent = look_at_agent(paths, &mut found).await;
    if let (Some(issuer), Some(agent)) = (&issuer, &agent)
        && issuer.fingerprint().to_string() != agent.issuer
    {
        found.add(
            "token",
            Finding::Fail,
            "the running agent uses a token of another issuer than the one in the file",
            Some("somebody may have put another token in its place; symbolon logout, then symbolon login"),
        );
    }
    let from_agent = agent.and_then(|a| Some((a.address, GatewayName::parse(&a.gateway).ok()?)));
    let from_config = config.as_ref().and_then(|c| Some((c.address.clone()?, c.gateway.clone()?)));
    let issuer = match issuer {
        Some(issuer) => Some(issuer),
        None => config.as_ref().and_then(|c| c.trusted_issuer().ok().flatten()),
    };
    let directory = config.as_ref().map(Directory::of).transpose();
    let directory = match directory {
        Ok(directory) => directory.flatten(),
        Err(e) => {
            found.error("directory", Finding::Fail, &e);
            None
        }
    };
    let issuers = issuer.map(|issuer| Arc::new(Issuers::load(paths, issuer).looking_in(directory)));
    let gateway = address.or(from_agent).or(from_config);
    if let (Some((_, name)), Some(issuers)) = (&gateway, &issuers) {
        look_at_directory(name, issuers, &mut found).await;
    }
    look_at_gateway(gateway, issuers, &mut found).await;
    found
}

fn look_at_token(paths: &Paths, config: Option<&UserConfig>, found: &mut Diagnosis) -> Option<TrustedIssuer> {
    // Whoever signs in by something else needs none.
    let elsewhere = config.and_then(|c| c.trusted_issuer().ok().flatten());
    if let (false, Some(issuer)) = (paths.token.exists(), elsewhere) {
        let detail = format!("none; the configuration file trusts issuer {}", issuer.fingerprint());
        found.ok("token", detail);
        return Some(issuer);
    }
    let token = match token::load(paths) {
        Ok(token) => token,
        Err(e) => {
            found.error("token", Finding::Fail, &e);
            return None;
        }
    };
    let issuer = token.issuer().fingerprint();
    if token.is_registered() {
        found.ok("token", format!("{} is a registered token of issuer {issuer}", paths.token.display()));
    } else {
        let fix = Some("run symbolon enrol");
        found.add("token", Finding::Warn, "the token is not registered with any gateway yet", fix);
    }
    match is_open_to_others(&paths.token) {
        Ok(false) => found.ok("permissions", "only you can read the token"),
        Ok(true) => {
            let fix = format!("chmod 600 {}", paths.token.display());
            found.add("permissions", Finding::Warn, "others can read the token's file", Some(&fix));
        }
        Err(e) => found.error("permissions", Finding::Warn, &e),
    }
    if let (Some(reference), Some(config)) = (token.device(), config) {
        look_at_device(device::of_token(reference, config), "the token's keys", found);
        return Some(token.issuer().clone());
    }
    match token::info(paths) {
        Ok(info) if info.locked => found.error(
            "attempts",
            Finding::Fail,
            &AgentError::from(symbolon_token::container::TokenError::Locked),
        ),
        Ok(info) if info.failed_attempts > 0 => found.add(
            "attempts",
            Finding::Warn,
            format!("{} wrong PINs; it locks after {} more", info.failed_attempts, info.attempts_left),
            Some("the right PIN sets the counter back; if it was not you, see who can use this machine"),
        ),
        Ok(_) => found.ok("attempts", "no wrong PINs"),
        Err(e) => found.error("attempts", Finding::Warn, &e),
    }
    Some(token.issuer().clone())
}

/// The device that holds `what` counts wrong PINs itself.
fn look_at_device(device: Result<Device, AgentError>, what: &str, found: &mut Diagnosis) {
    let device = match device {
        Ok(device) => device,
        Err(e) => return found.error("device", Finding::Fail, &e),
    };
    let token = device.identity().label.clone();
    match device.tries() {
        Ok(Tries::None) => {
            let e = AgentError::from(HardwareError::PinLocked { token });
            found.error("device", Finding::Fail, &e);
        }
        Ok(tries @ (Tries::Fewer | Tries::Last)) => found.add(
            "device",
            Finding::Warn,
            format!("{token} is there, and a wrong PIN was tried: {tries}"),
            Some("the right PIN sets the counter back; if it was not you, see who can use this machine"),
        ),
        Ok(Tries::Untold) => found.ok("device", format!("{token}, which holds {what}, is there")),
        Err(e) => found.error("device", Finding::Fail, &e.into()),
    }
}

async fn look_at_agent(paths: &Paths, found: &mut Diagnosis) -> Option<Status> {
    let status = match Client::connect(paths).await {
        Ok(mut client) => client.status().await,
        Err(e) => Err(e),
    };
    let status = match status {
        Ok(status) => status,
        Err(e) => {
            let finding = if paths.socket.exists() { Finding::Fail } else { Finding::Warn };
            found.error("agent", finding, &e);
            return None;
        }
    };
    found.ok("agent", format!("running as process {}, version {}", status.pid, status.version));
    match mode(&paths.socket) {
        Some(0o600) => found.ok("socket", "only you can talk to the agent"),
        _ => {
            let fix = format!("chmod 600 {}", paths.socket.display());
            found.add(
                "socket",
                Finding::Warn,
                "the agent's socket has other permissions than 0600",
                Some(&fix),
            );
        }
    }
    let last =
        status.problems.last().map_or_else(String::new, |p| format!("; {}: {}", seconds(&p.time), p.text));
    match status.link {
        Link::Connected => {
            let session = status.session.as_ref();
            let until = session.map(|s| seconds(&s.expires)).unwrap_or_default();
            let destinations = session.map_or(0, |s| s.destinations);
            if destinations == 0 {
                let fix = Some("ask an administrator whether you are approved and entitled to anything");
                found.add("session", Finding::Warn, "signed in, but you may reach nothing yet", fix);
            } else {
                let more = if destinations == 1 { "" } else { "s" };
                let keys = session
                    .and_then(|s| s.keys_from)
                    .map_or_else(String::new, |k| format!("; its gateway's keys were {k}"));
                found.ok(
                    "session",
                    format!("signed in until {until}, {destinations} destination{more}{keys}"),
                );
            }
        }
        Link::Connecting | Link::Reconnecting => {
            let fix = Some("see the gateway's check below; the agent goes on trying by itself");
            found.add("session", Finding::Fail, format!("not connected{last}"), fix);
        }
        Link::Stopping => found.add("session", Finding::Warn, "the agent is stopping", None),
    }
    Some(status)
}

/// A time as exact as people read it.
fn seconds(time: &str) -> String {
    let whole = |t: Time| format_time(Time::from_secs(t.0 / 1_000_000));
    parse_time(time).map_or_else(|| time.to_owned(), whole)
}

fn mode(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

/// What is published about the gateway, where the configuration file names a directory.
async fn look_at_directory(name: &GatewayName, issuers: &Issuers, found: &mut Diagnosis) {
    let Some(directory) = issuers.directory() else { return };
    let deadline = Directory::deadline();
    if let Err(e) = issuers.learn(deadline).await {
        return found.error("directory", Finding::Fail, &e);
    }
    match published(directory, issuers, name, deadline).await {
        Ok(Some(_)) => {
            found.ok("directory", format!("{directory} has the keys of {name}, and they are in time"))
        }
        Ok(None) => {
            let detail = format!("{directory} has no keys of {name} that are in time; the gateway is asked");
            let fix = Some("see that its node publishes them: publish_key_sets in the node's configuration");
            found.add("directory", Finding::Warn, detail, fix);
        }
        Err(e) => found.error("directory", Finding::Fail, &e),
    }
}

async fn look_at_gateway(
    gateway: Option<(String, GatewayName)>,
    issuers: Option<Arc<Issuers>>,
    found: &mut Diagnosis,
) {
    let (Some((address, name)), Some(issuers)) = (gateway, issuers) else {
        let fix = Some("give it with --address and --gateway, or look again while an agent runs");
        found.add("gateway", Finding::Warn, "where the gateway is, or whom to trust, is not known", fix);
        return;
    };
    let mut connection = match Connection::dial(&address).await {
        Ok(connection) => connection,
        Err(e) => return found.error("gateway", Finding::Fail, &e),
    };
    match meet(&mut connection, &Hello::default(), &Trust::Issuers(issuers), &name).await {
        Ok(met) => {
            found.ok("gateway", format!("{address} answers"));
            found.ok(
                "certificates",
                format!("{name} is vouched for by your issuer, and its keys are in time"),
            );
            let apart = met.offer.time.distance_secs(clock::now());
            found.ok("clock", format!("{apart} s apart from the gateway's"));
        }
        Err(Misfit::Answer(e)) => found.error("gateway", Finding::Fail, &e),
        Err(Misfit::Clock(e)) => found.error("clock", Finding::Fail, &e),
        Err(Misfit::Certificates(e)) => found.error("certificates", Finding::Fail, &e),
    }
}
