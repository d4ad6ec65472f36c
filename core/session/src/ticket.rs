//! Session tickets (A5): what a node gives within a session so that its owner opens the next one, at
//! any node of the domain, with no credential but the ticket.
//!
//! ```text
//! ticket  period (4) | id (16) | AEAD(ticket key of the period and id){secret, what the session was}
//! token   ticket <16> | HMAC(secret, "…proof" | binding)
//! ```
//! The secret never travels: both sides derive it from the session's. A ticket acts once (the caller
//! asks the domain's store, which must keep the answer over a loss of power: [`TicketProved::redeem`]), is good for a time, and says only
//! who its owner *was*: identity, entitlement and revocation are looked up again. The keys follow
//! from the domain's key and the time, so all nodes have them and none is written down.

use crate::{RegistrationId, SessionId, SessionSecret, UserId};
use symbolon_crypto::{
    CLOCK_TOLERANCE_SECS, Crypto, CryptoError, Entropy, InitiatorToken, PresentedToken, Secret, SecretBytes,
    TokenKind, TokenProof, TranscriptHash, constant_time_eq, label,
};
use symbolon_policy::TokenClass;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Longest time for which a ticket is good, in seconds: a day.
pub const MAX_TICKET_SECS: u64 = 86_400;

/// How long one key seals tickets, in seconds. A ticket is opened for one period more, so this is
/// also the bound of [`MAX_TICKET_SECS`].
const PERIOD_SECS: u64 = MAX_TICKET_SECS;

/// Names a ticket: 16 random bytes.
type TicketId = [u8; 16];

/// Keys that seal the tickets of a domain.
#[derive(Debug)]
pub struct TicketKeys {
    domain: Secret<32>,
}

impl TicketKeys {
    /// From the key that all nodes of the domain share, and nobody else.
    #[must_use]
    pub fn new(crypto: Crypto, domain_key: &Secret<32>) -> Self {
        Self { domain: crypto.derive(domain_key, label::TICKET_KEYS, &[]) }
    }

    fn key(&self, crypto: Crypto, period: u32, id: &TicketId) -> Secret<32> {
        let period = crypto.derive(&self.domain, label::TICKET_PERIOD, &[&period.to_be_bytes()]);
        crypto.derive(&period, label::TICKET_SEAL, &[id])
    }
}

fn period(time: Time) -> u32 {
    u32::try_from(time.secs() / PERIOD_SECS).unwrap_or(u32::MAX)
}

/// What a session was when it gave a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketOwner {
    /// Whose session it was.
    pub user: UserId,
    /// The registration that opened it, if one did.
    pub registration: Option<RegistrationId>,
    /// What proved the identity then. A ticket is never worth more.
    pub token_class: TokenClass,
    /// Which session it was.
    pub session: SessionId,
    /// When the credential itself was last shown: tickets of tickets do not grow younger.
    pub proved: Time,
}

/// A ticket as the client keeps it.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    sealed: Vec<u8>,
    secret: Secret<32>,
    expires: Time,
}

/// A ticket as it travels to the client, within the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedTicket {
    sealed: Vec<u8>,
    /// When it ends.
    pub expires: Time,
}

/// Longest sealed ticket, in bytes.
const MAX_SEALED: usize = 512;

impl IssuedTicket {
    /// Gives a ticket within the session that has `secret`.
    pub fn issue(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        keys: &TicketKeys,
        secret: &SessionSecret,
        owner: &TicketOwner,
        now: Time,
        lifetime_secs: u64,
    ) -> Self {
        let id: TicketId = entropy.number();
        let expires = now.plus_secs(lifetime_secs.min(MAX_TICKET_SECS));
        let plaintext = SecretBytes::written(MAX_SEALED, |w| {
            w.fixed(secret.ticket_secret(crypto, &id).expose());
            expires.encode(w);
            owner.user.encode(w);
            w.flag(owner.registration.is_some());
            if let Some(registration) = owner.registration {
                registration.encode(w);
            }
            owner.token_class.encode(w);
            owner.session.encode(w);
            owner.proved.encode(w);
        });
        let mut sealed = Vec::with_capacity(MAX_SEALED);
        sealed.extend_from_slice(&period(now).to_be_bytes());
        sealed.extend_from_slice(&id);
        let front = sealed.len();
        sealed.extend_from_slice(plaintext.expose());
        let key = crypto.aes256_gcm(&keys.key(crypto, period(now), &id));
        let tag = key.seal(&[0; 12], label::TICKET_SEAL, &mut sealed[front..]);
        sealed.extend_from_slice(&tag);
        Self { sealed, expires }
    }

    /// What the client keeps of it.
    ///
    /// # Errors
    /// [`WireError`] when it is too short for a ticket.
    pub fn keep(self, crypto: Crypto, secret: &SessionSecret) -> Result<Ticket, WireError> {
        let mut r = Reader::new(&self.sealed);
        r.u32()?;
        let secret = secret.ticket_secret(crypto, &r.fixed()?);
        Ok(Ticket { sealed: self.sealed, secret, expires: self.expires })
    }
}

impl Encode for IssuedTicket {
    fn encode(&self, w: &mut Writer) {
        w.bytes16(&self.sealed);
        self.expires.encode(w);
    }
}

impl Decode for IssuedTicket {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let sealed = r.bytes16()?;
        if sealed.len() > MAX_SEALED {
            return Err(WireError::TooLong("ticket"));
        }
        Ok(Self { sealed: sealed.to_vec(), expires: Time::decode(r)? })
    }
}

fn proof(crypto: Crypto, secret: &Secret<32>, binding: &TranscriptHash) -> Secret<32> {
    crypto.derive(secret, label::TICKET_PROOF, &[binding.as_ref()])
}

fn contribution(crypto: Crypto, secret: &Secret<32>, binding: &TranscriptHash) -> Secret<32> {
    crypto.derive(secret, label::TICKET_CONTRIBUTION, &[binding.as_ref()])
}

impl Ticket {
    /// Until when it may be shown.
    #[must_use]
    pub const fn expires(&self) -> Time {
        self.expires
    }

    /// The credential of one sign-in; it is spent by it.
    #[must_use]
    pub const fn into_token(self, crypto: Crypto) -> TicketToken {
        TicketToken { crypto, ticket: self }
    }

    /// The encoding, to be kept where only its owner reads.
    #[must_use]
    pub fn to_secret_bytes(&self) -> SecretBytes {
        SecretBytes::written(MAX_SEALED + 64, |w| {
            w.bytes16(&self.sealed);
            w.fixed(self.secret.expose());
            self.expires.encode(w);
        })
    }

    /// Reads what [`Ticket::to_secret_bytes`] made.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_secret_bytes(bytes: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes.expose());
        let ticket = Self {
            sealed: r.bytes16()?.to_vec(),
            secret: Secret::decode(&mut r)?,
            expires: Time::decode(&mut r)?,
        };
        r.finish()?;
        Ok(ticket)
    }
}

/// A ticket in the initiator's hands.
#[derive(Debug)]
pub struct TicketToken {
    crypto: Crypto,
    ticket: Ticket,
}

impl InitiatorToken for TicketToken {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let body = SecretBytes::written(MAX_SEALED + 64, |w| {
            w.bytes16(&self.ticket.sealed);
            w.fixed(proof(self.crypto, &self.ticket.secret, binding).expose());
        });
        let contribution = Some(contribution(self.crypto, &self.ticket.secret, binding));
        Ok(PresentedToken { kind: TokenKind::SessionTicket, body, contribution })
    }
}

/// A ticket as a node receives it: nothing of it is checked.
#[derive(Debug)]
pub struct ClaimedTicket {
    period: u32,
    id: TicketId,
    sealed: Vec<u8>,
    proof: Secret<32>,
}

impl ClaimedTicket {
    /// Parses the body of a token of kind [`TokenKind::SessionTicket`].
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(token: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(token.expose());
        let ticket = r.bytes16()?;
        let proof = Secret::decode(&mut r)?;
        r.finish()?;
        let mut r = Reader::new(ticket);
        let (period, id) = (r.u32()?, r.fixed()?);
        let sealed = r.rest();
        if sealed.len() > MAX_SEALED {
            return Err(WireError::TooLong("ticket"));
        }
        Ok(Self { period, id, sealed: sealed.to_vec(), proof })
    }

    /// Checks that it is a ticket of the domain, in its time, and that who shows it has its secret.
    ///
    /// # Errors
    /// [`CryptoError::Forged`], whatever is wrong.
    pub fn verify(
        self,
        crypto: Crypto,
        keys: &TicketKeys,
        binding: &TranscriptHash,
        now: Time,
    ) -> Result<TicketProved, CryptoError> {
        let current = period(now);
        // A ticket from a node whose clock is a little ahead is one of the next period.
        if !(current.saturating_sub(1)..=current.saturating_add(1)).contains(&self.period) {
            return Err(CryptoError::Forged);
        }
        let mut buffer = self.sealed;
        let key = crypto.aes256_gcm(&keys.key(crypto, self.period, &self.id));
        let opened = key.open(&[0; 12], label::TICKET_SEAL, &mut buffer);
        let plaintext = SecretBytes::new(buffer);
        let opened = plaintext.expose().get(..opened?).ok_or(CryptoError::Forged)?;
        let (secret, expires, owner) = parse_inside(opened).map_err(|_| CryptoError::Forged)?;
        let fits = constant_time_eq(proof(crypto, &secret, binding).expose(), self.proof.expose());
        if !fits || now >= expires {
            return Err(CryptoError::Forged);
        }
        let contribution = contribution(crypto, &secret, binding);
        Ok(TicketProved {
            id: self.id,
            expires,
            owner,
            redeemed: TicketRedeemed { binding: *binding, contribution },
        })
    }
}

fn parse_inside(bytes: &[u8]) -> Result<(Secret<32>, Time, TicketOwner), WireError> {
    let r = &mut Reader::new(bytes);
    let (secret, expires) = (Secret::decode(r)?, Time::decode(r)?);
    let owner = TicketOwner {
        user: UserId::decode(r)?,
        registration: if r.flag()? { Some(RegistrationId::decode(r)?) } else { None },
        token_class: TokenClass::decode(r)?,
        session: SessionId::decode(r)?,
        proved: Time::decode(r)?,
    };
    r.clone().finish()?;
    Ok((secret, expires, owner))
}

/// A ticket that is right, and may have been used before.
#[derive(Debug)]
pub struct TicketProved {
    id: TicketId,
    expires: Time,
    owner: TicketOwner,
    redeemed: TicketRedeemed,
}

impl TicketProved {
    /// What must be put into the domain's store if it is absent, durably, and remembered until
    /// [`TicketProved::remember_until`].
    #[must_use]
    pub fn use_key(&self, crypto: Crypto) -> [u8; 32] {
        crypto.sha256(&[label::TICKET_PROOF, &self.id])
    }

    /// Until when the cache must remember it.
    #[must_use]
    pub const fn remember_until(&self) -> Time {
        // Another node's clock may be behind, and a node may pause between asking and acting.
        self.expires.plus_secs(2 * CLOCK_TOLERANCE_SECS)
    }

    /// Whose it is.
    #[must_use]
    pub const fn owner(&self) -> &TicketOwner {
        &self.owner
    }

    /// Goes on if the cache did not have it. `now` is a time after the cache answered.
    ///
    /// # Errors
    /// [`CryptoError::Exhausted`] when the ticket was used, or its time ran out meanwhile.
    pub fn redeem(self, was_absent: bool, now: Time) -> Result<(TicketOwner, TicketRedeemed), CryptoError> {
        if was_absent && now < self.expires {
            Ok((self.owner, self.redeemed))
        } else {
            Err(CryptoError::Exhausted)
        }
    }
}

/// Proof that a ticket was right, and used for the first time.
#[derive(Debug)]
pub struct TicketRedeemed {
    binding: TranscriptHash,
    contribution: Secret<32>,
}

impl TokenProof for TicketRedeemed {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }

    fn contribution(&self) -> Option<&Secret<32>> {
        Some(&self.contribution)
    }
}
