use std::sync::{Arc, PoisonError, RwLock};

use symbolon_fetch::Uri;
use symbolon_wire::Time;
use tokio::sync::Mutex;

use super::discovery::{self, Description};
use super::jwk::{Jwk, KeySet};
use super::jws::Algorithm;
use super::{JSON, MAX_DOCUMENT, OidcError, ProviderError, Transport};

/// How long a provider's keys are kept, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// After this they are fetched again, while the old ones still serve: so long a withdrawn key
    /// may still be believed.
    pub renew_after: u64,
    /// After this they serve no more, if the provider could not be asked.
    pub serve_for: u64,
    /// The provider is not asked more often than this, whatever tokens are shown.
    pub ask_every: u64,
}

impl Default for KeyTimes {
    /// Renewed every 15 minutes; good for a day when the provider is down, which is a night's sleep
    /// of its administrator; asked at most every 10 seconds.
    fn default() -> Self {
        Self { renew_after: 900, serve_for: 86_400, ask_every: 10 }
    }
}

/// A provider and its keys (OpenID Connect Discovery 1.0). Clones share the keys.
#[derive(Clone, Debug)]
pub struct Provider(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    issuer: String,
    discovery: Uri,
    transport: Transport,
    times: KeyTimes,
    kept: RwLock<Kept>,
    /// Held by the one who asks; the others wait for the answer.
    asking: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    keys: Option<(Arc<KeySet>, Time)>,
    asked: Option<Time>,
    failure: Option<ProviderError>,
}

impl Provider {
    /// The provider that calls itself `issuer`, as in `https://id.example.org`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`FetchError::Address`](super::FetchError::Address) when that is no address which `transport` may ask.
    pub fn new(issuer: &str, transport: Transport, times: KeyTimes) -> Result<Self, ProviderError> {
        let discovery = discovery::place(issuer, &transport)?;
        Ok(Self(Arc::new(Shared {
            issuer: issuer.to_owned(),
            discovery,
            transport,
            times,
            kept: RwLock::default(),
            asking: Mutex::new(()),
        })))
    }

    /// What it calls itself.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Asks for the keys now, for a node's start: a wrong configuration shows at once.
    ///
    /// # Errors
    /// [`ProviderError`]; the provider is asked again when a token is shown.
    pub async fn prepare(&self, now: Time) -> Result<(), ProviderError> {
        self.0.renew(now).await
    }

    /// The key for a signature, from those that are kept if possible.
    pub(super) async fn key(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
        now: Time,
    ) -> Result<Jwk, OidcError> {
        if let Some((keys, age)) = self.0.keys(now)
            && let Some(key) = keys.find(key_id, algorithm)
        {
            if age >= self.0.times.renew_after && self.0.may_ask(now) {
                let shared = Arc::clone(&self.0);
                tokio::spawn(async move { shared.renew(now).await });
            }
            return Ok(key.clone());
        }
        let renewed = self.0.renew(now).await;
        match (self.0.keys(now), renewed) {
            (Some((keys, _)), _) => keys.find(key_id, algorithm).cloned().ok_or(OidcError::UnknownKey),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(ProviderError::AskedJustNow.into()),
        }
    }
}

impl Shared {
    /// The keys and their age in seconds, if they still serve.
    fn keys(&self, now: Time) -> Option<(Arc<KeySet>, u64)> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (keys, since) = kept.keys.as_ref()?;
        let age = now.secs().saturating_sub(since.secs());
        (age < self.times.serve_for).then(|| (Arc::clone(keys), age))
    }

    fn may_ask(&self, now: Time) -> bool {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back counts as a long time.
        kept.asked.is_none_or(|then| now < then || now.distance_secs(then) >= self.times.ask_every)
    }

    /// Fetches the keys, unless somebody did a moment ago; then their failure is ours.
    async fn renew(&self, now: Time) -> Result<(), ProviderError> {
        let _asking = self.asking.lock().await;
        if !self.may_ask(now) {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            return kept.failure.clone().map_or(Ok(()), Err);
        }
        let fetched = self.fetch().await;
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.asked = Some(now);
        match fetched {
            Ok(keys) => {
                kept.keys = Some((Arc::new(keys), now));
                kept.failure = None;
                Ok(())
            }
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, %error, "the keys of an OpenID provider were not renewed");
                kept.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, ProviderError> {
        let description = Description::fetch(&self.issuer, &self.discovery, &self.transport).await?;
        let place = description.place("jwks_uri", &self.transport)?;
        let keys = self.transport.document(&place, JSON, MAX_DOCUMENT).await?;
        KeySet::parse(&keys)
    }
}
