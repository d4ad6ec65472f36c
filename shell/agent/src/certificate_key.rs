//! The private half of a certificate, wherever it lies.

use crate::AgentError;
use crate::key::blocking;
use symbolon_context::CertificateKey;
use symbolon_crypto::{CryptoError, KemPrivateKey, SecretBytes, Signer};
use symbolon_hardware::{DevicePair, DeviceSigner, OpenDevice, Pkcs11Uri};
use symbolon_issuer::RequestKey;
use symbolon_provider::{RsaSigningKey, SubjectKeyKind, SubjectPrivateKey, SystemEntropy, crypto};
use symbolon_wire::{Reader, WireError, Writer};

const IN_FILE: u8 = 1;
const IN_DEVICE: u8 = 2;

/// A key that is ready for use.
#[derive(Debug)]
pub(crate) enum HeldKey {
    /// Of a kind that our issuer certifies.
    Ours(SubjectPrivateKey),
    /// Of a kind that others do.
    Rsa(RsaSigningKey),
    /// In a device that is open.
    Device(Box<DeviceSigner>),
}

impl HeldKey {
    /// As a context uses it.
    pub(crate) fn for_context(&self) -> Result<CertificateKey<'_>, CryptoError> {
        match (self.signer(), self.kem()) {
            (Some(signer), _) => Ok(CertificateKey::Signs(signer)),
            (None, Some(kem)) => Ok(CertificateKey::Opens(kem)),
            (None, None) => Err(CryptoError::BadKey),
        }
    }

    /// The key as one that signs, if it does.
    pub(crate) fn signer(&self) -> Option<&dyn Signer> {
        match self {
            Self::Ours(key) => key.signer(),
            Self::Rsa(key) => Some(key),
            Self::Device(key) => Some(&**key),
        }
    }

    /// The key as one that opens envelopes, if it does.
    pub(crate) const fn kem(&self) -> Option<&KemPrivateKey> {
        match self {
            Self::Ours(key) => key.kem(),
            Self::Rsa(_) | Self::Device(_) => None,
        }
    }

    /// The device that holds it.
    pub(crate) const fn device(&self) -> Option<&DeviceSigner> {
        match self {
            Self::Device(key) => Some(key),
            Self::Ours(_) | Self::Rsa(_) => None,
        }
    }

    /// Why its device failed, where that is why an exchange broke off.
    pub(crate) fn trouble(&self) -> Option<AgentError> {
        self.device().and_then(DeviceSigner::take_trouble).map(AgentError::from)
    }
}

/// A key as the certificate's file has it: itself, or where it is.
#[derive(Debug)]
pub(crate) enum KeptKey {
    /// The key.
    Here(SubjectPrivateKey),
    /// Its device and its name there, without what belongs to one machine alone.
    Device(Box<Pkcs11Uri>),
}

impl KeptKey {
    /// Its kind.
    pub(crate) fn kind(&self) -> SubjectKeyKind {
        match self {
            Self::Here(key) => key.kind(),
            Self::Device(_) => SubjectKeyKind::P256,
        }
    }

    /// Where it is, if it is in a device.
    pub(crate) fn device(&self) -> Option<&Pkcs11Uri> {
        match self {
            Self::Here(_) => None,
            Self::Device(uri) => Some(uri),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Self::Here(key) => {
                w.u8(IN_FILE);
                w.bytes16(key.to_file().expose());
            }
            Self::Device(uri) => {
                w.u8(IN_DEVICE);
                w.text16(&uri.to_string());
            }
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            IN_FILE => SubjectPrivateKey::from_file(&SecretBytes::new(r.bytes16()?.to_vec())).map(Self::Here),
            IN_DEVICE => match Pkcs11Uri::parse(r.text16("key")?) {
                // a file names no code that runs here
                Ok(uri) => Ok(Self::Device(Box::new(uri.portable()))),
                Err(_) => Err(WireError::BadValue("key in a device")),
            },
            _ => Err(WireError::BadValue("place of the key")),
        }
    }
}

/// A key that was made just now, for a certificate that is still to come. In a device it goes again unless
/// it is kept.
#[derive(Debug)]
pub(crate) enum NewKey {
    Here(SubjectPrivateKey),
    Device(Box<NewPair>),
}

/// A key pair in a device that nothing names yet.
#[derive(Debug)]
pub(crate) struct NewPair {
    pair: DevicePair,
    kept: bool,
}

impl NewKey {
    /// In memory.
    pub(crate) fn here(kind: SubjectKeyKind) -> Self {
        Self::Here(SubjectPrivateKey::generate(kind))
    }

    /// In a device, under this label; blocks where that is allowed.
    pub(crate) fn in_device(device: &OpenDevice, label: &str) -> Result<Self, AgentError> {
        let pair = blocking(|| device.generate_pair(crypto(), &mut SystemEntropy, label))?;
        Ok(Self::Device(Box::new(NewPair { pair, kept: false })))
    }

    /// For the request.
    pub(crate) fn for_request(&self) -> RequestKey<'_> {
        match self {
            Self::Here(key) => key.into(),
            Self::Device(new) => {
                RequestKey::P256InDevice { public_point: &new.pair.public_point, signer: &new.pair.signer }
            }
        }
    }

    /// The key as one that opens envelopes, if it does.
    pub(crate) const fn kem(&self) -> Option<&KemPrivateKey> {
        match self {
            Self::Here(key) => key.kem(),
            Self::Device(_) => None,
        }
    }

    /// Why its device failed.
    pub(crate) fn trouble(&self) -> Option<AgentError> {
        match self {
            Self::Here(_) => None,
            Self::Device(new) => new.pair.signer.take_trouble().map(AgentError::from),
        }
    }

    /// Gives it to `save` as the certificate's file has it; it stays when that succeeds.
    pub(crate) fn keep<T>(
        self,
        save: impl FnOnce(KeptKey) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        match self {
            Self::Here(key) => save(KeptKey::Here(key)),
            Self::Device(mut new) => {
                let saved = save(KeptKey::Device(Box::new(new.pair.signer.uri().portable())))?;
                new.kept = true;
                Ok(saved)
            }
        }
    }
}

impl Drop for NewPair {
    fn drop(&mut self) {
        if !self.kept {
            // the device may be what failed
            let _ = blocking(|| self.pair.signer.device().remove_pair(self.pair.signer.uri()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<KeptKey, WireError> {
        let mut r = Reader::new(bytes);
        KeptKey::read(&mut r).and_then(|key| r.finish().map(|()| key))
    }

    #[test]
    fn a_file_says_where_the_key_is_and_names_no_code_that_runs_here() {
        let uri =
            "pkcs11:token=work;object=laptop;id=%01?module-path=/tmp/evil.so&pin-source=file:/etc/shadow";
        let mut w = Writer::new();
        KeptKey::Device(Box::new(Pkcs11Uri::parse(uri).unwrap())).write(&mut w);
        let kept = read(&w.into_bytes()).unwrap();
        assert_eq!(kept.kind(), SubjectKeyKind::P256);
        let there = kept.device().unwrap().to_string();
        assert_eq!(there, "pkcs11:token=work;object=laptop;id=%01?module-name=evil");
        let mut w = Writer::new();
        KeptKey::Here(SubjectPrivateKey::generate(SubjectKeyKind::Ed25519)).write(&mut w);
        let kept = read(&w.into_bytes()).unwrap();
        assert_eq!((kept.kind(), kept.device()), (SubjectKeyKind::Ed25519, None));
        for bad in [&b""[..], &[3], &[2, 0, 1, b'x'], &[1, 0, 0]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
