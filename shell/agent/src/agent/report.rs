//! What the gateway is told about user, machine and place (B9).

use crate::AgentError;
use symbolon_session::{Line, Report};

/// A place as it may be told.
pub(crate) fn place(text: &str) -> Result<Line, AgentError> {
    Line::parse(text.trim()).map_err(|_| {
        AgentError::usage("a place is one line of at most 200 bytes").fix("use a few words, such as: office")
    })
}

/// The report of this machine at `place`.
pub(crate) fn report(place: &Line) -> Report {
    let names = rustix::system::uname();
    Report {
        user: Line::lossy(&local_user()),
        agent: Line::lossy(concat!("symbolon ", env!("CARGO_PKG_VERSION"))),
        machine: Line::lossy(&names.nodename().to_string_lossy()),
        system: Line::lossy(&format!(
            "{} {}{}",
            names.sysname().to_string_lossy(),
            names.release().to_string_lossy(),
            distribution().map_or_else(String::new, |d| format!(" ({d})"))
        )),
        place: place.clone(),
    }
}

/// The account's name as the session tells it, otherwise its number.
fn local_user() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// `PRETTY_NAME` of os-release(5).
fn distribution() -> Option<String> {
    let path = std::path::Path::new("/etc/os-release");
    let text = crate::files::read_bounded(path, 64 * 1024).ok()??;
    let text = String::from_utf8(text).ok()?;
    let name = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}
