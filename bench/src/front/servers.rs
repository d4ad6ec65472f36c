//! Programs that terminate TLS in front of one application.

use crate::child::Child;
use crate::pipe;
use crate::tls::{SERVER_NAME, usual_server};
use anyhow::{Context as _, Result};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use symbolon_acceptance::{LIMIT, Machine, Running, finish, free_port, program, until};
use tempfile::TempDir;

/// The certificate that all of them show, in files, and the client that trusts it.
pub(super) struct Site {
    dir: TempDir,
    pub(super) client: Arc<ClientConfig>,
}

impl Site {
    pub(super) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (certificate, key, client) = usual_server()?;
        std::fs::write(dir.path().join("site.pem"), &certificate)?;
        std::fs::write(dir.path().join("site.key"), &key)?;
        // HAProxy wants both in one
        std::fs::write(dir.path().join("both.pem"), certificate + &key)?;
        Ok(Self { dir, client })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// What ends a server when it is dropped.
#[expect(dead_code, reason = "held so that it runs on")]
enum Process {
    Child(Child),
    Running(Running),
    Symbolon(Running, Machine),
}

/// One of them.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    /// Its first process, of which all others are children.
    pub(super) pid: u32,
    _process: Process,
}

impl Server {
    /// A plain pipe of tokio-rustls.
    pub(super) fn pipe(site: &Site, application: SocketAddr) -> Result<Self> {
        let (certificate, key) = (site.path("site.pem"), site.path("site.key"));
        let arguments = [&application.to_string(), &*certificate.to_string_lossy(), &*key.to_string_lossy()];
        let child = Child::start(pipe::ROLE, &arguments)?;
        let address = child.said("address")?.parse()?;
        Ok(Self { name: "tokio-rustls", address, pid: child.pid(), _process: Process::Child(child) })
    }

    /// HAProxy, if it is installed: all cores, buffers as large as ours.
    pub(super) fn haproxy(site: &Site, application: SocketAddr) -> Result<Option<Self>> {
        let Ok(program) = program("haproxy") else { return Ok(None) };
        let (port, both) = (free_port()?, site.path("both.pem"));
        let settings = format!(
            "global\n maxconn 8000\n tune.bufsize 65536\n ssl-default-bind-options ssl-min-ver TLSv1.3\n \
             ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256\n ssl-default-bind-curves X25519\n\
             defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n\
             frontend tls\n bind 127.0.0.1:{port} ssl crt {}\n default_backend application\n\
             backend application\n server application {application}\n",
            both.display()
        );
        let file = site.path("haproxy.cfg");
        std::fs::write(&file, settings)?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(file);
        Self::foreign("HAProxy", command, port).map(Some)
    }

    /// nginx, if it is installed with its module for streams.
    pub(super) fn nginx(site: &Site, application: SocketAddr) -> Result<Option<Self>> {
        const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
        let Ok(program) = program("nginx") else { return Ok(None) };
        let mut settings = String::new();
        if Path::new(MODULE).exists() {
            writeln!(settings, "load_module {MODULE};")?;
        }
        let port = free_port()?;
        let (certificate, key) = (site.path("site.pem"), site.path("site.key"));
        write!(
            settings,
            "daemon off; worker_processes auto; error_log stderr crit; pid {}; events {{ worker_connections 10000; }}\n\
             stream {{ server {{ listen 127.0.0.1:{port} ssl; proxy_pass {application}; proxy_buffer_size 64k; \
             ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; \
             ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; }} }}\n",
            site.path("nginx.pid").display(),
            certificate.display(),
            key.display(),
        )?;
        let file = site.path("nginx.conf");
        std::fs::write(&file, settings)?;
        let mut command = Command::new(program);
        command.arg("-p").arg(site.dir.path()).arg("-e").arg("stderr").arg("-c").arg(file);
        match Self::foreign("nginx", command, port) {
            Ok(server) => Ok(Some(server)),
            Err(_) if !Path::new(MODULE).exists() => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn foreign(name: &'static str, mut command: Command, port: u16) -> Result<Self> {
        let running = Running::start(name, &mut command)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        until(LIMIT, name, || TcpStream::connect(address).ok()).with_context(|| running.output())?;
        Ok(Self { name, address, pid: running.pid(), _process: Process::Running(running) })
    }

    /// What its processes have used so far.
    pub(super) fn cpu(&self) -> Cpu {
        Cpu::of(self.pid)
    }
}

/// `symbolon serve` with a TLS port.
pub(super) struct Symbolon {
    pub(super) address: SocketAddr,
    running: Running,
    machine: Machine,
}

impl Symbolon {
    /// In front of an application that is for everybody; `further` goes above the tables of its configuration.
    pub(super) fn start(site: &Site, application: SocketAddr, further: &str) -> Result<Self> {
        let machine = Machine::new("gateway")?;
        let (port, native) = (free_port()?, free_port()?);
        let settings = format!(
            "{further}\n[limits]\ntls_connections = 20000\ntls_connections_per_source = 20000\n\
             [tls]\nlisten = \"127.0.0.1:{port}\"\n\
             [[tls.certificate]]\nname = \"{SERVER_NAME}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            site.path("site.pem").display(),
            site.path("site.key").display()
        );
        let settings = machine.write("symbolon.toml", settings)?;
        let (settings, dir) = (settings.display().to_string(), machine.path("node").display().to_string());
        let listen = format!("127.0.0.1:{native}");
        let words =
            ["--config", &settings, "serve", "--dir", &dir, "--listen", &listen, "--name", "gw.example"];
        let running = Running::start("serve", &mut machine.symbolon(words))?;
        running.wait_line(|line| line.contains(" listens on "))?;
        let application = application.to_string();
        let add = ["--dir", &dir, "admin", "apps", "add", "bytes", &application, "--protocol", "tcp"];
        let to_all = ["--tls-name", SERVER_NAME, "--tls-clients", "anyone"];
        finish(&mut machine.symbolon(add.iter().chain(&to_all)), b"", LIMIT)?.success()?;
        Ok(Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), running, machine })
    }

    /// The holder's process.
    pub(super) fn holder(&self) -> u32 {
        self.running.pid()
    }

    /// Its workers' processes.
    pub(super) fn workers(&self) -> Vec<u32> {
        children(self.holder())
    }

    /// The lines that it wrote.
    pub(super) fn log(&self) -> String {
        self.running.output()
    }

    /// As one of the servers that are compared.
    pub(super) fn into_server(self, name: &'static str) -> Server {
        let (address, pid) = (self.address, self.holder());
        Server { name, address, pid, _process: Process::Symbolon(self.running, self.machine) }
    }
}

fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// CPU time of each thread of a process and its children, as the scheduler counts it.
pub(super) struct Cpu(BTreeMap<u32, u64>);

impl Cpu {
    fn of(pid: u32) -> Self {
        let mut threads = BTreeMap::new();
        for process in children(pid).into_iter().chain([pid]) {
            let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
            for task in tasks.into_iter().flatten().flatten() {
                let counted = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let spent = counted.split(' ').next().and_then(|spent| spent.parse::<u64>().ok());
                let thread = task.file_name().to_string_lossy().parse::<u32>().ok();
                threads.extend(thread.zip(spent));
            }
        }
        Self(threads)
    }

    /// What was used from `before` to this, by threads that still run.
    pub(super) fn since(&self, before: &Self) -> Duration {
        let spent = |(thread, now): (&u32, &u64)| now - before.0.get(thread).copied().unwrap_or(0).min(*now);
        Duration::from_nanos(self.0.iter().map(spent).sum())
    }
}
