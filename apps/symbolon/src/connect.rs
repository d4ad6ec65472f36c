//! `symbolon connect`: an application by a local port, or by standard input and output.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;
use symbolon_agent::{Client, Listening, Paths, PortNews, RawStream};
use symbolon_policy::AppName;
use tokio::runtime::Runtime;

use crate::cli::Global;
use crate::exit::{Complaint, Outcome, plain};
use crate::output::{Page, Report};
use crate::paste::{Paste, quote};
use crate::runtime;
use crate::serve::Signals;

/// What one read moves: as much as a stream's record holds.
const CHUNK: usize = 16 * 1024;

/// What to reach, and how.
#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    /// The application's name, as `ls` shows it
    app: AppName,
    /// Make this local port [default: 127.0.0.1 and a free port]; open to every program on this machine
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "stdio")]
    local: Option<SocketAddr>,
    /// Join standard input and output to the application: for ssh's ProxyCommand
    #[arg(long)]
    stdio: bool,
}

/// A local port that leads to an application.
#[derive(Serialize)]
struct Port {
    app: AppName,
    address: SocketAddr,
    protocol: String,
    /// Commands that use the port.
    hints: Vec<String>,
}

impl Report for Port {
    fn write(&self, page: &mut Page) {
        page.line(format!("{} is at {} until you press ^C.", self.app, self.address));
        self.hints.iter().for_each(|hint| page.command(hint));
    }
}

/// The right to reach the application is back.
#[derive(Serialize)]
struct Granted<'a> {
    app: &'a AppName,
}

impl Report for Granted<'_> {
    fn write(&self, page: &mut Page) {
        page.line(format!("{} may be reached again.", self.app));
    }
}

/// It was told to end.
#[derive(Serialize)]
struct Ended {}

impl Report for Ended {
    fn write(&self, _: &mut Page) {}
}

/// Reaches an application.
pub(crate) fn run(global: &Global, args: ConnectArgs) -> Outcome {
    let paths = Paths::new(global.home.clone())?;
    if args.stdio {
        return stdio(&paths, &args.app)
            .map_err(|complaint| global.output().complain_aside(complaint.complete(&Paste::new(global))));
    }
    runtime::small()?.block_on(async {
        let mut signals = Signals::new()?;
        let mut client = Client::connect(&paths).await?;
        let destinations = client.ls().await?.destinations;
        let mut listening = client.listen(&args.app, args.local).await?;
        let protocol = destinations.into_iter().find(|d| d.app == args.app.as_str()).map(|d| d.protocol);
        let protocol = protocol.unwrap_or_else(|| "tcp".to_owned());
        let hints = hints(&protocol, &args.app, listening.address(), &Paste::new(global));
        let (app, address) = (args.app.clone(), listening.address());
        global.output().event("ready", &Port { app, address, protocol, hints });
        tokio::select! {
            () = signals.stop() => {
                global.output().event("ended", &Ended {});
                Ok(())
            }
            complaint = watch(global, &args.app, &mut listening) => {
                global.output().event_failed("ended", &complaint);
                Err(complaint.said())
            }
        }
    })
}

/// Tells what happens to the port until it is gone; returns why.
async fn watch(global: &Global, app: &AppName, listening: &mut Listening) -> Complaint {
    let (output, paste) = (global.output(), Paste::new(global));
    let complaint = |error| Complaint::from(error).complete(&paste);
    loop {
        match listening.news().await {
            PortNews::Withdrawn(error) => output.event_failed("withdrawn", &complaint(error)),
            PortNews::Granted => output.event("granted", &Granted { app }),
            PortNews::Failed(error) => {
                let mut complaint = complaint(error);
                complaint.message = format!("a connection failed: {}", complaint.message);
                output.event_failed("failed", &complaint);
            }
            PortNews::Closed(error) => return complaint(error),
        }
    }
}

fn stdio(paths: &Paths, app: &AppName) -> Outcome {
    let runtime = runtime::small()?;
    let stream = runtime.block_on(async { Client::connect(paths).await?.stream(app).await })?;
    bridge(&runtime, stream)
}

/// Commands that use the port, ready to be pasted.
fn hints(protocol: &str, app: &AppName, address: SocketAddr, paste: &Paste) -> Vec<String> {
    let (ip, port) = (address.ip(), address.port());
    match protocol {
        "http" => vec![format!("curl http://{address}/")],
        "postgresql" => vec![format!("psql 'host={ip} port={port} user=postgres dbname=postgres'")],
        "ssh" => {
            let proxy = quote(&format!("ProxyCommand={}", paste.user(["connect", app.as_str(), "--stdio"])));
            vec![format!("ssh -p {port} -o HostKeyAlias={app} {ip}"), format!("ssh -o {proxy} {app}")]
        }
        _ => vec![format!("nc {ip} {port}")],
    }
}

/// Moves bytes both ways; the end of one direction ends only that one. Only who sits at a terminal is not waited for when
/// the application's side has ended.
///
/// Threads, because standard input cannot be read without blocking one.
fn bridge(runtime: &Runtime, mut stream: RawStream) -> Outcome {
    let socket = runtime.block_on(async { duplicate(&mut stream) });
    let socket = socket.map_err(|e| Complaint::failure(format!("the stream: {}", plain(&e))))?;
    let up = socket.try_clone().map_err(|e| Complaint::failure(format!("the stream: {}", plain(&e))))?;
    let (mut input, mut output) = standard_streams().map_err(|e| Complaint::failure(plain(&e)))?;
    let up = std::thread::spawn(move || {
        // an application that has closed its end says so on the other direction
        let _ = feed(&mut input, &up);
        let _ = up.shutdown(Shutdown::Write);
    });
    let down = copy(&mut &socket, &mut output);
    match down {
        // whoever read our output has gone: nothing is left to do, and nobody to tell
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) if e.kind() != io::ErrorKind::ConnectionReset => {
            Err(Complaint::failure(format!("the stream: {}", plain(&e))))
        }
        down => {
            if down.is_ok() && !io::stdin().is_terminal() {
                // whoever reads our output learns of its end while the other direction goes on
                drop(output);
                let _ = File::options().write(true).open("/dev/null").map(rustix::stdio::dup2_stdout);
                let _ = up.join();
            }
            // whoever still types types to nobody
            let _ = socket.shutdown(Shutdown::Both);
            Ok(runtime.block_on(stream.outcome())?)
        }
    }
}

/// Hands on what is typed, until its end or until the agent has closed both directions.
fn feed(input: &mut File, socket: &UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let mut watched = [PollFd::new(&*input, PollFlags::IN), PollFd::new(socket, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        let [typed, closed] = watched.map(|fd| !fd.revents().is_empty());
        if closed {
            return Ok(());
        }
        if typed {
            let n = input.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            (&*socket).write_all(&buffer[..n])?;
        }
    }
}

/// Standard input and output without the buffers that suit lines of text.
fn standard_streams() -> io::Result<(File, File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((input.into(), output.into()))
}

/// A blocking handle of the same socket.
fn duplicate(stream: &mut RawStream) -> io::Result<UnixStream> {
    let descriptor = stream.get_mut().as_fd().try_clone_to_owned()?;
    let socket = UnixStream::from(descriptor);
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// Copies until the end, and hands on each piece at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                to.flush()?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_hint_fits_the_protocol() {
        let paste = Paste::at(Path::new("/h"), Path::new("/d"));
        let app = AppName::parse("office").unwrap();
        let hints = |protocol| hints(protocol, &app, "127.0.0.1:5000".parse().unwrap(), &paste);
        assert_eq!(hints("http"), ["curl http://127.0.0.1:5000/"]);
        assert!(hints("postgresql")[0].starts_with("psql 'host=127.0.0.1 port=5000 "));
        assert!(hints("ssh")[1].ends_with(" --home /h connect office --stdio' office"), "{:?}", hints("ssh"));
        assert_eq!(hints("tcp"), ["nc 127.0.0.1 5000"]);
    }

    #[test]
    fn bytes_are_handed_on_as_they_come() {
        let mut to = Vec::new();
        copy(&mut &b"abc"[..], &mut to).unwrap();
        assert_eq!(to, b"abc");
    }
}
