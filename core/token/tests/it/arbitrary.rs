//! Bytes of any kind never make a party panic, and what was written is read again.

use crate::pair::{Gateway, NOW, name};
use proptest::prelude::*;
use std::sync::LazyLock;
use symbolon_crypto::{EnvelopeContent, IssuerFingerprint, Secret, SecretBytes, Suite, Transcript, label};
use symbolon_policy::TemplateName;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::challenge::{Challenger, ClaimedResponse, Parties, Responder};
use symbolon_token::container::Token;
use symbolon_token::{
    Configuration, Hello, InvitationCode, InvitationLink, Offer, RegistrationOpened, SoftwareKey,
};
use symbolon_wire::{Decode, Encode};

static GATEWAY: LazyLock<Gateway> = LazyLock::new(|| Gateway::new("gw.example"));

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..longest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn as_a_greeting_or_an_offer(bytes in bytes(600)) {
        if let Ok(hello) = Hello::from_bytes(&bytes) {
            prop_assert_eq!(hello.to_bytes(), bytes.clone());
        }
        let _ = Offer::from_bytes(&bytes);
    }

    #[test]
    fn as_a_registration_request(bytes in bytes(2000)) {
        let content = EnvelopeContent {
            plaintext: SecretBytes::new(bytes),
            exporter: Secret::new([0; 32]),
            transcript: Transcript::new(crypto(), label::REGISTRATION_REQUEST),
            digest: [0; 32],
            suite: Suite::X25519,
        };
        prop_assert!(RegistrationOpened::read(crypto(), content, NOW).is_err());
    }

    #[test]
    fn as_a_registration_reply(bytes in bytes(600)) {
        let (waiting, _) = GATEWAY.request(Suite::X25519);
        prop_assert!(waiting.finish(&bytes).is_err());
    }

    #[test]
    fn as_a_response(bytes in bytes(200)) {
        let _ = ClaimedResponse::parse(&SecretBytes::new(bytes));
    }

    #[test]
    fn as_a_renewal(bytes in bytes(1500)) {
        let key = SoftwareKey::new(Secret::new([1; 32]));
        let parties = Parties { challenger: "alice-1", responder: "gw.example" };
        let entropy = &mut SystemEntropy;
        let session = crate::pair::binding(b"session");
        let (challenger, first) = Challenger::begin(crypto(), entropy, session);
        prop_assert!(challenger.conclude(entropy, &key, parties, &bytes).is_err());
        let (responder, _) = Responder::answer(crypto(), entropy, &key, parties, &first, session).unwrap();
        prop_assert!(responder.finish(&bytes).is_err());
    }

    #[test]
    fn as_a_token_file(bytes in bytes(400), marked in any::<bool>()) {
        let mut file = if marked { b"SYMBOLON TOKEN\n\x01".to_vec() } else { Vec::new() };
        file.extend_from_slice(&bytes);
        if marked {
            let checksum = crypto().sha256(&[&file]);
            file.extend_from_slice(&checksum);
        }
        prop_assert!(Token::from_file(crypto(), &file).is_err());
    }

    #[test]
    fn as_a_configuration(bytes in bytes(400)) {
        let _ = Configuration::from_bytes(&bytes);
        prop_assert!(Configuration::verify(crypto(), &GATEWAY.verified, &[0; 16], None, &bytes).is_err());
    }

    #[test]
    fn as_an_invitation_link(text in "(https://)?[ -~üß☃]{0,60}(:[0-9]{1,6})?(/i)?(#[kcgt]?=?[A-Za-z0-9_&=-]{0,80})?") {
        let _ = InvitationLink::parse(&text);
    }

    #[test]
    fn a_link_survives_the_way_there_and_back(
        host in "[a-z]([a-z0-9]{0,10})(\\.[a-z]([a-z0-9]{0,10})){0,3}",
        port in any::<u16>(),
        gateway in "[a-z]([a-z0-9]{0,10})(\\.[a-z]([a-z0-9]{0,10})){0,3}",
        issuer in any::<[u8; 32]>(),
        code in any::<Option<[u8; 16]>>(),
        template in proptest::option::of("[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"),
    ) {
        let link = InvitationLink {
            address: format!("{host}:{port}"),
            gateway: name(&gateway),
            issuer: IssuerFingerprint(issuer),
            code: code.map(|c| InvitationCode::new(Secret::new(c))),
            template: template.map(|t| TemplateName::parse(&t).unwrap()),
        };
        prop_assert_eq!(InvitationLink::parse(&link.to_link()), Ok(link));
    }
}
