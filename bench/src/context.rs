//! Opening a context (room A): our code against its primitives, and against TLS.

use crate::bare::{self, BareKem};
use crate::clock::{micros_each, spent};
use crate::measure::{Cost, Costs, Subject, interleaved};
use crate::parties::{GATEWAY, Gateway, answer, first, now};
use crate::report::{Report, Target};
use crate::tls::TlsPair;
use anyhow::{Result, anyhow};
use rustls::crypto::aws_lc_rs::kx_group;
use symbolon_context::{AwaitSecond, PasswordCheck, PasswordToken, PasswordVerifier};
use symbolon_crypto::{InitiatorToken, Purpose, SecretBytes, Suite, TokenProof, TranscriptHash};
use symbolon_policy::{CanonName, PasswordGateways};
use symbolon_provider::SystemEntropy;

/// Exchanges in a batch: the clock is read for all of them at once.
const BATCH: usize = 64;
/// Handshakes of TLS in a batch; these are timed step by step, each step being long enough.
const HANDSHAKES: usize = 24;

/// Room A with both kinds of token and both suites.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let gateway = Gateway::new()?;
    for suite in Suite::ALL {
        let tls = tls_pairs(suite)?;
        let [challenge, challenge_bare, password, password_bare, ed25519, p256] = interleaved([
            challenge(&gateway, suite)?,
            bare_exchange(suite, CHALLENGE_MACS)?,
            password(&gateway, suite)?,
            bare_exchange(suite, 0)?,
            tls_handshakes(&tls[0]),
            tls_handshakes(&tls[1]),
        ])?;
        for (kind, costs, limit) in
            [("SSK response", &challenge, &challenge_bare), ("password", &password, &password_bare)]
        {
            let name = |what: &str| format!("context core, {kind}, {suite}: {what}");
            let ratio = costs.server.over(&limit.server);
            report.median(name("server CPU ÷ its primitives"), &ratio, "×", Target::AtMost(1.15));
            report.median(name("server CPU"), &costs.server, "µs", Target::None);
            report.median(name("its primitives"), &limit.server, "µs", Target::None);
            report.median(name("client CPU"), &costs.client, "µs", Target::None);
        }
        compare_with_tls(report, suite, &challenge, [(&ed25519, "Ed25519"), (&p256, "P-256")]);
        sizes(report, &gateway, suite, &tls)?;
    }
    report.value("checking a password (Argon2id, 19 MiB, 2 passes)", argon2id()?, "ms", Target::None);
    report.note("Password: Argon2id is in neither side of the ratio; it is reported by itself.");
    Ok(())
}

/// HMACs of a response: key of the exchange, key of the number, the gateway's own mark on the
/// number, contribution to the session.
const CHALLENGE_MACS: usize = 4;

fn challenge(gateway: &Gateway, suite: Suite) -> Result<Subject<'_>> {
    let token = gateway.token()?;
    let check = gateway.cheap_check(Purpose::Context);
    Ok(Box::new(move || {
        let now = now();
        let (begun, sent) = spent(|| {
            (0..BATCH).map(|_| first(gateway, suite, token.challenge(), now)).collect::<Result<Vec<_>>>()
        });
        let (waiting, messages): (Vec<_>, Vec<_>) = sent?.into_iter().unzip();
        let (server, answers) = spent(|| {
            let accept = |first: &Vec<u8>| {
                let fresh = gateway.receive(&check, first, now)?;
                let proof = gateway.check_response(&fresh, now)?;
                Ok(answer(fresh, proof)?.1)
            };
            messages.iter().map(accept).collect::<Result<Vec<_>>>()
        });
        let finished = finish(waiting, &answers?)?;
        Ok(Cost { server: micros_each(server, BATCH), client: micros_each(begun + finished, BATCH) })
    }))
}

fn password(gateway: &Gateway, suite: Suite) -> Result<Subject<'_>> {
    let check = gateway.cheap_check(Purpose::Context);
    let user = CanonName::parse("alice")?;
    let policy = PasswordGateways::new([GATEWAY]);
    let permitted = policy.permit(GATEWAY).ok_or_else(|| anyhow!("policy names the gateway"))?;
    let token = move || -> Result<PasswordToken> {
        let secret = SecretBytes::new(b"correct horse battery staple".to_vec());
        Ok(PasswordToken::new(user.clone(), secret, &gateway.verified, &permitted)?)
    };
    Ok(Box::new(move || {
        let now = now();
        let (begun, sent) =
            spent(|| (0..BATCH).map(|_| first(gateway, suite, token()?, now)).collect::<Result<Vec<_>>>());
        let (waiting, messages): (Vec<_>, Vec<_>) = sent?.into_iter().unzip();
        let (server, answers) = spent(|| {
            let accept = |first: &Vec<u8>| {
                let fresh = gateway.receive(&check, first, now)?;
                PasswordCheck::claimed_name(fresh.token())?.map_err(|()| anyhow!("a name"))?;
                let proof = WithoutArgon2id(*fresh.binding());
                Ok(answer(fresh, proof)?.1)
            };
            messages.iter().map(accept).collect::<Result<Vec<_>>>()
        });
        let finished = finish(waiting, &answers?)?;
        Ok(Cost { server: micros_each(server, BATCH), client: micros_each(begun + finished, BATCH) })
    }))
}

pub(crate) fn finish<T: InitiatorToken>(
    waiting: Vec<AwaitSecond<T>>,
    answers: &[Vec<u8>],
) -> Result<std::time::Duration> {
    let (took, result) = spent(|| -> Result<()> {
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            waiting.finish(answer)?;
        }
        Ok(())
    });
    result?;
    Ok(took)
}

/// Stands for a password that was right, so that its Argon2id does not drown everything else.
struct WithoutArgon2id(TranscriptHash);

impl TokenProof for WithoutArgon2id {
    fn binding(&self) -> &TranscriptHash {
        &self.0
    }
}

/// What the acceptor cannot do without: it opens what was sealed to its key, it makes a secret with
/// the ephemeral key, and it checks the response.
fn bare_exchange(suite: Suite, macs: usize) -> Result<Subject<'static>> {
    let kem = BareKem::new(suite)?;
    Ok(Box::new(move || {
        let (took, result) = spent(|| -> Result<()> {
            for _ in 0..BATCH {
                kem.decapsulate()?;
                kem.encapsulate()?;
                for _ in 0..macs {
                    bare::mac(&[9; 32], &[3; 96]);
                }
            }
            Ok(())
        });
        result?;
        Ok(Cost { server: micros_each(took, BATCH), client: 0.0 })
    }))
}

/// The same key agreement in TLS, with certificates of Ed25519 and of P-256.
fn tls_pairs(suite: Suite) -> Result<[TlsPair; 2]> {
    let group = if suite == Suite::XWing { kx_group::X25519MLKEM768 } else { kx_group::X25519 };
    Ok([TlsPair::new(group, &rcgen::PKCS_ED25519)?, TlsPair::new(group, &rcgen::PKCS_ECDSA_P256_SHA256)?])
}

/// Full handshakes, each timed on both sides.
pub(crate) fn tls_handshakes(pair: &TlsPair) -> Subject<'_> {
    Box::new(|| {
        let (mut server, mut client) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        for _ in 0..HANDSHAKES {
            let took = pair.handshake()?;
            server += took.server;
            client += took.client;
        }
        Ok(Cost { server: micros_each(server, HANDSHAKES), client: micros_each(client, HANDSHAKES) })
    })
}

fn compare_with_tls(report: &mut Report, suite: Suite, ours: &Costs, theirs: [(&Costs, &str); 2]) {
    for (tls, certificates) in theirs {
        let name = |what: &str| {
            format!("context core, SSK response, {suite}: {what} TLS 1.3 mutual, {certificates}")
        };
        report.median(name("server CPU ÷"), &ours.server.over(&tls.server), "×", Target::None);
        report.median(name("client CPU ÷"), &ours.client.over(&tls.client), "×", Target::None);
        report.median(name("server CPU of"), &tls.server, "µs", Target::None);
    }
}

fn sizes(report: &mut Report, gateway: &Gateway, suite: Suite, tls: &[TlsPair; 2]) -> Result<()> {
    let token = gateway.token()?;
    let (_, message) = first(gateway, suite, token.challenge(), now())?;
    let fresh = gateway.receive(&gateway.cheap_check(Purpose::Context), &message, now())?;
    let proof = gateway.check_response(&fresh, now())?;
    let (_, second) = answer(fresh, proof)?;
    let name = |what: &str| format!("context core, SSK response, {suite}: {what}");
    report.value(name("first message"), message.len() as f64, "B", Target::None);
    report.value(name("second message"), second.len() as f64, "B", Target::None);
    report.value(name("TLS 1.3 mutual, Ed25519"), tls[0].handshake()?.bytes as f64, "B", Target::None);
    Ok(())
}

/// Milliseconds of CPU for one right password.
fn argon2id() -> Result<f64> {
    let password = SecretBytes::new(b"correct horse battery staple".to_vec());
    let verifier = PasswordVerifier::new(&password, &mut SystemEntropy)?;
    let check = PasswordCheck::new(&mut SystemEntropy)?;
    let gateway = Gateway::new()?;
    let policy = PasswordGateways::new([GATEWAY]);
    let permitted = policy.permit(GATEWAY).ok_or_else(|| anyhow!("policy names the gateway"))?;
    let mut token = PasswordToken::new(CanonName::parse("alice")?, password, &gateway.verified, &permitted)?;
    let binding = TranscriptHash([0; 32]);
    let body = token.present(&binding)?.body;
    let (took, proof) = spent(|| check.verify(&body, Some(&verifier), &binding));
    proof?;
    Ok(took.as_secs_f64() * 1e3)
}
