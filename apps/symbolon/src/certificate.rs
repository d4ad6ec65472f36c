//! `symbolon certificate`: the certificate that the agent gets for this device, and renews.

use clap::Subcommand;
use serde::Serialize;
use symbolon_agent::{
    CertificateInfo, Client, PIN_WANTED, Paths, Pkcs11Uri, certificate_info, remove_certificate,
};
use symbolon_crypto::SecretBytes;
use symbolon_provider::SubjectKeyKind;
use zeroize::Zeroizing;

use crate::cli::Global;
use crate::device::DeviceArgs;
use crate::exit::{Complaint, Outcome};
use crate::output::{Page, Report, seconds};
use crate::paste::Paste;
use crate::pin::{self, PinArgs};
use crate::runtime;

/// What can be done with the certificate.
#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Get a certificate for this device over the agent's session; the agent renews it from half its life
    Request {
        /// The kind of its new key: x-wing, x25519, p256 or ed25519 [default: x-wing; p256 in a device]
        #[arg(long, value_name = "KIND")]
        key: Option<SubjectKeyKind>,
        /// What to call this device, in small letters, digits and hyphens [default: the machine's name]
        #[arg(long, value_name = "LABEL")]
        device: Option<String>,
        #[command(flatten)]
        place: DeviceArgs,
        #[command(flatten)]
        pin: PinArgs,
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
        let CertificateInfo { path, subject, key, device, gateway, from, until, renewed_from, over, .. } =
            &self.info;
        let until = format!("{}{}", seconds(until), if *over { " (it has ended)" } else { "" });
        page.pairs([
            ("certificate", path.display().to_string()),
            ("subject", subject.clone()),
            ("key", key.clone()),
            ("key in", device.clone().unwrap_or_default()),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    left_in: Option<String>,
}

impl Report for Removed {
    fn write(&self, page: &mut Page) {
        match &self.left_in {
            None => page.line("The certificate and its key are gone from this machine."),
            Some(device) => {
                page.line("The certificate is gone from this machine. Its key is still in its device:");
                page.command(device);
                page.line("The device's own tools remove it: pkcs11-tool --login --delete-object --type privkey --id ID");
            }
        }
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
        CertificateCommand::Request { key, device, place, pin } => {
            let info = match place.uri()? {
                None => {
                    let key = key.unwrap_or(SubjectKeyKind::XWing).as_str();
                    let asked = async { Client::connect(&paths).await?.certificate(key, device).await };
                    runtime::small()?.block_on(asked)?
                }
                Some(place) => {
                    let key = key.unwrap_or(SubjectKeyKind::P256);
                    in_device(&paths, key, device, place, &pin)?
                }
            };
            global.output().report(&Told { info, next: Some(next) });
        }
        CertificateCommand::Show => {
            let info = certificate_info(&paths)?.ok_or_else(none)?;
            global.output().report(&Told { info, next: None });
        }
        CertificateCommand::Remove => {
            // one that cannot be read goes as well
            let left_in = certificate_info(&paths).ok().flatten().and_then(|info| info.device);
            if !remove_certificate(&paths)? {
                return Err(none());
            }
            global.output().report(&Removed { removed: true, left_in });
        }
    }
    Ok(())
}

/// Asks for one whose key a device makes and holds. Its PIN is asked for only where the agent wants it: what is wrong
/// with the URI or the device is worth knowing before.
fn in_device(
    paths: &Paths,
    key: SubjectKeyKind,
    device: Option<String>,
    place: Pkcs11Uri,
    pin: &PinArgs,
) -> Outcome<CertificateInfo> {
    let from_file =
        pin.pin_file.as_deref().or(place.pin_source.as_deref()).map(pin::read_file).transpose()?;
    let bytes = |pin: &Zeroizing<String>| SecretBytes::new(pin.as_bytes().to_vec());
    let place = Pkcs11Uri { pin_source: None, ..place };
    let ask = |pin: Option<SecretBytes>| {
        let device = device.clone();
        runtime::small()?
            .block_on(async {
                let mut agent = Client::connect(paths).await?;
                agent.certificate_in_device(key.as_str(), device, &place, pin).await
            })
            .map_err(Complaint::from)
    };
    match ask(from_file.as_ref().map(bytes)) {
        Err(e) if e.code == PIN_WANTED => ask(Some(bytes(&pin.secret_of_device()?))),
        other => other,
    }
}
