//! What a node keeps of a session, so that another can carry it on.

use crate::{Line, RegistrationId, Report, SessionId, SessionSecret, UserId};
use symbolon_crypto::{CertificateNumber, GatewayName, Secret, SecretBytes, TokenKind};
use symbolon_policy::{CanonName, GroupName, TokenClass};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// The version of the encoding.
const VERSION: u8 = 4;
/// The longest path to an authority: the subject's certificate and those between.
const MAX_PATH: usize = 8;
/// The most groups that somebody else may say a user is in.
pub const MAX_GROUPS: usize = 256;

/// A live session as the store keeps it, sealed. Epoch, owner and the counter of stream numbers
/// stand beside it in the store, which changes them atomically.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The registration that opened it; none for a sign-in by password.
    pub registration: Option<RegistrationId>,
    /// The user's name when it was opened.
    pub user_name: CanonName,
    /// What proved the identity.
    pub token_class: TokenClass,
    /// By what kind of token it was opened.
    pub method: TokenKind,
    /// The certificates that it rests on, the subject's first; none unless it was opened by one.
    pub certificates: Vec<CertificateNumber>,
    /// The groups in which the user is by the word of who vouched for the credential, at most [`MAX_GROUPS`];
    /// those that the directory has besides count as they are at each moment.
    pub groups: Vec<GroupName>,
    /// When the credential itself was shown: before `opened` for a session ticket.
    pub proved: Time,
    /// The gateway that accepted the context.
    pub gateway: GatewayName,
    /// When it was opened.
    pub opened: Time,
    /// When it ends by itself.
    pub expires: Time,
    /// The client's address as the node saw it last.
    pub source: Line,
    /// What the client told last about user, machine and place.
    pub report: Report,
    /// The version of the last configuration that the client said it applied.
    pub configuration_applied: u64,
    /// The counter of the last attach that was accepted; the next must be greater.
    pub last_attach: u64,
    /// What everything of the session grows from.
    pub secret: SessionSecret,
}

impl SessionState {
    /// Whether the session's time is not over.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        now < self.expires
    }

    /// The encoding, to be sealed.
    #[must_use]
    pub fn to_secret_bytes(&self) -> SecretBytes {
        let mut w = Writer::new();
        w.u8(VERSION);
        self.id.encode(&mut w);
        self.user.encode(&mut w);
        w.flag(self.registration.is_some());
        if let Some(registration) = self.registration {
            registration.encode(&mut w);
        }
        self.user_name.encode(&mut w);
        self.token_class.encode(&mut w);
        self.method.encode(&mut w);
        w.list16(&self.certificates, |w, c| c.encode(w));
        w.list16(&self.groups, |w, g| g.encode(w));
        self.proved.encode(&mut w);
        self.gateway.encode(&mut w);
        self.opened.encode(&mut w);
        self.expires.encode(&mut w);
        self.source.encode(&mut w);
        self.report.encode(&mut w);
        w.u64(self.configuration_applied);
        w.u64(self.last_attach);
        // last, so that the buffer, growing, leaves no copy of it behind
        w.fixed(self.secret.expose());
        SecretBytes::new(w.into_bytes())
    }

    /// Reads what [`SessionState::to_secret_bytes`] made.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not such a state, [`WireError::UnknownVersion`] when a
    /// newer program wrote them.
    pub fn from_secret_bytes(bytes: &SecretBytes) -> Result<Self, WireError> {
        let r = &mut Reader::new(bytes.expose());
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let state = Self {
            id: SessionId::decode(r)?,
            user: UserId::decode(r)?,
            registration: if r.flag()? { Some(RegistrationId::decode(r)?) } else { None },
            user_name: CanonName::decode(r)?,
            token_class: TokenClass::decode(r)?,
            method: TokenKind::decode(r)?,
            certificates: r.list16("certificates", MAX_PATH, CertificateNumber::decode)?,
            groups: r.list16("groups", MAX_GROUPS, GroupName::decode)?,
            proved: Time::decode(r)?,
            gateway: GatewayName::decode(r)?,
            opened: Time::decode(r)?,
            expires: Time::decode(r)?,
            source: Line::decode(r)?,
            report: Report::decode(r)?,
            configuration_applied: r.u64()?,
            last_attach: r.u64()?,
            secret: SessionSecret::new(Secret::new(r.fixed()?)),
        };
        r.clone().finish()?;
        Ok(state)
    }
}
