//! A web application that counts: one page, a large file, a place for another, and a WebSocket.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use symbolon_acceptance::sha256;
use tempfile::TempDir;

use crate::frames::{Frame, accept};
use crate::pace::Pace;

const PAGE: &str = include_str!("page.html");
const PIECE: usize = 32 * 1024;

/// The application. It lives as long as the test's process.
pub(crate) struct Application {
    port: u16,
    sum: String,
    inner: Arc<Inner>,
}

/// What its threads share.
struct Inner {
    files: TempDir,
    down: Pace,
    up: Pace,
    echoed: AtomicUsize,
    connections: AtomicUsize,
    heard: Mutex<Heard>,
}

/// What came.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    /// The requests, `METHOD /path`.
    pub(crate) requests: Vec<String>,
    /// Connections that did not end as they should.
    pub(crate) failures: Vec<String>,
    /// What the page found.
    pub(crate) result: Option<Value>,
}

impl Application {
    /// Starts it; the large file and what is sent to it have so many bytes, a multiple of four, and take so long
    /// unless they are let go before.
    pub(crate) fn start(bytes: u64, lasts: Duration) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let film = files.path().join("film");
        // A missing, doubled or moved block shows.
        let mut file = BufWriter::new(File::create(&film)?);
        for n in 0..bytes / 4 {
            file.write_all(&u32::try_from(n)?.wrapping_mul(0x9E37_79B9).rotate_left(16).to_be_bytes())?;
        }
        file.flush()?;
        let sum = sum(&film)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            files,
            down: Pace::new(bytes, lasts),
            up: Pace::new(bytes, lasts),
            echoed: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            heard: Mutex::default(),
        });
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if let Err(why) = shared.serve(&client) {
                        shared.heard().failures.push(format!("{why:#}"));
                    }
                });
            }
        });
        Ok(Self { port, sum, inner })
    }

    /// The TCP port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The checksum of the large file.
    pub(crate) fn sum(&self) -> &str {
        &self.sum
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// How many messages of the WebSocket were said again.
    pub(crate) fn echoed(&self) -> usize {
        self.inner.echoed.load(Ordering::SeqCst)
    }

    /// What came so far.
    pub(crate) fn heard(&self) -> Heard {
        self.inner.heard().clone()
    }

    /// Whether the two transfers have begun and are not over, and messages were said again.
    pub(crate) fn is_busy(&self) -> bool {
        self.inner.down.under_way() && self.inner.up.under_way() && self.echoed() > 0
    }

    /// Lets the transfers end.
    pub(crate) fn let_go(&self) {
        self.inner.down.let_go();
        self.inner.up.let_go();
    }
}

impl Inner {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// One request, since each answer ends its connection: so a browser that repeats itself is seen.
    fn serve(&self, client: &TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        let mut from = BufReader::new(client);
        let Some(request) = Request::read(&mut from)? else { return Ok(()) };
        let name = format!("{} {}", request.method, request.path);
        self.heard().requests.push(name.clone());
        self.answer(&request, &mut from, client).context(name)
    }

    fn answer(&self, request: &Request, from: &mut impl Read, to: &TcpStream) -> Result<()> {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => reply(to, "text/html", PAGE),
            ("GET", "/download") => self.send(to),
            ("PUT", "/upload") => reply(to, "text/plain", &self.keep(from, request.length()?)?),
            ("GET", "/socket") => self.talk(request, from, to),
            ("POST", "/result") => {
                let mut result = vec![0; usize::try_from(request.length()?)?];
                from.read_exact(&mut result)?;
                reply(to, "text/plain", "thanks")?;
                self.heard().result = Some(serde_json::from_slice(&result)?);
                Ok(())
            }
            _ => {
                head(to, "404 Not Found", "text/plain", 0)?;
                bail!("nobody should ask for it")
            }
        }
    }

    fn send(&self, mut to: &TcpStream) -> Result<()> {
        head(to, "200 OK", "application/octet-stream", self.down.total())?;
        let (mut film, mut piece, begun) = (File::open(self.path("film"))?, vec![0; PIECE], Instant::now());
        loop {
            let n = film.read(&mut piece)?;
            if n == 0 {
                return Ok(());
            }
            to.write_all(&piece[..n])?;
            self.down.moved(n, begun);
        }
    }

    /// Keeps what is sent, and returns its checksum.
    fn keep(&self, from: &mut impl Read, length: u64) -> Result<String> {
        ensure!(length == self.up.total(), "{length} bytes");
        let (at, mut piece, begun) = (self.path("upload"), vec![0; PIECE], Instant::now());
        let (mut file, mut from) = (File::create_new(&at)?, from.take(length));
        loop {
            let n = from.read(&mut piece)?;
            if n == 0 {
                break;
            }
            file.write_all(&piece[..n])?;
            self.up.moved(n, begun);
        }
        ensure!(from.limit() == 0, "{} bytes are missing", from.limit());
        sum(&at)
    }

    /// Says messages again that are numbered from 0, until the client closes.
    fn talk(&self, request: &Request, from: &mut impl Read, mut to: &TcpStream) -> Result<()> {
        let accept = accept(request.field("sec-websocket-key").context("no key")?)?;
        write!(
            to,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )?;
        for number in 0.. {
            let frame = Frame::read(&mut *from).with_context(|| format!("after {number} messages"))?;
            frame.write(to)?;
            match frame {
                Frame::Text(text) => {
                    let expected = format!("{number}:");
                    ensure!(text.starts_with(expected.as_bytes()), "message {number} did not come");
                    self.echoed.fetch_add(1, Ordering::SeqCst);
                }
                Frame::Close(_) => break,
            }
        }
        Ok(())
    }
}

/// The head of a request.
struct Request {
    method: String,
    path: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// Nothing where a client ends without having asked.
    fn read(from: &mut impl BufRead) -> Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let n = from.read_line(&mut line)?;
            match line.trim_end() {
                "" if n > 0 => break,
                "" if lines.is_empty() => return Ok(None),
                "" => bail!("the end within a head: {lines:?}"),
                line => lines.push(line.to_owned()),
            }
        }
        let mut words = lines.first().context("an empty head")?.split(' ');
        let (method, target) = words.next().zip(words.next()).context("no request")?;
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let fields = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Ok(Some(Self { method: method.to_owned(), path, fields }))
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn length(&self) -> Result<u64> {
        Ok(self.field("content-length").context("no length")?.parse()?)
    }
}

fn head(mut to: &TcpStream, status: &str, kind: &str, length: u64) -> Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    Ok(to.write_all(head.as_bytes())?)
}

fn reply(mut to: &TcpStream, kind: &str, body: &str) -> Result<()> {
    head(to, "200 OK", kind, body.len() as u64)?;
    Ok(to.write_all(body.as_bytes())?)
}

fn sum(file: &Path) -> Result<String> {
    sha256(&[file])?.pop().context("no sum")
}
