//! Where a Redis or Valkey server is, who we are to it, and what counts as kept.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use symbolon_crypto::SecretBytes;

const DEFAULT_PORT: u16 = 6379;
/// More would mean that nearly every loss of a machine stops all writing.
const MOST_REPLICAS: u8 = 8;

/// A Redis or Valkey server for hot records:
/// `rediss://user:password@host:6379/0?sslrootcert=/etc/symbolon/redis-ca.pem&replicas=1`.
///
/// | parameter | what for |
/// |---|---|
/// | `sslrootcert` | file with the certificates (PEM) to which the server's must chain; needed with `rediss` |
/// | `sslcert`, `sslkey` | files with our own certificate and its key (PEM), where the server asks for one |
/// | `password_file` | the password in a file instead of the text |
/// | `replicas` | how many replicas must have a write before it is acknowledged; 0 when absent |
/// | `prefix` | what all keys begin with, for several domains on one server; `symbolon` when absent |
///
/// `redis://`, which has no TLS, is for servers on the same machine. What this prints is without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct HotUrl {
    pub(super) tls: Option<TlsFiles>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    pub(super) replicas: u8,
    pub(super) prefix: String,
    text: Arc<SecretBytes>,
}

/// Who the server must be, and who we are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) roots: PathBuf,
    /// Certificate and key.
    pub(super) own: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Password {
    Text(Arc<SecretBytes>),
    File(PathBuf),
}

/// Why a text is no [`HotUrl`]. It does not repeat the text, which has a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HotUrlError {
    /// It begins otherwise.
    #[error("a hot store is rediss://user:password@host:port/0?sslrootcert=FILE")]
    Form,
    /// No host, or one that cannot be.
    #[error("the host of the hot store is missing or no name")]
    Host,
    /// No port.
    #[error("the port of the hot store is no number from 1 to 65535")]
    Port,
    /// The path is not the number of a database.
    #[error("the path of the hot store is no number of a database")]
    Database,
    /// A percent sign without two digits, or what they stand for is no text.
    #[error("a percent sign in the hot store's URL is not followed by the digits of a character")]
    Escape,
    /// A parameter that does not exist, stands twice or has an impossible value.
    #[error("the hot store's URL has a wrong parameter: {0}")]
    Parameter(&'static str),
    /// A server elsewhere without TLS.
    #[error("a hot store on another machine needs TLS: rediss:// instead of redis://")]
    Unprotected,
    /// TLS, but with whom?
    #[error("say by sslrootcert=FILE whose certificates the hot store's must come from")]
    NoRoots,
}

impl HotUrl {
    /// As somebody wrote it, with its password: to hand on or to compare, never to print.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.text.expose()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for HotUrl {
    type Err = HotUrlError;

    fn from_str(text: &str) -> Result<Self, HotUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(HotUrlError::Form)?;
        let tls = match scheme {
            "rediss" => true,
            "redis" => false,
            _ => return Err(HotUrlError::Form),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (account, server) = match authority.rsplit_once('@') {
            Some((account, server)) => (Some(account), server),
            None => (None, authority),
        };
        let (host, port) = host_and_port(server)?;
        let database = match path {
            "" => 0,
            digits => digits.parse().map_err(|_| HotUrlError::Database)?,
        };
        let (mut user, mut password) = (None, None);
        if let Some(account) = account {
            let (name, secret) = match account.split_once(':') {
                Some((name, secret)) => (name, Some(secret)),
                None => (account, None),
            };
            user = Some(unescape(name)?).filter(|name| !name.is_empty());
            password =
                secret.map(|s| Ok(Password::Text(Arc::new(SecretBytes::from(unescape(s)?))))).transpose()?;
        }
        let mut given = Parameters::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            given.take(pair)?;
        }
        if let Some(file) = given.password_file {
            if password.is_some() {
                return Err(HotUrlError::Parameter("password_file beside a password"));
            }
            password = Some(Password::File(file.into()));
        }
        let tls = match (tls, given.roots) {
            (true, Some(roots)) => {
                let own = match (given.certificate, given.key) {
                    (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
                    (None, None) => None,
                    _ => return Err(HotUrlError::Parameter("sslcert and sslkey belong together")),
                };
                Some(TlsFiles { roots: roots.into(), own })
            }
            (true, None) => return Err(HotUrlError::NoRoots),
            (false, None) if given.certificate.is_none() && given.key.is_none() => None,
            (false, _) => return Err(HotUrlError::Parameter("certificates without TLS")),
        };
        if tls.is_none() && !is_here(&host) {
            return Err(HotUrlError::Unprotected);
        }
        let (replicas, prefix) = (given.replicas.unwrap_or(0), given.prefix.unwrap_or("symbolon".into()));
        let text = Arc::new(SecretBytes::new(text.as_bytes().to_vec()));
        Ok(Self { tls, host, port, database, user, password, replicas, prefix, text })
    }
}

#[derive(Default)]
struct Parameters {
    roots: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    password_file: Option<String>,
    prefix: Option<String>,
    replicas: Option<u8>,
}

impl Parameters {
    fn take(&mut self, pair: &str) -> Result<(), HotUrlError> {
        let (name, value) = pair.split_once('=').ok_or(HotUrlError::Parameter("one has no value"))?;
        let value = unescape(value)?;
        let (place, name) = match name {
            "sslrootcert" => (&mut self.roots, "sslrootcert"),
            "sslcert" => (&mut self.certificate, "sslcert"),
            "sslkey" => (&mut self.key, "sslkey"),
            "password_file" => (&mut self.password_file, "password_file"),
            "prefix" => (&mut self.prefix, "prefix"),
            "replicas" => {
                let number = value.parse().ok().filter(|&n| n <= MOST_REPLICAS);
                let number = number.ok_or(HotUrlError::Parameter("replicas is a number up to 8"))?;
                return match self.replicas.replace(number) {
                    None => Ok(()),
                    Some(_) => Err(HotUrlError::Parameter("replicas stands twice")),
                };
            }
            _ => return Err(HotUrlError::Parameter("one is unknown")),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if value.is_empty() || place.is_some() || (name == "prefix" && !value.bytes().all(plain)) {
            return Err(HotUrlError::Parameter(name));
        }
        *place = Some(value);
        Ok(())
    }
}

fn host_and_port(server: &str) -> Result<(String, u16), HotUrlError> {
    let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_| HotUrlError::Host)?;
            match rest {
                "" => (address, None),
                rest => (address, Some(rest.strip_prefix(':').ok_or(HotUrlError::Port)?)),
            }
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        },
    };
    if rustls_pki_types::ServerName::try_from(host).is_err() {
        return Err(HotUrlError::Host);
    }
    let port = match port {
        Some(digits) => digits.parse().ok().filter(|&port| port != 0).ok_or(HotUrlError::Port)?,
        None => DEFAULT_PORT,
    };
    Ok((host.to_owned(), port))
}

/// Whether what is sent there stays on this machine.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unescape(text: &str) -> Result<String, HotUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        rest = after;
        if b != b'%' {
            bytes.push(b);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(HotUrlError::Escape)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).map_err(|_| HotUrlError::Escape)?;
        bytes.extend_from_slice(&byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| HotUrlError::Escape)
}

impl std::fmt::Display for HotUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        write!(f, "{scheme}://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        write!(f, ":{}/{}", self.port, self.database)
    }
}

impl std::fmt::Debug for HotUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HotUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_who_and_how_safe() {
        let text = "rediss://node%3a1:p%40ss:w%2Frd@redis.internal:7000/3\
                    ?sslrootcert=/etc/ca%20s.pem&sslcert=c.pem&sslkey=k.pem&replicas=2&prefix=dom-a";
        let url: HotUrl = text.parse().unwrap();
        let tls = url.tls.as_ref().unwrap();
        assert_eq!(tls.roots, PathBuf::from("/etc/ca s.pem"));
        assert_eq!(tls.own, Some(("c.pem".into(), "k.pem".into())));
        assert_eq!((url.host.as_str(), url.port, url.database), ("redis.internal", 7000, 3));
        assert_eq!((url.user.as_deref(), url.replicas, url.prefix.as_str()), (Some("node:1"), 2, "dom-a"));
        let secret = Arc::new(SecretBytes::from("p@ss:w/rd".to_owned()));
        assert!(url.password == Some(Password::Text(secret)));
        assert_eq!(url.expose(), text.as_bytes());
        let short: HotUrl = "redis://[::1]".parse().unwrap();
        assert_eq!((short.host.as_str(), short.port, short.database), ("::1", DEFAULT_PORT, 0));
        assert_eq!((short.user.as_deref(), short.replicas, short.prefix.as_str()), (None, 0, "symbolon"));
        let file: HotUrl = "redis://127.0.0.1/?password_file=/run/p".parse().unwrap();
        assert!(file.password == Some(Password::File("/run/p".into())));
    }

    #[test]
    fn a_url_is_printed_without_its_password() {
        let url: HotUrl = "rediss://node:canary@h/1?sslrootcert=ca.pem".parse().unwrap();
        assert_eq!(url.to_string(), "rediss://node@h:6379/1");
        assert_eq!(format!("{url:?}"), "HotUrl(rediss://node@h:6379/1)");
        let local: HotUrl = "redis://:canary@[::1]:7/0".parse().unwrap();
        assert_eq!(local.to_string(), "redis://[::1]:7/0");
    }

    #[test]
    fn what_is_not_meant_is_refused_with_its_reason() {
        for (text, error) in [
            ("redis.internal:6379", HotUrlError::Form),
            ("postgres://h/db", HotUrlError::Form),
            ("rediss://:6379/0?sslrootcert=c", HotUrlError::Host),
            ("rediss://a b/0?sslrootcert=c", HotUrlError::Host),
            ("redis://[1.2.3.4]/0", HotUrlError::Host),
            ("redis://localhost:0", HotUrlError::Port),
            ("redis://localhost:65536", HotUrlError::Port),
            ("redis://[::1]6379", HotUrlError::Port),
            ("redis://localhost/a", HotUrlError::Database),
            ("redis://localhost/0/1", HotUrlError::Database),
            ("redis://:%4@localhost", HotUrlError::Escape),
            ("redis://:%zz@localhost", HotUrlError::Escape),
            ("redis://:%ff@localhost", HotUrlError::Escape),
            ("redis://redis.internal/0", HotUrlError::Unprotected),
            ("redis://10.0.0.1/0", HotUrlError::Unprotected),
            ("rediss://redis.internal/0", HotUrlError::NoRoots),
        ] {
            assert_eq!(text.parse::<HotUrl>(), Err(error), "{text}");
        }
        for query in [
            "ssl=1",
            "replicas",
            "replicas=9",
            "replicas=-1",
            "replicas=1&replicas=1",
            "prefix=",
            "prefix=a*",
            "prefix=a&prefix=b",
            "sslrootcert=c",
            "sslkey=k",
        ] {
            let text = format!("redis://localhost/?{query}");
            assert!(matches!(text.parse::<HotUrl>(), Err(HotUrlError::Parameter(_))), "{query}");
        }
        for query in ["sslcert=c", "sslkey=c"] {
            let text = format!("rediss://h/?sslrootcert=r&{query}");
            assert!(matches!(text.parse::<HotUrl>(), Err(HotUrlError::Parameter(_))), "{query}");
        }
        let twice = "redis://:word@localhost/?password_file=f";
        assert!(matches!(twice.parse::<HotUrl>(), Err(HotUrlError::Parameter(_))));
    }
}
