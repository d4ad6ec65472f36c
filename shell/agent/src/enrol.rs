//! Enrolment (B3–B7): from an invitation or a token to a token that is registered.
//!
//! ```text
//! link or token ── Hello, Offer ── certificates checked ── gateway shown ── questions ── PIN
//!     (the connection is closed while people think, and made anew)
//! ── Hello, Offer ── RegistrationRequest, Reply ── token file written ── Confirm, Done
//! ```
//! Trust starts from the issuer in the token or from its hash in the link's fragment; nothing that
//! the gateway says is believed before, and nothing is told to it.

use crate::connection::Connection;
use crate::dialogue::{Decision, Dialogue, GatewayInfo, PinPurpose, Step};
use crate::gateway::{Met, Trust, meet};
use crate::status::{Enrolled, SCHEMA};
use crate::token::{self, OpenToken, Replace};
use crate::{AgentError, Paths, UserConfig, clock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use symbolon_crypto::{GatewayName, IssuerFingerprint};
use symbolon_policy::{TemplateName, TokenClass};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{Pin, PinCost, Registration, Token, TokenError, UnlockedToken};
use symbolon_token::{
    AwaitDone, AwaitReply, Hello, InvitationLink, Registered, RegistrationRequest, RegistrationTemplate,
    ValidAnswers,
};
use symbolon_wire::{Decode, Encode, FrameKind, RefusalCode};

/// Where to enrol.
#[derive(Debug)]
pub enum EnrolTarget {
    /// An invitation link: address, gateway, root of trust and perhaps a code.
    Link(InvitationLink),
    /// A gateway, for which a token must be there as the root of trust.
    Gateway {
        /// `host:port`.
        address: String,
        /// Its name.
        name: GatewayName,
    },
}

impl EnrolTarget {
    /// Reads what a person gave: a link, or `host:port` of a gateway whose name is `host` unless
    /// another is given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`].
    pub fn parse(text: &str, name: Option<GatewayName>) -> Result<Self, AgentError> {
        if text.contains("://") {
            return Ok(Self::Link(InvitationLink::parse(text)?));
        }
        let form = || {
            AgentError::usage(format!("{text} is neither an invitation link nor host:port of a gateway"))
                .fix("copy the whole link, in quotation marks")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
        if port.parse::<u16>().is_err() || host.is_empty() {
            return Err(form());
        }
        let name = match name {
            Some(name) => name,
            None => GatewayName::parse(host).map_err(|_| {
                AgentError::usage(format!("{host} is not a gateway's name"))
                    .fix("name it with --gateway NAME")
            })?,
        };
        Ok(Self::Gateway { address: text.to_owned(), name })
    }
}

/// What to enrol, and how.
#[derive(Debug)]
pub struct EnrolOptions {
    /// Where the token shall be.
    pub paths: Paths,
    /// Where to enrol.
    pub target: EnrolTarget,
    /// A token to start with, blank or registered; the one in `paths` when absent.
    pub token: Option<PathBuf>,
    /// The registration template to fill in; the gateway's default when absent.
    pub template: Option<TemplateName>,
    /// All answers, when nobody shall be asked.
    pub answers: Option<BTreeMap<String, String>>,
    /// What the user calls this token, at most 64 bytes; the machine's name when absent.
    pub label: Option<String>,
    /// Whether another token that is in `paths` may be replaced.
    pub replace: Replace,
    /// What one guess at a new PIN shall cost.
    pub pin_cost: PinCost,
}

impl EnrolOptions {
    /// The defaults for a target.
    #[must_use]
    pub fn new(paths: Paths, target: EnrolTarget) -> Self {
        Self {
            paths,
            target,
            token: None,
            template: None,
            answers: None,
            label: None,
            replace: Replace::Keep,
            pin_cost: PinCost::default(),
        }
    }
}

/// Registers a token with a gateway and saves it.
///
/// # Errors
/// What went wrong and how to mend it. Until the reply of the gateway came, neither the token nor
/// the invitation is touched.
pub async fn enrol(options: EnrolOptions, dialogue: &mut dyn Dialogue) -> Result<Enrolled, AgentError> {
    let EnrolOptions { paths, target, token, template, answers, label, replace, pin_cost } = options;
    let config = UserConfig::load(&paths)?;
    let (address, name, in_link, code) = match target {
        EnrolTarget::Link(link) => (link.address, link.gateway, Some(link.issuer), link.code),
        EnrolTarget::Gateway { address, name } => (address, name, None, None),
    };
    let start = Start::choose(&paths, token, in_link, replace)?;
    let trust = start.trust(in_link)?;
    config.check_issuer(trust.fingerprint())?;

    dialogue.progress(Step::Connecting);
    let hello = Hello { template, registering: true };
    let met = meet(&mut Connection::dial(&address).await?, &hello, &trust, &name).await?;
    dialogue.progress(Step::Verified);
    if code.is_none() && !met.offer.open_registration {
        return Err(AgentError::denied(format!("{name} registers by invitation only"))
            .fix("ask for an invitation link (symbolon admin tokens invite) and enrol with it"));
    }
    let shown = GatewayInfo {
        name: met.verified.name().to_string(),
        issuer: met.issuer.fingerprint().to_string(),
        address: address.clone(),
        awaits_approval: code.is_none(),
    };
    if dialogue.gateway(&shown) == Decision::Stop {
        return Err(stopped());
    }
    let template = RegistrationTemplate::from_bytes(&met.offer.template)?;
    dialogue.template(&template);
    let answers = match &answers {
        Some(given) => template.validate(given).map_err(|e| wrong_answers(&e))?,
        None => ask(&template, dialogue)?,
    };
    dialogue.progress(Step::Sealing);
    let mut holder = start.open(&paths, &met, dialogue, pin_cost)?;

    dialogue.progress(Step::Registering);
    let request = RegistrationRequest {
        template: answers.template().clone(),
        answers: answers.to_bytes(),
        invitation: code,
        class: TokenClass::Software,
        label: token_label(label),
    };
    let exchange = Exchange { address: &address, name: &name, trust: &trust, suites: &config.suites };
    let (mut connection, met, registered, done, confirm) = exchange.run(&template, &request).await?;
    let Registered { key, grant } = registered;
    let enrolled = Enrolled {
        schema: SCHEMA,
        gateway: name.to_string(),
        address: address.clone(),
        issuer: met.issuer.fingerprint().to_string(),
        user: grant.user.to_string(),
        user_code: grant.user_code.to_string(),
        access_path: grant.access_path.to_string(),
        awaits_approval: grant.awaits_approval,
        token: paths.token.clone(),
    };
    holder.token_mut().put(Registration {
        gateway: name,
        address,
        key_set: met.offer.key_set,
        registration_id: grant.registration_id,
        user_code: grant.user_code,
        user: grant.user,
        access_path: grant.access_path,
        class: TokenClass::Software,
        registered: clock::now(),
        key,
        next_number: Some(grant.next_number),
    })?;
    // Before the confirmation, so that whatever the gateway keeps the client has.
    holder.save(&paths)?;
    dialogue.progress(Step::Saved);
    connection.send(FrameKind::RegistrationConfirm, confirm).await?;
    let answer = connection.expect(FrameKind::RegistrationDone).await.map_err(unconfirmed)?;
    done.finish(&answer)?;
    dialogue.progress(Step::Confirmed);
    Ok(enrolled)
}

fn stopped() -> AgentError {
    AgentError::failure("stopped at your request; nothing was sent and nothing was changed")
}

/// The token holds a registration that the gateway may not have kept.
fn unconfirmed(e: AgentError) -> AgentError {
    let fix = "try symbolon login: if it is denied, enrol again with the same invitation or a new one";
    AgentError { message: format!("the gateway did not confirm the registration: {}", e.message), ..e }
        .fix(fix)
}

fn wrong_answers(errors: &[symbolon_token::AnswerError]) -> AgentError {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    AgentError::usage(format!("the answers do not fit the template: {}", lines.join("; ")))
        .fix("correct the answers and enrol again")
}

/// Asks every question until its answer fits, and the misfits once more at the end.
fn ask(template: &RegistrationTemplate, dialogue: &mut dyn Dialogue) -> Result<ValidAnswers, AgentError> {
    let mut answers = BTreeMap::new();
    let mut fields: Vec<String> = template.fields().iter().map(|f| f.id.clone()).collect();
    loop {
        for id in &fields {
            let Some(field) = template.field(id) else { continue };
            loop {
                let answer = dialogue.answer(field)?;
                let problem = match answer.trim() {
                    "" if field.required => "an answer is required".to_owned(),
                    "" => {
                        answers.remove(id);
                        break;
                    }
                    text => match template.check(id, text) {
                        Ok(canonical) => {
                            answers.insert(id.clone(), canonical);
                            break;
                        }
                        Err(e) => e.problem.to_string(),
                    },
                };
                if dialogue.problem(&problem) == Decision::Stop {
                    return Err(stopped());
                }
            }
        }
        match template.validate(&answers) {
            Ok(valid) => return Ok(valid),
            Err(errors) => {
                for error in &errors {
                    if dialogue.problem(&error.to_string()) == Decision::Stop {
                        return Err(wrong_answers(&errors));
                    }
                }
                fields = errors.into_iter().map(|e| e.field).collect();
            }
        }
    }
}

/// The label as a registration may carry it: at most 64 bytes, no control characters.
fn token_label(label: Option<String>) -> String {
    let label = label.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let mut end = String::new();
    for c in label.chars().filter(|c| !c.is_control()) {
        if end.len() + c.len_utf8() > 64 {
            break;
        }
        end.push(c);
    }
    end
}

/// What an enrolment starts from.
enum Start {
    /// Nothing: the link is the root of trust, and a blank token is made.
    Nothing,
    /// A token that is not registered anywhere yet.
    Blank(Token),
    /// A token with registrations; it is opened with its PIN.
    Registered(Token),
}

impl Start {
    fn choose(
        paths: &Paths,
        file: Option<PathBuf>,
        in_link: Option<IssuerFingerprint>,
        replace: Replace,
    ) -> Result<Self, AgentError> {
        let held = match file {
            Some(file) => {
                let token = token::read(&file)?
                    .ok_or_else(|| AgentError::usage(format!("there is no file {}", file.display())))?;
                token::may_take_place(paths, &token, replace)?;
                if token.is_registered() && file != paths.token {
                    return Err(AgentError::usage("a token that is registered already is imported first")
                        .fix(format!("run symbolon token import {}, then enrol again", file.display())));
                }
                Some(token)
            }
            // With --replace and a link, whatever is there is given up: it may be locked or damaged.
            None if replace == Replace::Replace && in_link.is_some() => None,
            None => token::load_if_there(paths)?,
        };
        match held {
            None if in_link.is_none() => Err(AgentError::usage("there is no token to trust a gateway by")
                .fix("enrol with an invitation link, or give a token with --token FILE")),
            None => Ok(Self::Nothing),
            Some(token) if token.is_registered() => Ok(Self::Registered(token)),
            Some(token) => Ok(Self::Blank(token)),
        }
    }

    /// Token and link must name one issuer.
    fn trust(&self, in_link: Option<IssuerFingerprint>) -> Result<Trust, AgentError> {
        match (self, in_link) {
            (Self::Blank(token) | Self::Registered(token), Some(link)) if token.issuer().fingerprint() != link => {
                Err(AgentError::denied(format!(
                    "the invitation is from another issuer ({link}) than your token ({})",
                    token.issuer().fingerprint()
                ))
                .fix("a token serves the gateways of one issuer: use another --home for this one, or give your \
                      token up with --replace"))
            }
            (Self::Blank(token) | Self::Registered(token), _) => Ok(Trust::Issuer(token.issuer().clone())),
            (Self::Nothing, Some(link)) => Ok(Trust::Fingerprint(link)),
            (Self::Nothing, None) => Err(AgentError::usage("there is no token to trust a gateway by")),
        }
    }

    /// Asks for the PIN and gives the token that takes the registration.
    fn open(
        self,
        paths: &Paths,
        met: &Met,
        dialogue: &mut dyn Dialogue,
        cost: PinCost,
    ) -> Result<Holder, AgentError> {
        let purpose = if matches!(self, Self::Registered(_)) { PinPurpose::Unlock } else { PinPurpose::New };
        loop {
            let error = match Pin::new(dialogue.pin(purpose)?) {
                Err(e) => e,
                Ok(pin) => match &self {
                    Self::Nothing => {
                        let token = Token::blank(&mut SystemEntropy, met.issuer.clone());
                        return first_pin(token, &pin, cost);
                    }
                    Self::Blank(token) => {
                        let token = Token::from_file(crypto(), &token.to_file(crypto()))?;
                        return first_pin(token, &pin, cost);
                    }
                    Self::Registered(_) => match token::try_pin(paths, &pin)? {
                        Ok(open) => return Ok(Holder::Open(Box::new(open))),
                        Err(e) => e,
                    },
                },
            };
            let again = matches!(
                error,
                TokenError::WrongPin { .. } | TokenError::Wait { .. } | TokenError::PinLength
            );
            if !again || dialogue.problem(&error.to_string()) == Decision::Stop {
                return Err(error.into());
            }
        }
    }
}

fn first_pin(token: Token, pin: &Pin, cost: PinCost) -> Result<Holder, AgentError> {
    let token = UnlockedToken::first_pin(crypto(), &mut SystemEntropy, token, pin, cost)?;
    Ok(Holder::New(Box::new(token)))
}

/// The token that takes the registration.
enum Holder {
    New(Box<UnlockedToken>),
    Open(Box<OpenToken>),
}

impl Holder {
    fn token_mut(&mut self) -> &mut UnlockedToken {
        match self {
            Self::New(token) => token,
            Self::Open(open) => open.token_mut(),
        }
    }

    fn save(self, paths: &Paths) -> Result<(), AgentError> {
        match self {
            Self::New(token) => token::save(paths, *token).map(drop),
            Self::Open(mut open) => match open.save()? {
                token::Saved::Written => Ok(()),
                token::Saved::ChangedMeanwhile => Err(AgentError::failure(
                    "another program changed the token meanwhile; nothing was registered",
                )
                .fix("enrol again")),
            },
        }
    }
}

/// The registration itself, after everything was asked.
struct Exchange<'a> {
    address: &'a str,
    name: &'a GatewayName,
    trust: &'a Trust,
    suites: &'a [symbolon_crypto::Suite],
}

impl Exchange<'_> {
    async fn run(
        &self,
        template: &RegistrationTemplate,
        request: &RegistrationRequest,
    ) -> Result<(Connection, Met, Registered, AwaitDone, Vec<u8>), AgentError> {
        let mut once_more = true;
        loop {
            let mut connection = Connection::dial(self.address).await?;
            let hello = Hello { template: Some(request.template.clone()), registering: true };
            let met = meet(&mut connection, &hello, self.trust, self.name).await?;
            if met.offer.template != template.to_bytes() {
                return Err(AgentError::failure("the gateway's registration template changed meanwhile")
                    .fix("enrol again and answer the new questions"));
            }
            let (waiting, first) = AwaitReply::begin(
                crypto(),
                &mut SystemEntropy,
                &met.verified,
                self.suites,
                request,
                clock::now(),
            )?;
            let first = (FrameKind::RegistrationRequest, first);
            let cookie = |cookie| waiting.with_cookie(cookie);
            match connection.ask(first, cookie, FrameKind::RegistrationReply).await? {
                Ok(reply) => {
                    let (registered, done, confirm) = waiting.finish(&reply)?;
                    return Ok((connection, met, registered, done, confirm));
                }
                // The gateway changed its context key between offer and request, or started anew.
                Err(refusal) if refusal.code == RefusalCode::UnknownKey && once_more => once_more = false,
                Err(refusal) => return Err(AgentError::refused(&refusal, clock::now())),
            }
        }
    }
}
