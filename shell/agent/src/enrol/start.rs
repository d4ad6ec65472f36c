//! What an enrolment starts from, and the token that takes the registration.

use crate::dialogue::{Decision, Dialogue, PinPurpose};
use crate::gateway::{Met, Trust};
use crate::token::{self, OpenToken, Replace};
use crate::{AgentError, Paths};
use std::path::PathBuf;
use symbolon_crypto::IssuerFingerprint;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{Pin, PinCost, Token, TokenError, UnlockedToken};

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

    /// Token and link must name one issuer.
    pub(super) fn trust(&self, in_link: Option<IssuerFingerprint>) -> Result<Trust, AgentError> {
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
    pub(super) fn open(
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
pub(super) enum Holder {
    New(Box<UnlockedToken>),
    Open(Box<OpenToken>),
}

impl Holder {
    pub(super) fn token_mut(&mut self) -> &mut UnlockedToken {
        match self {
            Self::New(token) => token,
            Self::Open(open) => open.token_mut(),
        }
    }

    pub(super) fn save(self, paths: &Paths) -> Result<(), AgentError> {
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
