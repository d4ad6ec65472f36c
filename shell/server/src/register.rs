//! The gateway's side of a registration (B3–B7).

use crate::clock::now;
use crate::connection::Connection;
use crate::draw::draw;
use crate::gateway::Opening;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use std::collections::BTreeMap;
use symbolon_crypto::{Purpose, SecretBytes};
use symbolon_policy::{CanonName, Standing, TemplateName, UserCode};
use symbolon_provider::SystemEntropy;
use symbolon_store::{
    Actor, CodeHash, InvitationRefusal, NewRegistration, NewUser, RegistrationFor, RegistrationId,
    StoreError, User,
};
use symbolon_token::{
    Answers, FreshRequest, Hello, Offer, RegistrationGrant, RegistrationOpened, RegistrationTemplate,
    ValidAnswers,
};
use symbolon_wire::{Decode, Encode, FrameKind, RefusalCode, Time};

impl Shared {
    /// Answers a hello.
    pub(crate) async fn offer(&self, hello: &Hello) -> Result<Offer, Refused> {
        let template = if hello.registering {
            self.template(hello.template.as_ref()).await?.to_bytes()
        } else {
            Vec::new()
        };
        let now = now();
        let offer = Offer {
            key_set: self.gateway.key_set(),
            number: self.gateway.number(now),
            time: now,
            template,
            open_registration: self.config.open_registration,
            issuer_change: Vec::new(),
        };
        // Whoever has not heard of the issuer yet follows it before it signs in.
        Ok(offer.with_change(&self.issuer_change_to_show()))
    }

    async fn template(&self, name: Option<&TemplateName>) -> Result<RegistrationTemplate, Refused> {
        let wanted = match name {
            Some(name) => name.clone(),
            None => self.default_template.clone(),
        };
        match self.store.template(&wanted).await {
            Ok(template) => RegistrationTemplate::from_toml(&template.body)
                .map_err(|e| Refused::new(RefusalCode::Internal, format!("template {wanted}: {e}"))),
            Err(StoreError::NotFound { .. }) => {
                Err(Refused::new(RefusalCode::Answers, format!("no registration template {wanted}")))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Registers the token of whoever sent `request`.
    pub(crate) async fn register(
        &self,
        connection: &mut Connection,
        mut request: Vec<u8>,
    ) -> Result<(), Ended> {
        let content = loop {
            match self.gateway.open(&request, Purpose::Registration, connection.source(), now())? {
                Opening::Content(content) => break content,
                Opening::Retry(cookie) => {
                    connection.send(FrameKind::Retry, cookie.to_vec()).await?;
                    request = connection.expect(FrameKind::RegistrationRequest).await?;
                }
            }
        };
        let opened = RegistrationOpened::read(self.gateway.crypto, content, now()).map_err(Refused::from)?;
        let absent = self.remember(opened.replay_key(), opened.remember_until()).await?;
        let fresh = opened.first_time(absent, now()).map_err(Refused::from)?;
        let plan = self.plan(&fresh).await?;
        let grant = RegistrationGrant {
            registration_id: draw(),
            user_code: plan.code.clone(),
            user: plan.name.clone(),
            access_path: plan.path.clone(),
            awaits_approval: plan.standing == Standing::Pending,
            next_number: self.gateway.number(now()),
        };
        let (class, label) = (fresh.request().class, fresh.request().label.clone());
        let (key, reply, waiting) = fresh.accept(&mut SystemEntropy, &grant).map_err(Refused::from)?;
        let actor = Actor::user(plan.name.as_str());
        let id = RegistrationId(grant.registration_id);
        let new = NewRegistration {
            id,
            user: plan.user,
            ssk: key.secret().duplicate(),
            class,
            label,
            invitation: plan.invitation,
        };
        self.store.begin_registration(&actor, &new, now()).await?;
        drop(new);
        connection.send(FrameKind::RegistrationReply, reply).await?;
        let confirmation = connection.expect(FrameKind::RegistrationConfirm).await?;
        let done = waiting.confirm(&confirmation).map_err(Refused::from)?;
        let user = self.store.confirm_registration(&actor, id, now()).await?;
        tracing::info!(user = %user.subject.name, code = %user.code, registration = %id, source = %connection.source(),
            standing = ?user.subject.standing, "token registered");
        self.review().await.map_err(Refused::from)?;
        connection.send(FrameKind::RegistrationDone, done).await?;
        Ok(())
    }

    /// Whether a digest was never seen before. "Unknown" is never "yes".
    pub(crate) async fn remember(&self, digest: &[u8; 32], until: Time) -> Result<bool, Refused> {
        use symbolon_store::HotStore as _;
        let key = symbolon_store::ReplayKey(*digest);
        Ok(self.store.hot().put_if_absent(key, until, now()).await?)
    }

    /// Decides what a request leads to, before anything is written.
    async fn plan(&self, fresh: &FreshRequest) -> Result<Plan, Refused> {
        let request = fresh.request();
        let code_hash = request.invitation.as_ref().map(|c| CodeHash(c.hash(self.gateway.crypto)));
        // Whoever has no valid invitation learns nothing about names or templates.
        let terms = match code_hash {
            Some(hash) => match self.store.invitation(hash).await {
                Ok(invitation) => {
                    use symbolon_store::InvitationState as State;
                    let refusal = match invitation.state {
                        State::Consumed => Some(InvitationRefusal::Consumed),
                        State::Revoked => Some(InvitationRefusal::Revoked),
                        State::Open | State::Claimed => {
                            (now() >= invitation.terms.expires).then_some(InvitationRefusal::Expired)
                        }
                    };
                    if let Some(refusal) = refusal {
                        return Err(StoreError::Invitation(refusal).into());
                    }
                    Some(invitation.terms)
                }
                Err(StoreError::NotFound { .. }) => {
                    return Err(StoreError::Invitation(InvitationRefusal::Unknown).into());
                }
                Err(e) => return Err(e.into()),
            },
            None if self.config.open_registration => None,
            None => {
                return Err(Refused::new(
                    RefusalCode::Invitation,
                    "no invitation, and registration is not open",
                ));
            }
        };
        if let Some(template) = terms.as_ref().and_then(|t| t.template.as_ref())
            && *template != request.template
        {
            // Whoever holds the invitation may know, and is asked the right questions next time.
            let text = format!("the invitation is for the template {template}: --template {template}");
            return Err(Refused { told: text.clone(), ..Refused::new(RefusalCode::Answers, text) });
        }
        let template = self.template(Some(&request.template)).await?;
        let answers = valid_answers(&template, &request.answers)?;
        let name = answers.name().clone();
        if let Some(for_user) = terms.as_ref().and_then(|t| t.for_user.as_ref())
            && *for_user != name
        {
            return Err(StoreError::Invitation(InvitationRefusal::ForAnotherUser).into());
        }
        let invited_by_name = terms.as_ref().is_some_and(|t| t.for_user.is_some());
        let existing = match self.store.user_by_name(&name).await {
            Ok(user) if invited_by_name => Some(user),
            Ok(_) => return Err(Refused::new(RefusalCode::NameTaken, format!("{name} exists"))),
            Err(StoreError::NotFound { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        let groups = terms.as_ref().map(|t| t.groups.clone()).unwrap_or_default();
        let standing = if terms.is_some() { Standing::Active } else { Standing::Pending };
        Ok(match existing {
            Some(user) => Plan::for_existing(user, code_hash),
            None => {
                let code = self.user_code(&name);
                let new = NewUser {
                    name: name.clone(),
                    display: name.to_string(),
                    code: code.clone(),
                    path: answers.path().clone(),
                    standing,
                    groups,
                    answers: Some(SecretBytes::new(answers.to_bytes())),
                };
                let path = answers.path().clone();
                Plan { name, code, path, standing, user: RegistrationFor::New(new), invitation: code_hash }
            }
        })
    }

    /// The user identification code, generated from the user's name (B6): readable in front, unique
    /// and not to be guessed behind.
    pub(crate) fn user_code(&self, name: &CanonName) -> UserCode {
        let mac = self.gateway.crypto.hmac_sha256(self.code_key.expose(), &[name.as_str().as_bytes()]);
        let front: String = name.as_str().chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        let front = if front.is_empty() { "user".to_owned() } else { front };
        let behind = hex::encode(&mac[..10]);
        UserCode::parse(&format!("{front}-{behind}")).expect("letters, digits and a hyphen, 22 to 45 of them")
    }
}

/// What a registration leads to.
struct Plan {
    name: CanonName,
    code: UserCode,
    path: symbolon_policy::AccessPath,
    standing: Standing,
    user: RegistrationFor,
    invitation: Option<CodeHash>,
}

impl Plan {
    fn for_existing(user: User, invitation: Option<CodeHash>) -> Self {
        Self {
            name: user.subject.name.clone(),
            code: user.code.clone(),
            path: user.subject.path.clone(),
            standing: user.subject.standing,
            user: RegistrationFor::Existing(user.id),
            invitation,
        }
    }
}

fn valid_answers(template: &RegistrationTemplate, bytes: &[u8]) -> Result<ValidAnswers, Refused> {
    let Answers(answers): Answers =
        Answers::from_bytes(bytes).map_err(|e| Refused::malformed(format!("malformed answers: {e}")))?;
    let answers: BTreeMap<String, String> = answers;
    template.validate(&answers).map_err(|problems| {
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        // The client checked the same template, so this reaches only who changed it.
        let mut refused = Refused::new(RefusalCode::Answers, text.clone());
        refused.told = text;
        refused
    })
}
