//! `admin ca issue`, `renew`, `confirm`: certificates of persons and devices.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use symbolon_crypto::{KemPrivateKey, SubjectId};
use symbolon_issuer::{CertificateRequest, RequestKey, RequestedName, SealedCertificate};
use symbolon_policy::CanonName;
use symbolon_provider::{SubjectKeyKind, SubjectPrivateKey, crypto};
use symbolon_wire::Decode as _;

use super::ca::{CERTIFICATES, OFFICE};
use super::ca_files::{self, from_base64, to_base64};
use super::listing::Done;
use super::{Desk, path};
use crate::exit::{Complaint, Outcome};
use crate::private::NewFile;
use crate::{duration, place};

/// A certificate that is to be.
#[derive(Args, Debug)]
pub(crate) struct IssueArgs {
    /// For this user, with a new key that is made here
    #[arg(required_unless_present = "request", conflicts_with = "request")]
    user: Option<CanonName>,
    /// Of this device of the user's, by a label of lower-case letters, digits and hyphens
    #[arg(long, value_name = "LABEL", requires = "user")]
    device: Option<String>,
    /// The kind of the new key: x-wing, x25519, p256, ed25519
    #[arg(long, default_value = "x-wing", value_name = "KIND")]
    key: SubjectKeyKind,
    /// From this request instead (PKCS #10, PEM or DER)
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Where the certificate goes, PEM; a new key goes beside it, in NAME.key
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it lives: 12h, 7d
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration::seconds)]
    lifetime: u64,
    /// What people read in it [default: the user's name]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

pub(super) async fn issue(desk: &Desk<'_>, args: IssueArgs) -> Outcome {
    let out = place::absolute(&args.out)?;
    let (request, key) = match (&args.request, &args.user) {
        (Some(file), _) => (ca_files::read_request(file)?, None),
        (None, Some(user)) => {
            // a request that waits would outlive the key that is made here
            if desk.node.get(OFFICE).await?["key_here"] == false {
                return Err(Complaint::failure("the issuer's key is elsewhere, so there is no certificate yet")
                    .code("waiting")
                    .fix("make a request and keep its key: admin ca request CODE --out NAME; then: admin ca issue --request NAME.csr"));
            }
            let subject = subject_of(desk, user, args.device.as_deref()).await?;
            let key = SubjectPrivateKey::generate(args.key);
            let request = CertificateRequest::make(&RequestedName::Subject(subject), RequestKey::from(&key))
                .map_err(|e| Complaint::failure(e.to_string()))?;
            (request, Some(key))
        }
        (None, None) => return Err(Complaint::usage("name a user, or a request with --request FILE")),
    };
    // before the certificate exists: one that nobody has would be in force
    let file = NewFile::create(&out)?;
    let key_file = key.as_ref().map(|_| NewFile::create(&out.with_extension("key"))).transpose()?;
    let body = json!({
        "request": to_base64(&request), "common_name": args.name, "lifetime_secs": args.lifetime,
    });
    let answer = desk.node.post(CERTIFICATES, &body).await?;
    let (Some(key), Some(mut key_file)) = (key, key_file) else { return finish(desk, file, &out, answer) };
    key_file.write(key.to_file().expose())?;
    key_file.finish()?;
    match (key.kem(), answer["envelope"].as_str()) {
        (Some(kem), Some(envelope)) => {
            let (certificate, confirmation) = open(kem, &from_base64(envelope)?, &request)?;
            let serial = answer["serial"].as_str().unwrap_or_default();
            let confirm = path(CERTIFICATES, [serial]) + "/confirm";
            desk.node.post(&confirm, &json!({ "confirmation": confirmation })).await?;
            let answer = json!({ "state": "active", "serial": serial, "until": answer["until"],
                "subject": answer["subject"], "certificate": to_base64(&certificate) });
            finish(desk, file, &out, answer)
        }
        _ => finish(desk, file, &out, answer),
    }
}

pub(super) async fn renew(
    desk: &Desk<'_>,
    serial: &str,
    request: &Path,
    out: &Path,
    lifetime: u64,
) -> Outcome {
    let request = ca_files::read_request(request)?;
    let body = json!({ "request": to_base64(&request), "lifetime_secs": lifetime });
    let file = NewFile::create(&place::absolute(out)?)?;
    let answer = desk.node.post(&(path(CERTIFICATES, [serial]) + "/renew"), &body).await?;
    finish(desk, file, out, answer)
}

pub(super) async fn confirm(desk: &Desk<'_>, serial: &str, confirmation: &str) -> Outcome {
    let body = json!({ "confirmation": confirmation });
    let answer = desk.node.post(&(path(CERTIFICATES, [serial]) + "/confirm"), &body).await?;
    desk.global.output().report(&Done::new(answer, format!("Certificate {serial} is in force.")));
    Ok(())
}

/// The user's code, as a subject.
async fn subject_of(desk: &Desk<'_>, user: &CanonName, device: Option<&str>) -> Outcome<SubjectId> {
    let known = desk.node.get(&path("/v1/users", [user.as_str()])).await?;
    let code = known["code"].as_str().unwrap_or_default();
    let subject = match device {
        Some(label) => SubjectId::device(code, label),
        None => SubjectId::person(code),
    };
    subject.ok_or_else(|| Complaint::usage("a device's label has 1 to 64 of a-z, 0-9 and hyphens"))
}

/// Opens an envelope: the certificate, DER, and what is to be returned.
pub(super) fn open(key: &KemPrivateKey, envelope: &[u8], request: &[u8]) -> Outcome<(Vec<u8>, String)> {
    let bad = || Complaint::failure("the envelope does not open with this key and for this request");
    let envelope = SealedCertificate::from_bytes(envelope).map_err(|_| bad())?;
    let request = CertificateRequest::read(crypto(), request).map_err(|_| bad())?;
    let (certificate, confirmation) = envelope.open(crypto(), key, &request).map_err(|_| bad())?;
    Ok((certificate, to_base64(confirmation.as_bytes())))
}

/// Writes what the node gave, and says what it is.
fn finish(desk: &Desk<'_>, mut file: NewFile, out: &Path, answer: Value) -> Outcome {
    let subject = answer["subject"].as_str().unwrap_or_default().to_owned();
    let out = out.display();
    let sentence = match (answer["certificate"].as_str(), answer["envelope"].as_str()) {
        (Some(certificate), _) => {
            file.write(ca_files::pem("CERTIFICATE", &from_base64(certificate)?).as_bytes())?;
            file.finish()?;
            format!("The certificate of {subject} is in {out}.")
        }
        (None, Some(envelope)) => {
            file.write(&from_base64(envelope)?)?;
            file.finish()?;
            format!("The certificate of {subject} is in {out}, in an envelope that only its key opens.")
        }
        (None, None) => {
            drop(file);
            let sentence = format!("The request of {subject} waits for the issuer's key.");
            let next = desk.paste.node(["admin", "ca", "requests", "--out", "requests.bin"]);
            desk.global.output().report(&Done::new(answer, sentence).next(next));
            return Ok(());
        }
    };
    desk.global.output().report(&Done::new(answer, sentence));
    Ok(())
}
