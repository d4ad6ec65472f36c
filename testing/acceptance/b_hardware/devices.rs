//! Devices of the test's own: SoftHSM tokens, and a TPM that swtpm simulates.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use symbolon_acceptance::{LIMIT, Machine, Person, Running, finish, program, until};
use tempfile::TempDir;

/// The user PIN of all devices; shorter than what a software token takes.
pub(crate) const PIN: &str = "4321";

/// Where Debian puts SoftHSM's module.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A drawer of SoftHSM tokens that can be plugged into machines.
pub(crate) struct Drawer {
    directory: TempDir,
}

impl Drawer {
    pub(crate) fn with(labels: &[&str]) -> Result<Self> {
        let drawer = Self { directory: tempfile::Builder::new().prefix("sy-").tempdir()? };
        fs::create_dir(drawer.tokens())?;
        fs::write(drawer.conf(), drawer.text())?;
        for label in labels {
            let args = ["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN];
            let mut util = Command::new(program("softhsm2-util")?);
            finish(util.args(args).env("SOFTHSM2_CONF", drawer.conf()), b"", LIMIT)?.success()?;
        }
        Ok(drawer)
    }

    fn tokens(&self) -> PathBuf {
        self.directory.path().join("tokens")
    }

    fn conf(&self) -> PathBuf {
        self.directory.path().join("softhsm2.conf")
    }

    fn text(&self) -> String {
        format!("directories.tokendir = {}\nobjectstore.backend = file\n", self.tokens().display())
    }

    /// Lets a machine see the tokens, by the file in which SoftHSM looks for them.
    pub(crate) fn plug_into(&self, machine: &Machine) -> Result<()> {
        machine.write("home/.config/softhsm2/softhsm2.conf", self.text()).map(drop)
    }

    /// Takes all tokens out of all machines.
    pub(crate) fn pull(&self) -> Result<()> {
        fs::rename(self.tokens(), self.directory.path().join("pulled"))?;
        Ok(fs::create_dir(self.tokens())?)
    }

    /// Puts them back.
    pub(crate) fn plug_in(&self) -> Result<()> {
        fs::remove_dir(self.tokens())?;
        Ok(fs::rename(self.directory.path().join("pulled"), self.tokens())?)
    }

    /// Puts a key that OpenSSL made into a token.
    pub(crate) fn import(&self, token: &str, key: &Path, label: &str, id: &str) -> Result<()> {
        let mut util = Command::new(program("softhsm2-util")?);
        util.args(["--import", &key.display().to_string(), "--token", token, "--pin", PIN]);
        util.args(["--label", label, "--id", id]).env("SOFTHSM2_CONF", self.conf());
        finish(&mut util, b"", LIMIT)?.success().map(drop)
    }

    /// What an outsider with the PIN gets of a private key.
    pub(crate) fn private_key(&self, token: &str, label: &str) -> Result<Vec<u8>> {
        let mut tool = Command::new(program("pkcs11-tool")?);
        tool.args(["--module", MODULE, "--token-label", token, "--login", "--pin", PIN]);
        tool.args(["--read-object", "--type", "privkey", "--label", label]);
        Ok(finish(tool.env("SOFTHSM2_CONF", self.conf()), b"", LIMIT)?.stdout)
    }

    /// What an outsider with the PIN sees of the keys in a token.
    pub(crate) fn keys(&self, label: &str) -> Result<String> {
        let mut tool = Command::new(program("pkcs11-tool")?);
        tool.args(["--module", MODULE, "--token-label", label, "--login", "--pin", PIN, "--list-objects"]);
        Ok(finish(tool.env("SOFTHSM2_CONF", self.conf()), b"", LIMIT)?.success()?.text())
    }
}

/// Somebody with the PIN of a device in the file `pin`.
pub(crate) fn person(name: &str) -> Result<Person> {
    let person = Person::new(name)?;
    person.secret_file("pin", &format!("{PIN}\n"))?;
    Ok(person)
}

/// What `symbolon enrol` is told besides the link.
pub(crate) fn enrol_words<'a>(link: &'a str, place: &[&'a str]) -> Vec<&'a str> {
    [&["enrol", link, "--answers", "answers.toml", "--pin-file", "pin"], place].concat()
}

/// A machine's TPM: swtpm, a resource manager and the bus that it is reached over.
pub(crate) struct Tpm {
    directory: TempDir,
    _running: Vec<Running>,
}

impl Tpm {
    /// A TPM with one token.
    pub(crate) fn with(label: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("sy-").tempdir()?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        for name in ["state", "store"] {
            fs::create_dir(directory.path().join(name))?;
        }
        fs::write(directory.path().join("bus.conf"), bus(&path("bus")))?;
        let run = |name: &str, args: &[String], environment: &[(OsString, OsString)]| -> Result<Running> {
            let mut command = Command::new(program(name)?);
            command.args(args).envs(environment.iter().cloned()).current_dir(directory.path());
            Running::start(name, &mut command)
        };
        let state = format!("dir={}", path("state"));
        let server = format!("type=unixio,path={}", path("tpm"));
        let control = format!("type=unixio,path={}", path("tpm.ctrl"));
        let words = ["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", &state];
        let args = [&words[..], &["--server", &server, "--ctrl", &control]].concat();
        let swtpm = run("swtpm", &args.into_iter().map(str::to_owned).collect::<Vec<_>>(), &[])?;
        let config = format!("--config-file={}", path("bus.conf"));
        let dbus = run("dbus-daemon", &[config, "--nofork".into(), "--nopidfile".into()], &[])?;
        until(LIMIT, "the TPM", || directory.path().join("tpm").exists().then_some(()))?;
        until(LIMIT, "the bus", || UnixStream::connect(directory.path().join("bus")).ok().map(drop))?;
        let environment = environment(directory.path());
        let tcti = format!("--tcti=swtpm:path={}", path("tpm"));
        let args = ["--session".into(), "--allow-root".into(), tcti];
        let mut manager = run("tpm2-abrmd", &args, &environment)?;
        until(LIMIT, "the resource manager", || {
            // it ends when it finds the TPM's socket before the TPM listens there
            if !manager.is_alive().ok()? {
                manager = run("tpm2-abrmd", &args, &environment).ok()?;
            }
            let mut ask = Command::new(program("tpm2_getcap").ok()?);
            ask.arg("properties-fixed").envs(environment.iter().cloned());
            finish(&mut ask, b"", LIMIT).ok()?.success().ok().map(drop)
        })?;
        let tpm = Self { directory, _running: vec![manager, dbus, swtpm] };
        let (label, pin) = (format!("--label={label}"), format!("--userpin={PIN}"));
        tpm.tool("tpm2_ptool", &["init"])?;
        tpm.tool("tpm2_ptool", &["addtoken", "--pid=1", &label, "--sopin=12345678", &pin])?;
        Ok(tpm)
    }

    /// What a program needs to reach it.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        environment(self.directory.path())
    }

    /// Runs one of the TPM's own tools.
    pub(crate) fn tool(&self, name: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(program(name)?);
        command.args(args).envs(self.environment());
        Ok(finish(&mut command, b"", LIMIT)?.success()?.text())
    }
}

fn environment(directory: &Path) -> Vec<(OsString, OsString)> {
    let path = |name: &str| directory.join(name).display().to_string();
    let tcti = "tabrmd:bus_type=session".to_owned();
    [
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path("bus"))),
        ("TPM2TOOLS_TCTI", tcti.clone()),
        ("TPM2_PKCS11_TCTI", tcti),
        ("TPM2_PKCS11_STORE", path("store")),
        ("TSS2_LOG", "all+none".to_owned()),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .to_vec()
}

fn bus(path: &str) -> String {
    format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>session</type>\
         <listen>unix:path={path}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
         <allow send_destination=\"*\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>"
    )
}
