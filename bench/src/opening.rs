//! Opening a stream under a session that is there, against a TLS handshake.

use crate::clock::{micros_each, spent};
use crate::context::tls_handshakes;
use crate::measure::{Cost, Subject, interleaved};
use crate::parties::any_key;
use crate::report::{Report, Target};
use crate::tls::TlsPair;
use anyhow::{Result, bail};
use rustls::crypto::aws_lc_rs::kx_group;
use symbolon_policy::AppName;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{
    ClaimedStream, Line, SessionId, SessionSecret, StreamClaims, StreamNumbers, StreamRange, StreamReply,
    StreamRequest, StreamRoot,
};

/// Streams in a batch: one range of numbers.
const BATCH: u64 = 1024;

/// The node's side of an opening: read, authenticate, claim, accept.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let mutual = TlsPair::new(kx_group::X25519, &rcgen::PKCS_ED25519)?;
    let anonymous = TlsPair::with_anonymous_clients(kx_group::X25519, &rcgen::PKCS_ED25519)?;
    let [ours, mutual, anonymous] =
        interleaved([openings()?, tls_handshakes(&mutual), tls_handshakes(&anonymous)])?;
    report.median(
        "opening a stream ÷ rustls full handshake (mutual, X25519, Ed25519), server CPU",
        &ours.server.over(&mutual.server),
        "×",
        Target::AtMost(0.05),
    );
    report.median(
        "opening a stream ÷ rustls full handshake (clients without certificate), server CPU",
        &ours.server.over(&anonymous.server),
        "×",
        Target::None,
    );
    report.median("opening a stream, server CPU", &ours.server, "µs", Target::None);
    report.median("opening a stream, client CPU", &ours.client, "µs", Target::None);
    Ok(())
}

fn openings() -> Result<Subject<'static>> {
    let id = SessionId([6; 16]);
    let secret = SessionSecret::new(any_key());
    let root = StreamRoot::new(crypto(), id, &secret);
    let mut claims = StreamClaims::new(id);
    let mut numbers = StreamNumbers::new();
    let request = StreamRequest { app: AppName::parse("db")?, origin: Line::default() };
    let mut next = 0;
    Ok(Box::new(move || {
        let range = StreamRange::new(next, next + BATCH)?;
        next += BATCH;
        claims.grant(range)?;
        numbers.grant(range)?;
        let (begun, openings) = spent(|| {
            std::iter::from_fn(|| numbers.draw())
                .map(|number| root.open(number, &request))
                .collect::<Result<Vec<_>, _>>()
        });
        let (bodies, waiting): (Vec<_>, Vec<_>) = openings?.into_iter().map(|o| (o.body, o.reply)).unzip();
        let (server, answers) = spent(|| {
            let accept = |body| {
                let authentic = root.authenticate(ClaimedStream::receive(body)?)?;
                let (reply, _records) = claims.claim(authentic)?.accept(&mut SystemEntropy)?;
                Ok(reply)
            };
            bodies.into_iter().map(accept).collect::<Result<Vec<_>>>()
        });
        let answers = answers?;
        let (ended, accepted) = spent(|| {
            let receive = |(waiting, answer): (symbolon_session::AwaitReply, _)| waiting.receive(answer);
            waiting.into_iter().zip(answers).map(receive).collect::<Result<Vec<_>, _>>()
        });
        if accepted?.iter().any(|reply| matches!(reply, StreamReply::Refused(_))) {
            bail!("a stream was refused");
        }
        let batch = BATCH as usize;
        Ok(Cost { server: micros_each(server, batch), client: micros_each(begun + ended, batch) })
    }))
}
