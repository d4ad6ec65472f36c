//! A private slapd with people of every kind.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use symbolon_acceptance::free_port;
use symbolon_crypto::SecretBytes;
use symbolon_directory::{
    Address, BackendError, Checked, DnTemplate, FilterTemplate, GroupSource, Groups, LdapConfig,
    LdapDirectory, PasswordBackend as _, Protection, Searcher, UserSearch, Users,
};
use symbolon_policy::{CanonName, GroupName};

pub(crate) const BASE: &str = symbolon_acceptance::Slapd::BASE;
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
    running: symbolon_acceptance::Slapd,
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    pub(crate) authority: String,
}

impl Slapd {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With more lines in its global configuration.
    pub(crate) fn start_with(lines: &str) -> Self {
        let running = symbolon_acceptance::Slapd::holding(CONTENT, lines).unwrap();
        let authority = std::fs::read_to_string(running.authority()).unwrap();
        Self { port: running.port_in_clear(), tls_port: running.port(), authority, running }
    }

    /// Makes it hang: returns when every thread of it stands still.
    pub(crate) fn stop(&self) {
        self.running.hang().unwrap();
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.running.go_on().unwrap();
    }

    /// Asks it as an outsider does.
    pub(crate) fn whoami(&self, dn: &str, password: &str) -> bool {
        Command::new("ldapwhoami")
            .args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.port), "-D", dn, "-w", password])
            .current_dir("/")
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

/// A port where nobody listens.
pub(crate) fn nobody() -> u16 {
    free_port().unwrap()
}
