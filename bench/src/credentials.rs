//! Opening a context by certificate and by ticket, against TLS with certificates on both sides.

use crate::clock::{micros_each, spent};
use crate::context::{finish, tls_handshakes};
use crate::measure::{Cost, Costs, Subject, interleaved};
use crate::parties::{Gateway, answer, any_key, first, now};
use crate::report::{Report, Target};
use crate::tls::TlsPair;
use anyhow::{Result, anyhow, bail};
use rustls::crypto::aws_lc_rs::kx_group;
use std::cell::RefCell;
use symbolon_context::{CertificateKey, CertificateToken, ClaimedCertificate, Fresh};
use symbolon_crypto::{
    InitiatorToken, KemPrivateKey, Purpose, Revocation, SubjectId, SubjectTrust, Suite, TokenProof,
    TrustedIssuer, VerdictCache,
};
use symbolon_issuer::{CertificateRequest, RequestKey, RequestedName, SubjectGrant, Validity};
use symbolon_policy::TokenClass;
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, SystemEntropy, crypto};
use symbolon_session::{
    ClaimedTicket, IssuedTicket, SessionId, SessionSecret, Ticket, TicketKeys, TicketOwner, UserId,
};

/// Exchanges in a batch.
const BATCH: usize = 48;
const DAY_SECS: u64 = 86_400;

/// Certificates and tickets in both suites.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let gateway = Gateway::new()?;
    for suite in Suite::ALL {
        one_suite(report, &gateway, suite)?;
    }
    report.note(
        "Certificate: P-256 under an issuer of P-256, as TLS has it on both sides here. The client knows the",
    );
    report.note(
        "gateway's verified key set, as an agent does; a TLS client verifies its server in each handshake.",
    );
    Ok(())
}

fn one_suite(report: &mut Report, gateway: &Gateway, suite: Suite) -> Result<()> {
    let keys = Keys::new(gateway, suite)?;
    let group = if suite == Suite::XWing { kx_group::X25519MLKEM768 } else { kx_group::X25519 };
    let (p256, ed25519) =
        (TlsPair::new(group, &rcgen::PKCS_ECDSA_P256_SHA256)?, TlsPair::new(group, &rcgen::PKCS_ED25519)?);
    let signed = CertificateKey::Signs(&keys.p256);
    let [certificate, cached, enveloped, ed25519_certificate, ticket, tls_p256, tls_ed25519] =
        interleaved([
            certificate(gateway, suite, &keys, &keys.p256_chain, signed, false),
            certificate(gateway, suite, &keys, &keys.p256_chain, signed, true),
            certificate(gateway, suite, &keys, &keys.kem_chain, CertificateKey::Opens(&keys.kem), true),
            certificate(
                gateway,
                suite,
                &keys,
                &keys.ed25519_chain,
                CertificateKey::Signs(&keys.ed25519),
                false,
            ),
            ticket(gateway, suite),
            tls_handshakes(&p256),
            tls_handshakes(&ed25519),
        ])?;
    let fast = suite == Suite::X25519;
    let target = |x25519, x_wing| Target::AtMost(if fast { x25519 } else { x_wing });
    let name = |what: &str| format!("{suite}: {what}");
    let mut ratio = |what: &str, ours: &Costs, theirs: &Costs, target| {
        report.median(name(&format!("{what}, server CPU")), &ours.server.over(&theirs.server), "×", target);
    };
    ratio("certificate context ÷ TLS 1.3 mutual", &certificate, &tls_p256, target(0.90, 1.00));
    ratio("the same with the verdict on the chain cached", &cached, &tls_p256, target(0.70, 0.85));
    ratio("certificate of a KEM key, cached ÷ TLS 1.3 mutual", &enveloped, &tls_p256, Target::None);
    ratio("Ed25519 certificate ÷ TLS 1.3 mutual, Ed25519", &ed25519_certificate, &tls_ed25519, Target::None);
    ratio("session ticket ÷ certificate context", &ticket, &certificate, Target::AtMost(0.65));
    let client = certificate.client.over(&tls_p256.client);
    report.median(
        name("certificate context ÷ TLS 1.3 mutual, client CPU"),
        &client,
        "×",
        Target::AtMost(0.75),
    );
    for (what, costs) in
        [("certificate", &certificate), ("certificate, cached", &cached), ("ticket", &ticket)]
    {
        let each = 1e6 / costs.server.median();
        report.value(name(&format!("contexts by {what}")), each, "/s/core", Target::None);
    }
    let [sent, known] = keys.bytes(gateway, suite)?;
    let theirs = p256.handshake()?.bytes;
    let over = |ours: &Bytes| ours.both() as f64 / theirs as f64;
    let bytes = if fast { Target::AtMost(0.5) } else { Target::None };
    report.value(name("certificate context ÷ TLS 1.3 mutual, bytes"), over(&sent), "×", Target::None);
    report.value(name("the same when the gateway knows the certificate, bytes"), over(&known), "×", bytes);
    report.note(format!("{suite}, bytes, certificate sent: {}.", sent.parts()));
    report.note(format!("{suite}, bytes, certificate known: {}; TLS {theirs}.", known.parts()));
    Ok(())
}

/// Where the bytes of both messages of a context by certificate are (docs/protocol/context.md).
struct Bytes {
    suite: Suite,
    first: usize,
    /// The whole token of the first message.
    token: usize,
    /// What names the certificate in it: itself, or its hash.
    named: usize,
    second: usize,
}

impl Bytes {
    const fn both(&self) -> usize {
        self.first + self.second
    }

    fn parts(&self) -> String {
        let enc = self.suite.encapsulation_len();
        // key id, suite, check, no cookie, two lengths; the cipher's tag
        let outside = 8 + 2 + 16 + 1 + 2 + 2 + enc + 16;
        // transport key, ephemeral key with suite and length, time, bindings, kind, two lengths
        let around = 32 + 4 + self.suite.public_len() + 8 + 32 + 1 + 2 + 2;
        let padding = self.first.saturating_sub(outside + around + self.token);
        // session key, session id, lifetime, subject "alice", three lengths; the cipher's tag, two lengths, enc
        let plain = 2 + 32 + 16 + 4 + 6 + 2 + 2;
        let second_padding = self.second.saturating_sub(plain + 16 + 4 + enc);
        format!(
            "{} in all: first message {} = envelope {outside} + around the token {around} + certificate {} + \
             signature {} + padding {padding}; second {} of which padding {second_padding}",
            self.both(),
            self.first,
            self.named,
            self.token - self.named,
            self.second
        )
    }
}

/// A subject's keys, their certificates, and what a gateway knows of whose certificates count.
pub(crate) struct Keys {
    trust: SubjectTrust,
    p256: P256SigningKey,
    p256_chain: Vec<Vec<u8>>,
    ed25519: Ed25519SigningKey,
    ed25519_chain: Vec<Vec<u8>>,
    kem: KemPrivateKey,
    kem_chain: Vec<Vec<u8>>,
}

impl Keys {
    pub(crate) fn new(gateway: &Gateway, suite: Suite) -> Result<Self> {
        let trusted = TrustedIssuer::from_certificate(crypto(), gateway.issuer.certificate())?;
        let trust = SubjectTrust::new(crypto(), &[trusted], Revocation::IfListed)?;
        let (p256, ed25519) = (P256SigningKey::generate(), Ed25519SigningKey::generate());
        let kem = KemPrivateKey::generate(suite, crypto(), &mut SystemEntropy);
        Ok(Self {
            trust,
            p256_chain: certified(gateway, RequestKey::P256(&p256))?,
            ed25519_chain: certified(gateway, RequestKey::Ed25519(&ed25519))?,
            kem_chain: certified(gateway, RequestKey::Kem(kem.public()))?,
            p256,
            ed25519,
            kem,
        })
    }

    /// Bytes of both messages of a context by certificate: when it is sent, and when the gateway
    /// knows it from before.
    fn bytes(&self, gateway: &Gateway, suite: Suite) -> Result<[Bytes; 2]> {
        let cache = RefCell::new(VerdictCache::new(1));
        let token = || CertificateToken::new(crypto(), &self.p256_chain, CertificateKey::Signs(&self.p256));
        let bytes = |token, named| {
            let (_, message) = first(gateway, suite, token, now())?;
            let fresh = gateway.receive(&gateway.cheap_check(Purpose::Context), &message, now())?;
            let token = fresh.token().expose().len();
            let proof = self.prove(&fresh, Some(&cache))?;
            let second = answer(fresh, proof)?.1.len();
            anyhow::Ok(Bytes { suite, first: message.len(), token, named, second })
        };
        let chain = self.p256_chain.iter().map(|certificate| 2 + certificate.len()).sum();
        Ok([bytes(token()?, chain)?, bytes(token()?.by_hash(), 32)?])
    }

    fn prove(&self, fresh: &Fresh, cache: Option<&RefCell<VerdictCache>>) -> Result<impl TokenProof + use<>> {
        let claimed = ClaimedCertificate::parse(fresh.token_kind(), fresh.token())?;
        let subject = match (cache, claimed.chain()) {
            (Some(cache), Some(chain)) => cache.borrow_mut().verify(crypto(), &self.trust, &chain, now())?,
            (None, Some(chain)) => self.trust.verify(crypto(), &chain, now())?,
            (Some(cache), None) => {
                let known = cache.borrow_mut().known(&self.trust, &claimed.hash(crypto()), now());
                known.ok_or_else(|| anyhow!("the certificate is not known"))?
            }
            (None, None) => bail!("a hash, and nothing is known"),
        };
        Ok(claimed.prove(crypto(), &subject, fresh.binding())?)
    }
}

fn certified(gateway: &Gateway, key: RequestKey<'_>) -> Result<Vec<Vec<u8>>> {
    let alice = SubjectId::person("alice").ok_or_else(|| anyhow!("a code"))?;
    let request = CertificateRequest::make(&RequestedName::Subject(alice.clone()), key)?;
    let request = CertificateRequest::read(crypto(), &request)?;
    let validity = Validity::starting(now(), DAY_SECS);
    let grant = SubjectGrant { subject: alice, common_name: "Alice".to_owned(), validity };
    Ok(vec![gateway.issuer.certify_subject(&request, &grant)?.der().to_vec()])
}

/// Contexts by a certificate whose key signs, its path checked each time.
pub(crate) fn signed<'a>(gateway: &'a Gateway, suite: Suite, keys: &'a Keys) -> Subject<'a> {
    certificate(gateway, suite, keys, &keys.p256_chain, CertificateKey::Signs(&keys.p256), false)
}

fn certificate<'a>(
    gateway: &'a Gateway,
    suite: Suite,
    keys: &'a Keys,
    chain: &'a [Vec<u8>],
    key: CertificateKey<'a>,
    cached: bool,
) -> Subject<'a> {
    let cache = cached.then(|| RefCell::new(VerdictCache::new(1024)));
    let token = move || Ok(CertificateToken::new(crypto(), chain, key)?);
    exchanges(gateway, suite, token, move |fresh| keys.prove(fresh, cache.as_ref()))
}

fn ticket(gateway: &Gateway, suite: Suite) -> Subject<'_> {
    let keys = TicketKeys::new(crypto(), &any_key());
    let secret = SessionSecret::new(any_key());
    let owner = TicketOwner {
        user: UserId([1; 16]),
        registration: None,
        token_class: TokenClass::Software,
        session: SessionId([2; 16]),
        proved: now(),
    };
    let issued = IssuedTicket::issue(crypto(), &mut SystemEntropy, &keys, &secret, &owner, now(), 3600);
    let kept = issued.keep(crypto(), &secret).map(|ticket| ticket.to_secret_bytes());
    let token = move || {
        let kept = kept.as_ref().map_err(|e| anyhow!("{e}"))?;
        Ok(Ticket::from_secret_bytes(kept)?.into_token(crypto()))
    };
    exchanges(gateway, suite, token, move |fresh| {
        let proved = ClaimedTicket::parse(fresh.token())?.verify(crypto(), &keys, fresh.binding(), now())?;
        Ok(proved.redeem(true, now())?.1)
    })
}

/// Whole exchanges, each side timed for a batch at once.
fn exchanges<'a, T: InitiatorToken, P: TokenProof + 'static>(
    gateway: &'a Gateway,
    suite: Suite,
    token: impl Fn() -> Result<T> + 'a,
    prove: impl Fn(&Fresh) -> Result<P> + 'a,
) -> Subject<'a> {
    let check = gateway.cheap_check(Purpose::Context);
    Box::new(move || {
        let now = now();
        let (begun, sent) =
            spent(|| (0..BATCH).map(|_| first(gateway, suite, token()?, now)).collect::<Result<Vec<_>>>());
        let (waiting, messages): (Vec<_>, Vec<_>) = sent?.into_iter().unzip();
        let (server, answers) = spent(|| {
            let accept = |first: &Vec<u8>| {
                let fresh = gateway.receive(&check, first, now)?;
                let proof = prove(&fresh)?;
                Ok(answer(fresh, proof)?.1)
            };
            messages.iter().map(accept).collect::<Result<Vec<_>>>()
        });
        let finished = finish(waiting, &answers?)?;
        Ok(Cost { server: micros_each(server, BATCH), client: micros_each(begun + finished, BATCH) })
    })
}
