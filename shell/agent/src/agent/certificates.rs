//! The agent's own certificate: asked for over the session, and renewed from half its life.
//!
//! ```text
//! agent                                                      gateway
//!   ── 1 | PKCS #10 ───────────────────────────────────────────>
//!   <─────────── 1 | certificate, or 2 | SealedCertificate ──────
//!   ── confirmation (32), once it is kept ──────────────────────>
//!
//!   ── 2 | certificate ────────────────────────────────────────>   renewal
//!   <───────────────────────────────── 3 | RenewalChallenge ─────
//!   ── 3 | RenewalAnswer, with the next PKCS #10 ──────────────>
//!   <─────────── as above
//! ```
//! Each key is made here, or in a device that is plugged in here, and never leaves. What comes is
//! checked like any other certificate, and is for the key and the subject that were asked for, or it is
//! not kept.

mod wish;

pub(crate) use wish::{Order, Place};

use crate::certificate_key::KeptKey;
use crate::connection;
use crate::device::OpenDevices;
use crate::kept_certificate::{CertificateInfo, KeptCertificate};
use crate::key::blocking;
use crate::sign_in::{Carried, Gateway};
use crate::{AgentError, Paths, clock};
use std::time::Duration;
use symbolon_crypto::{CryptoError, Revocation, SubjectId, SubjectName, SubjectTrust, TrustedIssuer};
use symbolon_hardware::Pkcs11Uri;
use symbolon_issuer::{RenewalChallenge, SealedCertificate};
use symbolon_provider::crypto;
use symbolon_session::{CertificateBytes, ControlMessage};
use symbolon_wire::{Decode, Encode, Time};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::time::timeout;
use wish::Wish;

/// The shortest pause before a renewal is tried again, in seconds.
const PAUSE_SECS: u64 = 60;

/// Longer than any agent runs without a look.
const LONG: Duration = Duration::from_secs(365 * 86_400);

const FIRST: u8 = 1;
const RENEW: u8 = 2;
const ANSWER: u8 = 3;

const OPEN: u8 = 1;
const SEALED: u8 = 2;
const CHALLENGE: u8 = 3;

/// What is under way on this connection.
#[derive(Default)]
pub(crate) struct Certificates {
    due: Option<Time>,
    wish: Option<Wish>,
    old: Option<KeptCertificate>,
    reply: Option<oneshot::Sender<Result<CertificateInfo, AgentError>>>,
}

impl Certificates {
    /// Looks when the certificate that is kept must be renewed, if this gateway gave it.
    pub(crate) fn look(paths: &Paths, gateway: &Gateway) -> Self {
        let kept = KeptCertificate::load(paths).ok().flatten().filter(|kept| kept.gateway == gateway.name);
        Self { due: kept.and_then(|kept| kept.half().ok()), ..Self::default() }
    }

    /// How long until then.
    pub(crate) fn until_renewal(&self) -> Duration {
        self.due.map_or(LONG, |due| Duration::from_micros(due.0.saturating_sub(clock::now().0)))
    }

    /// Asks for a certificate of the user `code`.
    pub(crate) fn order(
        &mut self,
        order: Order,
        code: Option<&str>,
        devices: &OpenDevices,
    ) -> Option<ControlMessage> {
        let Order { kind, device, place, reply } = order;
        // The gateway answers in turn, and does not say what.
        if self.old.is_some() || self.wish.is_some() && self.reply.is_none() {
            let busy = AgentError::unreachable("the certificate is being renewed at this moment");
            let _ = reply.send(Err(busy.fix("try again")));
            return None;
        }
        let made = || {
            let code = code.ok_or_else(|| {
                AgentError::usage("the gateway did not tell your user identification code")
                    .fix("sign in by your token first: symbolon login --with token")
            })?;
            let subject = SubjectId::device(code, &device).ok_or_else(|| {
                AgentError::usage(format!("{device:?} is no label of a device"))
                    .fix("use small letters, digits and hyphens: --device laptop")
            })?;
            let key = wish::new_key(&subject, kind, place, devices)?;
            let wish = Wish::new(subject, key)?;
            let message = tagged(FIRST, wish.request.der())?;
            Ok((wish, message))
        };
        match made() {
            Ok((wish, message)) => {
                self.settle(Err(AgentError::failure("another certificate was asked for meanwhile")));
                (self.wish, self.reply) = (Some(wish), Some(reply));
                Some(ControlMessage::CertificateRequest(message))
            }
            Err(e) => {
                let _ = reply.send(Err(e));
                None
            }
        }
    }

    /// Begins a renewal.
    pub(crate) fn renew(&mut self, paths: &Paths) -> Result<Option<ControlMessage>, AgentError> {
        self.due = None;
        let Some(kept) = KeptCertificate::load(paths)? else { return Ok(None) };
        self.due = Some(later(&kept));
        if self.wish.is_some() {
            return Ok(None);
        }
        let message = tagged(RENEW, &kept.certificate)?;
        self.old = Some(kept);
        Ok(Some(ControlMessage::CertificateRequest(message)))
    }

    /// Takes what the gateway says; gives what is to be said in turn.
    pub(crate) fn receive(
        &mut self,
        paths: &Paths,
        gateway: &Gateway,
        devices: &OpenDevices,
        bytes: &[u8],
    ) -> Result<Option<ControlMessage>, AgentError> {
        let result = self.take(paths, gateway, devices, bytes);
        if let Err(e) = &result {
            self.settle(Err(e.clone()));
        }
        result
    }

    /// The gateway does not do it.
    pub(crate) fn refused(&mut self, why: &str) -> AgentError {
        let why = if why.is_empty() { "it does not say why" } else { why };
        let error = AgentError::denied(format!("the gateway gives no certificate: {why}"))
            .fix("ask an administrator: symbolon admin ca issue");
        self.settle(Err(error.clone()));
        error
    }

    fn take(
        &mut self,
        paths: &Paths,
        gateway: &Gateway,
        devices: &OpenDevices,
        bytes: &[u8],
    ) -> Result<Option<ControlMessage>, AgentError> {
        let foreign = || AgentError::failure("what the gateway says about a certificate is not understood");
        let (tag, rest) = bytes.split_first().ok_or_else(foreign)?;
        match *tag {
            OPEN => {
                let wish = self.wish.take().ok_or_else(foreign)?;
                let confirm = bytes_of(crypto().sha256(&[rest]).to_vec())?;
                self.keep(paths, gateway, devices, wish, rest.to_vec())?;
                Ok(Some(ControlMessage::CertificateConfirm(confirm)))
            }
            SEALED => {
                let wish = self.wish.take().ok_or_else(foreign)?;
                let kem = wish.key.kem().ok_or_else(foreign)?;
                let sealed = SealedCertificate::from_bytes(rest)?;
                let (der, confirmation) = sealed.open(crypto(), kem, &wish.request).map_err(|_| foreign())?;
                let confirm = bytes_of(confirmation.as_bytes().to_vec())?;
                self.keep(paths, gateway, devices, wish, der)?;
                Ok(Some(ControlMessage::CertificateConfirm(confirm)))
            }
            CHALLENGE => {
                let old = self.old.take().ok_or_else(foreign)?;
                let challenge = RenewalChallenge::from_bytes(rest)?;
                let SubjectName::Ours(subject) = old.subject()?.name().clone() else { return Err(foreign()) };
                let (key, next) = wish::next_key(&subject, old.key, devices)?;
                let wish = Wish::new(subject, next)?;
                let request = wish.request.der().to_vec();
                let answer = blocking(|| match (key.signer(), key.kem()) {
                    (Some(signer), _) => challenge.answer_signed(crypto(), &old.certificate, request, signer),
                    (None, Some(kem)) => challenge.answer_opened(crypto(), &old.certificate, request, kem),
                    (None, None) => Err(CryptoError::BadKey),
                });
                let answer = answer.map_err(|_| key.trouble().unwrap_or_else(foreign))?;
                self.wish = Some(wish);
                Ok(Some(ControlMessage::CertificateRequest(tagged(ANSWER, &answer.to_bytes())?)))
            }
            _ => Err(foreign()),
        }
    }

    fn keep(
        &mut self,
        paths: &Paths,
        gateway: &Gateway,
        devices: &OpenDevices,
        wish: Wish,
        certificate: Vec<u8>,
    ) -> Result<(), AgentError> {
        let unusable = |e: &dyn std::fmt::Display| {
            AgentError::failure(format!("the gateway gave a certificate that is of no use: {e}"))
        };
        let verified = |issuer: &TrustedIssuer| {
            SubjectTrust::new(crypto(), std::slice::from_ref(issuer), Revocation::IfListed)
                .and_then(|trust| trust.verify(crypto(), &[&certificate], clock::now()))
        };
        let present = gateway.issuers.current();
        // While one issuer follows another, certificates of either count.
        let former = gateway.issuers.now().into_iter().find(|i| *i != present && verified(i).is_ok());
        let issuer = former.unwrap_or(present);
        let subject = verified(&issuer).map_err(|e| unusable(&e))?;
        let asked_for = *subject.name() == SubjectName::Ours(wish.subject)
            && wish.request.key_hash(crypto()).is_ok_and(|hash| hash == *subject.key_hash());
        if !asked_for {
            return Err(unusable(&"it is not the one that was asked for"));
        }
        // One that cannot be read is written over like any other.
        let former = KeptCertificate::load(paths).ok().flatten();
        let (name, address) = (gateway.name.clone(), gateway.address.clone());
        let kept = wish.key.keep(|key| {
            let kept = KeptCertificate { gateway: name, address, issuer, certificate, key };
            kept.save(paths).map(|()| kept)
        })?;
        if let Some(KeptKey::Device(key)) = former.map(|former| former.key) {
            remove(devices, &key);
        }
        let info = kept.info(paths)?;
        tracing::info!(subject = info.subject, until = info.until, "a certificate is kept");
        self.due = Some(kept.half()?);
        self.old = None;
        self.settle(Ok(info));
        Ok(())
    }

    /// Answers whoever waits.
    fn settle(&mut self, result: Result<CertificateInfo, AgentError>) {
        if result.is_err() {
            (self.wish, self.old) = (None, None);
        }
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(result);
        }
    }
}

/// Renews a certificate that has lapsed: `carried` is the context that it opened, in which nothing else
/// can be done.
pub(crate) async fn renew_lapsed(
    paths: &Paths,
    gateway: &Gateway,
    devices: &OpenDevices,
    carried: Carried,
) -> Result<(), AgentError> {
    let Carried { mut stream, mut reader, mut channel } = carried;
    let broke = |e: &dyn std::fmt::Display| {
        AgentError::unreachable(format!("renewing the certificate broke off: {e}"))
    };
    let mut certificates = Certificates::default();
    let mut next = certificates.renew(paths)?;
    loop {
        let message = next.ok_or_else(|| AgentError::failure("there is no certificate to renew"))?;
        let last = matches!(message, ControlMessage::CertificateConfirm(_));
        let frame = channel.seal(&message).map_err(|e| broke(&e))?;
        match timeout(connection::ANSWER, stream.write_all(&frame)).await {
            Ok(sent) => sent.map_err(|e| broke(&e))?,
            Err(_) => return Err(broke(&"the gateway does not read")),
        }
        let heard = match timeout(connection::ANSWER, reader.next(&mut stream)).await {
            // It closes when it has put the certificate into force.
            Ok(Ok(None)) if last => return Ok(()),
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return Err(broke(&"the gateway closed it")),
            Ok(Err(e)) => return Err(broke(&e)),
            Err(_) => return Err(broke(&"the gateway does not answer")),
        };
        let mut body = heard.body;
        next = match channel.open(&mut body).map_err(|e| broke(&e))? {
            ControlMessage::Certificate(bytes) => {
                certificates.receive(paths, gateway, devices, bytes.as_bytes())?
            }
            ControlMessage::CertificateRefused { detail } => {
                return Err(certificates.refused(detail.as_str()));
            }
            other => return Err(broke(&format!("the gateway says {other:?}"))),
        };
    }
}

/// Removes the key of a certificate that another one has replaced.
fn remove(devices: &OpenDevices, key: &Pkcs11Uri) {
    let removed = devices.with(key).and_then(|device| Ok(blocking(|| device.remove_pair(key))?));
    if let Err(e) = removed {
        // It opens nothing once its certificate has ended; whoever wants it gone has the device's tools.
        tracing::warn!(error = %e, %key, "the key of the former certificate stays in its device");
    }
}

/// When to try again: after an eighth of its life.
fn later(kept: &KeptCertificate) -> Time {
    let eighth = kept.subject().map_or(0, |s| s.validity().1.distance_secs(s.validity().0) / 8);
    clock::now().plus_secs(eighth.max(PAUSE_SECS))
}

fn tagged(tag: u8, rest: &[u8]) -> Result<CertificateBytes, AgentError> {
    bytes_of([&[tag], rest].concat())
}

fn bytes_of(bytes: Vec<u8>) -> Result<CertificateBytes, AgentError> {
    CertificateBytes::new(bytes).map_err(|e| AgentError::failure(e.to_string()))
}
