//! Opening a session: `shell/server/src/sign_in.rs` and `credentials/`. The context around it is a stand-in, the
//! ticket in it is room C's.

use super::{LIFETIME_SECS, Node, Refused, STREAMS_AT_ONCE};
use crate::bug::Bug;
use crate::letter::{Credential, Frame, Letter, SignIn};
use crate::records::User;
use crate::world::{Inbox, SEC};
use symbolon_crypto::{Entropy, GatewayName, Secret, SecretBytes, TokenKind, TranscriptHash};
use symbolon_policy::{CanonName, TokenClass};
use symbolon_record::{Role, WrapSecrets};
use symbolon_session::{
    ClaimedTicket, EndReason, Epoch, Line, RegistrationId, Report, SessionChannel, SessionId, SessionSecret,
    SessionState, UserId,
};
use symbolon_store::{HotStore as _, NewSession, ReplayKey, SessionsOf};
use symbolon_wire::Time;

/// How old a first message may be, and how far the clocks may be apart.
const TOLERANCE_SECS: u64 = 10;
/// How long a client may take for its first wrapped message.
const CONFIRM: u64 = 2 * SEC;

/// Both sides' secrets of a context, as the stand-in for room A makes them.
pub(crate) fn context_secrets(client: &[u8; 32], node: &[u8; 32]) -> (SessionSecret, WrapSecrets) {
    let crypto = crate::watched::crypto();
    let session = Secret::new(crypto.sha256(&[b"session", client, node]));
    let wrap = Secret::new(crypto.sha256(&[b"wrap", client, node]));
    (SessionSecret::new(session), WrapSecrets::derive(crypto, &wrap, &[]))
}

/// The MAC of a registered token, as the stand-in for room B makes it.
pub(crate) fn token_mac(user: u8, registration: u32, random: &[u8; 32]) -> [u8; 32] {
    crate::watched::crypto().sha256(&[b"token", &[user], &registration.to_be_bytes(), random])
}

pub(crate) fn registration_id(user: u8, registration: u32) -> [u8; 16] {
    let mut id = [user; 16];
    id[..4].copy_from_slice(&registration.to_be_bytes());
    id
}

/// Who signs in, and with what.
struct SignedIn {
    registration: u32,
    until: Time,
    proved: Time,
    follows: Option<symbolon_store::SessionId>,
    ticket: Option<[u8; 32]>,
}

impl Node {
    pub(super) async fn sign_in(&self, m: SignIn, from_node: Inbox, to_node: Inbox) -> Result<(), Refused> {
        let began = self.world.now();
        let in_time = || self.clock().distance_secs(m.time) <= TOLERANCE_SECS;
        if m.key != self.boot || !in_time() {
            return Err(Refused(false));
        }
        let key = ReplayKey(self.crypto.sha256(&[b"first message", &m.random]));
        let expires = m.time.plus_secs(2 * TOLERANCE_SECS + 1);
        let absent = self.hot.put_if_absent(key, expires, self.clock()).await?;
        // The time is compared again after the cache answered.
        if !absent || !in_time() {
            return Err(Refused(false));
        }
        let signed_in = match &m.credential {
            Credential::Token { registration, mac } => self.by_token(&m, *registration, *mac).await?,
            Credential::Ticket(token) => self.by_ticket(&m, token).await?,
        };
        if self.user(m.user).await?.locked {
            return Err(Refused(false));
        }
        self.open(m, signed_in, began, from_node, to_node).await
    }

    async fn user(&self, user: u8) -> Result<User, Refused> {
        Ok(self.hot.durable("user", move |r| r.users[usize::from(user)].clone()).await?)
    }

    async fn by_token(&self, m: &SignIn, registration: u32, mac: [u8; 32]) -> Result<SignedIn, Refused> {
        let counts = self.user(m.user).await?.registration == registration;
        if !counts || mac != token_mac(m.user, registration, &m.random) {
            return Err(Refused(false));
        }
        let now = self.clock();
        let until = now.plus_secs(LIFETIME_SECS);
        Ok(SignedIn { registration, until, proved: now, follows: None, ticket: None })
    }

    async fn by_ticket(&self, m: &SignIn, token: &[u8]) -> Result<SignedIn, Refused> {
        let refused = |_| Refused(false);
        let proved = ClaimedTicket::parse(&SecretBytes::new(token.to_vec()))
            .map_err(|_| Refused(false))?
            .verify(self.crypto, &self.tickets, &TranscriptHash(m.random), self.clock())
            .map_err(refused)?;
        let before = symbolon_store::SessionId(proved.owner().session.0);
        let until = match self.hot.session(before, self.clock()).await {
            Ok(session) => session.expires,
            Err(_) if self.has(Bug::TicketOutlivesSession) => self.clock().plus_secs(LIFETIME_SECS),
            Err(e) => return Err(e.into()),
        };
        let key = proved.use_key(self.crypto);
        let absent = if self.has(Bug::TicketLookedAtThenSpent) {
            let absent = self.hot.durable("look at ticket", move |r| !r.spent.contains(&key)).await?;
            self.hot.durable("spend ticket", move |r| r.spent.insert(key)).await?;
            absent
        } else {
            self.hot.durable("spend ticket", move |r| r.spent.insert(key)).await?
        };
        let (owner, _) = proved.redeem(absent, self.clock()).map_err(refused)?;
        let registration =
            owner.registration.map_or(0, |r| u32::from_be_bytes([r.0[0], r.0[1], r.0[2], r.0[3]]));
        if self.user(m.user).await?.registration != registration || owner.user.0 != [m.user; 16] {
            return Err(Refused(false));
        }
        Ok(SignedIn { registration, until, proved: owner.proved, follows: Some(before), ticket: Some(key) })
    }

    async fn open(
        &self,
        m: SignIn,
        signed_in: SignedIn,
        began: u64,
        from_node: Inbox,
        to_node: Inbox,
    ) -> Result<(), Refused> {
        let SignedIn { registration, until, proved, follows, ticket } = signed_in;
        let entropy: &mut dyn Entropy = &mut self.world.entropy();
        let (id, random): ([u8; 16], [u8; 32]) = (entropy.number(), entropy.number());
        let (secret, wrap) = context_secrets(&m.random, &random);
        let state = SessionState {
            id: SessionId(id),
            user: UserId([m.user; 16]),
            registration: Some(RegistrationId(registration_id(m.user, registration))),
            user_name: CanonName::parse("user").map_err(|_| Refused(false))?,
            token_class: TokenClass::Software,
            method: TokenKind::Challenge,
            certificates: Vec::new(),
            groups: Vec::new(),
            proved,
            gateway: GatewayName::parse("gw.example").map_err(|_| Refused(false))?,
            opened: self.clock(),
            expires: until,
            source: Line::default(),
            report: Report::default(),
            configuration_applied: 0,
            last_attach: 0,
            secret,
        };
        let new = NewSession {
            id: symbolon_store::SessionId(id),
            user: symbolon_store::UserId([m.user; 16]),
            registration: state.registration.map(|r| symbolon_store::RegistrationId(r.0)),
            owner: self.id,
            expires: until,
            state: state.to_secret_bytes(),
            streams: STREAMS_AT_ONCE,
        };
        let epoch = self.hot.open_session(&new, self.clock()).await?;
        if let Err(refused) = self.take_effect(follows).await {
            let _ = self.hot.end_session(new.id, None, self.ending(EndReason::ProtocolError)).await;
            return Err(refused);
        }
        self.world.refer(|r, now| {
            r.signed_in(id, (m.user, registration, until), m.random, began);
            r.owned(id, epoch, self.index, self.boot, now);
            if let (Some(ticket), Some(of)) = (ticket, follows) {
                r.redeemed(ticket, of.0, began);
            }
        });
        self.take_in(state, epoch, to_node, false);
        self.send(from_node, Frame::Second { session: id, random });
        let mut channel = SessionChannel::from_secrets(self.crypto, Role::Acceptor, Epoch::FIRST, wrap);
        // Nothing acts before the client's first wrapped message.
        let first = match self.world.receive(to_node, self.world.now() + CONFIRM).await {
            Some(Letter::Frame(Frame::Wrapped(mut body))) => channel.open(&mut body).ok(),
            _ => None,
        };
        if first.is_none() {
            self.memory().live.remove(&SessionId(id));
            let ending = self.ending(EndReason::ProtocolError);
            let _ = self.hot.end_session(new.id, Some(epoch), ending).await;
            return Err(Refused(true));
        }
        self.carry(SessionId(id), channel, 0..STREAMS_AT_ONCE.into(), from_node, to_node, first).await;
        Ok(())
    }

    /// Unless what opened it was withdrawn since it was looked at: whoever withdraws it from now on finds the session
    /// and ends it.
    async fn take_effect(&self, follows: Option<symbolon_store::SessionId>) -> Result<(), Refused> {
        if let Some(follows) = follows {
            let ended = self.hot.end_session(follows, None, self.ending(EndReason::Replaced)).await;
            if !self.has(Bug::TicketOutlivesSession) && !self.has(Bug::TicketLookedAtThenSpent) {
                ended?;
            }
            self.world.refer(|r, now| r.ended(follows.0, now));
            self.end(SessionId(follows.0));
        }
        self.review().await
    }

    /// Ends what a user, or a token, has open.
    pub(super) async fn end_sessions_of(&self, whose: SessionsOf) -> Result<(), Refused> {
        let ended = self.hot.end_sessions_of(whose, self.ending(EndReason::EndedByAdministrator)).await?;
        ended.iter().for_each(|id| self.end(SessionId(id.0)));
        Ok(())
    }
}
