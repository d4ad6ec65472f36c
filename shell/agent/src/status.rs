//! What commands show, as types: JSON with a version, for people and for scripts.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of every reply; it changes when a field is taken away or means something else.
pub const SCHEMA: u32 = 1;

/// What a token's file says without its PIN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Where the file is.
    pub path: PathBuf,
    /// Names the token, 32 hexadecimal digits.
    pub token_id: String,
    /// Hash of the issuer's key.
    pub issuer: String,
    /// Whether it is registered with a gateway and so has a PIN.
    pub registered: bool,
    /// The device that holds its keys, as a PKCS#11 URI; the device counts wrong PINs itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The gateway that a token which is not registered yet was handed out for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Wrong PINs since the last right one.
    pub failed_attempts: u8,
    /// Wrong PINs before it locks.
    pub attempts_left: u8,
    /// Whether it has locked.
    pub locked: bool,
    /// Whether others than the owner can read the file.
    pub open_to_others: bool,
}

/// One registration of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationInfo {
    /// The gateway's name.
    pub gateway: String,
    /// Where it was reached.
    pub address: String,
    /// The user's name there.
    pub user: String,
    /// The user identification code there (B6).
    pub user_code: String,
    /// The access control path there (B6).
    pub access_path: String,
    /// What keeps the key.
    pub token_class: String,
    /// When it was made, RFC 3339.
    pub registered: String,
}

/// What a registration gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The gateway's verified name.
    pub gateway: String,
    /// Where it was reached.
    pub address: String,
    /// Hash of the issuer's key.
    pub issuer: String,
    /// The user's canonical name.
    pub user: String,
    /// The user identification code (B6).
    pub user_code: String,
    /// The access control path (B6).
    pub access_path: String,
    /// Whether somebody must approve the registration before it is granted anything.
    pub awaits_approval: bool,
    /// Where the token is.
    pub token: PathBuf,
}

/// How the agent stands towards its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Signing in for the first time.
    Connecting,
    /// The session is live and its control connection stands.
    Connected,
    /// The control connection is lost and being made again; streams go on.
    Reconnecting,
    /// The agent is stopping.
    Stopping,
}

/// How things are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of the running agent.
    pub version: String,
    /// The agent's process.
    pub pid: u32,
    /// How it stands towards the gateway.
    pub link: Link,
    /// The gateway's name.
    pub gateway: String,
    /// Where it is reached.
    pub address: String,
    /// Hash of the issuer's key.
    pub issuer: String,
    /// The user's name as the gateway gave it; empty before the first sign-in.
    pub user: String,
    /// The place that is told to the gateway.
    pub place: String,
    /// The live session, if there is one.
    pub session: Option<SessionStatus>,
    /// Live streams, oldest first.
    pub streams: Vec<StreamStatus>,
    /// Local ports that lead to applications.
    pub listeners: Vec<ListenerStatus>,
    /// What went wrong lately, newest last; at most 16.
    pub problems: Vec<Problem>,
}

/// How the gateway's keys came that the session was opened with (A1). They are checked alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeysFrom {
    /// The gateway was asked and sent them.
    Sent,
    /// They were published in the directory that the configuration file names.
    Directory,
    /// They were at hand: in the token, in the ticket, or from the agent's last session.
    Pinned,
}

impl std::fmt::Display for KeysFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent by the gateway",
            Self::Directory => "from the directory",
            Self::Pinned => "at hand, in the token or from the last session",
        })
    }
}

/// The live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Its name, 32 hexadecimal digits.
    pub id: String,
    /// Under which epoch it goes on.
    pub epoch: u64,
    /// When it was opened, RFC 3339.
    pub since: String,
    /// When it ends by itself, RFC 3339; it is renewed before.
    pub expires: String,
    /// The suite of its context.
    pub suite: String,
    /// The device that holds the key which opened it, as a PKCS#11 URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How the gateway's keys came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_from: Option<KeysFrom>,
    /// Round trip to the gateway and back in microseconds, when it was measured.
    pub latency_us: Option<u64>,
    /// The version of the configuration that is applied.
    pub configuration: Option<u64>,
    /// How many destinations that configuration has.
    pub destinations: usize,
}

/// A live stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Its number within the session.
    pub number: u64,
    /// Where it leads.
    pub app: String,
    /// When it was opened, RFC 3339.
    pub since: String,
    /// Bytes towards the application.
    pub sent: u64,
    /// Bytes from the application.
    pub received: u64,
}

/// A local port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// Where it leads.
    pub app: String,
    /// Where programs connect.
    pub address: std::net::SocketAddr,
}

/// Something that went wrong, once or several times in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// When last, RFC 3339.
    pub time: String,
    /// What, one sentence.
    pub text: String,
}

/// What the user may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destinations {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The gateway that says so.
    pub gateway: String,
    /// The version of the configuration; none has come yet when absent.
    pub configuration: Option<u64>,
    /// Destinations in the order of names; those whose time is over are left out.
    pub destinations: Vec<DestinationInfo>,
}

/// Something that the user may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationInfo {
    /// Its name.
    pub app: String,
    /// What it speaks.
    pub protocol: String,
    /// One line about it.
    pub description: String,
    /// When the right ends by itself, RFC 3339.
    pub until: Option<String>,
    /// What happens to a live stream when the node is lost: `normal`, or `replicated`.
    pub class: String,
}

/// Who the user is to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The user's name as the gateway gave it.
    pub user: String,
    /// The user identification code; none unless a registered token signed in.
    pub user_code: Option<String>,
    /// The access control path; none unless a registered token signed in.
    pub access_path: Option<String>,
    /// What proved the identity, as entitlements name it: `software`, `hardware`, `certificate`,
    /// `kerberos`, `oidc`, `password`. After a session ticket it is what came before that.
    pub token_class: String,
    /// How far that proves it: `low`, `substantial` or `high`.
    #[serde(default)]
    pub assurance: String,
    /// How it was proved: `challenge`, `certificate`, `kerberos`, `oidc`, `password` or `ticket`.
    pub signed_in_by: String,
    /// The device that holds the key which proved it, as a PKCS#11 URI; a certificate's names the key too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The gateway's verified name.
    pub gateway: String,
    /// Hash of the issuer's key.
    pub issuer: String,
    /// The suite of the context.
    pub suite: String,
    /// How the gateway's keys came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_from: Option<KeysFrom>,
    /// What the gateway was told about user, machine and place (B9).
    pub reported: Reported,
}

/// What the gateway was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The local account.
    pub user: String,
    /// The machine's name.
    pub machine: String,
    /// The operating system.
    pub system: String,
    /// The place.
    pub place: String,
}
