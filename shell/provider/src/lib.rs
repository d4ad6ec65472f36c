#![forbid(unsafe_code)]
//! The primitives of `symbolon-crypto` on aws-lc, the only native crypto provider of the product.
//!
//! aws-lc draws its own randomness for key generation of X25519 and for ML-KEM; the `entropy`
//! argument is not used there.

mod aead;
mod certificates;
mod primitives;
mod subject_key;

pub use certificates::{Ed25519SigningKey, P256SigningKey, RsaSigningKey};
pub use primitives::{ml_kem768_fresh, ml_kem768_from};
pub use subject_key::{KemKey, SubjectKeyKind, SubjectPrivateKey};

use symbolon_crypto::{Crypto, Entropy};

/// aws-lc as a provider.
#[must_use]
pub const fn crypto() -> Crypto {
    Crypto::new(&primitives::AwsLc)
}

/// The operating system's random source, through aws-lc.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        aws_lc_rs::rand::fill(out).expect("aws-lc aborts the process rather than give no randomness");
    }
}
