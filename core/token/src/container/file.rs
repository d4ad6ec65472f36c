//! The token's file, as the module above draws it.

use super::{DeviceReference, HeldKey, MAX_FILE, PinCost, Token, TokenError};
use symbolon_crypto::{Crypto, GatewayIdentity, TrustedIssuer, constant_time_eq};
use symbolon_wire::{Decode as _, Encode as _, Reader, Time, Writer};

const MAGIC: &[u8; 15] = b"SYMBOLON TOKEN\n";
/// Of a token without keys, or with keys behind a PIN.
const VERSION_SOFTWARE: u8 = 1;
/// Of a token whose keys are in a device.
const VERSION_DEVICE: u8 = 2;
/// What is sealed, and what opens it.
pub(super) struct Sealed {
    pub(super) lock: Lock,
    pub(super) salt: [u8; 16],
    /// Of a device it stays zero: it counts by itself.
    pub(super) failures: u8,
    pub(super) last_failure: Time,
    pub(super) nonce: [u8; 12],
    pub(super) ciphertext: Vec<u8>,
}

/// What opens a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// A PIN, at this cost of a guess.
    Pin(PinCost),
    /// A device, with a key in it.
    Device(DeviceReference),
}

impl Lock {
    /// Whether the key lies where this lock is.
    pub(super) const fn holds(&self, key: &HeldKey) -> bool {
        matches!((self, key), (Self::Pin(_), HeldKey::Software(_)) | (Self::Device(_), HeldKey::Device(_)))
    }
}

impl Token {
    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokenError::Damaged`], [`TokenError::NewerVersion`], [`TokenError::Issuer`], [`TokenError::Gateway`].
    pub fn from_file(crypto: Crypto, bytes: &[u8]) -> Result<Self, TokenError> {
        let mut r = Reader::new(bytes);
        if bytes.len() > MAX_FILE || r.take(MAGIC.len()) != Ok(MAGIC.as_slice()) {
            return Err(TokenError::Damaged("it is not a token file"));
        }
        let version = r.u8()?;
        if version > VERSION_DEVICE {
            return Err(TokenError::NewerVersion(version));
        }
        let body = bytes.len().checked_sub(32).ok_or(TokenError::Damaged("it ends too early"))?;
        if !constant_time_eq(&crypto.sha256(&[&bytes[..body]]), &bytes[body..]) {
            return Err(TokenError::Damaged("its checksum does not fit"));
        }
        let id = r.fixed()?;
        let issuer = TrustedIssuer::from_certificate(crypto, r.bytes16()?)?;
        let mut gateway = None;
        let lock = match (version, r.u8()?) {
            (VERSION_SOFTWARE, 0) => None,
            (VERSION_SOFTWARE, 3) => {
                let read = GatewayIdentity::read(crypto, r.bytes16()?, &issuer);
                gateway = Some(read.map_err(TokenError::Gateway)?);
                None
            }
            (VERSION_SOFTWARE, 1) => {
                let cost = PinCost { memory_kib: r.u32()?, passes: r.u32()?, lanes: r.u32()? };
                cost.params()?;
                Some(Lock::Pin(cost))
            }
            (VERSION_DEVICE, 2) => Some(Lock::Device(DeviceReference::decode(&mut r)?)),
            _ => return Err(TokenError::Damaged("there was never such a version")),
        };
        let sealed = match lock {
            None => None,
            Some(lock) => {
                let salt = r.fixed()?;
                let (failures, last_failure) = match lock {
                    Lock::Pin(_) => (r.u8()?, Time::decode(&mut r)?),
                    Lock::Device(_) => (0, Time(0)),
                };
                let (nonce, ciphertext) = (r.fixed()?, r.bytes24()?.to_vec());
                Some(Sealed { lock, salt, failures, last_failure, nonce, ciphertext })
            }
        };
        r.take(32)?;
        r.finish()?;
        Ok(Self { id, issuer, gateway, sealed })
    }

    /// The file's bytes. Write them to a new file, flush it and rename it over the old one.
    #[must_use]
    pub fn to_file(&self, crypto: Crypto) -> Vec<u8> {
        let mut w = Writer::new();
        let top = match &self.sealed {
            None => Top::Blank(self.gateway.as_ref()),
            Some(sealed) => Top::Sealed(&sealed.lock, &sealed.salt),
        };
        w.fixed(&header(&self.id, &self.issuer, &top));
        if let Some(sealed) = &self.sealed {
            if let Lock::Pin(_) = sealed.lock {
                w.u8(sealed.failures);
                sealed.last_failure.encode(&mut w);
            }
            w.fixed(&sealed.nonce);
            w.bytes24(&sealed.ciphertext);
        }
        let mut bytes = w.into_bytes();
        let checksum = crypto.sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum);
        bytes
    }
}

/// What follows the issuer in the clear.
pub(super) enum Top<'a> {
    /// Nothing, or the gateway that the token was handed out for.
    Blank(Option<&'a GatewayIdentity>),
    /// What opens it, and its salt.
    Sealed(&'a Lock, &'a [u8; 16]),
}

/// What the seal binds.
pub(super) fn header(id: &[u8; 16], issuer: &TrustedIssuer, top: &Top<'_>) -> Vec<u8> {
    let mut w = Writer::new();
    let device = matches!(top, Top::Sealed(Lock::Device(_), _));
    w.fixed(MAGIC);
    w.u8(if device { VERSION_DEVICE } else { VERSION_SOFTWARE });
    w.fixed(id);
    w.bytes16(issuer.certificate());
    match top {
        Top::Blank(None) => w.u8(0),
        Top::Blank(Some(gateway)) => {
            w.u8(3);
            w.bytes16(gateway.certificate());
        }
        Top::Sealed(Lock::Pin(cost), salt) => {
            w.u8(1);
            w.u32(cost.memory_kib);
            w.u32(cost.passes);
            w.u32(cost.lanes);
            w.fixed(*salt);
        }
        Top::Sealed(Lock::Device(reference), salt) => {
            w.u8(2);
            reference.encode(&mut w);
            w.fixed(*salt);
        }
    }
    w.into_bytes()
}
