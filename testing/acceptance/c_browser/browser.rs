//! Chromium as the distribution has it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use symbolon_acceptance::{LIMIT, Running, finish, program, transcript};
use tempfile::TempDir;

/// A browser without a window, and the home of who uses it, in which an issuer is trusted.
pub(crate) struct Browser {
    running: Running,
    _home: TempDir,
}

impl Browser {
    /// Opens a page of a host that is found at a port of 127.0.0.1; no other name is found. Whoever runs the tests may
    /// be root, or in a container, and Chromium's sandbox works for neither.
    pub(crate) fn open(host: &str, port: u16, page: &str, issuer: &Path) -> Result<Self> {
        let home = tempfile::tempdir()?;
        trust(home.path(), issuer)?;
        let mut command = Command::new(program("chromium")?);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--no-proxy-server"]);
        command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
        command.arg(format!("--host-resolver-rules=MAP {host} 127.0.0.1:{port}, MAP * ~NOTFOUND"));
        command.arg(format!("https://{host}{page}")).env("HOME", home.path());
        for elsewhere in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(elsewhere);
        }
        transcript::command(&command);
        Ok(Self { running: Running::start("chromium", &mut command)?, _home: home })
    }

    /// What it wrote to its log.
    pub(crate) fn output(&self) -> String {
        self.running.output()
    }
}

/// Puts an issuer's certificate into the database in which Chromium looks for what a user trusts.
fn trust(home: &Path, issuer: &Path) -> Result<()> {
    let database = home.join(".pki/nssdb");
    std::fs::create_dir_all(&database)?;
    let place = format!("sql:{}", database.display());
    for words in ["-N --empty-password", "-A -n issuer -t C,, -i"] {
        let mut command = Command::new(program("certutil")?);
        command.args(["-d", &place]).args(words.split(' '));
        if words.ends_with("-i") {
            command.arg(issuer);
        }
        finish(&mut command, b"", LIMIT)?.success()?;
    }
    Ok(())
}
