//! Talking to the user's running agent.

use crate::ipc::{
    MAX_REPLY, MAX_REQUEST, PinText, PortNews, Reply, ReplyLine, Request, RequestLine, gone, parse,
    read_line, to_line,
};
use crate::kept_certificate::{CertificateInfo, device_label};
use crate::status::{Destinations, SCHEMA, Status, WhoAmI};
use crate::{AgentError, Paths, last_end};
use std::net::SocketAddr;
use symbolon_crypto::SecretBytes;
use symbolon_hardware::Pkcs11Uri;
use symbolon_policy::AppName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The code of the failure that says that a device wants its PIN.
pub const PIN_WANTED: &str = "device-pin";

/// A connection to the agent.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    paths: Paths,
}

impl Client {
    /// Connects to the agent of these paths.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unreachable`] when none runs, with the reason for which the last one ended unless that was
    /// asked to.
    pub async fn connect(paths: &Paths) -> Result<Self, AgentError> {
        match UnixStream::connect(&paths.socket).await {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream), paths: paths.clone() }),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(AgentError::file("connect to", &paths.socket, &e))
            }
            Err(_) => Err(match last_end::read(paths) {
                Some(end) => end.since(),
                None => AgentError::unreachable("no agent is running").fix("start one: symbolon login"),
            }),
        }
    }

    async fn send(&mut self, request: Request) -> Result<(), AgentError> {
        // it may have a PIN in it
        let line = SecretBytes::new(to_line(&RequestLine { schema: SCHEMA, request }));
        self.stream.get_mut().write_all(line.expose()).await.map_err(|e| gone(&e))
    }

    async fn ask(&mut self, request: Request) -> Result<Reply, AgentError> {
        self.send(request).await?;
        match read_line::<ReplyLine>(&mut self.stream, MAX_REPLY).await? {
            Some(reply) => reply.into_result(),
            None => Err(gone(&std::io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// How things are.
    ///
    /// # Errors
    /// What the agent gives; [`crate::ErrorKind::Unreachable`] when it is gone.
    pub async fn status(&mut self) -> Result<Status, AgentError> {
        match self.ask(Request::Status).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(unexpected()),
        }
    }

    /// What the user may reach.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn ls(&mut self) -> Result<Destinations, AgentError> {
        match self.ask(Request::Ls).await? {
            Reply::Destinations(destinations) => Ok(destinations),
            _ => Err(unexpected()),
        }
    }

    /// Who the user is to the gateway.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn whoami(&mut self) -> Result<WhoAmI, AgentError> {
        match self.ask(Request::WhoAmI).await? {
            Reply::WhoAmI(who) => Ok(*who),
            _ => Err(unexpected()),
        }
    }

    /// Tells where the machine is; the gateway is told at once.
    ///
    /// # Errors
    /// As [`Client::status`]; [`crate::ErrorKind::Usage`] for a place that is no line of text.
    pub async fn place(&mut self, place: &str) -> Result<(), AgentError> {
        self.ask(Request::Place { place: place.to_owned() }).await.map(drop)
    }

    /// Gets a certificate for this device from the gateway, in place of the one that the agent keeps. `key` is the
    /// kind of its new key, `x-wing`, `x25519`, `p256` or `ed25519`; the device is called by the machine's name
    /// unless `device` says otherwise.
    ///
    /// # Errors
    /// As [`Client::status`]; [`crate::ErrorKind::Denied`] with the gateway's reason.
    pub async fn certificate(
        &mut self,
        key: &str,
        device: Option<String>,
    ) -> Result<CertificateInfo, AgentError> {
        self.certified(key, device, None, None).await
    }

    /// The same with a key that the PKCS#11 device of `place` makes and holds, of the kind `p256`. It is called there
    /// as `object` of the URI says.
    ///
    /// # Errors
    /// As [`Client::certificate`]; with the code [`PIN_WANTED`] when the agent needs the device's PIN and none was
    /// given; what is wrong with the device or its PIN.
    pub async fn certificate_in_device(
        &mut self,
        key: &str,
        device: Option<String>,
        place: &Pkcs11Uri,
        pin: Option<SecretBytes>,
    ) -> Result<CertificateInfo, AgentError> {
        self.certified(key, device, Some(place.to_string()), pin.map(PinText)).await
    }

    async fn certified(
        &mut self,
        key: &str,
        device: Option<String>,
        place: Option<String>,
        pin: Option<PinText>,
    ) -> Result<CertificateInfo, AgentError> {
        let device = device.unwrap_or_else(device_label);
        match self.ask(Request::Certificate { key: key.to_owned(), device, place, pin }).await? {
            Reply::Certificate(info) => Ok(*info),
            _ => Err(unexpected()),
        }
    }

    /// Signs out and stops the agent; live streams end.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn logout(mut self) -> Result<(), AgentError> {
        self.ask(Request::Logout).await?;
        // Until the agent has ended, so that a login right after it finds the place free.
        let mut rest = Vec::new();
        let _ = self.stream.take(MAX_REQUEST).read_to_end(&mut rest).await;
        Ok(())
    }

    /// Makes a local port that leads to `app`, on `address` (127.0.0.1 and a free port when
    /// absent). It is open as long as the result is held.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Denied`] when the application is not among the destinations,
    /// [`crate::ErrorKind::Usage`] for an address that is not of this machine alone, or taken.
    pub async fn listen(
        mut self,
        app: &AppName,
        address: Option<SocketAddr>,
    ) -> Result<Listening, AgentError> {
        match self.ask(Request::Listen { app: app.to_string(), address }).await? {
            Reply::Listening(address) => Ok(Listening { address, client: self }),
            _ => Err(unexpected()),
        }
    }

    /// Opens a stream to `app`. It is accepted by the application's side when this returns.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Denied`] when it is not permitted, [`crate::ErrorKind::Unreachable`] when
    /// the application or the gateway does not answer.
    pub async fn stream(mut self, app: &AppName) -> Result<RawStream, AgentError> {
        self.send(Request::Stream { app: app.to_string() }).await?;
        // Nothing was asked before on this connection, so the buffer is empty; and nothing beyond
        // the reply's line may be read, because the application's bytes follow.
        let mut stream = self.stream.into_inner();
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') && line.len() as u64 <= MAX_REQUEST {
            let byte = stream.read_u8().await.map_err(|e| gone(&e))?;
            line.push(byte);
        }
        match parse::<ReplyLine>(&line)?.into_result()? {
            Reply::Stream(id) => Ok(RawStream { stream, id, paths: self.paths }),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> AgentError {
    AgentError::failure("the agent gave an answer to another question")
}

/// A local port that leads to an application while this is held.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    client: Client,
}

impl Listening {
    /// Where programs connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next thing that is to be told about the port; after [`PortNews::Closed`] there is nothing more.
    pub async fn news(&mut self) -> PortNews {
        let closed = match read_line::<ReplyLine>(&mut self.client.stream, MAX_REPLY).await {
            Ok(Some(line)) => match line.into_result() {
                Ok(Reply::News(news)) => return news,
                Ok(_) => unexpected(),
                Err(e) => e,
            },
            Ok(None) => match last_end::read(&self.client.paths) {
                Some(end) => end.now(),
                None => {
                    AgentError::unreachable("the agent has stopped").fix("start it again: symbolon login")
                }
            },
            Err(e) => e,
        };
        PortNews::Closed(closed)
    }
}

/// A stream to an application: raw bytes both ways; half-closing works.
#[derive(Debug)]
pub struct RawStream {
    stream: UnixStream,
    id: u64,
    paths: Paths,
}

impl RawStream {
    /// The bytes' way to the application and back.
    pub const fn get_mut(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// The connection, and the question how it ended.
    #[must_use]
    pub fn into_parts(self) -> (UnixStream, Ending) {
        let Self { stream, id, paths } = self;
        (stream, Ending { id, paths })
    }

    /// After the end was read: whether the application closed the stream, or it was cut.
    ///
    /// # Errors
    /// As [`Ending::outcome`].
    pub async fn outcome(self) -> Result<(), AgentError> {
        self.into_parts().1.outcome().await
    }
}

/// How a stream ended, for whoever has seen its end.
#[derive(Debug)]
pub struct Ending {
    id: u64,
    paths: Paths,
}

impl Ending {
    /// After both directions have ended: whether the application closed the stream, or it was cut.
    ///
    /// # Errors
    /// Why it was cut, as the gateway said it.
    pub async fn outcome(self) -> Result<(), AgentError> {
        let Self { id, paths } = self;
        Client::connect(&paths).await?.ask(Request::StreamEnd { stream: id }).await.map(drop)
    }
}
