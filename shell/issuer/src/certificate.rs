//! The one place where certificates are encoded and signed (RFC 5280 §4.1).

use crate::{IssuerError, Validity};
use der::asn1::{Any, BitString, Ia5String, ObjectIdentifier, OctetString, SetOfVec, Utf8StringRef};
use der::{Decode, Encode, Sequence};
use symbolon_crypto::{CONTEXT_KEY_USAGE, Entropy, GatewayName, KemPublicKey, Signer, Suite};
use symbolon_provider::{P256SigningKey, SystemEntropy};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, ExtendedKeyUsage, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::{AlgorithmIdentifier, Certificate, SubjectPublicKeyInfo, Version};

pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const PRIME_256_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const ECDSA_WITH_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// RFC 8410 §3.
pub(crate) const ID_X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
/// RFC 8410 §3.
pub(crate) const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// draft-connolly-cfrg-xwing-kem §7.
pub(crate) const ID_X_WING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.62253.25722");
/// RFC 5280 §4.2.1.12, `id-kp-serverAuth`.
pub(crate) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub(crate) const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// RFC 5280 appendix A.1, `ub-common-name`, in characters.
pub(crate) const MAX_COMMON_NAME: usize = 64;

/// Length of an uncompressed point on P-256 (SEC 1 §2.3.3) in bytes.
const POINT: usize = 65;

/// What a certificate is for: one of the six that Symbolon issues. Its text stands in the
/// subject, so that no two kinds ever have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Issuer,
    Identity,
    ContextKey,
    Site,
    Person,
    Device,
}

impl Kind {
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Issuer => "Symbolon issuer",
            Self::Identity => "Symbolon gateway",
            Self::ContextKey => "Symbolon context key",
            Self::Site => "Symbolon site",
            Self::Person => "Symbolon person",
            Self::Device => "Symbolon device",
        }
    }

    /// The subject of a certificate of this kind: `OU=…, CN=…`. A longer name is cut: what counts
    /// is the subject alternative name.
    pub(crate) fn subject(self, common_name: &str) -> Result<Name, IssuerError> {
        let cut = common_name.char_indices().nth(MAX_COMMON_NAME).map_or(common_name.len(), |(i, _)| i);
        let rdn = |oid, text: &str| -> Result<_, der::Error> {
            let value = Any::from(Utf8StringRef::new(text)?);
            let set = SetOfVec::from_iter([AttributeTypeAndValue { oid, value }])?;
            Ok(RelativeDistinguishedName::from(set))
        };
        let names = vec![rdn(ORGANIZATIONAL_UNIT, self.unit())?, rdn(COMMON_NAME, &common_name[..cut])?];
        Ok(Name::from_der(&RdnSequence::from(names).to_der()?)?)
    }
}

/// What is to be certified.
pub(crate) struct Template {
    pub(crate) subject: Name,
    pub(crate) public_key: SubjectPublicKeyInfo,
    pub(crate) validity: Validity,
    pub(crate) extensions: Vec<Extension>,
}

impl Template {
    /// Adds `extension`, critical where RFC 5280 wants it so.
    pub(crate) fn with<E>(mut self, extension: &E) -> Result<Self, IssuerError>
    where
        for<'a> &'a E: ToExtension<Error = der::Error>,
    {
        self.extensions.push(extension.to_extension(&self.subject, &self.extensions)?);
        Ok(self)
    }

    /// The certificate, DER, in the name of `signer`.
    pub(crate) fn sign(self, signer: &Name, key: &P256SigningKey) -> Result<Vec<u8>, IssuerError> {
        let subject_key = SubjectKeyIdentifier(key_identifier(&self.public_key)?);
        let authority_key = AuthorityKeyIdentifier {
            key_identifier: Some(key_identifier(&p256_public_key(key.public_point())?)?),
            ..AuthorityKeyIdentifier::default()
        };
        let template = self.with(&subject_key)?.with(&authority_key)?;
        let tbs = ToBeSigned {
            version: Version::V3,
            serial_number: random_serial_number()?,
            signature: ecdsa_with_sha256(),
            issuer: signer.clone(),
            validity: template.validity.to_x509()?,
            subject: template.subject,
            subject_public_key_info: template.public_key,
            extensions: template.extensions,
        };
        let signature = BitString::from_bytes(&key.sign(&tbs.to_der()?)?)?;
        Ok(Signed { tbs, signature_algorithm: ecdsa_with_sha256(), signature }.to_der()?)
    }
}

/// RFC 5280 §4.1, `TBSCertificate`, without the fields that it forbids.
#[derive(Sequence)]
struct ToBeSigned {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifier,
    issuer: Name,
    validity: x509_cert::time::Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfo,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// RFC 5280 §4.1, `Certificate`.
#[derive(Sequence)]
struct Signed {
    tbs: ToBeSigned,
    signature_algorithm: AlgorithmIdentifier,
    signature: BitString,
}

pub(crate) fn ecdsa_with_sha256() -> AlgorithmIdentifier {
    AlgorithmIdentifier { oid: ECDSA_WITH_SHA_256, parameters: None }
}

/// 127 random bits, the first of which is set: positive and always 16 bytes long.
fn random_serial_number() -> Result<SerialNumber, IssuerError> {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}

/// RFC 7093 §2, method 1: the first 160 bits of the hash of the key.
pub(crate) fn key_identifier(key: &SubjectPublicKeyInfo) -> Result<OctetString, IssuerError> {
    let hash = symbolon_provider::crypto().sha256(&[key.subject_public_key.raw_bytes()]);
    Ok(OctetString::new(&hash[..20])?)
}

/// RFC 5480 §2: a P-256 key from its uncompressed point.
pub(crate) fn p256_public_key(point: &[u8]) -> Result<SubjectPublicKeyInfo, IssuerError> {
    if point.len() != POINT || point[0] != 4 {
        return Err(IssuerError::Crypto(symbolon_crypto::CryptoError::BadKey));
    }
    let algorithm = AlgorithmIdentifier { oid: EC_PUBLIC_KEY, parameters: Some(Any::from(PRIME_256_V1)) };
    Ok(SubjectPublicKeyInfo { algorithm, subject_public_key: BitString::from_bytes(point)? })
}

/// RFC 8410 §4: an Ed25519 key from its 32 bytes.
pub(crate) fn ed25519_public_key(key: &[u8]) -> Result<SubjectPublicKeyInfo, IssuerError> {
    let algorithm = AlgorithmIdentifier { oid: ID_ED25519, parameters: None };
    Ok(SubjectPublicKeyInfo { algorithm, subject_public_key: BitString::from_bytes(key)? })
}

/// A KEM key, whose algorithm has no parameters.
pub(crate) fn kem_public_key(key: &KemPublicKey) -> Result<SubjectPublicKeyInfo, IssuerError> {
    let oid = match key.suite() {
        Suite::X25519 => ID_X25519,
        Suite::XWing => ID_X_WING,
        _ => return Err(IssuerError::Crypto(symbolon_crypto::CryptoError::BadKey)),
    };
    let algorithm = AlgorithmIdentifier { oid, parameters: None };
    Ok(SubjectPublicKeyInfo { algorithm, subject_public_key: BitString::from_bytes(key.as_bytes())? })
}

pub(crate) fn dns_name(name: &GatewayName) -> Result<GeneralName, IssuerError> {
    Ok(GeneralName::DnsName(Ia5String::new(name.as_str())?))
}

/// The use that a context key and the identity above it are restricted to.
pub(crate) fn context_key_usage() -> Result<ExtendedKeyUsage, IssuerError> {
    extended_usage(CONTEXT_KEY_USAGE)
}

/// One extended key usage, from the content of its object identifier.
pub(crate) fn extended_usage(oid: &[u8]) -> Result<ExtendedKeyUsage, IssuerError> {
    let oid = ObjectIdentifier::from_bytes(oid).map_err(der::Error::from)?;
    Ok(ExtendedKeyUsage(vec![oid]))
}

/// A certificate of ours that was read back, with the key that it names.
pub(crate) struct Held {
    pub(crate) der: Vec<u8>,
    pub(crate) key: P256SigningKey,
    pub(crate) subject: Name,
    pub(crate) validity: Validity,
    pub(crate) dns_name: Option<GatewayName>,
}

impl Held {
    /// Reads `der` and checks that it is about `key`; signatures are not checked, since the caller
    /// holds both from its own store.
    pub(crate) fn load(der: Vec<u8>, key: P256SigningKey) -> Result<Self, IssuerError> {
        let read = Read::new(&der)?;
        if read.public_key_info != p256_public_key(key.public_point())?.to_der()? {
            return Err(IssuerError::OtherKey);
        }
        Ok(Self { der, key, subject: read.subject, validity: read.validity, dns_name: read.dns_name })
    }
}

/// What we need to know of a certificate of ours; nothing is checked.
pub(crate) struct Read {
    pub(crate) subject: Name,
    pub(crate) validity: Validity,
    pub(crate) dns_name: Option<GatewayName>,
    pub(crate) public_key_info: Vec<u8>,
}

impl Read {
    pub(crate) fn new(der: &[u8]) -> Result<Self, IssuerError> {
        let certificate = Certificate::from_der(der)?;
        let tbs = certificate.tbs_certificate();
        let dns_name = match tbs.get_extension::<SubjectAltName>()? {
            Some((_, names)) => names.0.iter().find_map(|name| match name {
                GeneralName::DnsName(dns) => GatewayName::parse(dns.as_str()).ok(),
                _ => None,
            }),
            None => None,
        };
        Ok(Self {
            subject: tbs.subject().clone(),
            validity: Validity::from_x509(tbs.validity()),
            dns_name,
            public_key_info: tbs.subject_public_key_info().to_der()?,
        })
    }
}
