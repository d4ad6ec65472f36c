//! Applications: where they are, what they speak, and under which names they are reached.

use crate::engine::{Columns, corrupt};
use crate::{Actor, Result, Store, StoreError, Target, What};
use serde_json::json;
use sqlx::any::AnyRow;
use symbolon_crypto::GatewayName;
use symbolon_policy::{AppName, TemplateName};
use symbolon_wire::Time;

/// What an application speaks: a hint for the client, which opens the right program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A web server.
    Http,
    /// A PostgreSQL server.
    Postgresql,
    /// An OpenSSH server.
    Ssh,
    /// Anything else over TCP.
    Tcp,
}

impl Protocol {
    /// `http`, `postgresql`, `ssh` or `tcp`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Postgresql => "postgresql",
            Self::Ssh => "ssh",
            Self::Tcp => "tcp",
        }
    }
}

/// Not one of `http`, `postgresql`, `ssh`, `tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use http, postgresql, ssh or tcp")]
pub struct NotAProtocol;

impl std::str::FromStr for Protocol {
    type Err = NotAProtocol;

    fn from_str(s: &str) -> std::result::Result<Self, NotAProtocol> {
        [Self::Http, Self::Postgresql, Self::Ssh, Self::Tcp]
            .into_iter()
            .find(|p| p.as_str() == s)
            .ok_or(NotAProtocol)
    }
}

/// Whether an application may be opened at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Publication {
    /// As its entitlements say.
    Enabled,
    /// By nobody.
    Disabled,
}

/// Which TLS clients an application is served to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsClients {
    /// Those whose certificate is of somebody who is entitled to it.
    Entitled,
    /// Everybody: it has a sign-in of its own.
    Anyone,
}

impl TlsClients {
    /// `entitled` or `anyone`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entitled => "entitled",
            Self::Anyone => "anyone",
        }
    }
}

/// Not one of `entitled`, `anyone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use entitled or anyone")]
pub struct NotTlsClients;

impl std::str::FromStr for TlsClients {
    type Err = NotTlsClients;

    fn from_str(s: &str) -> std::result::Result<Self, NotTlsClients> {
        [Self::Entitled, Self::Anyone].into_iter().find(|c| c.as_str() == s).ok_or(NotTlsClients)
    }
}

/// The protocols that an application speaks behind TLS, best first, by their names in ALPN (RFC 7301).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alpn(Vec<String>);

impl Alpn {
    /// Most protocols of one application.
    const MOST: usize = 8;
    /// The longest name, in bytes: what is registered has at most 24.
    const LONGEST: usize = 32;

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl std::fmt::Display for Alpn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Not a list of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use names of ALPN with commas between them, best first: h2,http/1.1")]
pub struct NotAlpn;

impl std::str::FromStr for Alpn {
    type Err = NotAlpn;

    fn from_str(s: &str) -> std::result::Result<Self, NotAlpn> {
        let names: Vec<String> = s.split(',').map(str::to_owned).collect();
        let is_name =
            |n: &String| (1..=Self::LONGEST).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_graphic());
        let distinct = names.iter().collect::<std::collections::HashSet<_>>().len() == names.len();
        let good = names.len() <= Self::MOST && distinct && names.iter().all(is_name);
        good.then_some(Self(names)).ok_or(NotAlpn)
    }
}

/// How an application is served to TLS clients that know nothing of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsEntry {
    /// The name that they ask for (SNI).
    pub name: GatewayName,
    /// Which of them.
    pub clients: TlsClients,
    /// What it speaks; by its protocol when absent.
    pub alpn: Option<Alpn>,
}

/// What the certificate of an application that speaks TLS itself ([`Target::Tls`]) must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCertificate {
    /// For whom it is, when not for the target's host.
    pub name: Option<String>,
    /// Certificates (PEM, at most [`MAX_ROOTS`](crate::MAX_ROOTS) bytes) to which it must chain; those that the node's
    /// system trusts when absent. The store does not read them.
    pub roots: Option<String>,
}

/// A published application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Under which it is opened.
    pub name: AppName,
    /// Where the gateway dials.
    pub target: Target,
    /// What its own certificate must be, if it speaks TLS itself.
    pub certificate: OwnCertificate,
    /// What it speaks.
    pub protocol: Protocol,
    /// One line for people.
    pub description: String,
    /// The registration template of those who come for it; the gateway's default when absent.
    pub template: Option<TemplateName>,
    /// How TLS clients reach it, if they do.
    pub tls: Option<TlsEntry>,
    /// Whether it may be opened at all.
    pub publication: Publication,
}

impl Store {
    /// Publishes an application, or changes it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when TLS clients reach another one by its name already.
    pub async fn put_app(&self, by: &Actor, app: &App, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let enabled = app.publication == Publication::Enabled;
        let target = app.target.to_string();
        let template = app.template.as_ref().map(TemplateName::as_str);
        let tls_name = app.tls.as_ref().map(|tls| tls.name.as_str());
        let tls_clients = app.tls.as_ref().map(|tls| tls.clients.as_str());
        let tls_alpn = app.tls.as_ref().and_then(|tls| tls.alpn.as_ref()).map(Alpn::to_string);
        let taken = sqlx::query("SELECT name FROM apps WHERE tls_name = $1 AND name <> $2")
            .bind(tls_name)
            .bind(app.name.as_str())
            .fetch_optional(change.conn())
            .await?;
        if taken.is_some() {
            return Err(StoreError::Conflict { what: What::TlsName });
        }
        sqlx::query(
            "INSERT INTO apps
             (name, target, protocol, description, template, enabled, tls_name, tls_clients, tls_alpn,
             app_name, app_ca)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (name) DO UPDATE SET target = excluded.target, protocol = excluded.protocol,
             description = excluded.description, template = excluded.template, enabled = excluded.enabled,
             tls_name = excluded.tls_name, tls_clients = excluded.tls_clients, tls_alpn = excluded.tls_alpn,
             app_name = excluded.app_name, app_ca = excluded.app_ca",
        )
        .bind(app.name.as_str())
        .bind(target.as_str())
        .bind(app.protocol.as_str())
        .bind(app.description.as_str())
        .bind(template)
        .bind(i64::from(enabled))
        .bind(tls_name)
        .bind(tls_clients)
        .bind(tls_alpn.as_deref())
        .bind(app.certificate.name.as_deref())
        .bind(app.certificate.roots.as_deref())
        .execute(change.conn())
        .await?;
        change.alters_decisions().await?;
        let roots =
            app.certificate.roots.as_ref().map(|roots| hex::encode(self.guard().sha256(&[roots.as_bytes()])));
        let detail = json!({
            "target": target, "protocol": app.protocol.as_str(), "template": template, "enabled": enabled,
            "tls": tls_name, "tls clients": tls_clients, "tls alpn": tls_alpn,
            "app name": app.certificate.name, "app ca": roots,
        });
        change.commit("app.put", app.name.as_str(), &detail).await
    }

    /// An application by name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn app(&self, name: &AppName) -> Result<App> {
        let row = sqlx::query("SELECT * FROM apps WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(self.durable().read())
            .await?;
        read_app(&row.ok_or(StoreError::NotFound { what: What::App })?)
    }

    /// All applications by name.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn apps(&self) -> Result<Vec<App>> {
        let rows = sqlx::query("SELECT * FROM apps ORDER BY name").fetch_all(self.durable().read()).await?;
        rows.iter().map(read_app).collect()
    }

    /// Withdraws an application and every entitlement to it, so that whatever gets the name later
    /// inherits none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_app(&self, by: &Actor, name: &AppName, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let gone = sqlx::query("DELETE FROM apps WHERE name = $1")
            .bind(name.as_str())
            .execute(change.conn())
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: What::App });
        }
        let entitlements = sqlx::query("DELETE FROM entitlements WHERE app = $1")
            .bind(name.as_str())
            .execute(change.conn())
            .await?
            .rows_affected();
        change.alters_decisions().await?;
        change.commit("app.remove", name.as_str(), &json!({ "entitlements": entitlements })).await
    }
}

fn read_app(row: &AnyRow) -> Result<App> {
    let tls = match (row.maybe_string("tls_name")?, row.maybe_parsed("tls_clients")?) {
        (Some(name), Some(clients)) => {
            let name = GatewayName::parse(&name).map_err(|_| corrupt("tls_name"))?;
            Some(TlsEntry { name, clients, alpn: row.maybe_parsed("tls_alpn")? })
        }
        _ => None,
    };
    Ok(App {
        tls,
        name: row.parsed("name")?,
        target: row.parsed("target")?,
        certificate: OwnCertificate {
            name: row.maybe_string("app_name")?,
            roots: row.maybe_string("app_ca")?,
        },
        protocol: row.parsed("protocol")?,
        description: row.string("description")?,
        template: row.maybe_parsed("template")?,
        publication: if row.int("enabled")? == 0 { Publication::Disabled } else { Publication::Enabled },
    })
}

#[cfg(test)]
mod tests {
    use super::Alpn;

    #[test]
    fn names_of_protocols_are_a_short_list_of_distinct_words() {
        for good in ["h2", "h2,http/1.1", "postgresql"] {
            assert_eq!(good.parse::<Alpn>().unwrap().to_string(), good);
        }
        let long = "a".repeat(33);
        for bad in ["", ",", "h2,", "h2,h2", "h 2", "h\u{e9}", long.as_str(), "1,2,3,4,5,6,7,8,9"] {
            assert!(bad.parse::<Alpn>().is_err(), "{bad}");
        }
    }
}
