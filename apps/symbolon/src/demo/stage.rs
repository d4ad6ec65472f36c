//! Everything that stands before curl comes: a directory, a node, the application, and that it is published.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{ChildStdin, Command};

use super::application::Said;
use super::part::{LIMIT, Part};
use super::place::Place;
use super::{Picture, seen};
use crate::admin::{AdminClient, path, pem};
use crate::exit::{AtPath as _, Complaint, Outcome, plain};
use crate::paste::Paste;
use crate::place::{admin_socket, check_socket_path};
use crate::progress::Progress;

/// The host's name that curl asks for; `.example` is nobody's (RFC 2606).
pub(super) const NAME: &str = "demo.example";

/// The application's name.
const APP: &str = "demo";

/// The node's log, and how many of its lines are shown.
const LOG: &str = "log";
const COMPLAINTS: usize = 10;

/// All of it, which ends with this: what is named first, first.
pub(super) struct Stage {
    _application: Part,
    /// The application ends with it, should nothing else end it.
    _line: Option<ChildStdin>,
    _node: Part,
    pub(super) admin: AdminClient,
    pub(super) tls_port: u16,
    /// The certificate that curl trusts, PEM.
    pub(super) issuer: PathBuf,
    place: Place,
}

/// What a node says when it is up, or why it is not.
#[derive(Deserialize)]
struct NodeSaid {
    address: Option<SocketAddr>,
    error: Option<Value>,
}

impl Stage {
    /// Sets it.
    pub(super) async fn set(progress: &mut Progress, picture: &Picture) -> Outcome<Self> {
        let place = Place::make()?;
        let dir = place.path().join("node");
        check_socket_path(&admin_socket(&dir)).map_err(|e| e.fix("name a shorter one: TMPDIR=/tmp"))?;
        let admin = AdminClient::new(dir.clone(), Paste::plain().about(&dir));
        let (node, tls_port) =
            progress.step("node", "starting a node", begin_node(place.path(), &dir, &admin)).await?;
        seen(picture).leader = leader(&admin).await;
        let application = begin_application(picture.clone());
        let (application, line, address) =
            progress.step("application", "starting an application", application).await?;
        progress.step("publish", "publishing it", publish(&admin, address)).await?;
        let certificate = dir.join("issuer.crt");
        let issuer = place.path().join("issuer.pem");
        let certificate = std::fs::read(&certificate).at(&certificate)?;
        std::fs::write(&issuer, pem("CERTIFICATE", &certificate)).at(&issuer)?;
        Ok(Self { _application: application, _line: line, _node: node, admin, tls_port, issuer, place })
    }
}

impl Stage {
    /// What the node's log complains of, beside the kills: the last lines.
    pub(super) fn complaints(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.place.path().join(LOG)).unwrap_or_default();
        let complaint = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            let killed = line["fields"]["message"] == "worker died, signal 9";
            let bad = ["WARN", "ERROR"].iter().any(|level| line["level"] == *level);
            (bad && !killed).then(|| line["fields"].to_string())
        };
        let all: Vec<String> = log.lines().filter_map(complaint).collect();
        all[all.len().saturating_sub(COMPLAINTS)..].to_vec()
    }
}

/// The process of the worker that leads, if one does.
pub(super) async fn leader(admin: &AdminClient) -> Option<u32> {
    let status = admin.get("/v1/status").await.ok()?;
    u32::try_from(status["worker"]["pid"].as_u64()?).ok()
}

/// This program, which no configuration of this machine's node changes.
fn this_program() -> Outcome<Command> {
    let path = std::env::current_exe()
        .map_err(|e| Complaint::failure(format!("this program cannot be found: {}", plain(&e))))?;
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SYMBOLON_") || name == "NOTIFY_SOCKET" {
            command.env_remove(name);
        }
    }
    Ok(command)
}

async fn begin_node(place: &Path, dir: &Path, admin: &AdminClient) -> Outcome<((Part, u16), String)> {
    let [listen, tls] =
        free_ports().map_err(|e| Complaint::failure(format!("no port is free: {}", plain(&e))))?;
    let (settings, log) = (place.join("symbolon.toml"), place.join(LOG));
    std::fs::write(&settings, format!("[tls]\nlisten = \"{tls}\"\n")).at(&settings)?;
    let log = std::fs::File::create(&log).at(&log)?;
    let mut command = this_program()?;
    command.arg("--json").arg("--config").arg(settings).arg("--dir").arg(dir);
    command.args(["serve", "--listen", &listen.to_string(), "--name", "localhost"]);
    let mut node = Part::begin(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log))?;
    let (_, output, _) = node.take_streams();
    let mut lines = lines(output)?;
    let said: NodeSaid = line(&mut lines).await.ok_or_else(|| not_up("the node"))?;
    if said.address.is_none() {
        let why = said.error.as_ref().and_then(|e| e["message"].as_str()).unwrap_or_default().to_owned();
        return Err(Complaint::failure(format!("the node did not start: {why}")));
    }
    // what it says later is for nobody, and must not block it
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    until(|| leader(admin)).await.ok_or_else(|| not_up("the node"))?;
    let words = format!("node: a holder and two workers, for TLS clients on {tls}");
    Ok(((node, tls.port()), words))
}

async fn begin_application(picture: Picture) -> Outcome<((Part, Option<ChildStdin>, SocketAddr), String)> {
    let mut command = this_program()?;
    command.args(["demo", "failover", "--application"]);
    let mut part = Part::begin(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let (input, output, _) = part.take_streams();
    let mut lines = lines(output)?;
    let Some(Said::Ready { address }) = line(&mut lines).await else { return Err(not_up("the application")) };
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(Said::Arrived { bytes, pause_us }) = serde_json::from_str(&line) {
                let arrived = (bytes, Duration::from_micros(pause_us));
                seen(&picture).upload.arrived(Instant::now(), arrived);
            }
        }
    });
    Ok(((part, input, address), format!("application on {address}, a process of its own")))
}

async fn publish(admin: &AdminClient, address: SocketAddr) -> Outcome<((), String)> {
    let body = json!({
        "target": format!("tcp:{address}"), "protocol": "http", "description": "Two large files",
        "tls_name": NAME, "tls_clients": "anyone",
    });
    admin.put(&path("/v1/apps", [APP]), &body).await?;
    Ok(((), format!("published as {NAME}, for anyone")))
}

fn not_up(what: &str) -> Complaint {
    not_in_time(&format!("{what} did not come up"))
}

/// Something that is done in a moment was not done.
pub(super) fn not_in_time(what: &str) -> Complaint {
    Complaint::failure(what).fix("repeat the command when the machine has less to do")
}

fn lines<R: AsyncRead>(output: Option<R>) -> Outcome<Lines<BufReader<R>>> {
    output.map(|o| BufReader::new(o).lines()).ok_or_else(|| not_up("a process"))
}

/// The next line of a process of ours, in time.
async fn line<T: for<'a> Deserialize<'a>>(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> Option<T> {
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await.ok()?.ok()??;
    serde_json::from_str(&line).ok()
}

/// Asks until there is an answer, in time.
pub(super) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.ok()
}

/// Two ports of this machine that nobody has at the moment.
fn free_ports() -> std::io::Result<[SocketAddr; 2]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [bind()?, bind()?];
    Ok([listeners[0].local_addr()?, listeners[1].local_addr()?])
}
