//! The private key of a certificate, in its device.

use crate::object::Wanted;
use crate::trouble::Trouble;
use crate::uri::ObjectType;
use crate::{Device, HardwareError, OpenDevice, Pkcs11Uri, signature};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectHandle};
use cryptoki::session::Session;
use symbolon_crypto::{Crypto, CryptoError, Signer};

/// What a key in a device signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// RSA with PSS and SHA-256 (RFC 8017 §8.1, salt of 32 bytes).
    RsaPss,
}

/// A private key in an open device, which signs there (A3, B7). Copies are the same key.
///
/// A signature takes from 1 ms (SoftHSM) to some 100 ms (a smart card), and blocks the thread.
#[derive(Clone)]
pub struct DeviceSigner {
    crypto: Crypto,
    device: OpenDevice,
    key: Wanted,
    uri: Pkcs11Uri,
    algorithm: Algorithm,
    trouble: Trouble,
}

impl std::fmt::Debug for DeviceSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceSigner({})", self.uri)
    }
}

impl OpenDevice {
    /// The private key that `object` and `id` of the URI name, or the only one.
    ///
    /// # Errors
    /// [`HardwareError::NoKey`], [`HardwareError::SeveralKeys`], [`HardwareError::KeyKind`] for one that
    /// is neither P-256 nor RSA, may not sign, or asks for the PIN each time; what the device says.
    pub fn signer(&self, crypto: Crypto, uri: &Pkcs11Uri) -> Result<DeviceSigner, HardwareError> {
        let key = Wanted::private(uri);
        let algorithm =
            self.using(&key, |session, handle| algorithm(self.device(), &key, session, handle))?;
        Ok(self.signer_of(crypto, key, uri, algorithm))
    }

    pub(crate) fn signer_of(
        &self,
        crypto: Crypto,
        key: Wanted,
        uri: &Pkcs11Uri,
        algorithm: Algorithm,
    ) -> DeviceSigner {
        let uri = Pkcs11Uri {
            object: uri.object.clone(),
            id: uri.id.clone(),
            object_type: Some(ObjectType::Private),
            ..self.device().uri()
        };
        DeviceSigner { crypto, device: self.clone(), key, uri, algorithm, trouble: Trouble::default() }
    }
}

impl DeviceSigner {
    /// The URI that finds the key on every machine.
    #[must_use]
    pub const fn uri(&self) -> &Pkcs11Uri {
        &self.uri
    }

    /// The device that holds it.
    #[must_use]
    pub const fn device(&self) -> &OpenDevice {
        &self.device
    }

    /// Why the last signature failed, once: the interface of signers says only that one did.
    #[must_use]
    pub fn take_trouble(&self) -> Option<HardwareError> {
        self.trouble.take()
    }

    /// Signs `message`, hashing included.
    ///
    /// # Errors
    /// [`HardwareError::Gone`], [`HardwareError::NoKey`], [`HardwareError::PinNoLonger`], whatever else
    /// the device says.
    pub fn sign_here(&self, message: &[u8]) -> Result<Vec<u8>, HardwareError> {
        let digest = self.crypto.sha256(&[message]);
        let device = self.device.device();
        self.device.using(&self.key, |session, key| {
            let sign = |mechanism: &Mechanism<'_>| {
                session.sign(mechanism, key, &digest).map_err(|e| device.complaint(&e))
            };
            match self.algorithm {
                Algorithm::RsaPss => sign(&Mechanism::RsaPkcsPss(pss())),
                Algorithm::P256 => signature::ecdsa_der(&sign(&Mechanism::Ecdsa)?).ok_or_else(|| {
                    let why = "it made a signature of another length".to_owned();
                    HardwareError::Device { token: device.identity().label.clone(), why }
                }),
            }
        })
    }
}

/// With SHA-256 throughout, and a salt as long as the hash.
fn pss() -> PkcsPssParams {
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() }
}

impl Signer for DeviceSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.sign_here(message).map_err(|e| self.trouble.keep(e))
    }
}

/// What the key can sign with, by what the device says of it.
fn algorithm(
    device: &Device,
    key: &Wanted,
    session: &Session,
    handle: ObjectHandle,
) -> Result<Algorithm, HardwareError> {
    let token = || device.identity().label.clone();
    let useless = |why| HardwareError::KeyKind { token: token(), object: key.to_string(), why };
    // One by one: a device may not know all of them.
    let says = |attribute| {
        session.get_attributes(handle, &[attribute]).ok().and_then(|says| says.into_iter().next())
    };
    if let Some(Attribute::Sign(false)) = says(AttributeType::Sign) {
        return Err(useless("it may not sign"));
    }
    if let Some(Attribute::AlwaysAuthenticate(true)) = says(AttributeType::AlwaysAuthenticate) {
        return Err(useless("its device wants the PIN for each signature"));
    }
    match says(AttributeType::KeyType) {
        Some(Attribute::KeyType(KeyType::RSA)) => Ok(Algorithm::RsaPss),
        Some(Attribute::KeyType(KeyType::EC)) => match says(AttributeType::EcParams) {
            Some(Attribute::EcParams(curve)) if !curve.is_empty() && curve != signature::P256 => {
                Err(useless("it is on another curve than P-256"))
            }
            // a device that does not say shows it by the length of its signatures
            _ => Ok(Algorithm::P256),
        },
        _ => Err(useless("it is neither a P-256 nor an RSA key")),
    }
}
