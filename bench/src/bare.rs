//! The primitives that a flow cannot do without, called bare: no types, no allocation of ours, no
//! transcript. Their sum is what we measure ourselves against.

use anyhow::{Result, anyhow};
use aws_lc_rs::{aead, agreement, digest, hmac, kem};
use std::hint::black_box;
use symbolon_crypto::Suite;

/// A key encapsulation mechanism as its specification has it and as aws-lc computes it.
pub(crate) struct BareKem {
    x25519: agreement::PrivateKey,
    x25519_public: Vec<u8>,
    ml_kem: Option<MlKem>,
}

struct MlKem {
    private: kem::DecapsulationKey,
    public: Vec<u8>,
    ciphertext: Vec<u8>,
}

fn failed(_: impl Sized) -> anyhow::Error {
    anyhow!("a primitive failed")
}

impl BareKem {
    pub(crate) fn new(suite: Suite) -> Result<Self> {
        let x25519 = agreement::PrivateKey::generate(&agreement::X25519).map_err(failed)?;
        let x25519_public = x25519.compute_public_key().map_err(failed)?.as_ref().to_vec();
        let ml_kem = match suite {
            Suite::XWing => Some(MlKem::new()?),
            _ => None,
        };
        Ok(Self { x25519, x25519_public, ml_kem })
    }

    /// Decapsulation under a key that is at hand.
    pub(crate) fn decapsulate(&self) -> Result<()> {
        if let Some(ml_kem) = &self.ml_kem {
            black_box(ml_kem.private.decapsulate(ml_kem.ciphertext.as_slice().into()).map_err(failed)?);
        }
        self.agree(&self.x25519)?;
        self.combine();
        Ok(())
    }

    /// Encapsulation to a key that came as bytes.
    pub(crate) fn encapsulate(&self) -> Result<()> {
        if let Some(ml_kem) = &self.ml_kem {
            let key = kem::EncapsulationKey::new(&kem::ML_KEM_768, &ml_kem.public).map_err(failed)?;
            black_box(key.encapsulate().map_err(failed)?);
        }
        let ephemeral = agreement::PrivateKey::generate(&agreement::X25519).map_err(failed)?;
        black_box(ephemeral.compute_public_key().map_err(failed)?);
        self.agree(&ephemeral)?;
        self.combine();
        Ok(())
    }

    fn agree(&self, key: &agreement::PrivateKey) -> Result<()> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, self.x25519_public.as_slice());
        // An error is made when there is one, not before: making one costs more than a hash.
        agreement::agree(key, peer, (), |shared| {
            black_box(shared);
            Ok(())
        })
        .map_err(failed)
    }

    /// X-Wing's combiner, or `ExtractAndExpand` of RFC 9180's DHKEM: part of the mechanism.
    fn combine(&self) {
        if self.ml_kem.is_some() {
            black_box(digest::digest(&digest::SHA3_256, &[7; 134]));
        } else {
            mac(&[0; 32], &[1; 56]);
            mac(&[0; 32], &[1; 94]);
        }
    }
}

impl MlKem {
    fn new() -> Result<Self> {
        let private = kem::DecapsulationKey::generate(&kem::ML_KEM_768).map_err(failed)?;
        let public = private.encapsulation_key().map_err(failed)?;
        let (ciphertext, _) = public.encapsulate().map_err(failed)?;
        let ciphertext = ciphertext.as_ref().to_vec();
        let public = public.key_bytes().map_err(failed)?.as_ref().to_vec();
        Ok(Self { private, public, ciphertext })
    }
}

/// HMAC-SHA-256 under a key that is used once.
pub(crate) fn mac(key: &[u8; 32], message: &[u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, black_box(key));
    black_box(hmac::sign(&key, message));
}

/// An AES-256-GCM key.
pub(crate) fn gcm(key: &[u8; 32]) -> Result<aead::LessSafeKey> {
    Ok(aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(failed)?))
}
