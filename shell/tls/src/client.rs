//! The certificates of clients: whether they count is asked of whoever knows.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use symbolon_wire::Time;

/// A client's certificate does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTrusted;

/// Who knows which certificates of clients count.
pub trait ClientTrust: Send + Sync + std::fmt::Debug {
    /// Looks at certificates in DER, the client's first. That the client has the key is checked elsewhere, and
    /// of a session that is resumed this is not asked: ask again when the connection is there.
    ///
    /// # Errors
    /// [`NotTrusted`]; the client sees an alert.
    fn look(&self, chain: &[&[u8]], now: Time) -> Result<(), NotTrusted>;
}

/// [`ClientTrust`] in the form that rustls asks for.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) trust: Arc<dyn ClientTrust>,
    pub(crate) demanded: bool,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Asking {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.demanded
    }

    /// None: a client that has several certificates shows the one that its user configured.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<&[u8]> = std::iter::once(end_entity).chain(intermediates).map(|c| &c[..]).collect();
        match self.trust.look(&chain, Time::from_secs(now.as_secs())) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(NotTrusted) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
