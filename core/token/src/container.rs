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

use crate::SoftwareKey;
use argon2::{Algorithm, Argon2, Params, Version};
use symbolon_crypto::{
    Crypto, Entropy, GatewayName, KeySet, Secret, SecretBytes, TAG, TrustedIssuer, X509Error,
    constant_time_eq, label,
};
use symbolon_policy::{AccessPath, CanonName, TokenClass, UserCode};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};
use zeroize::Zeroizing;

const MAGIC: &[u8; 15] = b"SYMBOLON TOKEN\n";
const VERSION: u8 = 1;
/// Wrong PINs after which the token locks (B7).
pub const MAX_ATTEMPTS: u8 = 10;
/// Gateways that one token may be registered with.
const MAX_REGISTRATIONS: usize = 256;
/// A file larger than this is no token of ours.
pub const MAX_FILE: usize = 4 * 1024 * 1024;

/// Why a token file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, cut, or altered.
    #[error("the token file is damaged ({0}); import it again from your copy, or enrol anew")]
    Damaged(&'static str),
    /// Made by a newer program.
    #[error("the token file has version {0}, which this program does not know; use a newer symbolon")]
    NewerVersion(u8),
    /// The issuer's certificate in it is not one.
    #[error("the token's issuer: {0}")]
    Issuer(#[from] X509Error),
    /// Wrong PIN.
    #[error("wrong PIN; {left} attempts left")]
    WrongPin {
        /// Attempts before the token locks.
        left: u8,
    },
    /// Too soon after a wrong PIN.
    #[error("wait {secs} s before the next attempt")]
    Wait {
        /// Seconds to wait.
        secs: u64,
    },
    /// Ten wrong PINs.
    #[error(
        "the token is locked after {MAX_ATTEMPTS} wrong PINs; ask an administrator for a new invitation \
         (symbolon admin tokens invite USER) and enrol again with --replace"
    )]
    Locked,
    /// The token has no registration, hence no PIN, yet.
    #[error("the token is not registered with any gateway yet; run symbolon enrol")]
    NotRegistered,
    /// A PIN that is too short or too long.
    #[error("a PIN has {MIN_PIN} to {MAX_PIN} characters")]
    PinLength,
    /// Already as many gateways as one token can hold.
    #[error("the token holds as many registrations as it can")]
    Full,
}

impl From<WireError> for TokenError {
    fn from(e: WireError) -> Self {
        match e {
            WireError::Truncated => Self::Damaged("it ends too early"),
            WireError::TrailingBytes => Self::Damaged("it is too long"),
            WireError::TooLong(what) | WireError::BadValue(what) => Self::Damaged(what),
            WireError::UnknownVersion(v) => Self::NewerVersion(v),
        }
    }
}

/// Fewest characters of a PIN.
pub const MIN_PIN: usize = 6;
/// Most characters of a PIN.
pub const MAX_PIN: usize = 128;

/// A PIN or passphrase of acceptable length.
#[derive(Debug)]
pub struct Pin(SecretBytes);

impl Pin {
    /// Takes 6 to 128 characters.
    ///
    /// # Errors
    /// [`TokenError::PinLength`].
    pub fn new(pin: String) -> Result<Self, TokenError> {
        let length = pin.chars().count();
        let pin = SecretBytes::from(pin);
        if (MIN_PIN..=MAX_PIN).contains(&length) { Ok(Self(pin)) } else { Err(TokenError::PinLength) }
    }
}

/// What one guess at the PIN costs (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PinCost {
    /// 64 MiB, 3 passes, 1 lane: RFC 9106's second recommendation, on one core; about 0.15 s.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

impl PinCost {
    /// Bounds what a file may make us spend: 1 GiB, 16 passes, 16 lanes.
    fn params(self) -> Result<Params, TokenError> {
        let bounded = (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=16).contains(&self.lanes);
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok().filter(|_| bounded);
        params.ok_or(TokenError::Damaged("impossible PIN cost"))
    }

    fn key(self, crypto: Crypto, pin: &Pin, salt: &[u8; 16]) -> Result<Secret<32>, TokenError> {
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params()?)
            .hash_password_into(pin.0.expose(), salt, key.as_mut())
            .map_err(|_| TokenError::Damaged("impossible PIN cost"))?;
        Ok(crypto.derive(&Secret::new(*key), label::TOKEN_SEAL, &[salt]))
    }
}

/// One registration in a token.
#[derive(Debug)]
pub struct Registration {
    /// The gateway.
    pub gateway: GatewayName,
    /// Where it was reached: `host:port`.
    pub address: String,
    /// Its verified certificates (B1); they are verified again before each use.
    pub key_set: KeySet,
    /// Names the registration at the gateway.
    pub registration_id: [u8; 16],
    /// The user identification code.
    pub user_code: UserCode,
    /// The name that it was made from.
    pub user: CanonName,
    /// The access control path.
    pub access_path: AccessPath,
    /// What keeps the authentication key.
    pub class: TokenClass,
    /// When it was made.
    pub registered: Time,
    /// The authentication key.
    pub key: SoftwareKey,
    /// The gateway's number for the next sign-in, if one is at hand.
    pub next_number: Option<[u8; 32]>,
}

impl Registration {
    /// No less than the length of its encoding, in bytes.
    fn encoded_bound(&self) -> usize {
        let certificates = self.key_set.context_keys.iter().map(|c| 2 + c.len()).sum::<usize>();
        let key_set = &self.key_set;
        let signed = key_set.issuer.len() + key_set.identity.len() + key_set.signature.len() + certificates;
        let names = self.address.len() + self.user.as_str().len() + self.access_path.as_str().len();
        1024 + signed + names
    }
}

impl Encode for Registration {
    fn encode(&self, w: &mut Writer) {
        self.gateway.encode(w);
        w.text16(&self.address);
        self.key_set.encode(w);
        w.fixed(&self.registration_id);
        w.text8(self.user_code.as_str());
        w.text16(self.user.as_str());
        w.text16(self.access_path.as_str());
        w.text8(&self.class.to_string());
        self.registered.encode(w);
        w.fixed(self.key.secret().expose());
        w.bytes8(self.next_number.as_ref().map_or(&[], |n| n.as_slice()));
    }
}

impl Decode for Registration {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            gateway: GatewayName::decode(r)?,
            address: r.text16("address")?.to_owned(),
            key_set: KeySet::decode(r)?,
            registration_id: r.fixed()?,
            user_code: UserCode::parse(r.text8("user code")?)
                .map_err(|_| WireError::BadValue("user code"))?,
            user: CanonName::parse(r.text16("user name")?).map_err(|_| WireError::BadValue("user name"))?,
            access_path: AccessPath::parse(r.text16("access path")?)
                .map_err(|_| WireError::BadValue("access path"))?,
            class: r.text8("token class")?.parse().map_err(|_| WireError::BadValue("token class"))?,
            registered: Time::decode(r)?,
            key: SoftwareKey::new(Secret::decode(r)?),
            next_number: match r.bytes8()? {
                [] => None,
                n => Some(n.try_into().map_err(|_| WireError::BadValue("number"))?),
            },
        })
    }
}

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

/// A token that is open: its registrations can be used and changed.
pub struct UnlockedToken {
    id: [u8; 16],
    issuer: TrustedIssuer,
    cost: PinCost,
    salt: [u8; 16],
    key: Secret<32>,
    registrations: Vec<Registration>,
}

impl std::fmt::Debug for UnlockedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnlockedToken({}, {} registrations)", self.issuer.fingerprint(), self.registrations.len())
    }
}

impl UnlockedToken {
    /// Gives a blank token its first PIN. A token that has one already must be unlocked with it.
    ///
    /// # Errors
    /// [`TokenError::Damaged`] when `cost` is impossible or the token is registered already.
    pub fn first_pin(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        token: Token,
        pin: &Pin,
        cost: PinCost,
    ) -> Result<Self, TokenError> {
        if token.is_registered() {
            return Err(TokenError::Damaged("it has a PIN already"));
        }
        let salt = entropy.number();
        let key = cost.key(crypto, pin, &salt)?;
        Ok(Self { id: token.id, issuer: token.issuer, cost, salt, key, registrations: Vec::new() })
    }

    /// Another PIN, with a fresh salt.
    ///
    /// # Errors
    /// [`TokenError::Damaged`] when `cost` is impossible.
    pub fn change_pin(
        &mut self,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        pin: &Pin,
        cost: PinCost,
    ) -> Result<(), TokenError> {
        let salt = entropy.number();
        self.key = cost.key(crypto, pin, &salt)?;
        (self.salt, self.cost) = (salt, cost);
        Ok(())
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

    /// All registrations.
    #[must_use]
    pub fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// The registration with a gateway.
    #[must_use]
    pub fn registration(&self, gateway: &GatewayName) -> Option<&Registration> {
        self.registrations.iter().find(|r| r.gateway == *gateway)
    }

    /// The same, to keep a newer number or key set in it.
    pub fn registration_mut(&mut self, gateway: &GatewayName) -> Option<&mut Registration> {
        self.registrations.iter_mut().find(|r| r.gateway == *gateway)
    }

    /// Puts a registration in; it replaces one with the same gateway.
    ///
    /// # Errors
    /// [`TokenError::Full`].
    pub fn put(&mut self, registration: Registration) -> Result<(), TokenError> {
        self.registrations.retain(|r| r.gateway != registration.gateway);
        if self.registrations.len() >= MAX_REGISTRATIONS {
            return Err(TokenError::Full);
        }
        self.registrations.push(registration);
        Ok(())
    }

    /// The sealed token, with no failed attempts: write it back.
    #[must_use]
    pub fn seal(&self, crypto: Crypto, entropy: &mut dyn Entropy) -> Token {
        let bound = 2 + self.registrations.iter().map(Registration::encoded_bound).sum::<usize>();
        let plaintext = SecretBytes::written(bound, |w| w.list16(&self.registrations, |w, r| r.encode(w)));
        let nonce: [u8; 12] = entropy.number();
        let aad = header(&self.id, &self.issuer, Some(self.cost), &self.salt);
        let mut ciphertext = Vec::with_capacity(plaintext.expose().len() + TAG);
        ciphertext.extend_from_slice(plaintext.expose());
        let tag = crypto.aes256_gcm(&self.key).seal(&nonce, &aad, &mut ciphertext);
        ciphertext.extend_from_slice(&tag);
        let sealed = Sealed {
            cost: self.cost,
            salt: self.salt,
            failures: 0,
            last_failure: Time(0),
            nonce,
            ciphertext,
        };
        Token { id: self.id, issuer: self.issuer.clone(), sealed: Some(sealed) }
    }
}
