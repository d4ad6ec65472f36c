//! Bytes of any kind never make a party panic.

use crate::pair::Gateway;
use proptest::prelude::*;
use std::sync::LazyLock;
use symbolon_context::PasswordCheck;
use symbolon_crypto::{Envelope, EnvelopeContent, Secret, SecretBytes, Suite, Transcript, label};
use symbolon_provider::crypto;
use symbolon_wire::Decode;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn as_an_envelope(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Envelope::from_bytes(&bytes);
    }

    #[test]
    fn as_the_content_of_an_envelope(bytes in prop::collection::vec(any::<u8>(), 0..3000), suite in 0..2usize) {
        let content = EnvelopeContent {
            plaintext: SecretBytes::new(bytes),
            exporter: Secret::new([0; 32]),
            transcript: Transcript::new(crypto(), label::CONTEXT_FIRST),
            digest: [0; 32],
            suite: Suite::ALL[suite],
        };
        let _ = symbolon_context::Opened::read(crypto(), content, crate::pair::NOW);
    }

    #[test]
    fn as_a_password_token(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let token = SecretBytes::new(bytes);
        let _ = PasswordCheck::claimed_name(&token);
    }

    #[test]
    fn as_a_second_message(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        static GATEWAY: LazyLock<Gateway> = LazyLock::new(|| Gateway::new("gw.example"));
        let (waiting, _) = GATEWAY.first(Suite::X25519);
        prop_assert!(waiting.finish(&bytes).is_err());
    }
}
