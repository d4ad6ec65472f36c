//! The user's side in as few lines as the core crates allow.

use crate::parties::now;
use anyhow::{Result, anyhow, bail};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use symbolon_context::{Initiator, InitiatorOptions};
use symbolon_crypto::{Suite, TrustedIssuer, VerifiedKeySet};
use symbolon_policy::{AppName, TokenClass};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{ReceiveHalf, Role, SendHalf};
use symbolon_session::{
    ClientSession, ControlMessage, Line, Report, SessionChannel, SessionId, SessionSecret, StreamNumbers,
    StreamReply, StreamRequest, StreamRoot,
};
use symbolon_token::challenge::{ChallengeToken, Claimant};
use symbolon_token::{
    AwaitReply, Configuration, Hello, InvitationCode, InvitationLink, Offer, Registered, RegistrationRequest,
    RegistrationTemplate,
};
use symbolon_wire::{Decode as _, Encode as _, FRAME_HEADER, Frame, FrameHeader, FrameKind, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn send(stream: &mut TcpStream, kind: FrameKind, body: Vec<u8>) -> Result<()> {
    Ok(stream.write_all(&Frame::new(kind, body).to_bytes()).await?)
}

async fn receive(stream: &mut TcpStream, wanted: FrameKind) -> Result<Vec<u8>> {
    let mut header = [0; FRAME_HEADER];
    stream.read_exact(&mut header).await?;
    let header = FrameHeader::parse(header)?;
    let mut body = vec![0; header.length];
    stream.read_exact(&mut body).await?;
    match header.kind {
        kind if kind == wanted => Ok(body),
        FrameKind::Refusal => bail!("refused: {:?}", Refusal::from_bytes(&body)),
        other => bail!("{other:?} instead of {wanted:?}"),
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A registered user, who knows the gateway's keys from the time of the registration.
pub(crate) struct User {
    address: SocketAddr,
    registered: Registered,
    gateway: VerifiedKeySet,
}

/// Answers to all questions of a template that must be answered.
pub(crate) fn answers(template: &RegistrationTemplate, name: &str) -> Result<Vec<u8>> {
    const SAMPLES: [&str; 6] =
        ["Alice Example", "alice@example.org", "2000-01-31", "+4930123456", "1", "true"];
    let mut answers = BTreeMap::new();
    for field in template.fields() {
        if field.id == template.name_field() {
            answers.insert(field.id.clone(), name.to_owned());
        } else if field.required {
            let sample = SAMPLES.iter().find(|s| template.check(&field.id, s).is_ok());
            let sample = sample.ok_or_else(|| anyhow!("no sample answers `{}`", field.id))?;
            answers.insert(field.id.clone(), (*sample).to_owned());
        }
    }
    let valid = template.validate(&answers).map_err(|e| anyhow!("{e:?}"))?;
    Ok(valid.to_bytes())
}

impl User {
    /// Registers with an invitation.
    pub(crate) async fn enrol(address: SocketAddr, link: &InvitationLink, name: &str) -> Result<Self> {
        let mut stream = connect(address).await?;
        send(&mut stream, FrameKind::Hello, Hello { registering: true, template: None }.to_bytes()).await?;
        let offer = Offer::from_bytes(&receive(&mut stream, FrameKind::Offer).await?)?;
        let issuer = TrustedIssuer::from_fingerprint(crypto(), &offer.key_set.issuer, link.issuer)?;
        let gateway = offer.key_set.verify(
            crypto(),
            &issuer,
            &symbolon_crypto::RevocationLists::none(),
            &link.gateway,
            now(),
        )?;
        let template = RegistrationTemplate::from_bytes(&offer.template)?;
        let request = RegistrationRequest {
            template: template.name().clone(),
            answers: answers(&template, name)?,
            invitation: link.code.as_ref().map(|c| InvitationCode::new(c.secret().duplicate())),
            class: TokenClass::Software,
            label: "bench".to_owned(),
        };
        let (waiting, bytes) =
            AwaitReply::begin(crypto(), &mut SystemEntropy, &gateway, &[Suite::XWing], &request, now())?;
        send(&mut stream, FrameKind::RegistrationRequest, bytes).await?;
        let reply = receive(&mut stream, FrameKind::RegistrationReply).await?;
        let (registered, done, confirmation) = waiting.finish(&reply)?;
        send(&mut stream, FrameKind::RegistrationConfirm, confirmation).await?;
        done.finish(&receive(&mut stream, FrameKind::RegistrationDone).await?)?;
        Ok(Self { address, registered, gateway })
    }

    /// Where the user's entitlements hang.
    pub(crate) fn access_path(&self) -> String {
        self.registered.grant.access_path.to_string()
    }

    /// Signs in with one round trip: the keys and a number of the gateway are known.
    pub(crate) async fn sign_in(&self) -> Result<Session> {
        let grant = &self.registered.grant;
        let claimant = Claimant { registration_id: grant.registration_id, user: &grant.user_code };
        let token = ChallengeToken::new(
            crypto(),
            &mut SystemEntropy,
            &self.registered.key,
            claimant,
            self.gateway.name().as_str(),
            grant.next_number,
        );
        let options = InitiatorOptions::default();
        let (waiting, first) =
            Initiator::begin(crypto(), &mut SystemEntropy, &self.gateway, &options, token, now())?;
        let mut control = connect(self.address).await?;
        send(&mut control, FrameKind::ContextFirst, first).await?;
        let open = waiting.finish(&receive(&mut control, FrameKind::ContextSecond).await?)?;
        let session =
            ClientSession::new(SessionId(open.session_id), SessionSecret::new(open.secrets.session));
        let channel =
            SessionChannel::from_secrets(crypto(), Role::Initiator, session.epoch(), open.secrets.wrap);
        let root = session.stream_root(crypto());
        let mut session = Session {
            address: self.address,
            control,
            channel,
            id: session.id(),
            root,
            numbers: StreamNumbers::new(),
        };
        session.confirm(&self.gateway).await?;
        Ok(session)
    }
}

/// A session with its control connection.
pub(crate) struct Session {
    address: SocketAddr,
    control: TcpStream,
    channel: SessionChannel,
    id: SessionId,
    root: StreamRoot,
    numbers: StreamNumbers,
}

impl Session {
    /// Sends the last confirmation and waits until everything needed for streams is there.
    async fn confirm(&mut self, gateway: &VerifiedKeySet) -> Result<()> {
        let line = Line::lossy;
        let report = Report {
            user: line("alice"),
            agent: line("bench"),
            machine: line("machine"),
            system: line("linux"),
            place: line("home"),
        };
        self.say(&ControlMessage::Report(report)).await?;
        loop {
            let mut body = receive(&mut self.control, FrameKind::Wrapped).await?;
            match self.channel.open(&mut body)? {
                ControlMessage::StreamsGranted(range) => self.numbers.grant(range)?,
                ControlMessage::Configuration(bytes) => {
                    let configuration =
                        Configuration::verify(crypto(), gateway, &self.id.0, None, bytes.as_bytes())?;
                    let version = configuration.version;
                    return self.say(&ControlMessage::ConfigurationApplied { version }).await;
                }
                _ => {}
            }
        }
    }

    /// Signs out, and waits until the node has closed.
    pub(crate) async fn leave(mut self) -> Result<()> {
        self.say(&ControlMessage::Logout).await?;
        let mut rest = Vec::new();
        self.control.read_to_end(&mut rest).await?;
        Ok(())
    }

    async fn say(&mut self, message: &ControlMessage) -> Result<()> {
        let frame = self.channel.seal(message)?;
        Ok(self.control.write_all(&frame).await?)
    }

    /// Opens a stream to an application.
    pub(crate) async fn open(&mut self, app: &str) -> Result<Stream> {
        let request = StreamRequest { app: AppName::parse(app)?, origin: Line::default() };
        let number = self.numbers.draw().ok_or_else(|| anyhow!("no stream number is left"))?;
        let opening = self.root.open(number, &request)?;
        let mut tcp = connect(self.address).await?;
        send(&mut tcp, FrameKind::StreamOpen, opening.body).await?;
        match opening.reply.receive(receive(&mut tcp, FrameKind::StreamReply).await?)? {
            StreamReply::Accepted(receive) => Ok(Stream { tcp, send: opening.send, receive }),
            StreamReply::Refused(refusal) => bail!("stream refused: {:?}", refusal.reason),
        }
    }
}

/// An open stream.
pub(crate) struct Stream {
    pub(crate) tcp: TcpStream,
    pub(crate) send: SendHalf,
    pub(crate) receive: ReceiveHalf,
}
