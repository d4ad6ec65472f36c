//! A private slapd: its own files, its own ports, its own certificate.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use symbolon_crypto::SecretBytes;
use symbolon_directory::{
    Address, BackendError, Checked, DnTemplate, FilterTemplate, GroupSource, Groups, LdapConfig,
    LdapDirectory, PasswordBackend as _, Protection, Searcher, UserSearch, Users,
};
use symbolon_policy::{CanonName, GroupName};
use tempfile::TempDir;

pub(crate) const BASE: &str = "dc=example,dc=org";
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What the directory holds.
const CONTENT: &str = r"
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=others,dc=example,dc=org
objectClass: organizationalUnit
ou: others

dn: cn=searcher,dc=example,dc=org
objectClass: person
cn: searcher
sn: searcher
userPassword: searcher-pw

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
mail: alice@example.org
title: cn=admins,ou=groups
userPassword: alice-pw

dn: uid=Bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: Bob
cn: Bob
sn: B
userPassword: bob-pw

dn: uid=nopassword,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: nopassword
cn: N
sn: N

dn: uid=twin,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: T
sn: T
userPassword: twin-pw

dn: uid=twin,ou=others,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: T
sn: T
userPassword: twin-pw

dn: uid=erin,ou=others,dc=example,dc=org
objectClass: inetOrgPerson
uid: erin
cn: erin
sn: E
mail: dave
userPassword: erin-pw

dn: cn=Odd (one) *\, \+\\,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: odd
cn: Odd (one) *, +\
sn: O
userPassword: odd-pw

dn: uid=away,ou=people,dc=example,dc=org
objectClass: referral
objectClass: extensibleObject
uid: away
ref: ldap://127.0.0.1:1/uid=away,ou=people,dc=example,dc=org

dn: cn=admins,dc=example,dc=org
objectClass: groupOfNames
cn: admins
member: uid=alice,ou=people,dc=example,dc=org
member: uid=Bob,ou=people,dc=example,dc=org

dn: cn=Night Shift,dc=example,dc=org
objectClass: groupOfNames
cn: Night Shift
member: cn=Odd (one) *\, \+\\,ou=people,dc=example,dc=org
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=everybody,dc=example,dc=org
objectClass: groupOfNames
cn: everybody
member: uid=alice,ou=people,dc=example,dc=org
";

pub(crate) struct Slapd {
    child: Child,
    directory: TempDir,
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    pub(crate) authority: String,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Slapd {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With more lines in its global configuration.
    pub(crate) fn start_with(lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = write_certificates(&directory);
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::create_dir(at("db")).unwrap();
        let text = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n{lines}\n\
             database mdb\nsuffix {BASE}\ndirectory {}\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by users read by anonymous auth\n",
            at("pid"),
            at("server.pem"),
            at("server.key"),
            at("db"),
        );
        std::fs::write(at("slapd.conf"), text).unwrap();
        std::fs::write(at("content.ldif"), CONTENT).unwrap();
        let added = Command::new("/usr/sbin/slapadd")
            .args(["-f", &at("slapd.conf"), "-l", &at("content.ldif")])
            .output()
            .expect("Debian: slapd");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let (port, tls_port) = (free_port(), free_port());
        let urls = format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}");
        let child = Command::new("/usr/sbin/slapd")
            .args(["-f", &at("slapd.conf"), "-h", &urls, "-d", "0"])
            .stdout(Stdio::null())
            .stderr(File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let slapd = Self { child, directory, port, tls_port, authority };
        until("slapd listens", || {
            [port, tls_port].iter().all(|p| TcpStream::connect(("127.0.0.1", *p)).is_ok())
        });
        slapd
    }

    /// Makes it hang: returns when every thread of it stands still.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let stands = |task: std::io::Result<std::fs::DirEntry>| {
            // The state follows the name, which stands in brackets (proc(5)).
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            Some(stat.rsplit_once(") ")?.1.starts_with('T'))
        };
        until("slapd stands still", || {
            std::fs::read_dir(&tasks).unwrap().all(|task| stands(task).unwrap_or(true))
        });
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Asks it as an outsider does.
    pub(crate) fn whoami(&self, dn: &str, password: &str) -> bool {
        Command::new("ldapwhoami")
            .args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.port), "-D", dn, "-w", password])
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("Debian: ldap-utils")
            .success()
    }

    /// In clear, with users found as `users` says.
    pub(crate) fn config(&self, users: Users) -> LdapConfig {
        config_at(self.port, users)
    }

    pub(crate) fn directory(&self, users: Users) -> LdapDirectory {
        LdapDirectory::new(self.config(users)).unwrap()
    }
}

pub(crate) fn config_at(port: u16, users: Users) -> LdapConfig {
    LdapConfig {
        servers: vec![Address::parse(&format!("127.0.0.1:{port}")).unwrap()],
        protection: Protection::unprotected(),
        users,
        groups: None,
        limit: LIMIT,
        connections: 4,
    }
}

/// Users whose entry is found by a template.
pub(crate) fn by_dn() -> Users {
    Users::ByDn(DnTemplate::parse(&format!("uid={{user}},ou=people,{BASE}")).unwrap())
}

/// Users who are searched for with `filter`.
pub(crate) fn by_search(filter: &str) -> Users {
    Users::BySearch(UserSearch {
        searcher: Searcher::Account {
            dn: format!("cn=searcher,{BASE}"),
            password: SecretBytes::from("searcher-pw".to_owned()),
        },
        base: BASE.to_owned(),
        filter: FilterTemplate::parse(filter).unwrap(),
        name_attribute: "uid".to_owned(),
    })
}

pub(crate) fn groups_by_search(filter: &str) -> Groups {
    let name = |name| GroupName::parse(name).unwrap();
    Groups {
        source: GroupSource::Search {
            base: BASE.to_owned(),
            filter: FilterTemplate::parse(filter).unwrap(),
            name_attribute: "cn".to_owned(),
        },
        names: BTreeMap::from([
            ("Admins".to_owned(), name("administrators")),
            ("Night Shift".to_owned(), name("night")),
        ]),
    }
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

/// What the directory says of a name and a password.
pub(crate) async fn ask(
    directory: &LdapDirectory,
    user: &str,
    password: &str,
) -> Result<Checked, BackendError> {
    let user = CanonName::parse(user).unwrap();
    directory.check(&user, &SecretBytes::from(password.to_owned())).await
}

pub(crate) fn right() -> Result<Checked, BackendError> {
    Ok(Checked::Right { groups: Vec::new() })
}

/// An authority, and a certificate of it for `localhost` and 127.0.0.1; gives the authority's.
fn write_certificates(directory: &TempDir) -> String {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&key).unwrap();
    let issuer = Issuer::new(parameters, key);
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(names).unwrap().signed_by(&server_key, &issuer).unwrap();
    std::fs::write(directory.path().join("server.pem"), server.pem()).unwrap();
    std::fs::write(directory.path().join("server.key"), server_key.serialize_pem()).unwrap();
    authority.pem()
}

/// A port that nobody has just now. It is below those that the kernel gives to clients, and each
/// process of tests begins to look elsewhere.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let mut places = std::iter::repeat_with(|| ASKED.fetch_add(1, Ordering::Relaxed));
    let port = places.find_map(|n| {
        let place = std::process::id().wrapping_mul(7919).wrapping_add(n) % COUNT;
        let port = u16::try_from(FIRST + place).ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    port.unwrap()
}

/// Asks again and again, for ten seconds at most.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
