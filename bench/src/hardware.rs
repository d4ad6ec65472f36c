//! A key in a SoftHSM token: our HMAC against the bare PKCS#11 call, and the token's share of a sign-in.
//!
//! SoftHSM reads where its tokens are from the environment, so all of it runs in a child process with
//! an environment of its own; the parent only makes the token and reports.

use crate::child;
use crate::clock::{micros_each, spent};
use crate::measure::{ROUNDS, Samples};
use crate::parties::{GATEWAY, Gateway, any_key, first, now};
use crate::report::{Report, Target};
use anyhow::{Context as _, Result, anyhow, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use serde_json::{Value, json};
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;
use symbolon_crypto::Suite;
use symbolon_hardware::{Device, DeviceKey, DevicePin, OpenDevice, Pkcs11Uri};
use symbolon_policy::UserCode;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::challenge::{ChallengeToken, Claimant};
use symbolon_token::{AuthenticationKey as _, SoftwareKey};

/// The role of the child.
pub(crate) const ROLE: &str = "hardware";

/// Where Debian puts SoftHSM's module.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "bench";
const PIN: &str = "4321";

/// HMACs in a batch; some milliseconds.
const BATCH: usize = 128;
/// First messages in a batch.
const MESSAGES: usize = 16;
/// Logins that are timed one by one.
const LOGINS: usize = 11;

/// What a challenge's key is computed from: label, names, roles and transcript.
const MESSAGE: [u8; 96] = [7; 96];

/// The share of the bare call's speed that our key must keep.
const KEPT: f64 = 0.9;

/// Measures in a child and reports.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let tokens = directory.path().join("tokens");
    std::fs::create_dir(&tokens)?;
    let conf = directory.path().join("softhsm2.conf");
    std::fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display()))?;
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", PIN])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .context("softhsm2-util is not installed: `cargo xtask setup` installs what is needed")?;
    ensure!(made.status.success(), "softhsm2-util: {}", String::from_utf8_lossy(&made.stderr));
    let measured = Command::new(std::env::current_exe()?)
        .args([child::ROLE, ROLE])
        .env("SOFTHSM2_CONF", &conf)
        .output()?;
    ensure!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
    let measured: Value = serde_json::from_slice(&measured.stdout)?;
    let samples = |name: &str| -> Result<Samples> {
        let values = measured[name].as_array().ok_or_else(|| anyhow!("the child measured no {name}"))?;
        Ok(Samples::new(values.iter().filter_map(Value::as_f64).collect()))
    };
    let (ours, bare) = (samples("ours")?, samples("bare")?);
    let (message, login) = (samples("message")?, samples("login")?);
    let speed = bare.over(&ours);
    report.median("SoftHSM: HMAC/s, our key ÷ bare call", &speed, "×", Target::AtLeast(KEPT));
    report.value("SoftHSM: HMAC per CPU second, our key", 1e6 / ours.median(), "1/s", Target::None);
    report.value("SoftHSM: HMAC per CPU second, bare call", 1e6 / bare.median(), "1/s", Target::None);
    let share = ours.over(&message);
    report.median("SoftHSM: token's share of a first message", &share, "×", Target::None);
    report.median("SoftHSM: opening with the PIN", &login, "ms", Target::None);
    Ok(())
}

/// The child: measures and prints one JSON object.
pub(crate) fn measure() -> Result<Value> {
    let uri = Pkcs11Uri::parse(&format!("pkcs11:token={LABEL}?module-path={MODULE}"))?;
    let mut login = Vec::new();
    let mut open = || -> Result<OpenDevice> {
        let device = Device::find(&uri)?;
        let before = Instant::now();
        let open = device.open(DevicePin::new(PIN.to_owned()))?;
        login.push(before.elapsed().as_secs_f64() * 1e3);
        Ok(open)
    };
    for _ in 1..LOGINS {
        drop(open()?);
    }
    let device = open()?;
    let secret = SoftwareKey::new(any_key());
    let key = device.import(crypto(), &mut SystemEntropy, [7; 16], "bench", &secret)?;
    let (session, object) = bare_session(&key)?;
    let gateway = Gateway::new()?;
    let code = UserCode::parse("alice")?;
    let ours = || {
        black_box(key.hmac(crypto(), &[&MESSAGE])?);
        Ok(())
    };
    let bare = || {
        black_box(session.sign(&Mechanism::Sha256Hmac, object, &MESSAGE)?);
        Ok(())
    };
    let message = || {
        let claimant = Claimant { registration_id: [3; 16], user: &code };
        let token = ChallengeToken::new(crypto(), &mut SystemEntropy, &key, claimant, GATEWAY, [5; 32]);
        black_box(first(&gateway, Suite::XWing, token, now())?);
        Ok(())
    };
    let (mut of_ours, mut of_bare, mut of_message) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let taken = [each(BATCH, &ours)?, each(BATCH, &bare)?, each(MESSAGES, &message)?];
        // the first round warms up
        if round > 0 {
            for (all, one) in [&mut of_ours, &mut of_bare, &mut of_message].into_iter().zip(taken) {
                all.push(one);
            }
        }
    }
    Ok(json!({ "ours": of_ours, "bare": of_bare, "message": of_message, "login": login }))
}

/// The same key through cryptoki alone; the login of this process serves both.
fn bare_session(key: &DeviceKey) -> Result<(Session, ObjectHandle)> {
    let pkcs11 = Pkcs11::new(MODULE)?;
    // our own module has started it
    let _ = pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let of_that_name =
        |slot: &cryptoki::slot::Slot| pkcs11.get_token_info(*slot).is_ok_and(|info| info.label() == LABEL);
    let slot = pkcs11.get_slots_with_token()?.into_iter().find(of_that_name).context("no such token")?;
    let session = pkcs11.open_ro_session(slot)?;
    let objects = session.find_objects(&[Attribute::Id(key.object().as_bytes().to_vec())])?;
    Ok((session, *objects.first().context("no such key")?))
}

/// CPU time of each operation in microseconds: SoftHSM computes in our own thread.
fn each(operations: usize, work: &dyn Fn() -> Result<()>) -> Result<f64> {
    let (spent, done) = spent(|| (0..operations).try_for_each(|_| work()));
    done?;
    Ok(micros_each(spent, operations))
}
