//! B7: the authentication key is behind a PIN, and a token that is lost, locked or damaged says how to go on.

use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use symbolon_acceptance::{Finished, Gateway, LIMIT, PIN, Person, Signal, finish, program, scenario, step};

/// Where the file's version stands: after "SYMBOLON TOKEN\n".
const VERSION: usize = 15;

/// The time of the last wrong PIN: after magic, version, id, certificate, flag, cost, salt and counter.
fn last_failure(token: &[u8]) -> Result<Range<usize>> {
    let [high, low] = *token.get(32..).and_then(|t| t.first_chunk()).context("too short")?;
    let start = 34 + usize::from(u16::from_be_bytes([high, low])) + 1 + 12 + 16 + 1;
    Ok(start..start + 8)
}

/// Lets the wait after a wrong PIN pass, as it does for whoever waits.
fn let_time_pass(file: &Path) -> Result<()> {
    let mut token = std::fs::read(file)?;
    let time = last_failure(&token)?;
    let then = u64::from_be_bytes(token.get(time.clone()).context("too short")?.try_into()?);
    token.get_mut(time).context("too short")?.copy_from_slice(&(then - 3_600_000_000).to_be_bytes());
    with_checksum(&mut token)?;
    Ok(std::fs::write(file, token)?)
}

/// Puts the right checksum at the end of the file.
fn with_checksum(token: &mut Vec<u8>) -> Result<()> {
    token.truncate(token.len() - 32);
    let mut openssl = Command::new(program("openssl")?);
    let digest = finish(openssl.args(["dgst", "-sha256", "-binary"]), token, LIMIT)?.success()?;
    token.extend(digest.stdout);
    Ok(())
}

fn unlock_with(person: &Person, pin: &Path) -> Result<Finished> {
    let pin = pin.display().to_string();
    person.machine().run(["token", "info", "--unlock", "--pin-file", &pin])
}

#[test]
fn ten_wrong_pins_are_counted_delayed_and_lock_the_token() -> Result<()> {
    scenario!("B7: a thief at the keyboard");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let wrong = alice.secret_file("wrong", "a thief's guess")?;
    for attempt in 1..=9u64 {
        let refused = unlock_with(&alice, &wrong)?;
        assert_eq!(refused.code, Some(3));
        let left = format!("{} attempts left", 10 - attempt);
        assert!(refused.complaint().contains(&left), "{}", refused.complaint());
        assert_eq!(alice.token_info()?["failed_attempts"], attempt);
        if attempt > 3 {
            let hasty = unlock_with(&alice, &wrong)?;
            assert!(hasty.complaint().contains("wait"), "{}", hasty.complaint());
            assert_eq!(hasty.code, Some(3));
            assert_eq!(alice.token_info()?["failed_attempts"], attempt, "who is too hasty has not tried");
            let_time_pass(&alice.token())?;
        }
    }

    step!("the right PIN sets the counter back");
    unlock_with(&alice, &alice.secret_file("right", PIN)?)?.success()?;
    assert_eq!(alice.token_info()?["failed_attempts"], 0);

    step!("ten in a row lock it, also for the right PIN");
    for _ in 0..10 {
        unlock_with(&alice, &wrong)?;
        let_time_pass(&alice.token())?;
    }
    assert_eq!(alice.token_info()?["locked"], true);
    let refused = alice.sign_in_refused(3, &[])?;
    for words in ["locked", "tokens invite", "--replace"] {
        assert!(refused.contains(words), "{refused}");
    }

    step!("which is what alice does: a new invitation in her name, and the old token given up");
    let enrolled = alice.enrol(&gateway.invite(&["alice"])?, &["--replace"])?;
    assert_eq!(enrolled["user"], "alice");
    alice.sign_in(&[])?.stop()?;
    assert_eq!(gateway.users()?, ["alice"]);
    Ok(())
}

#[test]
fn an_attempt_is_counted_before_the_pin_is_tried() -> Result<()> {
    scenario!("B7: a thief who pulls the plug in the middle of each attempt");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let wrong = alice.secret_file("wrong", "a thief's guess")?.display().to_string();
    for attempt in 1..=3 {
        let mut thief = alice.machine().start(["token", "info", "--unlock", "--pin-file", &wrong])?;
        symbolon_acceptance::until(LIMIT, "the attempt on the disk", || {
            alice.token_info().ok().filter(|i| i["failed_attempts"] == attempt)
        })?;
        thief.signal(Signal::KILL).ok();
        thief.wait_exit()?;
    }
    assert_eq!(alice.token_info()?["failed_attempts"], 3);
    Ok(())
}

#[test]
fn the_pin_is_changed_by_whoever_knows_it() -> Result<()> {
    scenario!("B7: alice changes her PIN");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let new = alice.secret_file("new", "battery staple")?;
    let short = alice.secret_file("short", "12345")?;
    let change = |to: &Path| {
        alice.machine().run(alice.with_pin_file(&[
            "token",
            "change-pin",
            "--new-pin-file",
            &to.display().to_string(),
        ]))
    };
    let refused = change(&short)?;
    assert!(refused.complaint().contains("6 to 128 characters"), "{}", refused.complaint());
    assert_eq!(refused.code, Some(2));
    change(&new)?.success()?;
    alice.sign_in_refused(3, &[])?;
    unlock_with(&alice, &new)?.success()?;

    step!("a PIN is not taken from a file that others can read, nor from the command line");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644))?;
    let refused = unlock_with(&alice, &new)?;
    assert!(refused.complaint().contains("chmod 600"), "{}", refused.complaint());
    assert_eq!(refused.code, Some(3));
    alice.machine().refused(2, ["token", "info", "--unlock", "--pin", "battery staple"])?;
    Ok(())
}

#[test]
fn a_token_file_that_was_cut_altered_or_made_by_a_newer_program_says_so() -> Result<()> {
    scenario!("B7: what can happen to a file");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let whole = std::fs::read(alice.token())?;
    let copy = alice.machine().path("copy");
    alice.machine().ok(["token".as_ref(), "export".as_ref(), copy.as_os_str()])?;
    let says = |content: &[u8], words: &[&str]| -> Result<()> {
        std::fs::write(alice.token(), content)?;
        for refused in [alice.sign_in_refused(1, &[])?, alice.machine().refused(1, ["token", "info"])?] {
            assert!(words.iter().all(|w| refused.contains(w)), "{words:?}: {refused}");
        }
        assert_eq!(std::fs::read(alice.token())?, content, "it is left as it was");
        Ok(())
    };
    for length in [0, 7, 16, 40, whole.len() / 2, whole.len() - 1] {
        says(whole.get(..length).context("shorter")?, &["damaged", "token import"])?;
    }
    for at in [20, 100, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        says(&flipped, &["damaged", "token import"])?;
    }
    let mut newer = whole.clone();
    newer[VERSION] += 2;
    says(&newer, &["version 3", "newer symbolon"])?;
    let mut long = whole.clone();
    long.resize(8 * 1024 * 1024, 0);
    says(&long, &["too large"])?;

    step!("sealed bytes that were altered with care do not open, and cost an attempt like any wrong PIN");
    let mut careful = whole.clone();
    let sealed = careful.len() - 33;
    careful[sealed] ^= 1;
    with_checksum(&mut careful)?;
    std::fs::write(alice.token(), &careful)?;
    let refused = alice.sign_in_refused(3, &[])?;
    assert!(refused.contains("wrong PIN"), "{refused}");

    step!("so is an issuer that somebody would like her to trust");
    let mallory = Person::enrolled("mallory", &Gateway::start("gw.example")?)?;
    let theirs = std::fs::read(mallory.token())?;
    let start = |token: &[u8]| last_failure(token).map(|r| r.start - 1);
    let mut mixed = [&theirs[..start(&theirs)?], &whole[start(&whole)?..]].concat();
    with_checksum(&mut mixed)?;
    std::fs::write(alice.token(), &mixed)?;
    assert!(alice.sign_in_refused(3, &[])?.contains("wrong PIN"));

    step!("the copy makes it good");
    let import = alice.with_pin_file(&["token", "import", "--replace", &copy.display().to_string()]);
    alice.machine().ok(import)?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}

#[test]
fn a_token_swapped_with_anothers_opens_for_neither() -> Result<()> {
    scenario!("B7: somebody swaps two tokens");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let bob = Person::with_pin("bob", "another secret")?;
    bob.enrol(&gateway.invite(&[])?, &[])?;
    let (of_alice, of_bob) = (std::fs::read(alice.token())?, std::fs::read(bob.token())?);
    std::fs::write(alice.token(), of_bob)?;
    std::fs::write(bob.token(), of_alice)?;
    for person in [&alice, &bob] {
        assert!(person.sign_in_refused(3, &[])?.contains("wrong PIN"));
    }

    step!("an import does not overwrite another token unless told");
    let brought = alice.machine().write("brought", std::fs::read(bob.token())?)?.display().to_string();
    let import = alice.with_pin_file(&["token", "import", &brought]);
    let refused = alice.machine().refused(2, import)?;
    assert!(refused.contains("another token already") && refused.contains("--replace"), "{refused}");
    let import = alice.with_pin_file(&["token", "import", "--replace", &brought]);
    alice.machine().ok(import)?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}

#[test]
fn a_kill_at_any_moment_leaves_a_token_that_works() -> Result<()> {
    scenario!("B7: a token is saved again and again, and the power goes each time");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let pins = [PIN, "battery staple"];
    let files = ["one", "two"].into_iter().zip(pins);
    let files = files.map(|(n, p)| alice.secret_file(n, p)).collect::<Result<Vec<_>>>()?;
    let [one, two] = [&files[0], &files[1]].map(|f| f.display().to_string());
    let mut known = 0;
    for round in 0..24u64 {
        let (old, new) = if known == 0 { (&one, &two) } else { (&two, &one) };
        let before = std::fs::read(alice.token())?;
        let args = ["token", "change-pin", "--pin-file", old, "--new-pin-file", new];
        let mut changing = alice.machine().start(args)?;
        // each round is cut a little later in the work: after that many spins of looking at the file
        let mut looks = 0;
        while looks < round * 40 && changing.is_alive()? {
            looks += 1 + u64::from(std::fs::read(alice.token())? != before);
        }
        changing.signal(Signal::KILL).ok();
        changing.wait_exit()?;
        assert_eq!(alice.token_info()?["registered"], true, "whole, whatever happened");
        known = [0, 1]
            .into_iter()
            .find(|n| {
                let opened = unlock_with(&alice, &files[*n]);
                opened.is_ok_and(|f| f.code == Some(0))
            })
            .context("neither the old PIN nor the new one opens it")?;
    }
    Ok(())
}
