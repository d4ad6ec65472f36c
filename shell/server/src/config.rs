use crate::credentials::CredentialSettings;
use crate::front::TlsSettings;
use crate::metrics::MetricsSettings;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use symbolon_store::{DatabaseUrl, HotUrl, StoreOptions};

/// How a node is run. What is not set has a default that suits a small team.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Where the node keeps what it must remember: keys, store, administration socket.
    pub dir: PathBuf,
    /// The directory of another node on this machine whose store, keys and name this one shares: `dir`
    /// holds its own id and its administration socket then. Whatever is written to the store by one of
    /// them is in force at all of them within a second.
    #[serde(default)]
    pub with: Option<PathBuf>,
    /// The PostgreSQL database that keeps the node's records (`postgres://…`), which other nodes may share; they are kept
    /// in its directory when absent.
    #[serde(default, with = "secret_url", skip_serializing_if = "Option::is_none")]
    pub store: Option<DatabaseUrl>,
    /// The Redis or Valkey server that keeps live sessions and replay keys (`rediss://…`), for all nodes on one
    /// store the same; they are kept in the store itself when absent.
    #[serde(default, with = "secret_url", skip_serializing_if = "Option::is_none")]
    pub hot: Option<HotUrl>,
    /// Where clients connect.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The gateway's name, which its certificate has; the first start fixes it.
    #[serde(default)]
    pub name: Option<String>,
    /// `host:port` under which clients reach the node, for invitation links; the name and the port
    /// of `listen` when absent.
    #[serde(default)]
    pub public_address: Option<String>,
    /// The registration template of who names none.
    #[serde(default = "default_template")]
    pub template: String,
    /// Whether people may register without an invitation; they wait for approval then.
    #[serde(default)]
    pub open_registration: bool,
    /// Whether the gateway takes passwords.
    #[serde(default)]
    pub accept_passwords: bool,
    /// How long a session lasts before the client must prove itself again, in seconds.
    #[serde(default = "default_session_lifetime")]
    pub session_lifetime_secs: u32,
    /// How long a context key lasts, in seconds. Half of it, a new one is shown.
    #[serde(default = "default_context_key_lifetime")]
    pub context_key_lifetime_secs: u64,
    /// A folder where the gateway's keys are published for clients that look there before they ask it:
    /// public files, written at the start and whenever context keys change.
    #[serde(default)]
    pub publish_key_sets: Option<PathBuf>,
    /// Which other credentials are taken, and of whom.
    #[serde(default)]
    pub credentials: CredentialSettings,
    /// The port for TLS clients that know nothing of ours; they are not served without.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Where the node tells how it is; it does not without.
    #[serde(default)]
    pub metrics: Option<MetricsSettings>,
    /// Whether connections outlive the process that carries them. Their keys lie in memory that the processes of this
    /// node share, sealed; without, they end with their process.
    #[serde(default = "default_carry_on")]
    pub carry_on: bool,
    /// Limits against strangers and greed.
    #[serde(default)]
    pub limits: Limits,
}

/// A URL in a configuration. It is written with its password, so that a change of it is seen as one.
mod secret_url {
    use serde::{Deserialize as _, Deserializer, Serializer, de, ser};
    use std::fmt::Display;
    use std::str::FromStr;
    use symbolon_store::{DatabaseUrl, HotUrl};

    pub(super) trait SecretUrl {
        fn expose(&self) -> &[u8];
    }

    impl SecretUrl for DatabaseUrl {
        fn expose(&self) -> &[u8] {
            Self::expose(self)
        }
    }

    impl SecretUrl for HotUrl {
        fn expose(&self) -> &[u8] {
            Self::expose(self)
        }
    }

    pub(super) fn serialize<U: SecretUrl, S: Serializer>(url: &Option<U>, to: S) -> Result<S::Ok, S::Error> {
        match url.as_ref().map(|url| std::str::from_utf8(url.expose())) {
            Some(text) => to.serialize_some(text.map_err(ser::Error::custom)?),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, U, D>(from: D) -> Result<Option<U>, D::Error>
    where
        U: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

impl NodeConfig {
    /// The defaults, with everything in `dir`.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            with: None,
            store: None,
            hot: None,
            listen: default_listen(),
            name: None,
            public_address: None,
            template: default_template(),
            open_registration: false,
            accept_passwords: false,
            session_lifetime_secs: default_session_lifetime(),
            context_key_lifetime_secs: default_context_key_lifetime(),
            publish_key_sets: None,
            credentials: CredentialSettings::default(),
            tls: None,
            metrics: None,
            carry_on: default_carry_on(),
            limits: Limits::default(),
        }
    }

    /// The directory with keys and store: its own, or that of the node with which it shares them.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.with.as_deref().unwrap_or(&self.dir)
    }

    /// Where the node's records are.
    pub(crate) fn store(&self) -> StoreOptions {
        let records = match &self.store {
            Some(url) => StoreOptions::database(url.clone()),
            None => StoreOptions::shared(self.home().join("store")),
        };
        StoreOptions { hot: self.hot.clone(), ..records }
    }
}

/// What strangers and greedy users may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections that have not proved anything yet. Above half of it they get less time; when all places
    /// are taken, the oldest of the source that has most of them gives way.
    pub strangers: usize,
    /// The same from one source, an IPv4 address or an IPv6 /64 network: one more, and its oldest gives
    /// way. Behind one address there may be a whole office, which comes at once after a restart.
    pub strangers_per_source: usize,
    /// Time for a stranger to prove something, in seconds.
    pub stranger_secs: u64,
    /// First messages a second above which a retry cookie is demanded.
    pub cookie_above_per_sec: u32,
    /// Password checks at the same time; each takes 19 MiB and a core.
    pub password_checks: usize,
    /// Wrong passwords for one name or from one address within ten minutes.
    pub wrong_passwords: u32,
    /// Sessions of one user at the same time, at all nodes on the store together.
    pub sessions_per_user: usize,
    /// Streams of one session at the same time.
    pub streams_per_session: usize,
    /// Time to reach an application, in seconds.
    pub dial_secs: u64,
    /// Connections of TLS clients at the same time.
    pub tls_connections: usize,
    /// The same from one source, an IPv4 address or an IPv6 /64 network.
    pub tls_connections_per_source: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            strangers: 4096,
            strangers_per_source: 2048,
            stranger_secs: 10,
            cookie_above_per_sec: 500,
            password_checks: 2,
            wrong_passwords: 10,
            sessions_per_user: 64,
            streams_per_session: 1024,
            dial_secs: 10,
            tls_connections: 8192,
            tls_connections_per_source: 4096,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7843))
}

fn default_template() -> String {
    "person".to_owned()
}

const fn default_carry_on() -> bool {
    true
}

const fn default_session_lifetime() -> u32 {
    12 * 3600
}

const fn default_context_key_lifetime() -> u64 {
    24 * 3600
}
