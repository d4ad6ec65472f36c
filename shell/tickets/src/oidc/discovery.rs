//! What a provider says of itself (OpenID Connect Discovery 1.0).

use serde_json::Value;
use symbolon_fetch::Uri;

use super::{FetchError, JSON, MAX_DOCUMENT, ProviderError, Transport};

/// Where the description of `issuer` is.
pub(super) fn place(issuer: &str, transport: &Transport) -> Result<Uri, ProviderError> {
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let uri = transport.address(&place)?;
    if uri.query().is_some() { Err(FetchError::Address(issuer.to_owned()).into()) } else { Ok(uri) }
}

/// A provider's description, of which the places are addresses that its transport may ask.
pub(super) struct Description(Value);

impl Description {
    pub(super) async fn fetch(
        issuer: &str,
        place: &Uri,
        transport: &Transport,
    ) -> Result<Self, ProviderError> {
        let document = transport.document(place, JSON, MAX_DOCUMENT).await?;
        let description: Value =
            serde_json::from_slice(&document).map_err(|_| ProviderError::Malformed("no JSON"))?;
        // §4.3: or one provider could speak for another.
        if description.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(ProviderError::OtherIssuer);
        }
        Ok(Self(description))
    }

    /// Where its keys are, or where a person or a client is to go.
    pub(super) fn place(&self, name: &str, transport: &Transport) -> Result<Uri, ProviderError> {
        let text = self.0.get(name).and_then(Value::as_str);
        Ok(transport.address(text.ok_or(ProviderError::Malformed("a place is missing"))?)?)
    }
}
