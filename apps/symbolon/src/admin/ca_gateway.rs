//! A gateway whose issuer's key is on a machine without network: its request goes there in a file, and its
//! certificate comes back in another (B2). No node runs meanwhile.
//!
//! ```text
//! DIR/issuer.crt             whom the gateway is of
//! DIR/identity.next.key      the new key, which stays here
//! DIR/identity.next.request  what was asked, to check the answer against
//! ```

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use symbolon_crypto::{GatewayName, TrustedIssuer};
use symbolon_issuer::{
    BundleItem, CertificateRequest, RequestBundle, RequestKey, RequestedName, SignedBundle, SignedItem,
};
use symbolon_provider::{P256SigningKey, crypto};

use super::Desk;
use super::ca_offline::now;
use super::listing::Done;
use crate::exit::{Complaint, Outcome};
use crate::place;
use crate::private::NewFile;

/// A gateway identity's life, in seconds, as one that a node makes for itself.
const IDENTITY_SECS: u64 = 397 * 24 * 3600;

/// A gateway that is to be certified.
#[derive(Args, Debug)]
pub(crate) struct GatewayRequestArgs {
    /// The gateway's name
    name: String,
    /// The issuer's certificate (issuer.crt), from a place that you trust
    #[arg(long, value_name = "FILE")]
    issuer: PathBuf,
    /// Where the request goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

struct Places {
    issuer: PathBuf,
    next_key: PathBuf,
    request: PathBuf,
    key: PathBuf,
    certificate: PathBuf,
}

impl Places {
    fn of(desk: &Desk<'_>) -> Outcome<(PathBuf, Self)> {
        let dir = place::node_dir(desk.global)?;
        let places = Self {
            issuer: dir.join("issuer.crt"),
            next_key: dir.join("identity.next.key"),
            request: dir.join("identity.next.request"),
            key: dir.join("identity.key"),
            certificate: dir.join("identity.crt"),
        };
        Ok((dir, places))
    }
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|e| Complaint::file(path, &e))
}

fn trusted(certificate: &[u8], path: &Path) -> Outcome<TrustedIssuer> {
    TrustedIssuer::from_certificate(crypto(), certificate)
        .map_err(|e| Complaint::failure(format!("{}: {e}", path.display())))
}

fn write_new(path: &Path, bytes: &[u8]) -> Outcome {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}

pub(super) fn request(desk: &Desk<'_>, args: &GatewayRequestArgs) -> Outcome {
    let name = GatewayName::parse(&args.name).map_err(|_| {
        Complaint::usage(format!("{} is not a gateway's name", args.name)).fix("use a DNS name")
    })?;
    let certificate = read(&args.issuer)?;
    let issuer = trusted(&certificate, &args.issuer)?;
    let (dir, places) = Places::of(desk)?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(|e| Complaint::file(&dir, &e))?;
    match std::fs::read(&places.issuer) {
        Ok(there) if there == certificate => {}
        Ok(_) => {
            let which = format!("{} is of another issuer", dir.display());
            return Err(Complaint::failure(which).fix("use another --dir"));
        }
        Err(_) => write_new(&places.issuer, &certificate)?,
    }
    let key = P256SigningKey::generate();
    let asked = RequestedName::Gateway(name.clone());
    let request = CertificateRequest::make(&asked, RequestKey::P256(&key))
        .map_err(|e| Complaint::failure(e.to_string()))?;
    let item = BundleItem { request, common_name: name.to_string(), lifetime_secs: IDENTITY_SECS };
    let bundle = RequestBundle { issuer: issuer.fingerprint(), made: now(), items: vec![item], list: None };
    let file = bundle.to_file(crypto());
    let out = place::absolute(&args.out)?;
    let mut carried = NewFile::create(&out)?;
    write_new(&places.next_key, key.pkcs8().expose())?;
    write_new(&places.request, &file)?;
    carried.write(&file)?;
    carried.finish()?;
    let answer = json!({ "file": out, "gateway": name.as_str(), "issuer": issuer.fingerprint().to_string() });
    let sentence = format!(
        "The request of the gateway {name} is in {}, its key stays here. Sign it with",
        out.display()
    );
    let sign = format!("symbolon admin ca sign-requests {} --issuer DIR --out signed.bin", out.display());
    desk.global.output().report(&Done::new(answer, sentence).next(sign));
    Ok(())
}

pub(super) fn take(desk: &Desk<'_>, file: &Path) -> Outcome {
    let (dir, places) = Places::of(desk)?;
    let wrong = |e: &dyn std::fmt::Display| Complaint::failure(format!("{}: {e}", file.display()));
    let nothing = || {
        Complaint::failure(format!("{} waits for no certificate", dir.display()))
            .fix("ask for one: admin ca gateway-request NAME --issuer issuer.crt --out FILE")
    };
    let asked = std::fs::read(&places.request).map_err(|_| nothing())?;
    let bundle = RequestBundle::from_file(crypto(), &asked).map_err(|e| wrong(&e))?;
    let issuer = trusted(&read(&places.issuer)?, &places.issuer)?;
    let signed = SignedBundle::from_file(crypto(), &read(file)?).map_err(|e| wrong(&e))?;
    let certificate = match signed.check(crypto(), &bundle, &issuer, now()).map_err(|e| wrong(&e))? {
        [SignedItem::Certificate(certificate)] => certificate,
        [SignedItem::Refused(why)] => return Err(Complaint::failure(format!("the issuer refused: {why}"))),
        _ => return Err(wrong(&"it does not answer one request")),
    };
    let next = dir.join("identity.next.crt");
    write_new(&next, certificate)?;
    // The key first, as a node does: a certificate without its key is of no use.
    let move_to = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| Complaint::file(to, &e));
    move_to(&places.next_key, &places.key)?;
    move_to(&next, &places.certificate)?;
    std::fs::remove_file(&places.request).map_err(|e| Complaint::file(&places.request, &e))?;
    let answer = json!({ "dir": dir, "certificate": places.certificate });
    let sentence = format!("{} has its certificate. Start the gateway with", dir.display());
    desk.global.output().report(&Done::new(answer, sentence).next(desk.paste.node(["serve"])));
    Ok(())
}
