//! A request for a certificate: PKCS #10 (RFC 2986), with possession proved by a signature or, for a
//! key that cannot sign, left to the envelope in which the certificate is delivered.
//!
//! A key for envelopes signs nothing, so its request carries the algorithm "unsigned"
//! (1.3.6.1.5.5.7.6.36, RFC 9925) and an empty signature. It proves nothing; what it asks for is
//! handed out only to who can open an envelope to the key (RFC 4211 §4.3, the indirect method).

use crate::certificate::{self, ECDSA_WITH_SHA_256, ID_ED25519, Kind};
use der::asn1::{BitString, Ia5String, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode};
use symbolon_crypto::{
    Crypto, GatewayName, KemPublicKey, SignatureKind, Signer, SubjectId, SubjectKey, SubjectProfile,
};
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, SubjectPrivateKey};
use x509_cert::attr::Attribute;
use x509_cert::ext::ToExtension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::IssuerError;

/// RFC 9925 §3.
const UNSIGNED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.6.36");
/// RFC 2985 §5.4.2.
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// The longest request, in bytes: one for an X-Wing key has 1,500.
const MAX_REQUEST: usize = 4 * 1024;

/// Why a request was not taken. Whoever made it erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not PKCS #10 in its one encoding, or longer than 4,096 bytes.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// It must ask for exactly one name, and for nothing else.
    #[error(
        "a request asks for one name, symbolon:person:…, symbolon:device:… or a gateway's, and nothing else"
    )]
    Name,
    /// We certify X-Wing, X25519, P-256 and Ed25519 keys; a gateway has a P-256 key.
    #[error("this kind of key is not certified here")]
    KeyKind,
    /// The signature is not by the key.
    #[error("the request does not prove that its key is held")]
    NotProved,
}

impl From<der::Error> for RequestError {
    fn from(e: der::Error) -> Self {
        Self::Malformed(e.to_string())
    }
}

/// Whom a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedName {
    /// A person or a device.
    Subject(SubjectId),
    /// A gateway.
    Gateway(GatewayName),
}

impl RequestedName {
    fn general(&self) -> Result<GeneralName, IssuerError> {
        Ok(match self {
            Self::Subject(id) => GeneralName::UniformResourceIdentifier(Ia5String::new(&id.uri())?),
            Self::Gateway(name) => certificate::dns_name(name)?,
        })
    }
}

impl std::fmt::Display for RequestedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subject(id) => id.fmt(f),
            Self::Gateway(name) => write!(f, "gateway {name}"),
        }
    }
}

/// The key for which a certificate is asked.
#[derive(Clone, Copy)]
pub enum RequestKey<'a> {
    /// Signs the request.
    P256(&'a P256SigningKey),
    /// Signs the request in the device that holds it.
    P256InDevice {
        /// Its public half: an uncompressed point, 65 bytes.
        public_point: &'a [u8],
        /// What signs with it.
        signer: &'a dyn Signer,
    },
    /// Signs the request.
    Ed25519(&'a Ed25519SigningKey),
    /// Cannot sign.
    Kem(&'a KemPublicKey),
}

impl std::fmt::Debug for RequestKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::P256(_) => "P256",
            Self::P256InDevice { .. } => "P256InDevice",
            Self::Ed25519(_) => "Ed25519",
            Self::Kem(_) => "Kem",
        })
    }
}

impl<'a> From<&'a SubjectPrivateKey> for RequestKey<'a> {
    fn from(key: &'a SubjectPrivateKey) -> Self {
        match key {
            SubjectPrivateKey::P256(key) => Self::P256(key),
            SubjectPrivateKey::Ed25519(key) => Self::Ed25519(key),
            SubjectPrivateKey::Kem(kem) => Self::Kem(kem.key().public()),
        }
    }
}

/// How a request shows that its key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Possession {
    /// Its signature was checked.
    Signed,
    /// By opening the envelope of the certificate, later.
    ByEnvelope,
}

/// A request that was read and, where its key can sign, proved.
#[derive(Clone)]
pub struct CertificateRequest {
    der: Vec<u8>,
    name: RequestedName,
    key: SubjectKey,
    possession: Possession,
    pub(crate) public_key: SubjectPublicKeyInfo,
}

impl CertificateRequest {
    /// Makes a request, DER.
    ///
    /// # Errors
    /// [`IssuerError::Crypto`] when the key cannot sign.
    pub fn make(name: &RequestedName, key: RequestKey<'_>) -> Result<Vec<u8>, IssuerError> {
        let (kind, common_name) = match name {
            RequestedName::Subject(id) if id.profile() == SubjectProfile::Person => (Kind::Person, id.code()),
            RequestedName::Subject(id) => (Kind::Device, id.code()),
            RequestedName::Gateway(name) => (Kind::Identity, name.as_str()),
        };
        let subject = kind.subject(common_name)?;
        let (public_key, algorithm, signer): (_, _, Option<&dyn Signer>) = match key {
            RequestKey::P256(key) => {
                (certificate::p256_public_key(key.public_point())?, ECDSA_WITH_SHA_256, Some(key))
            }
            RequestKey::P256InDevice { public_point, signer } => {
                (certificate::p256_public_key(public_point)?, ECDSA_WITH_SHA_256, Some(signer))
            }
            RequestKey::Ed25519(key) => {
                (certificate::ed25519_public_key(key.public_key())?, ID_ED25519, Some(key))
            }
            RequestKey::Kem(key) => (certificate::kem_public_key(key)?, UNSIGNED, None),
        };
        let names = SubjectAltName(vec![name.general()?]).to_extension(&subject, &[])?;
        let attributes = SetOfVec::from_iter([Attribute::try_from(ExtensionReq(vec![names]))?])?;
        let info = CertReqInfo { version: Version::V1, subject, public_key, attributes };
        let signature = match signer {
            Some(key) => key.sign(&info.to_der()?)?,
            None => Vec::new(),
        };
        let algorithm = AlgorithmIdentifier { oid: algorithm, parameters: None };
        Ok(CertReq { info, algorithm, signature: BitString::from_bytes(&signature)? }.to_der()?)
    }

    /// Reads a request and checks its proof.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn read(crypto: Crypto, der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST {
            return Err(RequestError::Malformed("too long".into()));
        }
        let request = CertReq::from_der(der)?;
        if request.to_der()? != der {
            return Err(RequestError::Malformed("not in its one encoding".into()));
        }
        let public_key = request.info.public_key.clone();
        let key =
            SubjectKey::from_public_key_info(&public_key.to_der()?).map_err(|_| RequestError::KeyKind)?;
        let signature = request.signature.as_bytes().ok_or(RequestError::NotProved)?;
        let (oid, bare) = (request.algorithm.oid, request.algorithm.parameters.is_none());
        let possession = match &key {
            SubjectKey::Kem(_) if oid == UNSIGNED && bare && signature.is_empty() => Possession::ByEnvelope,
            SubjectKey::Kem(_) => return Err(RequestError::NotProved),
            SubjectKey::Signature(key) => {
                let expected = match key.kind() {
                    SignatureKind::P256 => ECDSA_WITH_SHA_256,
                    SignatureKind::Ed25519 => ID_ED25519,
                    _ => return Err(RequestError::KeyKind),
                };
                let fits =
                    oid == expected && bare && key.verify(crypto, &request.info.to_der()?, signature).is_ok();
                if !fits {
                    return Err(RequestError::NotProved);
                }
                Possession::Signed
            }
        };
        let name = requested_name(&request.info)?;
        let is_p256 = matches!(&key, SubjectKey::Signature(k) if k.kind() == SignatureKind::P256);
        if matches!(name, RequestedName::Gateway(_)) && !is_p256 {
            return Err(RequestError::KeyKind);
        }
        Ok(Self { der: der.to_vec(), name, key, possession, public_key })
    }

    /// The request, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom it names.
    #[must_use]
    pub const fn name(&self) -> &RequestedName {
        &self.name
    }

    /// The key that is to be certified.
    #[must_use]
    pub const fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// How it shows that its key is held.
    #[must_use]
    pub const fn possession(&self) -> Possession {
        self.possession
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo, for people to compare and for stores to find.
    ///
    /// # Errors
    /// [`IssuerError::Malformed`], which a request that was read never is.
    pub fn key_hash(&self, crypto: Crypto) -> Result<[u8; 32], IssuerError> {
        Ok(crypto.sha256(&[&self.public_key.to_der()?]))
    }

    /// SHA-256 of the request.
    #[must_use]
    pub fn hash(&self, crypto: Crypto) -> [u8; 32] {
        crypto.sha256(&[&self.der])
    }
}

impl std::fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertificateRequest({}, {:?})", self.name, self.possession)
    }
}

/// One attribute, one extension in it, one name in that.
fn requested_name(info: &CertReqInfo) -> Result<RequestedName, RequestError> {
    let [attribute] = info.attributes.as_slice() else { return Err(RequestError::Name) };
    let [value] = attribute.values.as_slice() else { return Err(RequestError::Name) };
    if attribute.oid != EXTENSION_REQUEST {
        return Err(RequestError::Name);
    }
    let ExtensionReq(extensions) = value.decode_as().map_err(|_| RequestError::Name)?;
    let [extension] = extensions.as_slice() else { return Err(RequestError::Name) };
    if extension.extn_id != <SubjectAltName as der::oid::AssociatedOid>::OID {
        return Err(RequestError::Name);
    }
    let SubjectAltName(names) = SubjectAltName::from_der(extension.extn_value.as_bytes())?;
    let name = match names.as_slice() {
        [GeneralName::UniformResourceIdentifier(uri)] => {
            SubjectId::from_uri(uri.as_str()).map(RequestedName::Subject)
        }
        [GeneralName::DnsName(dns)] => GatewayName::parse(dns.as_str())
            .ok()
            .filter(|name| name.as_str() == dns.as_str())
            .map(RequestedName::Gateway),
        _ => None,
    };
    name.ok_or(RequestError::Name)
}
