//! Wrapped messages.

use proptest::prelude::*;
use symbolon_crypto::{Secret, SecretBytes};
use symbolon_provider::crypto;
use symbolon_record::{
    Delivery, Role, Unwrapper, WINDOW, WRAP_HEADER, WRAP_OVERHEAD, WrapError, WrapSecrets, Wrapper,
};

fn wrapper() -> Wrapper {
    Wrapper::new(crypto(), Secret::new([9; 32]))
}

fn unwrapper(delivery: Delivery) -> Unwrapper {
    Unwrapper::new(crypto(), Secret::new([9; 32]), delivery)
}

fn opened(unwrapper: &mut Unwrapper, message: &[u8]) -> Result<Vec<u8>, WrapError> {
    unwrapper.unwrap_in_place(&mut message.to_vec()).map(|m| m.to_vec())
}

#[test]
fn a_message_is_wrapped_and_unwrapped_where_it_stands() {
    let mut buffer = vec![0; WRAP_OVERHEAD + 5];
    buffer[WRAP_HEADER..][..5].copy_from_slice(b"hello");
    wrapper().wrap_in_place(&mut buffer).unwrap();
    assert_eq!(buffer[..WRAP_HEADER], [b'W', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(buffer, wrapper().wrap(b"hello").unwrap());
    let mut unwrapper = unwrapper(Delivery::InOrder);
    assert_eq!(unwrapper.unwrap_in_place(&mut buffer), Ok(&mut b"hello".to_owned()[..]));
    assert_eq!(unwrapper.sequence(), 1);
}

#[test]
fn the_directions_have_different_keys() {
    let secrets = || WrapSecrets::derive(crypto(), &Secret::new([4; 32]), &[b"context"]);
    let (mut to_acceptor, mut at_initiator) =
        secrets().into_pair(crypto(), Role::Initiator, Delivery::InOrder);
    let (mut to_initiator, mut at_acceptor) =
        secrets().into_pair(crypto(), Role::Acceptor, Delivery::InOrder);
    let (up, down) = (to_acceptor.wrap(b"up").unwrap(), to_initiator.wrap(b"down").unwrap());
    assert_eq!(opened(&mut at_initiator, &up), Err(WrapError::Forged), "a message is not reflected");
    assert_eq!(opened(&mut at_acceptor, &up).unwrap(), b"up");
    assert_eq!(opened(&mut at_initiator, &down).unwrap(), b"down");
    let other = WrapSecrets::derive(crypto(), &Secret::new([4; 32]), &[b"another"]);
    assert_ne!(secrets(), other);
}

#[test]
fn in_order_a_gap_a_repetition_and_a_cut_are_told_apart() {
    let mut wrapper = wrapper();
    let messages: Vec<_> = (0..3).map(|n| wrapper.wrap(&[n]).unwrap()).collect();
    let mut last = vec![0; WRAP_OVERHEAD];
    wrapper.wrap_last_in_place(&mut last).unwrap();
    assert_eq!(wrapper.wrap(b"more"), Err(WrapError::AfterLast));

    let mut unwrapper = unwrapper(Delivery::InOrder);
    assert_eq!(opened(&mut unwrapper, &messages[1]), Err(WrapError::OutOfOrder));
    assert_eq!(opened(&mut unwrapper, &messages[0]).unwrap(), [0]);
    assert_eq!(opened(&mut unwrapper, &messages[0]), Err(WrapError::Replayed));
    assert_eq!(opened(&mut unwrapper, &messages[1]).unwrap(), [1]);
    assert_eq!(opened(&mut unwrapper, &messages[2]).unwrap(), [2]);
    assert_eq!(unwrapper.end_of_input(), Err(WrapError::Truncated));
    assert_eq!(opened(&mut unwrapper, &last).unwrap(), b"");
    assert!(unwrapper.has_ended());
    assert_eq!(unwrapper.end_of_input(), Ok(()));
    assert_eq!(opened(&mut unwrapper, &last), Err(WrapError::AfterLast));
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    for delivery in [Delivery::InOrder, Delivery::Windowed] {
        let message = wrapper().wrap(b"the configuration").unwrap();
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(opened(&mut unwrapper(delivery), &flipped).is_err(), "bit {bit}");
        }
        for cut in 0..message.len() {
            let error = if cut < WRAP_OVERHEAD { WrapError::Malformed } else { WrapError::Forged };
            assert_eq!(opened(&mut unwrapper(delivery), &message[..cut]), Err(error));
        }
    }
}

#[test]
fn a_refused_message_changes_nothing() {
    let mut unwrapper = unwrapper(Delivery::Windowed);
    let mut wrapper = wrapper();
    let first = wrapper.wrap(b"first").unwrap();
    wrapper.rekey().unwrap();
    let mut forged = wrapper.wrap(b"second").unwrap();
    forged[20] ^= 1;
    assert_eq!(opened(&mut unwrapper, &forged), Err(WrapError::Forged));
    assert_eq!((unwrapper.generation(), unwrapper.sequence()), (0, 0));
    assert_eq!(opened(&mut unwrapper, &first).unwrap(), b"first");
}

#[test]
fn keys_go_forward_one_generation_at_a_time_and_never_back() {
    let (mut wrapper, mut unwrapper) = (wrapper(), unwrapper(Delivery::Windowed));
    let old = wrapper.wrap(b"old").unwrap();
    let late = wrapper.wrap(b"late").unwrap();
    wrapper.rekey().unwrap();
    let new = wrapper.wrap(b"new").unwrap();
    wrapper.rekey().unwrap();
    let newest = wrapper.wrap(b"newest").unwrap();
    assert_eq!(opened(&mut unwrapper, &old).unwrap(), b"old");
    assert_eq!(opened(&mut unwrapper, &newest), Err(WrapError::Forged), "no generation is skipped");
    assert_eq!(opened(&mut unwrapper, &new).unwrap(), b"new");
    assert_eq!(opened(&mut unwrapper, &late), Err(WrapError::TooOld));
    assert_eq!(opened(&mut unwrapper, &newest).unwrap(), b"newest");
    assert_eq!(unwrapper.generation(), 2);
}

#[test]
fn generations_end() {
    let mut wrapper = wrapper();
    for _ in 0..u16::MAX {
        wrapper.rekey().unwrap();
    }
    assert_eq!(wrapper.rekey(), Err(WrapError::Exhausted));
}

#[test]
fn a_window_lets_messages_overtake_each_other_once() {
    let mut wrapper = wrapper();
    let messages: Vec<_> = (0..=WINDOW).map(|n| wrapper.wrap(&n.to_be_bytes()).unwrap()).collect();
    let mut unwrapper = unwrapper(Delivery::Windowed);
    for message in messages[1..].iter().rev() {
        assert!(opened(&mut unwrapper, message).is_ok());
    }
    for message in &messages[1..] {
        assert_eq!(opened(&mut unwrapper, message), Err(WrapError::Replayed));
    }
    assert_eq!(opened(&mut unwrapper, &messages[0]), Err(WrapError::TooOld));
}

#[test]
fn a_buffer_without_room_is_refused() {
    assert_eq!(wrapper().wrap_in_place(&mut [0; WRAP_OVERHEAD - 1]), Err(WrapError::NoRoom));
    assert_eq!(wrapper().wrap_in_place(&mut [0; WRAP_OVERHEAD]), Ok(()));
}

#[test]
fn a_state_of_another_version_or_shape_is_refused() {
    let state = wrapper().export();
    let mut newer = state.expose().to_vec();
    newer[0] = 2;
    assert!(Wrapper::import(crypto(), &SecretBytes::new(newer)).is_err());
    for cut in 0..state.expose().len() {
        assert!(Wrapper::import(crypto(), &SecretBytes::new(state.expose()[..cut].to_vec())).is_err());
    }
    assert!(Unwrapper::import(crypto(), &state).is_err());
}

proptest! {
    #[test]
    fn a_successor_carries_on_and_repeats_no_number(
        before in proptest::collection::vec(any::<bool>(), 0..40),
        windowed in any::<bool>(),
    ) {
        let delivery = if windowed { Delivery::Windowed } else { Delivery::InOrder };
        let (mut wrapper, mut unwrapper) = (wrapper(), unwrapper(delivery));
        let mut sent = Vec::new();
        for rekey in before {
            if rekey {
                wrapper.rekey().unwrap();
            }
            let message = wrapper.wrap(b"m").unwrap();
            opened(&mut unwrapper, &message).unwrap();
            sent.push(message);
        }
        let mut wrapper = Wrapper::import(crypto(), &wrapper.export()).unwrap();
        let mut unwrapper = Unwrapper::import(crypto(), &unwrapper.export()).unwrap();
        prop_assert_eq!(wrapper.sequence(), sent.len() as u64);
        for message in &sent {
            prop_assert!(opened(&mut unwrapper, message).is_err(), "replayed to the successor");
        }
        let next = wrapper.wrap(b"next").unwrap();
        prop_assert!(sent.iter().all(|m| m[4..WRAP_HEADER] != next[4..WRAP_HEADER]));
        prop_assert_eq!(opened(&mut unwrapper, &next).unwrap(), b"next");
    }

    #[test]
    fn in_any_order_each_message_is_accepted_once(order in proptest::collection::vec(0usize..60, 0..200)) {
        let mut wrapper = wrapper();
        let messages: Vec<_> = (0..60).map(|_| wrapper.wrap(b"m").unwrap()).collect();
        let mut unwrapper = unwrapper(Delivery::Windowed);
        let mut seen = std::collections::BTreeSet::new();
        for n in order {
            let expected = if seen.insert(n) { Ok(b"m".to_vec()) } else { Err(WrapError::Replayed) };
            prop_assert_eq!(opened(&mut unwrapper, &messages[n]), expected);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        for delivery in [Delivery::InOrder, Delivery::Windowed] {
            prop_assert!(opened(&mut unwrapper(delivery), &bytes).is_err());
            let mut marked = vec![b'W', 0, 0, 0];
            marked.extend_from_slice(&bytes);
            prop_assert!(opened(&mut unwrapper(delivery), &marked).is_err());
        }
        let state = SecretBytes::new(bytes);
        let _ = Wrapper::import(crypto(), &state);
        let _ = Unwrapper::import(crypto(), &state);
    }
}
