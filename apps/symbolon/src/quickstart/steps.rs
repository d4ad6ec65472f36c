//! The steps from an empty directory to an answered request. Each finds what an earlier run has made.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use symbolon_agent::token::Replace;
use symbolon_agent::{
    Agent, AgentError, AgentOptions, Client, Credential, EnrolOptions, EnrolTarget, Paths, SignOut,
};
use symbolon_crypto::Entropy;
use symbolon_policy::AppName;
use symbolon_provider::SystemEntropy;
use symbolon_server::{Node, NodeError};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::request::{self, Answer};
use super::{Layout, make_dir};
use crate::admin::{AdminClient, path, rows};
use crate::enrol::{Asking, Conversation};
use crate::exit::{Complaint, Outcome};
use crate::output::Output;
use crate::paste::Paste;
use crate::pin::{self, PinArgs};
use crate::private;
use crate::progress::Progress;
use crate::sample::{SampleApp, page};
use crate::serve::{self, listen_complaint, node_complaint, other_port};

/// The first user.
pub(super) const USER: &str = "alice";

/// The sample application's name.
pub(super) const APP: &str = "hello";

/// The gateway's name: it is reached on this machine alone.
const GATEWAY: &str = "localhost";

/// Everything that runs.
pub(super) struct Up {
    pub(super) node: Node,
    pub(super) entitlement: String,
    pub(super) answer: Answer,
    /// Runs until it is signed out, or the session is ended from the node.
    agent: JoinHandle<Result<(), AgentError>>,
    sign_out: SignOut,
    _app: SampleApp,
}

/// What of it stopped unasked, and why.
pub(super) enum Broken {
    Node(NodeError),
    Agent(Complaint),
}

impl Up {
    /// Waits until the agent ends or the node fails, and says why. It may be waited for once.
    pub(super) async fn broken(&mut self) -> Broken {
        let ended = tokio::select! {
            failure = self.node.failure() => return Broken::Node(failure),
            ended = &mut self.agent => ended,
        };
        Broken::Agent(match ended {
            Ok(Err(e)) => e.into(),
            Ok(Ok(())) => Complaint::failure("somebody signed out"),
            Err(_) => Complaint::failure("the agent broke off"),
        })
    }

    /// Signs out and stops everything, the agent first.
    pub(super) async fn stop(mut self) {
        self.sign_out.now();
        if !self.agent.is_finished() {
            let _ = (&mut self.agent).await;
        }
        self.node.shutdown().await;
    }
}

/// Does all of it.
pub(super) async fn run(layout: &Layout, listen: SocketAddr, progress: &mut Progress) -> Outcome<Up> {
    let paths = Paths::new(Some(layout.home.clone()))?;
    let admin = AdminClient::new(layout.node.clone(), layout.paste());
    let node = progress.step("node", "starting the node", start_node(layout, listen)).await?;
    let app = progress.step("sample-application", "starting the sample application", start_app()).await?;
    let pin =
        progress.step("enrol", "enrolling the first user", enrol(layout, &paths, &admin, &node)).await?;
    progress.step("publish", "publishing the application", publish(&admin, app.address)).await?;
    let entitlement = progress.step("entitle", "granting it to the user", entitle(&admin)).await?;
    let agent = progress.step("sign-in", "signing in", sign_in(&paths, &node, pin)).await?;
    let answer = progress.step("request", "asking for a page", ask(&paths)).await?;
    let (sign_out, agent) = (agent.sign_out(), tokio::spawn(agent.wait()));
    Ok(Up { node, entitlement, answer, agent, sign_out, _app: app })
}

async fn start_node(layout: &Layout, listen: SocketAddr) -> Outcome<(Node, String)> {
    let existed = symbolon_server::is_node_dir(&layout.node);
    make_dir(&layout.node)?;
    let config = serve::plain_config(layout.node.clone(), listen, GATEWAY);
    let paste = layout.paste();
    let node = Node::start(config.clone()).await.map_err(|e| match e {
        symbolon_server::NodeError::Listen { address, source } => {
            let other = SocketAddr::new(address.ip(), other_port(address.port())).to_string();
            let dir = layout.dir.display().to_string();
            let another = Paste::plain().user(["quickstart", "--dir", &dir, "--listen", &other]);
            listen_complaint(address, &source, &another)
        }
        e => node_complaint(e, &config, &paste),
    })?;
    let made =
        if existed { "issuer, certificates and store found" } else { "issuer, certificates and store made" };
    let words = format!("node on {}: {made}", node.address());
    Ok((node, words))
}

async fn start_app() -> Outcome<(SampleApp, String)> {
    let app = SampleApp::start(page::router()).await?;
    let words = format!("sample application on {}", app.address);
    Ok((app, words))
}

async fn enrol(
    layout: &Layout,
    paths: &Paths,
    admin: &AdminClient,
    node: &Node,
) -> Outcome<(Zeroizing<String>, String)> {
    make_dir(&layout.home)?;
    if layout.pin.exists() && symbolon_agent::token::info(paths).is_ok_and(|info| info.registered) {
        return Ok((pin::read_file(&layout.pin)?, format!("{USER} is enrolled already")));
    }
    let text = Zeroizing::new(format!("{}\n", draw_pin().as_str()));
    private::replace(&layout.pin, text.as_bytes())?;
    let link = match node.first_invitation() {
        Some(link) => link.to_owned(),
        None => {
            let answer = admin.post("/v1/invitations", &json!({ "user": USER })).await?;
            answer["link"].as_str().unwrap_or_default().to_owned()
        }
    };
    let mut options = EnrolOptions::new(paths.clone(), EnrolTarget::parse(&link, None)?);
    options.answers = Some(BTreeMap::from([
        ("user-name".to_owned(), USER.to_owned()),
        ("full-name".to_owned(), "Alice, the first user".to_owned()),
    ]));
    // a token whose PIN was never written down, or that was never confirmed, is of no use to anybody
    options.replace = Replace::Replace;
    let quiet = Output { json: false, quiet: true };
    let mut conversation =
        Conversation::new(quiet, PinArgs { pin_file: Some(layout.pin.clone()) }, Asking::PinAlone);
    let enrolled = symbolon_agent::enrol(options, &mut conversation).await?;
    let words = format!("{} enrolled with {} by an invitation", enrolled.user, enrolled.gateway);
    Ok((pin::read_file(&layout.pin)?, words))
}

/// 16 hexadecimal digits: 64 random bits, which nobody guesses through Argon2id.
fn draw_pin() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 8]);
    SystemEntropy.fill(bytes.as_mut());
    // one allocation, of the length that it keeps: none is left behind with a part of the PIN
    Zeroizing::new(hex::encode(bytes.as_slice()))
}

async fn publish(admin: &AdminClient, address: SocketAddr) -> Outcome<((), String)> {
    let body = json!({
        "target": format!("tcp:{address}"), "protocol": "http", "description": "The sample application",
    });
    admin.put(&path("/v1/apps", [APP]), &body).await?;
    Ok(((), format!("published as {APP}")))
}

async fn entitle(admin: &AdminClient) -> Outcome<(String, String)> {
    let grantee = format!("user:{USER}");
    let entitlements = rows("entitlements", admin.get("/v1/entitlements").await?);
    let granted = entitlements.iter().find(|e| e["app"] == APP && e["grantee"] == grantee.as_str());
    let (entitlement, words) = match granted {
        Some(entitlement) => (entitlement.clone(), format!("{USER} may reach {APP} already")),
        None => {
            let body = json!({ "grantee": grantee, "app": APP });
            (admin.post("/v1/entitlements", &body).await?, format!("{USER} may reach {APP}"))
        }
    };
    Ok((entitlement["id"].as_str().unwrap_or_default().to_owned(), words))
}

async fn sign_in(paths: &Paths, node: &Node, secret: Zeroizing<String>) -> Outcome<(Agent, String)> {
    let mut options = AgentOptions::new(paths.clone(), Credential::Token(pin::pin(secret)?));
    // the port may be another one than at the registration
    options.address = Some(node.public_address().to_owned());
    let agent = Agent::start(options).await?;
    let status = Client::connect(paths).await?.status().await?;
    let suite = status.session.map(|s| s.suite).unwrap_or_default();
    Ok((agent, format!("signed in as {} ({suite})", status.user)))
}

async fn ask(paths: &Paths) -> Outcome<(Answer, String)> {
    let app = AppName::parse(APP).map_err(|e| Complaint::failure(e.to_string()))?;
    let answer = request::get(paths, &app).await?;
    if answer.status != 200 {
        return Err(Complaint::failure(format!("the application answered {}", answer.status)));
    }
    let words = format!("GET / through agent and gateway: {}", answer.status);
    Ok((answer, words))
}
