//! The names that are served, and their certificates: those of the configuration, or of our own issuer.

use crate::clock::now;
use crate::error::NodeError;
use crate::files::read_at_most;
use crate::node::Shared;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use symbolon_crypto::{Crypto, Entropy, GatewayName, IssuerFingerprint, SecretBytes};
use symbolon_issuer::{Issuer, Validity};
use symbolon_provider::{P256SigningKey, SystemEntropy};
use symbolon_store::{App, Protocol, TlsClients};
use symbolon_tls::{Clients, Site, TicketKeys, TicketMemory};
use symbolon_wire::Time;

/// How long a certificate of our issuer is good, in seconds; from half of it on another one is made.
const OWN_SECS: u64 = 30 * 24 * 3600;

/// How long a replacement that failed is not tried again, in seconds.
const AGAIN_SECS: u64 = 1;

/// A file larger than this holds neither a chain nor a key.
const MAX_FILE: u64 = 256 * 1024;

/// Where TLS clients connect, and with which certificates they are met.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The port.
    pub listen: SocketAddr,
    /// Certificates of others; a name without one gets a certificate of our issuer, if its key is here.
    #[serde(default)]
    pub certificate: Vec<TlsCertificate>,
}

/// A certificate for one name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsCertificate {
    /// The name, as clients ask for it.
    pub name: String,
    /// File with the certificate and those above it, PEM, its own first.
    pub certificate: PathBuf,
    /// File with its key, PEM.
    pub key: PathBuf,
}

/// The sites that were made so far.
pub(crate) struct Sites {
    files: HashMap<GatewayName, TlsCertificate>,
    tickets: Arc<TicketKeys>,
    made: Mutex<AllMade>,
}

#[derive(Default)]
struct AllMade {
    sites: HashMap<GatewayName, Made>,
    /// Why another one could not be made, and when it is tried again.
    failed: HashMap<GatewayName, (String, Time)>,
}

/// A site, and what it rests on.
struct Made {
    site: Site,
    wanted: Wanted,
    from: From,
}

/// What an application wants of its site.
#[derive(Clone, PartialEq, Eq)]
struct Wanted {
    clients: TlsClients,
    /// The protocols that it speaks, best first.
    alpn: Vec<String>,
}

impl Wanted {
    fn of(app: &App) -> Option<Self> {
        let tls = app.tls.as_ref()?;
        let alpn = match (&tls.alpn, app.protocol) {
            (Some(alpn), _) => alpn.names().map(str::to_owned).collect(),
            (None, Protocol::Http) => vec!["http/1.1".to_owned()],
            (None, Protocol::Postgresql) => vec!["postgresql".to_owned()],
            (None, Protocol::Ssh | Protocol::Tcp) => Vec::new(),
        };
        Some(Self { clients: tls.clients, alpn })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// The files as they were then.
    Files([Option<SystemTime>; 2]),
    /// This issuer of ours; until when another one is not made.
    Issuer(IssuerFingerprint, Time),
}

impl Sites {
    /// Tickets are remembered by the family, if there is one.
    pub(crate) fn new(
        crypto: Crypto,
        settings: Option<&TlsSettings>,
        family: Option<Box<dyn TicketMemory>>,
    ) -> Result<Self, NodeError> {
        let mut files = HashMap::new();
        for certificate in settings.iter().flat_map(|settings| &settings.certificate) {
            let name = GatewayName::parse(&certificate.name).map_err(|_| {
                NodeError::Config(format!("tls.certificate: \"{}\" is no host's name", certificate.name))
            })?;
            read(certificate).map_err(|e| NodeError::Config(format!("tls.certificate {name}: {e}")))?;
            files.insert(name, certificate.clone());
        }
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let tickets = Arc::new(match family {
            Some(memory) => TicketKeys::remembered(crypto, memory),
            None => TicketKeys::new(crypto, entropy.secret()),
        });
        Ok(Self { files, tickets, made: Mutex::default() })
    }
}

impl Shared {
    /// The application that TLS clients reach under a name, and how they are met: nothing when there is no
    /// certificate for it, and the log says why.
    pub(super) fn site_of(&self, name: &str) -> Option<(App, Option<Site>)> {
        let name = GatewayName::parse(name).ok()?;
        let snapshot = self.desk.present();
        let app = snapshot.apps.values().find(|app| app.tls.as_ref().is_some_and(|tls| tls.name == name))?;
        let wanted = Wanted::of(app)?;
        Some((app.clone(), self.site(&name, &wanted)))
    }

    fn site(&self, name: &GatewayName, wanted: &Wanted) -> Option<Site> {
        let issuer = self.issuer().fingerprint();
        let files = self.sites.files.get(name);
        let as_of_now = files.map(|files| From::Files([&files.certificate, &files.key].map(|f| changed(f))));
        let mut made = self.sites.made.lock().unwrap_or_else(PoisonError::into_inner);
        let old = made.sites.get(name).filter(|old| old.wanted == *wanted);
        let as_before = old.is_some_and(|old| match (as_of_now, old.from) {
            (Some(from), _) => old.from == from,
            (None, From::Issuer(who, until)) => who == issuer && now() < until,
            (None, From::Files(_)) => false,
        });
        let failed = made.failed.get(name).is_some_and(|(_, again)| now() < *again);
        match old {
            Some(old) if as_before || failed => return Some(old.site.clone()),
            None if failed => return None,
            _ => {}
        }
        let fresh = match files {
            Some(files) => read(files),
            None => self.of_our_issuer(name),
        };
        match fresh.and_then(|(chain, key)| self.make(&chain, &key, wanted)) {
            Ok(site) => {
                let until = now().plus_secs(OWN_SECS / 2);
                let from = as_of_now.unwrap_or(From::Issuer(issuer, until));
                tracing::info!(%name, "a certificate is in use for TLS clients");
                made.failed.remove(name);
                made.sites.insert(name.clone(), Made { site: site.clone(), wanted: wanted.clone(), from });
                Some(site)
            }
            // Files that are just being replaced: the present ones go on, and are looked at again soon.
            Err(e) => {
                let old = old.map(|old| old.site.clone());
                if made.failed.get(name).is_none_or(|(before, _)| *before != e) {
                    tracing::error!(%name, in_use = old.is_some(), "no (new) certificate: {e}");
                }
                made.failed.insert(name.clone(), (e, now().plus_secs(AGAIN_SECS)));
                old
            }
        }
    }

    fn make(&self, chain: &[Vec<u8>], key: &SecretBytes, wanted: &Wanted) -> Result<Site, String> {
        // whoever resumes a session is looked at anew, by the certificates of its first connection
        let asked = match wanted.clients {
            TlsClients::Entitled => Clients::Asked,
            TlsClients::Anyone => Clients::NotAsked,
        };
        let alpn: Vec<&str> = wanted.alpn.iter().map(String::as_str).collect();
        Site::new(chain, key, &alpn, asked, Some(&self.sites.tickets)).map_err(|e| e.to_string())
    }

    /// A key that lives as long as this process, and our issuer's certificate for it.
    fn of_our_issuer(&self, name: &GatewayName) -> Result<(Vec<Vec<u8>>, SecretBytes), String> {
        let home = self.config.home();
        let pair = crate::keys::load_pair(home, "issuer").map_err(|e| e.to_string())?;
        let (certificate, key) =
            pair.ok_or("the issuer's key is not on this node: name a certificate in the configuration")?;
        let issuer = Issuer::load(certificate, key).map_err(|e| e.to_string())?;
        let key = P256SigningKey::generate();
        let validity = Validity::starting(now(), OWN_SECS);
        let certificate =
            issuer.certify_site(name, key.public_point(), validity).map_err(|e| e.to_string())?;
        Ok((vec![certificate], key.pkcs8().duplicate()))
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

fn read(files: &TlsCertificate) -> Result<(Vec<Vec<u8>>, SecretBytes), String> {
    let contents = |path: &Path| {
        let bytes = read_at_most(path, MAX_FILE).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok::<_, String>(SecretBytes::new(bytes))
    };
    let pem = contents(&files.certificate)?;
    let chain = CertificateDer::pem_slice_iter(pem.expose()).map(|c| c.map(|c| c.to_vec()));
    let chain: Vec<Vec<u8>> =
        chain.collect::<Result<_, _>>().map_err(|e| format!("{}: {e}", files.certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: there is no certificate in it", files.certificate.display()));
    }
    let pem = contents(&files.key)?;
    let key =
        PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|e| format!("{}: {e}", files.key.display()))?;
    Ok((chain, SecretBytes::new(key.secret_der().to_vec())))
}
