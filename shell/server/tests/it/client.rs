//! The user's side, in as few lines as the core crates allow, with every step in reach of a test.

use crate::world::World;
use symbolon_context::{AwaitSecond, Initiator, InitiatorOptions};
use symbolon_crypto::{InitiatorToken, Suite, TrustedIssuer, VerifiedKeySet};
use symbolon_policy::{AppName, TokenClass};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{DATA_ROOM, DATA_TAIL, ReceiveHalf, Role, SendHalf, StreamEvent};
use symbolon_session::{
    AttachRequest, ClientSession, ControlMessage, EndReason, Line, Report, SessionChannel, SessionId,
    SessionSecret, StreamNumbers, StreamReply, StreamRequest, StreamRoot,
};
use symbolon_token::challenge::{ChallengeToken, Claimant};
use symbolon_token::{
    AwaitReply, Configuration, Hello, InvitationLink, Offer, Registered, RegistrationRequest,
    RegistrationTemplate,
};
use symbolon_wire::{Decode, Encode, FRAME_HEADER, Frame, FrameHeader, FrameKind, Refusal, Time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(since.as_micros() as u64)
}

pub(crate) async fn send(stream: &mut TcpStream, kind: FrameKind, body: Vec<u8>) {
    stream.write_all(&Frame::new(kind, body).to_bytes()).await.unwrap();
}

pub(crate) async fn receive(stream: &mut TcpStream) -> Option<Frame> {
    let mut header = [0; FRAME_HEADER];
    stream.read_exact(&mut header).await.ok()?;
    let header = FrameHeader::parse(header).unwrap();
    let mut body = vec![0; header.length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Frame::new(header.kind, body))
}

/// What the node answers to one frame on a fresh connection.
pub(crate) async fn ask(world: &World, kind: FrameKind, body: Vec<u8>) -> Option<Frame> {
    let mut stream = world.connect().await;
    send(&mut stream, kind, body).await;
    receive(&mut stream).await
}

pub(crate) fn refusal(frame: Option<Frame>) -> Refusal {
    let frame = frame.expect("an answer");
    assert_eq!(frame.kind, FrameKind::Refusal);
    Refusal::from_bytes(&frame.body).unwrap()
}

pub(crate) async fn offer(stream: &mut TcpStream, hello: &Hello) -> Offer {
    send(stream, FrameKind::Hello, hello.to_bytes()).await;
    let frame = receive(stream).await.unwrap();
    assert_eq!(frame.kind, FrameKind::Offer, "{:?}", Refusal::from_bytes(&frame.body));
    Offer::from_bytes(&frame.body).unwrap()
}

pub(crate) fn verified(offer: &Offer, link: &InvitationLink) -> VerifiedKeySet {
    let issuer = TrustedIssuer::from_fingerprint(crypto(), &offer.key_set.issuer, link.issuer).unwrap();
    offer
        .key_set
        .verify(crypto(), &issuer, &symbolon_crypto::RevocationLists::none(), &link.gateway, now())
        .unwrap()
}

/// A registered token.
pub(crate) struct Token {
    pub(crate) registered: Registered,
    pub(crate) link: InvitationLink,
}

pub(crate) fn answers(template: &RegistrationTemplate, name: &str) -> Vec<u8> {
    let mut answers = std::collections::BTreeMap::new();
    for field in template.fields() {
        let id = field.id.clone();
        if id == template.name_field() {
            answers.insert(id, name.to_owned());
        } else if field.required {
            let samples = ["Alice Example", "alice@example.org", "2000-01-31", "+4930123456", "1", "true"];
            let fits = samples.iter().find(|s| template.check(&field.id, s).is_ok());
            answers.insert(id, fits.expect("a sample that fits").to_string());
        }
    }
    template.validate(&answers).unwrap().to_bytes()
}

/// A registration request as bytes, and what waits for its answer.
pub(crate) async fn request(
    stream: &mut TcpStream,
    link: &InvitationLink,
    name: &str,
) -> (AwaitReply, Vec<u8>) {
    let hello = Hello { registering: true, template: None };
    let offer = offer(stream, &hello).await;
    let template = RegistrationTemplate::from_bytes(&offer.template).unwrap();
    let request = RegistrationRequest {
        template: template.name().clone(),
        answers: answers(&template, name),
        invitation: link.code.as_ref().map(|c| symbolon_token::InvitationCode::new(c.secret().duplicate())),
        class: TokenClass::Software,
        label: "test".into(),
    };
    let gateway = verified(&offer, link);
    AwaitReply::begin(crypto(), &mut SystemEntropy, &gateway, &[Suite::XWing], &request, now()).unwrap()
}

pub(crate) async fn register(world: &World, link: InvitationLink, name: &str) -> Result<Token, Refusal> {
    let mut stream = world.connect().await;
    let (waiting, bytes) = request(&mut stream, &link, name).await;
    send(&mut stream, FrameKind::RegistrationRequest, bytes).await;
    let frame = receive(&mut stream).await.unwrap();
    if frame.kind == FrameKind::Refusal {
        return Err(Refusal::from_bytes(&frame.body).unwrap());
    }
    let (registered, done, confirmation) = waiting.finish(&frame.body).unwrap();
    send(&mut stream, FrameKind::RegistrationConfirm, confirmation).await;
    let frame = receive(&mut stream).await.unwrap();
    if frame.kind == FrameKind::Refusal {
        return Err(Refusal::from_bytes(&frame.body).unwrap());
    }
    done.finish(&frame.body).unwrap();
    Ok(Token { registered, link })
}

/// A first message as bytes, and what waits for its answer.
pub(crate) async fn first_message<'a>(
    stream: &mut TcpStream,
    token: &'a Token,
    at: Time,
) -> (symbolon_context::AwaitSecond<ChallengeToken<'a>>, Vec<u8>, VerifiedKeySet) {
    let offer = offer(stream, &Hello::default()).await;
    let gateway = verified(&offer, &token.link);
    let grant = &token.registered.grant;
    let claimed = Claimant { registration_id: grant.registration_id, user: &grant.user_code };
    let key = &token.registered.key;
    let challenge = ChallengeToken::new(
        crypto(),
        &mut SystemEntropy,
        key,
        claimed,
        token.link.gateway.as_str(),
        offer.number,
    );
    let options = InitiatorOptions::default();
    let (waiting, bytes) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, challenge, at).unwrap();
    (waiting, bytes, gateway)
}

/// A session with its control connection.
pub(crate) struct Session {
    pub(crate) control: TcpStream,
    pub(crate) channel: SessionChannel,
    pub(crate) session: ClientSession,
    pub(crate) root: StreamRoot,
    pub(crate) numbers: StreamNumbers,
    pub(crate) gateway: VerifiedKeySet,
    pub(crate) version: Option<u64>,
    pub(crate) destinations: Vec<String>,
    /// What was said of another issuer last.
    pub(crate) issuer_change: Option<Vec<u8>>,
    /// The revocation list that was sent last.
    pub(crate) revocation_list: Option<Vec<u8>>,
}

pub(crate) async fn sign_in(world: &World, token: &Token) -> Result<Session, Refusal> {
    let mut control = world.connect().await;
    let (waiting, bytes, gateway) = first_message(&mut control, token, now()).await;
    conclude(control, waiting, bytes, gateway).await
}

/// With any credential, at the gateway of `link`.
pub(crate) async fn sign_in_with(
    world: &World,
    link: &InvitationLink,
    credential: impl InitiatorToken,
) -> Result<Session, Refusal> {
    let mut control = world.connect().await;
    let gateway = verified(&offer(&mut control, &Hello::default()).await, link);
    let options = InitiatorOptions::default();
    let (waiting, bytes) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, credential, now()).unwrap();
    conclude(control, waiting, bytes, gateway).await
}

pub(crate) async fn conclude(
    mut control: TcpStream,
    waiting: AwaitSecond<impl InitiatorToken>,
    bytes: Vec<u8>,
    gateway: VerifiedKeySet,
) -> Result<Session, Refusal> {
    send(&mut control, FrameKind::ContextFirst, bytes).await;
    let mut frame = receive(&mut control).await.unwrap();
    if frame.kind == FrameKind::Retry {
        let again = waiting.with_cookie(frame.body.try_into().unwrap());
        send(&mut control, FrameKind::ContextFirst, again).await;
        frame = receive(&mut control).await.unwrap();
    }
    if frame.kind == FrameKind::Refusal {
        return Err(Refusal::from_bytes(&frame.body).unwrap());
    }
    let open = waiting.finish(&frame.body).unwrap();
    let session = ClientSession::new(SessionId(open.session_id), SessionSecret::new(open.secrets.session));
    let channel = SessionChannel::from_secrets(crypto(), Role::Initiator, session.epoch(), open.secrets.wrap);
    let mut session = Session {
        control,
        channel,
        root: session.stream_root(crypto()),
        session,
        numbers: StreamNumbers::new(),
        gateway,
        version: None,
        destinations: Vec::new(),
        issuer_change: None,
        revocation_list: None,
    };
    session.report("home").await;
    let first = receive(&mut session.control).await.unwrap();
    if first.kind == FrameKind::Refusal {
        return Err(Refusal::from_bytes(&first.body).unwrap());
    }
    session.heard(first).await;
    session.until_configured().await;
    Ok(session)
}

impl Session {
    pub(crate) async fn say(&mut self, message: &ControlMessage) {
        let frame = self.channel.seal(message).unwrap();
        self.control.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn report(&mut self, place: &str) {
        let line = |text: &str| Line::parse(text).unwrap();
        let report = Report {
            user: line("alice"),
            agent: line("test"),
            machine: line("machine"),
            system: line("linux"),
            place: line(place),
        };
        self.say(&ControlMessage::Report(report)).await;
    }

    /// The next control message; configurations and ranges are applied on the way.
    pub(crate) async fn hear(&mut self) -> Option<ControlMessage> {
        let frame = receive(&mut self.control).await?;
        Some(self.heard(frame).await)
    }

    async fn heard(&mut self, mut frame: Frame) -> ControlMessage {
        assert_eq!(frame.kind, FrameKind::Wrapped);
        let message = self.channel.open(&mut frame.body).unwrap();
        match &message {
            ControlMessage::StreamsGranted(range) => self.numbers.grant(*range).unwrap(),
            ControlMessage::Configuration(bytes) => {
                let id = self.session.id().0;
                let configuration =
                    Configuration::verify(crypto(), &self.gateway, &id, self.version, bytes.as_bytes())
                        .unwrap();
                self.version = Some(configuration.version);
                self.destinations = configuration.destinations.iter().map(|d| d.app.to_string()).collect();
                self.say(&ControlMessage::ConfigurationApplied { version: configuration.version }).await;
            }
            ControlMessage::IssuerChange(bytes) => self.issuer_change = Some(bytes.as_bytes().to_vec()),
            ControlMessage::RevocationList(bytes) => self.revocation_list = Some(bytes.as_bytes().to_vec()),
            _ => {}
        }
        message
    }

    pub(crate) async fn until(&mut self, wanted: impl Fn(&ControlMessage) -> bool) -> ControlMessage {
        loop {
            let message = self.hear().await.expect("the connection to live on");
            if wanted(&message) {
                return message;
            }
        }
    }

    pub(crate) async fn until_configured(&mut self) {
        self.until(|m| matches!(m, ControlMessage::Configuration(_))).await;
    }

    pub(crate) async fn until_destinations(&mut self, wanted: &[&str]) {
        while self.destinations != wanted {
            self.hear().await.expect("the connection to live on");
        }
    }

    pub(crate) async fn until_over(&mut self) -> EndReason {
        match self.until(|m| matches!(m, ControlMessage::SessionEnded { .. })).await {
            ControlMessage::SessionEnded { reason, .. } => reason,
            _ => unreachable!("only that was waited for"),
        }
    }

    /// Opens a stream; `Err` is the reason of a refusal.
    pub(crate) async fn open(&mut self, world: &World, app: &str) -> Result<Stream, EndReason> {
        let (tcp, send_half, reply) = self.begin(world, app).await;
        Stream::accepted(tcp, send_half, reply).await
    }

    /// Sends a stream's opening and does not wait for the answer.
    pub(crate) async fn begin(
        &mut self,
        world: &World,
        app: &str,
    ) -> (TcpStream, SendHalf, symbolon_session::AwaitReply) {
        let (body, send_half, reply) = self.opening(app);
        let mut tcp = world.connect().await;
        send(&mut tcp, FrameKind::StreamOpen, body).await;
        (tcp, send_half, reply)
    }

    pub(crate) fn opening(&mut self, app: &str) -> (Vec<u8>, SendHalf, symbolon_session::AwaitReply) {
        let request = StreamRequest { app: AppName::parse(app).unwrap(), origin: Line::default() };
        let opening = self.root.open(self.numbers.draw().unwrap(), &request).unwrap();
        (opening.body, opening.send, opening.reply)
    }

    /// Comes back on another connection.
    pub(crate) async fn attach(&mut self, world: &World) -> Result<(), Refusal> {
        let mut control = world.connect().await;
        let (waiting, body) = AttachRequest::begin(crypto(), &mut SystemEntropy, &mut self.session).unwrap();
        send(&mut control, FrameKind::Attach, body).await;
        let frame = receive(&mut control).await.unwrap();
        if frame.kind == FrameKind::Refusal {
            return Err(Refusal::from_bytes(&frame.body).unwrap());
        }
        self.channel = waiting.receive(&mut self.session, &frame.body).unwrap();
        self.control = control;
        self.numbers.forget();
        self.until_configured().await;
        Ok(())
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) tcp: TcpStream,
    send: SendHalf,
    receive: ReceiveHalf,
}

/// What came over a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Data(Vec<u8>),
    Closed,
    Ended(u8),
    Broken,
}

impl Stream {
    pub(crate) async fn accepted(
        mut tcp: TcpStream,
        send: SendHalf,
        reply: symbolon_session::AwaitReply,
    ) -> Result<Self, EndReason> {
        let frame = receive(&mut tcp).await.unwrap();
        assert_eq!(frame.kind, FrameKind::StreamReply, "{:?}", Refusal::from_bytes(&frame.body));
        match reply.receive(frame.body).unwrap() {
            StreamReply::Accepted(receive) => Ok(Self { tcp, send, receive }),
            StreamReply::Refused(refusal) => Err(refusal.reason),
        }
    }

    pub(crate) async fn write(&mut self, data: &[u8]) {
        let record = seal(&mut self.send, data);
        self.tcp.write_all(&record).await.unwrap();
    }

    pub(crate) async fn close(&mut self) {
        let record = self.send.close().unwrap();
        self.tcp.write_all(&record).await.unwrap();
    }

    pub(crate) async fn read(&mut self) -> Heard {
        loop {
            match self.receive.next_event().unwrap() {
                Some(StreamEvent::Data(data)) => return Heard::Data(data.to_vec()),
                Some(StreamEvent::PeerClosed) => return Heard::Closed,
                Some(StreamEvent::Ended(end)) => return Heard::Ended(end.code()),
                Some(StreamEvent::KeyUpdated(_)) => {}
                None => match self.tcp.read(self.receive.room()).await {
                    Ok(0) | Err(_) => return Heard::Broken,
                    Ok(n) => self.receive.filled(n),
                },
            }
        }
    }

    pub(crate) async fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            match self.read().await {
                Heard::Data(data) => all.extend(data),
                other => panic!("{other:?} after {} bytes", all.len()),
            }
        }
        all
    }
}

pub(crate) fn seal(send: &mut SendHalf, data: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; DATA_ROOM];
    buffer.extend_from_slice(data);
    buffer.resize(DATA_ROOM + data.len() + DATA_TAIL, 0);
    send.seal_data(&mut buffer, data.len()).unwrap().to_vec()
}

/// A registered user.
pub(crate) async fn enrolled(world: &World) -> Token {
    let link = InvitationLink::parse(&world.first_invitation).unwrap();
    register(world, link, "alice").await.unwrap()
}

/// A registered user with a session.
pub(crate) async fn alice(world: &World) -> (Token, Session) {
    let token = enrolled(world).await;
    let session = sign_in(world, &token).await.unwrap();
    (token, session)
}
