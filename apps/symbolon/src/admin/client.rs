//! A conversation with a node over its socket of administration: HTTP/1.1 and JSON.

use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::exit::{Complaint, Kind, Outcome, plain};
use crate::paste::Paste;
use crate::place;

/// The longest answer that is read: far more than a page of anything that the interface lists.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Speaks to the node of one directory.
#[derive(Clone, Debug)]
pub(crate) struct AdminClient {
    dir: PathBuf,
    paste: Paste,
}

/// What the node says when it does not do something.
#[derive(Debug, Deserialize)]
struct Refused {
    error: RefusedBecause,
}

#[derive(Debug, Deserialize)]
struct RefusedBecause {
    code: String,
    message: String,
    fix: Option<String>,
}

impl AdminClient {
    /// For the node that lives in `dir`.
    pub(crate) fn new(dir: PathBuf, paste: Paste) -> Self {
        Self { dir, paste }
    }

    /// The node's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str) -> Outcome<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Reads a text, such as a template.
    pub(crate) async fn get_text(&self, path: &str) -> Outcome<String> {
        let body = self.send(Method::GET, path, "application/json", Bytes::new()).await?;
        String::from_utf8(body.into()).map_err(|_| Complaint::failure("the node's answer is not text"))
    }

    /// Makes something, or does something.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Puts something in a place.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Puts a text in a place.
    pub(crate) async fn put_text(&self, path: &str, text: String) -> Outcome<Value> {
        let body = self.send(Method::PUT, path, "application/toml", text.into()).await?;
        read_json(&body)
    }

    /// Takes something away.
    pub(crate) async fn delete(&self, path: &str) -> Outcome<Value> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Outcome<Value> {
        let body = body.map_or_else(Bytes::new, |b| b.to_string().into());
        read_json(&self.send(method, path, "application/json", body).await?)
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: Bytes) -> Outcome<Bytes> {
        let socket = place::admin_socket(&self.dir);
        place::check_socket_path(&socket)?;
        let stream = UnixStream::connect(&socket).await.map_err(|e| self.absent(&e))?;
        let broken = |e: &dyn std::fmt::Display| {
            Complaint::unreachable(format!("the node in {} stopped talking: {e}", self.dir.display()))
                .fix("look at the node's log, then repeat the command")
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "node")
            .header(header::CONTENT_TYPE, content)
            .body(Full::new(body))
            .map_err(|e| Complaint::usage(format!("{path} cannot be asked for: {e}")))?;
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|e| broken(&e))?
            .to_bytes();
        drop(sender);
        driver.abort();
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body, path)) }
    }

    fn refused(&self, status: StatusCode, body: &[u8], path: &str) -> Complaint {
        let complaint = refused(status, body);
        let noun = match path.split(['/', '?']).nth(2) {
            Some(noun @ ("users" | "apps" | "entitlements" | "templates" | "tokens" | "sessions")) => noun,
            Some("invitations") => "tokens",
            Some("ca") => "ca",
            _ => return complaint,
        };
        if complaint.code != "not_found" {
            return complaint;
        }
        let list = self.paste.node(["admin", noun, "list"]);
        complaint.fix(format!("see what there is: {list}"))
    }

    /// Nobody listens, or we may not speak to who does.
    fn absent(&self, error: &io::Error) -> Complaint {
        let dir = self.dir.display();
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Complaint::denied(format!("the node in {dir} may only be managed by the user who runs it"))
                    .fix("run the command as that user, for example with sudo")
            }
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Complaint::unreachable(format!("no node is running in {dir}")).code("no-node").fix(format!(
                    "start it: {}   (or name the directory of a running one with --dir)",
                    self.paste.node(["serve"])
                ))
            }
            _ => Complaint::unreachable(format!("the node in {dir} cannot be reached: {}", plain(error))),
        }
    }
}

/// What the node says when it does not do something, as a complaint.
fn refused(status: StatusCode, body: &[u8]) -> Complaint {
    let Ok(Refused { error }) = serde_json::from_slice::<Refused>(body) else {
        return Complaint::failure(format!("the node answered {status}")).code("node");
    };
    let kind = match error.code.as_str() {
        "invalid" => Kind::Usage,
        "denied" => Kind::Denied,
        _ => Kind::Failure,
    };
    let mut complaint = Complaint::new(kind, error.message).code(error.code);
    complaint.fix = error.fix.filter(|fix| !fix.is_empty());
    complaint
}

fn read_json(body: &[u8]) -> Outcome<Value> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body)
        .map_err(|e| Complaint::failure(format!("the node's answer is not the JSON that it should be: {e}")))
}

/// A path with its variable parts written so that none of them can become another path.
pub(crate) fn path<'a>(fixed: &str, parts: impl IntoIterator<Item = &'a str>) -> String {
    parts.into_iter().fold(fixed.to_owned(), |path, part| path + "/" + &encode(part))
}

/// A path with a query; pairs without a value are left out.
pub(crate) fn query<'a>(fixed: &str, pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))));
    let query = pairs.collect::<Vec<_>>().join("&");
    if query.is_empty() { fixed.to_owned() } else { format!("{fixed}?{query}") }
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Global;

    fn client(dir: &str) -> AdminClient {
        AdminClient::new(dir.into(), Paste::new(&Global::default()).about(dir.as_ref()))
    }

    #[test]
    fn cve_path_traversal_by_a_name_in_a_call() {
        assert_eq!(path("/v1/users", ["a/../b?c", "lock"]), "/v1/users/a%2F..%2Fb%3Fc/lock");
        assert_eq!(path("/v1/users", ["zoë"]), "/v1/users/zo%C3%AB");
    }

    #[test]
    fn only_what_was_asked_stands_in_a_query() {
        assert_eq!(
            query("/v1/explain", [("user", Some("a b".to_owned())), ("time", None)]),
            "/v1/explain?user=a%20b"
        );
        assert_eq!(query("/v1/audit", [("after", None)]), "/v1/audit");
    }

    #[tokio::test]
    async fn a_node_that_does_not_run_is_reported_with_the_command_that_starts_it() {
        let complaint = client("/nonexistent").get("/v1/status").await.unwrap_err();
        assert_eq!((complaint.kind, complaint.code.as_str()), (Kind::Unreachable, "no-node"));
        assert!(complaint.fix.unwrap().contains("--dir /nonexistent serve"));
    }

    #[test]
    fn what_the_node_says_is_passed_on() {
        let body = br#"{"error":{"code":"denied","message":"not you","fix":"ask"}}"#;
        let complaint = refused(StatusCode::FORBIDDEN, body);
        assert_eq!(complaint, Complaint::denied("not you").code("denied").fix("ask"));
        assert!(refused(StatusCode::BAD_GATEWAY, b"<html>").message.contains("502"));
    }
}
