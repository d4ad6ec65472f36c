//! What an enrolment starts from, and the token that takes the registration.

use super::place::{self, Place};
use crate::device::Filling;
use crate::dialogue::{Decision, Dialogue, PinPurpose};
use crate::directory::Directory;
use crate::gateway::{Met, Trust};
use crate::issuers::Issuers;
use crate::token::{self, OpenToken, Replace};
use crate::{AgentError, Paths};
use std::path::PathBuf;
use std::sync::Arc;
use symbolon_crypto::IssuerFingerprint;
use symbolon_hardware::OpenDevice;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;
use symbolon_token::container::{
    HeldKey, ObjectId, Pin, PinCost, Registration, Token, TokenError, UnlockedToken,
};

/// What an enrolment starts from.
pub(super) enum Start {
    /// Nothing: the link is the root of trust, and a blank token is made.
    Nothing,
    /// A token that is not registered anywhere yet.
    Blank(Token),
    /// A token with registrations; it is opened with its PIN.
    Registered(Token),
}

impl Start {
    /// Looks at what is there.
    pub(super) fn choose(
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

    /// Whom to trust: the issuer of the token and those that followed it, or the one that the link names.
    pub(super) fn trust(
        &self,
        in_link: Option<IssuerFingerprint>,
        paths: &Paths,
        directory: Option<Directory>,
    ) -> Result<Trust, AgentError> {
        match (self, in_link) {
            (Self::Blank(token) | Self::Registered(token), _) => {
                let issuers = Issuers::of_token(paths, token).looking_in(directory);
                Ok(Trust::Issuers(Arc::new(issuers)))
            }
            (Self::Nothing, Some(link)) => Ok(Trust::Fingerprint(link, paths.clone(), directory)),
            (Self::Nothing, None) => Err(AgentError::usage("there is no token to trust a gateway by")),
        }
    }

    /// The token that has registrations already.
    pub(super) const fn registered(&self) -> Option<&Token> {
        match self {
            Self::Registered(token) => Some(token),
            Self::Nothing | Self::Blank(_) => None,
        }
    }

    /// Asks for the PIN and gives the token that takes the registration.
    pub(super) fn open(
        self,
        paths: &Paths,
        met: &Met,
        place: Place,
        dialogue: &mut dyn Dialogue,
        cost: PinCost,
    ) -> Result<Holder, AgentError> {
        if let Some(device) = place.open(dialogue)? {
            return self.with_device(paths, met, device);
        }
        let purpose = if matches!(self, Self::Registered(_)) { PinPurpose::Unlock } else { PinPurpose::New };
        loop {
            let error = match Pin::new(dialogue.pin(purpose)?) {
                Err(e) => e,
                Ok(pin) => match &self {
                    Self::Nothing | Self::Blank(_) => return first_pin(self.blank(met)?, &pin, cost),
                    Self::Registered(_) => match token::try_pin(paths, &pin)? {
                        Ok(open) => return Ok(Holder::new(Taking::Open(Box::new(open)), None)),
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

    /// The same with the device that holds the keys, or will.
    fn with_device(self, paths: &Paths, met: &Met, device: OpenDevice) -> Result<Holder, AgentError> {
        let mut filling = Filling::new(device.clone());
        let token = match self {
            Self::Nothing | Self::Blank(_) => Taking::New(Box::new(filling.bind(self.blank(met)?)?)),
            Self::Registered(_) => Taking::Open(Box::new(token::open_with(paths, device)?)),
        };
        Ok(Holder::new(token, Some(filling)))
    }

    /// The blank token to start from.
    fn blank(&self, met: &Met) -> Result<Token, AgentError> {
        match self {
            Self::Blank(token) | Self::Registered(token) => {
                Ok(Token::from_file(crypto(), &token.to_file(crypto()))?)
            }
            Self::Nothing => Ok(Token::blank(&mut SystemEntropy, met.issuer.clone())),
        }
    }
}

fn first_pin(token: Token, pin: &Pin, cost: PinCost) -> Result<Holder, AgentError> {
    let token = UnlockedToken::first_pin(crypto(), &mut SystemEntropy, token, pin, cost)?;
    Ok(Holder::new(Taking::New(Box::new(token)), None))
}

/// The token that takes the registration, and the device that takes its key.
pub(super) struct Holder {
    token: Taking,
    filling: Option<Filling>,
    replaced: Option<ObjectId>,
}

enum Taking {
    New(Box<UnlockedToken>),
    Open(Box<OpenToken>),
}

impl Holder {
    const fn new(token: Taking, filling: Option<Filling>) -> Self {
        Self { token, filling, replaced: None }
    }

    /// Puts the key where the token's keys are.
    pub(super) fn put_key(
        &mut self,
        registration_id: [u8; 16],
        label: &str,
        key: SoftwareKey,
    ) -> Result<HeldKey, AgentError> {
        place::put_key(self.filling.as_mut(), registration_id, label, key)
    }

    /// Puts the registration in the place of one with the same gateway.
    pub(super) fn put(&mut self, registration: Registration) -> Result<(), AgentError> {
        let token = match &mut self.token {
            Taking::New(token) => token,
            Taking::Open(open) => open.token_mut(),
        };
        self.replaced = token.registration(&registration.gateway).and_then(|old| place::object(&old.key));
        Ok(token.put(registration)?)
    }

    /// Writes the token's file; what is in the device stays there from now on.
    pub(super) fn save(self, paths: &Paths) -> Result<(), AgentError> {
        match self.token {
            Taking::New(token) => token::save(paths, *token).map(drop)?,
            Taking::Open(mut open) => match open.save()? {
                token::Saved::Written => {}
                token::Saved::ChangedMeanwhile => {
                    return Err(AgentError::failure(
                        "another program changed the token meanwhile; nothing was registered",
                    )
                    .fix("enrol again"));
                }
            },
        }
        if let Some(filling) = self.filling {
            filling.keep(self.replaced.as_ref());
        }
        Ok(())
    }
}
