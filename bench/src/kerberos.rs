//! A Kerberos ticket as authentication token, and what a Debian KDC spends on one that it gives.
//!
//! The library reads where its realm is from the environment, so our side runs in a child process with
//! an environment of its own; the parent runs the KDC and reports.

use crate::child;
use crate::clock::{micros_each, spent};
use crate::context::finish;
use crate::credentials;
use crate::measure::{Cost, Samples, Subject, interleaved};
use crate::parties::{Gateway, answer, first, now};
use crate::report::{Report, Target};
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use symbolon_acceptance::Realm;
use symbolon_crypto::{Purpose, Suite};
use symbolon_policy::CanonName;
use symbolon_tickets::kerberos::{
    CredentialCache, KerberosAcceptor, KerberosToken, Keytab, Principal, PrincipalMap, ServicePrincipal,
};

/// The role of the child.
pub(crate) const ROLE: &str = "kerberos";

/// Exchanges in a batch: each writes the library's replay file.
const BATCH: usize = 12;
/// Tickets that the KDC gives while it is watched.
const TICKETS: usize = 200;
const SERVICE: &str = "symbolon/gw.example@SYM.TEST";
const LIMIT: Duration = Duration::from_secs(20);

/// Measures in a child, and the KDC beside it.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let realm = Realm::start()?;
    realm.add_person("alice", "correct-horse")?;
    let keytab = realm.add_service(SERVICE)?;
    let place = tempfile::tempdir()?;
    let cache = place.path().join("cache");
    kinit(&realm, &cache)?;
    let measured = Command::new(std::env::current_exe()?)
        .args([child::ROLE, ROLE, &keytab.to_string_lossy()])
        .envs(realm.environment_of(&cache))
        .output()?;
    ensure!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
    let measured: Value = serde_json::from_slice(&measured.stdout)?;
    let samples = |name: &str| -> Result<Samples> {
        let values = measured[name].as_array().ok_or_else(|| anyhow!("the child measured no {name}"))?;
        Ok(Samples::new(values.iter().filter_map(Value::as_f64).collect()))
    };
    let (ours, certificate) = (samples("kerberos")?, samples("certificate")?);
    let name = |what: &str| format!("X25519, Kerberos ticket: {what}");
    report.median(name("server CPU ÷ certificate context"), &ours.over(&certificate), "×", Target::None);
    report.value(name("contexts"), 1e6 / ours.median(), "/s/core", Target::None);

    let before = realm.kdc_cpu()?;
    for _ in 0..TICKETS {
        kinit(&realm, &cache)?;
    }
    let each = (realm.kdc_cpu()? - before).as_secs_f64() / TICKETS as f64;
    ensure!(each > 0.0, "the KDC took no time at all");
    report.value(
        "Debian's KDC: tickets (AS-REQ with pre-authentication)",
        1.0 / each,
        "/s/core",
        Target::None,
    );
    report.note("The KDC's figure is from its process's clock ticks of 10 ms, over 200 tickets.");
    Ok(())
}

/// `kinit`, without a word about it.
fn kinit(realm: &Realm, cache: &Path) -> Result<()> {
    let mut kinit = Command::new("kinit")
        .arg("alice")
        .envs(realm.environment_of(cache))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("kinit")?;
    kinit.stdin.take().context("kinit reads nothing")?.write_all(b"correct-horse\n")?;
    ensure!(kinit.wait()?.success(), "kinit was refused");
    Ok(())
}

/// The child: measures and prints one JSON object.
pub(crate) fn measure(keytab: &str) -> Result<Value> {
    let gateway = Gateway::new()?;
    let service = ServicePrincipal::parse(SERVICE)?;
    let replays = tempfile::tempdir()?;
    let keys = Keytab::new(Path::new(keytab), &replays.path().join("replays"))?;
    let people =
        PrincipalMap::new().with_person(Principal::parse("alice@SYM.TEST")?, CanonName::parse("alice")?);
    let acceptor = KerberosAcceptor::new(service.clone(), keys, people);
    let keys = credentials::Keys::new(&gateway, Suite::X25519)?;
    let [kerberos, certificate] = interleaved([
        exchanges(&gateway, &service, &acceptor),
        credentials::signed(&gateway, Suite::X25519, &keys),
    ])?;
    Ok(json!({ "kerberos": kerberos.server.values(), "certificate": certificate.server.values() }))
}

fn exchanges<'a>(
    gateway: &'a Gateway,
    service: &'a ServicePrincipal,
    acceptor: &'a KerberosAcceptor,
) -> Subject<'a> {
    let check = gateway.cheap_check(Purpose::Context);
    Box::new(move || {
        let now = now();
        let token = || KerberosToken::obtain(service, &CredentialCache::Default, LIMIT).context("a ticket");
        let begun =
            (0..BATCH).map(|_| first(gateway, Suite::X25519, token()?, now)).collect::<Result<Vec<_>>>()?;
        let (waiting, messages): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
        let (server, answers) = spent(|| {
            let accept = |first: &Vec<u8>| {
                let fresh = gateway.receive(&check, first, now)?;
                let proof = acceptor.accept(fresh.token().expose(), fresh.binding())?;
                Ok(answer(fresh, proof)?.1)
            };
            messages.iter().map(accept).collect::<Result<Vec<_>>>()
        });
        finish(waiting, &answers?)?;
        Ok(Cost { server: micros_each(server, BATCH), client: 0.0 })
    })
}
