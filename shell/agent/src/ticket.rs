//! The ticket that a session leaves for the next one (A5), and its file.
//!
//! ```text
//! "SYMBOLON SESSION TICKET\n" | version 1 (1) | gateway <8> | address <16> | issuer's certificate <16>
//!     | key set <24> | user's name <16> | who showed the credential <16> | class of the credential <8>
//!     | 0, or 1 and user code <16> and access path <16> | ticket and its secret <16>
//! ```
//! The file lies beside the agent's socket, where nothing outlives the machine's run if the system has
//! such a place, and only its owner reads it. It is removed before the ticket is shown again: a ticket
//! acts once.

use crate::files::{self, SecretFile};
use crate::holder::Holder;
use crate::status::SCHEMA;
use crate::{AgentError, Paths, clock, token};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use symbolon_crypto::{GatewayName, KeySet, SecretBytes, TrustedIssuer};
use symbolon_policy::{TokenClass, format_time};
use symbolon_provider::crypto;
use symbolon_session::Ticket;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// A key set of eight context keys and a ticket take less.
const FILE: SecretFile = SecretFile {
    what: "session ticket",
    magic: b"SYMBOLON SESSION TICKET\n",
    version: 1,
    limit: 128 * 1024,
    fix: "symbolon logout removes it",
};

/// A ticket, with what its use needs.
#[derive(Debug)]
pub(crate) struct KeptTicket {
    pub(crate) gateway: GatewayName,
    pub(crate) address: String,
    pub(crate) issuer: TrustedIssuer,
    pub(crate) key_set: KeySet,
    /// Whose session it was, as the gateway called its user.
    pub(crate) user: String,
    /// Who showed the credential itself.
    pub(crate) holder: Holder,
    /// What was shown when the credential itself was.
    pub(crate) class: TokenClass,
    /// The user identification code and the access control path, where a registration told them.
    pub(crate) registered: Option<(String, String)>,
    pub(crate) expires: Time,
    /// [`Ticket::to_secret_bytes`].
    pub(crate) ticket: SecretBytes,
}

/// What can be said about a kept ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketInfo {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The gateway whose session it is from.
    pub gateway: String,
    /// Whose session it was, as the gateway called its user.
    pub user: String,
    /// Whether it was opened by the token that is in use now.
    pub of_this_token: bool,
    /// What was shown when that session, or the first of a row, was opened.
    pub token_class: String,
    /// When it ends, RFC 3339.
    pub expires: String,
    /// Whether it has ended.
    pub over: bool,
}

fn file(paths: &Paths) -> PathBuf {
    paths.socket.with_file_name("ticket")
}

/// The ticket that an earlier session left, if there is one.
///
/// # Errors
/// When its file cannot be read or is none.
pub fn kept_ticket(paths: &Paths) -> Result<Option<TicketInfo>, AgentError> {
    let Some(kept) = KeptTicket::load(paths)? else { return Ok(None) };
    // Where there is no token, or none that can be read, it is another's.
    let token = token::read(&paths.token).ok().flatten();
    Ok(Some(TicketInfo {
        schema: SCHEMA,
        gateway: kept.gateway.to_string(),
        of_this_token: token.is_some_and(|token| Holder::of_token(token.id()) == kept.holder),
        over: kept.is_over(),
        user: kept.user,
        token_class: kept.class.to_string(),
        expires: format_time(Time::from_secs(kept.expires.secs())),
    }))
}

/// Removes the ticket that an earlier session left; true when there was one.
///
/// # Errors
/// When its file cannot be removed.
pub fn forget_ticket(paths: &Paths) -> Result<bool, AgentError> {
    files::remove(&file(paths))
}

impl KeptTicket {
    /// Reads the file; nothing when there is none.
    pub(crate) fn load(paths: &Paths) -> Result<Option<Self>, AgentError> {
        FILE.load(&file(paths), Self::read)
    }

    /// Writes the file, over an older one.
    pub(crate) fn save(&self, paths: &Paths) -> Result<(), AgentError> {
        FILE.save(&file(paths), |w| self.write(w))
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self) -> bool {
        clock::now() >= self.expires
    }

    fn write(&self, w: &mut Writer) {
        w.text8(self.gateway.as_str());
        w.text16(&self.address);
        w.bytes16(self.issuer.certificate());
        w.bytes24(&self.key_set.to_bytes());
        w.text16(&self.user);
        w.text16(self.holder.as_str());
        w.text8(self.class.as_str());
        w.flag(self.registered.is_some());
        if let Some((code, path)) = &self.registered {
            w.text16(code);
            w.text16(path);
        }
        w.bytes16(self.ticket.expose());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let gateway = GatewayName::parse(r.text8("gateway")?)?;
        let address = r.text16("address")?.to_owned();
        let issuer = TrustedIssuer::from_certificate(crypto(), r.bytes16()?)
            .map_err(|_| WireError::BadValue("issuer's certificate"))?;
        let key_set = KeySet::from_bytes(r.bytes24()?)?;
        let user = r.text16("user's name")?.to_owned();
        let holder = Holder::parse(r.text16("holder")?)?;
        let class = r.text8("token class")?.parse().map_err(|_| WireError::BadValue("token class"))?;
        let registered =
            if r.flag()? { Some((r.text16("code")?.to_owned(), r.text16("path")?.to_owned())) } else { None };
        let ticket = SecretBytes::new(r.bytes16()?.to_vec());
        let expires = Ticket::from_secret_bytes(&ticket)?.expires();
        Ok(Self { gateway, address, issuer, key_set, user, holder, class, registered, expires, ticket })
    }
}
