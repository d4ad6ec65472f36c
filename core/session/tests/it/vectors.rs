//! The examples of `docs/protocol/session.md`, which another implementation (Python, from the text
//! of that document) made.

use crate::{ID, NOW, line, state};
use symbolon_crypto::{Entropy, Secret};
use symbolon_policy::AppName;
use symbolon_provider::crypto;
use symbolon_session::{
    AttachRequest, Attachment, ClaimedStream, ClientSession, ControlMessage, Epoch, SessionSecret,
    StreamClaims, StreamNumbers, StreamRange, StreamRequest,
};
use symbolon_wire::FRAME_HEADER;

/// Random numbers that are all the same byte.
struct Always(u8);

impl Entropy for Always {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

fn secret() -> SessionSecret {
    SessionSecret::new(Secret::new(std::array::from_fn(|n| n as u8)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn attaching_is_as_documented() {
    let mut client = ClientSession::new(ID, secret());
    let mut state = state();
    state.secret = secret();
    let (awaiting, attach) = AttachRequest::begin(crypto(), &mut Always(1), &mut client).unwrap();
    assert_eq!(
        hex(&attach),
        "07070707070707070707070707070707010101010101010101010101010101010000000000000001\
         000000000000000149af08cb2b40e5c5144df242b677d3a22058ac461203d17cf068a069ca01b441"
    );
    let verified = Attachment::receive(&attach).unwrap().verify(crypto(), &state, NOW).unwrap();
    let (attached, mut node) = verified.accept(Epoch(2), &mut Always(2)).unwrap();
    assert_eq!(
        hex(&attached),
        "00000000000000020202020202020202020202020202020202020202020202020202020202020202\
         bd45e4c14c7f45d2d3ad7d1ffcb0ec9b827441da5bacdbd3edfbc9f8b9d8fb19"
    );
    let mut agent = awaiting.receive(&mut client, &attached).unwrap();
    let ping = agent.seal(&ControlMessage::Ping(9)).unwrap();
    assert_eq!(
        hex(&ping[FRAME_HEADER..]),
        "570000000000000000000000cf66f5d539251530843f62323a01c1fb4829172d2da70fc028"
    );
    let pong = node.seal(&ControlMessage::Pong(9)).unwrap();
    assert_eq!(
        hex(&pong[FRAME_HEADER..]),
        "57000000000000000000000055a3d624c00c6359f752c90af6ffb816806a21d76ca7c675c3"
    );
}

#[test]
fn opening_a_stream_is_as_documented() {
    let root = ClientSession::new(ID, secret()).stream_root(crypto());
    let range = StreamRange::new(5, 6).unwrap();
    let mut numbers = StreamNumbers::new();
    numbers.grant(range).unwrap();
    let request = StreamRequest { app: AppName::parse("db").unwrap(), origin: line("psql") };
    let opening = root.open(numbers.draw().unwrap(), &request).unwrap();
    assert_eq!(
        hex(&opening.body),
        "070707070707070707070707070707070000000000000005\
         170303001baf1b9bc90a34810af4282bd1cdab1c131ca2e2592bb744c239c35e"
    );
    let mut claims = StreamClaims::new(ID);
    claims.grant(range).unwrap();
    let stream = root.authenticate(ClaimedStream::receive(opening.body).unwrap()).unwrap();
    let (reply, _) = claims.claim(stream).unwrap().accept(&mut Always(2)).unwrap();
    assert_eq!(
        hex(&reply),
        "02020202020202020202020202020202020202020202020202020202020202021703030013297e21\
         960688d2626fea0ddfe5870e975dc1b3"
    );
}
