//! The agent's socket: who may talk, and what is answered.

use crate::AgentError;
use crate::agent::certificates::Place;
use crate::agent::report;
use crate::agent::shared::Shared;
use crate::agent::tunnel::{Early, Tunnel};
use crate::ipc::{
    MAX_REQUEST, PinText, PortNews, Reply, ReplyLine, Request, RequestLine, read_line, to_line,
};
use crate::status::SCHEMA;
use rustix::net::sockopt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use symbolon_hardware::{DevicePin, HardwareError, Pkcs11Uri};
use symbolon_policy::AppName;
use symbolon_provider::SubjectKeyKind;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Failures of a local port that wait to be told; more at once are told by `status` alone.
const MAX_NEWS: usize = 16;

/// Commands that talk at the same time.
const MAX_COMMANDS: usize = 256;

/// Answers until the agent ends; what it started ends with it.
pub(crate) async fn serve(shared: Arc<Shared>, listener: UnixListener) {
    let commands = Arc::new(Semaphore::new(MAX_COMMANDS));
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&commands).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => {
                let shared = Arc::clone(&shared);
                running.spawn(async move {
                    let _permit = permit;
                    if let Err(e) = command(&shared, stream).await {
                        tracing::debug!(error = %e, "a command went away");
                    }
                });
            }
            Ok(_) => tracing::warn!("another user tried to talk to this agent"),
            Err(e) => {
                // Out of descriptors, most likely: others must end first.
                tracing::warn!(error = %e, "cannot accept a command");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Whether the other end is this user, or root.
fn is_ours(stream: &UnixStream) -> bool {
    sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::getuid())
}

async fn command(shared: &Arc<Shared>, stream: UnixStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let line = match read_line::<RequestLine>(&mut stream, MAX_REQUEST).await {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(e) => return reply(&mut stream, Err(e)).await,
        };
        if line.schema != SCHEMA {
            let error = AgentError::usage(format!("this agent speaks schema {SCHEMA}, not {}", line.schema))
                .fix("use a symbolon of the agent's version: symbolon logout, then symbolon login");
            return reply(&mut stream, Err(error)).await;
        }
        let result = match line.request {
            Request::Status => Ok(Reply::Status(Box::new(shared.status()))),
            Request::Ls => {
                shared.configuration_on_its_way().await;
                Ok(Reply::Destinations(shared.destinations()))
            }
            Request::WhoAmI => shared.whoami().map(|who| Reply::WhoAmI(Box::new(who))),
            Request::StreamEnd { stream } => shared.stream_end(stream).await.map(|()| Reply::Done),
            Request::Place { place } => report::place(&place).map(|place| {
                shared.set_place(place);
                Reply::Done
            }),
            Request::Certificate { key, device, place, pin } => match wanted(&key, place.as_deref(), pin) {
                Ok((kind, place)) => {
                    let certificate = shared.certificate(kind, device, place).await;
                    certificate.map(|info| Reply::Certificate(Box::new(info)))
                }
                Err(e) => Err(e),
            },
            Request::Logout => {
                shared.logout.notify_one();
                reply(&mut stream, Ok(Reply::Done)).await?;
                // Held until the agent ends, so that whoever waits for that sees it.
                return std::future::pending().await;
            }
            Request::Listen { app, address } => match listen(shared, &app, address).await {
                Ok((app, listener, address)) => {
                    reply(&mut stream, Ok(Reply::Listening(address))).await?;
                    return forward(shared, stream, app, listener, address).await;
                }
                Err(e) => Err(e),
            },
            Request::Stream { app } => match raw(shared, &app, &mut stream).await {
                Ok(tunnel) => {
                    reply(&mut stream, Ok(Reply::Stream(tunnel.id()))).await?;
                    let (mut read, mut write) = stream.get_mut().split();
                    let _ = tunnel.carry(&mut read, &mut write).await;
                    return Ok(());
                }
                Err(e) => Err(e),
            },
        };
        reply(&mut stream, result).await?;
    }
}

/// What kind of key, and where.
fn wanted(
    key: &str,
    place: Option<&str>,
    pin: Option<PinText>,
) -> Result<(SubjectKeyKind, Option<Place>), AgentError> {
    let kind = key.parse().map_err(|e: String| AgentError::usage(e))?;
    let place = place.map(|uri| {
        let uri = Pkcs11Uri::parse(uri).map_err(HardwareError::from)?;
        Ok::<_, AgentError>(Place { uri, pin: pin.map(|PinText(pin)| DevicePin::from(pin)) })
    });
    Ok((kind, place.transpose()?))
}

async fn reply(stream: &mut BufReader<UnixStream>, result: Result<Reply, AgentError>) -> std::io::Result<()> {
    stream.get_mut().write_all(&to_line(&ReplyLine::new(result))).await
}

fn app_name(text: &str) -> Result<AppName, AgentError> {
    AppName::parse(text).map_err(|e| {
        AgentError::usage(format!("the application's name {e}")).fix("symbolon ls shows the names")
    })
}

/// A raw stream, with whatever followed the request at once as its first data.
async fn raw(
    shared: &Arc<Shared>,
    app: &str,
    stream: &mut BufReader<UnixStream>,
) -> Result<Tunnel, AgentError> {
    let app = app_name(app)?;
    let early = Early { data: stream.buffer().to_vec(), closed: false };
    let taken = early.data.len();
    stream.consume(taken);
    let (mut read, _write) = stream.get_mut().split();
    Tunnel::open(shared, &app, "stdio", &mut read, early).await
}

async fn listen(
    shared: &Arc<Shared>,
    app: &str,
    address: Option<SocketAddr>,
) -> Result<(AppName, TcpListener, SocketAddr), AgentError> {
    let app = app_name(app)?;
    shared.configuration_on_its_way().await;
    shared.check_destination(&app)?;
    let address = address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    if !address.ip().is_loopback() {
        return Err(AgentError::usage(format!("{address} can be reached from other machines"))
            .fix("use 127.0.0.1 or [::1]: whoever reaches the port has your rights"));
    }
    let taken = |e: std::io::Error| {
        AgentError::usage(format!("cannot listen on {address}: {e}")).fix("choose another port, or none")
    };
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    Ok((app, listener, address))
}

/// Leads a local port to an application until the command goes away, and tells the command what it should know
/// meanwhile. Streams go on by themselves.
async fn forward(
    shared: &Arc<Shared>,
    mut command: BufReader<UnixStream>,
    app: AppName,
    listener: TcpListener,
    address: SocketAddr,
) -> std::io::Result<()> {
    let _entered = shared.enter_listener(&app, address);
    let (failed, mut failures) = mpsc::channel(MAX_NEWS);
    let mut changed = shared.changed.subscribe();
    let mut withdrawn = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // A command that holds a port says nothing more.
            _ = command.fill_buf() => return Ok(()),
            Some(error) = failures.recv() => {
                tell(&command, PortNews::Failed(error))?;
                continue;
            }
            _ = changed.changed() => {
                match shared.standing(&app) {
                    Some(Err(_)) if !withdrawn => {
                        withdrawn = true;
                        tell(&command, PortNews::Withdrawn(gone(&app)))?;
                    }
                    Some(Ok(())) if withdrawn => {
                        withdrawn = false;
                        tell(&command, PortNews::Granted)?;
                    }
                    _ => {}
                }
                continue;
            }
        };
        match accepted {
            Ok((local, peer)) => {
                let (shared, app, failed) = (Arc::clone(shared), app.clone(), failed.clone());
                tokio::spawn(async move {
                    if let Err(error) = local_connection(shared, app, local, peer).await {
                        // Whoever does not read so many is not interested.
                        let _ = failed.try_send(error);
                    }
                });
            }
            Err(e) => {
                shared.problem(&format!("cannot accept a connection to {app}: {e}"));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn gone(app: &AppName) -> AgentError {
    AgentError::denied(format!("your right to reach {app} is gone; the port refuses until it is back"))
        .code("withdrawn")
        .fix("ask an administrator for the right to reach it")
}

/// Tells a command without waiting for it: one that does not read misses what its buffer does not hold.
fn tell(command: &BufReader<UnixStream>, news: PortNews) -> std::io::Result<()> {
    let line = to_line(&ReplyLine::new(Ok(Reply::News(news))));
    match command.get_ref().try_write(&line) {
        Ok(written) if written < line.len() => Err(std::io::ErrorKind::WriteZero.into()),
        Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => Err(e),
        _ => Ok(()),
    }
}

async fn local_connection(
    shared: Arc<Shared>,
    app: AppName,
    mut local: TcpStream,
    peer: SocketAddr,
) -> Result<(), AgentError> {
    let _ = local.set_nodelay(true);
    let result = {
        let (mut read, mut write) = local.split();
        let origin = format!("local port {}", peer.port());
        match Tunnel::open(&shared, &app, &origin, &mut read, Early::default()).await {
            Ok(tunnel) => tunnel.carry(&mut read, &mut write).await,
            Err(e) => {
                shared.problem(&format!("{app}: {}", e.message));
                Err(e)
            }
        }
    };
    if result.is_err() {
        // A reset, so that a cut is not taken for the end of what was sent.
        let _ = sockopt::set_socket_linger(&local, Some(Duration::ZERO));
    }
    result
}
