//! The software token: one file that a person keeps, copies and imports.
//!
//! ```text
//! "SYMBOLON TOKEN\n" | version (1) | token id (16) | issuer certificate <..>
//! | Argon2id memory KiB (4), passes (4), lanes (4), salt (16)    } absent in a token
//! | failed attempts (1) | time of the last one (8)               } as it is handed out:
//! | nonce (12) | sealed registrations <..>                       } it has no secret (B1)
//! | SHA-256 of all before (32)
//! ```
//! The seal's associated data is everything before `failed attempts`, so neither the issuer nor the
//! cost of the PIN can be swapped. The counter cannot be authenticated by a file that anybody may
//! copy: it slows the honest owner's thief at the keyboard, Argon2id slows the one who took the file.

mod device;
mod error;
mod pin;
mod registration;
mod unlocked;

pub use device::ObjectId;
pub use error::TokenError;
pub use pin::{MAX_PIN, MIN_PIN, Pin, PinCost};
pub use registration::Registration;
pub use unlocked::UnlockedToken;

use symbolon_crypto::{Crypto, Entropy, SecretBytes, TrustedIssuer, constant_time_eq};
use symbolon_wire::{Decode, Encode, Reader, Time, Writer};

const MAGIC: &[u8; 15] = b"SYMBOLON TOKEN\n";
const VERSION: u8 = 1;
/// Wrong PINs after which the token locks (B7).
pub const MAX_ATTEMPTS: u8 = 10;
/// Gateways that one token may be registered with.
const MAX_REGISTRATIONS: usize = 256;
/// A file larger than this is no token of ours.
pub const MAX_FILE: usize = 4 * 1024 * 1024;

struct Sealed {
    cost: PinCost,
    salt: [u8; 16],
    failures: u8,
    last_failure: Time,
    nonce: [u8; 12],
    ciphertext: Vec<u8>,
}

/// A token as its file holds it.
pub struct Token {
    id: [u8; 16],
    issuer: TrustedIssuer,
    sealed: Option<Sealed>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, registered: {})", self.issuer.fingerprint(), self.sealed.is_some())
    }
}

impl Token {
    /// A token as it is handed out: the issuer's public key and no secret (B1).
    pub fn blank(entropy: &mut dyn Entropy, issuer: TrustedIssuer) -> Self {
        Self { id: entropy.number(), issuer, sealed: None }
    }

    /// Names the token.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// The root of trust in it.
    #[must_use]
    pub const fn issuer(&self) -> &TrustedIssuer {
        &self.issuer
    }

    /// Whether it has been registered, and hence has a PIN.
    #[must_use]
    pub const fn is_registered(&self) -> bool {
        self.sealed.is_some()
    }

    /// Wrong PINs since the last right one.
    #[must_use]
    pub fn failures(&self) -> u8 {
        self.sealed.as_ref().map_or(0, |s| s.failures)
    }

    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokenError::Damaged`], [`TokenError::NewerVersion`], [`TokenError::Issuer`].
    pub fn from_file(crypto: Crypto, bytes: &[u8]) -> Result<Self, TokenError> {
        let mut r = Reader::new(bytes);
        if bytes.len() > MAX_FILE || r.take(MAGIC.len()) != Ok(MAGIC.as_slice()) {
            return Err(TokenError::Damaged("it is not a token file"));
        }
        let version = r.u8()?;
        if version > VERSION {
            return Err(TokenError::NewerVersion(version));
        }
        if version < VERSION {
            return Err(TokenError::Damaged("there was never such a version"));
        }
        let body = bytes.len().checked_sub(32).ok_or(TokenError::Damaged("it ends too early"))?;
        if !constant_time_eq(&crypto.sha256(&[&bytes[..body]]), &bytes[body..]) {
            return Err(TokenError::Damaged("its checksum does not fit"));
        }
        let id = r.fixed()?;
        let issuer = TrustedIssuer::from_certificate(crypto, r.bytes16()?)?;
        let sealed = if r.flag()? {
            let cost = PinCost { memory_kib: r.u32()?, passes: r.u32()?, lanes: r.u32()? };
            cost.params()?;
            Some(Sealed {
                cost,
                salt: r.fixed()?,
                failures: r.u8()?,
                last_failure: Time::decode(&mut r)?,
                nonce: r.fixed()?,
                ciphertext: r.bytes24()?.to_vec(),
            })
        } else {
            None
        };
        r.take(32)?;
        r.finish()?;
        Ok(Self { id, issuer, sealed })
    }

    /// The file's bytes. Write them to a new file, flush it and rename it over the old one.
    #[must_use]
    pub fn to_file(&self, crypto: Crypto) -> Vec<u8> {
        let mut w = Writer::new();
        let (cost, salt) = self.sealed.as_ref().map_or((None, [0; 16]), |s| (Some(s.cost), s.salt));
        w.fixed(&header(&self.id, &self.issuer, cost, &salt));
        if let Some(sealed) = &self.sealed {
            w.u8(sealed.failures);
            sealed.last_failure.encode(&mut w);
            w.fixed(&sealed.nonce);
            w.bytes24(&sealed.ciphertext);
        }
        let mut bytes = w.into_bytes();
        let checksum = crypto.sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Counts an attempt. **Write [`Attempt::to_file`] before trying the PIN**, so that pulling the
    /// plug saves no attempt.
    ///
    /// # Errors
    /// [`TokenError::NotRegistered`], [`TokenError::Locked`], [`TokenError::Wait`].
    pub fn attempt(mut self, now: Time) -> Result<Attempt, TokenError> {
        let sealed = self.sealed.as_mut().ok_or(TokenError::NotRegistered)?;
        if sealed.failures >= MAX_ATTEMPTS {
            return Err(TokenError::Locked);
        }
        let ready = sealed.last_failure.plus_secs(delay_secs(sealed.failures));
        // A clock that was set back must not lock the owner out for longer than the delay itself.
        if now < ready && now >= sealed.last_failure {
            return Err(TokenError::Wait { secs: (ready.0 - now.0).div_ceil(1_000_000) });
        }
        sealed.failures += 1;
        sealed.last_failure = now;
        Ok(Attempt(self))
    }
}

/// No delay for the first three slips, then 2, 4, 8 … s.
const fn delay_secs(failures: u8) -> u64 {
    if failures <= 3 { 0 } else { 1 << (failures - 3) }
}

fn header(id: &[u8; 16], issuer: &TrustedIssuer, cost: Option<PinCost>, salt: &[u8; 16]) -> Vec<u8> {
    let mut w = Writer::new();
    w.fixed(MAGIC);
    w.u8(VERSION);
    w.fixed(id);
    w.bytes16(issuer.certificate());
    w.flag(cost.is_some());
    if let Some(cost) = cost {
        w.u32(cost.memory_kib);
        w.u32(cost.passes);
        w.u32(cost.lanes);
        w.fixed(salt);
    }
    w.into_bytes()
}

/// An attempt that is already counted.
#[derive(Debug)]
pub struct Attempt(Token);

impl Attempt {
    /// The token file with the attempt counted.
    #[must_use]
    pub fn to_file(&self, crypto: Crypto) -> Vec<u8> {
        self.0.to_file(crypto)
    }

    /// Tries the PIN.
    ///
    /// # Errors
    /// [`TokenError::WrongPin`], [`TokenError::Locked`] when that was the last attempt,
    /// [`TokenError::Damaged`].
    pub fn unlock(self, crypto: Crypto, pin: &Pin) -> Result<UnlockedToken, TokenError> {
        let Token { id, issuer, sealed } = self.0;
        let sealed = sealed.ok_or(TokenError::NotRegistered)?;
        let key = sealed.cost.key(crypto, pin, &sealed.salt)?;
        let mut buffer = sealed.ciphertext;
        let aad = header(&id, &issuer, Some(sealed.cost), &sealed.salt);
        let Ok(length) = crypto.aes256_gcm(&key).open(&sealed.nonce, &aad, &mut buffer) else {
            let left = MAX_ATTEMPTS.saturating_sub(sealed.failures);
            return Err(if left == 0 { TokenError::Locked } else { TokenError::WrongPin { left } });
        };
        buffer.truncate(length);
        let plaintext = SecretBytes::new(buffer);
        let mut r = Reader::new(plaintext.expose());
        let registrations = r.list16("registrations", MAX_REGISTRATIONS, Registration::decode)?;
        r.finish()?;
        Ok(UnlockedToken { id, issuer, cost: sealed.cost, salt: sealed.salt, key, registrations })
    }
}
