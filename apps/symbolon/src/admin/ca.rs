//! `admin ca`: certificates of persons and devices, the list of those that count no more, and the issuer.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use symbolon_crypto::{KemPrivateKey, SubjectId};
use symbolon_issuer::{CertificateRequest, RequestKey, RequestedName, SealedCertificate};
use symbolon_policy::CanonName;
use symbolon_provider::{SubjectKeyKind, SubjectPrivateKey, crypto};
use symbolon_wire::Decode as _;

use super::ca_files::{self, from_base64, to_base64};
use super::ca_gateway::{self, GatewayRequestArgs};
use super::ca_offline::{self, OpenArgs, RequestArgs, SignArgs};
use super::ca_revoke::{self, RevokeGatewayArgs};
use super::listing::{Done, Listing};
use super::office::Office;
use super::{Desk, path};
use crate::exit::{Complaint, Outcome};
use crate::private::NewFile;
use crate::{duration, place};

const OFFICE: &str = "/v1/ca";
const CERTIFICATES: &str = "/v1/ca/certificates";

/// What can be done about certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// The issuer: whether its key is here, what waits for it
    Status,
    /// List certificates of persons and devices
    List,
    /// Make a certificate: from a request, or with a new key for a user
    Issue(IssueArgs),
    /// Make a key and a request for its certificate; needs no node
    Request(RequestArgs),
    /// Open the envelope of a certificate whose key cannot sign; needs no node
    Open(OpenArgs),
    /// Make the next certificate in place of one that is in force
    Renew {
        /// The certificate's number, from the list
        serial: String,
        /// The request for the next one (PKCS #10, PEM or DER)
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// Where the certificate goes, PEM
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How long it lives: 12h, 7d
        #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration::seconds)]
        lifetime: u64,
    },
    /// Put a certificate into force whose key cannot sign, with what opening its envelope gave
    Confirm {
        /// The certificate's number, from the list
        serial: String,
        /// What opening the envelope gave
        confirmation: String,
    },
    /// Revoke a certificate, and all others of its key; its user's sessions end at once
    Revoke {
        /// The certificate's number, from the list
        serial: String,
        /// key-compromise, affiliation-changed, superseded or cessation-of-operation
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
    },
    /// Revoke a gateway's certificate: clients talk to it no more as soon as they learn of the list
    RevokeGateway(RevokeGatewayArgs),
    /// The list of revoked certificates (RFC 5280)
    Crl {
        /// Where it goes, PEM
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Make a new one first
        #[arg(long)]
        new: bool,
    },
    /// Everything that waits for an issuer whose key is elsewhere, in one file
    Requests {
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign such a file, on the machine where the issuer's key is; needs no node and no network
    SignRequests(SignArgs),
    /// Take in what was signed there: all of it, or nothing
    Take {
        /// The signed file
        file: PathBuf,
        /// The directory where certificates and envelopes go
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make a gateway's key and a request for its identity; needs no node
    GatewayRequest(GatewayRequestArgs),
    /// Take in the identity that was signed for it; the gateway is not running meanwhile
    GatewayTake {
        /// The signed file
        file: PathBuf,
    },
    /// Let another issuer follow: both count until it is finished
    Rotate {
        /// How long the old issuer counts beside the new one
        #[arg(long, default_value = "30d", value_name = "TIME", value_parser = duration::seconds)]
        overlap: u64,
        /// Put the new issuer in the old one's place; nobody is cut off
        #[arg(long)]
        finish: bool,
    },
}

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

pub(super) async fn run(desk: &Desk<'_>, command: CaCommand) -> Outcome {
    match command {
        CaCommand::Status => status(desk).await,
        CaCommand::List => list(desk).await,
        CaCommand::Issue(args) => issue(desk, args).await,
        CaCommand::Request(args) => ca_offline::request(desk, &args),
        CaCommand::Open(args) => ca_offline::open(desk, &args),
        CaCommand::Renew { serial, request, out, lifetime } => {
            let request = ca_files::read_request(&request)?;
            let body = json!({ "request": to_base64(&request), "lifetime_secs": lifetime });
            let file = NewFile::create(&place::absolute(&out)?)?;
            let answer = desk.node.post(&(path(CERTIFICATES, [&*serial]) + "/renew"), &body).await?;
            finish(desk, file, &out, answer)
        }
        CaCommand::Confirm { serial, confirmation } => {
            let body = json!({ "confirmation": confirmation });
            let answer = desk.node.post(&(path(CERTIFICATES, [&*serial]) + "/confirm"), &body).await?;
            desk.global.output().report(&Done::new(answer, format!("Certificate {serial} is in force.")));
            Ok(())
        }
        CaCommand::Revoke { serial, reason } => revoke(desk, &serial, reason).await,
        CaCommand::RevokeGateway(args) => ca_revoke::gateway(desk, args).await,
        CaCommand::Crl { out, new } => revocation_list(desk, out, new).await,
        CaCommand::Requests { out } => requests(desk, out).await,
        CaCommand::SignRequests(args) => ca_offline::sign(desk.global, &args),
        CaCommand::Take { file, out } => take(desk, file, out).await,
        CaCommand::GatewayRequest(args) => ca_gateway::request(desk, &args),
        CaCommand::GatewayTake { file } => ca_gateway::take(desk, &file),
        CaCommand::Rotate { overlap, finish } => rotate(desk, overlap, finish).await,
    }
}

async fn status(desk: &Desk<'_>) -> Outcome {
    desk.global.output().report(&Office(desk.node.get(OFFICE).await?));
    Ok(())
}

async fn list(desk: &Desk<'_>) -> Outcome {
    let none = format!(
        "No certificate was made yet. Make one:\n  {}",
        desk.paste.node(["admin", "ca", "issue", "NAME", "--device", "phone", "--out", "phone.crt"])
    );
    let columns = [
        ("NUMBER", "serial"),
        ("SUBJECT", "subject"),
        ("STATE", "state"),
        ("UNTIL", "until"),
        ("REASON", "reason"),
    ];
    let answer = desk.node.get(CERTIFICATES).await?;
    desk.global.output().report(&Listing::new("certificates", answer, columns, none));
    Ok(())
}

async fn issue(desk: &Desk<'_>, args: IssueArgs) -> Outcome {
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
fn finish(desk: &Desk<'_>, mut file: NewFile, out: &std::path::Path, answer: Value) -> Outcome {
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

async fn revoke(desk: &Desk<'_>, serial: &str, reason: Option<String>) -> Outcome {
    let body = json!({ "reason": reason });
    let answer = desk.node.post(&(path(CERTIFICATES, [serial]) + "/revoke"), &body).await?;
    let count = answer["revoked"].as_array().map_or(0, Vec::len);
    let mut sentence = match count {
        0 | 1 => format!("Certificate {serial} is revoked."),
        n => format!("Certificate {serial} and {} more of its key are revoked.", n - 1),
    };
    if answer["list"].is_null() {
        sentence += " The list for others is to be signed where the issuer's key is.";
        let next = desk.paste.node(["admin", "ca", "requests", "--out", "requests.bin"]);
        desk.global.output().report(&Done::new(answer, sentence).next(next));
    } else {
        desk.global.output().report(&Done::new(answer, sentence));
    }
    Ok(())
}

async fn revocation_list(desk: &Desk<'_>, out: PathBuf, new: bool) -> Outcome {
    let out = place::absolute(&out)?;
    let mut file = NewFile::create(&out)?;
    let answer = match new {
        true => desk.node.post("/v1/ca/crl", &json!({})).await?,
        false => desk.node.get("/v1/ca/crl").await?,
    };
    let list = from_base64(answer["list"].as_str().unwrap_or_default())?;
    file.write(ca_files::pem("X509 CRL", &list).as_bytes())?;
    file.finish()?;
    let sentence = format!("The list is in {}.", out.display());
    desk.global.output().report(&Done::new(json!({ "file": out }), sentence));
    Ok(())
}

async fn requests(desk: &Desk<'_>, out: PathBuf) -> Outcome {
    let out = place::absolute(&out)?;
    let mut file = NewFile::create(&out)?;
    let answer = desk.node.post("/v1/ca/requests", &json!({})).await?;
    file.write(&from_base64(answer["file"].as_str().unwrap_or_default())?)?;
    file.finish()?;
    let count = answer["subjects"].as_array().map_or(0, Vec::len);
    let sentence = format!(
        "{} and the order for a list are in {}. Sign them with",
        counted(count, "request"),
        out.display()
    );
    let sign = format!("symbolon admin ca sign-requests {} --issuer DIR --out signed.bin", out.display());
    let body = json!({ "file": out, "subjects": answer["subjects"] });
    desk.global.output().report(&Done::new(body, sentence).next(sign));
    Ok(())
}

async fn take(desk: &Desk<'_>, file: PathBuf, out: PathBuf) -> Outcome {
    let signed = std::fs::read(&file).map_err(|e| Complaint::file(&file, &e))?;
    let out = place::absolute(&out)?;
    std::fs::create_dir_all(&out).map_err(|e| Complaint::file(&out, &e))?;
    let answer = desk.node.post("/v1/ca/signed", &json!({ "file": to_base64(&signed) })).await?;
    let issued = answer["issued"].as_array().cloned().unwrap_or_default();
    for item in &issued {
        let serial = item["serial"].as_str().unwrap_or_default();
        let (name, bytes) = match (item["certificate"].as_str(), item["envelope"].as_str()) {
            (Some(der), _) => {
                (format!("{serial}.crt"), ca_files::pem("CERTIFICATE", &from_base64(der)?).into_bytes())
            }
            (None, envelope) => (format!("{serial}.envelope"), from_base64(envelope.unwrap_or_default())?),
        };
        let mut file = NewFile::create(&out.join(name))?;
        file.write(&bytes)?;
        file.finish()?;
    }
    let refused = answer["refused"].as_array().map_or(0, Vec::len);
    let sentence = format!(
        "Taken in: {}, into {}; refused: {refused}.",
        counted(issued.len(), "certificate"),
        out.display()
    );
    desk.global.output().report(&Done::new(answer, sentence));
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

async fn rotate(desk: &Desk<'_>, overlap: u64, finish: bool) -> Outcome {
    let body = json!({ "overlap_secs": overlap, "finish": finish });
    let answer = desk.node.post("/v1/ca/rotate", &body).await?;
    let new = answer["new"].as_str().unwrap_or_default();
    let done = if finish {
        let sentence = format!("The issuer is now {new}. Nobody was cut off.");
        Done::new(answer, sentence)
    } else {
        let sentence = format!(
            "{new} follows. Certificates of both issuers count. When the clients have learned of it, finish with"
        );
        Done::new(answer, sentence).next(desk.paste.node(["admin", "ca", "rotate", "--finish"]))
    };
    desk.global.output().report(&done);
    Ok(())
}
