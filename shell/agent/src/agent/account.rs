//! What the agent signs in with, and what it keeps for the next time.

use crate::agent::Credential;
use crate::sign_in::{AtHand, Gateway, Proof, SignedIn, sign_in};
use crate::token::{self, OpenToken, Saved};
use crate::{AgentError, Paths, UserConfig};
use std::sync::{Arc, Mutex, PoisonError};
use symbolon_crypto::{GatewayName, KeySet};
use symbolon_token::container::Registration;

/// A credential, the gateway that it is for, and the token that remembers.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) gateway: Gateway,
    pub(crate) proof: Proof,
    /// The user identification code and the access control path, where a registration tells them.
    pub(crate) registered: Option<(String, String)>,
    token: Option<Arc<Mutex<OpenToken>>>,
    /// What the last exchange left, when there is no token to keep it.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    key_set: Option<KeySet>,
    number: Option<[u8; 32]>,
}

impl Account {
    /// Opens the credential; blocks.
    pub(crate) fn open(
        paths: &Paths,
        credential: Credential,
        gateway: Option<GatewayName>,
        address: Option<String>,
        config: UserConfig,
    ) -> Result<Self, AgentError> {
        let wanted = gateway.or_else(|| config.gateway.clone());
        match credential {
            Credential::Token(pin) => {
                let open = token::unlock(paths, &pin)?;
                let registration = choose(open.token().registrations(), wanted.as_ref())?;
                let gateway = Gateway {
                    address: address.or(config.address).unwrap_or_else(|| registration.address.clone()),
                    name: registration.gateway.clone(),
                    issuer: open.token().issuer().clone(),
                    suites: config.suites,
                };
                let proof = Proof::Key {
                    key: registration.key.duplicate(),
                    registration_id: registration.registration_id,
                    user: registration.user_code.clone(),
                };
                let registered =
                    Some((registration.user_code.to_string(), registration.access_path.to_string()));
                let kept =
                    Kept { key_set: Some(registration.key_set.clone()), number: registration.next_number };
                let token = Some(Arc::new(Mutex::new(open)));
                Ok(Self { gateway, proof, registered, token, kept: Mutex::new(kept) })
            }
            Credential::Password { user, password } => {
                let name = wanted.ok_or_else(|| {
                    AgentError::usage("a sign-in by password needs the gateway's name")
                        .fix("name it with --gateway NAME --address HOST:PORT, or in the configuration file")
                })?;
                let address = address.or_else(|| config.address.clone()).ok_or_else(|| {
                    AgentError::usage(format!("the address of {name} is not known"))
                        .fix("give it with --address HOST:PORT, or in the configuration file")
                })?;
                let issuer = match config.trusted_issuer()? {
                    Some(issuer) => issuer,
                    None => token::load_if_there(paths)?.map(|t| t.issuer().clone()).ok_or_else(|| {
                        AgentError::usage("there is nothing to trust the gateway by").fix(
                            "name the issuer's certificate in the configuration file (issuer_certificate = \
                             \"issuer.crt\"), or import a token",
                        )
                    })?,
                };
                config.check_issuer(issuer.fingerprint())?;
                let gateway = Gateway { address, name, issuer, suites: config.suites };
                let proof = Proof::Password { user, password, gateways: config.password_gateways };
                Ok(Self { gateway, proof, registered: None, token: None, kept: Mutex::default() })
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs in, in one round trip where the last exchange left what that needs.
    pub(crate) async fn sign_in(&self) -> Result<SignedIn, AgentError> {
        let at_hand = {
            let mut kept = self.kept();
            // A number is used once; the next one comes with the session.
            let number = kept.number.take();
            kept.key_set.clone().zip(number).map(|(key_set, number)| AtHand { key_set, number })
        };
        let signed_in = sign_in(&self.gateway, &self.proof, at_hand).await?;
        self.kept().key_set = Some(signed_in.key_set.clone());
        Ok(signed_in)
    }

    /// Gives up what the last exchange left: the gateway's keys have changed.
    pub(crate) fn forget(&self) {
        *self.kept() = Kept::default();
    }

    /// Keeps the gateway's number for the next sign-in, with the key set of the last, in memory and
    /// in the token's file.
    pub(crate) async fn keep_number(&self, number: [u8; 32]) {
        let key_set = {
            let mut kept = self.kept();
            kept.number = Some(number);
            kept.key_set.clone()
        };
        let Some(token) = &self.token else { return };
        let (token, gateway) = (Arc::clone(token), self.gateway.name.clone());
        let saved = tokio::task::spawn_blocking(move || {
            let mut open = token.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(registration) = open.token_mut().registration_mut(&gateway) else {
                return Ok(Saved::ChangedMeanwhile);
            };
            registration.next_number = Some(number);
            if let Some(key_set) = key_set {
                registration.key_set = key_set;
            }
            open.save()
        });
        match saved.await {
            Ok(Ok(Saved::Written)) => {}
            // Costs a round trip at the next start and nothing else.
            Ok(Ok(Saved::ChangedMeanwhile)) => {
                tracing::debug!("the token's file was changed by another program")
            }
            Ok(Err(e)) => tracing::warn!(error = %e, "the token's file cannot be updated"),
            Err(_) => tracing::warn!("updating the token's file broke off"),
        }
    }
}

fn choose<'a>(
    registrations: &'a [Registration],
    wanted: Option<&GatewayName>,
) -> Result<&'a Registration, AgentError> {
    let names = || registrations.iter().map(|r| r.gateway.as_str()).collect::<Vec<_>>().join(", ");
    match (registrations, wanted) {
        ([], _) => {
            Err(AgentError::usage("the token is not registered with any gateway yet")
                .fix("run symbolon enrol"))
        }
        (_, Some(name)) => registrations.iter().find(|r| r.gateway == *name).ok_or_else(|| {
            AgentError::usage(format!("the token is not registered with {name}, but with: {}", names()))
                .fix("enrol it there, choose another with --gateway, or correct the configuration file")
        }),
        ([only], None) => Ok(only),
        (_, None) => Err(AgentError::usage(format!("the token knows several gateways: {}", names()))
            .fix("choose one with --gateway NAME, or with gateway = \"…\" in the configuration file")),
    }
}
