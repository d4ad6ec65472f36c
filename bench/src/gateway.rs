//! Bytes through a node's stream against bytes through a plain TLS-terminating pipe: CPU time of the
//! process in the middle alone. Client and application are this process, the same for both.

use crate::child::Child;
use crate::measure::{Cost, Subject, interleaved};
use crate::node::NodeChild;
use crate::report::{Report, Target};
use crate::tls::{SERVER_NAME, trusting_client};
use crate::user::{Session, User};
use crate::{backend, pipe};
use anyhow::{Context as _, Result, bail};
use rustls::crypto::aws_lc_rs::kx_group;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use symbolon_record::{DATA_ROOM, DATA_TAIL, MAX_PLAINTEXT, StreamEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// Bytes that go through in each round.
const TRANSFER: u64 = 256 << 20;
/// Bytes that a client writes at once: four full records, as rustls does it.
const WRITE: usize = 4 * MAX_PLAINTEXT;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Application to client.
    Down,
    /// Client to application.
    Up,
}

impl Way {
    fn order(self) -> [u8; backend::ORDER] {
        match self {
            Self::Down => backend::send(TRANSFER),
            Self::Up => backend::take(TRANSFER),
        }
    }
}

/// Both ways, gateway and pipe in turn.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let application = runtime.block_on(backend::start())?;
    let ours = Ours::start(&runtime, application)?;
    let theirs = Theirs::start(&runtime, application)?;
    let [ours_down, theirs_down, ours_up, theirs_up] = interleaved([
        ours.transfers(Way::Down),
        theirs.transfers(Way::Down),
        ours.transfers(Way::Up),
        theirs.transfers(Way::Up),
    ])?;
    for (way, ours, theirs) in
        [("to the client", &ours_down, &theirs_down), ("from the client", &ours_up, &theirs_up)]
    {
        report.median(
            format!("stream through the gateway ÷ TLS pipe, {way}: CPU per GB"),
            &ours.server.over(&theirs.server),
            "×",
            Target::AtMost(1.1),
        );
        report.median(format!("stream through the gateway, {way}"), &ours.server, "s/GB", Target::None);
        report.median(format!("TLS pipe, {way}"), &theirs.server, "s/GB", Target::None);
    }
    Ok(())
}

fn per_gigabyte(spent: Duration) -> Cost {
    Cost { server: spent.as_secs_f64() * 1e9 / TRANSFER as f64, client: 0.0 }
}

struct Ours<'r> {
    runtime: &'r Runtime,
    node: RefCell<NodeChild>,
    session: RefCell<Session>,
}

impl<'r> Ours<'r> {
    fn start(runtime: &'r Runtime, application: SocketAddr) -> Result<Self> {
        let node = NodeChild::start()?;
        let session = runtime.block_on(async {
            let user = User::enrol(node.address, &node.invitation, "alice").await?;
            node.publish("bytes", application, &user.access_path()).await?;
            user.sign_in().await
        })?;
        Ok(Self { runtime, node: RefCell::new(node), session: RefCell::new(session) })
    }

    fn transfers(&self, way: Way) -> Subject<'_> {
        Box::new(move || {
            let mut node = self.node.borrow_mut();
            let before = node.process.cpu()?;
            self.runtime.block_on(self.transfer(way))?;
            Ok(per_gigabyte(node.process.cpu()? - before))
        })
    }

    #[expect(clippy::await_holding_refcell_ref, reason = "one transfer at a time, on one thread")]
    async fn transfer(&self, way: Way) -> Result<()> {
        let mut stream = self.session.borrow_mut().open("bytes").await?;
        let order = way.order();
        let mut buffer = vec![0; DATA_ROOM + MAX_PLAINTEXT + DATA_TAIL];
        buffer[DATA_ROOM..DATA_ROOM + order.len()].copy_from_slice(&order);
        stream.tcp.write_all(stream.send.seal_data(&mut buffer, order.len())?).await?;
        if let Way::Up = way {
            let mut records = Vec::with_capacity(2 * WRITE);
            let mut left = TRANSFER as usize;
            while left > 0 {
                let payload = left.min(MAX_PLAINTEXT);
                left -= payload;
                records.extend_from_slice(stream.send.seal_data(&mut buffer, payload)?);
                if records.len() >= WRITE || left == 0 {
                    stream.tcp.write_all(&records).await?;
                    records.clear();
                }
            }
        }
        stream.tcp.write_all(&stream.send.close()?).await?;
        let mut received = 0;
        loop {
            match stream.receive.next_event()? {
                Some(StreamEvent::Data(data)) => received += data.len() as u64,
                Some(StreamEvent::KeyUpdated(_)) => {}
                Some(StreamEvent::PeerClosed) => return backend::check(&way.order(), received),
                Some(StreamEvent::Ended(end)) => bail!("the gateway ended the stream: {end:?}"),
                None => match stream.tcp.read(stream.receive.room()).await? {
                    0 => bail!("the gateway broke off after {received} bytes"),
                    n => stream.receive.filled(n),
                },
            }
        }
    }
}

struct Theirs<'r> {
    runtime: &'r Runtime,
    process: RefCell<Child>,
    address: SocketAddr,
    connector: TlsConnector,
}

impl<'r> Theirs<'r> {
    fn start(runtime: &'r Runtime, application: SocketAddr) -> Result<Self> {
        let process = Child::start(pipe::ROLE, &[&application.to_string()])?;
        let address = process.said("address")?.parse()?;
        let authority: Vec<u8> = serde_json::from_value(process.greeting["authority"].clone())?;
        let client = trusting_client(authority.into(), kx_group::X25519)?;
        let connector = TlsConnector::from(Arc::clone(&client));
        Ok(Self { runtime, process: RefCell::new(process), address, connector })
    }

    fn transfers(&self, way: Way) -> Subject<'_> {
        Box::new(move || {
            let mut process = self.process.borrow_mut();
            let before = process.cpu()?;
            self.runtime.block_on(self.transfer(way))?;
            Ok(per_gigabyte(process.cpu()? - before))
        })
    }

    async fn transfer(&self, way: Way) -> Result<()> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = SERVER_NAME.try_into().context("a DNS name")?;
        let mut tls = self.connector.connect(name, tcp).await?;
        tls.write_all(&way.order()).await?;
        if let Way::Up = way {
            let bytes = vec![0; WRITE];
            let mut left = TRANSFER as usize;
            while left > 0 {
                let count = left.min(WRITE);
                left -= count;
                tls.write_all(&bytes[..count]).await?;
            }
        }
        tls.shutdown().await?;
        let mut buffer = vec![0; WRITE];
        let mut received = 0;
        loop {
            match tls.read(&mut buffer).await? {
                0 => return backend::check(&way.order(), received),
                n => received += n as u64,
            }
        }
    }
}
