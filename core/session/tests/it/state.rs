//! What the store keeps.

use crate::state;
use proptest::prelude::*;
use symbolon_crypto::{CertificateNumber, SecretBytes};
use symbolon_policy::GroupName;
use symbolon_session::{Line, SessionState};
use symbolon_wire::{Decode as _, Time, WireError};

#[test]
fn a_state_of_a_newer_program_is_told_from_a_damaged_one() {
    let mut bytes = state().to_secret_bytes().expose().to_vec();
    bytes[0] = 5;
    let newer = SessionState::from_secret_bytes(&SecretBytes::new(bytes.clone()));
    assert_eq!(newer.err(), Some(WireError::UnknownVersion(5)));
    bytes[0] = 4;
    for cut in 0..bytes.len() {
        assert!(SessionState::from_secret_bytes(&SecretBytes::new(bytes[..cut].to_vec())).is_err());
    }
    bytes.push(0);
    let longer = SessionState::from_secret_bytes(&SecretBytes::new(bytes));
    assert_eq!(longer.err(), Some(WireError::TrailingBytes));
}

#[test]
fn a_state_does_not_print_its_secret() {
    assert!(format!("{:?}", state()).contains("secret: SessionSecret(Secret<32>)"));
}

proptest! {
    #[test]
    fn a_state_survives_the_way_into_the_store_and_back(
        numbers in any::<[u64; 4]>(),
        source in "[ -~éß中]{0,80}",
        by_password in any::<bool>(),
        groups in proptest::collection::vec("[a-z]{1,20}", 0..4),
        path in proptest::collection::vec((any::<[u8; 32]>(), 1_u8..=20), 0..=5),
    ) {
        let mut state = state();
        let [opened, expires, applied, attach] = numbers;
        (state.opened, state.expires) = (Time(opened), Time(expires));
        (state.configuration_applied, state.last_attach) = (applied, attach);
        state.source = Line::lossy(&source);
        let number = |(authority, length): &([u8; 32], u8)| {
            let serial = vec![7; usize::from(*length)];
            CertificateNumber::from_bytes(&[&authority[..], &[*length], &serial].concat()).unwrap()
        };
        state.certificates = path.iter().map(number).collect();
        state.groups = groups.iter().map(|g| GroupName::parse(g).unwrap()).collect();
        if by_password {
            state.registration = None;
        }
        prop_assert_eq!(SessionState::from_secret_bytes(&state.to_secret_bytes()), Ok(state));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SessionState::from_secret_bytes(&SecretBytes::new(bytes));
    }
}
