//! Invitations: a one-time code, and the link that carries it together with the root of trust.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon_crypto::{Crypto, GatewayName, IssuerFingerprint, Secret, label};
use symbolon_policy::TemplateName;

/// The secret of an invitation: 128 random bits, good once. The store keeps only its hash.
#[derive(Debug, PartialEq, Eq)]
pub struct InvitationCode(Secret<16>);

impl InvitationCode {
    /// Takes the code over.
    #[must_use]
    pub const fn new(code: Secret<16>) -> Self {
        Self(code)
    }

    /// The code, to be sealed into a registration.
    #[must_use]
    pub const fn secret(&self) -> &Secret<16> {
        &self.0
    }

    /// Under which a store keeps it. A hash without salt is enough for 128 random bits.
    #[must_use]
    pub fn hash(&self, crypto: Crypto) -> [u8; 32] {
        crypto.sha256(&[label::INVITATION, self.0.expose()])
    }
}

/// Text that is no invitation link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not of the form `https://host:port/i#…`.
    #[error("an invitation link looks like https://gateway.example:7843/i#…")]
    Form,
    /// The fragment is cut or mistyped.
    #[error("the part of the link after '#' is incomplete or mistyped; copy the whole link")]
    Fragment,
}

/// Where the gateway is, whom to trust, the code and what is asked:
/// `https://HOST:PORT/i#k=…[&c=…][&g=NAME][&t=TEMPLATE]`.
///
/// A fragment is never sent to a server, so the link can be opened in a browser without telling the
/// code to anybody. `k` is the hash of the issuer's key, so even the link is a root of trust (B1).
#[derive(Debug, PartialEq, Eq)]
pub struct InvitationLink {
    /// Host (name or address) and port to dial.
    pub address: String,
    /// The gateway's name, which its certificate must have.
    pub gateway: GatewayName,
    /// Hash of the issuer's key.
    pub issuer: IssuerFingerprint,
    /// The code; a link without one only introduces the gateway.
    pub code: Option<InvitationCode>,
    /// The registration template that the invitation is for; the gateway's own when absent. A hint for the client: the
    /// gateway keeps with the code what it is good for.
    pub template: Option<TemplateName>,
}

impl InvitationLink {
    /// Parses a link.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(link: &str) -> Result<Self, LinkError> {
        let rest = link.trim().strip_prefix("https://").ok_or(LinkError::Form)?;
        let (location, fragment) = rest.split_once('#').ok_or(LinkError::Form)?;
        let address = location.strip_suffix("/i").ok_or(LinkError::Form)?;
        let (host, port) = address.rsplit_once(':').ok_or(LinkError::Form)?;
        let plain = address.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'@' | b'?'));
        if port.parse::<u16>().is_err() || host.is_empty() || !plain {
            return Err(LinkError::Form);
        }
        let (mut issuer, mut code, mut gateway, mut template) = (None, None, None, None);
        for pair in fragment.split('&') {
            match pair.split_once('=').ok_or(LinkError::Fragment)? {
                ("k", v) => issuer = Some(IssuerFingerprint(decode(v)?)),
                ("c", v) => code = Some(InvitationCode(Secret::new(decode(v)?))),
                ("g", v) => gateway = Some(v),
                ("t", v) => template = Some(TemplateName::parse(v).map_err(|_| LinkError::Fragment)?),
                _ => return Err(LinkError::Fragment),
            }
        }
        let gateway = GatewayName::parse(gateway.unwrap_or(host)).map_err(|_| LinkError::Form)?;
        let issuer = issuer.ok_or(LinkError::Fragment)?;
        Ok(Self { address: address.to_owned(), gateway, issuer, code, template })
    }

    /// The link as text. It holds a secret: show it to its addressee only.
    #[must_use]
    pub fn to_link(&self) -> String {
        let mut link = format!("https://{}/i#k={}", self.address, URL_SAFE_NO_PAD.encode(self.issuer.0));
        if let Some(code) = &self.code {
            link.push_str("&c=");
            link.push_str(&URL_SAFE_NO_PAD.encode(code.0.expose()));
        }
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(h, _)| h);
        if host != self.gateway.as_str() {
            link.push_str("&g=");
            link.push_str(self.gateway.as_str());
        }
        if let Some(template) = &self.template {
            link.push_str("&t=");
            link.push_str(template.as_str());
        }
        link
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], LinkError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| LinkError::Fragment)?;
    bytes.try_into().map_err(|_| LinkError::Fragment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> InvitationLink {
        InvitationLink {
            address: "127.0.0.1:7843".into(),
            gateway: GatewayName::parse("gw.example").unwrap(),
            issuer: IssuerFingerprint([7; 32]),
            code: Some(InvitationCode::new(Secret::new([9; 16]))),
            template: Some(TemplateName::parse("bank-customer").unwrap()),
        }
    }

    #[test]
    fn a_link_survives_the_way_there_and_back() {
        let text = link().to_link();
        assert!(text.ends_with("&g=gw.example&t=bank-customer"), "{text}");
        assert_eq!(InvitationLink::parse(&text).unwrap(), link());
        let plain = InvitationLink { template: None, ..link() };
        assert_eq!(InvitationLink::parse(text.trim_end_matches("&t=bank-customer")).unwrap(), plain);
    }

    #[test]
    fn what_is_no_templates_name_is_no_link() {
        for wrong in ["", "Bank", "a/b", "-a", "a%20b"] {
            let text = link().to_link().replace("&t=bank-customer", &format!("&t={wrong}"));
            assert_eq!(InvitationLink::parse(&text).err(), Some(LinkError::Fragment), "{wrong}");
        }
    }

    #[test]
    fn a_cut_link_is_told_from_a_wrong_one() {
        let text = link().to_link();
        let code_cut = text.replace("&g=gw.example&t=bank-customer", "");
        assert_eq!(InvitationLink::parse(&code_cut[..code_cut.len() - 4]).err(), Some(LinkError::Fragment));
        assert_eq!(InvitationLink::parse("http://gw/i#k=x").err(), Some(LinkError::Form));
        assert_eq!(InvitationLink::parse("https://gw.example/i").err(), Some(LinkError::Form));
    }
}
