//! The Debian packages whose programs the tests run as outsiders.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{run, succeeds};
use crate::question::{Answer, may_we};

/// A package and what for.
struct Package {
    name: &'static str,
    /// What counts is the program: whoever has it from elsewhere needs no package.
    program: Option<&'static str>,
    what_for: &'static str,
}

const fn program(name: &'static str, program: &'static str, what_for: &'static str) -> Package {
    Package { name, program: Some(program), what_for }
}

/// A package without a program of its own.
const fn library(name: &'static str, what_for: &'static str) -> Package {
    Package { name, program: None, what_for }
}

#[rustfmt::skip]
const NEEDED: &[Package] = &[
    program("postgresql", "initdb", "an application behind the gateway"),
    program("postgresql-client", "psql", "its unchanged client"),
    program("openssh-server", "sshd", "an application behind the gateway"),
    program("openssh-client", "ssh", "its unchanged client"),
    program("python3", "python3", "a plain HTTP server behind the gateway"),
    program("curl", "curl", "its unchanged client"),
    program("chromium", "chromium", "an unchanged browser"),
    program("libnss3-tools", "certutil", "the certificates that it trusts"),
    program("nghttp2-server", "nghttpd", "an application that speaks HTTP/2"),
    program("openssl", "openssl", "an outsider that reads our certificates"),
    program("sqlite3", "sqlite3", "an outsider that reads the embedded store"),
    program("redis-server", "redis-server", "a server for the hot records of a store"),
    program("redis-tools", "redis-cli", "an outsider that looks into it"),
    program("util-linux", "setsid", "a terminal of its own for PIN prompts"),
    program("iproute2", "ip", "network namespaces, and `ss` for open connections"),
    program("systemd", "systemd-analyze", "an outsider that reads our units"),
    library("libseccomp2", "filters of system calls such as it makes"),
    program("faketime", "faketime", "clocks that are wrong"),
    program("procps", "ps", "memory and processes of a node"),
    program("krb5-kdc", "krb5kdc", "a Kerberos realm"),
    program("krb5-admin-server", "kadmin.local", "its principals"),
    program("krb5-user", "kinit", "its unchanged client"),
    library("python3-jwt", "an OpenID provider that signs as an outsider"),
    library("python3-cryptography", "its keys"),
    program("slapd", "slapd", "a directory that knows passwords, and a program that speaks SASL"),
    program("ldap-utils", "ldapsearch", "its unchanged client"),
    library("libpam-wrapper", "PAM with services of the tests' own"),
    program("krb5-gss-samples", "gss-client", "programs that speak GSS-API"),
    program("sasl2-bin", "sasl-sample-client", "programs that speak SASL"),
    library("libsasl2-modules-gssapi-mit", "their way to GSS-API"),
    library("python3-gssapi", "an HTTP server that speaks GSS-API"),
    program("valgrind", "valgrind", "memory of foreign programs with our mechanism in them"),
    library("libc6-dbg", "names in what it says"),
    program("softhsm2", "softhsm2-util", "a PKCS#11 token"),
    program("opensc", "pkcs11-tool", "an outsider that looks into it"),
    program("swtpm", "swtpm", "a TPM"),
    program("tpm2-abrmd", "tpm2-abrmd", "its resource manager"),
    library("libtss2-tcti-tabrmd0", "the way to that"),
    library("libtpm2-pkcs11-1", "its PKCS#11 module"),
    program("libtpm2-pkcs11-tools", "tpm2_ptool", "what makes its tokens"),
    program("tpm2-tools", "tpm2_pcrread", "an outsider that looks into it"),
    program("dbus-daemon", "dbus-daemon", "a bus of its own for the resource manager"),
];

const INSTALL: &str = include_str!("install-packages.sh");

/// Lists what is needed, and installs what is missing once that is allowed. No service is started.
pub(crate) fn provide(answer: Answer) -> Result<()> {
    println!("The tests need these Debian packages:");
    let mut missing = Vec::new();
    for package in NEEDED {
        let there = match package.program {
            Some(program) => is_there(program),
            None => is_installed(package.name),
        };
        println!(
            "  {:<9} {:<28} {}",
            if there { "installed" } else { "missing" },
            package.name,
            package.what_for
        );
        if !there {
            missing.push(package.name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("this is not a Debian system: install the programs of {} yourself", missing.join(", "));
    }
    if !may_we("Install the missing ones with apt-get, starting no service", answer)? {
        bail!("not installed: {}", missing.join(" "));
    }
    let mut command = if is_root() {
        Command::new("sh")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("sh");
        sudo
    };
    run(command.args(["-c", INSTALL, "install-packages"]).args(missing))
}

fn is_installed(package: &str) -> bool {
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    asked.is_ok_and(|answer| answer.stdout.starts_with(b"installed"))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(servers.map(|version| version.path().join("bin")))
        .any(|directory| directory.join(program).is_file())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}
