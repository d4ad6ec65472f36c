//! B5, B6: half keys are exchanged once for each invitation, and a name makes one account.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use symbolon_acceptance::middleman::{
    HELLO, Middleman, REGISTRATION_CONFIRM, REGISTRATION_DONE, REGISTRATION_REPLY, REGISTRATION_REQUEST,
    Sender, Tamper,
};
use symbolon_acceptance::{Finished, Gateway, LIMIT, Person, Signal, scenario, step, until};

use crate::stage::{at_address, contains};

/// What every misuse of an invitation is answered with: which one it was is the operator's business.
const NOT_VALID: &str = "the invitation is unknown";

/// Somebody before the gateway who keeps its answers of this kind back.
fn withholding(gateway: &Gateway, kind: u8) -> Result<Middleman> {
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(kind));
    Ok(proxy)
}

#[test]
fn a_registration_gives_a_code_made_from_the_name_and_a_path() -> Result<()> {
    scenario!("B5, B6: alice registers");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let proxy = Middleman::before(gateway.port())?;
    let enrolled = alice.enrol(&at_address(&gateway.invite(&[])?, proxy.address())?, &[])?;
    let code = enrolled["user_code"].as_str().context("no code")?.to_owned();
    assert!(code.starts_with("alice-") && code.len() > "alice-".len() + 16, "{code}");
    assert_eq!(enrolled["access_path"], "/people/alice");

    step!("three messages after the certificates, and nothing that she answered is seen on the way");
    let passed = proxy.passed();
    let last = passed.last().context("no connection")?;
    assert_eq!(last.kinds(Sender::Client), [HELLO, REGISTRATION_REQUEST, REGISTRATION_CONFIRM]);
    assert_eq!(last.kinds(Sender::Gateway)[1..], [REGISTRATION_REPLY, REGISTRATION_DONE]);
    for passed in &passed {
        for clear in ["alice", "of the test", &code] {
            assert!(!passed.shows(clear), "{clear} went by in clear");
        }
    }

    step!("she finds both on her side, and the administrator on the other");
    let agent = alice.sign_in(&["--address", &gateway.address()])?;
    let who = alice.machine().json(["whoami"])?;
    assert_eq!(
        (who["user_code"].as_str(), who["access_path"].as_str()),
        (Some(&*code), Some("/people/alice"))
    );
    let user = gateway.admin_json(&["users", "show", "alice"])?;
    assert_eq!(user["code"], code.as_str());
    agent.stop()?;

    step!("her answers are sealed in the store, and her name is all that her token shows");
    gateway.stop()?;
    for entry in std::fs::read_dir(gateway.dir().join("store"))? {
        let file = entry?.path();
        assert!(!contains(&std::fs::read(&file)?, b"of the test"), "{} holds an answer", file.display());
    }
    assert_eq!(
        gateway.sql("select count(*) from registrations where length(ssk) > 32 and state = 'active'")?,
        "1"
    );
    let token = std::fs::read(alice.token())?;
    assert!(!contains(&token, code.as_bytes()) && !contains(&token, b"/people"), "registrations are sealed");
    Ok(())
}

#[test]
fn the_code_is_the_same_for_a_users_second_token_and_the_key_is_not() -> Result<()> {
    scenario!("B6, B7: alice gets a second token");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let laptop = Person::new("alice")?;
    let enrolled = laptop.enrol(&gateway.invite(&["alice"])?, &[])?;
    assert_eq!(Some(&enrolled["user_code"]), alice.registrations()?.first().map(|r| &r["user_code"]));
    assert_eq!(gateway.users()?, ["alice"]);
    let tokens = gateway.admin_json(&["tokens", "list"])?;
    let ids: Vec<_> =
        tokens["tokens"].as_array().context("no tokens")?.iter().filter_map(|t| t["id"].as_str()).collect();
    assert_eq!(ids.len(), 2);

    step!("one of them is lost and revoked, the other goes on");
    let agents = [alice.sign_in(&[])?, laptop.sign_in(&[])?];
    for agent in agents {
        agent.stop()?;
    }
    gateway.admin_json(&["tokens", "revoke", ids[0]])?;
    let outcomes = [&alice, &laptop].map(|person| person.sign_in(&[]).is_ok());
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1, "{outcomes:?}");
    Ok(())
}

#[test]
fn names_that_people_would_confuse_do_not_become_two_accounts() -> Result<()> {
    scenario!("B6: mallory would like to be taken for alice");
    let gateway = Gateway::start("gw.example")?;
    let _alice = Person::enrolled("alice", &gateway)?;
    let _strasse = Person::enrolled("Straße", &gateway)?;
    let link = gateway.invite(&[])?;
    for name in ["alice", "ALICE", "\u{ff21}lice", "a1ice", "al\u{131}ce", "STRASSE"] {
        let mallory = Person::new(name)?;
        let refused = mallory.enrol_refused(3, &link, &[])?;
        assert!(refused.contains("taken"), "{name}: {refused}");
        assert!(!mallory.token().exists());
    }

    step!("letters of another script are no name at all");
    let refused = Person::new("\u{430}lice")?.enrol_refused(2, &link, &[])?;
    assert!(refused.contains("user name"), "{refused}");
    assert_eq!(gateway.users()?, ["alice", "strasse"]);

    step!("none of it has cost the invitation");
    Person::new("mallory")?.enrol(&link, &[])?;
    Ok(())
}

#[test]
fn an_invitation_is_good_once_in_time_and_for_whom_it_was_made() -> Result<()> {
    scenario!("B5: invitations");
    let gateway = Gateway::start("gw.example")?;
    let bob = Person::new("bob")?;
    let refused = |link: &str, why: &str| -> Result<()> {
        let complaint = bob.enrol_refused(3, link, &[])?;
        assert!(complaint.contains(NOT_VALID) && complaint.contains("tokens invite"), "{why}: {complaint}");
        assert!(!bob.token().exists(), "{why}");
        gateway.wait_line(|l| l.contains(why)).map(drop)
    };
    let link = gateway.invite(&[])?;
    Person::new("alice")?.enrol(&link, &[])?;
    refused(&link, "was used")?;
    refused(&gateway.invite(&["carol"])?, "for another user")?;
    let brief = gateway.invite(&["--expires", "1s"])?;
    let made = Instant::now();
    until(LIMIT, "the invitation's second to pass", || (made.elapsed().as_secs() > 0).then_some(()))?;
    refused(&brief, "expired")?;
    let revoked = gateway.invite(&[])?;
    let open = gateway.admin_json(&["tokens", "list"])?;
    let open = open["invitations"].as_array().context("no invitations")?;
    let newest =
        open.iter().find(|i| i["state"] == "open" && i["user"].is_null() && i["expires"] != i["created"]);
    let hash = newest.and_then(|i| i["hash"].as_str()).context("no open invitation")?;
    gateway.admin_json(&["tokens", "revoke", hash])?;
    refused(&revoked, "revoked")?;

    step!("a link that was mistyped says so, before anybody is asked anything");
    let cut = &revoked[..revoked.len() - 20];
    let complaint = bob.enrol_refused(2, cut, &[])?;
    assert!(complaint.contains("incomplete or mistyped"), "{complaint}");

    step!("a code that nobody made is refused like the others");
    let (before, code) = revoked.split_once("&c=").context("no code")?;
    let made_up = format!("{before}&c=AAAAAAAAAAAAAAAAAAAAAA{}", &code[22..]);
    refused(&made_up, "unknown invitation")?;

    step!("without one nobody registers here");
    let end = code.get(22..).unwrap_or_default();
    let complaint = bob.enrol_refused(3, &format!("{before}{end}"), &[])?;
    assert!(complaint.contains("by invitation only"), "{complaint}");
    assert_eq!(gateway.users()?, ["alice"]);
    Ok(())
}

#[test]
fn of_two_who_race_for_one_invitation_one_wins() -> Result<()> {
    scenario!("B5: a link that two people have, at the same moment");
    let gateway = Gateway::start("gw.example")?;
    for round in 0..3 {
        let link = gateway.invite(&[])?;
        let racers = [Person::new(&format!("ann-{round}"))?, Person::new(&format!("ben-{round}"))?];
        let outcomes: Vec<Result<Finished>> = thread::scope(|scope| {
            let runs: Vec<_> = racers
                .iter()
                .map(|p| scope.spawn(|| p.machine().run_with(p.enrol_words(&link, &[]), b"", LIMIT)))
                .collect();
            runs.into_iter().map(|r| r.join().unwrap_or_else(|_| anyhow::bail!("panicked"))).collect()
        });
        let mut codes = Vec::new();
        for (racer, outcome) in racers.iter().zip(outcomes) {
            let outcome = outcome?;
            assert_eq!(racer.token().exists(), outcome.code == Some(0), "{}", outcome.complaint());
            codes.push(outcome.code);
        }
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(3)]);
        assert_eq!(gateway.users()?.len(), round + 1);
    }
    Ok(())
}

#[test]
fn an_enrolment_that_is_killed_before_its_answer_costs_no_invitation() -> Result<()> {
    scenario!("B5: the power goes after the request has left");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let link = gateway.invite(&[])?;
    for signal in [Signal::TERM, Signal::KILL] {
        let proxy = withholding(&gateway, REGISTRATION_REPLY)?;
        let mut enrol =
            alice.machine().start(alice.enrol_words(&at_address(&link, proxy.address())?, &[]))?;
        proxy.wait_for(REGISTRATION_REPLY)?;
        enrol.signal(signal)?;
        assert!(!enrol.wait_exit()?.success());
        assert!(!alice.token().exists(), "no token that knows half a registration");

        step!(
            "for ten minutes the gateway waits for her confirmation, and says that the invitation is in use"
        );
        let refused = alice.enrol_refused(3, &link, &[])?;
        assert!(refused.contains("ten minutes"), "{refused}");
        gateway.wait_line(|l| l.contains("in use by another registration"))?;

        step!("the ten minutes pass: the clock in the store is moved, the node started again");
        gateway.stop()?;
        gateway.sql(
            "update registrations set created = created - 601000000;
             update invitations set claimed_at = claimed_at - 601000000 where state = 'claimed'",
        )?;
        gateway.up()?;
        assert_eq!(gateway.users()?, Vec::<String>::new());
    }
    alice.enrol(&link, &[])?;
    alice.sign_in(&[])?.stop()?;
    assert_eq!(gateway.users()?, ["alice"]);
    Ok(())
}

#[test]
fn an_enrolment_that_is_killed_before_the_last_word_is_completed_by_signing_in() -> Result<()> {
    scenario!("B5, B7: the token is written, and then the power goes");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let proxy = withholding(&gateway, REGISTRATION_DONE)?;
    let link = at_address(&gateway.invite(&[])?, proxy.address())?;
    let mut enrol = alice.machine().start(alice.enrol_words(&link, &[]))?;
    proxy.wait_for(REGISTRATION_DONE)?;
    enrol.signal(Signal::KILL)?;
    enrol.wait_exit()?;
    alice.sign_in(&["--address", &gateway.address()])?.stop()?;
    assert_eq!(gateway.users()?, ["alice"]);
    Ok(())
}

#[test]
fn a_gateway_that_dies_in_the_middle_forgets_nothing_that_it_confirmed() -> Result<()> {
    scenario!("B5: the gateway's power goes");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    gateway.kill()?;
    gateway.up()?;
    assert_eq!(gateway.users()?, ["alice"]);
    let agent = alice.sign_in(&[])?;

    step!("once more, while bob waits for his answer");
    let bob = Person::new("bob")?;
    let proxy = withholding(&gateway, REGISTRATION_REPLY)?;
    let link = at_address(&gateway.invite(&[])?, proxy.address())?;
    let mut enrol = bob.machine().start(bob.enrol_words(&link, &[]))?;
    proxy.wait_for(REGISTRATION_REPLY)?;
    gateway.kill()?;
    assert_eq!(enrol.wait_exit()?.code(), Some(4), "{}", enrol.output());
    assert!(!bob.token().exists());
    gateway.up()?;
    assert_eq!(gateway.users()?, ["alice"]);
    assert!(gateway.admin_json(&["audit", "verify"]).is_ok());
    agent.stop()?;
    Ok(())
}
