//! What needs no node: signing on the machine where the issuer's key is, and a subject's own part.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use symbolon_crypto::{SecretBytes, SubjectId};
use symbolon_issuer::{
    BundleItem, CertificateRequest, Issuer, Possession, RequestBundle, RequestKey, RequestedName,
    SignedBundle,
};
use symbolon_provider::{P256SigningKey, SubjectKeyKind, SubjectPrivateKey, crypto};
use symbolon_wire::Time;

use super::listing::Done;
use super::{Desk, ca_files};
use crate::cli::Global;
use crate::exit::{Complaint, Outcome};
use crate::output::{Page, Report};
use crate::private::NewFile;
use crate::{place, terminal};

/// What is to be signed, and with what.
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// The file of requests
    file: PathBuf,
    /// The directory with issuer.crt and issuer.key
    #[arg(long, value_name = "DIR")]
    issuer: PathBuf,
    /// Where the signed file goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Approve all without asking: only when the requests were compared elsewhere
    #[arg(long)]
    yes: bool,
}

pub(super) fn sign(global: &Global, args: &SignArgs) -> Outcome {
    let read = |path: &Path| std::fs::read(path).map_err(|e| Complaint::file(path, &e));
    let key_path = args.issuer.join("issuer.key");
    let key = P256SigningKey::from_pkcs8(SecretBytes::new(read(&key_path)?))
        .map_err(|_| Complaint::failure(format!("{} is not a PKCS #8 key", key_path.display())))?;
    let issuer = Issuer::load(read(&args.issuer.join("issuer.crt"))?, key)
        .map_err(|e| Complaint::failure(format!("the issuer in {}: {e}", args.issuer.display())))?;
    let bundle = RequestBundle::from_file(crypto(), &read(&args.file)?)
        .map_err(|e| Complaint::failure(format!("{}: {e}", args.file.display())))?;
    if !args.yes && !terminal::is_there() {
        return Err(Complaint::usage("each request is to be approved, and nobody is here to ask")
            .fix("run it at a terminal, or approve all with --yes when they were compared elsewhere"));
    }
    let out = place::absolute(&args.out)?;
    let mut file = NewFile::create(&out)?;
    let mut approved = 0;
    let mut unheard = None;
    let signed = issuer.sign_bundle(crypto(), &bundle, now(), |request, item| {
        let yes = args.yes
            || approve(request, item).unwrap_or_else(|e| {
                unheard.get_or_insert(e);
                false
            });
        approved += usize::from(yes);
        yes
    });
    if let Some(complaint) = unheard {
        return Err(complaint);
    }
    let signed: SignedBundle = signed.map_err(|e| Complaint::failure(e.to_string()))?;
    file.write(&signed.to_file(crypto()))?;
    file.finish()?;
    let answer = json!({ "file": out, "requests": bundle.items.len(), "approved": approved });
    let sentence = format!("Signed: {approved} of {}. Take {} back with", bundle.items.len(), out.display());
    let of_gateway = |item: &BundleItem| {
        item.read(crypto()).is_ok_and(|request| matches!(request.name(), RequestedName::Gateway(_)))
    };
    let next = if bundle.items.iter().any(of_gateway) {
        format!("symbolon --dir DIR admin ca gateway-take {}", out.display())
    } else {
        format!("symbolon admin ca take {} --out DIR", out.display())
    };
    global.output().report(&Done::new(answer, sentence).next(next));
    Ok(())
}

/// A key and a request that are to be.
#[derive(Args, Debug)]
pub(crate) struct RequestArgs {
    /// The user identification code
    code: String,
    /// Of this device of the user's, by a label of lower-case letters, digits and hyphens
    #[arg(long, value_name = "LABEL")]
    device: Option<String>,
    /// The kind of the key: x-wing, x25519, p256, ed25519
    #[arg(long, default_value = "x-wing", value_name = "KIND")]
    key: SubjectKeyKind,
    /// The name of the files: NAME.key and NAME.csr
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
}

pub(super) fn request(desk: &Desk<'_>, args: &RequestArgs) -> Outcome {
    let subject = match &args.device {
        Some(label) => SubjectId::device(&args.code, label),
        None => SubjectId::person(&args.code),
    };
    let subject = subject.ok_or_else(|| {
        Complaint::usage("a code has 4 to 80 of a-z, 0-9 and hyphens, a device's label 1 to 64")
    })?;
    let key = SubjectPrivateKey::generate(args.key);
    let request = CertificateRequest::make(&RequestedName::Subject(subject.clone()), RequestKey::from(&key))
        .map_err(|e| Complaint::failure(e.to_string()))?;
    let out = place::absolute(&args.out)?;
    let files = ["key", "csr"].map(|ending| out.with_extension(ending));
    let [mut key_file, mut request_file] = [NewFile::create(&files[0])?, NewFile::create(&files[1])?];
    key_file.write(key.to_file().expose())?;
    request_file.write(ca_files::pem("CERTIFICATE REQUEST", &request).as_bytes())?;
    key_file.finish()?;
    request_file.finish()?;
    let answer = json!({ "key": files[0], "request": files[1], "subject": subject.uri() });
    let sentence = format!("The request of {subject} is in {}, its key stays here.", files[1].display());
    desk.global.output().report(&Done::new(answer, sentence));
    Ok(())
}

/// An envelope that is to be opened.
#[derive(Args, Debug)]
pub(crate) struct OpenArgs {
    /// The envelope
    envelope: PathBuf,
    /// The key that the request was made with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The request
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Where the certificate goes, PEM
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn open(desk: &Desk<'_>, args: &OpenArgs) -> Outcome {
    let read = |path: &Path| std::fs::read(path).map_err(|e| Complaint::file(path, &e));
    let key = SubjectPrivateKey::from_file(&SecretBytes::new(read(&args.key)?))
        .map_err(|e| Complaint::failure(format!("{}: {e}", args.key.display())))?;
    let kem = key.kem().ok_or_else(|| Complaint::usage("a key that signs gets its certificate openly"))?;
    let request = ca_files::read_request(&args.request)?;
    let (certificate, confirmation) = super::ca_issue::open(kem, &read(&args.envelope)?, &request)?;
    let out = place::absolute(&args.out)?;
    let mut file = NewFile::create(&out)?;
    file.write(ca_files::pem("CERTIFICATE", &certificate).as_bytes())?;
    file.finish()?;
    let serial =
        symbolon_issuer::serial_number(&certificate).map_err(|e| Complaint::failure(e.to_string()))?;
    let serial = hex::encode(serial);
    let answer = json!({ "file": out, "serial": serial, "confirmation": confirmation });
    let sentence = format!("The certificate is in {}. Let the administrator confirm it with", out.display());
    let next = format!("symbolon admin ca confirm {serial} {confirmation}");
    desk.global.output().report(&Done::new(answer, sentence).next(next));
    Ok(())
}

/// Shows one request, whose key is proved unless it says otherwise, and asks.
fn approve(request: &CertificateRequest, item: &BundleItem) -> Outcome<bool> {
    let hash = request.key_hash(crypto()).map_err(|e| Complaint::failure(e.to_string()))?;
    let mut page = Page::new(false);
    Shown { request, item, hash }.write(&mut page);
    terminal::say(page.text())?;
    Ok(terminal::ask("Sign it? [y/N] ")?.trim().eq_ignore_ascii_case("y"))
}

struct Shown<'a> {
    request: &'a CertificateRequest,
    item: &'a BundleItem,
    hash: [u8; 32],
}

impl serde::Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.request.name())
    }
}

impl Report for Shown<'_> {
    fn write(&self, page: &mut Page) {
        let fingerprint: Vec<_> = self.hash.chunks(4).map(hex::encode).collect();
        let proof = match self.request.possession() {
            Possession::Signed => "proved by the request's signature",
            Possession::ByEnvelope => "by opening the certificate's envelope, later",
        };
        page.pairs([
            ("subject", self.request.name().to_string()),
            ("name", self.item.common_name.clone()),
            ("key", fingerprint.join(" ")),
            ("possession", proof.to_owned()),
            ("lifetime", format!("{} s", self.item.lifetime_secs)),
        ]);
    }
}

pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_secs(since.as_secs())
}
