//! B1, B2, B3: a token without a secret, gateways of one issuer, and a gateway of another.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::middleman::{HELLO, Middleman, OFFER, Sender};
use symbolon_acceptance::{Gateway, LIMIT, Machine, Person, finish, program, scenario, step};

use crate::stage::{at_address, contains};

/// What stands before a token's id: the magic line and the version.
const BEFORE_ID: usize = 16;
const ID: usize = 16;
const CHECKSUM: usize = 32;

fn blank(gateway: &Gateway, name: &str) -> Result<Vec<u8>> {
    let file = gateway.machine().path(name);
    gateway.admin_json(&["tokens", "blank", "--out", &file.display().to_string()])?;
    Ok(std::fs::read(file)?)
}

fn openssl(args: &[&str], input: &[u8]) -> Result<String> {
    let finished = finish(Command::new(program("openssl")?).args(args), input, LIMIT)?;
    Ok(finished.success()?.text())
}

/// The private numbers in the node's directory: a PKCS #8 file of P-256 has 32 bytes of them after 36 others.
fn secrets_of(gateway: &Gateway) -> Result<Vec<Vec<u8>>> {
    let read = |file: &str| std::fs::read(gateway.dir().join(file));
    let number = |file: &str| Ok(read(file)?.get(36..68).context("no PKCS #8 file")?.to_vec());
    let numbers: Vec<Vec<u8>> =
        ["issuer.key", "identity.key"].into_iter().map(number).collect::<Result<_>>()?;
    Ok(numbers.into_iter().chain([read("node.key")?]).collect())
}

#[test]
fn a_blank_token_holds_the_issuers_certificate_and_no_secret() -> Result<()> {
    scenario!("B1: an administrator makes tokens to hand out");
    let gateway = Gateway::start("gw.example")?;
    let (one, two) = (blank(&gateway, "one")?, blank(&gateway, "two")?);

    step!("two of them differ in their numbers and in nothing else, so there is no room for a secret");
    ensure!(one.len() == two.len());
    let id = BEFORE_ID..BEFORE_ID + ID;
    let content = one.len() - CHECKSUM;
    assert_ne!(one[id.clone()], two[id.clone()]);
    assert_eq!(one[..id.start], two[..id.start]);
    assert_eq!(one[id.end..content], two[id.end..content]);

    step!("what they have in common is the issuer's certificate, which openssl reads out of the file");
    let certificate = std::fs::read(gateway.dir().join("issuer.crt"))?;
    let at = one.windows(certificate.len()).position(|w| w == certificate).context("no certificate in it")?;
    let issued = openssl(&["x509", "-inform", "DER", "-noout", "-subject", "-pubkey"], &one[at..content])?;
    assert!(issued.contains("Symbolon issuer") && issued.contains("BEGIN PUBLIC KEY"), "{issued}");
    // id, length of the certificate, "no registrations"
    assert_eq!(content, BEFORE_ID + ID + 2 + certificate.len() + 1);
    for secret in secrets_of(&gateway)? {
        assert!(!contains(&one, &secret), "a private key is in the token");
    }

    step!("whoever finds it learns that it is blank");
    let finder = Person::new("finder")?;
    let file = finder.machine().write("found", &one)?;
    let told = finder.machine().ok(["token".as_ref(), "import".as_ref(), file.as_os_str()])?;
    assert!(told.contains("blank"), "{told}");
    let refused = finder.sign_in_refused(2, &[])?;
    assert!(refused.contains("not registered") && refused.contains("enrol"), "{refused}");
    Ok(())
}

#[test]
fn the_issuer_gives_each_gateway_a_key_and_a_certificate() -> Result<()> {
    scenario!("B2: two gateways of one issuer");
    let first = Gateway::start("one.example")?;
    let second = Gateway::of_the_issuer_of(&first, "two.example")?;
    let issuer = first.machine().path("issuer.pem");
    let pem = |file: &Path| openssl(&["x509", "-inform", "DER", "-in", &file.display().to_string()], b"");
    std::fs::write(&issuer, pem(&first.dir().join("issuer.crt"))?)?;
    let mut keys = Vec::new();
    for gateway in [&first, &second] {
        let identity = gateway.machine().path("identity.pem");
        std::fs::write(&identity, pem(&gateway.dir().join("identity.crt"))?)?;
        let (issuer, identity) = (issuer.display().to_string(), identity.display().to_string());
        let name = ["-verify_hostname", gateway.name()];
        let verified = openssl(&[&["verify", "-CAfile", &issuer], &name[..], &[&identity]].concat(), b"")?;
        assert!(verified.ends_with(": OK"), "{verified}");
        keys.push(openssl(&["x509", "-noout", "-pubkey", "-in", &identity], b"")?);
    }
    assert_ne!(keys[0], keys[1], "each has a key of its own");
    Ok(())
}

#[test]
fn the_issuers_key_can_stay_on_a_machine_without_network() -> Result<()> {
    scenario!("B2: the issuer's key is taken out of the gateway's directory, into a vault");
    let mut gateway = Gateway::start("gw.example")?;
    let vault = Machine::new("vault")?;
    for file in ["issuer.crt", "issuer.key"] {
        vault.write(&format!("issuer/{file}"), std::fs::read(gateway.dir().join(file))?)?;
    }
    let text = |path: &Path| path.display().to_string();
    gateway.stop()?;
    std::fs::remove_file(gateway.dir().join("issuer.key"))?;
    gateway.up()?;
    assert_eq!(gateway.admin_json(&["ca", "status"])?["key_here"], false);

    step!("people register and sign in without it");
    let ann = Person::enrolled("ann", &gateway)?;
    ann.login()?;
    let code = ann.machine().json(["whoami"])?["user_code"].as_str().context("no code")?.to_owned();
    ann.machine().ok(["logout"])?;

    step!("a certificate waits until somebody has carried its request to the vault and back");
    let request = text(&ann.machine().path("phone"));
    let made = ["admin", "ca", "request", &code, "--device", "phone", "--key", "p256", "--out", &request];
    ann.machine().ok(made)?;
    let nowhere = text(&gateway.machine().path("phone.crt"));
    let asked = gateway.admin(&["ca", "issue", "--request", &format!("{request}.csr"), "--out", &nowhere])?;
    assert!(asked.contains("wait"), "{asked}");
    let carried = text(&vault.path("requests.bin"));
    gateway.admin(&["ca", "requests", "--out", &carried])?;
    let (issuer, signed) = (text(&vault.path("issuer")), text(&vault.path("signed.bin")));
    let sign = ["admin", "ca", "sign-requests", &carried, "--issuer", &issuer, "--out", &signed, "--yes"];
    vault.ok(sign)?;
    let taken = gateway.machine().path("taken");
    gateway.admin(&["ca", "take", &signed, "--out", &text(&taken)])?;
    let certificate = std::fs::read_dir(&taken)?.next().context("nothing was signed")??.path();

    step!("it signs in, and the key never came near the gateway");
    let (certificate, key) = (text(&certificate), format!("{request}.key"));
    let (name, address) = (gateway.name(), gateway.address());
    let at = ["--gateway", name, "--address", &address];
    ann.symbolon(&[&["login", "--certificate", &certificate, "--key", &key], &at[..]].concat(), &[])?
        .success()?;
    assert_eq!(ann.machine().json(["whoami"])?["signed_in_by"], "certificate");
    assert!(!gateway.dir().join("issuer.key").exists());

    step!("a second gateway of the same issuer is certified in the same way, before it ever runs");
    let mut second = Gateway::prepared("two.example")?;
    let (trusted, carried) = (text(&vault.path("issuer/issuer.crt")), text(&vault.path("two.request")));
    let ask = ["ca", "gateway-request", "two.example", "--issuer", &trusted, "--out", &carried];
    second.admin(&ask)?;
    let signed = text(&vault.path("two.signed"));
    let sign = ["admin", "ca", "sign-requests", &carried, "--issuer", &issuer, "--out", &signed, "--yes"];
    vault.ok(sign)?;
    let other = text(&vault.path("signed.bin"));
    let refused = second.admin_refused(1, &["ca", "gateway-take", &other])?;
    assert!(refused.contains("does not belong to these requests"), "{refused}");
    second.admin(&["ca", "gateway-take", &signed])?;
    second.up()?;
    assert!(!second.dir().join("issuer.key").exists());
    ann.machine().ok(["logout"])?;
    let link = second.invite(&[])?;
    ann.try_enrol(&link)?.success().map(drop)
}

#[test]
fn one_token_registers_with_two_gateways_of_its_issuer() -> Result<()> {
    scenario!("B1: a token that was handed out serves at a company and at a bank");
    let company = Gateway::start("company.example")?;
    let bank = Gateway::of_the_issuer_of(&company, "bank.example")?;
    let alice = Person::new("alice")?;
    let file = alice.machine().write("handed-out", blank(&company, "blank")?)?;
    alice.machine().ok(["token".as_ref(), "import".as_ref(), file.as_os_str()])?;
    let id = alice.token_info()?["token_id"].clone();

    step!("she registers it with the company, then with the bank, which asks other questions");
    let at_company = alice.enrol(&company.invite(&[])?, &[])?;
    let answers = alice.machine().write(
        "bank.toml",
        "user-name = \"meier-4711\"\ncustomer-number = \"0123456789\"\nfull-name = \"Alice Meier\"\n\
         birth-date = 1985-04-23\nphone = \"+49 30 901820\"\nservices = [\"accounts\", \"payments\"]\n\
         terms = \"accepted\"\n",
    )?;
    let answers = answers.display().to_string();
    let link = bank.invite(&["--template", "bank-customer"])?;
    let at_bank = alice.enrol(&link, &["--answers", &answers])?;
    assert_eq!(at_company["access_path"], "/people/alice");
    assert_eq!(at_bank["access_path"], "/customers/meier-4711");
    assert_ne!(at_company["user_code"], at_bank["user_code"]);
    assert_eq!(at_company["issuer"], at_bank["issuer"]);
    assert_eq!(alice.token_info()?["token_id"], id, "it is the same token");
    assert_eq!(alice.registrations()?.len(), 2);

    step!("it signs in at both, each time as who she is there");
    for (gateway, user) in [(&company, "alice"), (&bank, "meier-4711")] {
        let agent = alice.sign_in(&["--gateway", gateway.name()])?;
        let who = alice.machine().json(["whoami"])?;
        assert_eq!((who["user"].as_str(), who["gateway"].as_str()), (Some(user), Some(gateway.name())));
        agent.stop()?;
    }

    step!("each gateway has a key of its own: what one revokes the other does not notice");
    let tokens = company.admin_json(&["tokens", "list"])?;
    company.admin_json(&["tokens", "revoke", tokens["tokens"][0]["id"].as_str().context("no id")?])?;
    alice.sign_in_refused(3, &["--gateway", company.name()])?;
    alice.sign_in(&["--gateway", bank.name()])?.stop()?;
    Ok(())
}

#[test]
fn an_exported_token_works_on_a_second_machine_without_a_new_registration() -> Result<()> {
    scenario!("B1: the same token on two machines");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let copy = alice.machine().path("copy");
    alice.machine().ok(["token".as_ref(), "export".as_ref(), copy.as_os_str()])?;

    let elsewhere = Person::new("alice")?;
    let brought = elsewhere.machine().write("brought", std::fs::read(&copy)?)?;
    let import = elsewhere.with_pin_file(&["token", "import", &brought.display().to_string()]);
    elsewhere.machine().ok(import)?;
    let (_here, _there) = (alice.sign_in(&[])?, elsewhere.sign_in(&[])?);
    let code = |person: &Person| anyhow::Ok(person.machine().json(["whoami"])?["user_code"].clone());
    assert_eq!(code(&alice)?, code(&elsewhere)?);
    let sessions = gateway.admin_json(&["sessions", "list"])?;
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(2));
    assert_eq!(gateway.admin_json(&["tokens", "list"])?["tokens"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn a_gateway_of_another_issuer_is_refused_with_an_explanation() -> Result<()> {
    scenario!("B1: a token serves the gateways of one issuer");
    let ours = Gateway::start("gw.example")?;
    let theirs = Gateway::start("other.example")?;
    let alice = Person::enrolled("alice", &ours)?;
    let before = std::fs::read(alice.token())?;
    let refused = alice.enrol_refused(3, &theirs.invite(&[])?, &[])?;
    assert!(refused.contains("another issuer") && refused.contains("--home"), "{refused}");
    assert_eq!(std::fs::read(alice.token())?, before);
    assert_eq!(theirs.users()?, Vec::<String>::new());
    Ok(())
}

/// What a client says to whoever answers in place of the gateway that its link names.
fn said_to(rogue: &Gateway, ours: &Gateway, alice: &Person) -> Result<String> {
    let proxy = Middleman::before(rogue.port())?;
    let refused = alice.enrol_refused(3, &at_address(&ours.invite(&[])?, proxy.address())?, &[])?;
    let passed = proxy.passed();
    assert_eq!(passed.len(), 1, "one connection, and no second try");
    assert_eq!(passed[0].kinds(Sender::Gateway), [OFFER], "the rogue did show its certificates");
    assert_eq!(passed[0].kinds(Sender::Client), [HELLO], "and got a hello, nothing else");
    // kind, version, length, and a body that names no template: nothing that tells one client from another
    assert!(passed[0].from_client.len() <= 8, "{:?}", passed[0].from_client);
    assert!(!alice.token().exists(), "nothing is kept of it");
    Ok(refused)
}

#[test]
fn a_gateway_of_another_issuer_on_the_links_address_gets_nothing() -> Result<()> {
    scenario!("B3: somebody with an issuer of their own answers on the gateway's address");
    let ours = Gateway::start("gw.example")?;
    let rogue = Gateway::start("gw.example")?;
    let refused = said_to(&rogue, &ours, &Person::new("alice")?)?;
    assert!(refused.contains("issuer") && refused.contains("send it nothing"), "{refused}");
    assert_eq!(rogue.users()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn another_gateway_of_the_same_issuer_cannot_take_the_place_of_the_one_that_is_meant() -> Result<()> {
    scenario!("B3: the right issuer, the wrong name");
    let ours = Gateway::start("gw.example")?;
    let neighbour = Gateway::of_the_issuer_of(&ours, "neighbour.example")?;
    let refused = said_to(&neighbour, &ours, &Person::new("alice")?)?;
    assert!(refused.contains("is not gw.example"), "{refused}");
    Ok(())
}

#[test]
fn a_registered_token_gives_a_rogue_nothing_that_it_can_use() -> Result<()> {
    scenario!("B3: the same, when alice wants to sign in");
    let mut ours = Gateway::start("gw.example")?;
    let rogue = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &ours)?;
    let proxy = Middleman::before(rogue.port())?;
    let refused = alice.sign_in_refused(3, &["--address", proxy.address()])?;
    assert!(refused.contains("not from the issuer"), "{refused}");
    assert_eq!(rogue.admin_json(&["sessions", "list"])?["sessions"].as_array().map(Vec::len), Some(0));

    step!("the token is as good as before; her own gateway's number was used up or is asked for again");
    alice.sign_in(&[])?.stop()?;
    ours.stop()
}
