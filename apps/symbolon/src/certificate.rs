//! `symbolon certificate`: the certificate that the agent gets for this device, and renews.

use clap::Subcommand;
use serde::Serialize;
use symbolon_agent::{CertificateInfo, Client, Paths, certificate_info, remove_certificate};
use symbolon_provider::SubjectKeyKind;

use crate::cli::Global;
use crate::exit::{Complaint, Outcome};
use crate::output::{Page, Report, seconds};
use crate::paste::Paste;
use crate::runtime;

/// What can be done with the certificate.
#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Get a certificate for this device over the agent's session; the agent renews it from half its life
    Request {
        /// The kind of its new key: x-wing, x25519, p256 or ed25519
        #[arg(long, default_value = "x-wing", value_name = "KIND")]
        key: SubjectKeyKind,
        /// What to call this device, in small letters, digits and hyphens [default: the machine's name]
        #[arg(long, value_name = "LABEL")]
        device: Option<String>,
    },
    /// Show the certificate that the agent keeps
    Show,
    /// Remove the certificate and its key from this machine
    Remove,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    info: CertificateInfo,
    #[serde(skip)]
    next: Option<String>,
}

impl Report for Told {
    fn write(&self, page: &mut Page) {
        let CertificateInfo { path, subject, key, gateway, from, until, renewed_from, over, .. } = &self.info;
        let until = format!("{}{}", seconds(until), if *over { " (it has ended)" } else { "" });
        page.pairs([
            ("certificate", path.display().to_string()),
            ("subject", subject.clone()),
            ("key", key.clone()),
            ("gateway", gateway.clone()),
            ("from", seconds(from).into_owned()),
            ("until", until),
            ("renewed from", seconds(renewed_from).into_owned()),
        ]);
        if let Some(next) = &self.next {
            page.gap();
            page.line("To sign in with it:");
            page.command(next);
        }
    }
}

#[derive(Serialize)]
struct Removed {
    removed: bool,
}

impl Report for Removed {
    fn write(&self, page: &mut Page) {
        page.line("The certificate and its key are gone from this machine.");
        page.line("It counts until it ends: ask an administrator to revoke it if somebody may have a copy.");
    }
}

/// Runs one of the commands.
pub(crate) fn run(global: &Global, command: CertificateCommand) -> Outcome {
    let paths = Paths::new(global.home.clone())?;
    let next = Paste::new(global).user(["login", "--with", "certificate"]);
    let none = || {
        Complaint::usage("the agent keeps no certificate")
            .code("no-certificate")
            .fix("get one while you are signed in: symbolon certificate request")
    };
    match command {
        CertificateCommand::Request { key, device } => {
            let info = runtime::small()?
                .block_on(async { Client::connect(&paths).await?.certificate(key.as_str(), device).await })?;
            global.output().report(&Told { info, next: Some(next) });
        }
        CertificateCommand::Show => {
            let info = certificate_info(&paths)?.ok_or_else(none)?;
            global.output().report(&Told { info, next: None });
        }
        CertificateCommand::Remove => {
            if !remove_certificate(&paths)? {
                return Err(none());
            }
            global.output().report(&Removed { removed: true });
        }
    }
    Ok(())
}
