//! An LDAP directory: OpenLDAP's own server, with its own files and a certificate of an authority of its own.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Authority, LIMIT, Running, finish, free_port, program, until};

/// A running `slapd`, by TLS alone.
#[derive(Debug)]
pub struct Slapd {
    directory: TempDir,
    authority: Authority,
    port: u16,
    running: Option<Running>,
}

impl Slapd {
    /// Where people's entries are; a person's has `uid=NAME` before it.
    pub const PEOPLE: &'static str = "ou=people,dc=example,dc=org";

    /// Starts it with these people, by name and password.
    ///
    /// # Errors
    /// When `slapd` is not installed or does not come up.
    pub fn start(people: &[(&str, &str)]) -> Result<Self> {
        let authority = Authority::new("Directory authority")?;
        let names = "IP:127.0.0.1, DNS:localhost";
        let ec = "ec -pkeyopt ec_paramgen_curve:P-256";
        let (certificate, key) = authority.issue("server", ec, "serverAuth", names)?;
        let mut slapd =
            Self { directory: tempfile::tempdir()?, authority, port: free_port()?, running: None };
        std::fs::create_dir(slapd.path("db"))?;
        std::fs::write(
            slapd.path("slapd.conf"),
            format!(
                "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
                 include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
                 TLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
                 database mdb\nsuffix dc=example,dc=org\ndirectory {}\n\
                 access to attrs=userPassword by anonymous auth by * none\n\
                 access to * by users read by anonymous auth\n",
                certificate.display(),
                key.display(),
                slapd.path("db").display(),
            ),
        )?;
        let mut content =
            "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\n\
                           dc: example\n\ndn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\n\
                           ou: people\n"
                .to_owned();
        for (name, password) in people {
            content += &format!(
                "\ndn: uid={name},{}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
                 userPassword: {password}\n",
                Self::PEOPLE
            );
        }
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
        command.args(["-h", &format!("ldaps://{}", self.address()), "-d", "0"]);
        self.running = Some(Running::start("slapd", &mut command)?);
        until(LIMIT, "slapd to listen", || TcpStream::connect(("127.0.0.1", self.port)).ok())?;
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

    /// Where it listens, `host:port`.
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
