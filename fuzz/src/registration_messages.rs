//! Registration: offers and links that a client reads, requests that a gateway reads, replies to both.

use symbolon_crypto::{Envelope, IssuerFingerprint, Purpose, Secret, Suite};
use symbolon_policy::{AccessPath, CanonName, TemplateName, TokenClass, UserCode};
use symbolon_token::{
    AwaitReply, FreshRequest, InvitationCode, InvitationLink, Offer, RegistrationGrant, RegistrationOpened,
    RegistrationRequest,
};
use symbolon_wire::Encode;

use crate::encoding::one_encoding;
use crate::gateway::{NOW, Seeded, crypto, gateway};
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "registration_messages", feed, seeds };

/// The rest is sealed into a request.
const REQUEST: u8 = 0;
/// The rest is a reply to a client.
const REPLY: u8 = 1;
/// The rest is an offer to a client.
const OFFER: u8 = 2;
/// The rest is an invitation link.
const LINK: u8 = 3;

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&REQUEST, rest)) => request(rest),
        Some((&REPLY, rest)) => reply(rest),
        Some((&OFFER, rest)) => offer(rest),
        Some((&LINK, rest)) => link(rest),
        _ => {}
    }
}

fn request(data: &[u8]) {
    let Some(fresh) = sealed(data) else { return };
    assert!(fresh.request().label.len() <= 64, "a label is bounded");
    if let Ok((_, _, waiting)) = fresh.accept(&mut Seeded::new(), &grant()) {
        assert!(waiting.confirm(data).is_err(), "nobody confirms without the key");
    }
}

fn sealed(content: &[u8]) -> Option<FreshRequest> {
    let envelope = gateway().seal(Purpose::Registration, content);
    let content =
        gateway().open(Purpose::Registration, envelope).expect("an envelope that was just sealed opens");
    let opened = RegistrationOpened::read(crypto(), content, NOW).ok()?;
    Some(opened.first_time(true, NOW).expect("nobody saw it before"))
}

fn reply(data: &[u8]) {
    let (waiting, _) = begin();
    assert!(waiting.finish(data).is_err(), "a reply serves the exchange that it was made for, and no other");
}

fn offer(data: &[u8]) {
    let Some(offer) = one_encoding::<Offer>(data) else { return };
    let Ok(verified) = offer.key_set.verify(
        crypto(),
        &gateway().issuer,
        &symbolon_crypto::RevocationLists::none(),
        &gateway().name,
        NOW,
    ) else {
        return;
    };
    for suite in Suite::ALL {
        if let Ok(key) = verified.key(&[suite]) {
            assert_eq!(gateway().verified.key(&[suite]), Ok(key), "only the gateway's own keys pass");
        }
    }
}

fn link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(link) = InvitationLink::parse(text) else { return };
    assert_eq!(InvitationLink::parse(&link.to_link()).as_ref(), Ok(&link), "a link means one thing");
}

fn begin() -> (AwaitReply, Vec<u8>) {
    let request = RegistrationRequest {
        template: TemplateName::parse("person").expect("a template's name"),
        answers: b"name=alice".to_vec(),
        invitation: Some(InvitationCode::new(Secret::new([8; 16]))),
        class: TokenClass::Software,
        label: "work laptop".into(),
    };
    let suites = [Suite::X25519];
    AwaitReply::begin(crypto(), &mut Seeded::new(), &gateway().verified, &suites, &request, NOW)
        .expect("the gateway offers both suites")
}

fn grant() -> RegistrationGrant {
    RegistrationGrant {
        registration_id: [1; 16],
        user_code: UserCode::parse("alice-1").expect("a code"),
        user: CanonName::parse("alice").expect("a name"),
        access_path: AccessPath::parse("/people/alice").expect("a path"),
        awaits_approval: false,
        next_number: [2; 32],
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let (_, request) = begin();
    let envelope = one_encoding::<Envelope>(&request).expect("an envelope");
    let content =
        gateway().open(Purpose::Registration, envelope).expect("it opens").plaintext.expose().to_vec();
    let fresh = sealed(&content).expect("it is well formed");
    let (_, reply, _) = fresh.accept(&mut Seeded::new(), &grant()).expect("its key is a key");
    let offer = Offer {
        key_set: gateway().keys.offer().clone(),
        number: [5; 32],
        time: NOW,
        template: b"a template".to_vec(),
        open_registration: true,
        issuer_change: Vec::new(),
    };
    let link = InvitationLink {
        address: "127.0.0.1:7843".into(),
        gateway: gateway().name.clone(),
        issuer: IssuerFingerprint([7; 32]),
        code: Some(InvitationCode::new(Secret::new([9; 16]))),
        template: Some(TemplateName::parse("person").expect("a template's name")),
    };
    vec![
        by(REQUEST, &content),
        by(REPLY, &reply),
        by(OFFER, &offer.to_bytes()),
        by(LINK, link.to_link().as_bytes()),
    ]
}
