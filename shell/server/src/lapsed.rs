//! A device that was off for longer than its certificate was good comes back by itself (B7): its
//! certificate opens a context, but no session, and in that context it is renewed.
//!
//! ```text
//! device                                                     node
//!   ── first message: the certificate that has lapsed ─────────>   ours, not revoked, in grace
//!   <──── second message: lifetime 0, so there is no session ───   of its user, in an envelope or for its signature
//!   ── renewal of that certificate, as within a session ────────>  `admin/ca_session.rs`
//!   ── confirmation ────────────────────────────────────────────>  it signs in with the next one
//! ```
//! Nothing is written down before the key was proved within the context. The whole takes no longer than a
//! stranger may stand at the door, whose place it keeps.

use crate::admin::{Applicant, Certifying, Entitled};
use crate::connection::Connection;
use crate::credentials::CameBack;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use symbolon_context::{Authenticated, Grant};
use symbolon_provider::SystemEntropy;
use symbolon_record::Role;
use symbolon_session::{ControlMessage, Epoch, SessionChannel};
use symbolon_store::Actor;
use symbolon_wire::{FrameKind, RefusalCode};

/// What a renewal takes, and some more for one that begins again: request, answer, confirmation.
const MESSAGES: usize = 6;

impl Shared {
    /// Lets the holder of a certificate that has lapsed renew it.
    pub(crate) async fn renew_lapsed(
        &self,
        connection: &mut Connection,
        authenticated: Authenticated<CameBack>,
    ) -> Result<(), Ended> {
        let CameBack { user, certificate } = authenticated.subject();
        let applicant = Applicant {
            user: user.id,
            by: Actor::user(user.subject.name.as_str()),
            entitled: Entitled::This(certificate.serial().to_vec()),
        };
        let name = user.subject.name.clone();
        let grant = Grant { session_id: [0; 16], lifetime_secs: 0, subject: name.to_string() };
        let (secrets, second) = authenticated.accept(&mut SystemEntropy, &grant).map_err(Refused::from)?;
        let crypto = self.gateway.crypto;
        let mut channel = SessionChannel::from_secrets(crypto, Role::Acceptor, Epoch::FIRST, secrets.wrap);
        connection.send(FrameKind::ContextSecond, second).await?;
        let mut certifying = Certifying::default();
        for _ in 0..MESSAGES {
            let mut body = connection.expect(FrameKind::Wrapped).await?;
            let message = channel.open(&mut body).map_err(|e| {
                Refused::denied(format!("no proof of the key of {name}'s certificate, which has lapsed: {e}"))
            })?;
            let answer = match message {
                ControlMessage::CertificateRequest(asked) => {
                    certifying.answer(self, &applicant, asked.as_bytes()).await
                }
                ControlMessage::CertificateConfirm(confirmation) => {
                    match certifying.confirm(self, &applicant, confirmation.as_bytes()).await {
                        Ok(()) => {
                            tracing::info!(user = %name, "a certificate that had lapsed was renewed");
                            return Ok(());
                        }
                        Err(refused) => refused,
                    }
                }
                _ => return Err(Refused::malformed("a session's message without a session".into()).into()),
            };
            let frame = channel
                .seal(&answer)
                .map_err(|e| Refused::new(RefusalCode::Internal, format!("wrapping: {e}")))?;
            connection.write(&frame).await?;
        }
        Err(Refused::malformed("more messages than a renewal takes".into()).into())
    }
}
