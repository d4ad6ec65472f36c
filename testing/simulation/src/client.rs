//! A client: the client's cores of room C, and a person who cannot sit still.

use crate::letter::{Credential, Frame, Letter, SignIn};
use crate::node::{context_secrets, token_mac};
use crate::watched;
use crate::world::{Host, Inbox, MS, SEC, World};
use symbolon_crypto::{Crypto, Entropy, InitiatorToken, TranscriptHash};
use symbolon_policy::AppName;
use symbolon_record::Role;
use symbolon_session::{
    AttachRequest, ClientSession, ControlMessage, Epoch, Line, Report, SessionChannel, SessionId,
    StreamNumbers, StreamReply, StreamRequest, Ticket,
};
use symbolon_wire::FRAME_HEADER;

/// How long a client waits for an answer.
const PATIENCE: u64 = 1_500 * MS;

/// A control connection.
struct Control {
    node: u8,
    to_node: Inbox,
    from_node: Inbox,
    channel: SessionChannel,
}

/// A session, with or without a connection at the moment.
struct Session {
    session: ClientSession,
    numbers: StreamNumbers,
    line: Option<Control>,
}

struct Client {
    world: World,
    host: Host,
    index: u8,
    nodes: u8,
    crypto: Crypto,
    registration: u32,
    session: Option<Session>,
    ticket: Option<Ticket>,
    reports: u64,
}

pub(crate) async fn live(world: World, index: u8, nodes: u8) {
    let host = Host::Client(index);
    let mut client = Client {
        host,
        index,
        nodes,
        crypto: watched::crypto(),
        registration: 0,
        session: None,
        ticket: None,
        reports: 0,
        world: world.clone(),
    };
    loop {
        world.sleep(host, world.random(20 * MS, 260 * MS)).await;
        match &client.session {
            None => client.sign_in().await,
            Some(Session { line: None, .. }) => client.attach().await,
            Some(_) => client.act().await,
        }
    }
}

impl Client {
    fn some_node(&self) -> u8 {
        u8::try_from(self.world.random(0, self.nodes.into())).unwrap_or(0)
    }

    /// Begins a connection. Somebody on the way may record its first frame and show it again, here or elsewhere.
    fn connect(&self, node: u8, first: Frame) -> (Inbox, Inbox) {
        let world = &self.world;
        let (to_node, from_node) = (world.open_box(Host::Node(node)), world.open_box(self.host));
        let letter = Letter::Connect { first: first.clone(), from_node, to_node };
        world.post(self.host, Host::Node(node).door(), letter);
        if world.percent(12) {
            let again = if world.percent(50) { node } else { self.some_node() };
            let after = world.random(0, if world.percent(30) { 12 * SEC } else { 2 * SEC });
            let world = world.clone();
            self.world.spawn(Host::Fate, async move {
                world.sleep(Host::Fate, after).await;
                world.refer(|r, _| r.counts.replays += 1);
                world.note(|| "what follows was recorded before".to_owned());
                let to_node = world.open_box(Host::Node(again));
                let letter = Letter::Connect { first, from_node: 0, to_node };
                world.post(Host::Fate, Host::Node(again).door(), letter);
            });
        }
        (to_node, from_node)
    }

    async fn hear(&self, from_node: Inbox) -> Option<Frame> {
        match self.world.receive(from_node, self.world.now() + PATIENCE).await {
            Some(Letter::Frame(frame)) => Some(frame),
            _ => None,
        }
    }

    async fn sign_in(&mut self) {
        let node = self.some_node();
        let world = self.world.clone();
        let Some(key) = world.kernel().keys.get(&node).copied() else { return };
        let random: [u8; 32] = { (&mut world.entropy() as &mut dyn Entropy).number() };
        let in_time = |t: &Ticket| t.expires() > world.clock(self.host);
        let ticket = self.ticket.take().filter(in_time);
        // One who copied the ticket's file shows it at another node at the same time.
        let copied = ticket.as_ref().and_then(|t| Ticket::from_secret_bytes(&t.to_secret_bytes()).ok());
        let credential = match ticket {
            Some(ticket) => {
                let presented = ticket.into_token(self.crypto).present(&TranscriptHash(random));
                let Ok(presented) = presented else { return };
                Credential::Ticket(presented.body.expose().to_vec())
            }
            None => {
                let mac = token_mac(self.index, self.registration, &random);
                Credential::Token { registration: self.registration, mac }
            }
        };
        let time = world.clock(self.host);
        let message = SignIn { user: self.index, key, random, time, credential };
        if let Some(copied) = copied {
            let other = self.some_node();
            let random: [u8; 32] = { (&mut world.entropy() as &mut dyn Entropy).number() };
            let key = world.kernel().keys.get(&other).copied();
            let presented = copied.into_token(self.crypto).present(&TranscriptHash(random));
            if let (Some(key), Ok(presented)) = (key, presented) {
                let credential = Credential::Ticket(presented.body.expose().to_vec());
                let copy = SignIn { key, random, credential, ..message.clone() };
                self.connect(other, Frame::SignIn(copy));
            }
        }
        let (to_node, from_node) = self.connect(node, Frame::SignIn(message));
        let answer = self.hear(from_node).await;
        let Some(Frame::Second { session, random: theirs }) = answer else {
            world.close_box(from_node);
            if matches!(answer, Some(Frame::Refused { .. })) {
                // The administrator may have given this user another token.
                self.registration = world.kernel().tokens.get(&self.index).copied().unwrap_or(0);
            }
            return;
        };
        let (secret, wrap) = context_secrets(&random, &theirs);
        let channel = SessionChannel::from_secrets(self.crypto, Role::Initiator, Epoch::FIRST, wrap);
        let line = Control { node, to_node, from_node, channel };
        let session = ClientSession::new(SessionId(session), secret);
        self.session = Some(Session { session, numbers: StreamNumbers::new(), line: Some(line) });
        self.say(&ControlMessage::Ping(0)).await;
    }

    async fn attach(&mut self) {
        let node = self.some_node();
        let mut entropy = self.world.entropy();
        let Some(here) = &mut self.session else { return };
        let Ok((awaiting, body)) = AttachRequest::begin(self.crypto, &mut entropy, &mut here.session) else {
            return;
        };
        let (to_node, from_node) = self.connect(node, Frame::Attach(body));
        match self.hear(from_node).await {
            Some(Frame::Attached(body)) => {
                let Some(here) = &mut self.session else { return };
                match awaiting.receive(&mut here.session, &body) {
                    Ok(channel) => {
                        here.numbers.forget();
                        here.line = Some(Control { node, to_node, from_node, channel });
                    }
                    Err(e) => self.world.refer(|r, _| r.violated(format!("a client refuses an attach: {e}"))),
                }
            }
            Some(Frame::Refused { over: true }) => self.session = None,
            _ => self.world.close_box(from_node),
        }
    }

    /// Lets the connection go; the session goes on over another one.
    fn hang_up(&mut self) {
        if let Some(line) = self.session.as_mut().and_then(|s| s.line.take()) {
            self.world.close_box(line.from_node);
        }
    }

    async fn act(&mut self) {
        match self.world.random(0, 100) {
            0..45 => self.open_stream().await,
            45..60 => {
                self.reports += 1;
                let place = Line::lossy(&self.reports.to_string());
                self.say(&ControlMessage::Report(Report { place, ..Report::default() })).await;
                self.wait_for_pong().await;
            }
            60..64 => {
                // said, and gone before it is heard
                self.reports += 1;
                let place = Line::lossy(&self.reports.to_string());
                self.say(&ControlMessage::Report(Report { place, ..Report::default() })).await;
                self.hang_up();
            }
            64..72 => {
                self.say(&ControlMessage::TicketRequest).await;
                self.wait_for_pong().await;
            }
            72..86 => self.hang_up(),
            86..90 => {
                // The next session comes by ticket, if there is one.
                self.hang_up();
                if self.ticket.is_some() {
                    self.session = None;
                }
            }
            90..92 => {
                self.say(&ControlMessage::Logout).await;
                self.hang_up();
                self.session = None;
            }
            _ => self.wait_for_pong().await,
        }
    }

    async fn say(&mut self, message: &ControlMessage) {
        let host = self.host;
        let Some(line) = self.session.as_mut().and_then(|s| s.line.as_mut()) else { return };
        match line.channel.seal(message) {
            Ok(frame) => {
                let frame = Frame::Wrapped(frame[FRAME_HEADER..].to_vec());
                self.world.post(host, line.to_node, Letter::Frame(frame));
            }
            Err(_) => self.hang_up(),
        }
    }

    /// Hears what the node has to say, up to the answer to a ping.
    async fn wait_for_pong(&mut self) {
        self.say(&ControlMessage::Ping(1)).await;
        loop {
            let Some(from_node) = self.session.as_ref().and_then(|s| s.line.as_ref()).map(|l| l.from_node)
            else {
                return;
            };
            let frame = self.hear(from_node).await;
            let Some(here) = &mut self.session else { return };
            let Some(line) = &mut here.line else { return };
            let Some(Frame::Wrapped(mut body)) = frame else {
                if matches!(frame, Some(Frame::Refused { over: true })) {
                    self.session = None;
                }
                return self.hang_up();
            };
            match line.channel.open(&mut body) {
                Ok(ControlMessage::Pong(1)) => return,
                Ok(ControlMessage::StreamsGranted(range)) => {
                    if let Err(e) = here.numbers.grant(range) {
                        self.world.refer(|r, _| r.violated(format!("a client refuses numbers: {e}")));
                    }
                }
                Ok(ControlMessage::Ticket(ticket)) => {
                    self.ticket = here.session.keep(self.crypto, ticket).ok()
                }
                Ok(ControlMessage::SessionEnded { .. }) => {
                    self.session = None;
                    return;
                }
                Ok(_) => {}
                Err(e) => {
                    self.world.refer(|r, _| r.violated(format!("a client cannot open a message: {e}")));
                    return;
                }
            }
        }
    }

    async fn open_stream(&mut self) {
        let Some(number) = self.session.as_mut().and_then(|s| s.numbers.draw()) else {
            self.say(&ControlMessage::StreamsRequest).await;
            return self.wait_for_pong().await;
        };
        let operation = {
            let mut kernel = self.world.kernel();
            kernel.operations += 1;
            kernel.operations
        };
        let Some(here) = &self.session else { return };
        let Some(node) = here.line.as_ref().map(|l| l.node) else { return };
        let Ok(app) = AppName::parse("db") else { return };
        let request = StreamRequest { app, origin: Line::lossy(&operation.to_string()) };
        let Ok(opening) = here.session.stream_root(self.crypto).open(number, &request) else { return };
        let (_, from_node) = self.connect(node, Frame::StreamOpen(opening.body));
        match self.hear(from_node).await {
            Some(Frame::StreamReply(body)) => match opening.reply.receive(body) {
                Ok(StreamReply::Accepted(_)) => self.world.refer(|r, _| r.accepted(operation)),
                Ok(StreamReply::Refused(_)) => {}
                Err(e) => {
                    self.world.refer(|r, _| r.violated(format!("a client cannot open a reply: {e}")));
                }
            },
            // The node does not know the session; perhaps another one does.
            Some(Frame::Refused { .. }) => self.hang_up(),
            _ => {}
        }
        self.world.close_box(from_node);
    }
}
