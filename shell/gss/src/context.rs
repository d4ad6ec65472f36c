//! A context, from its first token to its last message.
//!
//! ```text
//! initiate ─ First ──> accept            acceptor: complete, until then kept from replays by the cache
//! step     <─ Second ─┘                  initiator: complete
//!
//! initiate ─ Hello ──> accept            no current key set at hand …
//! step     <─ Offer ──┘ (Offered)
//!          ── First ──> accept
//! ```
//! An acceptor that lacks the key of a first message answers with an offer, too, so that a rotation
//! costs a round trip at most.

mod answer;

use crate::credential::{Login, initiator_config};
use crate::key_sets::Trust;
use crate::status::{BAD_NAME, BAD_QOP, DEFECTIVE_TOKEN, FAILURE, Failure, NO_CONTEXT, Reason};
use crate::token::{ChannelHash, Options, Token};
use crate::{Credential, InitiatorConfig, Name, Usage};
use symbolon_context::PasswordToken;
use symbolon_context::gss::{
    self, Confirmation, ContextInfo, Delivery, Initiating, Request, SecurityContext, Step,
};
use symbolon_crypto::{GatewayName, SecretBytes, Suite, VerifiedKeySet};
use symbolon_policy::{CanonName, PasswordGateways, PasswordPermitted};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_wire::Time;

/// Version of an exported context.
const STATE_VERSION: u8 = 1;

/// What the caller has of the channel under the context (RFC 5056).
pub type Channel = Option<ChannelHash>;

/// What an initiator's program asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Messages come in order; otherwise they may come late or never, but once.
    pub in_order: bool,
}

/// A context of either side.
#[derive(Debug)]
pub struct Context {
    state: State,
    initiator: bool,
    source: Option<Name>,
    target: Option<Name>,
    options: Options,
    channel_bound: bool,
}

#[derive(Debug)]
enum State {
    /// An initiator that asked for keys.
    AwaitOffer(Box<Asking>),
    /// An initiator that sent its first message; it may still be offered other keys, once.
    AwaitSecond(Box<Initiating<PasswordToken>>, Option<Box<Asking>>),
    /// An acceptor that showed its keys.
    Offered,
    Open(Box<SecurityContext>),
    /// A step failed.
    Dead,
}

/// What an initiator needs to make a first message.
struct Asking {
    name: GatewayName,
    trust: Trust,
    login: Login,
    permitted: PasswordPermitted,
    suites: Vec<Suite>,
    options: Options,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asking({})", self.name)
    }
}

impl Context {
    /// Begins a context with `target`; the token is for it.
    ///
    /// # Errors
    /// [`Failure`]: no credential, no configuration, not a service, or one that may not be told a
    /// password.
    pub fn initiate(
        credential: Option<&Credential>,
        target: &Name,
        wanted: Wanted,
        channel: Channel,
        now: Time,
    ) -> Result<(Self, Vec<u8>), Failure> {
        let default;
        let credential = match credential {
            Some(given) => given,
            None => {
                default = Credential::acquire(None, None, Usage::Initiate)?;
                &default
            }
        };
        Self::initiate_by(initiator_config()?, credential, target, wanted, channel, now)
    }

    /// The same by a configuration that the caller has.
    ///
    /// # Errors
    /// As [`Context::initiate`].
    pub fn initiate_by(
        config: InitiatorConfig,
        credential: &Credential,
        target: &Name,
        wanted: Wanted,
        channel: Channel,
        now: Time,
    ) -> Result<(Self, Vec<u8>), Failure> {
        let login = credential.login()?.duplicate();
        let name = target.certified().ok_or(Failure::plain(BAD_NAME))?;
        let services = config.passwords_to.iter().filter_map(|s| Name::service(s).ok()?.certified());
        let permitted = PasswordGateways::new(services.map(|n| n.as_str().to_owned())).permit(name.as_str());
        let permitted = permitted.ok_or(Failure::new(FAILURE, Reason::PasswordNotPermitted))?;
        let trust = Trust::new(&config)?;
        let options = Options { in_order: wanted.in_order, channel: channel.unwrap_or_default() };
        let mut context = Self {
            state: State::Dead,
            initiator: true,
            source: Some(Name::User(login.user.clone())),
            target: Some(target.clone()),
            options,
            channel_bound: false,
        };
        let set = config.key_sets.as_deref().and_then(|d| trust.published(d, &name, now).ok());
        let asking = Box::new(Asking { name, trust, login, permitted, suites: config.suites, options });
        let token = match set {
            Some(set) => {
                let (waiting, token) = asking.first(&set, now)?;
                context.state = State::AwaitSecond(waiting, Some(asking));
                token
            }
            None => {
                let hello = Token::Hello(asking.name.clone());
                context.state = State::AwaitOffer(asking);
                hello
            }
        };
        Ok((context, token.to_bytes()))
    }

    /// Takes the acceptor's token; the context is then open or another token is to be sent.
    ///
    /// # Errors
    /// [`Failure`]; the context is of no use then.
    pub fn step(&mut self, token: &[u8], now: Time) -> Result<Vec<u8>, Failure> {
        let state = std::mem::replace(&mut self.state, State::Dead);
        let unexpected = Failure::new(DEFECTIVE_TOKEN, Reason::UnexpectedToken);
        let token = Token::parse(token).map_err(|_| Failure::plain(DEFECTIVE_TOKEN));
        match (state, token?) {
            (State::AwaitOffer(asking) | State::AwaitSecond(_, Some(asking)), Token::Offer(set)) => {
                let set = asking.trust.verify(&set, &asking.name, now)?;
                let (waiting, token) = asking.first(&set, now)?;
                self.state = State::AwaitSecond(waiting, None);
                Ok(token.to_bytes())
            }
            (State::AwaitSecond(waiting, _), Token::Second(second)) => match waiting.step(&second, now)? {
                Step::Complete(context, last) => {
                    self.opened(context, now);
                    Ok(last)
                }
                Step::Continue(..) => Err(unexpected),
            },
            _ => Err(unexpected),
        }
    }

    fn opened(&mut self, context: Box<SecurityContext>, now: Time) {
        let info = context.inquire_context(now);
        self.source = CanonName::parse(&info.initiator).ok().map(Name::User);
        self.target = GatewayName::parse(&info.acceptor).ok().and_then(|n| Name::from_certified(&n));
        self.state = State::Open(context);
    }

    /// Whether messages can be exchanged.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether this side began it.
    #[must_use]
    pub const fn is_initiator(&self) -> bool {
        self.initiator
    }

    /// Who asked, as far as it is known.
    #[must_use]
    pub const fn source(&self) -> Option<&Name> {
        self.source.as_ref()
    }

    /// Who answers.
    #[must_use]
    pub const fn target(&self) -> Option<&Name> {
        self.target.as_ref()
    }

    /// Whether messages come in order.
    #[must_use]
    pub const fn in_order(&self) -> bool {
        self.options.in_order
    }

    /// Whether both sides were found to be on the same channel.
    #[must_use]
    pub const fn channel_bound(&self) -> bool {
        self.channel_bound
    }

    /// How long it can still be used, in seconds.
    ///
    /// # Errors
    /// [`NO_CONTEXT`] before it is open.
    pub fn lifetime_secs(&self, now: Time) -> Result<u64, Failure> {
        Ok(self.info(now)?.lifetime_secs)
    }

    fn info(&self, now: Time) -> Result<ContextInfo, Failure> {
        match &self.state {
            State::Open(context) => Ok(context.inquire_context(now)),
            _ => Err(Failure::plain(NO_CONTEXT)),
        }
    }

    fn open(&mut self) -> Result<&mut SecurityContext, Failure> {
        match &mut self.state {
            State::Open(context) => Ok(context),
            _ => Err(Failure::plain(NO_CONTEXT)),
        }
    }

    /// `GSS_Wrap`; always encrypted.
    ///
    /// # Errors
    /// [`NO_CONTEXT`], or as [`SecurityContext::wrap`].
    pub fn wrap(&mut self, message: &[u8], now: Time) -> Result<Vec<u8>, Failure> {
        Ok(self.open()?.wrap(message, now)?)
    }

    /// `GSS_Unwrap`.
    ///
    /// # Errors
    /// [`NO_CONTEXT`], or as [`SecurityContext::unwrap`].
    pub fn unwrap(&mut self, message: &[u8], now: Time) -> Result<SecretBytes, Failure> {
        Ok(self.open()?.unwrap(message, now)?)
    }

    /// `GSS_GetMIC`.
    ///
    /// # Errors
    /// [`NO_CONTEXT`], or as [`SecurityContext::get_mic`].
    pub fn get_mic(&mut self, message: &[u8], now: Time) -> Result<Vec<u8>, Failure> {
        Ok(self.open()?.get_mic(message, now)?)
    }

    /// `GSS_VerifyMIC`.
    ///
    /// # Errors
    /// [`NO_CONTEXT`], or as [`SecurityContext::verify_mic`].
    pub fn verify_mic(&mut self, message: &[u8], check: &[u8], now: Time) -> Result<(), Failure> {
        Ok(self.open()?.verify_mic(message, check, now)?)
    }

    /// `GSS_Pseudo_random` (RFC 4401): as many bytes as wanted, the same on both sides.
    ///
    /// # Errors
    /// [`NO_CONTEXT`] before it is open, [`FAILURE`] for more than a megabyte, [`BAD_QOP`] for a kind of
    /// key that RFC 4401 does not have.
    pub fn pseudo_random(&mut self, key: u32, input: &[u8], length: usize) -> Result<SecretBytes, Failure> {
        const MAX: usize = 1 << 20;
        let context = self.open()?;
        if key > 1 {
            return Err(Failure::plain(BAD_QOP));
        }
        if length > MAX {
            return Err(Failure::new(FAILURE, Reason::TooLong));
        }
        let mut purpose = [b"gss prf", &key.to_be_bytes()[..], &[0; 4], input].concat();
        let mut out = Vec::with_capacity(length.next_multiple_of(32));
        for block in 0..length.div_ceil(32) as u32 {
            purpose[11..15].copy_from_slice(&block.to_be_bytes());
            out.extend_from_slice(context.pseudo_random(&purpose).expose());
        }
        out.truncate(length);
        Ok(SecretBytes::new(out))
    }

    /// Everything that another process needs to carry on; this one is of no use afterwards.
    ///
    /// # Errors
    /// [`NO_CONTEXT`] before it is open.
    pub fn export(&mut self) -> Result<SecretBytes, Failure> {
        match std::mem::replace(&mut self.state, State::Dead) {
            State::Open(context) => {
                let core = context.export_sec_context();
                Ok(SecretBytes::written(64 + core.expose().len(), |w| {
                    w.u8(STATE_VERSION);
                    w.flag(self.channel_bound);
                    w.fixed(core.expose());
                }))
            }
            state => {
                self.state = state;
                Err(Failure::plain(NO_CONTEXT))
            }
        }
    }

    /// Carries on where [`Context::export`] stopped.
    ///
    /// # Errors
    /// [`DEFECTIVE_TOKEN`].
    pub fn import(state: &[u8], now: Time) -> Result<Self, Failure> {
        let bad = Failure::plain(DEFECTIVE_TOKEN);
        let (channel_bound, core) = match state {
            [STATE_VERSION, bound @ (0 | 1), core @ ..] => (*bound == 1, core),
            _ => return Err(bad),
        };
        let core = SecretBytes::new(core.to_vec());
        let opened = SecurityContext::import_sec_context(crypto(), &core).map_err(|_| bad)?;
        let info = opened.inquire_context(now);
        let mut context = Self {
            state: State::Dead,
            initiator: info.locally_initiated,
            source: None,
            target: None,
            options: Options { in_order: info.flags.in_order, channel: [0; 32] },
            channel_bound,
        };
        context.opened(Box::new(opened), now);
        if context.source.is_none() || context.target.is_none() {
            return Err(bad);
        }
        Ok(context)
    }
}

impl Asking {
    fn first(
        &self,
        set: &VerifiedKeySet,
        now: Time,
    ) -> Result<(Box<Initiating<PasswordToken>>, Token), Failure> {
        let login = self.login.duplicate();
        let password = PasswordToken::new(login.user, login.password, set, &self.permitted)
            .map_err(|_| Failure::new(FAILURE, Reason::PasswordNotPermitted))?;
        let request = request(self.options, &self.suites);
        match gss::init_sec_context(crypto(), &mut SystemEntropy, set, password, &request, now)? {
            Step::Continue(waiting, message) => Ok((Box::new(waiting), Token::First(self.options, message))),
            Step::Complete(..) => Err(Failure::new(FAILURE, Reason::Internal)),
        }
    }
}

fn request(options: Options, suites: &[Suite]) -> Request {
    Request {
        suites: suites.to_vec(),
        channel_bindings: options.bindings(crypto()),
        delivery: if options.in_order { Delivery::InOrder } else { Delivery::Windowed },
        confirmation: Confirmation::ByFirstUse,
    }
}
