//! Whether the time of a check tells what its answer does not: two classes of input that are
//! answered alike must take as long ([`welch`]).

mod welch;

use crate::clock::spent;
use crate::measure::Samples;
use crate::parties::{GATEWAY, Gateway, any_key, first, now};
use crate::report::{Report, Target};
use anyhow::{Result, ensure};
use std::hint::black_box;
use symbolon_context::{PasswordCheck, PasswordToken, PasswordVerifier};
use symbolon_crypto::{
    CheapChecked, CookieJar, Entropy, Envelope, InitiatorToken, Purpose, Secret, SecretBytes, Suite,
    TranscriptHash, constant_time_eq,
};
use symbolon_policy::{CanonName, PasswordGateways, TokenClass, UserCode};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{
    ClaimedTicket, IssuedTicket, SessionId, SessionSecret, TicketKeys, TicketOwner, UserId,
};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::{ChallengeToken, Claimant, ClaimedResponse, GatewayNumbers};
use symbolon_wire::Decode as _;
use welch::{Class, Verdict, compare};

/// Times that are taken of each pair of classes.
const SAMPLES: usize = 400_000;
/// Comparisons in one time: one alone takes less than reading the clock.
const COMPARISONS: usize = 32;
/// Passwords of each class: Argon2id takes 12 ms.
const PASSWORDS: usize = 200;
/// From here on a difference is suspected.
const SUSPECTED: f64 = 4.5;
/// From here on there is one.
const FOUND: f64 = 10.0;

const HERE: TranscriptHash = TranscriptHash([7; 32]);

/// All pairs.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    comparisons(report)?;
    responses(report)?;
    passwords(report)?;
    tickets(report)?;
    envelopes(report)?;
    report
        .note(format!("|t| of Welch's test as dudect has it, {SAMPLES} times of CPU a pair; suspected from"));
    report.note(format!(
        "{SUSPECTED}, found from {FOUND}. The control must be found, or nothing else says much."
    ));
    report
        .note("A right key with a wrong number: only who holds the key can send that, so nobody else learns");
    report
        .note("anything. The key of nobody: what the node draws instead of opening the stored key, which is");
    report.note("in neither time.");
    Ok(())
}

fn add(report: &mut Report, name: &str, verdict: &Verdict, target: Target) {
    report.value(name, verdict.t, "t", target);
    report.value(format!("{name}: took"), verdict.took, "ns", Target::None);
    report.value(format!("{name}: difference of medians"), verdict.difference, "ns", Target::None);
    if matches!(target, Target::AtMost(_)) && (SUSPECTED..=FOUND).contains(&verdict.t) {
        report.note(format!("Suspected, and to be measured again: {name}."));
    }
}

/// Secrets of which one is equal, and the other differs in its first byte.
fn comparisons(report: &mut Report) -> Result<()> {
    let pair = |class| {
        let one = any_key();
        let mut other = *one.expose();
        other[0] ^= u8::from(class == Class::Other);
        Ok((one, Secret::new(other)))
    };
    let repeated = |equal: fn(&Secret<32>, &Secret<32>) -> bool| {
        move |(one, other): (Secret<32>, Secret<32>)| {
            (0..COMPARISONS).filter(|_| equal(black_box(&one), black_box(&other))).count()
        }
    };
    let bytes = compare(SAMPLES, pair, repeated(|a, b| constant_time_eq(a.expose(), b.expose())))?;
    add(report, "bytes that are equal, or differ in the first", &bytes, Target::AtMost(FOUND));
    let secrets = compare(SAMPLES, pair, repeated(|a, b| a == b))?;
    add(report, "secrets that are equal, or differ in the first byte", &secrets, Target::AtMost(FOUND));
    let control = compare(SAMPLES, pair, repeated(stops_early))?;
    add(report, "control: a comparison that stops early", &control, Target::AtLeast(FOUND));
    Ok(())
}

/// How not to do it.
fn stops_early(one: &Secret<32>, other: &Secret<32>) -> bool {
    one.expose().iter().zip(other.expose()).all(|(a, b)| a == b)
}

/// Responses to a challenge: what a node does for a registration that it has, and for none.
fn responses(report: &mut Report) -> Result<()> {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    let numbers = GatewayNumbers::new(crypto(), &any_key());
    let (ssk, user) = (SoftwareKey::new(any_key()), UserCode::parse("alice")?);
    let respond = |key: &SoftwareKey, number| -> Result<ClaimedResponse> {
        let claimant = Claimant { registration_id: [3; 16], user: &user };
        let mut token = ChallengeToken::new(crypto(), &mut SystemEntropy, key, claimant, GATEWAY, number);
        Ok(ClaimedResponse::parse(&token.present(&HERE)?.body)?)
    };
    let accepted = |claimed: &ClaimedResponse, key: &SoftwareKey, time| {
        claimed.verify(crypto(), key, GATEWAY, &numbers, &HERE, time).is_ok()
    };
    let (time, ours) = (now(), numbers.issue(crypto(), entropy, now()));
    let stranger = || SoftwareKey::new(any_key());
    ensure!(accepted(&respond(&ssk, ours)?, &ssk, time), "the right response is refused");

    let prepare = |class| {
        let (one, other) = (ssk.duplicate(), stranger());
        let key = if class == Class::One { one } else { other };
        Ok((respond(&stranger(), ours)?, key))
    };
    let mut wrong = 0;
    let unknown =
        compare(SAMPLES, prepare, |(claimed, key)| wrong += usize::from(accepted(&claimed, &key, time)))?;
    add(report, "response by a wrong key, or for an unknown registration", &unknown, Target::AtMost(FOUND));

    let prepare = |class| Ok((respond(&stranger(), ours)?, ssk.duplicate(), class));
    let drawn = compare(SAMPLES, prepare, |(claimed, key, class)| {
        let key = if class == Class::One { key } else { stranger() };
        wrong += usize::from(accepted(&claimed, &key, time));
    })?;
    add(report, "the same with the drawing of nobody's key", &drawn, Target::None);

    let prepare = |class| {
        let by_stranger = respond(&stranger(), ours)?;
        let by_alice = respond(&ssk, any_number())?;
        Ok((if class == Class::One { by_stranger } else { by_alice }, ssk.duplicate()))
    };
    let number =
        compare(SAMPLES, prepare, |(claimed, key)| wrong += usize::from(accepted(&claimed, &key, time)))?;
    add(report, "response by a wrong key, or by the right one to a wrong number", &number, Target::None);
    ensure!(wrong == 0, "a wrong response is accepted");
    Ok(())
}

fn any_number() -> [u8; 32] {
    *any_key().expose()
}

/// Too few for a test of their own: the medians, which the node's answer would have to show.
fn passwords(report: &mut Report) -> Result<()> {
    let secret = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
    let verifier = PasswordVerifier::new(&secret("correct horse battery staple"), &mut SystemEntropy)?;
    let check = PasswordCheck::new(&mut SystemEntropy)?;
    let gateway = Gateway::new()?;
    let permitted = PasswordGateways::new([GATEWAY]).permit(GATEWAY);
    let permitted = permitted.ok_or_else(|| anyhow::anyhow!("policy names the gateway"))?;
    let alice = CanonName::parse("alice")?;
    let body = |password: &str| -> Result<SecretBytes> {
        let mut token = PasswordToken::new(alice.clone(), secret(password), &gateway.verified, &permitted)?;
        Ok(token.present(&HERE)?.body)
    };
    let (right, wrong) = (body("correct horse battery staple")?, body("incorrect horse battery stap")?);
    ensure!(check.verify(&right, Some(&verifier), &HERE).is_ok(), "the right password is refused");
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..2 * PASSWORDS {
        // In turn, and each of them first every other time.
        let class = (round + round / 2) % 2;
        let (took, verdict) = spent(|| check.verify(&wrong, [Some(&verifier), None][class], &HERE));
        ensure!(verdict.is_err(), "a wrong password is accepted");
        times[class].push(took.as_secs_f64() * 1e3);
    }
    let [wrong, unknown] = times.map(Samples::new);
    let percent = (unknown.median() / wrong.median() - 1.0).abs() * 100.0;
    report.value("password of an unknown user, or a wrong one: medians", percent, "%", Target::AtMost(3.0));
    report.median("the same: a wrong one", &wrong, "ms", Target::None);
    Ok(())
}

/// Tickets with a MAC that does not fit, and one that fits after its ticket's time: both are refused.
fn tickets(report: &mut Report) -> Result<()> {
    let (keys, secret) = (TicketKeys::new(crypto(), &any_key()), SessionSecret::new(any_key()));
    let (begun, lifetime) = (now(), 60);
    let owner = TicketOwner {
        user: UserId([1; 16]),
        registration: None,
        token_class: TokenClass::Software,
        session: SessionId([2; 16]),
        proved: begun,
    };
    let issued = IssuedTicket::issue(crypto(), &mut SystemEntropy, &keys, &secret, &owner, begun, lifetime);
    let shown = issued.keep(crypto(), &secret)?.into_token(crypto()).present(&HERE)?.body;
    // The MAC is the last field.
    let mac = shown.expose().len() - 32;
    let claimed = |at: usize, change: u8| {
        let mut bytes = shown.duplicate().expose().to_vec();
        bytes[at] ^= change;
        Ok(ClaimedTicket::parse(&SecretBytes::new(bytes))?)
    };
    let accepted = |ticket: ClaimedTicket, time| ticket.verify(crypto(), &keys, &HERE, time).is_ok();
    let after = begun.plus_secs(lifetime + 1);
    ensure!(accepted(claimed(mac, 0)?, begun), "the right ticket is refused");

    let mut wrong = 0;
    let fits = compare(
        SAMPLES,
        |class| claimed(mac, u8::from(class == Class::Other)),
        |ticket| wrong += usize::from(accepted(ticket, after)),
    )?;
    add(report, "ticket past its time with a MAC that fits, or does not", &fits, Target::AtMost(FOUND));
    let place = compare(
        SAMPLES,
        |class| claimed(if class == Class::One { mac } else { mac + 31 }, 1),
        |ticket| wrong += usize::from(accepted(ticket, begun)),
    )?;
    add(report, "ticket with a MAC wrong in the first byte, or in the last", &place, Target::AtMost(FOUND));
    ensure!(wrong == 0, "a wrong ticket is accepted");
    Ok(())
}

/// The cheap check of a first message, and the cookie of a busy gateway.
fn envelopes(report: &mut Report) -> Result<()> {
    let gateway = Gateway::new()?;
    let check = gateway.cheap_check(Purpose::Context);
    let (_, message) = first(&gateway, Suite::X25519, gateway.token()?.challenge(), now())?;
    // After the name of the key, 8 bytes, and the suite, 2, the tag has 16.
    let (tag, last) = (10, 25);
    let changed = |at: usize, change: u8| {
        let mut bytes = message.clone();
        bytes[at] ^= change;
        Ok(Envelope::from_bytes(&bytes)?)
    };
    ensure!(check.check(crypto(), changed(tag, 0)?).is_ok(), "the right envelope is refused");
    let mut wrong = 0;
    let place = compare(
        SAMPLES,
        |class| changed(if class == Class::One { tag } else { last }, 1),
        |envelope| wrong += usize::from(check.check(crypto(), envelope).is_ok()),
    )?;
    ensure!(wrong == 0, "a wrong envelope passes");
    add(
        report,
        "envelope with a check wrong in the first byte, or in the last",
        &place,
        Target::AtMost(FOUND),
    );

    let (jar, time, address) = (CookieJar::new(any_key()), now(), b"192.0.2.1");
    let baked = jar.bake(crypto(), &check.check(crypto(), changed(tag, 0)?)?, address, time);
    let with_cookie = |at: usize, change: u8| -> Result<CheapChecked> {
        let mut cookie = baked;
        cookie[at] ^= change;
        Ok(check.check(crypto(), changed(tag, 0)?.with_cookie(cookie))?)
    };
    // After the time, 8 bytes, the MAC has 16.
    let (mac, last) = (8, 23);
    ensure!(jar.accepts(crypto(), &with_cookie(mac, 0)?, address, time), "the right cookie is refused");
    let place = compare(
        SAMPLES,
        |class| with_cookie(if class == Class::One { mac } else { last }, 1),
        |checked| wrong += usize::from(jar.accepts(crypto(), &checked, address, time)),
    )?;
    ensure!(wrong == 0, "a wrong cookie is accepted");
    add(report, "cookie with a MAC wrong in the first byte, or in the last", &place, Target::AtMost(FOUND));
    Ok(())
}
