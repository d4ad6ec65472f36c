//! The keys that a provider publishes (RFC 7517), and signatures under them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jws::Algorithm;
use super::{OidcError, ProviderError};

/// Most keys of a set that are looked at; providers have two to ten.
const MAX_KEYS: usize = 64;

/// A key for signatures of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    /// RFC 7518 §6.3.1; aws-lc takes 2048 to 8192 bits.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point (SEC 1 §2.3.3).
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key, its name, and the one algorithm that it is for, if its owner said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jwk {
    key_id: Option<String>,
    key: PublicKey,
    only: Option<Algorithm>,
}

/// Those keys of a provider that can check signatures.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a key set. Keys for other purposes and of other types are left out (RFC 7517 §5).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ProviderError> {
        let malformed = ProviderError::Malformed;
        let set: Value = serde_json::from_slice(bytes).map_err(|_| malformed("no JSON"))?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(malformed("no list of keys"))?;
        if keys.len() > MAX_KEYS {
            return Err(malformed("too many keys"));
        }
        let usable: Vec<_> = keys.iter().filter_map(|k| Jwk::read(k.as_object()?)).collect();
        if usable.is_empty() {
            return Err(malformed("no key for signatures that are accepted"));
        }
        Ok(Self(usable))
    }

    /// The key of that name that checks that algorithm. A token that names none is for the only key
    /// there is (OpenID Connect Core 1.0 §10.1).
    pub(super) fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let mut fitting = self.0.iter().filter(|k| key_id.is_none() || k.key_id.as_deref() == key_id);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) if key.is_for(algorithm) => Some(key),
            _ => None,
        }
    }
}

impl Jwk {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.get("use").is_some_and(|u| u != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            operations.as_array()?.iter().find(|o| *o == "verify")?;
        }
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let coordinate = |name: &str| bytes(name).filter(|b| b.len() == 32);
        let key = match (text("kty")?, text("crv")) {
            ("RSA", None) => PublicKey::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some("P-256")) => PublicKey::P256([vec![4], coordinate("x")?, coordinate("y")?].concat()),
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(coordinate("x")?),
            _ => return None,
        };
        let only = match jwk.get("alg") {
            Some(name) => Some(Algorithm::named(name.as_str()?)?),
            None => None,
        };
        Some(Self { key_id: text("kid").map(str::to_owned), key, only })
    }

    /// The key's type decides, and what its owner said of it; the token only agrees (RFC 8725 §3.1).
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let by_type = matches!(
            (&self.key, algorithm),
            (PublicKey::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
                | (PublicKey::P256(_), Algorithm::Es256)
                | (PublicKey::Ed25519(_), Algorithm::EdDsa)
        );
        by_type && self.only.is_none_or(|only| only == algorithm)
    }

    /// Checks a signature.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), OidcError> {
        if !self.is_for(algorithm) {
            return Err(OidcError::UnknownKey);
        }
        let fits = match (&self.key, algorithm) {
            (PublicKey::Rsa { n, e }, Algorithm::Rs256) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            (PublicKey::Rsa { n, e }, _) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PSS_2048_8192_SHA256, signed, signature)
            }
            (PublicKey::P256(point), _) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            (PublicKey::Ed25519(key), _) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature),
        };
        fits.map_err(|_| OidcError::Forged)
    }
}
