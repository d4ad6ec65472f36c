//! Registration (B3–B7), the gateway's side in the core, against its primitives.

use crate::bare::{self, BareKem};
use crate::clock::{micros_each, spent};
use crate::measure::{Cost, Subject, interleaved};
use crate::parties::{Gateway, now};
use crate::report::{Report, Target};
use crate::user;
use anyhow::{Result, anyhow};
use symbolon_crypto::{Purpose, Suite};
use symbolon_policy::{AccessPath, CanonName, TokenClass, UserCode};
use symbolon_provider::SystemEntropy;
use symbolon_token::{
    AwaitReply, RegistrationGrant, RegistrationOpened, RegistrationRequest, RegistrationTemplate,
};

/// Registrations in a batch.
const BATCH: usize = 64;

/// HMACs that a registration is about: the authentication key out of both halves (extract and
/// expand), and a confirmation each way.
const MACS: usize = 4;

/// Request, reply, confirmation and done, with both suites.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let gateway = Gateway::new()?;
    for suite in Suite::ALL {
        let [ours, limit] = interleaved([registrations(&gateway, suite)?, bare_registrations(suite)?])?;
        let name = |what: &str| format!("registration, {suite}: {what}");
        let ratio = ours.server.over(&limit.server);
        report.median(name("server CPU ÷ its primitives"), &ratio, "×", Target::AtMost(1.2));
        report.median(name("server CPU"), &ours.server, "µs", Target::None);
        report.median(name("its primitives"), &limit.server, "µs", Target::None);
        report.median(name("client CPU"), &ours.client, "µs", Target::None);
    }
    Ok(())
}

fn registrations(gateway: &Gateway, suite: Suite) -> Result<Subject<'_>> {
    let check = gateway.cheap_check(Purpose::Registration);
    let template = RegistrationTemplate::shipped()
        .into_iter()
        .find(|t| t.name().as_str() == "person")
        .ok_or_else(|| anyhow!("no template for a person"))?;
    let request = RegistrationRequest {
        template: template.name().clone(),
        answers: user::answers(&template, "alice")?,
        invitation: None,
        class: TokenClass::Software,
        label: "work laptop".to_owned(),
    };
    let grant = RegistrationGrant {
        registration_id: [4; 16],
        user_code: UserCode::parse("alice")?,
        user: CanonName::parse("alice")?,
        access_path: AccessPath::parse("/people/alice")?,
        awaits_approval: false,
        next_number: [8; 32],
    };
    Ok(Box::new(move || {
        let now = now();
        let begin = |_| {
            AwaitReply::begin(gateway.crypto, &mut SystemEntropy, &gateway.verified, &[suite], &request, now)
        };
        let (begun, sent) = spent(|| (0..BATCH).map(begin).collect::<Result<Vec<_>, _>>());
        let (waiting, requests): (Vec<_>, Vec<_>) = sent?.into_iter().unzip();
        let (replied, replies) = spent(|| {
            let accept = |request: &Vec<u8>| {
                let content = gateway.open(&check, request)?;
                let fresh = RegistrationOpened::read(gateway.crypto, content, now)?.first_time(true, now)?;
                let (_key, reply, confirm) = fresh.accept(&mut SystemEntropy, &grant)?;
                Ok((reply, confirm))
            };
            requests.iter().map(accept).collect::<Result<Vec<_>>>()
        });
        let (replies, confirms): (Vec<_>, Vec<_>) = replies?.into_iter().unzip();
        let (finished, confirmations) = spent(|| {
            let finish = |(waiting, reply): (AwaitReply, &Vec<u8>)| waiting.finish(reply);
            waiting.into_iter().zip(&replies).map(finish).collect::<Result<Vec<_>, _>>()
        });
        let confirmations = confirmations?;
        let (confirmed, done) = spent(|| {
            confirms
                .into_iter()
                .zip(&confirmations)
                .map(|(waiting, (_, _, confirmation))| waiting.confirm(confirmation))
                .collect::<Result<Vec<_>, _>>()
        });
        for ((_, waiting, _), done) in confirmations.into_iter().zip(done?) {
            waiting.finish(&done)?;
        }
        Ok(Cost {
            server: micros_each(replied + confirmed, BATCH),
            client: micros_each(begun + finished, BATCH),
        })
    }))
}

fn bare_registrations(suite: Suite) -> Result<Subject<'static>> {
    let kem = BareKem::new(suite)?;
    Ok(Box::new(move || {
        let (took, result) = spent(|| -> Result<()> {
            for _ in 0..BATCH {
                kem.decapsulate()?;
                kem.encapsulate()?;
                for _ in 0..MACS {
                    bare::mac(&[9; 32], &[3; 96]);
                }
            }
            Ok(())
        });
        result?;
        Ok(Cost { server: micros_each(took, BATCH), client: 0.0 })
    }))
}
