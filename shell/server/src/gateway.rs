//! What a gateway needs to be talked to: its keys, its numbers, and what a stranger must do before
//! it costs a private-key operation.

use crate::meter::Meter;
use crate::refusal::Refused;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use symbolon_crypto::{
    CheapCheck, Cookie, CookieJar, Crypto, CryptoError, Entropy, Envelope, EnvelopeContent, GatewayName,
    KeySet, Purpose, Secret, TrustedIssuer,
};
use symbolon_issuer::{ContextKeys, Identity, IssuerError};
use symbolon_provider::SystemEntropy;
use symbolon_token::Configuration;
use symbolon_token::challenge::{GatewayNumbers, Number};
use symbolon_wire::{Decode, RefusalCode, Time};

/// A gateway's cryptographic side.
pub(crate) struct Gateway {
    pub(crate) crypto: Crypto,
    name: GatewayName,
    answering: RwLock<Answering>,
    pub(crate) numbers: GatewayNumbers,
    cookies: CookieJar,
    /// First messages in the current second.
    load: Meter,
}

/// The context keys with the cheap checks of their sets, and the issuer that they are under.
struct Answering {
    issuer: TrustedIssuer,
    keys: ContextKeys,
    checks: Vec<([u8; 32], CheapCheck, CheapCheck)>,
}

impl Answering {
    fn new(crypto: Crypto, issuer: TrustedIssuer, keys: ContextKeys) -> Self {
        let mut answering = Self { issuer, keys, checks: Vec::new() };
        answering.renew_checks(crypto);
        answering
    }

    fn renew_checks(&mut self, crypto: Crypto) {
        let check = |set: &[u8; 32]| {
            let of = |purpose| CheapCheck::new(crypto, set, purpose);
            (*set, of(Purpose::Context), of(Purpose::Registration))
        };
        self.checks = self.keys.key_sets().map(check).collect();
    }
}

/// What came of an envelope.
pub(crate) enum Opening {
    /// It opened.
    Content(EnvelopeContent),
    /// The peer must come again with this cookie.
    Retry(Cookie),
}

impl Gateway {
    pub(crate) fn new(
        crypto: Crypto,
        issuer: TrustedIssuer,
        keys: ContextKeys,
        domain_key: &Secret<32>,
        cookie_above_per_sec: u32,
    ) -> Self {
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        Self {
            crypto,
            name: keys.identity().name().clone(),
            numbers: GatewayNumbers::new(crypto, domain_key),
            cookies: CookieJar::new(entropy.secret()),
            answering: RwLock::new(Answering::new(crypto, issuer, keys)),
            load: Meter::new(cookie_above_per_sec),
        }
    }

    pub(crate) const fn name(&self) -> &GatewayName {
        &self.name
    }

    /// What the gateway shows.
    pub(crate) fn key_set(&self) -> KeySet {
        self.answering().keys.offer().clone()
    }

    /// A fresh number for a challenge.
    pub(crate) fn number(&self, now: Time) -> Number {
        self.numbers.issue(self.crypto, &mut SystemEntropy, now)
    }

    /// Changes the context keys when it is time; nobody who holds the last ones is dropped.
    pub(crate) fn rotate_if_due(&self, now: Time) -> Result<bool, IssuerError> {
        let mut answering = self.answering.write().unwrap_or_else(PoisonError::into_inner);
        let changed = answering.keys.rotate_if_due(now)?;
        if changed {
            answering.renew_checks(self.crypto);
        }
        Ok(changed)
    }

    /// Goes on under another issuer, see [`ContextKeys::follow`].
    pub(crate) fn follow(
        &self,
        identity: Identity,
        issuer: TrustedIssuer,
        now: Time,
    ) -> Result<(), IssuerError> {
        let mut answering = self.answering.write().unwrap_or_else(PoisonError::into_inner);
        answering.keys.follow(identity, &issuer, now)?;
        answering.issuer = issuer;
        answering.renew_checks(self.crypto);
        Ok(())
    }

    /// Goes on as another identity, see [`ContextKeys::begin_anew`].
    pub(crate) fn begin_anew(&self, identity: Identity, now: Time) -> Result<(), IssuerError> {
        let mut answering = self.answering.write().unwrap_or_else(PoisonError::into_inner);
        answering.keys.begin_anew(identity, now)?;
        answering.renew_checks(self.crypto);
        Ok(())
    }

    /// The issuer that vouches for the gateway.
    pub(crate) fn issuer(&self) -> TrustedIssuer {
        self.answering().issuer.clone()
    }

    /// Signs a configuration with the identity.
    pub(crate) fn sign(&self, configuration: &Configuration) -> Result<Vec<u8>, CryptoError> {
        configuration.sign(self.answering().keys.identity().key())
    }

    /// The identity's certificate, DER, and when it ends.
    pub(crate) fn identity_until(&self) -> Time {
        self.answering().keys.identity().validity().until()
    }

    /// Takes an envelope apart in the order of cost.
    pub(crate) fn open(
        &self,
        bytes: &[u8],
        purpose: Purpose,
        source: IpAddr,
        now: Time,
    ) -> Result<Opening, Refused> {
        let envelope = Envelope::from_bytes(bytes)
            .map_err(|e| Refused::malformed(format!("malformed envelope: {e}")))?;
        let answering = self.answering();
        let unknown =
            || Refused::new(RefusalCode::UnknownKey, "sealed to a context key that is not known here");
        let (key, key_set) = answering.keys.key(&envelope.key()).ok_or_else(unknown)?;
        let (_, context, registration) =
            answering.checks.iter().find(|(set, ..)| set == key_set).ok_or_else(unknown)?;
        let check = match purpose {
            Purpose::Context => context,
            Purpose::Registration => registration,
        };
        let checked = check
            .check(self.crypto, envelope)
            .map_err(|_| Refused::malformed("the cheap check of the envelope does not fit".into()))?;
        if self.load.exceeds(now) {
            let address = address_bytes(source);
            if !self.cookies.accepts(self.crypto, &checked, &address, now) {
                return Ok(Opening::Retry(self.cookies.bake(self.crypto, &checked, &address, now)));
            }
        }
        let content = checked
            .open(self.crypto, key)
            .map_err(|_| Refused::new(RefusalCode::Denied, "the envelope does not open"))?;
        Ok(Opening::Content(content))
    }

    fn answering(&self) -> std::sync::RwLockReadGuard<'_, Answering> {
        // A panic elsewhere cannot leave keys half changed: they are replaced whole.
        self.answering.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address_bytes(source: IpAddr) -> Vec<u8> {
    match source {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}
