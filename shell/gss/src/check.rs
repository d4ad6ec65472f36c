//! What programs under this account will find, with reasons that name files: a program itself can only
//! tell a reason out of a list ([`crate::status::Reason`]).

use crate::acceptors::Service;
use crate::config::{AcceptorConfig, Config, ConfigError, InitiatorConfig, Purpose};
use crate::credential::read_password;
use crate::key_sets::Trust;
use crate::private::{self, Readers};
use crate::{Name, Users};
use std::path::PathBuf;
use symbolon_crypto::{Suite, TrustedIssuer};
use symbolon_policy::CanonName;
use symbolon_provider::crypto;
use symbolon_wire::Time;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: String,
    /// How it is, or what is wrong.
    pub outcome: Result<String, String>,
}

/// Looks at all that the configuration of this account names.
#[must_use]
pub fn all(now: Time) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    match Config::find(Purpose::Initiate) {
        Ok(Config { initiator: Some(config), .. }) => findings.initiator(&config, now),
        Ok(_) => findings.add("initiator", Ok("not configured".into())),
        Err(e) => findings.missing_or("initiator", e),
    }
    match Config::find(Purpose::Accept) {
        Ok(Config { acceptor: Some(config), .. }) => findings.acceptor(&config, now),
        Ok(_) => findings.add("services", Ok("not configured".into())),
        Err(e) => findings.missing_or("services", e),
    }
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: impl Into<String>, outcome: Result<String, String>) {
        self.0.push(Finding { what: what.into(), outcome });
    }

    fn missing_or(&mut self, what: &str, error: ConfigError) {
        let told = error.to_string();
        self.add(what, if matches!(error, ConfigError::Missing(_)) { Ok(told) } else { Err(told) });
    }

    fn initiator(&mut self, config: &InitiatorConfig, now: Time) {
        match (&config.user, &config.password_file) {
            (None, None) => self.add("user", Ok("programs ask".into())),
            (Some(user), Some(file)) => {
                let name = CanonName::parse(user).map_err(|e| e.to_string());
                let known = name.and_then(|name| match read_password(file) {
                    Ok(_) => Ok(name.to_string()),
                    Err(e) => Err(e.to_string()),
                });
                self.add("user", known);
            }
            _ => self.add("user", Err("user and password_file belong together".into())),
        }
        let trust = match Trust::new(config) {
            Ok(trust) => trust,
            Err(e) => return self.add("issuer", Err(e.to_string())),
        };
        self.add("issuer", Ok("trusted".into()));
        for service in &config.passwords_to {
            let what = format!("keys of {service}");
            let Some(name) = Name::service(service).ok().and_then(|n| n.certified()) else {
                self.add(what, Err("not a service on a host, as ldap@db.example".into()));
                continue;
            };
            let asked = |reason: &dyn std::fmt::Display| format!("asked of the service: {reason}");
            let found = match config.key_sets.as_deref() {
                None => asked(&"key_sets is not set"),
                Some(directory) => match trust.published(directory, &name, now) {
                    Ok(set) if set.key(&config.suites).is_ok() => "published".into(),
                    Ok(_) => asked(&"what is published has no suite that is accepted here"),
                    Err(e) => asked(&e),
                },
            };
            self.add(what, Ok(found));
        }
    }

    fn acceptor(&mut self, config: &AcceptorConfig, now: Time) {
        let users = Users::read(&config.users).map(|u| format!("{} of them", u.names().count()));
        self.add("list of users", users.map_err(|e| e.to_string()));
        match Service::all(&config.services) {
            Ok(services) if services.is_empty() => {
                self.add("services", Err(format!("none in {}", config.services.display())));
            }
            Ok(services) => services.iter().for_each(|service| self.service(service, now)),
            Err(e) => self.add("services", Err(e.to_string())),
        }
    }

    fn service(&mut self, service: &Service, now: Time) {
        let name = Name::from_certified(service.certified());
        let Some(name) = name else {
            return self.add(service.certified().as_str(), Err("not the name of a service".into()));
        };
        let what = |part: &str| format!("{}: {part}", name.display());
        if let Err(e) = std::fs::read_dir(service.keys())
            && e.kind() == std::io::ErrorKind::PermissionDenied
        {
            return self.add(name.display(), Ok("belongs to another account".into()));
        }
        let keys = service.key_files().map_err(|e| e.to_string()).and_then(|files| {
            let good: Vec<_> = files.iter().filter(|f| now <= f.until).collect();
            match good.iter().map(|f| f.until).max() {
                Some(until) => Ok(format!("{} for {} h", good.len(), until.distance_secs(now) / 3600)),
                None => Err("all are over: run symbolon-gss rotate".to_owned()),
            }
        });
        self.add(what("context keys"), keys);
        self.add(what("what it shows"), shown(service, now));
        for (part, outcome) in
            [("replay cache", service.replay().check()), ("wrong passwords", service.guesses().check())]
        {
            let outcome = outcome.map(|()| "can be written".into()).map_err(|e| e.to_string());
            self.add(what(part), outcome);
        }
    }
}

/// Whether what a service shows leads to its own issuer.
fn shown(service: &Service, now: Time) -> Result<String, String> {
    let read = |path: PathBuf| private::read(&path, Readers::Everybody).map_err(|e| e.to_string());
    let issuer = read(service.directory().join("issuer.crt"))?;
    let issuer = TrustedIssuer::from_certificate(crypto(), issuer.expose()).map_err(|e| e.to_string())?;
    let set = read(service.offer_file())?;
    let set = Trust::in_issuer(issuer).verify(set.expose(), service.certified(), now);
    let set = set.map_err(|e| e.to_string())?;
    let suites: Vec<String> =
        Suite::ALL.into_iter().filter(|s| set.key(&[*s]).is_ok()).map(|s| s.to_string()).collect();
    Ok(suites.join(", "))
}
