//! A forge of certificates: everything can be made wrong.

use super::{DAY, NOW};
use crate::certificate::{ID_ED25519, ed25519_public_key, key_identifier, p256_public_key};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use der::asn1::{Any, BitString, Ia5String, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Header, Length, Tag, TagNumber};
use std::str::FromStr;
use symbolon_crypto::Signer;
use symbolon_provider::{Ed25519SigningKey, P256SigningKey};
use symbolon_wire::Time;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Criticality, ToExtension};
use x509_cert::name::Name;
use x509_cert::{AlgorithmIdentifier, SubjectPublicKeyInfo};

pub(crate) const CLIENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
pub(crate) const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(crate) const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A key pair, or a public key to which nobody has the private one.
pub(crate) enum Key {
    P256(P256SigningKey),
    Ed25519(Ed25519SigningKey),
    Rsa(Box<RsaKeyPair>),
    Public(SubjectPublicKeyInfo),
}

impl Key {
    pub(crate) fn p256() -> Self {
        Self::P256(P256SigningKey::generate())
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519SigningKey::generate())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// An RSA key of which there are only numbers: a modulus of `bits`, and `exponent`.
    pub(crate) fn rsa_numbers(bits: usize, exponent: &[u8]) -> Self {
        let mut modulus = vec![0xc5; bits / 8];
        modulus[bits / 8 - 1] |= 1;
        let integer = |bytes: &[u8]| der::asn1::Uint::new(bytes).unwrap().to_der().unwrap();
        let content = [integer(&modulus), integer(exponent)].concat();
        let key = Any::new(Tag::Sequence, content).unwrap().to_der().unwrap();
        let algorithm = AlgorithmIdentifier { oid: RSA, parameters: Some(Any::from(Null)) };
        Self::public(algorithm, &key)
    }

    pub(crate) fn public(algorithm: AlgorithmIdentifier, bits: &[u8]) -> Self {
        Self::Public(SubjectPublicKeyInfo {
            algorithm,
            subject_public_key: BitString::from_bytes(bits).unwrap(),
        })
    }

    pub(crate) fn info(&self) -> SubjectPublicKeyInfo {
        match self {
            Self::P256(key) => p256_public_key(key.public_point()).unwrap(),
            Self::Ed25519(key) => ed25519_public_key(key.public_key()).unwrap(),
            Self::Rsa(key) => {
                let algorithm = AlgorithmIdentifier { oid: RSA, parameters: Some(Any::from(Null)) };
                let bits = BitString::from_bytes(key.public_key().as_ref()).unwrap();
                SubjectPublicKeyInfo { algorithm, subject_public_key: bits }
            }
            Self::Public(info) => info.clone(),
        }
    }

    pub(crate) fn algorithm(&self) -> AlgorithmIdentifier {
        match self {
            Self::Ed25519(_) => AlgorithmIdentifier { oid: ID_ED25519, parameters: None },
            Self::Rsa(_) => AlgorithmIdentifier {
                oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
                parameters: Some(Any::from(Null)),
            },
            _ => crate::certificate::ecdsa_with_sha256(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => key.sign(message).unwrap(),
            Self::Ed25519(key) => key.sign(message).unwrap(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Public(_) => vec![0x30, 0],
        }
    }
}

/// A certificate before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: u8,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
    pub(crate) key: SubjectPublicKeyInfo,
    pub(crate) from: Time,
    pub(crate) until: Time,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) inner_algorithm: Option<AlgorithmIdentifier>,
    pub(crate) outer_algorithm: Option<AlgorithmIdentifier>,
    pub(crate) unique_id: bool,
    pub(crate) generalized_time: bool,
}

impl Draft {
    fn new(subject: &str, issuer: &str, key: &Key) -> Self {
        Self {
            version: 2,
            serial: vec![0x41; 16],
            issuer: Name::from_str(issuer).unwrap(),
            subject: Name::from_str(subject).unwrap(),
            key: key.info(),
            from: NOW.minus_secs(DAY),
            until: NOW.plus_secs(DAY),
            extensions: Vec::new(),
            inner_algorithm: None,
            outer_algorithm: None,
            unique_id: false,
            generalized_time: false,
        }
    }

    /// An authority as they usually are.
    pub(crate) fn authority(subject: &str, issuer: &str, key: &Key) -> Self {
        Self::new(subject, issuer, key)
            .with(&BasicConstraints { ca: true, path_len_constraint: None })
            .with(&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))
            .with(&SubjectKeyIdentifier(key_identifier(&key.info()).unwrap()))
    }

    /// A person's certificate as it usually is, for `alice@example.org`.
    pub(crate) fn leaf(issuer: &str, issuer_key: &Key, key: &Key) -> Self {
        let authority_key = AuthorityKeyIdentifier {
            key_identifier: Some(key_identifier(&issuer_key.info()).unwrap()),
            ..AuthorityKeyIdentifier::default()
        };
        Self::new("CN=Alice", issuer, key)
            .with(&KeyUsage(KeyUsages::DigitalSignature.into()))
            .with(&ExtendedKeyUsage(vec![CLIENT]))
            .with(&SubjectAltName(vec![email("alice@example.org")]))
            .with(&authority_key)
    }

    /// Adds an extension, or puts it in the place of the one of its kind.
    pub(crate) fn with<E>(mut self, extension: &E) -> Self
    where
        E: Criticality + der::oid::AssociatedOid + Encode,
    {
        self = self.without(E::OID);
        let extension = extension.to_extension(&self.subject, &self.extensions).unwrap();
        self.extensions.push(extension);
        self
    }

    pub(crate) fn without(mut self, oid: ObjectIdentifier) -> Self {
        self.extensions.retain(|e| e.extn_id != oid);
        self
    }

    /// Adds an extension of content that nobody understands.
    pub(crate) fn unknown(mut self, critical: bool) -> Self {
        let extn_id = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.9.9");
        self.extensions.push(Extension { extn_id, critical, extn_value: OctetString::new([5, 0]).unwrap() });
        self
    }

    pub(crate) fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn sign(&self, key: &Key) -> Vec<u8> {
        let inner = self.inner_algorithm.clone().unwrap_or_else(|| key.algorithm());
        let outer = self.outer_algorithm.clone().unwrap_or_else(|| inner.clone());
        let time = |t: Time| {
            let duration = std::time::Duration::from_secs(t.secs());
            if self.generalized_time {
                der::asn1::GeneralizedTime::from_unix_duration(duration).unwrap().to_der().unwrap()
            } else {
                x509_cert::time::Time::from(der::DateTime::from_unix_duration(duration).unwrap())
                    .to_der()
                    .unwrap()
            }
        };
        let mut tbs = Vec::new();
        if self.version > 0 {
            tbs.extend(tagged(0, &[2, 1, self.version]));
        }
        tbs.extend(wrap(Tag::Integer, &self.serial));
        tbs.extend(inner.to_der().unwrap());
        tbs.extend(self.issuer.to_der().unwrap());
        tbs.extend(wrap(Tag::Sequence, &[time(self.from), time(self.until)].concat()));
        tbs.extend(self.subject.to_der().unwrap());
        tbs.extend(self.key.to_der().unwrap());
        if self.unique_id {
            tbs.extend([0x81, 2, 0, 7]);
        }
        if !self.extensions.is_empty() {
            let list: Vec<u8> = self.extensions.iter().flat_map(|e| e.to_der().unwrap()).collect();
            tbs.extend(tagged(3, &wrap(Tag::Sequence, &list)));
        }
        let tbs = wrap(Tag::Sequence, &tbs);
        let signature = BitString::from_bytes(&key.sign(&tbs)).unwrap().to_der().unwrap();
        wrap(Tag::Sequence, &[tbs, outer.to_der().unwrap(), signature].concat())
    }
}

pub(crate) fn wrap(tag: Tag, content: &[u8]) -> Vec<u8> {
    let header = Header::new(tag, Length::try_from(content.len()).unwrap()).to_der().unwrap();
    [header.as_slice(), content].concat()
}

fn tagged(number: u32, content: &[u8]) -> Vec<u8> {
    wrap(Tag::ContextSpecific { number: TagNumber(number), constructed: true }, content)
}

pub(crate) fn email(address: &str) -> GeneralName {
    GeneralName::Rfc822Name(Ia5String::new(address).unwrap())
}

pub(crate) fn dns(name: &str) -> GeneralName {
    GeneralName::DnsName(Ia5String::new(name).unwrap())
}

pub(crate) fn uri(text: &str) -> GeneralName {
    GeneralName::UniformResourceIdentifier(Ia5String::new(text).unwrap())
}

/// A certificate of ours with the fields of `original` as a draft, to be changed and signed again.
pub(crate) fn redraft(original: &[u8]) -> Draft {
    let read = x509_cert::Certificate::from_der(original).unwrap();
    let tbs = read.tbs_certificate();
    let time = |t: x509_cert::time::Time| Time::from_secs(t.to_unix_duration().as_secs());
    Draft {
        version: 2,
        serial: tbs.serial_number().as_bytes().to_vec(),
        issuer: tbs.issuer().clone(),
        subject: tbs.subject().clone(),
        key: tbs.subject_public_key_info().clone(),
        from: time(tbs.validity().not_before),
        until: time(tbs.validity().not_after),
        extensions: tbs.extensions().unwrap().clone(),
        inner_algorithm: None,
        outer_algorithm: None,
        unique_id: false,
        generalized_time: false,
    }
}
