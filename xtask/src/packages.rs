//! The Debian packages whose programs the tests run as outsiders.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{run, succeeds};
use crate::question::{Answer, may_we};

/// A package, the program of it that the tests run, and what for. What counts is the program: whoever has it from
/// elsewhere needs no package.
struct Package {
    name: &'static str,
    program: &'static str,
    what_for: &'static str,
}

const NEEDED: &[Package] = &[
    Package { name: "postgresql", program: "initdb", what_for: "an application behind the gateway" },
    Package { name: "postgresql-client", program: "psql", what_for: "its unchanged client" },
    Package { name: "openssh-server", program: "sshd", what_for: "an application behind the gateway" },
    Package { name: "openssh-client", program: "ssh", what_for: "its unchanged client" },
    Package { name: "python3", program: "python3", what_for: "a plain HTTP server behind the gateway" },
    Package { name: "curl", program: "curl", what_for: "its unchanged client" },
    Package { name: "openssl", program: "openssl", what_for: "an outsider that reads our certificates" },
    Package { name: "sqlite3", program: "sqlite3", what_for: "an outsider that reads the embedded store" },
    Package { name: "util-linux", program: "setsid", what_for: "a terminal of its own for PIN prompts" },
    Package {
        name: "iproute2",
        program: "ip",
        what_for: "network namespaces, and `ss` for open connections",
    },
    Package { name: "faketime", program: "faketime", what_for: "clocks that are wrong" },
    Package { name: "procps", program: "ps", what_for: "memory and processes of a node" },
];

const INSTALL: &str = include_str!("install-packages.sh");

/// Lists what is needed, and installs what is missing once that is allowed. No service is started.
pub(crate) fn provide(answer: Answer) -> Result<()> {
    println!("The tests need these Debian packages:");
    let mut missing = Vec::new();
    for package in NEEDED {
        let there = is_there(package.program);
        println!(
            "  {:<9} {:<18} {}",
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
