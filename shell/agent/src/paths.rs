//! Where the user's side keeps its files.

use crate::AgentError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The longest path of a Unix socket (`sun_path` of unix(7), without the final zero).
const MAX_SOCKET_PATH: usize = 107;

/// Where the token, the agent's socket, its log and the configuration are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The software token.
    pub token: PathBuf,
    /// The agent's socket.
    pub socket: PathBuf,
    /// The log of an agent that was started in the background.
    pub log: PathBuf,
    /// The user's configuration file, see [`crate::UserConfig`].
    pub config: PathBuf,
}

impl Paths {
    /// Everything in `home` (or in `SYMBOLON_HOME`); otherwise by the XDG base directories: the token
    /// in `$XDG_DATA_HOME/symbolon`, the socket in `$XDG_RUNTIME_DIR/symbolon`, the log in
    /// `$XDG_STATE_HOME/symbolon`, the configuration in `$XDG_CONFIG_HOME/symbolon`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there is no home directory, or the socket's path would be
    /// longer than a socket's path may be.
    pub fn new(home: Option<PathBuf>) -> Result<Self, AgentError> {
        Self::from_environment(home, |name| std::env::var_os(name))
    }

    fn from_environment(
        home: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, AgentError> {
        // The XDG specification: a relative path is to be ignored.
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let set = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let paths = match home.or_else(|| set("SYMBOLON_HOME")) {
            Some(home) => {
                let home = std::path::absolute(&home).map_err(|e| AgentError::file("use", &home, &e))?;
                Self::in_directory(&home)
            }
            None => {
                let user = absolute("HOME");
                let base = |xdg: &str, below: &str| {
                    absolute(xdg).or_else(|| user.as_ref().map(|u| u.join(below))).map(|d| d.join("symbolon"))
                };
                let no_home = || {
                    AgentError::usage("this user has no home directory (HOME is not set)")
                        .fix("choose a directory with --home DIR or SYMBOLON_HOME")
                };
                let data = base("XDG_DATA_HOME", ".local/share").ok_or_else(no_home)?;
                let state = base("XDG_STATE_HOME", ".local/state").ok_or_else(no_home)?;
                let config = base("XDG_CONFIG_HOME", ".config").ok_or_else(no_home)?;
                let runtime =
                    absolute("XDG_RUNTIME_DIR").map_or_else(|| data.clone(), |r| r.join("symbolon"));
                Self {
                    token: data.join("token"),
                    socket: runtime.join("agent.sock"),
                    log: state.join("agent.log"),
                    config: config.join("config.toml"),
                }
            }
        };
        if paths.socket.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(AgentError::usage(format!(
                "the path of the agent's socket is longer than {MAX_SOCKET_PATH} bytes: {}",
                paths.socket.display()
            ))
            .fix("choose a shorter directory with --home DIR or SYMBOLON_HOME"));
        }
        Ok(paths)
    }

    fn in_directory(home: &Path) -> Self {
        Self {
            token: home.join("token"),
            socket: home.join("agent.sock"),
            log: home.join("agent.log"),
            config: home.join("config.toml"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
    }

    #[test]
    fn the_xdg_directories_are_kept_apart() {
        let env = environment(&[
            ("HOME", "/home/a"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("XDG_CONFIG_HOME", "etc"),
        ]);
        let paths = Paths::from_environment(None, env).unwrap();
        assert_eq!(paths.token, Path::new("/home/a/.local/share/symbolon/token"));
        assert_eq!(paths.socket, Path::new("/run/user/1/symbolon/agent.sock"));
        assert_eq!(paths.config, Path::new("/home/a/.config/symbolon/config.toml"));
    }

    #[test]
    fn a_home_of_ones_own_holds_everything() {
        let env = || environment(&[("SYMBOLON_HOME", "/srv/x"), ("HOME", "/home/a")]);
        assert_eq!(Paths::from_environment(None, env()).unwrap().token, Path::new("/srv/x/token"));
        let asked = Paths::from_environment(Some("/y".into()), env()).unwrap();
        assert_eq!(asked.socket, Path::new("/y/agent.sock"));
    }

    #[test]
    fn no_home_and_a_long_path_are_explained() {
        assert!(Paths::from_environment(None, environment(&[])).unwrap_err().fix.is_some());
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        assert!(Paths::from_environment(Some(long), environment(&[])).unwrap_err().message.contains("107"));
    }
}
