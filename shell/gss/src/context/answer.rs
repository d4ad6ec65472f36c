//! The acceptor's side of a context.

use super::{Channel, Context, State, request};
use crate::acceptors::Service;
use crate::credential::Answering;
use crate::status::{
    BAD_BINDINGS, BAD_NAME, DEFECTIVE_CREDENTIAL, DEFECTIVE_TOKEN, FAILURE, Failure, NO_CONTEXT, NO_CRED,
    Reason,
};
use crate::token::{Options, Token};
use crate::{Credential, Guesses, Name, ReplayCache, Usage, Users};
use std::sync::OnceLock;
use symbolon_context::gss::{self, Acceptor, Claim, Step};
use symbolon_context::{Grant, PasswordCheck};
use symbolon_crypto::{ContextKeyId, Entropy, Envelope, GatewayName, KemPrivateKey, TokenKind, TokenProof};
use symbolon_policy::CanonName;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_wire::{Decode, Time};

impl Context {
    /// Answers an initiator's first token; the context is open, or its keys were asked for.
    ///
    /// # Errors
    /// [`Failure`]. The peer should be told no more than that it was refused.
    pub fn accept(
        credential: Option<&Credential>,
        token: &[u8],
        channel: Channel,
        now: Time,
    ) -> Result<(Self, Vec<u8>), Failure> {
        let default;
        let credential = match credential {
            Some(given) => given,
            None => {
                default = Credential::acquire(None, None, Usage::Accept)?;
                &default
            }
        };
        let answering = credential.answering()?;
        match Token::parse(token).map_err(|_| Failure::plain(DEFECTIVE_TOKEN))? {
            Token::Hello(name) => {
                let service = answering.services.iter().find(|s| *s.certified() == name);
                offer(service.ok_or(Failure::new(BAD_NAME, Reason::NoServiceKeys))?)
            }
            Token::First(options, message) => open(answering, options, &message, channel, now),
            _ => Err(Failure::new(DEFECTIVE_TOKEN, Reason::UnexpectedToken)),
        }
    }

    /// Answers the token after an offer.
    ///
    /// # Errors
    /// [`Failure`]: as [`Context::accept`], and for one who asks for keys again.
    pub fn accept_next(
        &mut self,
        credential: Option<&Credential>,
        token: &[u8],
        channel: Channel,
        now: Time,
    ) -> Result<Vec<u8>, Failure> {
        if !matches!(std::mem::replace(&mut self.state, State::Dead), State::Offered) {
            return Err(Failure::plain(NO_CONTEXT));
        }
        let (next, answer) = Self::accept(credential, token, channel, now)?;
        if !next.is_open() {
            return Err(Failure::new(NO_CRED, Reason::UnknownKey));
        }
        *self = next;
        Ok(answer)
    }
}

fn offer(service: &Service) -> Result<(Context, Vec<u8>), Failure> {
    let keys = service.offer().ok_or(Failure::new(NO_CRED, Reason::NoServiceKeys))?;
    let context = Context {
        state: State::Offered,
        initiator: false,
        source: None,
        target: Name::from_certified(service.certified()),
        options: Options::default(),
        channel_bound: false,
    };
    Ok((context, Token::Offer(keys).to_bytes()))
}

fn open(
    answering: &Answering,
    options: Options,
    message: &[u8],
    channel: Channel,
    now: Time,
) -> Result<(Context, Vec<u8>), Failure> {
    // A program that says nothing of channels, on a channel that the peer names, is as it was before
    // there were any (RFC 4121 §4.1.1.2 leaves it so); one that names its channel means it.
    if channel.is_some_and(|ours| ours != options.channel) {
        return Err(Failure::plain(BAD_BINDINGS));
    }
    let id = Envelope::from_bytes(message).map_err(|_| Failure::plain(DEFECTIVE_TOKEN))?.key();
    let found = answering.services.iter().find_map(|s| Some((s, s.key(&id).filter(|k| now <= k.until)?)));
    let Some((service, file)) = found else {
        // Ours alone can be meant when there is no other.
        return match &answering.services[..] {
            [only] => offer(only),
            _ => Err(Failure::new(NO_CRED, Reason::UnknownKey)),
        };
    };
    let mut desk = Desk {
        name: service.certified(),
        id,
        key: file.key().map_err(|_| Failure::new(NO_CRED, Reason::NoServiceKeys))?,
        key_set: file.key_set,
        replay: service.replay(),
        guesses: service.guesses(),
        wrong_allowed: answering.config.wrong_passwords,
        users: Users::read(&answering.config.users).map_err(|_| Failure::new(FAILURE, Reason::UserList))?,
        lifetime_secs: answering.config.lifetime_secs,
        now,
        fault: None,
    };
    // Whatever the service has a key for, it meant to answer in.
    let request = request(options, &[file.suite]);
    let step = gss::accept_sec_context(crypto(), &mut SystemEntropy, &mut desk, &request, message, now);
    let step = match desk.fault {
        Some(failure) => return Err(failure),
        None => step?,
    };
    let Step::Complete(opened, second) = step else {
        return Err(Failure::new(FAILURE, Reason::Internal));
    };
    let mut context = Context {
        state: State::Dead,
        initiator: false,
        source: None,
        target: None,
        options,
        channel_bound: channel.is_some(),
    };
    context.opened(opened, now);
    Ok((context, Token::Second(second).to_bytes()))
}

/// What one first message meets.
struct Desk<'a> {
    name: &'a GatewayName,
    id: ContextKeyId,
    key: KemPrivateKey,
    key_set: [u8; 32],
    replay: ReplayCache,
    guesses: Guesses,
    wrong_allowed: u32,
    users: Users,
    lifetime_secs: u32,
    now: Time,
    /// Why it was refused, where the core asked and cannot know.
    fault: Option<Failure>,
}

/// Made once in a process, since it costs as much as a check.
static CHECK: OnceLock<Option<PasswordCheck>> = OnceLock::new();

impl Acceptor for Desk<'_> {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn context_key(&self, id: &ContextKeyId) -> Option<(&KemPrivateKey, &[u8; 32])> {
        (*id == self.id).then_some((&self.key, &self.key_set))
    }

    fn remember(&mut self, first_message: &[u8; 32], until: Time) -> bool {
        self.replay.remember(first_message, until, self.now).unwrap_or_else(|_| {
            self.fault = Some(Failure::new(FAILURE, Reason::ReplayCache));
            false
        })
    }

    fn check(&mut self, claim: &Claim<'_>) -> Option<(Box<dyn TokenProof>, Grant)> {
        if claim.kind != TokenKind::Password {
            return None;
        }
        let check = CHECK.get_or_init(|| PasswordCheck::new(&mut SystemEntropy).ok()).as_ref()?;
        let user = PasswordCheck::claimed_name(claim.token).ok()?.ok();
        // Whatever is no name counts as one.
        let counted = user.as_ref().map_or("", CanonName::as_str).as_bytes();
        let guess = match self.guesses.begin(counted, self.wrong_allowed, self.now) {
            Ok(Some(guess)) => guess,
            Ok(None) => return self.refuse(DEFECTIVE_CREDENTIAL, Reason::TooManyGuesses),
            Err(_) => return self.refuse(FAILURE, Reason::GuessCount),
        };
        let verifier = user.as_ref().and_then(|u| self.users.verifier(u));
        let Ok(proof) = check.verify(claim.token, verifier.as_ref(), claim.binding) else {
            return match guess.was_wrong() {
                Ok(()) => None,
                Err(_) => self.refuse(FAILURE, Reason::GuessCount),
            };
        };
        // Should it fail, one too many is counted, and that is all.
        drop(guess.was_right());
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let grant = Grant {
            session_id: entropy.number(),
            lifetime_secs: self.lifetime_secs,
            subject: user?.as_str().to_owned(),
        };
        Some((Box::new(proof), grant))
    }
}

impl Desk<'_> {
    fn refuse<T>(&mut self, major: u32, reason: Reason) -> Option<T> {
        self.fault = Some(Failure::new(major, reason));
        None
    }
}
