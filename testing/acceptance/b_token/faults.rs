//! What goes wrong around a token and its node: full and read-only disks, two nodes in one place, and how it is told.

use anyhow::{Context, Result};
use symbolon_acceptance::{Gateway, LIMIT, Person, SmallDisk, free_port, scenario, step};

#[test]
fn a_token_that_cannot_be_written_costs_no_invitation() -> Result<()> {
    scenario!("B7: alice enrols on a full disk, then on a read-only one");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let dir = alice.token().parent().context("no directory")?.to_owned();
    let disk = SmallDisk::at(&dir, 256)?;
    let link = gateway.invite(&[])?;
    let enrol = alice.machine().symbolon(alice.enrol_words(&link, &[]));
    disk.fill()?;
    let refused = disk.run(&enrol)?;
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(refused.complaint().contains("make room"), "{}", refused.complaint());
    disk.free()?;
    disk.remount("ro")?;
    let refused = disk.run(&enrol)?;
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(refused.complaint().contains("for writing"), "{}", refused.complaint());
    assert_eq!(gateway.users()?, Vec::<String>::new());
    disk.remount("rw")?;

    step!("with room the same invitation is good");
    disk.run(&enrol)?.success()?;
    let token = disk.read(&alice.token())?;

    step!("on a full disk no attempt at the PIN can be counted, so none is made, and the token stays");
    disk.fill()?;
    let unlock = alice.machine().symbolon(alice.with_pin_file(&["token", "info", "--unlock"]));
    let refused = disk.run(&unlock)?;
    assert!(refused.complaint().contains("the PIN is not tried"), "{}", refused.complaint());
    let second = alice.machine().symbolon(alice.enrol_words(&gateway.invite(&["alice"])?, &[]));
    assert_eq!(disk.run(&second)?.code, Some(1));
    assert_eq!(disk.read(&alice.token())?, token);
    disk.free()?;
    disk.run(&unlock)?.success()?;
    Ok(())
}

#[test]
fn a_node_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room() -> Result<()> {
    scenario!("B5: the node's disk is full");
    let mut gateway = Gateway::on_small_disk("gw.example", 8 * 1024)?;
    let alice = Person::enrolled("alice", &gateway)?;
    let agent = alice.sign_in(&[])?;
    let link = gateway.invite(&[])?;
    let bob = Person::new("bob")?;
    let invitations = (0..30).map(|_| gateway.invite(&[])).collect::<Result<Vec<_>>>()?;
    gateway.disk()?.fill()?;
    // the store's files have room of their own for a while: people come until it is used up
    let mut came = vec!["alice".to_owned()];
    let mut invitations = invitations.into_iter();
    let refused = loop {
        let guest = Person::new(&format!("guest-{}", came.len()))?;
        let invitation = invitations.next().context("the disk never gets full")?;
        let outcome = guest.machine().run_with(guest.enrol_words(&invitation, &[]), b"", LIMIT)?;
        if outcome.code != Some(0) {
            break outcome;
        }
        came.push(guest.name().to_owned());
    };
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(refused.complaint().contains("nothing was changed"), "{}", refused.complaint());
    gateway.wait_line(|l| l.contains("no space left"))?;

    step!("it is killed, and what it had acknowledged is there: {} users", came.len());
    gateway.kill()?;
    gateway.disk()?.free()?;
    gateway.up()?;
    let mut users = gateway.users()?;
    users.sort();
    came.sort();
    assert_eq!(users, came);
    gateway.admin_json(&["audit", "verify"])?;
    bob.enrol(&link, &[])?;
    agent.stop()?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}

#[test]
fn a_node_that_cannot_have_its_directory_or_port_says_why() -> Result<()> {
    scenario!("starting a node where none can start");
    let gateway = Gateway::start("gw.example")?;
    let dir = gateway.dir().display().to_string();
    let serve = |dir: &str, listen: &str| {
        gateway.machine().refused(1, ["--dir", dir, "serve", "--listen", listen, "--name", "gw.example"])
    };
    let free = format!("127.0.0.1:{}", free_port()?);

    step!("where one runs already: its process is named");
    let refused = serve(&dir, &free)?;
    assert!(refused.contains(&gateway.pid()?.to_string()) && refused.contains("--dir"), "{refused}");

    step!("on a port that is taken: how to see by whom, and how to take another");
    let other = gateway.machine().path("other").display().to_string();
    let refused = serve(&other, &gateway.address())?;
    assert!(refused.contains("is taken") && refused.contains("--listen"), "{refused}");

    step!("on a disk that cannot be written");
    let disk = SmallDisk::at(&gateway.machine().path("disk"), 4096)?;
    disk.remount("ro")?;
    let dir = gateway.machine().path("disk/node").display().to_string();
    let serve =
        gateway.machine().symbolon(["--dir", &dir, "serve", "--listen", &free, "--name", "gw.example"]);
    let refused = disk.run(&serve)?;
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(
        refused.complaint().contains(&dir) && refused.complaint().contains("fix: "),
        "{}",
        refused.complaint()
    );

    step!("under another name than its certificate has");
    let mut gateway = gateway;
    gateway.stop()?;
    let dir = gateway.dir().display().to_string();
    let refused = gateway
        .machine()
        .refused(2, ["--dir", &dir, "serve", "--listen", &free, "--name", "else.example"])?;
    assert!(refused.contains("gw.example"), "{refused}");

    step!("with a file of its keys damaged");
    std::fs::write(gateway.dir().join("identity.key"), "no key")?;
    let refused =
        gateway.machine().refused(1, ["--dir", &dir, "serve", "--listen", &free, "--name", "gw.example"])?;
    assert!(refused.contains("identity.key") && refused.contains("fix: "), "{refused}");
    Ok(())
}

#[test]
fn every_failure_has_its_exit_code_and_the_same_words_as_json() -> Result<()> {
    scenario!("exit codes: 1 failure, 2 usage, 3 denied, 4 unreachable");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let bob = Person::new("bob")?;
    let fails = |person: &Person, code: i32, word: &str, args: &[String]| -> Result<()> {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let finished = person.machine().run(&args)?;
        let told = finished.json()?;
        assert_eq!(finished.code, Some(code), "{args:?}: {told}");
        assert_eq!((&told["schema"], &told["ok"]), (&1.into(), &false.into()));
        assert_eq!(told["error"]["code"], word, "{told}");
        assert!(told["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{told}");
        Ok(())
    };
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    fails(&bob, 2, "usage", &words(&["login"]))?;
    fails(&bob, 2, "usage", &words(&["enrol", "nonsense"]))?;
    fails(&bob, 2, "usage", &words(&["--no-such-flag"]))?;
    fails(&bob, 4, "unreachable", &words(&["ls"]))?;
    fails(&bob, 3, "denied", &bob.enrol_words(&gateway.invite(&["carol"])?, &[]))?;
    std::fs::create_dir_all(bob.token().parent().context("no directory")?)?;
    std::fs::write(bob.token(), "SYMBOLON TOKEN\n\u{1}")?;
    fails(&bob, 1, "failure", &words(&["token", "info"]))?;
    let link = gateway.invite(&[])?;
    gateway.stop()?;
    fails(&alice, 4, "unreachable", &alice.with_pin_file(&["login"]))?;
    fails(&bob, 4, "unreachable", &bob.enrol_words(&link, &["--replace"]))?;
    let no_node = gateway.admin_refused(4, &["users", "list"])?;
    assert!(no_node.contains("serve"), "{no_node}");
    Ok(())
}
