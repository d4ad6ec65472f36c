//! Certificates for one test.

use anyhow::{Result, anyhow};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The name in every server's certificate.
pub const SERVER_NAME: &str = "app.example";

/// An authority, and the server that it vouches for.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    server: Certificate,
    server_key: KeyPair,
}

impl Authority {
    /// With a server's key of `algorithm`, which decides whether a suite of TLS 1.2 is for ECDSA or RSA.
    ///
    /// # Errors
    /// When a key or certificate cannot be made.
    pub fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate_for(algorithm)?;
        let server = CertificateParams::new(vec![SERVER_NAME.to_owned()])?.signed_by(&server_key, &issuer)?;
        Ok(Self { certificate, server, server_key })
    }

    /// What a client trusts.
    ///
    /// # Errors
    /// When the certificate is not one.
    pub fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone())?;
        Ok(roots)
    }

    /// The same in PEM, for programs.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The server's certificate and key, for rustls.
    ///
    /// # Errors
    /// When the key cannot be written down.
    pub fn server(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = PrivateKeyDer::try_from(self.server_key.serialize_der()).map_err(|e| anyhow!(e))?;
        Ok((vec![self.server.der().clone()], key))
    }

    /// The server's certificate and key in PEM, for programs.
    #[must_use]
    pub fn server_pem(&self) -> String {
        format!("{}{}", self.server.pem(), self.server_key.serialize_pem())
    }
}
