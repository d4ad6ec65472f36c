//! A linter for the certificates that we issue: stricter than any validator, because validators are
//! lenient about what others issue (a missing authority key identifier, a serial number of zero, a
//! usage too many), and ours shall be refused by none.
//!
//! Each profile has exactly one set of extensions, with their criticality and content; everything else
//! is a finding.

use crate::certificate::{
    COMMON_NAME, EC_PUBLIC_KEY, ECDSA_WITH_SHA_256, ID_ED25519, ID_X_WING, ID_X25519, Kind, MAX_COMMON_NAME,
    ORGANIZATIONAL_UNIT, PRIME_256_V1, SERVER_AUTH, extended_usage, key_identifier,
};
use crate::site::MAX_SITE_SECS;
use crate::subject::MAX_SUBJECT_SECS;
use der::asn1::{ObjectIdentifier, Utf8StringRef};
use der::oid::AssociatedOid;
use der::{Decode, Encode};
use std::fmt::Display;
use symbolon_crypto::{CONTEXT_KEY_USAGE, Crypto, GatewayName, SubjectId, SubjectKey, SubjectProfile};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::{Certificate, SubjectPublicKeyInfo, Version};

const DAY: u64 = 24 * 3600;

/// What a certificate is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LintProfile {
    /// The issuer itself.
    Issuer,
    /// One issuer under another.
    Link,
    /// A gateway's identity.
    Identity,
    /// A gateway's context key.
    ContextKey,
    /// A name that is served to TLS clients.
    Site,
    /// A person or a device.
    Subject(SubjectProfile),
}

impl LintProfile {
    const fn kind(self) -> Kind {
        match self {
            Self::Issuer | Self::Link => Kind::Issuer,
            Self::Identity => Kind::Identity,
            Self::ContextKey => Kind::ContextKey,
            Self::Site => Kind::Site,
            Self::Subject(SubjectProfile::Person) => Kind::Person,
            Self::Subject(SubjectProfile::Device) => Kind::Device,
        }
    }

    /// The extensions that it has, each once, and no others; whether each is critical.
    fn extensions(self) -> &'static [(ObjectIdentifier, bool)] {
        const BASIC: (ObjectIdentifier, bool) = (BasicConstraints::OID, true);
        const USAGE: (ObjectIdentifier, bool) = (KeyUsage::OID, true);
        const EXTENDED: (ObjectIdentifier, bool) = (ExtendedKeyUsage::OID, false);
        const NAMES: (ObjectIdentifier, bool) = (SubjectAltName::OID, false);
        const CONSTRAINTS: (ObjectIdentifier, bool) = (NameConstraints::OID, true);
        const SUBJECT_KEY: (ObjectIdentifier, bool) = (SubjectKeyIdentifier::OID, false);
        const AUTHORITY_KEY: (ObjectIdentifier, bool) = (AuthorityKeyIdentifier::OID, false);
        match self {
            Self::Issuer | Self::Link => &[BASIC, USAGE, SUBJECT_KEY, AUTHORITY_KEY],
            Self::Identity => &[BASIC, USAGE, EXTENDED, CONSTRAINTS, NAMES, SUBJECT_KEY, AUTHORITY_KEY],
            Self::ContextKey | Self::Site | Self::Subject(_) => {
                &[USAGE, EXTENDED, NAMES, SUBJECT_KEY, AUTHORITY_KEY]
            }
        }
    }

    /// The longest life, in seconds, without the leeway.
    const fn longest(self) -> u64 {
        match self {
            Self::Issuer | Self::Link => 50 * 366 * DAY,
            // two years and a day: an administrator is meant to see it renewed
            Self::Identity => 731 * DAY,
            Self::ContextKey => 31 * DAY,
            Self::Site => MAX_SITE_SECS,
            Self::Subject(_) => MAX_SUBJECT_SECS,
        }
    }
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(String);

impl Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Looks at a certificate of ours (DER) by itself; nothing is found in a good one.
#[must_use]
pub fn lint(der: &[u8], profile: LintProfile) -> Vec<Finding> {
    let mut linter = Linter { profile, findings: Vec::new() };
    match Certificate::from_der(der) {
        Ok(certificate) => {
            linter
                .check(certificate.to_der().is_ok_and(|again| again == der), "it is not in its one encoding");
            linter.form(&certificate);
            linter.names(&certificate);
            linter.key(certificate.tbs_certificate().subject_public_key_info());
            linter.extensions(&certificate);
        }
        Err(e) => linter.find(format!("it is no certificate: {e}")),
    }
    linter.findings
}

/// The same, and how it stands under `signer` (DER), which is itself for an issuer: name, key
/// identifier, signature, and that it ends no later.
#[must_use]
pub fn lint_under(der: &[u8], profile: LintProfile, signer: &[u8], crypto: Crypto) -> Vec<Finding> {
    let mut linter = Linter { profile, findings: lint(der, profile) };
    let (Ok(certificate), Ok(signer)) = (Certificate::from_der(der), Certificate::from_der(signer)) else {
        linter.find("it or its signer is no certificate");
        return linter.findings;
    };
    let (tbs, above) = (certificate.tbs_certificate(), signer.tbs_certificate());
    linter.check(tbs.issuer() == above.subject(), "it does not name its signer");
    let ends = |v: &x509_cert::time::Validity| v.not_after.to_unix_duration();
    linter.check(ends(tbs.validity()) <= ends(above.validity()), "it outlives its signer");
    let named =
        tbs.get_extension::<AuthorityKeyIdentifier>().ok().flatten().and_then(|(_, e)| e.key_identifier);
    let signer_key = above.get_extension::<SubjectKeyIdentifier>().ok().flatten().map(|(_, e)| e.0);
    linter.check(named.is_some() && named == signer_key, "it does not name its signer's key");
    let signed = || {
        let SubjectKey::Signature(key) =
            SubjectKey::from_public_key_info(&above.subject_public_key_info().to_der().ok()?).ok()?
        else {
            return None;
        };
        key.verify(crypto, &tbs.to_der().ok()?, certificate.signature().as_bytes()?).ok()
    };
    linter.check(signed().is_some(), "it is not signed by its signer");
    linter.findings
}

struct Linter {
    profile: LintProfile,
    findings: Vec<Finding>,
}

impl Linter {
    fn find(&mut self, what: impl Into<String>) {
        self.findings.push(Finding(what.into()));
    }

    fn check(&mut self, right: bool, otherwise: &str) {
        if !right {
            self.find(otherwise);
        }
    }

    /// RFC 5280 §4.1: version, serial number, algorithm, times.
    fn form(&mut self, certificate: &Certificate) {
        let tbs = certificate.tbs_certificate();
        self.check(tbs.version() == Version::V3, "it is not of version 3");
        let unique = tbs.issuer_unique_id().is_some() || tbs.subject_unique_id().is_some();
        self.check(!unique, "it has a unique identifier, which RFC 5280 forbids");
        let serial = tbs.serial_number().as_bytes();
        self.check(serial.len() == 16, "its serial number has not 16 bytes");
        let positive = serial.first().is_some_and(|b| (1..0x80).contains(b));
        self.check(positive, "its serial number is not positive");
        for algorithm in [tbs.signature(), certificate.signature_algorithm()] {
            let right = algorithm.oid == ECDSA_WITH_SHA_256 && algorithm.parameters.is_none();
            self.check(right, "its signature algorithm is not ecdsa-with-SHA256 without parameters");
        }
        self.check(certificate.signature().unused_bits() == 0, "its signature has unused bits");
        let validity = tbs.validity();
        let (from, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
        self.check(from < until, "it ends before it begins");
        let life = until.saturating_sub(from).as_secs();
        self.check(
            life <= self.profile.longest() + crate::CLOCK_LEEWAY_SECS,
            "it lives longer than its kind may",
        );
    }

    fn names(&mut self, certificate: &Certificate) {
        let tbs = certificate.tbs_certificate();
        let kind = self.profile.kind();
        self.check(is_own_name(tbs.subject(), &[kind]), "its subject is not OU of its kind and CN in UTF-8");
        let above: &[Kind] = match self.profile {
            LintProfile::ContextKey => &[Kind::Identity],
            _ => &[Kind::Issuer],
        };
        self.check(
            is_own_name(tbs.issuer(), above),
            "its signer's name is not OU of its kind and CN in UTF-8",
        );
        let self_named = tbs.issuer() == tbs.subject();
        let may = matches!(self.profile, LintProfile::Issuer | LintProfile::Link);
        self.check(may || !self_named, "it is issued to its own signer");
    }

    /// RFC 5480 §2.1.1, RFC 8410 §3, draft-connolly-cfrg-xwing-kem §7: parameters of key algorithms.
    fn key(&mut self, key: &SubjectPublicKeyInfo) {
        let curve = key.algorithm.parameters.as_ref().map(|p| p.decode_as::<ObjectIdentifier>());
        let bare = key.algorithm.parameters.is_none();
        let (p256, kem, ed25519) = (
            key.algorithm.oid == EC_PUBLIC_KEY && curve == Some(Ok(PRIME_256_V1)),
            bare && [ID_X25519, ID_X_WING].contains(&key.algorithm.oid),
            bare && key.algorithm.oid == ID_ED25519,
        );
        let right = match self.profile {
            LintProfile::Issuer | LintProfile::Link | LintProfile::Identity | LintProfile::Site => p256,
            LintProfile::ContextKey => kem,
            LintProfile::Subject(_) => p256 || kem || ed25519,
        };
        self.check(right, "its key is not of a kind that its kind has, or has wrong parameters");
        let strong = key.to_der().is_ok_and(|der| SubjectKey::from_public_key_info(&der).is_ok());
        self.check(strong, "its key has not the form of its kind");
    }

    fn extensions(&mut self, certificate: &Certificate) {
        let tbs = certificate.tbs_certificate();
        let present: Vec<(ObjectIdentifier, bool)> =
            tbs.extensions().into_iter().flatten().map(|e: &Extension| (e.extn_id, e.critical)).collect();
        for expected in self.profile.extensions() {
            let count = present.iter().filter(|e| *e == expected).count();
            self.check(count == 1, &format!("extension {} is missing, doubled or misjudged", expected.0));
        }
        self.check(
            present.len() == self.profile.extensions().len(),
            "it has an extension that its kind has not",
        );
        self.key_identifiers(certificate);
        self.authority(certificate);
        self.usage(certificate);
        self.alternative_name(certificate);
    }

    /// RFC 7093 §2 method 1 for the subject's; the signer's by identifier alone.
    fn key_identifiers(&mut self, certificate: &Certificate) {
        let tbs = certificate.tbs_certificate();
        let own = tbs.get_extension::<SubjectKeyIdentifier>().ok().flatten().map(|(_, e)| e.0);
        let computed = key_identifier(tbs.subject_public_key_info()).ok();
        self.check(own.is_some() && own == computed, "its key identifier is not the hash of its key");
        let signer = tbs.get_extension::<AuthorityKeyIdentifier>().ok().flatten().map(|(_, e)| e);
        let right = signer.as_ref().is_some_and(|e| {
            e.key_identifier.as_ref().is_some_and(|k| k.as_bytes().len() == 20)
                && e.authority_cert_issuer.is_none()
                && e.authority_cert_serial_number.is_none()
        });
        self.check(right, "its signer's key identifier is not 20 bytes and nothing else");
        if self.profile == LintProfile::Issuer {
            self.check(signer.and_then(|e| e.key_identifier) == own, "it is an issuer under another");
        }
    }

    fn authority(&mut self, certificate: &Certificate) {
        let basic = certificate.tbs_certificate().get_extension::<BasicConstraints>().ok().flatten();
        let expected = match self.profile {
            LintProfile::Issuer | LintProfile::Link => {
                Some(BasicConstraints { ca: true, path_len_constraint: None })
            }
            LintProfile::Identity => Some(BasicConstraints { ca: true, path_len_constraint: Some(0) }),
            LintProfile::ContextKey | LintProfile::Site | LintProfile::Subject(_) => None,
        };
        self.check(basic.map(|(_, b)| b) == expected, "its authority is not that of its kind");
    }

    fn usage(&mut self, certificate: &Certificate) {
        let tbs = certificate.tbs_certificate();
        let usage = tbs.get_extension::<KeyUsage>().ok().flatten().map(|(_, u)| u);
        let by_key = || {
            let key = SubjectKey::from_public_key_info(&tbs.subject_public_key_info().to_der().ok()?).ok()?;
            Some(KeyUsage(crate::subject::key_usage(&key).into()))
        };
        let expected = match self.profile {
            LintProfile::Issuer | LintProfile::Link => {
                Some(KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))
            }
            LintProfile::Identity => Some(KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign)),
            LintProfile::ContextKey | LintProfile::Site | LintProfile::Subject(_) => by_key(),
        };
        self.check(usage.is_some() && usage == expected, "its key usage is not that of its kind and key");
        let extended = tbs.get_extension::<ExtendedKeyUsage>().ok().flatten().map(|(_, u)| u);
        let expected = match self.profile {
            LintProfile::Issuer | LintProfile::Link => None,
            LintProfile::Identity | LintProfile::ContextKey => extended_usage(CONTEXT_KEY_USAGE).ok(),
            LintProfile::Site => Some(ExtendedKeyUsage(vec![SERVER_AUTH])),
            LintProfile::Subject(profile) => extended_usage(profile.usage()).ok(),
        };
        self.check(extended == expected, "its extended key usage is not that of its kind");
    }

    fn alternative_name(&mut self, certificate: &Certificate) {
        let tbs = certificate.tbs_certificate();
        let names = tbs.get_extension::<SubjectAltName>().ok().flatten().map(|(_, n)| n.0);
        let right = match (self.profile, names.as_deref()) {
            (LintProfile::Issuer | LintProfile::Link, None) => true,
            (
                LintProfile::Identity | LintProfile::ContextKey | LintProfile::Site,
                Some([GeneralName::DnsName(dns)]),
            ) => GatewayName::parse(dns.as_str()).is_ok_and(|name| name.as_str() == dns.as_str()),
            (LintProfile::Subject(profile), Some([GeneralName::UniformResourceIdentifier(uri)])) => {
                SubjectId::from_uri(uri.as_str()).is_some_and(|id| id.profile() == profile)
            }
            _ => false,
        };
        self.check(right, "its alternative name is not the one name of its kind in its one spelling");
        let constraints = tbs.get_extension::<NameConstraints>().ok().flatten().map(|(_, c)| c);
        let right = match (self.profile, constraints) {
            (LintProfile::Identity, Some(c)) => {
                let permitted = c.permitted_subtrees.unwrap_or_default();
                let own = permitted.iter().map(|s| &s.base).eq(names.iter().flatten());
                own && c.excluded_subtrees.is_none()
                    && permitted.iter().all(|s| s.minimum == 0 && s.maximum.is_none())
            }
            (LintProfile::Identity, None) => false,
            (_, constraints) => constraints.is_none(),
        };
        self.check(right, "it is not constrained to its own name");
    }
}

/// `OU=` the kind's text, `CN=` 1 to 64 characters, both UTF8String, nothing else.
fn is_own_name(name: &Name, kinds: &[Kind]) -> bool {
    let attributes: Vec<_> = name.iter().collect();
    let [unit, common] = attributes.as_slice() else { return false };
    let text = |any: &der::Any| any.decode_as::<Utf8StringRef<'_>>().map(|t| t.as_str().to_owned());
    let unit_fits = unit.oid == ORGANIZATIONAL_UNIT
        && text(&unit.value).is_ok_and(|t| kinds.iter().any(|kind| kind.unit() == t));
    let common_fits = common.oid == COMMON_NAME
        && text(&common.value).is_ok_and(|t| {
            (1..=MAX_COMMON_NAME).contains(&t.chars().count()) && !t.chars().any(char::is_control)
        });
    unit_fits && common_fits && name.iter_rdn().count() == 2
}
