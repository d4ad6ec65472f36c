//! A directory of key sets: a folder, or a place on a web server, where gateways' keys are found without
//! asking them (A1).
//!
//! ```text
//! NAME.keyset          the keys of the gateway NAME, as it would send them
//! FINGERPRINT.crl      the revocation list of the issuer whose key has this hash, DER
//! FINGERPRINT.change   the statement that another issuer follows that one
//! ```
//! Who keeps the directory is trusted with nothing: all in it is signed, and is checked like what a gateway
//! sends. It can only leave something out, and then the gateway is asked.

use crate::files::read_bounded;
use crate::{AgentError, UserConfig};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use symbolon_crypto::{GatewayName, IssuerFingerprint, KeySet};
use symbolon_fetch::{FetchError, Transport};
use symbolon_wire::Decode as _;
use tokio::time::{Instant, timeout_at};

/// How long all that is looked for at once may take, on a web server or in a folder: a sign-in waits for it.
const ANSWER: Duration = Duration::from_secs(5);

/// Certificates of all authorities that a distribution knows are about 220 KB.
const MAX_AUTHORITIES: usize = 4 * 1024 * 1024;

/// What a gateway's own answer may have (`docs/protocol/context.md`).
const MAX_KEY_SET: usize = 16 * 1024;

/// The longest revocation list that is read.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// How often a live session looks for a new list: in a folder, and on a server.
const LOOKS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(600)];

/// Where key sets are published.
#[derive(Clone, Debug)]
pub(crate) enum Directory {
    /// Files.
    Folder(PathBuf),
    /// Documents below an address, which ends without a slash.
    Web(String, Transport),
}

impl Directory {
    /// The one that the configuration file names; files that it names are read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for an address that is none, or that nobody vouches for.
    pub(crate) fn of(config: &UserConfig) -> Result<Option<Self>, AgentError> {
        let Some(place) = &config.key_sets else { return Ok(None) };
        let wrong = |e: &dyn std::fmt::Display| {
            AgentError::usage(format!("key_sets in the configuration file: {e}")).fix("correct that file")
        };
        if !place.contains("://") {
            return Ok(Some(Self::Folder(PathBuf::from(place))));
        }
        let local = ["http://127.0.0.1", "http://[::1]"].iter().any(|here| {
            place.strip_prefix(here).is_some_and(|rest| rest.starts_with(':') || rest.starts_with('/'))
        });
        let transport = match &config.key_sets_authorities {
            _ if local => Transport::unprotected_http(ANSWER),
            Some(path) => {
                let pem = read_bounded(path, MAX_AUTHORITIES)?
                    .ok_or_else(|| wrong(&format!("there is no file {}", path.display())))?;
                Transport::https(&pem, ANSWER).map_err(|e| wrong(&e))?
            }
            None if place.starts_with("https://") => {
                return Err(wrong(
                    &"name in key_sets_authorities the certificates that vouch for the server",
                ));
            }
            None => return Err(wrong(&"http:// is for this machine alone; use https://")),
        };
        let base = place.trim_end_matches('/').to_owned();
        let address = transport.address(&base).map_err(|e| wrong(&e))?;
        if address.query().is_some() {
            return Err(wrong(&"an address without a question mark is needed"));
        }
        Ok(Some(Self::Web(base, transport)))
    }

    /// Until when to wait for what is looked for from now on, all of it together.
    pub(crate) fn deadline() -> Instant {
        Instant::now() + ANSWER
    }

    /// The published keys of a gateway, still to be checked; none when they are missing or cannot be had by then.
    ///
    /// # Errors
    /// What is there is no key set.
    pub(crate) async fn key_set(
        &self,
        name: &GatewayName,
        deadline: Instant,
    ) -> Result<Option<KeySet>, AgentError> {
        let file = file_of(name);
        let Some(bytes) = self.document(&file, MAX_KEY_SET, deadline).await? else { return Ok(None) };
        let set = KeySet::from_bytes(&bytes);
        set.map(Some).map_err(|e| self.wrong(&file, &e))
    }

    /// An issuer's revocation list, still to be checked; none when it is missing or cannot be had by then.
    ///
    /// # Errors
    /// What is there is longer than any list.
    pub(crate) async fn list(
        &self,
        issuer: IssuerFingerprint,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, AgentError> {
        self.document(&list_file_of(issuer), MAX_LIST, deadline).await
    }

    /// The statement that another issuer follows this one, still to be checked; none when it is missing or
    /// cannot be had by then.
    ///
    /// # Errors
    /// What is there is longer than any such statement.
    pub(crate) async fn change(
        &self,
        issuer: IssuerFingerprint,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, AgentError> {
        self.document(&change_file_of(issuer), symbolon_token::MAX_CHANGE, deadline).await
    }

    /// How long a live session waits until it looks for another list.
    pub(crate) const fn look_every(&self) -> Duration {
        match self {
            Self::Folder(_) => LOOKS[0],
            Self::Web(..) => LOOKS[1],
        }
    }

    /// What the directory has under a name.
    async fn document(
        &self,
        file: &str,
        longest: usize,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, AgentError> {
        let missing = |why: &dyn std::fmt::Display| {
            tracing::debug!(directory = %self, file, "not in the directory of key sets: {why}");
            Ok(None)
        };
        if deadline <= Instant::now() {
            return missing(&"no time is left");
        }
        match self {
            Self::Folder(folder) => {
                let path = folder.join(file);
                // A folder may be on another machine that does not answer.
                match timeout_at(deadline, tokio::fs::metadata(&path)).await {
                    Err(_) => return missing(&"no answer in time"),
                    Ok(Err(e)) if e.kind() == ErrorKind::NotFound => {
                        return missing(&"there is no such file");
                    }
                    Ok(Err(e)) => return missing(&e),
                    Ok(Ok(metadata)) if !metadata.is_file() => return missing(&"it is no file"),
                    Ok(Ok(_)) => {}
                }
                let read = tokio::task::spawn_blocking(move || read_bounded(&path, longest));
                match timeout_at(deadline, read).await {
                    Err(_) => missing(&"no answer in time"),
                    Ok(read) => read.map_err(|_| AgentError::failure("reading a file broke off"))?,
                }
            }
            Self::Web(base, transport) => {
                let address = transport.address(&format!("{base}/{file}"));
                let address = address.map_err(|e| self.wrong(file, &e))?;
                let document = transport.document(&address, "application/octet-stream", longest);
                match timeout_at(deadline, document).await {
                    Err(_) => missing(&"no answer in time"),
                    Ok(Ok(bytes)) => Ok(Some(bytes.to_vec())),
                    Ok(Err(e @ FetchError::TooLong)) => Err(self.wrong(file, &e)),
                    Ok(Err(e)) => missing(&e),
                }
            }
        }
    }

    /// What is there is not what it should be.
    pub(crate) fn wrong(&self, file: &str, why: &dyn std::fmt::Display) -> AgentError {
        AgentError::denied(format!("{file} in the directory of key sets ({self}) is wrong: {why}"))
            .code("wrong-directory")
            .fix(
                "tell whoever publishes it; nothing was sent to anybody. Without key_sets in the configuration file \
                 the gateway itself is asked",
            )
    }
}

/// Under which name a gateway's keys are published.
pub(crate) fn file_of(name: &GatewayName) -> String {
    format!("{name}.keyset")
}

/// Under which name the statement is published that another issuer follows.
pub(crate) fn change_file_of(issuer: IssuerFingerprint) -> String {
    format!("{}.change", hex::encode(issuer.0))
}

/// Under which name an issuer's list is published.
pub(crate) fn list_file_of(issuer: IssuerFingerprint) -> String {
    format!("{}.crl", hex::encode(issuer.0))
}

impl std::fmt::Display for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Web(base, _) => base.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_issuer::{ContextKeys, Issuer, Validity};
    use symbolon_wire::Encode as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn at(place: &str) -> Result<Option<Directory>, AgentError> {
        Directory::of(&UserConfig { key_sets: Some(place.to_owned()), ..UserConfig::default() })
    }

    fn set_of(name: &GatewayName) -> KeySet {
        let now = crate::clock::now();
        let issuer = Issuer::create("Test issuer", now, 10).unwrap();
        let identity = issuer.gateway_identity(name, Validity::starting(now, 3600)).unwrap();
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), 3600, now).unwrap();
        keys.offer().clone()
    }

    #[test]
    fn a_directory_is_a_folder_or_a_server_that_somebody_vouches_for() {
        assert!(Directory::of(&UserConfig::default()).unwrap().is_none());
        assert!(matches!(at("/srv/keysets"), Ok(Some(Directory::Folder(_)))));
        for here in ["http://127.0.0.1:8000/keysets/", "http://[::1]:8000"] {
            assert!(matches!(at(here), Ok(Some(Directory::Web(..)))), "{here}");
        }
        assert!(at("https://example.org/keysets").unwrap_err().message.contains("key_sets_authorities"));
        for bad in [
            "http://example.org",
            "http://127.0.0.1.example.org/",
            "ftp://127.0.0.1",
            "http://127.0.0.1:1/?a=b",
        ] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_folder_gives_what_is_there_and_nothing_for_what_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let directory = at(dir.path().to_str().unwrap()).unwrap().unwrap();
        let name = GatewayName::parse("gw.example").unwrap();
        assert!(directory.key_set(&name, Directory::deadline()).await.unwrap().is_none());
        let set = set_of(&name);
        let file = dir.path().join("gw.example.keyset");
        std::fs::write(&file, set.to_bytes()).unwrap();
        assert_eq!(directory.key_set(&name, Directory::deadline()).await.unwrap(), Some(set));
        let other = GatewayName::parse("other.example").unwrap();
        std::fs::create_dir(dir.path().join("other.example.keyset")).unwrap();
        assert!(directory.key_set(&other, Directory::deadline()).await.unwrap().is_none(), "it is no file");
        for wrong in [b"nonsense".to_vec(), vec![0; MAX_KEY_SET + 1]] {
            std::fs::write(&file, wrong).unwrap();
            assert!(directory.key_set(&name, Directory::deadline()).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_web_server_gives_what_is_there_and_nothing_for_what_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = GatewayName::parse("gw.example").unwrap();
        let set = set_of(&name);
        let bytes = set.to_bytes();
        let server = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 1024];
                let length = stream.read(&mut asked).await.unwrap();
                let found = asked[..length].starts_with(b"GET /keysets/gw.example.keyset HTTP/1.1\r\n");
                let status = if found { "200 OK" } else { "404 Not Found" };
                let body: &[u8] = if found { &bytes } else { b"" };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(body).await.unwrap();
            }
        });
        let directory = at(&format!("http://127.0.0.1:{port}/keysets/")).unwrap().unwrap();
        assert_eq!(directory.key_set(&name, Directory::deadline()).await.unwrap(), Some(set));
        let other = GatewayName::parse("other.example").unwrap();
        assert!(directory.key_set(&other, Directory::deadline()).await.unwrap().is_none());
        server.await.unwrap();
        assert!(
            directory.key_set(&name, Directory::deadline()).await.unwrap().is_none(),
            "a server that is away gives nothing"
        );
    }

    #[tokio::test]
    async fn all_that_is_looked_for_at_once_waits_together_for_a_server_that_says_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = at(&format!("http://{}", listener.local_addr().unwrap())).unwrap().unwrap();
        let home = tempfile::tempdir().unwrap();
        let paths = crate::Paths::new(Some(home.path().to_owned())).unwrap();
        let issuer = Issuer::create("Test issuer", crate::clock::now(), 10).unwrap();
        let root = symbolon_crypto::TrustedIssuer::from_certificate(
            symbolon_provider::crypto(),
            issuer.certificate(),
        );
        let issuers =
            crate::issuers::Issuers::load(&paths, root.unwrap()).looking_in(Some(directory.clone()));
        let name = GatewayName::parse("gw.example").unwrap();
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(100);
        issuers.learn(deadline).await.unwrap();
        assert!(directory.key_set(&name, deadline).await.unwrap().is_none());
        assert!(begun.elapsed() < ANSWER, "{:?}", begun.elapsed());
    }
}
