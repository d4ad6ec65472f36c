//! Carrying a session on over another connection.

use crate::{ID, NOW, client, secret, state};
use proptest::prelude::*;
use symbolon_crypto::Secret;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{
    AttachError, AttachRequest, Attachment, AwaitAttached, ChannelError, ClientSession, ControlMessage,
    Epoch, SessionChannel, SessionId, SessionSecret, SessionState,
};
use symbolon_wire::FRAME_HEADER;

fn begin(session: &mut ClientSession) -> (AwaitAttached, Vec<u8>) {
    AttachRequest::begin(crypto(), &mut SystemEntropy, session).unwrap()
}

/// What a node does, store included.
fn attach(
    state: &mut SessionState,
    body: &[u8],
    epoch: u64,
) -> Result<(Vec<u8>, SessionChannel), AttachError> {
    let claimed = Attachment::receive(body)?;
    assert_eq!(claimed.session_id(), ID);
    let verified = claimed.verify(crypto(), state, NOW)?;
    let counter = verified.counter();
    let accepted = verified.accept(Epoch(epoch), &mut SystemEntropy)?;
    state.last_attach = counter;
    Ok(accepted)
}

fn say(
    from: &mut SessionChannel,
    to: &mut SessionChannel,
    message: &ControlMessage,
) -> Result<(), ChannelError> {
    let mut frame = from.seal(message).unwrap();
    to.open(&mut frame[FRAME_HEADER..]).map(|m| assert_eq!(m, *message))
}

#[test]
fn a_session_goes_on_over_another_connection_under_a_grown_epoch() {
    let (mut client, mut state) = (client(), state());
    for epoch in [2, 3, 9] {
        let (awaiting, body) = begin(&mut client);
        assert_eq!(body.len(), 80);
        let (answer, mut node) = attach(&mut state, &body, epoch).unwrap();
        assert_eq!(answer.len(), 72);
        let mut agent = awaiting.receive(&mut client, &answer).unwrap();
        assert_eq!((agent.epoch(), node.epoch(), client.epoch()), (Epoch(epoch), Epoch(epoch), Epoch(epoch)));
        say(&mut agent, &mut node, &ControlMessage::Ping(epoch)).unwrap();
        say(&mut node, &mut agent, &ControlMessage::Pong(epoch)).unwrap();
    }
    assert_eq!(state.last_attach, 3);
}

#[test]
fn each_epoch_has_keys_of_its_own() {
    let (mut client, mut state) = (client(), state());
    let (awaiting, body) = begin(&mut client);
    let (answer, _) = attach(&mut state, &body, 2).unwrap();
    let mut old_agent = awaiting.receive(&mut client, &answer).unwrap();
    let (awaiting, body) = begin(&mut client);
    let (answer, mut new_node) = attach(&mut state, &body, 3).unwrap();
    awaiting.receive(&mut client, &answer).unwrap();
    assert!(say(&mut old_agent, &mut new_node, &ControlMessage::Ping(1)).is_err());
}

#[test]
fn cve_session_hijack_by_a_replayed_attach() {
    let (mut client, mut state) = (client(), state());
    let (_, first) = begin(&mut client);
    let (_, second) = begin(&mut client);
    attach(&mut state, &second, 2).unwrap();
    assert_eq!(attach(&mut state, &second, 3).err(), Some(AttachError::Replayed));
    assert_eq!(
        attach(&mut state, &first, 3).err(),
        Some(AttachError::Replayed),
        "an older attempt, held back"
    );
}

#[test]
fn a_client_refuses_an_epoch_that_does_not_grow() {
    let (mut client, mut state) = (client(), state());
    let (awaiting, body) = begin(&mut client);
    let (answer, _) = attach(&mut state, &body, 5).unwrap();
    let (awaiting_late, late) = begin(&mut client);
    awaiting.receive(&mut client, &answer).unwrap();

    // a node with an old state: the client's question was asked before epoch 5 was seen
    let (answer, _) = attach(&mut state, &late, 4).unwrap();
    let refused = awaiting_late.receive(&mut client, &answer).err();
    assert_eq!(refused, Some(AttachError::EpochDoesNotGrow { offered: Epoch(4), seen: Epoch(5) }));
    assert_eq!(client.epoch(), Epoch(5));
}

#[test]
fn a_node_does_not_answer_under_an_epoch_that_the_client_has_seen() {
    let (mut client, mut state) = (client(), state());
    let (awaiting, body) = begin(&mut client);
    let (answer, _) = attach(&mut state, &body, 5).unwrap();
    awaiting.receive(&mut client, &answer).unwrap();

    let (_, body) = begin(&mut client);
    let verified = Attachment::receive(&body).unwrap().verify(crypto(), &state, NOW).unwrap();
    assert_eq!(verified.least_epoch(), Epoch(6));
    let refused = verified.accept(Epoch(5), &mut SystemEntropy).err();
    assert_eq!(refused, Some(AttachError::EpochDoesNotGrow { offered: Epoch(5), seen: Epoch(5) }));
}

#[test]
fn cve_session_hijack_without_its_secret() {
    let stranger = || SessionSecret::new(Secret::new([1; 32]));
    let (_, body) = begin(&mut ClientSession::new(ID, stranger()));
    assert_eq!(attach(&mut state(), &body, 2).err(), Some(AttachError::Forged));

    let mut client = client();
    let (awaiting, body) = begin(&mut client);
    let mut false_state = state();
    false_state.secret = stranger();
    assert_eq!(attach(&mut false_state, &body, 2).err(), Some(AttachError::Forged));
    let (answer, _) = attach(&mut state(), &begin(&mut client).1, 2).unwrap();
    assert_eq!(
        awaiting.receive(&mut client, &answer).err(),
        Some(AttachError::Forged),
        "the answer to another"
    );
}

#[test]
fn cve_session_fixation_the_state_of_another_session_does_not_fit() {
    let (_, body) = begin(&mut ClientSession::new(SessionId([8; 16]), secret()));
    let claimed = Attachment::receive(&body).unwrap();
    assert_eq!(claimed.verify(crypto(), &state(), NOW).err(), Some(AttachError::Forged));
}

#[test]
fn an_expired_session_is_not_carried_on() {
    let state = state();
    let (_, body) = begin(&mut client());
    let verify = |now| Attachment::receive(&body).unwrap().verify(crypto(), &state, now).map(drop);
    assert_eq!(verify(NOW.plus_secs(3599)), Ok(()));
    assert_eq!(verify(NOW.plus_secs(3600)), Err(AttachError::Expired));
}

proptest! {
    #[test]
    fn an_altered_message_is_refused_in_both_directions(bit in any::<proptest::sample::Index>()) {
        let (mut client, mut state) = (client(), state());
        let (awaiting, body) = begin(&mut client);
        let mut altered = body.clone();
        let at = bit.index(8 * body.len());
        altered[at / 8] ^= 1 << (at % 8);
        let verified = Attachment::receive(&altered).unwrap().verify(crypto(), &state, NOW);
        prop_assert_eq!(verified.err(), Some(AttachError::Forged));

        let (mut answer, _) = attach(&mut state, &body, 2).unwrap();
        let at = bit.index(8 * answer.len());
        answer[at / 8] ^= 1 << (at % 8);
        prop_assert_eq!(awaiting.receive(&mut client, &answer).err(), Some(AttachError::Forged));
        prop_assert_eq!(client.epoch(), Epoch::FIRST);
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(claimed) = Attachment::receive(&bytes) {
            prop_assert!(claimed.verify(crypto(), &state(), NOW).is_err());
        }
        let mut client = client();
        let (awaiting, _) = begin(&mut client);
        prop_assert!(awaiting.receive(&mut client, &bytes).is_err());
    }
}
