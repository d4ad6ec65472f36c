//! The first step of C, by a browser: an unchanged Chromium fetches a file, sends another and talks on a WebSocket, all
//! at once, while the process that carries the connections is killed.
//!
//! `SYMBOLON_ACCEPTANCE_FULL=1` for 1,000 kills, as in `c_kills`.

#[path = "c_browser/application.rs"]
mod application;
#[path = "c_browser/browser.rs"]
mod browser;
#[path = "c_kills/counts.rs"]
#[expect(dead_code, reason = "the rest is for c_kills")]
mod counts;
#[path = "c_browser/frames.rs"]
mod frames;
#[path = "c_kills/killer.rs"]
#[expect(dead_code, reason = "the rest is for c_kills")]
mod killer;
#[path = "c_browser/pace.rs"]
mod pace;
#[path = "c_kills/wire.rs"]
#[expect(dead_code, reason = "the rest is for c_kills")]
mod wire;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use application::Application;
use browser::Browser;
use counts::Counts;
use killer::through_kills;
use symbolon_acceptance::{Front, LIMIT, scenario, step, until};
use wire::{Seen, Wire};

/// Milliseconds between two messages of the page.
const EVERY: u64 = 20;

/// The largest file; Chromium keeps it in memory.
const LARGEST: u64 = 250_000_000;

/// About what one kill of the leading worker takes with the pause before it; the transfers take as long as all of them.
const OF_A_KILL: Duration = Duration::from_millis(400);

/// A page, a download, an upload, a WebSocket, a result.
const REQUESTS: [&str; 5] = ["GET /", "GET /download", "GET /socket", "POST /result", "PUT /upload"];

/// The hybrid of ECDHE and ML-KEM among the groups of TLS 1.3, and the extension in which the server says which it took.
const X25519MLKEM768: [u8; 2] = [0x11, 0xEC];
const KEY_SHARE: [u8; 2] = [0, 51];

#[test]
fn chromium_keeps_a_download_an_upload_and_a_websocket_through_every_kill() -> Result<()> {
    scenario!("a page in Chromium does three things at once while workers are killed");
    let counts = Counts::of_this_run();
    let bytes = counts.film.min(LARGEST);
    let application = Application::start(bytes, OF_A_KILL * u32::try_from(counts.kills)?)?;
    let front = Front::start("")?;
    let target = format!("127.0.0.1:{}", application.port());
    front.publish("app", &target, "http", &["--tls-name", "app.example", "--tls-clients", "anyone"])?;
    let wire = Wire::before(front.port)?;
    through_kills(&front.gateway, counts.kills, |kills| {
        let calm = kills.calm();
        let page = format!("/?upload={bytes}&every={EVERY}");
        let browser = Browser::open("app.example", wire.port(), &page, &front.path("issuer.pem"))?;
        let told = |what: &str| {
            let heard = application.heard();
            let audit = front.gateway.admin(&["audit", "list"]).unwrap_or_default();
            let (requests, failures) = (heard.requests, heard.failures);
            format!("{what}; {requests:?} {failures:?}\n{audit}\n{}", browser.output())
        };
        until(LIMIT * 3, "the page", || application.is_busy().then_some(()))
            .with_context(|| told("the start"))?;
        let before = kills.leaders();
        drop(calm);
        while kills.leaders() < before + counts.kills {
            kills.wait_for_more(1)?;
        }
        // The page has to come with its result, and a handshake that is cut off has to begin again.
        let _calm = kills.calm();
        ensure!(application.is_busy(), "{}", told("not all went on through every kill"));
        step!("each connection had one handshake, no reset, and one connection to the application");
        demand_unbroken(&wire.seen(), application.connections()).with_context(|| told("on the wire"))?;
        let result = result(&application).with_context(|| told("the end"))?;
        demand_whole(&application, &result).with_context(|| told(&result.to_string()))
    })
}

/// Demands that no connection was begun anew or broken, and that the keys of each are safe from quantum computers.
/// Chromium drops some of its own before it has said anything, or in the middle of the handshake.
fn demand_unbroken(seen: &[Seen], to_application: usize) -> Result<()> {
    let open: Vec<_> = seen.iter().filter(|seen| seen.client.data > 0).collect();
    for Seen { client, gateway } in &open {
        ensure!(client.hellos == 1 && !gateway.reset, "{client:?} {gateway:?}");
        ensure!(client.later_handshakes + gateway.later_handshakes == 0, "{client:?} {gateway:?}");
        ensure!(group(&gateway.first) == Some(X25519MLKEM768), "{gateway:?}");
    }
    ensure!(open.len() == to_application, "{} connections became {to_application}", open.len());
    Ok(())
}

/// Lets the transfers end, and waits for what the page found.
fn result(application: &Application) -> Result<serde_json::Value> {
    application.let_go();
    until(LIMIT * 3, "the page's result", || application.heard().result)
}

/// Demands that all arrived, by one request each.
fn demand_whole(application: &Application, result: &serde_json::Value) -> Result<()> {
    step!("what the page found: {result}");
    ensure!(result["down"] == application.sum(), "the download is to have {}", application.sum());
    ensure!(
        result["up"]["sent"].is_string() && result["up"]["sent"] == result["up"]["received"],
        "the upload"
    );
    let (socket, echoed) = (&result["socket"], application.echoed());
    ensure!(socket["sent"] == echoed && socket["echoed"] == echoed, "{echoed} messages were said again");
    ensure!(socket["code"] == 1000 && socket["wasClean"] == true, "the WebSocket's end");
    let mut heard = application.heard();
    heard.requests.sort();
    ensure!(heard.requests == REQUESTS && heard.failures.is_empty(), "other requests, or broken ones");
    Ok(())
}

/// The group that a ServerHello took (RFC 8446 §4.1.3, §4.2.8).
fn group(record: &[u8]) -> Option<[u8; 2]> {
    // The heads of record and message, version, random number; then the session, the suite, no compression.
    let (session, rest) = record.get(5 + 4 + 2 + 32..)?.split_first()?;
    let mut extensions = rest.get(usize::from(*session) + 2 + 1 + 2..)?;
    while let Some(([a, b, high, low], rest)) = extensions.split_first_chunk() {
        if [*a, *b] == KEY_SHARE {
            return rest.first_chunk().copied();
        }
        extensions = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
    None
}
