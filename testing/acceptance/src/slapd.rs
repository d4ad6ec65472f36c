//! An LDAP directory: OpenLDAP's own server, with its own files and a certificate of an authority of its own.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Authority, LIMIT, Running, finish, free_port, program, until};

/// A running `slapd`, by TLS from the first byte at one port, and in clear or by StartTLS at another.
#[derive(Debug)]
pub struct Slapd {
    directory: TempDir,
    authority: Authority,
    port: u16,
    port_in_clear: u16,
    running: Option<Running>,
}

impl Slapd {
    /// What everything in it is below.
    pub const BASE: &'static str = "dc=example,dc=org";
    /// Where people's entries are; a person's has `uid=NAME` before it.
    pub const PEOPLE: &'static str = "ou=people,dc=example,dc=org";

    /// Starts it with these people, by name and password.
    ///
    /// # Errors
    /// When `slapd` is not installed or does not come up.
    pub fn start(people: &[(&str, &str)]) -> Result<Self> {
        let mut content = format!(
            "dn: {}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
             dn: {}\nobjectClass: organizationalUnit\nou: people\n",
            Self::BASE,
            Self::PEOPLE
        );
        for (name, password) in people {
            content += &format!(
                "\ndn: uid={name},{}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
                 userPassword: {password}\n",
                Self::PEOPLE
            );
        }
        Self::holding(&content, "")
    }

    /// Starts it with this content (LDIF), and with more lines in its global configuration.
    ///
    /// # Errors
    /// When `slapd` is not installed or does not come up.
    pub fn holding(content: &str, lines: &str) -> Result<Self> {
        let authority = Authority::new("Directory authority")?;
        let names = "IP:127.0.0.1, DNS:localhost";
        let ec = "ec -pkeyopt ec_paramgen_curve:P-256";
        let (certificate, key) = authority.issue("server", ec, "serverAuth", names)?;
        let directory = tempfile::tempdir()?;
        let (port, port_in_clear) = (free_port()?, free_port()?);
        let mut slapd = Self { directory, authority, port, port_in_clear, running: None };
        std::fs::create_dir(slapd.path("db"))?;
        std::fs::write(
            slapd.path("slapd.conf"),
            format!(
                "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
                 include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
                 TLSCertificateFile {}\nTLSCertificateKeyFile {}\n{lines}\n\
                 database mdb\nsuffix {}\ndirectory {}\n\
                 access to attrs=userPassword by anonymous auth by * none\n\
                 access to * by users read by anonymous auth\n",
                certificate.display(),
                key.display(),
                Self::BASE,
                slapd.path("db").display(),
            ),
        )?;
        std::fs::write(slapd.path("content.ldif"), content)?;
        let mut add = Command::new(program("slapadd")?);
        add.arg("-f").arg(slapd.path("slapd.conf")).arg("-l").arg(slapd.path("content.ldif"));
        finish(&mut add, b"", LIMIT)?.success()?;
        slapd.up()?;
        Ok(slapd)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn up(&mut self) -> Result<()> {
        let mut command = Command::new(program("slapd")?);
        command.arg("-f").arg(self.path("slapd.conf"));
        let urls = format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", self.port_in_clear, self.port);
        command.args(["-h", &urls, "-d", "0"]);
        self.running = Some(Running::start("slapd", &mut command)?);
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).ok();
        until(LIMIT, "slapd to listen", || listens(self.port).and(listens(self.port_in_clear)))?;
        Ok(())
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it goes on.
    pub fn down(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), |running| running.stop().map(drop))
    }

    /// Makes it hang, as a machine does that swaps itself to death: connections are taken and nothing is answered.
    ///
    /// # Errors
    /// When it is down.
    pub fn hang(&self) -> Result<()> {
        self.running.as_ref().context("it is down")?.hang()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is down.
    pub fn go_on(&self) -> Result<()> {
        self.running.as_ref().context("it is down")?.go_on()
    }

    /// Its port by TLS from the first byte.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its port in clear, where StartTLS can be asked for.
    #[must_use]
    pub const fn port_in_clear(&self) -> u16 {
        self.port_in_clear
    }

    /// Where it listens by TLS, `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate, PEM, that vouches for it.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.authority.certificate()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
