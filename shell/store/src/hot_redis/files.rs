//! What the files have that a hot store's URL names: authorities, our own certificate and its key, the password.

use super::link::other;
use super::url::TlsFiles;
use crate::{Result, StoreError};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use symbolon_crypto::SecretBytes;
use tokio_rustls::TlsConnector;

/// More bytes than any password has.
const MAX_PASSWORD: usize = 4096;

/// What makes TLS connections to a server whose certificate is of these authorities.
///
/// # Errors
/// [`StoreError::Other`] for a file that cannot be read or is something else.
pub(super) fn connector(files: &TlsFiles) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.roots)? {
        // a system's list may have some that our library does not take
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(unusable(&files.roots, &"it has no certificate"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| other(e.to_string()))?
        .with_root_certificates(roots);
    let config = match &files.own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, &e))?;
            let chain = certificates(certificate)?;
            config.with_client_auth_cert(chain, secret).map_err(|e| unusable(certificate, &e))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    all.map_err(|e| unusable(path, &e))
}

/// The password, without the end of its line.
///
/// # Errors
/// [`StoreError::Other`] for a file that cannot be read, or has more than a password.
pub(super) fn password(path: &Path) -> Result<SecretBytes> {
    let file = File::open(path).map_err(|e| unusable(path, &e))?;
    // room for all of it from the beginning, so that nothing is left behind where it had no more room
    let mut bytes = Vec::with_capacity(MAX_PASSWORD + 1);
    let read = file.take(MAX_PASSWORD as u64 + 1).read_to_end(&mut bytes);
    let bytes = SecretBytes::new(bytes);
    match read {
        Err(e) => Err(unusable(path, &e)),
        Ok(count) if count > MAX_PASSWORD => Err(unusable(path, &"it is too long for a password")),
        Ok(_) => Ok(SecretBytes::new(bytes.expose().trim_ascii_end().to_vec())),
    }
}

fn unusable(path: &Path, why: &dyn Display) -> StoreError {
    other(format!("{}: {why}", path.display()))
}
