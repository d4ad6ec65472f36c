//! A gateway's own certificate that counts no more: its number goes on the issuer's list, which clients are told of.

use super::ca::{decode, reason_of, serial_number};
use super::ca_office::{Office, trusted};
use super::error::ApiError;
use super::{Answer, Node, administrator, at, done};
use crate::keys::IDENTITY_SECS;
use crate::node::Shared;
use crate::succession;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use symbolon_crypto::{GatewayIdentity, TrustedIssuer};
use symbolon_issuer::Validity;
use symbolon_store::{RevokedGateway, StoreError};
use symbolon_wire::Time;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeGatewayBody {
    /// The certificate, DER, in base64.
    certificate: Option<String>,
    /// Or its number, in hexadecimal.
    serial: Option<String>,
    reason: Option<String>,
}

/// What is to be revoked.
struct Named {
    serial: Vec<u8>,
    /// Empty when only the number is known.
    name: String,
    until: Time,
}

#[derive(Serialize)]
pub(super) struct RevokedGatewayView {
    serial: String,
    /// The gateway's name, where a certificate told it.
    gateway: Option<String>,
    /// The number of the list that says so; none while the issuer's key is elsewhere.
    list: Option<u64>,
    /// Whether it was this gateway's own.
    own: bool,
    /// Whether it was revoked before: then it comes on another list alone.
    before: bool,
    /// Whether this gateway has another one now.
    replaced: bool,
}

/// The gateway with this certificate counts no more: at clients as soon as they learn of the list.
pub(super) async fn revoke(
    State(node): Node,
    Json(body): Json<RevokeGatewayBody>,
) -> Answer<RevokedGatewayView> {
    let reason = reason_of(body.reason.as_deref())?;
    let Named { serial, name, until } = node.named(&body)?;
    match node.store.certificate(&serial).await {
        Err(StoreError::NotFound { .. }) => {}
        Ok(c) => {
            let what = format!("that is the certificate of {}", c.made.subject);
            return Err(ApiError::invalid(what, "revoke it with: admin ca revoke NUMBER"));
        }
        Err(e) => return Err(e.into()),
    }
    let own = node.own_identity()?.serial() == serial;
    // Another one first: a gateway that was cut off afterwards would have none that counts.
    let replaced = own && node.replace_identity()?;
    let gateway = RevokedGateway {
        serial: serial.clone(),
        name: name.clone(),
        until,
        since: at(),
        reason: reason.as_str().to_owned(),
    };
    let before = match node.store.revoke_gateway(&administrator(), &gateway).await {
        // What was cut off after this came on no list.
        Err(StoreError::Conflict { .. }) => true,
        revoked => revoked.map(|()| false)?,
    };
    let list = Office::open(&node)?.make_list().await?;
    let gateway = (!name.is_empty()).then_some(name);
    done(&node, RevokedGatewayView { serial: hex::encode(serial), gateway, list, own, before, replaced })
        .await
}

/// As certificates have it: people's tools leave out the zero before a first byte from 0x80, or write more.
fn in_its_one_form(number: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    let begin = number.iter().position(|b| *b != 0).unwrap_or(number.len());
    let mut serial = number[begin..].to_vec();
    if serial.first().is_some_and(|first| *first >= 0x80) {
        serial.insert(0, 0);
    }
    // RFC 5280, 4.1.2.2: positive, at most 20 octets
    if serial.is_empty() || serial.len() > 20 {
        return Err(ApiError::not_found("that is no certificate's number"));
    }
    Ok(serial)
}

impl Shared {
    fn named(&self, body: &RevokeGatewayBody) -> Result<Named, ApiError> {
        match (&body.certificate, &body.serial) {
            (Some(certificate), None) => {
                let identity = self.identity_of_ours(&decode(certificate)?)?;
                let name = identity.name().to_string();
                Ok(Named { serial: identity.serial().to_vec(), name, until: identity.until() })
            }
            // No identity that was made by now lives longer.
            (None, Some(serial)) => Ok(Named {
                serial: in_its_one_form(serial_number(serial)?)?,
                name: String::new(),
                until: at().plus_secs(IDENTITY_SECS),
            }),
            _ => Err(ApiError::invalid("which one?", "give the certificate or its number")),
        }
    }

    /// A gateway's certificate that one of our issuers signed: the present one, the next or the one before.
    fn identity_of_ours(&self, certificate: &[u8]) -> Result<GatewayIdentity, ApiError> {
        let crypto = self.gateway.crypto;
        let home = self.config.home();
        let mut issuers: Vec<TrustedIssuer> = vec![self.issuer()];
        for other in ["issuer-next.crt", "issuer-old.crt"] {
            issuers.extend(trusted(self, &home.join(other))?);
        }
        let mut refused = None;
        for issuer in &issuers {
            match GatewayIdentity::read(crypto, certificate, issuer) {
                Ok(identity) => return Ok(identity),
                Err(e) => refused = refused.or(Some(e)),
            }
        }
        let why = refused.map_or_else(String::new, |e| e.to_string());
        Err(ApiError::invalid(format!("no gateway's certificate of this issuer: {why}"), "see whose it is"))
    }

    /// The certificate of a gateway, to be put into a token that is handed out for it: in its time, and not
    /// revoked.
    pub(super) async fn to_hand_out(
        &self,
        name: Option<&str>,
        certificate: Option<&str>,
    ) -> Result<GatewayIdentity, ApiError> {
        let identity = match certificate {
            Some(certificate) => self.identity_of_ours(&decode(certificate)?)?,
            None => self.own_identity()?,
        };
        if let Some(name) = name
            && !name.eq_ignore_ascii_case(identity.name().as_str())
        {
            return Err(ApiError::invalid(
                format!("the certificate is of {}, not of {name}", identity.name()),
                "give the certificate of another gateway with --certificate FILE",
            ));
        }
        let revoked = self.store.revoked_gateways(Time(0)).await?;
        if at() > identity.until() || revoked.iter().any(|g| g.serial == identity.serial()) {
            let what = format!("the certificate of {} counts no more", identity.name());
            return Err(ApiError::invalid(what, "give the one that the gateway shows now"));
        }
        Ok(identity)
    }

    fn own_identity(&self) -> Result<GatewayIdentity, ApiError> {
        GatewayIdentity::read(self.gateway.crypto, &self.gateway.key_set().identity, &self.issuer())
            .map_err(|e| ApiError::internal(e.to_string()))
    }

    /// Gives this gateway another identity, with another key, if the issuer's key is here.
    fn replace_identity(&self) -> Result<bool, ApiError> {
        let internal = |e: &dyn std::fmt::Display| ApiError::internal(e.to_string());
        let Some(issuer) = Office::open(self)?.issuer else { return Ok(false) };
        if succession::is_decided(self.config.home()) {
            let what = "a change of issuers was decided and cut off";
            return Err(ApiError::invalid(what, "finish that change first: admin ca rotate --finish"));
        }
        let next = issuer
            .gateway_identity(self.gateway.name(), Validity::starting(at(), IDENTITY_SECS))
            .map_err(|e| internal(&e))?;
        succession::replace_identity(self.config.home(), &next).map_err(|e| internal(&e))?;
        self.gateway.begin_anew(next, at()).map_err(|e| internal(&e))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_stands_in_the_certificate() {
        let read = |bytes: &[u8]| in_its_one_form(bytes.to_vec()).ok();
        assert_eq!(read(&[0xab; 16]), Some([&[0][..], &[0xab; 16]].concat()));
        assert_eq!(read(&[0, 0, 7, 0]), Some(vec![7, 0]));
        assert_eq!(read(&[0, 0x80]), Some(vec![0, 0x80]));
        for none in [&[][..], &[0, 0], &[0xff; 20], &[7; 21]] {
            assert_eq!(read(none), None);
        }
    }
}
