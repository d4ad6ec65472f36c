//! `ldapsearch` and `ldapwhoami` with a real slapd.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Finished, LIMIT, Running, free_port, program, scenario, step, transcript, until};

use crate::site::{OTHER, OTHER_PASSWORD, Site};

const SERVICE: &str = "ldap@localhost";

const ENTRIES: &str = "dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
    dn: ou=people,dc=example\nobjectClass: organizationalUnit\nou: people\n\n\
    dn: uid=alice,ou=people,dc=example\nobjectClass: inetOrgPerson\nuid: alice\ncn: Alice Example\nsn: Example\n";

struct Slapd {
    running: Running,
    url: String,
}

impl Slapd {
    fn start(site: &Site) -> Result<Self> {
        let here = site.path("").display().to_string();
        fs::create_dir(site.path("db"))?;
        fs::write(site.path("entries.ldif"), ENTRIES)?;
        let schemas: String = ["core", "cosine", "inetorgperson"]
            .map(|s| format!("include /etc/ldap/schema/{s}.schema\n"))
            .concat();
        let configuration = format!(
            "{schemas}pidfile {here}slapd.pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             sasl-host localhost\n\
             authz-regexp uid=([^,]*),cn=(symbolon|gss-spnego),cn=auth uid=$1,ou=people,dc=example\n\
             database mdb\nsuffix dc=example\ndirectory {here}db\n\
             access to * by users read by * none\n"
        );
        fs::write(site.path("slapd.conf"), configuration)?;
        let mut add = Command::new(program("slapadd")?);
        add.args(["-f", "slapd.conf", "-l", "entries.ldif"]);
        site.surround(&mut add);
        site.run(&mut add)?.success()?;

        let port = free_port()?;
        let url = format!("ldap://127.0.0.1:{port}");
        let mut command = Command::new(program("slapd")?);
        command.args(["-d", "0", "-f", "slapd.conf", "-h", &url]);
        site.surround(&mut command);
        transcript::command(&command);
        let running = Running::start("slapd", &mut command)?;
        until(LIMIT, "slapd to listen", || TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Self { running, url: format!("ldap://localhost:{port}") })
    }
}

fn ask(site: &Site, slapd: &Slapd, tool: &str, configuration: &str, options: &[&str]) -> Result<Finished> {
    let mut command = site.command(tool)?;
    command.args(["-N", "-H", &slapd.url]).args(options);
    site.run(site.other(&mut command, configuration))
}

#[test]
fn ldapsearch_signs_in_to_slapd_and_encrypts() -> Result<()> {
    scenario!("OpenLDAP's client and server use the mechanism through SASL");
    let site = Site::new(&[SERVICE])?;
    let slapd = Slapd::start(&site)?;
    let ask = |tool: &str, options: &[&str]| ask(&site, &slapd, tool, "gss.toml", options);
    step!("slapd offers it by itself");
    let offered = ask("ldapsearch", &["-x", "-LLL", "-b", "", "-s", "base", "supportedSASLMechanisms"])?;
    let offered = offered.success()?.text();
    ensure!(offered.contains(": SYMBOLON") && offered.contains(": GSS-SPNEGO"), "{offered}");
    step!("who one is");
    let search = ["-LLL", "-b", "dc=example", "uid=alice", "cn"];
    for options in [&["-Y", "SYMBOLON", "-U", "alice"][..], &["-Y", "GSS-SPNEGO"]] {
        let who = ask("ldapwhoami", options)?.success()?.text();
        ensure!(who == "dn:uid=alice,ou=people,dc=example", "{who}");
        let found = ask("ldapsearch", &[options, &search].concat())?.success()?.text();
        ensure!(found.contains("cn: Alice Example"), "{found}");
    }
    step!("somebody else's configuration");
    site.password_is("others", OTHER_PASSWORD)?;
    site.reconfigure("bob.toml", &[("user = \"alice\"", "user = \"bob\""), ("/password\"", "/others\"")])?;
    let options = ["-Y", "SYMBOLON", "-U", OTHER];
    let other = self::ask(&site, &slapd, "ldapwhoami", "bob.toml", &options)?.success()?.text();
    ensure!(other == "dn:uid=bob,ou=people,dc=example", "{other}");
    step!("with a security layer: every message is wrapped");
    let layered = ask("ldapsearch", &[&["-Y", "GSS-SPNEGO", "-O", "minssf=56"][..], &search].concat())?;
    let layered = layered.success()?;
    ensure!(layered.complaint().contains("SASL data security layer installed."), "{}", layered.complaint());
    ensure!(layered.text().contains("cn: Alice Example"), "{}", layered.text());
    ensure!(slapd.running.output().is_empty(), "the mechanism prints nothing: {}", slapd.running.output());
    Ok(())
}

#[test]
fn slapd_refuses_whom_the_list_of_users_does_not_know() -> Result<()> {
    scenario!("Somebody without the password searches");
    let site = Site::new(&[SERVICE])?;
    let slapd = Slapd::start(&site)?;
    site.password_is("wrong", "wrong")?;
    site.configure("wrong.toml", "issuer/issuer.crt", "wrong", site.services(), &["X-Wing"])?;
    for mechanism in ["SYMBOLON", "GSS-SPNEGO"] {
        let options = ["-Y", mechanism, "-U", "alice", "-b", "dc=example"];
        let refused = ask(&site, &slapd, "ldapsearch", "wrong.toml", &options)?;
        ensure!(refused.code == Some(49), "invalid credentials: {:?} {}", refused.code, refused.complaint());
        ensure!(!refused.text().contains("Alice"), "{}", refused.text());
    }
    step!("and whom it knew until a moment ago");
    ask(&site, &slapd, "ldapwhoami", "gss.toml", &["-Y", "GSS-SPNEGO"])?.success()?;
    site.admin(&["remove-user", "--users", "users", "alice"], "")?;
    let refused = ask(&site, &slapd, "ldapwhoami", "gss.toml", &["-Y", "GSS-SPNEGO"])?;
    ensure!(refused.code == Some(49), "{:?} {}", refused.code, refused.complaint());
    Ok(())
}
