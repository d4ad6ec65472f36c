//! What a gigabyte costs, and a new connection.

use super::client::exchange;
use super::servers::{Server, Site, Symbolon};
use crate::backend;
use crate::measure::{Cost, Costs, Subject, interleaved};
use crate::report::{Report, Target};
use anyhow::Result;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Bytes that go through in each round.
const TRANSFER: u64 = 256 << 20;
/// Connections in each round, and how many at a time.
const CONNECTIONS: usize = 200;
const AT_A_TIME: usize = 8;
/// How long a server is left alone before its time is read.
const SETTLE: Duration = Duration::from_millis(20);

/// Our port and that without carrying on, then the others.
struct Field {
    runtime: Runtime,
    site: Site,
    servers: Vec<Server>,
}

impl Field {
    fn new(report: &mut Report) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let site = Site::new()?;
        let application = || runtime.block_on(backend::start());
        let mut servers = vec![
            Symbolon::start(&site, application()?, "")?.into_server("serve"),
            Symbolon::start(&site, application()?, "carry_on = false")?
                .into_server("serve, carry_on = false"),
            Server::pipe(&site, application()?)?,
        ];
        for (name, found) in [
            ("HAProxy", Server::haproxy(&site, application()?)?),
            ("nginx with its stream module", Server::nginx(&site, application()?)?),
        ] {
            match found {
                Some(server) => servers.push(server),
                None => report.note(format!("{name} is not installed: it is left out.")),
            }
        }
        Ok(Self { runtime, site, servers })
    }

    fn measure<'a>(&'a self, subject: impl Fn(&'a Self, &'a Server) -> Subject<'a>) -> Result<Vec<Costs>> {
        interleaved_all(self.servers.iter().map(|server| subject(self, server)).collect())
    }
}

/// What bytes cost.
pub(super) fn bytes(report: &mut Report) -> Result<()> {
    let field = Field::new(report)?;
    for (way, order, up) in [
        ("to the client", backend::send(TRANSFER), 0),
        ("from the client", backend::take(TRANSFER), TRANSFER),
    ] {
        let costs = field.measure(|field, server| transfers(field, server, order, up))?;
        for (server, cost) in field.servers.iter().zip(&costs).skip(1) {
            let target = if server.name.starts_with("serve") { 1.03 } else { 1.0 };
            let name = format!("TLS port ÷ {}, {way}: CPU per GB", server.name);
            report.median(name, &costs[0].server.over(&cost.server), "×", Target::AtMost(target));
        }
        for (server, cost) in field.servers.iter().zip(&costs) {
            report.median(format!("{}, {way}", server.name), &cost.server, "s/GB", Target::None);
        }
    }
    Ok(())
}

/// What connections cost.
pub(super) fn connections(report: &mut Report) -> Result<()> {
    let field = Field::new(report)?;
    let costs = field.measure(handshakes)?;
    for (server, cost) in field.servers.iter().zip(&costs).skip(1) {
        let target = if server.name == "HAProxy" { Target::AtLeast(1.0) } else { Target::None };
        let name = format!("new TLS connections a second and core ÷ {}", server.name);
        report.median(name, &cost.server.over(&costs[0].server), "×", target);
    }
    for (server, cost) in field.servers.iter().zip(&costs) {
        let each = 1e6 / cost.server.median();
        report.value(format!("new TLS connections, {}", server.name), each, "/s/core", Target::None);
    }
    Ok(())
}

/// As many as there are.
fn interleaved_all(subjects: Vec<Subject<'_>>) -> Result<Vec<Costs>> {
    const MOST: usize = 5;
    let count = subjects.len();
    let mut subjects = subjects.into_iter();
    let nothing = || -> Subject<'_> { Box::new(|| Ok(Cost::default())) };
    let costs = interleaved::<MOST>(std::array::from_fn(|_| subjects.next().unwrap_or_else(nothing)))?;
    Ok(costs.into_iter().take(count).collect())
}

fn transfers<'a>(field: &'a Field, server: &'a Server, order: [u8; backend::ORDER], up: u64) -> Subject<'a> {
    Box::new(move || {
        let before = server.cpu();
        field.runtime.block_on(exchange(&field.site.client, server.address, order, up))?;
        std::thread::sleep(SETTLE);
        let spent = server.cpu().since(&before);
        Ok(Cost { server: spent.as_secs_f64() * 1e9 / TRANSFER as f64, client: 0.0 })
    })
}

/// Handshake, nine bytes there, one back, the end.
fn handshakes<'a>(field: &'a Field, server: &'a Server) -> Subject<'a> {
    Box::new(move || {
        let before = server.cpu();
        field.runtime.block_on(async {
            let mut clients = JoinSet::new();
            for _ in 0..AT_A_TIME {
                let (config, address) = (field.site.client.clone(), server.address);
                clients.spawn(async move {
                    for _ in 0..CONNECTIONS / AT_A_TIME {
                        exchange(&config, address, backend::send(1), 0).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(done) = clients.join_next().await {
                done??;
            }
            anyhow::Ok(())
        })?;
        std::thread::sleep(SETTLE);
        let spent = server.cpu().since(&before);
        Ok(Cost { server: spent.as_secs_f64() * 1e6 / CONNECTIONS as f64, client: 0.0 })
    })
}
