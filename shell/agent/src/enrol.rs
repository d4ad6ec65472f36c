//! Enrolment (B3–B7): from an invitation or a token to a token that is registered.
//!
//! ```text
//! link or token ── Hello, Offer ── certificates checked ── gateway shown ── questions ── PIN
//!     (the connection is closed while people think, and made anew)
//! ── Hello, Offer ── RegistrationRequest, Reply ── token file written ── Confirm, Done
//! ```
//! Trust starts from the issuer in the token or from its hash in the link's fragment; nothing that
//! the gateway says is believed before, and nothing is told to it.

mod place;
mod questions;
mod start;

use crate::connection::Connection;
use crate::dialogue::{Decision, Dialogue, GatewayInfo, Step};
use crate::directory::Directory;
use crate::files::check_room;
use crate::gateway::{Met, Trust, meet};
use crate::status::{Enrolled, SCHEMA};
use crate::token::Replace;
use crate::{AgentError, Paths, UserConfig, clock};
use place::Place;
use questions::{ask, wrong_answers};
use start::Start;
use std::collections::BTreeMap;
use std::path::PathBuf;
use symbolon_crypto::GatewayName;
use symbolon_hardware::Pkcs11Uri;
use symbolon_policy::TemplateName;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{PinCost, Registration};
use symbolon_token::{
    AwaitDone, AwaitReply, Hello, InvitationLink, Registered, RegistrationRequest, RegistrationTemplate,
};
use symbolon_wire::{Decode, Encode, FrameKind, RefusalCode};

/// More than a token takes that is registered with a dozen gateways, in bytes.
const TOKEN_ROOM: usize = 64 * 1024;

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
    /// The registration template to fill in; the invitation's or the gateway's own when absent.
    pub template: Option<TemplateName>,
    /// All answers, when nobody shall be asked.
    pub answers: Option<BTreeMap<String, String>>,
    /// What the user calls this token, at most 64 bytes; the machine's name when absent.
    pub label: Option<String>,
    /// Whether another token that is in `paths` may be replaced.
    pub replace: Replace,
    /// What one guess at a new PIN shall cost.
    pub pin_cost: PinCost,
    /// The device that shall hold the keys of a new token; they are in its file when absent.
    pub device: Option<Pkcs11Uri>,
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
            device: None,
        }
    }
}

/// Registers a token with a gateway and saves it.
///
/// # Errors
/// What went wrong and how to mend it. Until the reply of the gateway came, neither the token nor
/// the invitation is touched.
pub async fn enrol(options: EnrolOptions, dialogue: &mut dyn Dialogue) -> Result<Enrolled, AgentError> {
    let EnrolOptions { paths, target, token, template, answers, label, replace, pin_cost, device } = options;
    let config = UserConfig::load(&paths)?;
    let (address, name, in_link, code, template) = match target {
        EnrolTarget::Link(link) => {
            let template = one_template(template, link.template)?;
            (link.address, link.gateway, Some(link.issuer), link.code, template)
        }
        EnrolTarget::Gateway { address, name } => (address, name, None, None, template),
    };
    let start = Start::choose(&paths, token, in_link, replace)?;
    let place = Place::choose(&start, device.as_ref(), &config)?;
    let class = place.class();
    let trust = start.trust(in_link, &paths, Directory::of(&config)?)?;
    config.check_issuer(trust.named())?;

    dialogue.progress(Step::Connecting);
    let hello = Hello { template, registering: true };
    let met = async { meet(&mut Connection::dial(&address).await?, &hello, &trust, &name).await };
    let met = met.await;
    if let Some(link) = in_link {
        trust.check_link(link)?;
    }
    let met = met?;
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
    let mut holder = start.open(&paths, &met, place, dialogue, pin_cost)?;
    // From the request on the invitation is bound to this attempt: a full disk is noticed before.
    check_room(&paths.token, TOKEN_ROOM)?;

    dialogue.progress(Step::Registering);
    let request = RegistrationRequest {
        template: answers.template().clone(),
        answers: answers.to_bytes(),
        invitation: code,
        class,
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
    let label = format!("{} at {name}", grant.user);
    let key = holder.put_key(grant.registration_id, &label, key)?;
    holder.put(Registration {
        gateway: name,
        address,
        key_set: met.offer.key_set,
        registration_id: grant.registration_id,
        user_code: grant.user_code,
        user: grant.user,
        access_path: grant.access_path,
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

/// The template that was asked for, which cannot be another than the invitation's.
fn one_template(
    asked: Option<TemplateName>,
    in_link: Option<TemplateName>,
) -> Result<Option<TemplateName>, AgentError> {
    match (asked, in_link) {
        (Some(asked), Some(link)) if asked != link => {
            Err(AgentError::usage(format!("the invitation is for the template {link}, not for {asked}"))
                .fix("leave --template out, or ask for another invitation"))
        }
        (asked, in_link) => Ok(asked.or(in_link)),
    }
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
