//! What a node must keep secret on disk, and what it makes at its first start.
//!
//! ```text
//! DIR/node.id            16 random bytes: tells the nodes on one store apart
//! DIR/node.key           32 random bytes: seals secrets in the store
//! DIR/issuer.{crt,key}   the certification authority; the key may be taken to another machine
//! DIR/identity.{crt,key} the gateway's identity
//! ```
//! A node that shares the store of another has only the first of its own.

use crate::NodeError;
use crate::config::NodeConfig;
use crate::draw::draw;
use crate::files::{damaged, make_private_dir, read, write_private};
use crate::succession;
use std::path::Path;
use symbolon_crypto::{Entropy, GatewayName, Secret};
use symbolon_issuer::{Identity, Issuer, Validity};
use symbolon_provider::{P256SigningKey, SystemEntropy};
use symbolon_store::NodeId;
use symbolon_wire::Time;

/// An issuer's life, in years.
pub(crate) const ISSUER_YEARS: u32 = 20;
/// A gateway identity's life, in seconds.
pub(crate) const IDENTITY_SECS: u64 = 397 * 24 * 3600;

/// The node's long-lived keys.
pub(crate) struct NodeKeys {
    pub(crate) node_id: NodeId,
    pub(crate) node_key: Secret<32>,
    pub(crate) issuer_certificate: Vec<u8>,
    pub(crate) identity: Identity,
    pub(crate) first_start: bool,
}

impl NodeKeys {
    /// Reads the keys, or makes them at the first start.
    pub(crate) fn load_or_make(config: &NodeConfig, now: Time) -> Result<Self, NodeError> {
        make_private_dir(&config.dir)?;
        let keys = match &config.with {
            None => Self::own(config, now)?,
            Some(home) => Self::of_another(config, home)?,
        };
        if let Some(name) = &config.name
            && !name.eq_ignore_ascii_case(keys.identity.name().as_str())
        {
            return Err(NodeError::Config(format!(
                "name = \"{name}\", but {} belongs to the gateway {}; use another directory",
                config.home().display(),
                keys.identity.name()
            )));
        }
        Ok(keys)
    }

    /// Of a node with keys of its own.
    fn own(config: &NodeConfig, now: Time) -> Result<Self, NodeError> {
        let dir = &config.dir;
        let first_start = !dir.join("node.key").exists();
        let node_key = match node_key(dir)? {
            Some(key) => key,
            None => {
                let entropy: &mut dyn Entropy = &mut SystemEntropy;
                let key: Secret<32> = entropy.secret();
                write_private(&dir.join("node.key"), key.expose())?;
                key
            }
        };
        succession::complete(dir)?;
        let issuer = TheIssuer::load_or_make(dir, now)?;
        let identity = match load_pair(dir, "identity")? {
            Some((certificate, key)) => {
                let identity = Identity::load(certificate, key)?;
                let left = identity.validity().until().0.saturating_sub(now.0) / 1_000_000;
                match &issuer {
                    TheIssuer::Here(issuer) if left < IDENTITY_SECS / 3 => {
                        let validity = Validity::starting(now, IDENTITY_SECS);
                        let renewed = issuer.gateway_identity(identity.name(), validity)?;
                        succession::replace_identity(dir, &renewed)?;
                        renewed
                    }
                    TheIssuer::Elsewhere(_) if left < IDENTITY_SECS / 3 => {
                        let until = symbolon_policy::format_time(identity.validity().until());
                        tracing::warn!(
                            "the gateway's identity ends at {until}, and the issuer's key is elsewhere"
                        );
                        identity
                    }
                    _ => identity,
                }
            }
            None => {
                let TheIssuer::Here(issuer) = &issuer else {
                    return Err(damaged(
                        &dir.join("issuer.key"),
                        "it is missing, and without it there is no identity",
                    ));
                };
                let name = gateway_name(config)?;
                let identity = issuer.gateway_identity(&name, Validity::starting(now, IDENTITY_SECS))?;
                succession::replace_identity(dir, &identity)?;
                identity
            }
        };
        let issuer_certificate = issuer.certificate();
        Ok(Self { node_id: node_id(dir)?, node_key, issuer_certificate, identity, first_start })
    }

    /// Of a node that shares those of the node in `home`: it makes and changes none.
    fn of_another(config: &NodeConfig, home: &Path) -> Result<Self, NodeError> {
        if config.dir.join("node.key").exists() {
            return Err(NodeError::Config(format!(
                "with = \"{}\", but {} has keys and a store of its own; use another --dir",
                home.display(),
                config.dir.display()
            )));
        }
        if succession::is_under_way(home) {
            return Err(NodeError::Config(format!(
                "with = \"{}\", whose issuer or identity is just being replaced; start again, after that node",
                home.display()
            )));
        }
        let (Some(node_key), Some(issuer), Some(identity)) =
            (node_key(home)?, read(&home.join("issuer.crt"))?, load_pair(home, "identity")?)
        else {
            return Err(NodeError::Config(format!(
                "with = \"{}\", but no node has started there yet; start that one first",
                home.display()
            )));
        };
        Ok(Self {
            node_id: node_id(&config.dir)?,
            node_key,
            issuer_certificate: issuer.expose().to_vec(),
            identity: Identity::load(identity.0, identity.1)?,
            first_start: false,
        })
    }
}

/// The issuer of a node with keys of its own.
enum TheIssuer {
    /// With its key.
    Here(Issuer),
    /// Its certificate alone, DER: the key was taken to another machine.
    Elsewhere(Vec<u8>),
}

impl TheIssuer {
    /// A certificate whose key is away was made here once; without either a new issuer is made.
    fn load_or_make(dir: &Path, now: Time) -> Result<Self, NodeError> {
        let (certificate, key) = (read(&dir.join("issuer.crt"))?, dir.join("issuer.key").exists());
        if let (Some(certificate), false) = (certificate, key) {
            return Ok(Self::Elsewhere(certificate.expose().to_vec()));
        }
        if let Some((certificate, key)) = load_pair(dir, "issuer")? {
            return Ok(Self::Here(Issuer::load(certificate, key)?));
        }
        let issuer = Issuer::create("Symbolon issuer", now, ISSUER_YEARS)?;
        save_pair(dir, "issuer", issuer.certificate(), issuer.key())?;
        Ok(Self::Here(issuer))
    }

    fn certificate(&self) -> Vec<u8> {
        match self {
            Self::Here(issuer) => issuer.certificate().to_vec(),
            Self::Elsewhere(certificate) => certificate.clone(),
        }
    }
}

/// By which name the other nodes on the store know this one.
fn node_id(dir: &Path) -> Result<NodeId, NodeError> {
    let path = dir.join("node.id");
    match read(&path)? {
        Some(bytes) => match bytes.expose().try_into() {
            Ok(id) => Ok(NodeId(id)),
            Err(_) => Err(damaged(&path, "it does not hold 16 bytes")),
        },
        None => {
            let id = draw();
            write_private(&path, &id)?;
            Ok(NodeId(id))
        }
    }
}

pub(crate) fn node_key(dir: &Path) -> Result<Option<Secret<32>>, NodeError> {
    let path = dir.join("node.key");
    let Some(bytes) = read(&path)? else { return Ok(None) };
    Secret::from_slice(bytes.expose()).map(Some).ok_or_else(|| damaged(&path, "it does not hold 32 bytes"))
}

fn gateway_name(config: &NodeConfig) -> Result<GatewayName, NodeError> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = config.name.clone().unwrap_or(host);
    GatewayName::parse(&name).map_err(|_| {
        NodeError::Config(format!("\"{name}\" is not a DNS name; set name = \"gateway.example\""))
    })
}

pub(crate) fn load_pair(dir: &Path, stem: &str) -> Result<Option<(Vec<u8>, P256SigningKey)>, NodeError> {
    let (certificate_path, key_path) = (dir.join(format!("{stem}.crt")), dir.join(format!("{stem}.key")));
    match (read(&certificate_path)?, read(&key_path)?) {
        (Some(certificate), Some(key)) => {
            let key =
                P256SigningKey::from_pkcs8(key).map_err(|_| damaged(&key_path, "it is not a PKCS #8 key"))?;
            Ok(Some((certificate.expose().to_vec(), key)))
        }
        (None, None) => Ok(None),
        (None, Some(_)) => Err(damaged(&certificate_path, "it is missing, but its key is there")),
        (Some(_), None) => Err(damaged(&key_path, "it is missing, but its certificate is there")),
    }
}

/// The key first: a certificate without its key is of no use, and the pair is read as a whole. For one that is
/// not there yet.
fn save_pair(dir: &Path, stem: &str, certificate: &[u8], key: &P256SigningKey) -> Result<(), NodeError> {
    write_private(&dir.join(format!("{stem}.key")), key.pkcs8().expose())?;
    write_private(&dir.join(format!("{stem}.crt")), certificate)
}
