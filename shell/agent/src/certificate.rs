//! A certificate with its key (A3, A7): from files of the user's own, or as the agent keeps it.

use crate::certificate_key::{HeldKey, KeptKey};
use crate::credential::CertificateFiles;
use crate::device::OpenDevices;
use crate::files::{read_bounded, write_private};
use crate::kept_certificate::KeptCertificate;
use crate::key::blocking;
use crate::{AgentError, Paths};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use symbolon_context::CertificateToken;
use symbolon_crypto::{
    Crypto, CryptoError, GatewayName, InitiatorToken, PresentedToken, Secret, SecretBytes, TranscriptHash,
};
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, RsaSigningKey, SubjectPrivateKey, crypto};

/// Five certificates with the largest keys that are taken, and their text form.
const MAX_CHAIN: usize = 256 * 1024;

/// A key of the largest kind, in its text form.
const MAX_KEY: usize = 64 * 1024;

/// How a certificate is named to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By all its bytes.
    Whole,
    /// By its hash, since the gateway has seen it.
    Hash,
}

/// A certificate that is in use.
#[derive(Debug)]
pub(crate) struct HeldCertificate {
    files: CertificateFiles,
    chain: Vec<Vec<u8>>,
    key: HeldKey,
    /// Where it is remembered which gateway has seen which certificate.
    memory: PathBuf,
    /// Whether this gateway has.
    seen: AtomicBool,
    mark: [u8; 32],
}

impl HeldCertificate {
    /// Reads it for `gateway`; a device that holds its key is among `devices`.
    pub(crate) fn open(
        paths: &Paths,
        files: &CertificateFiles,
        gateway: &GatewayName,
        devices: &OpenDevices,
    ) -> Result<Self, AgentError> {
        let (chain, key) = match files {
            CertificateFiles::At { certificate, key } => (read_chain(certificate)?, read_key(key)?),
            CertificateFiles::InDevice { certificate, key } => {
                (read_chain(certificate)?, HeldKey::Device(Box::new(devices.signer(key)?)))
            }
            CertificateFiles::Kept => {
                let kept = KeptCertificate::load(paths)?.ok_or_else(none_kept)?;
                let key = match kept.key {
                    KeptKey::Here(key) => HeldKey::Ours(key),
                    KeptKey::Device(uri) => HeldKey::Device(Box::new(devices.signer(&uri)?)),
                };
                (vec![kept.certificate], key)
            }
        };
        let memory = paths.log.with_file_name("certificate.seen");
        let mark = crypto().sha256(&[gateway.as_str().as_bytes(), b"\0", &chain[0]]);
        let seen = match read_bounded(&memory, mark.len()).ok().flatten() {
            Some(known) if known == mark => true,
            // The gateway said once that it does not know what it gave.
            Some(known) if known.is_empty() => false,
            // What it gave is in its register.
            _ => matches!(files, CertificateFiles::Kept),
        };
        Ok(Self { files: files.clone(), chain, key, memory, seen: AtomicBool::new(seen), mark })
    }

    /// The same after a renewal: what the agent keeps is read again.
    pub(crate) fn current(
        self: &Arc<Self>,
        paths: &Paths,
        gateway: &GatewayName,
        devices: &OpenDevices,
    ) -> Result<Arc<Self>, AgentError> {
        match &self.files {
            CertificateFiles::Kept => {
                blocking(|| Self::open(paths, &self.files, gateway, devices)).map(Arc::new)
            }
            CertificateFiles::At { .. } | CertificateFiles::InDevice { .. } => Ok(Arc::clone(self)),
        }
    }

    /// Its key.
    pub(crate) const fn key(&self) -> &HeldKey {
        &self.key
    }

    /// Whether it is the one that the agent keeps, and renews.
    pub(crate) const fn is_kept(&self) -> bool {
        matches!(self.files, CertificateFiles::Kept)
    }

    /// How it may be named.
    pub(crate) fn naming(&self) -> Naming {
        if self.seen.load(Ordering::Relaxed) { Naming::Hash } else { Naming::Whole }
    }

    /// The gateway took it, or does not know it any more.
    pub(crate) fn known_as(&self, naming: Naming) {
        let seen = naming == Naming::Hash;
        if self.seen.swap(seen, Ordering::Relaxed) == seen {
            return;
        }
        let content: &[u8] = if seen { &self.mark } else { &[] };
        // A kilobyte more at the next start is all that it costs.
        if let Err(e) = write_private(&self.memory, content) {
            tracing::debug!(error = %e, "that the gateway knows the certificate is not remembered");
        }
    }
}

/// A certificate for one exchange; its own, so that the exchange can move between threads.
pub(crate) struct HeldToken {
    pub(crate) held: Arc<HeldCertificate>,
    pub(crate) naming: Naming,
}

impl HeldToken {
    fn token(&self) -> Result<CertificateToken<'_>, CryptoError> {
        let HeldCertificate { chain, key, .. } = &*self.held;
        let token = CertificateToken::new(crypto(), chain, key.for_context()?)?;
        Ok(if self.naming == Naming::Hash { token.by_hash() } else { token })
    }
}

impl InitiatorToken for HeldToken {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        match self.held.key.device() {
            Some(_) => blocking(|| self.token()?.present(binding)),
            None => self.token()?.present(binding),
        }
    }

    fn open_envelope(&mut self, crypto: Crypto, enc: &[u8]) -> Result<Secret<32>, CryptoError> {
        self.token()?.open_envelope(crypto, enc)
    }
}

/// There is no certificate of the agent's own.
pub(crate) fn none_kept() -> AgentError {
    AgentError::usage("the agent keeps no certificate")
        .fix("request one while you are signed in: symbolon certificate request; or name files: --certificate, --key")
}

/// The certificates of a file in DER, the subject's first.
fn read_chain(path: &Path) -> Result<Vec<Vec<u8>>, AgentError> {
    let bytes = read_bounded(path, MAX_CHAIN)?.ok_or_else(|| no_file(path))?;
    if !is_text(&bytes) {
        return Ok(vec![bytes]);
    }
    let chain = CertificateDer::pem_slice_iter(&bytes).map(|c| c.map(|c| c.to_vec()));
    match chain.collect::<Result<Vec<_>, _>>() {
        Ok(chain) if (1..=symbolon_context::MAX_CHAIN).contains(&chain.len()) => Ok(chain),
        _ => Err(AgentError::usage(format!("{} does not hold one to five certificates", path.display()))
            .fix("put the subject's certificate first, and leave the authority's out")),
    }
}

/// The key of a file: one that this program wrote, or PKCS #8.
fn read_key(path: &Path) -> Result<HeldKey, AgentError> {
    let bytes = SecretBytes::new(read_bounded(path, MAX_KEY)?.ok_or_else(|| no_file(path))?);
    if let Ok(key) = SubjectPrivateKey::from_file(&bytes) {
        return Ok(HeldKey::Ours(key));
    }
    let unusable = || {
        AgentError::usage(format!("{} holds no private key that can be used", path.display())).fix(
            "P-256, Ed25519 and RSA keys as unencrypted PKCS #8 can: openssl pkcs8 -topk8 -nodes -in KEY -out NEW",
        )
    };
    let der = if is_text(bytes.expose()) {
        let der = PrivatePkcs8KeyDer::from_pem_slice(bytes.expose()).map_err(|_| unusable())?;
        SecretBytes::new(der.secret_pkcs8_der().to_vec())
    } else {
        bytes
    };
    P256SigningKey::from_pkcs8(der.duplicate())
        .map(|key| HeldKey::Ours(SubjectPrivateKey::P256(key)))
        .or_else(|_| RsaSigningKey::from_pkcs8(&der).map(HeldKey::Rsa))
        .or_else(|_| {
            Ed25519SigningKey::from_pkcs8(der).map(|key| HeldKey::Ours(SubjectPrivateKey::Ed25519(key)))
        })
        .map_err(|_| unusable())
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|w| w == b"-----BEGIN ")
}

fn no_file(path: &Path) -> AgentError {
    AgentError::usage(format!("there is no file {}", path.display())).fix("correct the path")
}
