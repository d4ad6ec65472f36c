//! The sessions and streams of the gateway that the tests run.

use crate::fake::{DAY, Refused, State, Wire, denied};
use crate::world::now;
use std::sync::{Arc, Mutex};
use symbolon_context::ContextSecrets;
use symbolon_crypto::{GatewayName, Signer, TokenKind};
use symbolon_policy::{AppName, CanonName, TokenClass};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{DATA_ROOM, DATA_TAIL, MAX_PLAINTEXT, Role, StreamEvent};
use symbolon_session::{
    AttachError, ClaimedSession, ClaimedStream, ConfigurationBytes, ControlMessage, EndReason, Epoch, Line,
    Refusal, Report, SessionChannel, SessionId, SessionSecret, SessionState, StreamClaims, StreamRange,
    StreamRoot, UserId,
};
use symbolon_token::{Configuration, Destination};
use symbolon_wire::{FrameKind, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

/// Stream numbers in one grant; more than the agent calls few.
const RANGE: u64 = 64;

/// What a session's connection is told to do.
pub(crate) enum Order {
    Configure,
    Say(ControlMessage),
    /// Break the connection without a word.
    Break,
}

pub(crate) struct Session {
    state: SessionState,
    epoch: Epoch,
    root: Arc<StreamRoot>,
    claims: StreamClaims,
    next_number: u64,
    version: u64,
    orders: Option<mpsc::UnboundedSender<Order>>,
    cut: watch::Sender<Option<(AppName, EndReason)>>,
}

type World = Arc<Mutex<State>>;

impl Session {
    pub(crate) fn new(
        id: SessionId,
        user_name: CanonName,
        gateway: GatewayName,
        secret: SessionSecret,
        lifetime_secs: u32,
    ) -> Self {
        let state = SessionState {
            id,
            user: UserId([1; 16]),
            registration: None,
            user_name,
            token_class: TokenClass::Software,
            method: TokenKind::Challenge,
            certificates: Vec::new(),
            groups: Vec::new(),
            proved: now(),
            gateway,
            opened: now(),
            expires: now().plus_secs(lifetime_secs.into()),
            source: Line::default(),
            report: Report::default(),
            configuration_applied: 0,
            last_attach: 0,
            secret,
        };
        let root = Arc::new(StreamRoot::new(crypto(), id, &state.secret));
        Self {
            state,
            epoch: Epoch::FIRST,
            root,
            claims: StreamClaims::new(id),
            next_number: 0,
            version: 0,
            orders: None,
            cut: watch::Sender::new(None),
        }
    }

    pub(crate) const fn gateway(&self) -> &GatewayName {
        &self.state.gateway
    }

    pub(crate) fn forget_claims(&mut self) {
        self.claims = StreamClaims::new(self.state.id);
    }

    pub(crate) fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    pub(crate) fn configure(&self) {
        self.order(Order::Configure);
    }

    /// Ends the live streams to an application.
    pub(crate) fn cut(&self, app: AppName, reason: EndReason) {
        self.cut.send_replace(Some((app, reason)));
    }

    pub(crate) fn attach(
        &mut self,
        claimed: ClaimedSession,
    ) -> Result<(Vec<u8>, SessionChannel), AttachError> {
        let verified = claimed.verify(crypto(), &self.state, now())?;
        self.state.last_attach = verified.counter();
        self.epoch = Epoch(self.epoch.0 + 1);
        verified.accept(self.epoch, &mut SystemEntropy)
    }

    pub(crate) async fn carry_first(
        world: &World,
        wire: &mut Wire,
        id: SessionId,
        secrets: ContextSecrets,
    ) -> Result<(), Refused> {
        let channel = SessionChannel::from_secrets(crypto(), Role::Acceptor, Epoch::FIRST, secrets.wrap);
        Self::carry(world, wire, id, channel).await
    }

    /// Nothing is said before the client's first message.
    pub(crate) async fn carry(
        world: &World,
        wire: &mut Wire,
        id: SessionId,
        mut channel: SessionChannel,
    ) -> Result<(), Refused> {
        let (orders, mut receiver) = mpsc::unbounded_channel();
        {
            let mut state = world.lock().unwrap();
            state.sessions.get_mut(&id).unwrap().orders = Some(orders);
        }
        let mut first = true;
        loop {
            let messages = tokio::select! {
                frame = wire.next() => {
                    let Ok(mut frame) = frame else { return Ok(()) };
                    assert_eq!(frame.kind, FrameKind::Wrapped);
                    let message = channel.open(&mut frame.body).map_err(denied)?;
                    let mut state = world.lock().unwrap();
                    match heard(&mut state, id, message, std::mem::take(&mut first)) {
                        Some(messages) => messages,
                        None => return Ok(()),
                    }
                }
                Some(order) = receiver.recv() => match order {
                    Order::Break => return Ok(()),
                    Order::Say(message) => vec![message],
                    Order::Configure => vec![world.lock().unwrap().configuration(id)],
                },
            };
            for message in messages {
                let last = message.is_last();
                let frame = channel.seal(&message).map_err(denied)?;
                wire.stream.write_all(&frame).await?;
                if last {
                    world.lock().unwrap().sessions.remove(&id);
                    let _ = wire.stream.shutdown().await;
                    return Ok(());
                }
            }
        }
    }

    pub(crate) async fn stream(world: &World, wire: &mut Wire, stream: ClaimedStream) -> Result<(), Refused> {
        let over = Refused(RefusalCode::SessionOver);
        let (claimed, target, cut) = {
            let mut state = world.lock().unwrap();
            let apps = state.apps.clone();
            let session = state.sessions.get_mut(&stream.session()).ok_or(over)?;
            let authentic = session.root.authenticate(stream).map_err(denied)?;
            let target = apps.get(&authentic.request().app).copied();
            (session.claims.claim(authentic), target, session.cut.subscribe())
        };
        let refusal = |reason| Refusal { reason, detail: Line::default() };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(refused) => {
                let body = refused.stream.refuse(&refusal(EndReason::NumberRefused), &mut SystemEntropy);
                return Ok(wire.send(FrameKind::StreamReply, body.map_err(denied)?).await?);
            }
        };
        let dialled = match target {
            None => Err(EndReason::NotPermitted),
            Some(target) => TcpStream::connect(target).await.map_err(|_| EndReason::ApplicationUnreachable),
        };
        let application = match dialled {
            Ok(application) => application,
            Err(reason) => {
                let body = claimed.refuse(&refusal(reason), &mut SystemEntropy).map_err(denied)?;
                return Ok(wire.send(FrameKind::StreamReply, body).await?);
            }
        };
        let app = claimed.request().app.clone();
        let (body, records) = claimed.accept(&mut SystemEntropy).map_err(denied)?;
        wire.send(FrameKind::StreamReply, body).await?;
        pipe(world, wire, application, records, app, cut).await.map_err(Refused::from)
    }
}

impl State {
    pub(crate) fn configuration(&mut self, id: SessionId) -> ControlMessage {
        let destinations = self
            .apps
            .keys()
            .map(|app| Destination {
                app: app.clone(),
                protocol: "tcp".into(),
                description: format!("all about {app}"),
                until: Some(now().plus_secs(DAY)),
            })
            .collect();
        let session = self.sessions.get_mut(&id).unwrap();
        session.version += 1;
        let configuration = Configuration {
            version: session.version,
            gateway: session.state.gateway.clone(),
            session_id: id.0,
            issued: now(),
            destinations,
        };
        let signer: &dyn Signer = self.keys.identity().key();
        ControlMessage::Configuration(ConfigurationBytes::new(configuration.sign(signer).unwrap()).unwrap())
    }
}

fn heard(
    state: &mut State,
    id: SessionId,
    message: ControlMessage,
    first: bool,
) -> Option<Vec<ControlMessage>> {
    let mut answers = Vec::new();
    if first {
        assert!(matches!(message, ControlMessage::Report(_)), "the first message is a report");
        answers.push(grant(state, id));
        answers.push(ControlMessage::NextNumber(state.number()));
        answers.push(state.configuration(id));
    }
    match message {
        ControlMessage::Report(report) => state.reports.push(report),
        ControlMessage::ConfigurationApplied { version } => state.applied.push(version),
        ControlMessage::Ping(number) => answers.push(ControlMessage::Pong(number)),
        ControlMessage::StreamsRequest => {
            state.asked += 1;
            if !state.store_hangs {
                answers.push(grant(state, id));
            }
        }
        message @ (ControlMessage::CertificateRequest(_) | ControlMessage::CertificateConfirm(_)) => {
            answers.extend(state.office.as_mut().map(|office| office(message)).unwrap_or_default());
        }
        ControlMessage::Logout => {
            state.goodbyes += 1;
            state.sessions.remove(&id);
            return None;
        }
        _ => {}
    }
    Some(answers)
}

pub(crate) fn grant(state: &mut State, id: SessionId) -> ControlMessage {
    let first_number = state.first_number;
    let session = state.sessions.get_mut(&id).unwrap();
    session.next_number = session.next_number.max(first_number);
    let range = StreamRange::new(session.next_number, session.next_number + RANGE).unwrap();
    session.next_number += RANGE;
    session.claims.grant(range).unwrap();
    ControlMessage::StreamsGranted(range)
}

async fn pipe(
    world: &World,
    wire: &mut Wire,
    mut application: TcpStream,
    records: symbolon_record::StreamRecords,
    app: AppName,
    mut cut: watch::Receiver<Option<(AppName, EndReason)>>,
) -> std::io::Result<()> {
    let (mut send, mut receive) = records.split();
    let (mut client_read, mut client_write) = wire.stream.split();
    let (mut app_read, mut app_write) = application.split();
    let up = async {
        loop {
            while let Some(event) = receive.next_event().map_err(std::io::Error::other)? {
                match event {
                    StreamEvent::Data(data) => app_write.write_all(data).await?,
                    StreamEvent::PeerClosed => return app_write.shutdown().await,
                    StreamEvent::Ended(end) => {
                        world.lock().unwrap().ends.push(end.reason().to_owned());
                        return Err(std::io::Error::other("ended"));
                    }
                    StreamEvent::KeyUpdated(_) => {}
                }
            }
            match client_read.read(receive.room()).await? {
                0 => return receive.end_of_input().map_err(std::io::Error::other),
                n => receive.filled(n),
            }
        }
    };
    let send = &mut send;
    let down = async {
        let mut buffer = vec![0; DATA_ROOM + MAX_PLAINTEXT + DATA_TAIL];
        loop {
            let ending = async {
                let cut = cut.wait_for(|c| c.as_ref().is_some_and(|(a, _)| *a == app)).await;
                // Gone when the session is; the client hears of that on its own.
                cut.map_or(EndReason::Expired, |c| {
                    c.as_ref().map_or(EndReason::Expired, |(_, reason)| *reason)
                })
            };
            let read = tokio::select! {
                biased;
                reason = ending => {
                    let end = send.end(&reason.stream_end(&Line::default())).unwrap();
                    client_write.write_all(&end).await?;
                    client_write.shutdown().await?;
                    return Err(std::io::Error::other("cut"));
                }
                read = app_read.read(&mut buffer[DATA_ROOM..][..MAX_PLAINTEXT]) => read,
            };
            match read {
                Ok(0) => {
                    let close = send.close().unwrap();
                    client_write.write_all(&close).await?;
                    return Ok(());
                }
                Ok(n) => client_write.write_all(send.seal_data(&mut buffer, n).unwrap()).await?,
                Err(e) => {
                    let end = send.end(&EndReason::ApplicationReset.stream_end(&Line::default())).unwrap();
                    client_write.write_all(&end).await?;
                    return Err(e);
                }
            }
        }
    };
    tokio::try_join!(up, down).map(drop)
}

/// Where nobody listens, nor anybody else on this machine as long as it is kept.
pub(crate) fn nobody() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}
