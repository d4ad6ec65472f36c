//! A gateway of the core crates alone: the acceptor's side of everything, with knobs for faults.

use crate::fake_session::Session;
use crate::world::now;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use symbolon_context::{Fresh, Grant, Opened, PasswordCheck, PasswordVerifier};
use symbolon_crypto::{
    CheapCheck, CookieJar, Entropy, Envelope, EnvelopeContent, GatewayName, KeySet, Purpose, Secret,
    TokenKind, TokenProof,
};
use symbolon_issuer::{ContextKeys, Issuer, Validity};
use symbolon_policy::{AppName, CanonName, UserCode};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{Attachment, ClaimedStream, ControlMessage, Report, SessionId, SessionSecret};
use symbolon_token::challenge::{ClaimedResponse, GatewayNumbers};
use symbolon_token::{
    Answers, Hello, Offer, RegistrationGrant, RegistrationOpened, RegistrationTemplate, SoftwareKey,
};
use symbolon_wire::{
    Decode, Encode, FRAME_HEADER, Frame, FrameHeader, FrameKind, Refusal, RefusalCode, Time,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Everything that it knows, and how it misbehaves.
pub(crate) struct State {
    pub(crate) keys: ContextKeys,
    pub(crate) numbers: GatewayNumbers,
    pub(crate) template: RegistrationTemplate,
    pub(crate) open: bool,
    pub(crate) codes: HashSet<[u8; 32]>,
    pub(crate) registrations: HashMap<[u8; 16], (SoftwareKey, UserCode, CanonName)>,
    pub(crate) passwords: HashMap<CanonName, PasswordVerifier>,
    pub(crate) sessions: HashMap<SessionId, Session>,
    pub(crate) apps: BTreeMap<AppName, SocketAddr>,
    pub(crate) lifetime_secs: u32,
    pub(crate) first_number: u64,
    /// First frames of connections.
    pub(crate) firsts: Vec<FrameKind>,
    pub(crate) reports: Vec<Report>,
    pub(crate) applied: Vec<u64>,
    pub(crate) goodbyes: usize,
    /// How often it was asked for stream numbers.
    pub(crate) asked: usize,
    /// Reasons with which clients ended streams.
    pub(crate) ends: Vec<String>,
    pub(crate) answers: Vec<BTreeMap<String, String>>,
    /// What it does about certificates.
    pub(crate) office: Option<Box<dyn FnMut(ControlMessage) -> Vec<ControlMessage> + Send>>,
    // faults
    pub(crate) cookies: usize,
    pub(crate) ahead_secs: i64,
    pub(crate) key_set: Option<KeySet>,
    pub(crate) refuse: Option<(FrameKind, RefusalCode)>,
    pub(crate) silent_after: Option<FrameKind>,
    pub(crate) store_hangs: bool,
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinSet<()>,
}

pub(crate) const DAY: u64 = 86_400;

impl Fake {
    pub(crate) async fn start(issuer: &Issuer, name: &str) -> Self {
        let name = GatewayName::parse(name).unwrap();
        let identity = issuer.gateway_identity(&name, Validity::starting(now(), 90 * DAY)).unwrap();
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), DAY, now()).unwrap();
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let state = State {
            keys,
            numbers: GatewayNumbers::new(crypto(), &entropy.secret()),
            template: RegistrationTemplate::shipped().into_iter().next().unwrap(),
            open: false,
            codes: HashSet::new(),
            registrations: HashMap::new(),
            passwords: HashMap::new(),
            sessions: HashMap::new(),
            apps: BTreeMap::new(),
            lifetime_secs: 3600,
            first_number: 0,
            firsts: Vec::new(),
            reports: Vec::new(),
            applied: Vec::new(),
            goodbyes: 0,
            asked: 0,
            ends: Vec::new(),
            answers: Vec::new(),
            office: None,
            cookies: 0,
            ahead_secs: 0,
            key_set: None,
            refuse: None,
            silent_after: None,
            store_hangs: false,
        };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut fake = Self { address, state, serving: JoinSet::new() };
        fake.serve(listener);
        fake
    }

    fn serve(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let mut wire = Wire { stream };
                    if let Err(Refused(code)) = answer(&state, &mut wire, peer).await {
                        let time = state.lock().unwrap().time();
                        let refusal = Refusal { code, time, text: String::new() };
                        let _ = wire.send(FrameKind::Refusal, refusal.to_bytes()).await;
                    }
                });
            }
        });
    }

    /// Breaks all connections and takes no new ones.
    pub(crate) async fn stop(&mut self) {
        self.serving.shutdown().await;
    }

    /// Starts again at the same address; what it had granted to sessions is forgotten.
    pub(crate) async fn start_again(&mut self) {
        for session in self.state().sessions.values_mut() {
            session.forget_claims();
        }
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn name(&self) -> GatewayName {
        self.state().keys.identity().name().clone()
    }

    /// Publishes an application to everybody.
    pub(crate) fn publish(&self, app: &str, target: SocketAddr) {
        let mut state = self.state();
        state.apps.insert(AppName::parse(app).unwrap(), target);
        state.configure_all();
    }

    pub(crate) fn withdraw(&self, app: &str) {
        let mut state = self.state();
        state.apps.remove(&AppName::parse(app).unwrap());
        state.configure_all();
    }
}

impl State {
    pub(crate) fn time(&self) -> Time {
        Time(now().0.saturating_add_signed(self.ahead_secs * 1_000_000))
    }

    fn configure_all(&mut self) {
        for session in self.sessions.values() {
            session.configure();
        }
    }

    fn offer(&mut self, hello: &Hello) -> Offer {
        let number = self.number();
        Offer {
            key_set: self.key_set.clone().unwrap_or_else(|| self.keys.offer().clone()),
            number,
            time: self.time(),
            template: if hello.registering { self.template.to_bytes() } else { Vec::new() },
            open_registration: self.open,
            issuer_change: Vec::new(),
        }
    }

    pub(crate) fn number(&self) -> [u8; 32] {
        self.numbers.issue(crypto(), &mut SystemEntropy, now())
    }

    fn open(&self, envelope: Envelope, purpose: Purpose) -> Result<EnvelopeContent, Refused> {
        let (key, set) = self.keys.key(&envelope.key()).ok_or(Refused(RefusalCode::UnknownKey))?;
        let checked = CheapCheck::new(crypto(), set, purpose).check(crypto(), envelope).map_err(denied)?;
        checked.open(crypto(), key).map_err(denied)
    }
}

/// What the peer is told.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) RefusalCode);

pub(crate) fn denied<E: std::fmt::Display>(_: E) -> Refused {
    Refused(RefusalCode::Denied)
}

impl From<symbolon_wire::WireError> for Refused {
    fn from(_: symbolon_wire::WireError) -> Self {
        Self(RefusalCode::Malformed)
    }
}

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self(RefusalCode::Malformed)
    }
}

/// Frames on a connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
}

impl Wire {
    pub(crate) async fn next(&mut self) -> std::io::Result<Frame> {
        let mut header = [0; FRAME_HEADER];
        self.stream.read_exact(&mut header).await?;
        let header = FrameHeader::parse(header).map_err(std::io::Error::other)?;
        let mut body = vec![0; header.length];
        self.stream.read_exact(&mut body).await?;
        Ok(Frame::new(header.kind, body))
    }

    pub(crate) async fn send(&mut self, kind: FrameKind, body: Vec<u8>) -> std::io::Result<()> {
        self.stream.write_all(&Frame::new(kind, body).to_bytes()).await
    }
}

type World = Arc<Mutex<State>>;

async fn answer(state: &World, wire: &mut Wire, peer: SocketAddr) -> Result<(), Refused> {
    let mut first = true;
    loop {
        let Ok(frame) = wire.next().await else { return Ok(()) };
        let (refuse, silent) = {
            let mut state = state.lock().unwrap();
            if std::mem::take(&mut first) {
                state.firsts.push(frame.kind);
            }
            (state.refuse.take_if(|(kind, _)| *kind == frame.kind), state.silent_after)
        };
        if let Some((_, code)) = refuse {
            return Err(Refused(code));
        }
        if silent == Some(frame.kind) {
            return std::future::pending().await;
        }
        match frame.kind {
            FrameKind::Hello => {
                let offer = state.lock().unwrap().offer(&Hello::from_bytes(&frame.body)?);
                wire.send(FrameKind::Offer, offer.to_bytes()).await?;
            }
            FrameKind::RegistrationRequest => {
                let envelope = with_cookie(state, wire, peer, frame).await?;
                return register(state, wire, envelope).await;
            }
            FrameKind::ContextFirst => {
                let envelope = with_cookie(state, wire, peer, frame).await?;
                return sign_in(state, wire, envelope).await;
            }
            FrameKind::Attach => return attach(state, wire, &frame.body).await,
            FrameKind::StreamOpen => {
                let stream = ClaimedStream::receive(frame.body).map_err(denied)?;
                return Session::stream(state, wire, stream).await;
            }
            _ => return Err(Refused(RefusalCode::Malformed)),
        }
    }
}

/// Demands a cookie as often as the knob says.
async fn with_cookie(
    state: &World,
    wire: &mut Wire,
    peer: SocketAddr,
    frame: Frame,
) -> Result<Envelope, Refused> {
    let Frame { kind, mut body } = frame;
    let purpose = if kind == FrameKind::ContextFirst { Purpose::Context } else { Purpose::Registration };
    let jar = CookieJar::new(Secret::new([9; 32]));
    let address = peer.to_string();
    loop {
        let envelope = Envelope::from_bytes(&body)?;
        let cookie = {
            let mut state = state.lock().unwrap();
            let Some((_, set)) = state.keys.key(&envelope.key()) else { return Ok(envelope) };
            let checked =
                CheapCheck::new(crypto(), set, purpose).check(crypto(), envelope.clone()).map_err(denied)?;
            if jar.accepts(crypto(), &checked, address.as_bytes(), now()) && state.cookies == 0 {
                return Ok(envelope);
            }
            if state.cookies == 0 {
                return Ok(envelope);
            }
            state.cookies -= 1;
            jar.bake(crypto(), &checked, address.as_bytes(), now())
        };
        wire.send(FrameKind::Retry, cookie.to_vec()).await?;
        let again = wire.next().await?;
        assert_eq!(again.kind, kind);
        body = again.body;
    }
}

async fn register(state: &World, wire: &mut Wire, envelope: Envelope) -> Result<(), Refused> {
    let (key, reply, waiting, grant) = {
        let mut state = state.lock().unwrap();
        let time = state.time();
        let content = state.open(envelope, Purpose::Registration)?;
        let opened =
            RegistrationOpened::read(crypto(), content, time).map_err(|_| Refused(RefusalCode::Clock))?;
        let fresh = opened.first_time(true, time).map_err(denied)?;
        let code = fresh.request().invitation.as_ref().map(|c| c.hash(crypto()));
        match code {
            Some(hash) if state.codes.contains(&hash) => {}
            None if state.open => {}
            _ => return Err(Refused(RefusalCode::Invitation)),
        }
        let answers = Answers::from_bytes(&fresh.request().answers)?.0;
        let valid = state.template.validate(&answers).map_err(|_| Refused(RefusalCode::Answers))?;
        if state.registrations.values().any(|(_, _, name)| name == valid.name()) {
            return Err(Refused(RefusalCode::NameTaken));
        }
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let grant = RegistrationGrant {
            registration_id: entropy.number(),
            user_code: UserCode::parse(&format!("{}-0001", valid.name())).unwrap(),
            user: valid.name().clone(),
            access_path: valid.path().clone(),
            awaits_approval: code.is_none(),
            next_number: state.number(),
        };
        if let Some(hash) = code {
            state.codes.remove(&hash);
        }
        state.answers.push(answers);
        let (key, reply, waiting) = fresh.accept(&mut SystemEntropy, &grant).map_err(denied)?;
        (key, reply, waiting, grant)
    };
    wire.send(FrameKind::RegistrationReply, reply).await?;
    let confirm = wire.next().await?;
    if state.lock().unwrap().silent_after == Some(FrameKind::RegistrationConfirm) {
        return Ok(());
    }
    let done = waiting.confirm(&confirm.body).map_err(denied)?;
    let RegistrationGrant { registration_id, user_code, user, .. } = grant;
    state.lock().unwrap().registrations.insert(registration_id, (key, user_code, user));
    wire.send(FrameKind::RegistrationDone, done).await?;
    Ok(())
}

async fn sign_in(state: &World, wire: &mut Wire, envelope: Envelope) -> Result<(), Refused> {
    let (id, secrets, second) = {
        let mut state = state.lock().unwrap();
        let time = state.time();
        let content = state.open(envelope, Purpose::Context)?;
        let opened = Opened::read(crypto(), content, time).map_err(|_| Refused(RefusalCode::Clock))?;
        let fresh = opened.first_time(true, time).map_err(denied)?;
        let (name, proof) = prove(&state, &fresh)?;
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let grant = Grant {
            session_id: entropy.number(),
            lifetime_secs: state.lifetime_secs,
            subject: name.to_string(),
        };
        let authenticated = fresh.authenticate(proof, ()).map_err(denied)?;
        let (secrets, second) = authenticated.accept(&mut SystemEntropy, &grant).map_err(denied)?;
        let id = SessionId(grant.session_id);
        let secret = SessionSecret::new(secrets.session.duplicate());
        let gateway = state.keys.identity().name().clone();
        state.sessions.insert(id, Session::new(id, name, gateway, secret, grant.lifetime_secs));
        (id, secrets, second)
    };
    wire.send(FrameKind::ContextSecond, second).await?;
    Session::carry_first(state, wire, id, secrets).await
}

fn prove(state: &State, fresh: &Fresh) -> Result<(CanonName, Box<dyn TokenProof>), Refused> {
    match fresh.token_kind() {
        TokenKind::Challenge => {
            let claimed = ClaimedResponse::parse(fresh.token())?;
            let (key, _, name) =
                state.registrations.get(claimed.registration_id()).ok_or(Refused(RefusalCode::Denied))?;
            let gateway = state.keys.identity().name().as_str();
            let proof = claimed
                .verify(crypto(), key, gateway, &state.numbers, fresh.binding(), now())
                .map_err(denied)?;
            Ok((name.clone(), Box::new(proof)))
        }
        _ => {
            let check = PasswordCheck::new(&mut SystemEntropy).unwrap();
            let name =
                PasswordCheck::claimed_name(fresh.token())?.map_err(|()| Refused(RefusalCode::Denied))?;
            let proof =
                check.verify(fresh.token(), state.passwords.get(&name), fresh.binding()).map_err(denied)?;
            Ok((name, Box::new(proof)))
        }
    }
}

async fn attach(state: &World, wire: &mut Wire, body: &[u8]) -> Result<(), Refused> {
    let claimed = Attachment::receive(body).map_err(denied)?;
    let id = claimed.session_id();
    let (answer, channel) = {
        let mut state = state.lock().unwrap();
        let session = state.sessions.get_mut(&id).ok_or(Refused(RefusalCode::SessionOver))?;
        session.attach(claimed).map_err(|_| Refused(RefusalCode::SessionOver))?
    };
    wire.send(FrameKind::Attached, answer).await?;
    Session::carry(state, wire, id, channel).await
}
