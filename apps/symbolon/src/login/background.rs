//! Starting an agent that stays when the command has ended.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::Deserialize;
use symbolon_agent::Paths;

use super::{Method, SignInArgs};
use crate::cli::Global;
use crate::exit::{AtPath as _, Complaint, Kind, Outcome, plain};
use crate::interrupt;
use crate::output::printable;
use crate::paste::quote;

/// More than the agent says before it is ready.
const MAX_LINE: u64 = 8 * 1024 * 1024;

/// How long an agent may take to end when the command that waits for it is ended: more than it needs to sign out.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What the agent says on its standard output: one line, when it is signed in or has failed.
#[derive(Deserialize)]
struct FirstLine {
    ok: bool,
    error: Option<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    code: String,
    message: String,
    fix: Option<String>,
}

/// Starts this very program as an agent, gives it the secret, if any, over a pipe, and waits for its first line.
pub(super) fn start(global: &Global, paths: &Paths, sign_in: &SignInArgs, secret: Option<&str>) -> Outcome {
    let log = open_log(&paths.log)?;
    let said = log.metadata().map_or(0, |m| m.len());
    let binary =
        std::env::current_exe().map_err(|e| Complaint::failure(format!("this program: {}", plain(&e))))?;
    let mut command = Command::new(binary);
    command.args(["--json", "agent", "--background"]);
    if let Some(home) = &global.home {
        // the agent has another current directory
        command.arg("--home").arg(std::path::absolute(home).at(home)?);
    }
    command.args(std::iter::repeat_n("-v", global.verbose.into()));
    for (flag, value) in [
        ("--gateway", sign_in.gateway.as_ref().map(ToString::to_string)),
        ("--address", sign_in.address.clone()),
        ("--place", sign_in.place.clone()),
    ] {
        command.args(value.into_iter().map(|value| format!("{flag}={value}")));
    }
    command.args(sign_in.credential.words()?);
    // not the directory of whoever calls, which may be on a disk that is to be taken out
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().map_err(|e| Complaint::failure(format!("the agent: {}", plain(&e))))?;
    if let Some(mut stdin) = child.stdin.take()
        && let Some(secret) = secret
    {
        // an agent that has ended already says why on its standard output
        let _ = stdin.write_all(secret.as_bytes());
    }
    // whoever stops us wants no agent that comes up later
    let agent = Pid::from_child(&child);
    let undo = interrupt::undo(move || stop(agent));
    // where to sign in at a provider, most likely
    let relay = matches!(sign_in.credential.method()?, Method::Oidc).then(|| Relay::start(&paths.log, said));
    let line = first_line(&mut child)?;
    drop((undo, relay));
    match line {
        Some(FirstLine { ok: true, .. }) => Ok(()),
        Some(FirstLine { error: Some(failed), .. }) => Err(Complaint {
            kind: kind(&mut child),
            code: failed.code,
            message: failed.message,
            fix: failed.fix,
        }),
        _ => {
            let _ = child.wait();
            Err(Complaint::failure("the agent ended before it was signed in")
                .fix(format!("read its log: tail {}", quote(&paths.log.display().to_string()))))
        }
    }
}

/// Shows what programs of the agent say on its standard error, which is its log, until it is dropped.
struct Relay {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// From the byte `position` of the log on.
    fn start(log: &Path, position: u64) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (over, log) = (Arc::clone(&done), log.to_owned());
        let thread = std::thread::spawn(move || {
            // what cannot be shown is in the log all the same
            let Ok(mut file) = std::fs::File::open(log) else { return };
            let mut text = Vec::new();
            if file.seek(SeekFrom::Start(position)).is_err() {
                return;
            }
            loop {
                let last = over.load(Ordering::Relaxed);
                let _ = file.read_to_end(&mut text);
                while let Some(end) = text.iter().position(|&b| b == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    show(&String::from_utf8_lossy(&line));
                }
                if last {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Shows a line that is not the agent's own, which begins with the time.
fn show(line: &str) {
    let first = line.split_whitespace().next().unwrap_or_default();
    if !first.ends_with('Z') || !first.starts_with(|c: char| c.is_ascii_digit()) {
        let _ = writeln!(std::io::stderr(), "{}", printable(line.trim_end()));
    }
}

/// Asks an agent to end, and kills it when it does not.
fn stop(agent: Pid) {
    let _ = kill_process(agent, Signal::TERM);
    let start = Instant::now();
    while let Ok(None) = waitpid(Some(agent), WaitOptions::NOHANG) {
        if start.elapsed() > LAST_WORDS {
            let _ = kill_process(agent, Signal::KILL);
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn open_log(path: &Path) -> Outcome<std::fs::File> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).at(path)
}

fn first_line(child: &mut Child) -> Outcome<Option<FirstLine>> {
    let Some(stdout) = child.stdout.take() else { return Ok(None) };
    let mut line = String::new();
    BufReader::new(stdout.take(MAX_LINE))
        .read_line(&mut line)
        .map_err(|e| Complaint::failure(format!("the agent: {}", plain(&e))))?;
    Ok(serde_json::from_str(&line).ok())
}

/// The kind of failure, from the exit code with which the agent ends after it has complained.
fn kind(child: &mut Child) -> Kind {
    let code = child.wait().ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    [Kind::Usage, Kind::Denied, Kind::Unreachable]
        .into_iter()
        .find(|kind| Some(kind.code()) == code)
        .unwrap_or(Kind::Failure)
}
