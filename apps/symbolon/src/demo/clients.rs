//! The two clients: the system's `curl`, which knows nothing of Symbolon.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::flow::Arrivals;
use super::part::Part;
use super::stage::{NAME, Stage};
use super::{Picture, seen};
use crate::exit::{Complaint, Outcome, plain};
use crate::sample::bulk::{Content, File, Paced, Sum};

/// What curl says at the end, on standard error: how many connections it opened.
const TOLD: &str = "%{stderr}\\n%{num_connects}\\n";

/// As much as curl writes at once.
const BUFFER: usize = 64 * 1024;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    /// To curl.
    Download,
    /// From curl.
    Upload,
}

impl Direction {
    /// As people call it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }
}

/// Demands that there is a curl.
pub(super) async fn check_curl() -> Outcome {
    let mut curl = Command::new("curl");
    curl.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match curl.status().await {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Complaint::failure("curl is not installed").code("no-curl").fix("apt install curl"))
        }
        Err(e) => Err(Complaint::failure(format!("curl cannot be started: {}", plain(&e)))),
    }
}

/// A transfer that is under way.
pub(super) struct Transfer {
    curl: Part,
    /// SHA-256 of what the sender has.
    sent: JoinHandle<String>,
    /// Length and SHA-256 of what the receiver got.
    received: JoinHandle<(u64, String)>,
    /// What curl said.
    said: JoinHandle<String>,
}

/// What came of a transfer.
#[derive(Debug)]
pub(super) struct Transferred {
    /// Connections that curl opened, with a handshake each.
    pub(super) handshakes: u64,
    /// Bytes that the receiver counted.
    pub(super) bytes: u64,
    pub(super) sent: String,
    pub(super) received: String,
    /// What curl complained of.
    pub(super) error: Option<String>,
}

impl Transfer {
    /// Begins curl.
    pub(super) fn begin(direction: Direction, stage: &Stage, picture: &Picture) -> Outcome<Self> {
        let mut command = curl(stage.tls_port, &stage.issuer);
        let upload = direction == Direction::Upload;
        if upload {
            // from standard input, and at once
            command.args(["--upload-file", "-", "--header", "Expect:"]);
        }
        let input = if upload { Stdio::piped() } else { Stdio::null() };
        let mut curl = Part::begin(command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (stdin, stdout, stderr) = curl.take_streams();
        let said = tokio::spawn(text(stderr));
        let file = if upload { File::Sent } else { File::Fetched };
        let sent = match stdin {
            Some(stdin) => tokio::spawn(feed(stdin, file)),
            None => tokio::task::spawn_blocking(move || Content::of(file).sum()),
        };
        let received = match stdout {
            Some(stdout) if !upload => tokio::spawn(count(stdout, picture.clone())),
            stdout => tokio::spawn(answer(stdout)),
        };
        Ok(Self { curl, sent, received, said })
    }

    /// Waits for its end.
    pub(super) async fn finish(mut self) -> Transferred {
        let ended_well = self.curl.wait().await;
        // none of them panics
        let sent = self.sent.await.unwrap_or_default();
        let (bytes, received) = self.received.await.unwrap_or_default();
        let said = self.said.await.unwrap_or_default();
        let (complaint, handshakes) = said.trim_end().rsplit_once('\n').unwrap_or(("", &said));
        let handshakes = handshakes.parse().unwrap_or(0);
        let error = (!ended_well).then(|| match complaint.trim() {
            "" => "curl ended without a word".to_owned(),
            complaint => complaint.to_owned(),
        });
        Transferred { handshakes, bytes, sent, received, error }
    }
}

fn curl(tls_port: u16, issuer: &Path) -> Command {
    let mut curl = Command::new("curl");
    // what the person has set for other uses of curl does not count
    curl.args(["--disable", "--silent", "--show-error", "--fail", "--noproxy", "*"]);
    curl.args(["--resolve", &format!("{NAME}:{tls_port}:127.0.0.1"), "--cacert"]).arg(issuer);
    curl.args(["--write-out", TOLD, &format!("https://{NAME}:{tls_port}/file")]);
    curl
}

/// Sends the file at its pace; what curl does not take any more is told by curl.
async fn feed(mut stdin: ChildStdin, file: File) -> String {
    let (mut paced, mut sum) = (Paced::new(file), Sum::new());
    while let Some(bytes) = paced.next().await {
        sum.add(&bytes);
        if stdin.write_all(&bytes).await.is_err() {
            break;
        }
    }
    sum.hex()
}

/// Takes what curl got, as it comes.
async fn count(mut stdout: ChildStdout, picture: Picture) -> (u64, String) {
    let (mut arrivals, mut sum, mut buffer) = (Arrivals::default(), Sum::new(), vec![0; BUFFER]);
    while let Ok(n @ 1..) = stdout.read(&mut buffer).await {
        sum.add(&buffer[..n]);
        let now = Instant::now();
        arrivals.came(now, n as u64);
        seen(&picture).download.arrived(now, arrivals.tell());
    }
    (arrivals.tell().0, sum.hex())
}

/// The application's answer: how much it got, and the sum of that.
async fn answer(stdout: Option<ChildStdout>) -> (u64, String) {
    let text = text(stdout).await;
    let (bytes, sum) = text.trim_end().split_once(' ').unwrap_or_default();
    (bytes.parse().unwrap_or(0), sum.to_owned())
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // what came before an error is worth showing
        let _ = stream.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
