//! The issuer's key on a machine without network: requests travel there in one file, and what was
//! signed comes back in another.
//!
//! ```text
//! "SYMBOLON REQUESTS\n" | version 1 (1) | H(issuer's SubjectPublicKeyInfo) (32) | made (8)
//!     | count (2), at most 1,024 | item …: request <16> | common name <8> | lifetime in seconds (8)
//!     | list wanted (1) [| number (8) | lifetime in seconds (8)
//!         | count (4) | revoked …: serial <8> | since (8) | reason <8>] | H(all before) (32)
//! "SYMBOLON SIGNED\n" | version 1 (1) | H(requests file) (32)
//!     | count (2) | result …: signed (1) | certificate, or why not <16>
//!     | list made (1) [| list <24>] | H(all before) (32)
//! ```
//! The hashes find damage; they prove nothing. The signing side believes only what each request proves
//! and what the person at it confirms, item by item, by the key's fingerprint; the other side checks
//! each certificate against its own request.

mod requests;
mod signed;

pub use requests::{BundleItem, ListOrder, RequestBundle};
pub use signed::{SignedBundle, SignedItem};

use symbolon_crypto::{Crypto, SubjectError};
use symbolon_wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;
const MAX_ITEMS: usize = 1024;

/// Why a file, or something in it, was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Damaged, or not such a file.
    #[error("not such a file, or damaged: {0}")]
    Malformed(String),
    /// It is for another issuer.
    #[error("the file is for another issuer than this one")]
    OtherIssuer,
    /// It answers another file of requests, or not all of it.
    #[error("the signed file does not belong to these requests")]
    OtherRequests,
    /// A certificate in it is not what was asked for.
    #[error("certificate {index} is not what was asked for: {reason}")]
    Certificate {
        /// Which one, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// The revocation list in it is not right.
    #[error("the revocation list is not right: {0}")]
    List(SubjectError),
}

impl From<WireError> for BundleError {
    fn from(e: WireError) -> Self {
        Self::Malformed(e.to_string())
    }
}

fn with_hash(crypto: Crypto, w: Writer) -> Vec<u8> {
    let mut file = w.into_bytes();
    let hash = crypto.sha256(&[&file]);
    file.extend_from_slice(&hash);
    file
}

fn checked<'a>(crypto: Crypto, file: &'a [u8], magic: &[u8]) -> Result<Reader<'a>, BundleError> {
    let damaged = || BundleError::Malformed("it was cut off or changed".into());
    let (content, hash) = file.split_last_chunk::<32>().ok_or_else(damaged)?;
    if crypto.sha256(&[content]) != *hash {
        return Err(damaged());
    }
    let mut r = Reader::new(content);
    if r.take(magic.len())? != magic {
        return Err(BundleError::Malformed("it is another kind of file".into()));
    }
    match r.u8()? {
        VERSION => Ok(r),
        other => Err(WireError::UnknownVersion(other).into()),
    }
}
