use crate::{CLOCK_LEEWAY_SECS, ContextKey, Identity, IssuerError, Validity};
use symbolon_crypto::{ContextKeyId, KemPrivateKey, KeySet, RevocationLists, Suite, TrustedIssuer};
use symbolon_wire::{Encode, Time};

/// The context keys of a running gateway, one for each suite, which change by themselves.
///
/// A generation is shown for half its lifetime; then the next one is made and shown, and the old
/// one still answers until its certificates end, because a client may hold them until then. After
/// that its private keys are wiped, and nobody can open what was sealed to them. They are never
/// written down, so a gateway that starts anew starts with new ones.
///
/// ```text
/// generation 1  |== shown ==|-- answers --|
/// generation 2              |== shown ==|-- answers --|
/// generation 3                          |== shown ==| …
/// ```
/// There is no clock inside: call [`ContextKeys::rotate_if_due`] from time to time, more often than
/// every quarter of the lifetime.
#[derive(Debug)]
pub struct ContextKeys {
    identity: Identity,
    issuer: Vec<u8>,
    lifetime_secs: u64,
    /// Newest first, never empty.
    generations: Vec<Generation>,
    offer: KeySet,
    offer_bytes: Vec<u8>,
}

#[derive(Debug)]
struct Generation {
    keys: Vec<ContextKey>,
    /// Hash of the set in which these keys were shown.
    key_set: [u8; 32],
    made: Time,
    until: Time,
}

impl ContextKeys {
    /// The first generation, for certificates that live `lifetime_secs` seconds. `issuer` is the
    /// issuer's certificate, DER.
    ///
    /// # Errors
    /// [`IssuerError::OutsideValidity`] when the identity's certificate has ended.
    pub fn new(
        identity: Identity,
        issuer: Vec<u8>,
        lifetime_secs: u64,
        now: Time,
    ) -> Result<Self, IssuerError> {
        let (first, offer) = Generation::make(&identity, &issuer, lifetime_secs, now)?;
        let offer_bytes = offer.to_bytes();
        Ok(Self { identity, issuer, lifetime_secs, generations: vec![first], offer, offer_bytes })
    }

    /// Makes the next generation when the newest has been shown for half its lifetime, and drops
    /// those whose certificates have ended. Tells whether the offer has changed.
    ///
    /// The last generation ends with the identity's certificate; none is made after it, so look at
    /// [`Identity::validity`] in time.
    ///
    /// # Errors
    /// What making the next generation gives; the offer then stays as it was.
    pub fn rotate_if_due(&mut self, now: Time) -> Result<bool, IssuerError> {
        let newest = self.newest();
        let due = newest.is_due(now) && newest.until < self.identity.validity().until();
        if due {
            let (next, offer) = Generation::make(&self.identity, &self.issuer, self.lifetime_secs, now)?;
            self.offer = offer;
            self.offer_bytes = self.offer.to_bytes();
            self.generations.insert(0, next);
        }
        let mut newest = true;
        self.generations.retain(|g| std::mem::take(&mut newest) || now <= g.until);
        Ok(due)
    }

    /// Goes on under the issuer that took the old one's place: `identity` is the same gateway's, the same
    /// key certified anew, so that what it signs is believed by those who are there. A generation under it
    /// is shown from now on; those before answer until their end, as after every rotation.
    ///
    /// # Errors
    /// [`IssuerError::OtherKey`] for another gateway's identity or another key,
    /// [`IssuerError::Malformed`] when clients would not believe it under `issuer`, and what making a
    /// generation gives; nothing is changed then.
    pub fn follow(
        &mut self,
        identity: Identity,
        issuer: &TrustedIssuer,
        now: Time,
    ) -> Result<(), IssuerError> {
        let present = &self.identity;
        if identity.name() != present.name() || identity.key().public_point() != present.key().public_point()
        {
            return Err(IssuerError::OtherKey);
        }
        let certificate = issuer.certificate().to_vec();
        let (next, offer) = Generation::make(&identity, &certificate, self.lifetime_secs, now)?;
        offer
            .verify(symbolon_provider::crypto(), issuer, &RevocationLists::none(), identity.name(), now)
            .map_err(|e| IssuerError::Malformed(e.to_string()))?;
        self.generations.insert(0, next);
        self.offer_bytes = offer.to_bytes();
        (self.identity, self.issuer, self.offer) = (identity, certificate, offer);
        Ok(())
    }

    /// Begins anew as another identity of the same name, whose predecessor counts no more: nothing that was
    /// sealed under that one is opened from now on.
    ///
    /// # Errors
    /// [`IssuerError::OtherKey`] for another gateway's identity, or what making keys gives; nothing is changed
    /// then.
    pub fn begin_anew(&mut self, identity: Identity, now: Time) -> Result<(), IssuerError> {
        if identity.name() != self.identity.name() {
            return Err(IssuerError::OtherKey);
        }
        *self = Self::new(identity, self.issuer.clone(), self.lifetime_secs, now)?;
        Ok(())
    }

    /// What the gateway shows to everybody who says hello.
    #[must_use]
    pub const fn offer(&self) -> &KeySet {
        &self.offer
    }

    /// The same, encoded once.
    #[must_use]
    pub fn offer_bytes(&self) -> &[u8] {
        &self.offer_bytes
    }

    /// The private key that a first message names, as long as it answers, and the hash of the set in
    /// which it was shown.
    #[must_use]
    pub fn key(&self, id: &ContextKeyId) -> Option<(&KemPrivateKey, &[u8; 32])> {
        self.generations
            .iter()
            .find_map(|g| g.keys.iter().find(|k| k.id == *id).map(|k| (&k.key, &g.key_set)))
    }

    /// The hashes of all sets whose keys still answer, newest first.
    pub fn key_sets(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.generations.iter().map(|g| &g.key_set)
    }

    /// The gateway whose keys these are.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    fn newest(&self) -> &Generation {
        self.generations.first().expect("there is always the newest generation")
    }
}

impl Generation {
    fn make(
        identity: &Identity,
        issuer: &[u8],
        lifetime_secs: u64,
        now: Time,
    ) -> Result<(Self, KeySet), IssuerError> {
        let validity = Validity::starting(now, lifetime_secs);
        let keys = Suite::ALL
            .into_iter()
            .map(|suite| identity.context_key(suite, validity))
            .collect::<Result<Vec<_>, _>>()?;
        let until = keys.iter().map(|k| k.validity.until()).fold(validity.until(), Time::min);
        let offer = identity.key_set(issuer, &keys)?;
        let key_set = offer.hash(symbolon_provider::crypto());
        Ok((Self { keys, key_set, made: now, until }, offer))
    }

    /// At half life; or when the clock was set back so far that clients would find the certificates
    /// not valid yet.
    fn is_due(&self, now: Time) -> bool {
        let half = self.until.distance_secs(self.made) / 2;
        now >= self.made.plus_secs(half) || now < self.made.minus_secs(CLOCK_LEEWAY_SECS)
    }
}
