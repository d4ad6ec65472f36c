//! A user with a home, and a town of gateways of one issuer.

use crate::fake::Fake;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use symbolon_agent::{
    Agent, AgentError, AgentOptions, Client, Credential, Decision, Dialogue, EnrolOptions, EnrolTarget,
    Enrolled, GatewayInfo, Paths, PinPurpose, Step, enrol,
};
use symbolon_crypto::{Entropy, GatewayName, TrustedIssuer};
use symbolon_issuer::Issuer;
use symbolon_policy::AppName;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{Pin, PinCost, Token};
use symbolon_token::{Field, InvitationCode, InvitationLink};
use symbolon_wire::Time;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const PIN: &str = "correct horse";
pub(crate) const CHEAP: PinCost = PinCost { memory_kib: 64, passes: 1, lanes: 1 };

pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(since.as_micros() as u64)
}

pub(crate) fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

/// An issuer.
pub(crate) struct Town {
    pub(crate) issuer: Arc<Issuer>,
}

impl Town {
    pub(crate) fn new() -> Self {
        Self { issuer: Arc::new(Issuer::create("Example Works", now(), 10).unwrap()) }
    }

    pub(crate) fn trusted(&self) -> TrustedIssuer {
        TrustedIssuer::from_certificate(crypto(), self.issuer.certificate()).unwrap()
    }

    pub(crate) async fn gateway(&self, name: &str) -> Fake {
        Fake::start(&self.issuer, name).await
    }

    /// An invitation that `gateway` takes.
    pub(crate) fn invite(&self, gateway: &Fake) -> InvitationLink {
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let code = InvitationCode::new(entropy.secret());
        gateway.state().codes.insert(code.hash(crypto()));
        InvitationLink {
            address: gateway.address.to_string(),
            gateway: gateway.name(),
            issuer: self.trusted().fingerprint(),
            code: Some(code),
            template: None,
        }
    }

    pub(crate) fn blank_token(&self) -> Vec<u8> {
        Token::blank(&mut SystemEntropy, self.trusted()).to_file(crypto())
    }
}

/// A user's home directory.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) paths: Paths,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().to_owned())).unwrap();
        Self { dir, paths }
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(&self.paths.config, text).unwrap();
    }

    pub(crate) fn enrolment(&self, target: EnrolTarget, user: &str) -> EnrolOptions {
        let answers = BTreeMap::from([
            ("user-name".to_owned(), user.to_owned()),
            ("full-name".to_owned(), "Somebody Else".to_owned()),
        ]);
        EnrolOptions {
            answers: Some(answers),
            pin_cost: CHEAP,
            ..EnrolOptions::new(self.paths.clone(), target)
        }
    }

    pub(crate) async fn enrol(
        &self,
        town: &Town,
        gateway: &Fake,
        user: &str,
    ) -> Result<Enrolled, AgentError> {
        let target = EnrolTarget::Link(town.invite(gateway));
        enrol(self.enrolment(target, user), &mut Script::new([PIN])).await
    }

    pub(crate) fn options(&self) -> AgentOptions {
        AgentOptions::new(self.paths.clone(), Credential::Token(pin(PIN)))
    }

    pub(crate) async fn agent(&self) -> Agent {
        Agent::start(self.options()).await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.paths).await.unwrap()
    }
}

/// Answers as it was told, and remembers what it was shown.
pub(crate) struct Script {
    pins: Vec<String>,
    pub(crate) answers: Vec<String>,
    pub(crate) shown: Option<GatewayInfo>,
    pub(crate) decision: Decision,
    pub(crate) problems: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    pub(crate) fn new<const N: usize>(pins: [&str; N]) -> Self {
        Self {
            pins: pins.into_iter().rev().map(str::to_owned).collect(),
            answers: Vec::new(),
            shown: None,
            decision: Decision::Continue,
            problems: Vec::new(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn answering<const N: usize>(mut self, answers: [&str; N]) -> Self {
        self.answers = answers.into_iter().rev().map(str::to_owned).collect();
        self
    }
}

impl Dialogue for Script {
    fn gateway(&mut self, gateway: &GatewayInfo) -> Decision {
        self.shown = Some(gateway.clone());
        self.decision
    }

    fn answer(&mut self, _field: &Field) -> Result<String, AgentError> {
        self.answers.pop().ok_or_else(|| AgentError::usage("asked once too often"))
    }

    fn pin(&mut self, _purpose: PinPurpose) -> Result<String, AgentError> {
        self.pins.pop().ok_or_else(|| AgentError::usage("asked for a PIN once too often"))
    }

    fn problem(&mut self, text: &str) -> Decision {
        self.problems.push(text.to_owned());
        Decision::Continue
    }

    fn progress(&mut self, step: Step) {
        self.steps.push(step);
    }
}

/// Waits until `look` gives something; there is no other sign of it.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An application that sends back what it gets, in capitals, and closes after its peer.
pub(crate) async fn shouting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(n) => {
                            buffer[..n].make_ascii_uppercase();
                            if stream.write_all(&buffer[..n]).await.is_err() {
                                break;
                            }
                        }
                    }
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) fn gateway_name(name: &str) -> GatewayName {
    GatewayName::parse(name).unwrap()
}
