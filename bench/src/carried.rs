//! TLS connections that are carried on: their records against the cipher alone, and taking one over against the
//! handshake that is saved.

use crate::clock::{micros_each, spent};
use crate::measure::{Cost, Subject, interleaved};
use crate::report::{Report, Target};
use crate::tls::TlsPair;
use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::crypto::aws_lc_rs::kx_group;
use std::hint::black_box;
use symbolon_crypto::{Secret, TAG};
use symbolon_provider::crypto;
use symbolon_record::{
    Ahead, HandedOver, MAX_PLAINTEXT, Outgoing, TLS_OVERHEAD, TLS_STATE, TlsRole, TlsSession, TlsState,
    TlsSuite,
};

/// Records in a batch: some milliseconds.
const RECORDS: usize = 10_000;
/// Connections taken over in a batch.
const CONNECTIONS: usize = 1000;
/// Handshakes in a batch.
const HANDSHAKES: usize = 20;

/// One suite of each version with the cipher that most clients choose, and one with the longest secrets.
const SUITE13: TlsSuite = TlsSuite::Tls13Aes128GcmSha256;
const SUITE12: TlsSuite = TlsSuite::EcdheEcdsaAes128GcmSha256;
const LONGEST: TlsSuite = TlsSuite::Tls13Aes256GcmSha384;

/// Sealing, opening, remembering, taking over.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    // In TLS 1.3 the type is encrypted with the content.
    let [in13, bare13, in12, bare12] =
        interleaved([sealing(SUITE13)?, bare_sealing(&[23])?, sealing(SUITE12)?, bare_sealing(&[])?])?;
    for (name, ours, bare) in [("TLS 1.3", &in13, &bare13), ("TLS 1.2", &in12, &bare12)] {
        let ratio = ours.server.over(&bare.server);
        let name = format!("sealing a 16-KiB record of {name} ÷ AES-128-GCM alone");
        report.median(name, &ratio, "×", Target::AtMost(1.05));
    }
    report.median("AES-128-GCM alone, 16 KiB", &bare12.server, "µs", Target::None);
    let [opened, remembered] = interleaved([opening(SUITE13)?, remembering(SUITE13)?])?;
    report.median("opening a 16-KiB record of TLS 1.3", &opened.server, "µs", Target::None);
    report.median("writing a connection's state down", &remembered.server, "µs", Target::None);

    let pair = TlsPair::with_anonymous_clients(kx_group::X25519, &rcgen::PKCS_ECDSA_P256_SHA256)?;
    let [over13, over12, over_longest, handshake] = interleaved([
        taking_over(SUITE13)?,
        taking_over(SUITE12)?,
        taking_over(LONGEST)?,
        handshakes(&pair),
    ])?;
    for (suite, ours) in [(SUITE13, &over13), (SUITE12, &over12), (LONGEST, &over_longest)] {
        let ratio = ours.server.over(&handshake.server);
        let name = format!("taking a connection's keys over ÷ full handshake of rustls, {suite:?}");
        report.median(name, &ratio, "×", Target::AtMost(0.05));
    }
    report.median("taking a connection's keys over", &over13.server, "µs", Target::None);
    report.median("full handshake of rustls, X25519, P-256, server", &handshake.server, "µs", Target::None);
    Ok(())
}

/// A server's side with made-up secrets.
fn state(suite: TlsSuite) -> Result<TlsState> {
    let (key_length, secret) = (suite.cipher().key_length(), vec![3; suite.secret_length()]);
    let (mut key, mut iv) = (vec![3; key_length], [3; 12]);
    if !secret.is_empty() {
        key = expand(&secret, b"key", key_length)?;
        iv.copy_from_slice(&expand(&secret, b"iv", 12)?);
    }
    let traffic_secret = (!secret.is_empty()).then_some(secret.as_slice());
    let direction = HandedOver { sequence: 0, key: &key, iv: &iv, traffic_secret };
    Ok(TlsState::after_handshake(crypto(), TlsRole::Server, suite, direction, direction)?)
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
fn expand(secret: &[u8], label: &[u8], length: usize) -> Result<Vec<u8>> {
    let info: [&[u8]; 4] = [&[0, length as u8, 6 + label.len() as u8], b"tls13 ", label, &[0]];
    let okm: Secret<48> = match (Secret::from_slice(secret), Secret::from_slice(secret)) {
        (Some(secret), _) => crypto().expand(&secret, &info),
        (_, Some(secret)) => crypto().expand_sha384(&secret, &info),
        _ => return Err(anyhow!("no hash is so long")),
    };
    Ok(okm.expose()[..length].to_vec())
}

fn session(suite: TlsSuite) -> Result<TlsSession> {
    Ok(TlsSession::resume(crypto(), &state(suite)?))
}

/// As a gateway does it: pinned, sealed from where the data lies, sent.
fn sealing(suite: TlsSuite) -> Result<Subject<'static>> {
    let payload = vec![7; MAX_PLAINTEXT];
    let mut out = vec![0; MAX_PLAINTEXT + TLS_OVERHEAD];
    let state = state(suite)?;
    Ok(Box::new(move || {
        let mut session = TlsSession::resume(crypto(), &state);
        let (took, result) = spent(|| {
            (0..RECORDS).try_for_each(|_| {
                session.pin(Outgoing::Data, payload.len())?;
                session.seal(black_box(&payload), black_box(&mut out))?;
                session.sent()
            })
        });
        result?;
        Ok(Cost { server: micros_each(took, RECORDS), client: 0.0 })
    }))
}

/// The cipher's own call that goes from one place to another, with `last` behind the payload.
fn bare_sealing(last: &'static [u8]) -> Result<Subject<'static>> {
    let failed = |_| anyhow!("the cipher failed");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[3; 16]).map_err(failed)?);
    let payload = vec![7; MAX_PLAINTEXT];
    let (mut out, mut rest) = (vec![0; MAX_PLAINTEXT], vec![0; last.len() + TAG]);
    let mut sequence = 0u64;
    Ok(Box::new(move || {
        let (took, result) = spent(|| {
            (0..RECORDS).try_for_each(|_| {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&sequence.to_be_bytes());
                sequence += 1;
                key.seal_out_of_place_scatter(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from([0; 5]),
                    black_box(&payload),
                    black_box(&mut out),
                    last,
                    &mut rest,
                )
            })
        });
        result.map_err(failed)?;
        Ok(Cost { server: micros_each(took, RECORDS), client: 0.0 })
    }))
}

/// The same record again and again, which is never received.
fn opening(suite: TlsSuite) -> Result<Subject<'static>> {
    let mut record = Vec::new();
    // Both directions have the same keys here.
    session(suite)?.send(Outgoing::Data, &vec![7; MAX_PLAINTEXT], &mut record)?;
    let session = session(suite)?;
    let mut out = vec![0; record.len()];
    Ok(Box::new(move || {
        let (took, result) = spent(|| {
            (0..RECORDS).try_for_each(|_| {
                let mut ahead: Ahead = session.ahead();
                session.open_from(&mut ahead, black_box(&record), black_box(&mut out)).map(drop)
            })
        });
        result?;
        Ok(Cost { server: micros_each(took, RECORDS), client: 0.0 })
    }))
}

fn remembering(suite: TlsSuite) -> Result<Subject<'static>> {
    const TIMES: usize = 100_000;
    let session = session(suite)?;
    let mut out = [0; TLS_STATE];
    Ok(Box::new(move || {
        let (took, ()) = spent(|| (0..TIMES).for_each(|_| session.write_state(black_box(&mut out))));
        Ok(Cost { server: micros_each(took, TIMES), client: 0.0 })
    }))
}

fn taking_over(suite: TlsSuite) -> Result<Subject<'static>> {
    let bytes = state(suite)?.to_bytes();
    Ok(Box::new(move || {
        let (took, result) = spent(|| {
            (0..CONNECTIONS).try_for_each(|_| {
                let state = TlsState::from_bytes(black_box(bytes.expose()))?;
                black_box(TlsSession::resume(crypto(), &state));
                anyhow::Ok(())
            })
        });
        result?;
        Ok(Cost { server: micros_each(took, CONNECTIONS), client: 0.0 })
    }))
}

fn handshakes(pair: &TlsPair) -> Subject<'_> {
    Box::new(|| {
        let mut server = std::time::Duration::ZERO;
        for _ in 0..HANDSHAKES {
            server += pair.handshake()?.server;
        }
        Ok(Cost { server: micros_each(server, HANDSHAKES), client: 0.0 })
    })
}
