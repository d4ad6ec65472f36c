//! A Kerberos realm of its own: MIT's KDC on a free port, with its own files.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::{Finished, LIMIT, Running, Signal, finish, free_port, program, transcript, until};

/// A realm, which its KDC ends with unless another process started it.
#[derive(Debug)]
pub struct Realm {
    directory: PathBuf,
    port: u16,
    kdc: Option<Running>,
    /// Dropped last: the KDC writes into it.
    _own: Option<TempDir>,
}

impl Realm {
    /// Its name.
    pub const NAME: &'static str = "SYM.TEST";

    /// Starts it, without anybody in it.
    ///
    /// # Errors
    /// When MIT's KDC is not installed or does not come up.
    pub fn start() -> Result<Self> {
        let own = tempfile::tempdir()?;
        let directory = own.path().to_owned();
        let mut realm = Self { directory, port: free_port()?, kdc: None, _own: Some(own) };
        let (name, port) = (Self::NAME, realm.port);
        let place = |file: &str| realm.path(file).display().to_string();
        std::fs::write(realm.path("port"), port.to_string())?;
        realm.point_clients_to(port)?;
        std::fs::write(
            realm.path("kdc.conf"),
            format!(
                "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
                 [realms]\n {name} = {{\n  database_name = {}\n  key_stash_file = {}\n  acl_file = {}\n  \
                 max_life = 1h\n  supported_enctypes = aes256-cts-hmac-sha384-192:normal aes256-cts:normal\n }}\n",
                place("principal"),
                place("stash"),
                place("acl")
            ),
        )?;
        realm.run("kdb5_util", &["create", "-s", "-r", name, "-P", "master-of-tests"], b"")?.success()?;
        realm.up()?;
        Ok(realm)
    }

    /// The realm in the directory of another process, which runs its KDC.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(directory: &Path) -> Result<Self> {
        let port = std::fs::read_to_string(directory.join("port"))?.parse()?;
        Ok(Self { directory: directory.to_owned(), port, kdc: None, _own: None })
    }

    /// Writes the configuration of clients, who look for the KDC at `port`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn point_clients_to(&self, port: u16) -> Result<()> {
        let name = Self::NAME;
        let text = format!(
            "[libdefaults]\n default_realm = {name}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             rdns = false\n dns_canonicalize_hostname = false\n udp_preference_limit = 1\n\
             [realms]\n {name} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        );
        Ok(std::fs::write(self.path("krb5.conf"), text)?)
    }

    /// Starts the KDC again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn up(&mut self) -> Result<()> {
        let pid = self.path("kdc.pid").display().to_string();
        let mut command = Command::new(program("krb5kdc")?);
        command.args(["-n", "-r", Self::NAME, "-P", &pid]).envs(self.environment());
        self.kdc = Some(Running::start("krb5kdc", &mut command)?);
        until(LIMIT, "the KDC to answer", || TcpStream::connect(("127.0.0.1", self.port)).ok())?;
        until(LIMIT, "the KDC to write its id", || Path::new(&pid).exists().then_some(()))
    }

    /// Stops the KDC.
    ///
    /// # Errors
    /// When it goes on.
    pub fn down(&mut self) -> Result<()> {
        self.kdc.take().map_or(Ok(()), |kdc| kdc.stop().map(drop))
    }

    /// Ends the KDC for good, whichever process runs it.
    ///
    /// # Errors
    /// When it goes on.
    pub fn kill_kdc(&self) -> Result<()> {
        let pid = std::fs::read_to_string(self.path("kdc.pid"))?;
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).context("no process")?;
        kill_process(pid, Signal::KILL)?;
        let gone = || TcpStream::connect(("127.0.0.1", self.port)).err();
        until(LIMIT, "the KDC to be gone", gone).map(drop)
    }

    /// Makes the KDC hang, as a machine does that swaps itself to death: connections are taken and nothing is answered.
    ///
    /// # Errors
    /// When it is down.
    pub fn hang(&self) -> Result<()> {
        self.kdc.as_ref().context("it is down")?.hang()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is down.
    pub fn go_on(&self) -> Result<()> {
        self.kdc.as_ref().context("it is down")?.go_on()
    }

    /// The processor time that the KDC has taken, in steps of a clock tick.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kdc_cpu(&self) -> Result<Duration> {
        let pid = std::fs::read_to_string(self.path("kdc.pid"))?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))?;
        let after_name = stat.rsplit_once(") ").context("no stat of the KDC")?.1;
        // proc(5): user and system time are fields 14 and 15, the state after the name is field 3
        let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Adds a person.
    ///
    /// # Errors
    /// When the realm refuses.
    pub fn add_person(&self, name: &str, password: &str) -> Result<()> {
        self.kadmin(&format!("addprinc -pw {password} {name}"))
    }

    /// Adds a service, and returns the keytab with its key.
    ///
    /// # Errors
    /// When the realm refuses.
    pub fn add_service(&self, principal: &str) -> Result<PathBuf> {
        let keytab = self.path(&format!("{}.keytab", principal.replace('/', "-")));
        self.add_service_to(principal, &keytab)?;
        Ok(keytab)
    }

    /// Adds a service, and its key to a keytab.
    ///
    /// # Errors
    /// When the realm refuses.
    pub fn add_service_to(&self, principal: &str, keytab: &Path) -> Result<()> {
        self.kadmin(&format!("addprinc -randkey {principal}"))?;
        self.kadmin(&format!("ktadd -k {} {principal}", keytab.display()))
    }

    /// The environment of a program in this realm.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        [("KRB5_CONFIG", "krb5.conf"), ("KRB5_KDC_PROFILE", "kdc.conf")]
            .map(|(name, file)| (name.into(), self.path(file).into_os_string()))
            .to_vec()
    }

    /// The environment of a person whose tickets are in `cache`.
    #[must_use]
    pub fn environment_of(&self, cache: &Path) -> Vec<(OsString, OsString)> {
        let mut environment = self.environment();
        environment.push(("KRB5CCNAME".into(), format!("FILE:{}", cache.display()).into()));
        environment
    }

    /// `kinit NAME`, with the password as at a terminal.
    ///
    /// # Errors
    /// When the KDC refuses.
    pub fn kinit(&self, name: &str, password: &str, cache: &Path) -> Result<()> {
        let mut command = Command::new(program("kinit")?);
        command.arg(name).envs(self.environment_of(cache));
        transcript::command(&command);
        finish(&mut command, format!("{password}\n").as_bytes(), LIMIT)?.success().map(drop)
    }

    /// Asks the realm's database as its administrator does.
    ///
    /// # Errors
    /// When it refuses.
    pub fn kadmin(&self, query: &str) -> Result<()> {
        self.run("kadmin.local", &["-r", Self::NAME, "-q", query], b"")?.success().map(drop)
    }

    fn run(&self, name: &str, arguments: &[&str], input: &[u8]) -> Result<Finished> {
        let mut command = Command::new(program(name)?);
        command.args(arguments).envs(self.environment());
        finish(&mut command, input, LIMIT)
    }

    /// A file of the realm.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}
