//! Where things live: a node's directory, its configuration file, the state of a person.

use std::path::{Path, PathBuf};

use crate::cli::Global;
use crate::exit::{AtPath as _, Complaint, Outcome};

/// Where a node's configuration is looked for when nobody names another file.
const SYSTEM_CONFIG: &str = "/etc/symbolon/symbolon.toml";

/// Where root keeps a node.
const SYSTEM_DIR: &str = "/var/lib/symbolon";

/// Longest path of a Unix socket on Linux, with its final zero byte (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// A directory's socket of administration.
pub(crate) fn admin_socket(dir: &Path) -> PathBuf {
    dir.join("admin.sock")
}

/// The directory of the node that a command is about: flag, environment, configuration file, default.
pub(crate) fn node_dir(global: &Global) -> Outcome<PathBuf> {
    if let Some(dir) = global.dir.clone().or_else(|| variable("SYMBOLON_DIR")) {
        return absolute(&dir);
    }
    if let Some(dir) = config_table(global)?.and_then(|t| t.get("dir")?.as_str().map(PathBuf::from)) {
        return absolute(&dir);
    }
    if rustix::process::geteuid().is_root() {
        return Ok(SYSTEM_DIR.into());
    }
    Ok(state_dir()?.join("node"))
}

/// A node's configuration file as it is written; nothing where there is none.
pub(crate) fn config_table(global: &Global) -> Outcome<Option<toml::Table>> {
    let named = global.config.clone().or_else(|| variable("SYMBOLON_CONFIG"));
    let path = match named {
        Some(path) => path,
        None if Path::new(SYSTEM_CONFIG).exists() => SYSTEM_CONFIG.into(),
        None => return Ok(None),
    };
    let text = std::fs::read_to_string(&path).at(&path)?;
    let table = text.parse::<toml::Table>();
    table.map(Some).map_err(|e| config_error(&path.display().to_string(), &fault(&text, &e)))
}

/// What is wrong with a text, and in which line. The line itself is not repeated: it may have a password.
fn fault(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

/// A mistake in the configuration.
pub(crate) fn config_error(source: &str, words: &str) -> Complaint {
    Complaint::usage(format!("{source}: {}", words.trim_end()))
        .code("configuration")
        .fix("correct the line that is named")
}

/// `$XDG_STATE_HOME/symbolon`.
pub(crate) fn state_dir() -> Outcome<PathBuf> {
    let base = variable("XDG_STATE_HOME").filter(|p| p.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    base.map(|b| b.join("symbolon")).ok_or_else(|| {
        Complaint::usage("neither HOME nor XDG_STATE_HOME is set").fix("name a directory: --dir DIR")
    })
}

/// Refuses a directory whose sockets nobody could name.
pub(crate) fn check_socket_path(socket: &Path) -> Outcome {
    let length = socket.as_os_str().len();
    if length <= MAX_SOCKET_PATH {
        return Ok(());
    }
    Err(Complaint::usage(format!(
        "{} has {length} bytes, but the path of a Unix socket has at most {MAX_SOCKET_PATH}",
        socket.display()
    ))
    .fix("choose a directory with a shorter path"))
}

/// The path from the root, so that a printed command works in any directory.
pub(crate) fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).at(path)
}

/// An environment variable that holds a path and is not empty.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_directory_is_taken_from_the_root() {
        let global = Global { dir: Some("node".into()), ..Global::default() };
        let dir = node_dir(&global).unwrap();
        assert!(dir.is_absolute() && dir.ends_with("node"));
    }

    #[test]
    fn a_directory_too_deep_for_sockets_is_refused_with_the_reason() {
        let deep = Path::new("/").join("d".repeat(120));
        assert!(check_socket_path(&admin_socket(&deep)).unwrap_err().message.contains("107"));
        assert_eq!(check_socket_path(&admin_socket(Path::new("/srv"))), Ok(()));
    }

    #[test]
    fn a_configuration_file_that_is_named_must_exist() {
        let global = Global { config: Some("/nonexistent/symbolon.toml".into()), ..Global::default() };
        assert!(config_table(&global).unwrap_err().message.contains("/nonexistent/symbolon.toml"));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_repeated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "name = \"a\"\nhot = \"rediss://node:canary@h",
            "name = \"a\"\nhot = rediss://node:canary@h\n",
            "name = \"a\"\nhot = \"rediss://node:canary@h\" \"\n",
        ] {
            std::fs::write(file.path(), text).unwrap();
            let global = Global { config: Some(file.path().to_owned()), ..Global::default() };
            let complaint = format!("{:?}", config_table(&global).unwrap_err());
            assert!(complaint.contains("line 2") && !complaint.contains("canary"), "{complaint}");
        }
    }
}
