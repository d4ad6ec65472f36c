//! An open context: messages, questions about it, and carrying it to another process.

use crate::ContextSecrets;
use crate::gss::{Delivery, GssError, Role};
use symbolon_crypto::{Crypto, Secret, SecretBytes, constant_time_eq, label};
use symbolon_record::{Unwrapper, WrapError, WrapSecrets, Wrapper};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError};

/// Version of an exported context.
const STATE_VERSION: u8 = 2;

/// What both sides know about a context besides its keys.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) role: Role,
    pub(crate) initiator: String,
    pub(crate) acceptor: String,
    pub(crate) session_id: [u8; 16],
    pub(crate) expires: Time,
    pub(crate) channel_bound: bool,
}

/// What can be asked of a context (`GSS_Inquire_context`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextInfo {
    /// Whom the acceptor took the initiator for.
    pub initiator: String,
    /// The acceptor's verified name.
    pub acceptor: String,
    /// Names the context on the acceptor's side.
    pub session_id: [u8; 16],
    /// How long it may still be used, in seconds.
    pub lifetime_secs: u64,
    /// Whether we began it.
    pub locally_initiated: bool,
    /// What it provides.
    pub flags: Flags,
}

/// What a context provides (RFC 2743 §1.2.1.2). Confidentiality, integrity, mutual authentication,
/// detection of replays and transfer between processes always are; delegation and anonymity never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Messages arrive in order, or not at all (`GSS_C_SEQUENCE_FLAG`).
    pub in_order: bool,
    /// The context is bound to a channel (RFC 5056).
    pub channel_bound: bool,
}

/// An open context, on either side.
#[derive(Debug)]
pub struct SecurityContext {
    crypto: Crypto,
    agreed: Agreed,
    delivery: Delivery,
    exporter: Secret<32>,
    messages: Protection,
    checks: Protection,
}

/// Keys and numbers of both directions.
#[derive(Debug)]
struct Protection {
    sending: Wrapper,
    receiving: Unwrapper,
}

impl Protection {
    fn new(crypto: Crypto, secrets: WrapSecrets, role: Role, delivery: Delivery) -> Self {
        let (sending, receiving) = secrets.into_pair(crypto, role, delivery);
        Self { sending, receiving }
    }

    fn open(&mut self, message: &[u8]) -> Result<SecretBytes, WrapError> {
        let mut buffer = message.to_vec();
        let length = self.receiving.unwrap_in_place(&mut buffer)?.len();
        let start = symbolon_record::WRAP_HEADER;
        buffer.truncate(start + length);
        buffer.drain(..start);
        Ok(SecretBytes::new(buffer))
    }

    fn export(self) -> [SecretBytes; 2] {
        [self.sending.export(), self.receiving.export()]
    }

    fn read(crypto: Crypto, r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut state = || Ok::<_, WireError>(SecretBytes::new(r.bytes16()?.to_vec()));
        let (sending, receiving) = (state()?, state()?);
        Ok(Self {
            sending: Wrapper::import(crypto, &sending)?,
            receiving: Unwrapper::import(crypto, &receiving)?,
        })
    }
}

impl SecurityContext {
    pub(crate) fn new(crypto: Crypto, secrets: ContextSecrets, agreed: Agreed, delivery: Delivery) -> Self {
        let ContextSecrets { wrap, exporter, .. } = secrets;
        let root = crypto.derive(&exporter, label::MESSAGE_CHECK, &[]);
        let checks = WrapSecrets::derive(crypto, &root, &[label::MESSAGE_CHECK]);
        Self {
            messages: Protection::new(crypto, wrap, agreed.role, delivery),
            checks: Protection::new(crypto, checks, agreed.role, delivery),
            crypto,
            agreed,
            delivery,
            exporter,
        }
    }

    /// Encrypts and authenticates a message (`GSS_Wrap`).
    ///
    /// # Errors
    /// [`GssError::Expired`], [`GssError::Message`] when the keys are used up.
    pub fn wrap(&mut self, message: &[u8], now: Time) -> Result<Vec<u8>, GssError> {
        self.in_time(now)?;
        Ok(self.messages.sending.wrap(message)?)
    }

    /// The other direction of [`SecurityContext::wrap`] (`GSS_Unwrap`). What is refused changes
    /// nothing.
    ///
    /// # Errors
    /// [`GssError::Expired`], [`GssError::Message`]: altered, replayed, or out of order where order
    /// was asked for.
    pub fn unwrap(&mut self, message: &[u8], now: Time) -> Result<SecretBytes, GssError> {
        self.in_time(now)?;
        Ok(self.messages.open(message)?)
    }

    /// A check of a message that travels by itself (`GSS_GetMIC`): its hash, wrapped under keys that
    /// serve nothing else. Checks have numbers of their own, so one that the peer never looks at holds
    /// up no wrapped message.
    ///
    /// # Errors
    /// As [`SecurityContext::wrap`].
    pub fn get_mic(&mut self, message: &[u8], now: Time) -> Result<Vec<u8>, GssError> {
        self.in_time(now)?;
        Ok(self.checks.sending.wrap(&self.crypto.sha256(&[message]))?)
    }

    /// Whether `check` is the peer's for `message` (`GSS_VerifyMIC`). What is refused because it is not
    /// the peer's, or came before, changes nothing.
    ///
    /// # Errors
    /// As [`SecurityContext::unwrap`]; [`WrapError::Forged`] too for a check of another message.
    pub fn verify_mic(&mut self, message: &[u8], check: &[u8], now: Time) -> Result<(), GssError> {
        self.in_time(now)?;
        let hash = self.checks.open(check)?;
        if constant_time_eq(hash.expose(), &self.crypto.sha256(&[message])) {
            Ok(())
        } else {
            Err(WrapError::Forged.into())
        }
    }

    /// A key for a use of the caller's own, the same on both sides (`GSS_Pseudo_random`, RFC 4401).
    #[must_use]
    pub fn pseudo_random(&self, purpose: &[u8]) -> Secret<32> {
        self.crypto.derive(&self.exporter, label::EXPORTER, &[purpose])
    }

    /// Names, lifetime and flags (`GSS_Inquire_context`).
    #[must_use]
    pub fn inquire_context(&self, now: Time) -> ContextInfo {
        ContextInfo {
            initiator: self.agreed.initiator.clone(),
            acceptor: self.agreed.acceptor.clone(),
            session_id: self.agreed.session_id,
            lifetime_secs: self.agreed.expires.0.saturating_sub(now.0) / 1_000_000,
            locally_initiated: self.agreed.role == Role::Initiator,
            flags: Flags {
                in_order: self.delivery == Delivery::InOrder,
                channel_bound: self.agreed.channel_bound,
            },
        }
    }

    /// Everything that another process needs to carry on, sequence numbers included
    /// (`GSS_Export_sec_context`). Hand it on sealed, and once: two processes that wrap under one
    /// state break the key.
    #[must_use]
    pub fn export_sec_context(self) -> SecretBytes {
        let halves: Vec<SecretBytes> =
            self.messages.export().into_iter().chain(self.checks.export()).collect();
        let length: usize = halves.iter().map(|h| h.expose().len()).sum();
        SecretBytes::written(1024 + length, |w| {
            w.u8(STATE_VERSION);
            w.flag(self.agreed.role == Role::Initiator);
            w.flag(self.delivery == Delivery::InOrder);
            w.flag(self.agreed.channel_bound);
            w.text8(&self.agreed.initiator);
            w.text8(&self.agreed.acceptor);
            w.fixed(&self.agreed.session_id);
            self.agreed.expires.encode(w);
            w.fixed(self.exporter.expose());
            for half in &halves {
                w.bytes16(half.expose());
            }
        })
    }

    /// Carries on where [`SecurityContext::export_sec_context`] stopped
    /// (`GSS_Import_sec_context`).
    ///
    /// # Errors
    /// [`GssError::State`].
    pub fn import_sec_context(crypto: Crypto, state: &SecretBytes) -> Result<Self, GssError> {
        Self::read(crypto, &mut Reader::new(state.expose())).map_err(GssError::State)
    }

    fn read(crypto: Crypto, r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            STATE_VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let role = if r.flag()? { Role::Initiator } else { Role::Acceptor };
        let delivery = if r.flag()? { Delivery::InOrder } else { Delivery::Windowed };
        let channel_bound = r.flag()?;
        let agreed = Agreed {
            role,
            initiator: r.text8("initiator")?.to_owned(),
            acceptor: r.text8("acceptor")?.to_owned(),
            session_id: r.fixed()?,
            expires: Time::decode(r)?,
            channel_bound,
        };
        let exporter = Secret::decode(r)?;
        let (messages, checks) = (Protection::read(crypto, r)?, Protection::read(crypto, r)?);
        r.clone().finish()?;
        Ok(Self { crypto, agreed, delivery, exporter, messages, checks })
    }

    fn in_time(&self, now: Time) -> Result<(), GssError> {
        if now < self.agreed.expires { Ok(()) } else { Err(GssError::Expired) }
    }
}
