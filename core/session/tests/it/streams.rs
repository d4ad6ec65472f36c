//! Opening streams.

use crate::{ID, line, secret};
use proptest::prelude::*;
use symbolon_crypto::Secret;
use symbolon_policy::AppName;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{
    DATA_ROOM, DATA_TAIL, PeerMisbehaved, RecordError, SendHalf, StreamEvent, StreamRecords,
};
use symbolon_session::{
    AuthenticStream, ClaimError, ClaimedStream, EndReason, OpeningStream, Refusal, SessionId, SessionSecret,
    StreamClaims, StreamError, StreamNumbers, StreamRange, StreamReply, StreamRequest, StreamRoot,
};

fn root() -> StreamRoot {
    StreamRoot::new(crypto(), ID, &secret())
}

fn range(first: u64, end: u64) -> StreamRange {
    StreamRange::new(first, end).unwrap()
}

fn request() -> StreamRequest {
    StreamRequest { app: AppName::parse("db.office").unwrap(), origin: line("psql") }
}

/// A stream under the given number.
fn opening(number: u64) -> OpeningStream {
    let mut numbers = StreamNumbers::new();
    numbers.grant(range(number, number + 1)).unwrap();
    root().open(numbers.draw().unwrap(), &request()).unwrap()
}

fn authenticate(body: &[u8]) -> Result<AuthenticStream, StreamError> {
    root().authenticate(ClaimedStream::receive(body.to_vec())?)
}

fn claims() -> StreamClaims {
    let mut claims = StreamClaims::new(ID);
    claims.grant(range(0, 64)).unwrap();
    claims
}

fn data(send: &mut SendHalf, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; DATA_ROOM + payload.len() + DATA_TAIL];
    buffer[DATA_ROOM..][..payload.len()].copy_from_slice(payload);
    send.seal_data(&mut buffer, payload.len()).unwrap().to_vec()
}

#[test]
fn a_stream_carries_data_before_and_after_the_answer() {
    let OpeningStream { body, mut send, reply } = opening(5);
    let early = data(&mut send, b"before the answer");

    let claimed = claims().claim(authenticate(&body).unwrap()).unwrap();
    assert_eq!((claimed.number(), claimed.request()), (5, &request()));
    let (answer, mut node) = claimed.accept(&mut SystemEntropy).unwrap();
    node.feed(&early);
    assert_eq!(node.next_event(), Ok(Some(StreamEvent::Data(&mut b"before the answer".to_owned()))));

    let Ok(StreamReply::Accepted(receive)) = reply.receive(answer) else { panic!("refused") };
    let mut client = StreamRecords::from_halves(send, receive);
    let mut buffer = vec![0; DATA_ROOM + 5 + DATA_TAIL];
    buffer[DATA_ROOM..][..5].copy_from_slice(b"reply");
    client.feed(node.seal_data(&mut buffer, 5).unwrap());
    assert_eq!(client.next_event(), Ok(Some(StreamEvent::Data(&mut b"reply".to_owned()))));
    node.feed(&client.close().unwrap());
    assert_eq!(node.next_event(), Ok(Some(StreamEvent::PeerClosed)));
}

#[test]
fn a_refusal_says_why() {
    let OpeningStream { body, reply, .. } = opening(5);
    let claimed = claims().claim(authenticate(&body).unwrap()).unwrap();
    let refusal = Refusal { reason: EndReason::NotPermitted, detail: line("outside office hours") };
    let answer = claimed.refuse(&refusal, &mut SystemEntropy).unwrap();
    assert!(matches!(reply.receive(answer), Ok(StreamReply::Refused(r)) if r == refusal));
}

#[test]
fn a_stream_opened_twice_acts_once() {
    let OpeningStream { body, reply, .. } = opening(5);
    let mut claims = claims();
    assert!(claims.claim(authenticate(&body).unwrap()).is_ok());
    let again = claims.claim(authenticate(&body).unwrap()).unwrap_err();
    assert_eq!(again.why, ClaimError::AlreadyUsed);

    let refusal = Refusal { reason: EndReason::NumberRefused, detail: line("") };
    let answer = again.stream.refuse(&refusal, &mut SystemEntropy).unwrap();
    assert!(matches!(reply.receive(answer), Ok(StreamReply::Refused(r)) if r == refusal));
}

#[test]
fn a_stream_recorded_before_a_restart_does_not_act_after_it() {
    let OpeningStream { body, .. } = opening(5);
    let mut before = claims();
    before.claim(authenticate(&body).unwrap()).unwrap();
    // the restarted node, or another one, got the next range from the store
    let mut after = StreamClaims::new(ID);
    after.grant(range(64, 128)).unwrap();
    let refused = after.claim(authenticate(&body).unwrap()).unwrap_err();
    assert_eq!(refused.why, ClaimError::NotGranted);
}

#[test]
fn two_answers_to_one_number_share_no_key() {
    let OpeningStream { body, .. } = opening(5);
    let answer =
        || claims().claim(authenticate(&body).unwrap()).unwrap().accept(&mut SystemEntropy).unwrap().0;
    let (one, two) = (answer(), answer());
    assert_ne!(one[..32], two[..32]);
    assert_ne!(one[37..], two[37..], "the same answer under the same sequence number");
}

#[test]
fn a_stream_of_another_session_is_refused() {
    let OpeningStream { body, .. } = opening(5);
    let other = SessionId([9; 16]);
    let elsewhere = StreamRoot::new(crypto(), other, &secret());
    let refused = elsewhere.authenticate(ClaimedStream::receive(body.clone()).unwrap()).err();
    assert_eq!(refused, Some(StreamError::OtherSession));

    // the same bytes with the other session's name written over
    let mut renamed = body.clone();
    renamed[..16].copy_from_slice(&other.0);
    let forged = StreamError::Record(RecordError::PeerMisbehaved(PeerMisbehaved::Forged));
    assert_eq!(elsewhere.authenticate(ClaimedStream::receive(renamed).unwrap()).err(), Some(forged.clone()));

    let stranger = StreamRoot::new(crypto(), ID, &SessionSecret::new(Secret::new([1; 32])));
    assert_eq!(stranger.authenticate(ClaimedStream::receive(body.clone()).unwrap()).err(), Some(forged));

    let mut claims = StreamClaims::new(other);
    claims.grant(range(0, 64)).unwrap();
    let refused = claims.claim(authenticate(&body).unwrap()).unwrap_err();
    assert_eq!(refused.why, ClaimError::OtherSession);
}

#[test]
fn a_stream_moved_to_another_number_is_refused() {
    let mut body = opening(5).body;
    body[23] = 6;
    let forged = StreamError::Record(RecordError::PeerMisbehaved(PeerMisbehaved::Forged));
    assert_eq!(authenticate(&body).err(), Some(forged));
}

#[test]
fn an_opening_is_no_answer_and_data_is_no_opening() {
    let OpeningStream { body, mut send, reply } = opening(5);
    let mut reflected = vec![0; 32];
    reflected.extend_from_slice(&body[24..]);
    assert!(reply.receive(reflected).is_err());

    let mut second = body[..24].to_vec();
    second.extend(data(&mut send, b"x"));
    assert!(authenticate(&second).is_err(), "the second record of a stream opens none");
}

proptest! {
    #[test]
    fn an_altered_or_cut_opening_is_refused(
        at in any::<proptest::sample::Index>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let OpeningStream { body, reply, .. } = opening(5);
        let bit = at.index(8 * body.len());
        let mut altered = body.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(authenticate(&altered).is_err());
        prop_assert!(authenticate(&body[..cut.index(body.len())]).is_err());

        let claimed = claims().claim(authenticate(&body).unwrap()).unwrap();
        let (mut answer, _) = claimed.accept(&mut SystemEntropy).unwrap();
        let bit = at.index(8 * answer.len());
        answer[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(reply.receive(answer).is_err());
    }

    #[test]
    fn arbitrary_bytes_open_nothing_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(authenticate(&bytes).is_err());
        let mut named = ID.0.to_vec();
        named.extend_from_slice(&bytes);
        prop_assert!(authenticate(&named).is_err());
        prop_assert!(opening(1).reply.receive(bytes).is_err());
    }
}
