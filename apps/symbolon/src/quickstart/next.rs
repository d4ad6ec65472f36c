//! What to try next: each line works when it is pasted into another terminal.

use std::net::{SocketAddr, TcpListener};

use serde::Serialize;

use super::Layout;
use super::steps::{APP, USER, Up};
use crate::output::Page;
use crate::paste::Paste;

/// A port of this machine that nobody has at the moment.
fn free_address() -> SocketAddr {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    free.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 8080)))
}

/// A thing to try.
#[derive(Clone, Debug, Serialize)]
struct Try {
    what: &'static str,
    command: String,
}

/// Things to try.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct WhatNext(Vec<Try>);

impl WhatNext {
    pub(super) fn new(layout: &Layout, up: &Up) -> Self {
        let paste = layout.paste();
        let local = free_address().to_string();
        let entitlement = up.entitlement.as_str();
        let dir = layout.dir.display().to_string();
        let user = |what, words: &[&str]| Try { what, command: paste.user(words) };
        let node = |what, words: &[&str]| Try { what, command: paste.node(words) };
        Self(vec![
            user("What may be reached", &["ls"]),
            user("A local port, for a browser or curl", &["connect", APP, "--local", &local]),
            Try { what: "… and in a further terminal", command: format!("curl http://{local}/") },
            user("The session", &["status"]),
            node("Why the user may", &["admin", "explain", USER, APP]),
            node("Take the right away …", &["admin", "entitlements", "withdraw", entitlement]),
            user("… see it gone, at once", &["ls"]),
            node("… and give it again", &["admin", "entitlements", "grant", &format!("user:{USER}"), APP]),
            node("Publish something of yours", &["admin", "apps", "add", "db", "127.0.0.1:5432"]),
            node("Invite somebody else", &["admin", "tokens", "invite", "--group", "staff"]),
            node("Everything that was changed", &["admin", "audit", "list"]),
            Try {
                what: "Remove all of this, when it has ended",
                command: Paste::plain().user(["quickstart", "--dir", &dir, "--clean"]),
            },
        ])
    }

    /// Writes it for people.
    pub(super) fn write(&self, page: &mut Page) {
        page.gap();
        page.title("It stays up until you press ^C. Try in another terminal:");
        for Try { what, command } in &self.0 {
            page.aside(&format!("  # {what}"));
            page.command(command);
        }
    }
}
