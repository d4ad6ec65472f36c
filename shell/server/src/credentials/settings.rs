//! Which credentials a node takes, and from whom: the `[credentials]` of its configuration.

use super::groups::{LdapGroups, OidcGroups};
use super::lists::Lists;
use crate::error::NodeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::time::Duration;
use symbolon_crypto::{
    Crypto, ForeignAuthority, ForeignUsage, NameRule, Revocation, SecretBytes, SubjectTrust, TrustedIssuer,
};
use symbolon_directory::{
    Address, DnTemplate, FilterTemplate, LdapConfig, LdapDirectory, Pam, PamConfig, PamService,
    PasswordBackend, Protection, Searcher, UserSearch, Users,
};
use symbolon_issuer::{DEFAULT_SUBJECT_SECS, MAX_SUBJECT_SECS, RenewalPolicy};
use symbolon_policy::CanonName;
use symbolon_tickets::Spelling;
use symbolon_tickets::kerberos::{KerberosAcceptor, Keytab, Principal, PrincipalMap, ServicePrincipal};
use symbolon_tickets::oidc::{KeyTimes, OidcVerifier, Provider, SubjectMap, Transport, UserClaim};

/// How long somebody else may take to answer, in seconds, unless the configuration says otherwise.
const ANSWER_SECS: u64 = 5;
/// Passwords that PAM is asked for at the same time: not every module bears many threads.
const PAM_THREADS: usize = 4;
/// Passwords that a directory is asked for at the same time.
const ASKED_AT_ONCE: usize = 16;

/// Which credentials a node takes beside registered tokens. Passwords are another matter: whether
/// they are taken at all is `accept_passwords`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    /// Whether certificates of our own issuer are taken.
    pub certificates: bool,
    /// How long a certificate is good that a device gets over its session, in seconds, 90 days at most.
    pub certificate_secs: u64,
    /// For how many of its lives after its end a device's certificate is still renewed for who proves its
    /// key; 0 for none.
    pub renewal_grace_lives: u32,
    /// Whether sessions give tickets, and these are taken.
    pub tickets: bool,
    /// How long a session ticket is good, in seconds, a day at most.
    pub ticket_secs: u64,
    /// Other authorities whose certificates are taken.
    pub authority: Vec<AuthoritySettings>,
    /// Kerberos.
    pub kerberos: Option<KerberosSettings>,
    /// OpenID providers.
    pub oidc: Vec<OidcSettings>,
    /// A directory that knows the passwords of those who have none here.
    pub ldap: Option<LdapSettings>,
    /// The machine's own PAM, for the same.
    pub pam: Option<PamSettings>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            certificates: true,
            certificate_secs: DEFAULT_SUBJECT_SECS,
            renewal_grace_lives: 10,
            tickets: true,
            ticket_secs: 3600,
            authority: Vec::new(),
            kerberos: None,
            oidc: Vec::new(),
            ldap: None,
            pam: None,
        }
    }
}

/// An authority of others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthoritySettings {
    /// What it is called in logs.
    pub alias: String,
    /// File with its certificate, PEM or DER.
    pub certificate: PathBuf,
    /// Where its certificates have the user's name.
    pub name: ForeignName,
    /// What they must be meant for: TLS clients unless `smart_card` is set.
    #[serde(default)]
    pub smart_card: bool,
    /// Files with its revocation lists, PEM or DER, read again when they change. With one, each certificate must be
    /// under a list in date.
    #[serde(default)]
    pub lists: Vec<PathBuf>,
}

/// Where a foreign certificate has the user's name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ForeignName {
    /// `NAME@` this domain.
    Email(String),
    /// A URI that begins with this.
    Uri(String),
    /// `NAME.` this suffix.
    Dns(String),
    /// The common name, for an authority of one's own alone. The value must be `true`.
    CommonName(bool),
}

/// Kerberos.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KerberosSettings {
    /// The gateway's own principal, `symbolon/gw.example.org@EXAMPLE.ORG`.
    pub service: String,
    /// File with its keys.
    pub keytab: PathBuf,
    /// The realm whose principals are the users of the same name, if any.
    #[serde(default)]
    pub realm: Option<String>,
    /// Whether that realm ignores case, as Active Directory does.
    #[serde(default)]
    pub any_case: bool,
    /// Principals that are users by another name.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
}

/// An OpenID provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// What it calls itself, `https://id.example.org`.
    pub issuer: String,
    /// What it calls this gateway.
    pub audience: String,
    /// File with the certificates, PEM, that vouch for its server; without one only a provider on this
    /// machine may be asked, by HTTP.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// What names the user.
    #[serde(default)]
    pub user: OidcUser,
    /// Subjects that are users by another name.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
    /// Which of our groups those of the provider are.
    #[serde(default)]
    pub groups: Option<OidcGroups>,
}

/// What of an ID token names the user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OidcUser {
    /// Only those in `people` are somebody.
    #[default]
    Listed,
    /// The subject itself.
    Subject,
    /// This claim, spelt exactly.
    Claim(String),
    /// The part before the `@` of a verified address in this domain.
    Email(String),
}

/// An LDAP directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// Servers with the same content, `host:port`; the first that answers is asked.
    pub servers: Vec<String>,
    /// File with the certificates, PEM, that vouch for them; without one only a directory on this
    /// machine may be asked.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Whether TLS begins after a request for it, as on port 389.
    #[serde(default)]
    pub start_tls: bool,
    /// A user's entry, `uid={user},ou=people,dc=example,dc=org`; or else they are searched for.
    #[serde(default)]
    pub dn: Option<String>,
    /// Where to search.
    #[serde(default)]
    pub base: Option<String>,
    /// What to search for, `(&(objectClass=person)(uid={user}))`.
    #[serde(default)]
    pub filter: Option<String>,
    /// Which attribute has the name.
    #[serde(default = "default_name_attribute")]
    pub name_attribute: String,
    /// As whom to search; as nobody when absent.
    #[serde(default)]
    pub searcher: Option<String>,
    /// File with the searcher's password.
    #[serde(default)]
    pub searcher_password_file: Option<PathBuf>,
    /// Which of our groups those of the directory are.
    #[serde(default)]
    pub groups: Option<LdapGroups>,
}

fn default_name_attribute() -> String {
    "uid".to_owned()
}

/// A PAM service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PamSettings {
    /// Its name: the file in the directory.
    pub service: String,
    /// Where service files are.
    #[serde(default = "default_pam_directory")]
    pub directory: PathBuf,
}

fn default_pam_directory() -> PathBuf {
    PathBuf::from("/etc/pam.d")
}

impl Credentials {
    /// When certificates that devices got are renewed.
    pub(crate) const fn renewal(&self) -> RenewalPolicy {
        RenewalPolicy { grace_lives: self.renewal_grace_lives }
    }

    /// How long after its end a certificate that a device got may be renewed, in seconds.
    pub(crate) fn longest_grace_secs(&self) -> u64 {
        self.certificate_secs.saturating_mul(self.renewal_grace_lives.into())
    }

    pub(super) fn check(&self) -> Result<(), NodeError> {
        if (1..=MAX_SUBJECT_SECS).contains(&self.certificate_secs) {
            return Ok(());
        }
        let secs = self.certificate_secs;
        Err(NodeError::Config(format!(
            "credentials.certificate_secs: {secs} is not between 1 and {MAX_SUBJECT_SECS}"
        )))
    }

    pub(super) fn trust(
        &self,
        crypto: Crypto,
        issuer: &TrustedIssuer,
    ) -> Result<(RwLock<SubjectTrust>, Lists), NodeError> {
        let wrong = |what: &str, e: &dyn std::fmt::Display| {
            NodeError::Config(format!("credentials.authority {what}: {e}"))
        };
        let mut trust = SubjectTrust::new(crypto, std::slice::from_ref(issuer), Revocation::IfListed)
            .map_err(|e| wrong("of our own", &e))?;
        let mut authorities = Vec::new();
        for authority in &self.authority {
            let alias = &authority.alias;
            let certificate = der(&read(&authority.certificate)?);
            let admitted = ForeignAuthority {
                alias: alias.clone(),
                certificate: certificate.clone(),
                rule: authority.name.rule(alias)?,
                usage: if authority.smart_card {
                    ForeignUsage::SmartCardLogon
                } else {
                    ForeignUsage::ClientAuthentication
                },
                revocation: if authority.lists.is_empty() {
                    Revocation::IfListed
                } else {
                    Revocation::Demanded
                },
            };
            trust.admit(crypto, admitted).map_err(|e| wrong(alias, &e))?;
            authorities.push((authority.clone(), certificate));
        }
        let trust = RwLock::new(trust);
        let lists = Lists::open(crypto, &trust, &authorities)?;
        Ok((trust, lists))
    }

    /// `home` is where the nodes on one store remember what tickets they have seen.
    pub(super) fn kerberos(&self, home: &Path) -> Result<Option<KerberosAcceptor>, NodeError> {
        let Some(settings) = &self.kerberos else { return Ok(None) };
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.kerberos: {e}"));
        let spelling = if settings.any_case { Spelling::AnyCase } else { Spelling::Exact };
        let realm = settings.realm.as_ref().map(|realm| PrincipalMap::of_realm(realm, spelling));
        let mut people = realm.unwrap_or_default();
        for (principal, user) in &settings.people {
            let principal = Principal::parse(principal).map_err(|e| wrong(&e))?;
            people = people.with_person(principal, CanonName::parse(user).map_err(|e| wrong(&e))?);
        }
        let service = ServicePrincipal::parse(&settings.service).map_err(|e| wrong(&e))?;
        let keytab = Keytab::new(&settings.keytab, &home.join("kerberos.replays")).map_err(|e| wrong(&e))?;
        let acceptor = KerberosAcceptor::new(service, keytab, people);
        acceptor.ready().map_err(|e| wrong(&e))?;
        Ok(Some(acceptor))
    }

    pub(super) fn oidc(&self) -> Result<Vec<OidcVerifier>, NodeError> {
        let verifier = |settings: &OidcSettings| {
            let wrong = |e: &dyn std::fmt::Display| {
                NodeError::Config(format!("credentials.oidc {}: {e}", settings.issuer))
            };
            let limit = Duration::from_secs(ANSWER_SECS);
            let transport = match &settings.authorities {
                Some(path) => Transport::https(&read(path)?, limit).map_err(|e| wrong(&e))?,
                None if is_local_url(&settings.issuer) => Transport::unprotected_http(limit),
                None => return Err(wrong(&"name the `authorities` that vouch for its server")),
            };
            let claim = match settings.user.clone() {
                OidcUser::Listed => UserClaim::Listed,
                OidcUser::Subject => UserClaim::Subject,
                OidcUser::Claim(claim) => UserClaim::Named { claim, spelling: Spelling::Exact },
                OidcUser::Email(domain) => UserClaim::Email { domain },
            };
            let mut people = SubjectMap::by(claim);
            for (subject, user) in &settings.people {
                people = people.with_person(subject, CanonName::parse(user).map_err(|e| wrong(&e))?);
            }
            let provider = Provider::new(&settings.issuer, transport, KeyTimes::default());
            let verifier = OidcVerifier::new(provider.map_err(|e| wrong(&e))?, &settings.audience, people);
            Ok(match &settings.groups {
                Some(groups) => verifier.with_groups(groups.groups()?),
                None => verifier,
            })
        };
        self.oidc.iter().map(verifier).collect()
    }

    pub(super) fn backend(&self) -> Result<Option<Box<dyn PasswordBackend>>, NodeError> {
        match (&self.ldap, &self.pam) {
            (None, None) => Ok(None),
            (Some(ldap), None) => Ok(Some(Box::new(ldap.directory()?))),
            (None, Some(pam)) => Ok(Some(Box::new(pam.open()?))),
            (Some(_), Some(_)) => {
                Err(NodeError::Config("credentials: name ldap or pam, not both".to_owned()))
            }
        }
    }
}

impl ForeignName {
    fn rule(&self, alias: &str) -> Result<NameRule, NodeError> {
        Ok(match self.clone() {
            Self::Email(domain) => NameRule::EmailAt { domain },
            Self::Uri(prefix) => NameRule::UriUnder { prefix },
            Self::Dns(suffix) => NameRule::DnsUnder { suffix },
            Self::CommonName(true) => NameRule::CommonName,
            Self::CommonName(false) => {
                let why = format!("credentials.authority {alias}: common_name = false names no rule");
                return Err(NodeError::Config(why));
            }
        })
    }
}

impl LdapSettings {
    fn directory(&self) -> Result<LdapDirectory, NodeError> {
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.ldap: {e}"));
        let servers: Vec<Address> = self
            .servers
            .iter()
            .map(|s| Address::parse(s))
            .collect::<Result<_, _>>()
            .map_err(|e| wrong(&e))?;
        let protection = match &self.authorities {
            Some(path) if self.start_tls => Protection::start_tls(&read(path)?),
            Some(path) => Protection::tls(&read(path)?),
            None if self.servers.iter().all(|s| is_local(s)) => Ok(Protection::unprotected()),
            None => return Err(wrong(&"name the `authorities` that vouch for the servers")),
        };
        let users = match (&self.dn, &self.base, &self.filter) {
            (Some(dn), None, None) => Users::ByDn(DnTemplate::parse(dn).map_err(|e| wrong(&e))?),
            (None, Some(base), Some(filter)) => Users::BySearch(UserSearch {
                searcher: self.searcher()?,
                base: base.clone(),
                filter: FilterTemplate::parse(filter).map_err(|e| wrong(&e))?,
                name_attribute: self.name_attribute.clone(),
            }),
            _ => return Err(wrong(&"name `dn`, or `base` and `filter`")),
        };
        LdapDirectory::new(LdapConfig {
            servers,
            protection: protection.map_err(|e| wrong(&e))?,
            users,
            groups: self.groups.as_ref().map(LdapGroups::groups).transpose()?,
            limit: Duration::from_secs(ANSWER_SECS),
            connections: ASKED_AT_ONCE,
        })
        .map_err(|e| wrong(&e))
    }

    fn searcher(&self) -> Result<Searcher, NodeError> {
        match (&self.searcher, &self.searcher_password_file) {
            (None, None) => Ok(Searcher::Anonymous),
            (Some(dn), Some(path)) => {
                let mut password = read(path)?;
                while password.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                    password.pop();
                }
                Ok(Searcher::Account { dn: dn.clone(), password: SecretBytes::new(password) })
            }
            _ => Err(NodeError::Config(
                "credentials.ldap: `searcher` and `searcher_password_file` go together".to_owned(),
            )),
        }
    }
}

impl PamSettings {
    fn open(&self) -> Result<Pam, NodeError> {
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.pam: {e}"));
        let service = PamService::new(&self.service, &self.directory).map_err(|e| wrong(&e))?;
        let config = PamConfig { service, limit: Duration::from_secs(ANSWER_SECS), threads: PAM_THREADS };
        let pam = Pam::new(config);
        pam.ready().map_err(|e| wrong(&e))?;
        Ok(pam)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, NodeError> {
    std::fs::read(path).map_err(|e| NodeError::Config(format!("{}: {e}", path.display())))
}

/// The one certificate or list of a file, whichever of the two encodings it has.
pub(super) fn der(file: &[u8]) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
    let certificate = CertificateDer::from_pem_slice(file).map(|c| c.to_vec());
    certificate
        .or_else(|_| CertificateRevocationListDer::from_pem_slice(file).map(|l| l.to_vec()))
        .unwrap_or_else(|_| file.to_vec())
}

fn is_local(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

fn is_local_url(url: &str) -> bool {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|a| !a.contains('@') && is_local(a))
}
