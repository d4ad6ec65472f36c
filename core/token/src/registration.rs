//! Registration (B3–B7): half keys in, authentication key out.

mod client;
mod gateway;

pub use client::{AwaitDone, AwaitReply, Registered};
pub use gateway::{AwaitConfirm, FreshRequest, RegistrationOpened};

use crate::{AuthenticationKey as _, InvitationCode, MAX_ANSWERS, SoftwareKey};
use symbolon_crypto::{Crypto, CryptoError, KeySetError, Secret, TranscriptHash, label};
use symbolon_policy::{AccessPath, CanonName, TemplateName, TokenClass, UserCode};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// Why a registration failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The gateway's keys cannot be used.
    #[error(transparent)]
    Gateway(#[from] KeySetError),
    /// The peer sent something that is no such message.
    #[error("malformed registration message: {0}")]
    Malformed(#[from] WireError),
    /// A message was not made by the other side of this exchange, or was altered.
    #[error("the registration message does not open: it was not made for this exchange")]
    Forged,
    /// The client's clock is out of tolerance.
    #[error("the client's clock differs by {seconds} s")]
    Clock {
        /// How far it is off, in seconds.
        seconds: u64,
    },
    /// Seen before.
    #[error("registration request was seen before")]
    Replayed,
}

impl From<CryptoError> for RegistrationError {
    fn from(_: CryptoError) -> Self {
        Self::Forged
    }
}

/// What a client asks for. The answers are in the canonical encoding of valid answers to the
/// template; the gateway checks them again.
#[derive(Debug)]
pub struct RegistrationRequest {
    /// The template that was filled in.
    pub template: TemplateName,
    /// The answers.
    pub answers: Vec<u8>,
    /// The code of an invitation; without one the registration waits for approval.
    pub invitation: Option<InvitationCode>,
    /// What keeps the authentication key.
    pub class: TokenClass,
    /// What the user calls this token, at most 64 bytes: `work laptop`.
    pub label: String,
}

impl RegistrationRequest {
    fn encode(&self, w: &mut Writer) {
        w.text8(self.template.as_str());
        w.bytes16(&self.answers);
        w.bytes8(self.invitation.as_ref().map_or(&[], |c| c.secret().expose().as_slice()));
        w.text8(&self.class.to_string());
        w.text8(&self.label);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let template =
            TemplateName::parse(r.text8("template")?).map_err(|_| WireError::BadValue("template"))?;
        let answers = r.bytes16()?;
        if answers.len() > MAX_ANSWERS {
            return Err(WireError::TooLong("answers"));
        }
        let invitation = match r.bytes8()? {
            [] => None,
            code => {
                Some(InvitationCode::new(Secret::from_slice(code).ok_or(WireError::BadValue("invitation"))?))
            }
        };
        let class = r.text8("token class")?.parse().map_err(|_| WireError::BadValue("token class"))?;
        let label = r.text8("label")?;
        if label.len() > 64 || label.chars().any(char::is_control) {
            return Err(WireError::BadValue("label"));
        }
        Ok(Self { template, answers: answers.to_vec(), invitation, class, label: label.to_owned() })
    }
}

/// What goes into the keys besides the half keys.
struct Shared {
    ssk1: Secret<32>,
    exporter: Secret<32>,
    ephemeral: Secret<32>,
}

impl Shared {
    fn reply_key(&self, crypto: Crypto, transcript: TranscriptHash) -> Secret<32> {
        let root = crypto.extract(
            transcript.as_ref(),
            &[self.ssk1.expose(), self.ephemeral.expose(), self.exporter.expose()],
        );
        crypto.derive(&root, label::REGISTRATION_REPLY, &[transcript.as_ref()])
    }

    /// B7, mended: HKDF over both halves, the KEM secrets and the transcript; never XOR, under which
    /// the reply on the wire would be the key itself.
    fn authentication_key(
        &self,
        crypto: Crypto,
        ssk2: &Secret<32>,
        transcript: TranscriptHash,
    ) -> SoftwareKey {
        let halves: [&[u8]; 4] =
            [self.ssk1.expose(), ssk2.expose(), self.ephemeral.expose(), self.exporter.expose()];
        let root = crypto.extract(transcript.as_ref(), &halves);
        SoftwareKey::new(crypto.derive(&root, label::AUTHENTICATION_KEY, &[transcript.as_ref()]))
    }
}

fn confirmation(
    crypto: Crypto,
    key: &SoftwareKey,
    from: &[u8],
    transcript: TranscriptHash,
) -> Result<Secret<32>, CryptoError> {
    key.hmac(crypto, &[label::REGISTRATION_CONFIRM, &[0], from, &[0], transcript.as_ref()])
}

const FROM_CLIENT: &[u8] = b"client";
const FROM_GATEWAY: &[u8] = b"gateway";

/// What a gateway gives to a registered token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationGrant {
    /// Names the registration at the gateway.
    pub registration_id: [u8; 16],
    /// The user identification code, made from the name (B6).
    pub user_code: UserCode,
    /// The canonical name that the code was made from.
    pub user: CanonName,
    /// The access control path: where the subject's entitlements hang (B6).
    pub access_path: AccessPath,
    /// Whether somebody must approve it before it is granted anything.
    pub awaits_approval: bool,
    /// The gateway's number for the first sign-in.
    pub next_number: [u8; 32],
}

impl Encode for RegistrationGrant {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.registration_id);
        w.text8(self.user_code.as_str());
        w.text16(self.user.as_str());
        w.text16(self.access_path.as_str());
        w.flag(self.awaits_approval);
        w.fixed(&self.next_number);
    }
}

impl Decode for RegistrationGrant {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            registration_id: r.fixed()?,
            user_code: UserCode::parse(r.text8("user code")?)
                .map_err(|_| WireError::BadValue("user code"))?,
            user: CanonName::parse(r.text16("user name")?).map_err(|_| WireError::BadValue("user name"))?,
            access_path: AccessPath::parse(r.text16("access path")?)
                .map_err(|_| WireError::BadValue("access path"))?,
            awaits_approval: r.flag()?,
            next_number: r.fixed()?,
        })
    }
}
