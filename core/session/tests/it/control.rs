//! Control messages and the channel that carries them.

use crate::{ID, line, secret};
use proptest::prelude::*;
use symbolon_crypto::Secret;
use symbolon_policy::TokenClass;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{Role, WrapError, WrapSecrets};
use symbolon_session::{
    CertificateBytes, ChannelError, ConfigurationBytes, ControlMessage, EndReason, Epoch, IssuedTicket, Line,
    RenewalBytes, Report, RevocationListBytes, SessionChannel, StreamRange, TicketKeys, TicketOwner, UserId,
};
use symbolon_wire::{Decode, Encode, FRAME_HEADER, FrameHeader, FrameKind, MAX_BODY_IN_SESSION, Time};

fn pair() -> (SessionChannel, SessionChannel) {
    let channel = |role| {
        let secrets =
            WrapSecrets { from_initiator: Secret::new([1; 32]), from_acceptor: Secret::new([2; 32]) };
        SessionChannel::from_secrets(crypto(), role, Epoch::FIRST, secrets)
    };
    (channel(Role::Initiator), channel(Role::Acceptor))
}

fn send(
    from: &mut SessionChannel,
    to: &mut SessionChannel,
    m: &ControlMessage,
) -> Result<ControlMessage, ChannelError> {
    let mut frame = from.seal(m)?;
    let header = FrameHeader::parse(frame[..FRAME_HEADER].try_into().unwrap()).unwrap();
    assert_eq!(header, FrameHeader { kind: FrameKind::Wrapped, length: frame.len() - FRAME_HEADER });
    to.open(&mut frame[FRAME_HEADER..])
}

fn a_line() -> impl Strategy<Value = Line> {
    "[ -~éß中]{0,60}".prop_map(|text| Line::lossy(&text))
}

fn a_reason() -> impl Strategy<Value = EndReason> {
    proptest::sample::select(EndReason::ALL.to_vec())
}

fn from_client() -> impl Strategy<Value = ControlMessage> {
    let report = (a_line(), a_line(), a_line(), a_line(), a_line())
        .prop_map(|(user, agent, machine, system, place)| Report { user, agent, machine, system, place });
    prop_oneof![
        report.prop_map(ControlMessage::Report),
        Just(ControlMessage::RequestConfiguration),
        any::<u64>().prop_map(|version| ControlMessage::ConfigurationApplied { version }),
        any::<u64>().prop_map(ControlMessage::Ping),
        Just(ControlMessage::NumberRequest),
        Just(ControlMessage::StreamsRequest),
        Just(ControlMessage::TicketRequest),
        certificate_bytes().prop_map(ControlMessage::CertificateRequest),
        certificate_bytes().prop_map(ControlMessage::CertificateConfirm),
        from_either(),
    ]
}

fn certificate_bytes() -> impl Strategy<Value = CertificateBytes> {
    proptest::collection::vec(any::<u8>(), 0..2000).prop_map(|b| CertificateBytes::new(b).unwrap())
}

fn from_either() -> impl Strategy<Value = ControlMessage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300).prop_map(|b| RenewalBytes::new(b).unwrap());
    prop_oneof![
        bytes().prop_map(ControlMessage::RenewFirst),
        bytes().prop_map(ControlMessage::RenewSecond),
        bytes().prop_map(ControlMessage::RenewThird),
    ]
}

fn from_node() -> impl Strategy<Value = ControlMessage> {
    let configuration = proptest::collection::vec(any::<u8>(), 0..5000);
    let range = (0..u64::MAX - 4096, 1..=4096u64).prop_map(|(f, n)| StreamRange::new(f, f + n).unwrap());
    prop_oneof![
        configuration.prop_map(|b| ControlMessage::Configuration(ConfigurationBytes::new(b).unwrap())),
        range.prop_map(ControlMessage::StreamsGranted),
        (any::<u64>(), a_reason(), a_line())
            .prop_map(|(number, reason, detail)| ControlMessage::StreamEnded { number, reason, detail }),
        any::<[u8; 32]>().prop_map(ControlMessage::NextNumber),
        any::<u64>().prop_map(ControlMessage::Pong),
        Just(ControlMessage::ReportRequest),
        a_line().prop_map(|detail| ControlMessage::Stopping { detail }),
        (any::<[u8; 32]>(), any::<u64>())
            .prop_map(|(domain, time)| ControlMessage::Ticket(ticket(domain, time))),
        certificate_bytes().prop_map(ControlMessage::Certificate),
        a_line().prop_map(|detail| ControlMessage::CertificateRefused { detail }),
        certificate_bytes().prop_map(ControlMessage::IssuerChange),
        proptest::collection::vec(any::<u8>(), 0..5000)
            .prop_map(|b| ControlMessage::RevocationList(RevocationListBytes::new(b).unwrap())),
        from_either(),
    ]
}

fn ticket(domain: [u8; 32], time: u64) -> IssuedTicket {
    let owner = TicketOwner {
        user: UserId([1; 16]),
        registration: None,
        token_class: TokenClass::Password,
        session: ID,
        proved: Time(time),
    };
    let keys = TicketKeys::new(crypto(), &Secret::new(domain));
    IssuedTicket::issue(crypto(), &mut SystemEntropy, &keys, &secret(), &owner, Time(time), 60)
}

#[test]
fn the_last_word_is_told_from_a_cut() {
    let (mut client, mut node) = pair();
    send(&mut client, &mut node, &ControlMessage::Ping(1)).unwrap();
    assert_eq!(node.end_of_input(), Err(WrapError::Truncated));
    send(&mut client, &mut node, &ControlMessage::Logout).unwrap();
    assert_eq!(node.end_of_input(), Ok(()));
    assert_eq!(client.seal(&ControlMessage::Ping(2)), Err(ChannelError::Wrap(WrapError::AfterLast)));

    let ended = ControlMessage::SessionEnded { reason: EndReason::Logout, detail: line("") };
    assert_eq!(client.end_of_input(), Err(WrapError::Truncated));
    send(&mut node, &mut client, &ended).unwrap();
    assert_eq!(client.end_of_input(), Ok(()));
}

#[test]
fn nobody_says_what_only_the_other_may_say() {
    let (mut client, mut node) = pair();
    assert_eq!(client.seal(&ControlMessage::ReportRequest), Err(ChannelError::WrongDirection));
    assert_eq!(node.seal(&ControlMessage::Logout), Err(ChannelError::WrongDirection));

    // a client that says it all the same, by the wrapper alone
    let secrets = WrapSecrets { from_initiator: Secret::new([1; 32]), from_acceptor: Secret::new([2; 32]) };
    let (mut wrapper, _) = secrets.into_pair(crypto(), Role::Initiator, symbolon_record::Delivery::InOrder);
    let mut wrapped = wrapper.wrap(&ControlMessage::ReportRequest.to_bytes()).unwrap();
    assert_eq!(node.open(&mut wrapped), Err(ChannelError::WrongDirection));
}

#[test]
fn the_largest_configuration_fits_one_frame() {
    let (mut client, mut node) = pair();
    let largest = ConfigurationBytes::new(vec![7; 900 * 1024]).unwrap();
    let message = ControlMessage::Configuration(largest);
    assert!(message.to_bytes().len() < MAX_BODY_IN_SESSION);
    assert_eq!(send(&mut node, &mut client, &message), Ok(message));
    assert!(ConfigurationBytes::new(vec![7; 900 * 1024 + 1]).is_err());
}

#[test]
fn a_lost_or_repeated_message_is_noticed() {
    let (mut client, mut node) = pair();
    let one = client.seal(&ControlMessage::Ping(1)).unwrap();
    let two = client.seal(&ControlMessage::Ping(2)).unwrap();
    let open = |node: &mut SessionChannel, frame: &[u8]| node.open(&mut frame[FRAME_HEADER..].to_vec());
    assert_eq!(open(&mut node, &two), Err(ChannelError::Wrap(WrapError::OutOfOrder)));
    assert_eq!(open(&mut node, &one), Ok(ControlMessage::Ping(1)));
    assert_eq!(open(&mut node, &one), Err(ChannelError::Wrap(WrapError::Replayed)));
    assert_eq!(open(&mut node, &two), Ok(ControlMessage::Ping(2)));
}

proptest! {
    #[test]
    fn a_conversation_arrives_as_it_was_said(
        said in proptest::collection::vec((from_client(), from_node()), 1..8),
    ) {
        let (mut client, mut node) = pair();
        for (up, down) in said {
            prop_assert_eq!(send(&mut client, &mut node, &up), Ok(up));
            prop_assert_eq!(send(&mut node, &mut client, &down), Ok(down));
        }
    }

    #[test]
    fn a_message_has_one_encoding(message in prop_oneof![from_client(), from_node()]) {
        let bytes = message.to_bytes();
        prop_assert_eq!(ControlMessage::from_bytes(&bytes), Ok(message));
        prop_assert!(ControlMessage::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        let mut longer = bytes;
        longer.push(0);
        prop_assert!(ControlMessage::from_bytes(&longer).is_err());
    }

    #[test]
    fn arbitrary_bytes_decode_to_what_encodes_to_them_or_to_nothing(
        tag in prop_oneof![0u8..8, 0x40u8..0x44, 0x80u8..0x8a, any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = vec![tag];
        bytes.extend(rest);
        if let Ok(message) = ControlMessage::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }
}
