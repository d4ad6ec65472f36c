use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::LdapTextError;

/// How the password is protected on its way to the directory.
#[derive(Clone, Debug)]
pub struct Protection(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Tls(Arc<ClientConfig>),
    StartTls(Arc<ClientConfig>),
    Unprotected,
}

impl Protection {
    /// TLS from the first byte (`ldaps`), with servers whose certificates chain to one in `pem`.
    ///
    /// # Errors
    /// [`LdapTextError`] when there is none, or one cannot be read.
    pub fn tls(pem: &[u8]) -> Result<Self, LdapTextError> {
        Ok(Self(Kind::Tls(config(pem)?)))
    }

    /// TLS after a request for it (RFC 4513 §3), which must be granted: there is no going on without.
    ///
    /// # Errors
    /// [`LdapTextError`] when there is no certificate in `pem`, or one cannot be read.
    pub fn start_tls(pem: &[u8]) -> Result<Self, LdapTextError> {
        Ok(Self(Kind::StartTls(config(pem)?)))
    }

    /// None at all: whoever is on the path reads every password. For a directory on the same machine.
    #[must_use]
    pub const fn unprotected() -> Self {
        Self(Kind::Unprotected)
    }
}

fn config(pem: &[u8]) -> Result<Arc<ClientConfig>, LdapTextError> {
    let wrong = |why| LdapTextError::new("certificates of a directory", why);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| wrong("one cannot be read"))?;
        roots.add(certificate).map_err(|_| wrong("one cannot be read"))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is none"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong("no TLS version in common with ourselves"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
