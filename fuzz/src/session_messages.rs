//! Messages of a session: coming back, opening a stream, control. Ways of the target `record_and_wrapped`.

use symbolon_crypto::{GatewayName, Secret, SecretBytes, TokenKind};
use symbolon_policy::{AppName, CanonName, TokenClass};
use symbolon_session::{
    AttachRequest, Attachment, ClaimedStream, ClientSession, ControlMessage, EndReason, Epoch, Line,
    OpeningStream, Report, SessionId, SessionSecret, SessionState, StreamClaims, StreamNumbers, StreamRange,
    StreamReply, StreamRequest, UserId,
};
use symbolon_wire::Encode;

use crate::by;
use crate::encoding::one_encoding;
use crate::gateway::{NOW, Seeded, crypto};

/// The rest is the body of a request to carry the recorded session on.
const ATTACH: u8 = 16;
/// The rest is the body of an answer to such a request.
const ATTACHED: u8 = 17;
/// The rest is the body of a request to open the recorded stream.
const STREAM_OPEN: u8 = 18;
/// The rest is the body of an answer to such a request.
const STREAM_REPLY: u8 = 19;
/// The rest is a control message.
const CONTROL: u8 = 20;
/// The rest is what a client seals into a request to open a stream.
const STREAM_REQUEST: u8 = 21;
/// The rest is the state of a session out of a store.
const STATE: u8 = 22;

pub(crate) fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&ATTACH, rest)) => {
            let verified = Attachment::receive(rest).map(|claimed| claimed.verify(crypto(), &state(), NOW));
            assert!(!matches!(verified, Ok(Ok(_))) || rest == attach(), "nobody else comes back");
        }
        Some((&ATTACHED, rest)) => {
            let mut session = client();
            let (waiting, _) =
                AttachRequest::begin(crypto(), &mut Seeded::new(), &mut session).expect("the first");
            let attached = waiting.receive(&mut session, rest).is_ok();
            assert!(!attached || rest == attached_body(), "nobody else carries the session on");
        }
        Some((&STREAM_OPEN, rest)) => stream_open(rest),
        Some((&STREAM_REPLY, rest)) => {
            let reply = open_stream().reply.receive(rest.to_vec());
            assert!(reply.is_err() || rest == stream_reply(), "nobody else answers");
        }
        Some((&CONTROL, rest)) => drop(one_encoding::<ControlMessage>(rest)),
        Some((&STREAM_REQUEST, rest)) => drop(one_encoding::<StreamRequest>(rest)),
        Some((&STATE, rest)) => {
            if let Ok(state) = SessionState::from_secret_bytes(&SecretBytes::new(rest.to_vec())) {
                let again = SessionState::from_secret_bytes(&state.to_secret_bytes()).expect("our own state");
                assert_eq!(again, state, "a state means one thing");
            }
        }
        _ => {}
    }
}

fn stream_open(body: &[u8]) {
    let Ok(claimed) = ClaimedStream::receive(body.to_vec()) else { return };
    let Ok(stream) = client().stream_root(crypto()).authenticate(claimed) else { return };
    assert_eq!(body, open_stream().body, "nobody else opens a stream");
    let mut claims = StreamClaims::new(id());
    claims.grant(numbers()).expect("the first range");
    let claimed = claims.claim(stream).expect("the first to claim it");
    assert_eq!(*claimed.request(), request());
}

fn id() -> SessionId {
    SessionId([3; 16])
}

fn secret() -> SessionSecret {
    SessionSecret::new(Secret::new([12; 32]))
}

fn client() -> ClientSession {
    ClientSession::new(id(), secret())
}

fn numbers() -> StreamRange {
    StreamRange::new(1, 100).expect("a short range")
}

fn request() -> StreamRequest {
    let origin = Line::parse("127.0.0.1:5432").expect("a line");
    StreamRequest { app: AppName::parse("db.office").expect("an application's name"), origin }
}

fn open_stream() -> OpeningStream {
    let mut available = StreamNumbers::new();
    available.grant(numbers()).expect("the first range");
    let number = available.draw().expect("there are numbers");
    client().stream_root(crypto()).open(number, &request()).expect("it fits a record")
}

fn stream_reply() -> Vec<u8> {
    let claimed = ClaimedStream::receive(open_stream().body).expect("a body");
    let stream = client().stream_root(crypto()).authenticate(claimed).expect("our own");
    let mut claims = StreamClaims::new(id());
    claims.grant(numbers()).expect("the first range");
    let (body, _) =
        claims.claim(stream).expect("the first").accept(&mut Seeded::new()).expect("it fits a record");
    body
}

fn attach() -> Vec<u8> {
    AttachRequest::begin(crypto(), &mut Seeded::new(), &mut client()).expect("the first").1
}

fn attached_body() -> Vec<u8> {
    let claimed = Attachment::receive(&attach()).expect("a body");
    let verified = claimed.verify(crypto(), &state(), NOW).expect("our own");
    verified.accept(Epoch(2), &mut Seeded::new()).expect("it grows").0
}

fn state() -> SessionState {
    SessionState {
        id: id(),
        user: UserId([4; 16]),
        registration: None,
        user_name: CanonName::parse("alice").expect("a name"),
        token_class: TokenClass::Software,
        method: TokenKind::Challenge,
        certificates: Vec::new(),
        groups: Vec::new(),
        proved: NOW,
        gateway: GatewayName::parse("gateway.example").expect("a DNS name"),
        opened: NOW,
        expires: NOW.plus_secs(3600),
        source: Line::parse("192.0.2.1").expect("a line"),
        report: report(),
        configuration_applied: 1,
        last_attach: 0,
        secret: secret(),
    }
}

fn report() -> Report {
    let line = |text| Line::parse(text).expect("a line");
    Report {
        user: line("alice"),
        agent: line("symbolon 0.1.0"),
        machine: line("laptop"),
        system: line("Debian GNU/Linux 12"),
        place: line("office"),
    }
}

/// What the target accepts.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let detail = Line::parse("the entitlement was withdrawn").expect("a line");
    let control = [
        ControlMessage::Report(report()),
        ControlMessage::ConfigurationApplied { version: 7 },
        ControlMessage::Logout,
        ControlMessage::StreamsGranted(numbers()),
        ControlMessage::StreamEnded { number: 5, reason: EndReason::ALL[0], detail: detail.clone() },
        ControlMessage::SessionEnded { reason: EndReason::ALL[1], detail },
        ControlMessage::NextNumber([5; 32]),
    ];
    let mut seeds = vec![
        by(ATTACH, &attach()),
        by(ATTACHED, &attached_body()),
        by(STREAM_OPEN, &open_stream().body),
        by(STREAM_REPLY, &stream_reply()),
        by(STREAM_REQUEST, &request().to_bytes()),
        by(STATE, state().to_secret_bytes().expose()),
    ];
    seeds.extend(control.map(|message| by(CONTROL, &message.to_bytes())));
    assert!(matches!(open_stream().reply.receive(stream_reply()), Ok(StreamReply::Accepted(_))));
    seeds
}
