//! The certificate that the agent got from the gateway, and its file.
//!
//! ```text
//! "SYMBOLON CERTIFICATE\n" | version 1 (1) | gateway <8> | address <16> | issuer's certificate <16>
//!     | certificate <16> | 1 and the key, as symbolon_provider writes it <16>,
//!     or 2 and the key's URI (RFC 7512) where it is in a device <16>
//! ```
//! It lies beside the token, only its owner reads it, and it says all that a sign-in needs.

use crate::certificate_key::KeptKey;
use crate::files::{self, SecretFile};
use crate::status::SCHEMA;
use crate::{AgentError, Paths, clock};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use symbolon_crypto::{GatewayName, LapsedSubject, Revocation, SubjectName, SubjectTrust, TrustedIssuer};
use symbolon_policy::format_time;
use symbolon_provider::crypto;
use symbolon_wire::{Reader, Time, WireError};

/// Two certificates and an X-Wing key take less.
const FILE: SecretFile = SecretFile {
    what: "certificate",
    magic: b"SYMBOLON CERTIFICATE\n",
    version: 1,
    limit: 32 * 1024,
    fix: "remove it, and request another: symbolon certificate remove",
};

/// A certificate with its key, and the gateway that gave it.
#[derive(Debug)]
pub(crate) struct KeptCertificate {
    pub(crate) gateway: GatewayName,
    pub(crate) address: String,
    pub(crate) issuer: TrustedIssuer,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: KeptKey,
}

/// What can be said about the certificate that the agent keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Where the file is.
    pub path: PathBuf,
    /// Whom it is for: `symbolon:device:CODE:LABEL`.
    pub subject: String,
    /// The kind of its key: `x-wing`, `x25519`, `p256`, `ed25519`.
    pub key: String,
    /// The device that holds the key, and the key in it, as a PKCS#11 URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Which gateway gave it.
    pub gateway: String,
    /// Hash of the issuer's key.
    pub issuer: String,
    /// When it begins, RFC 3339.
    pub from: String,
    /// When it ends, RFC 3339.
    pub until: String,
    /// From when on a running agent renews it, RFC 3339.
    pub renewed_from: String,
    /// Whether it has ended.
    pub over: bool,
}

fn file(paths: &Paths) -> PathBuf {
    paths.token.with_file_name("certificate")
}

/// The certificate that the agent keeps, if there is one.
///
/// # Errors
/// When its file cannot be read or is none.
pub fn certificate_info(paths: &Paths) -> Result<Option<CertificateInfo>, AgentError> {
    KeptCertificate::load(paths)?.map(|kept| kept.info(paths)).transpose()
}

/// Removes the certificate that the agent keeps, and its key; true when there was one.
///
/// # Errors
/// When its file cannot be removed.
pub fn remove_certificate(paths: &Paths) -> Result<bool, AgentError> {
    files::remove(&file(paths))
}

/// The machine's name as the label of a device: small letters, digits and hyphens.
pub(crate) fn device_label() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let label: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    if label.chars().any(|c| c != '-') { label } else { "device".to_owned() }
}

impl KeptCertificate {
    /// Reads the file; nothing when there is none.
    pub(crate) fn load(paths: &Paths) -> Result<Option<Self>, AgentError> {
        FILE.load(&file(paths), Self::read)
    }

    /// Writes the file, over an older one.
    pub(crate) fn save(&self, paths: &Paths) -> Result<(), AgentError> {
        FILE.save(&file(paths), |w| {
            w.text8(self.gateway.as_str());
            w.text16(&self.address);
            w.bytes16(self.issuer.certificate());
            w.bytes16(&self.certificate);
            self.key.write(w);
        })
    }

    /// What it says, as long as its issuer vouches for it; its own time may be over.
    pub(crate) fn subject(&self) -> Result<LapsedSubject, AgentError> {
        let unusable = |e: &dyn std::fmt::Display| {
            AgentError::failure(format!("the certificate cannot be used: {e}"))
                .fix("request another: symbolon certificate request")
        };
        SubjectTrust::new(crypto(), std::slice::from_ref(&self.issuer), Revocation::IfListed)
            .map_err(|e| unusable(&e))?
            .verify_for_renewal(crypto(), &self.certificate, clock::now())
            .map_err(|e| unusable(&e))
    }

    /// When half its life is over.
    pub(crate) fn half(&self) -> Result<Time, AgentError> {
        let (from, until) = self.subject()?.validity();
        Ok(until.minus_secs(until.distance_secs(from) / 2))
    }

    /// What can be said about it.
    pub(crate) fn info(&self, paths: &Paths) -> Result<CertificateInfo, AgentError> {
        let subject = self.subject()?;
        let (from, until) = subject.validity();
        Ok(CertificateInfo {
            schema: SCHEMA,
            path: file(paths),
            subject: match subject.name() {
                SubjectName::Ours(id) => id.uri(),
                SubjectName::Foreign { name, .. } => name.clone(),
            },
            key: self.key.kind().as_str().to_owned(),
            device: self.key.device().map(ToString::to_string),
            gateway: self.gateway.to_string(),
            issuer: self.issuer.fingerprint().to_string(),
            from: format_time(from),
            until: format_time(until),
            renewed_from: format_time(self.half()?),
            over: clock::now() > until,
        })
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            gateway: GatewayName::parse(r.text8("gateway")?)?,
            address: r.text16("address")?.to_owned(),
            issuer: TrustedIssuer::from_certificate(crypto(), r.bytes16()?)
                .map_err(|_| WireError::BadValue("issuer's certificate"))?,
            certificate: r.bytes16()?.to_vec(),
            key: KeptKey::read(r)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_crypto::SubjectId;

    #[test]
    fn a_machine_s_name_becomes_a_label() {
        assert!(SubjectId::device("code", &device_label()).is_some(), "{}", device_label());
    }

    #[test]
    fn there_need_not_be_a_certificate_and_another_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().to_owned())).unwrap();
        assert_eq!(certificate_info(&paths), Ok(None));
        assert_eq!(remove_certificate(&paths), Ok(false));
        std::fs::write(file(&paths), b"SYMBOLON CERTIFICATE\n\x01\x00").unwrap();
        assert!(certificate_info(&paths).unwrap_err().fix.is_some());
        assert_eq!(remove_certificate(&paths), Ok(true));
    }
}
