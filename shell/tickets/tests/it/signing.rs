//! Keys of a provider, and tokens under them.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKey, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(crate) enum SigningKey {
    Rs256(RsaKey),
    Ps256(RsaKey),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// A key with its name.
pub(crate) struct NamedKey {
    pub(crate) name: String,
    pub(crate) key: SigningKey,
}

impl NamedKey {
    pub(crate) fn generate(name: &str, algorithm: &str) -> Self {
        let rsa = || RsaKey::generate(KeySize::Rsa2048).unwrap();
        let key = match algorithm {
            "RS256" => SigningKey::Rs256(rsa()),
            "PS256" => SigningKey::Ps256(rsa()),
            "ES256" => SigningKey::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "EdDSA" => SigningKey::EdDsa(Ed25519KeyPair::generate().unwrap()),
            other => panic!("no such algorithm: {other}"),
        };
        Self { name: name.to_owned(), key }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key {
            SigningKey::Rs256(_) => "RS256",
            SigningKey::Ps256(_) => "PS256",
            SigningKey::Es256(_) => "ES256",
            SigningKey::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key, as a provider publishes it.
    pub(crate) fn jwk(&self) -> Value {
        match &self.key {
            SigningKey::Rs256(key) | SigningKey::Ps256(key) => {
                // RFC 8017 §A.1.1: the last two numbers are n, of 256 bytes, and e, of three.
                let der: Vec<u8> = key.public_key().as_der().unwrap().as_ref().to_vec();
                let (head, e) = der.split_at(der.len() - 3);
                let n = text(&head[head.len() - 2 - 256..head.len() - 2]);
                let e = text(e);
                json!({"kty": "RSA", "kid": self.name, "use": "sig", "alg": self.algorithm(), "n": n, "e": e})
            }
            SigningKey::Es256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "kid": self.name, "x": x, "y": y})
            }
            SigningKey::EdDsa(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.name, "x": text(key.public_key().as_ref())})
            }
        }
    }

    /// The public key in the form that careless verifiers take for a shared secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.key {
            SigningKey::Rs256(key) | SigningKey::Ps256(key) => {
                key.public_key().as_der().unwrap().as_ref().to_vec()
            }
            SigningKey::Es256(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            SigningKey::EdDsa(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.algorithm(), "kid": self.name, "typ": "JWT"})
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let random = SystemRandom::new();
        let message = signed.as_bytes();
        let rsa = |key: &RsaKey, scheme| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(scheme, &random, message, &mut signature).unwrap();
            signature
        };
        let signature = match &self.key {
            SigningKey::Rs256(key) => rsa(key, &RSA_PKCS1_SHA256),
            SigningKey::Ps256(key) => rsa(key, &RSA_PSS_SHA256),
            SigningKey::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            SigningKey::EdDsa(key) => key.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", text(&signature))
    }
}

/// Header and claims as they are signed.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", text(header.to_string().as_bytes()), text(claims.to_string().as_bytes()))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
