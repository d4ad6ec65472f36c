//! What goes over the agent's socket: JSON, one value a line, a request and its reply in turn.
//!
//! ```text
//! {"schema":1,"do":"status"}                      → {"schema":1,"ok":{"status":{…}}}
//! {"schema":1,"do":"listen","app":"db"}           → {"schema":1,"ok":{"listening":"127.0.0.1:40001"}}
//!                                                   the port is closed when this connection is; until then
//!                                                   {"schema":1,"ok":{"news":{"withdrawn":{…}}}} and the like
//! {"schema":1,"do":"stream","app":"ssh.office"}   → {"schema":1,"ok":{"stream":7}}, then raw bytes both ways
//! anything that fails                             → {"schema":1,"error":{"kind":…,"message":…,"fix":…}}
//! ```

use crate::kept_certificate::CertificateInfo;
use crate::status::{Destinations, SCHEMA, Status, WhoAmI};
use crate::{AgentError, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use symbolon_crypto::SecretBytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest request: an application's name and a few words.
pub(crate) const MAX_REQUEST: u64 = 16 * 1024;

/// The longest reply: 4,096 destinations, each with a line about it, in JSON.
pub(crate) const MAX_REPLY: u64 = 8 * 1024 * 1024;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Request {
    /// How are things?
    Status,
    /// What may I reach?
    Ls,
    /// Who am I?
    WhoAmI,
    /// Make a local port that leads to an application, as long as this connection stands.
    Listen { app: String, address: Option<SocketAddr> },
    /// Make this connection a stream to an application.
    Stream { app: String },
    /// How did that stream end?
    StreamEnd { stream: u64 },
    /// Sign out and stop.
    Logout,
    /// The machine is at another place now.
    Place { place: String },
    /// Get me a certificate with a new key of this kind, for the device of this label. The key may be in the
    /// PKCS#11 device of this URI, with this PIN.
    Certificate {
        key: String,
        device: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<PinText>,
    },
}

/// A PIN on its way over the socket, which only its owner reads. It shows nothing.
#[derive(Debug)]
pub(crate) struct PinText(pub(crate) SecretBytes);

impl Serialize for PinText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(self.0.expose()).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for PinText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretBytes::from(text)))
    }
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    Status(Box<Status>),
    Destinations(Destinations),
    WhoAmI(Box<WhoAmI>),
    Listening(SocketAddr),
    News(PortNews),
    Stream(u64),
    Certificate(Box<CertificateInfo>),
    Done,
}

/// What is told about a local port while it is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortNews {
    /// The application may not be reached any more; the port stays, and refuses.
    Withdrawn(AgentError),
    /// It may be reached again.
    Granted,
    /// A connection was refused, or cut.
    Failed(AgentError),
    /// The port is gone, for this reason.
    Closed(AgentError),
}

/// A request on its line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequestLine {
    pub(crate) schema: u32,
    #[serde(flatten)]
    pub(crate) request: Request,
}

/// A reply on its line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReplyLine {
    pub(crate) schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ok: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<AgentError>,
}

impl ReplyLine {
    pub(crate) fn new(result: Result<Reply, AgentError>) -> Self {
        match result {
            Ok(reply) => Self { schema: SCHEMA, ok: Some(reply), error: None },
            Err(error) => Self { schema: SCHEMA, ok: None, error: Some(error) },
        }
    }

    pub(crate) fn into_result(self) -> Result<Reply, AgentError> {
        match (self.ok, self.error) {
            (_, Some(error)) => Err(error),
            (Some(reply), None) => Ok(reply),
            (None, None) => Err(other_version()),
        }
    }
}

/// A value as a line of JSON.
pub(crate) fn to_line(value: &impl Serialize) -> Vec<u8> {
    // Our own types have string keys and no maps of other things: they always become JSON.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads a line of at most `limit` bytes; nothing at the end.
pub(crate) async fn read_line<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    limit: u64,
) -> Result<Option<T>, AgentError> {
    let mut line = Vec::new();
    let count = from.take(limit).read_until(b'\n', &mut line).await.map_err(|e| gone(&e))?;
    if count == 0 {
        return Ok(None);
    }
    parse(&line).map(Some)
}

pub(crate) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, AgentError> {
    if line.last() != Some(&b'\n') {
        return Err(AgentError::usage("a line is cut off, or too long"));
    }
    serde_json::from_slice(line).map_err(|_| other_version())
}

fn other_version() -> AgentError {
    AgentError::new(ErrorKind::Usage, "the agent and this command do not understand each other")
        .fix("they may be of different versions: symbolon logout, then symbolon login")
}

/// The connection between command and agent broke.
pub(crate) fn gone(e: &std::io::Error) -> AgentError {
    AgentError::unreachable(format!("the agent is gone: {e}")).fix("start it again: symbolon login")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_are_lines_that_a_script_can_read() {
        let line = RequestLine { schema: 1, request: Request::Stream { app: "db".into() } };
        assert_eq!(to_line(&line), b"{\"schema\":1,\"do\":\"stream\",\"app\":\"db\"}\n");
        let line = to_line(&ReplyLine::new(Ok(Reply::Done)));
        assert_eq!(line, b"{\"schema\":1,\"ok\":\"done\"}\n");
        let error = to_line(&ReplyLine::new(Err(AgentError::denied("no"))));
        assert_eq!(error, b"{\"schema\":1,\"error\":{\"kind\":\"denied\",\"message\":\"no\"}}\n");
        assert_eq!(parse::<ReplyLine>(&error).unwrap().into_result(), Err(AgentError::denied("no")));
    }

    #[test]
    fn a_cut_line_and_a_foreign_one_are_told() {
        assert!(parse::<ReplyLine>(b"{\"schema\":1").is_err());
        assert!(parse::<RequestLine>(b"{\"schema\":1,\"do\":\"dance\"}\n").is_err());
        assert!(parse::<ReplyLine>(b"{\"schema\":1}\n").unwrap().into_result().is_err());
    }
}
