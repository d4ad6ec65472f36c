//! One connection to the server: made, made known, and asked.

use super::files;
use super::reply::{self, Reply};
use super::script::Script;
use super::url::{HotUrl, Password};
use crate::{Result, StoreError, hot_place};
use rustls_pki_types::ServerName;
use std::pin::Pin;
use std::task::{Context, Waker};
use symbolon_crypto::SecretBytes;
use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long the server waits for its replicas, in milliseconds: a thousand times a round trip between
/// machines of one place, and short enough that whoever asked is still there.
const REPLICATED_WITHIN_MS: u32 = 1000;

/// The version of the keys in the server.
pub(super) const SCHEMA: u64 = 1;

/// How to reach the server: what a connection needs, read once.
pub(super) struct Way {
    url: HotUrl,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    password: Option<SecretBytes>,
    /// The key of what is known about the whole store.
    meta: String,
    /// What the server has to show, or is given when it has nothing.
    pub(super) mark: Vec<u8>,
}

/// What becomes of a server that has nothing of ours.
#[derive(Clone, Copy)]
pub(super) enum IfEmpty {
    /// It gets our mark.
    Begin,
    /// It is left alone: the records are elsewhere, or were lost.
    Refuse,
}

/// One connection that was made known.
pub(super) struct Link {
    stream: BufReader<Box<dyn Stream>>,
    /// Which server, and since when it has been as it is.
    life: String,
    /// By what each of [`Script::ALL`] is called.
    names: Vec<Vec<u8>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What a server said to a script, and how many replicas had it.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) replicated: Option<Reply>,
}

impl Way {
    /// Reads the files that `url` names.
    ///
    /// # Errors
    /// [`StoreError::Other`] for a file that cannot be read or is something else.
    pub(super) fn new(url: &HotUrl, mark: Vec<u8>) -> Result<Self> {
        let tls = match &url.tls {
            None => None,
            Some(files) => {
                let name = ServerName::try_from(url.host.clone()).map_err(|e| other(e.to_string()))?;
                Some((files::connector(files)?, name))
            }
        };
        let password = match &url.password {
            None => None,
            Some(Password::Text(text)) => Some(text.duplicate()),
            Some(Password::File(path)) => Some(files::password(path)?),
        };
        let meta = format!("{}:meta", url.prefix);
        Ok(Self { url: url.clone(), tls, password, meta, mark })
    }

    /// Connects and makes itself known. The mark of the server goes to the caller.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`]; [`StoreError::ReadOnly`] for a replica; [`StoreError::NewerSchema`];
    /// [`StoreError::HotElsewhere`] for an empty one that is to be refused;
    /// [`StoreError::Other`] for a server that would lose records by itself, or does not let us in.
    pub(super) async fn connect(&self, if_empty: IfEmpty) -> Result<(Link, Vec<u8>)> {
        let stream =
            TcpStream::connect((self.url.host.as_str(), self.url.port)).await.map_err(|e| self.gone(&e))?;
        // what is written is a whole question
        stream.set_nodelay(true).map_err(|e| self.gone(&e))?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((tls, name)) => {
                Box::new(tls.connect(name.clone(), stream).await.map_err(|e| self.gone(&e))?)
            }
        };
        let mut link = Link { stream: BufReader::new(stream), life: String::new(), names: Vec::new() };
        self.sign_in(&mut link).await?;
        let info = match link.ask(&["INFO"]).await.map_err(|e| self.gone(&e))? {
            Reply::Text(text) => String::from_utf8_lossy(&text).into_owned(),
            reply => return Err(unexpected(reply)),
        };
        link.life = self.suits(&info)?;
        let mut question = Vec::new();
        for script in Script::ALL {
            reply::command(&mut question, &["SCRIPT", "LOAD", &script.text()]);
        }
        link.say(question).await.map_err(|e| self.gone(&e))?;
        for _ in Script::ALL {
            match Reply::read(&mut link.stream).await.map_err(|e| self.gone(&e))? {
                Reply::Text(name) => link.names.push(name),
                reply => return Err(unexpected(reply)),
            }
        }
        let mark = self.welcomed(&mut link, if_empty).await?;
        Ok((link, mark))
    }

    /// Learns what the server knows of the store.
    async fn welcomed(&self, link: &mut Link, if_empty: IfEmpty) -> Result<Vec<u8>> {
        let schema = SCHEMA.to_string();
        let begin: &[u8] = match if_empty {
            IfEmpty::Begin => b"begin",
            IfEmpty::Refuse => b"refuse",
        };
        let asked = link.run(&self.meta, Script::Welcome, &[schema.as_bytes(), &self.mark, begin], 0).await;
        let Answer { reply, .. } = asked.map_err(|e| self.gone(&e))?;
        let Reply::List(known) = reply else { return Err(unexpected(reply)) };
        if known.is_empty() {
            return Err(self.elsewhere());
        }
        let mut known = known.into_iter();
        let (Some(Reply::Text(schema)), Some(Reply::Text(mark))) = (known.next(), known.next()) else {
            return Err(StoreError::Corrupt(format!("{} is not ours", self.meta)));
        };
        match std::str::from_utf8(&schema).ok().and_then(|digits| digits.parse().ok()) {
            Some(found) if found > SCHEMA => Err(StoreError::NewerSchema { found, known: SCHEMA }),
            Some(_) => Ok(mark),
            None => Err(StoreError::Corrupt(format!("the schema in {} is no number", self.meta))),
        }
    }

    /// Whether the mark of a server is the one that it must have.
    pub(super) fn recognise(&self, found: &[u8]) -> Result<()> {
        if found == self.mark { Ok(()) } else { Err(self.elsewhere()) }
    }

    fn elsewhere(&self) -> StoreError {
        StoreError::HotElsewhere(hot_place::described(Some(&self.url)))
    }

    async fn sign_in(&self, link: &mut Link) -> Result<()> {
        if let Some(password) = &self.password {
            let mut words: Vec<&[u8]> = vec![b"AUTH"];
            words.extend(self.url.user.as_deref().map(str::as_bytes));
            words.push(password.expose());
            match link.ask(&words).await.map_err(|e| self.gone(&e))? {
                Reply::Text(_) => {}
                reply => return Err(unexpected(reply)),
            }
        }
        if self.url.database != 0 {
            let database = self.url.database.to_string();
            match link.ask(&["SELECT", &database]).await.map_err(|e| self.gone(&e))? {
                Reply::Text(_) => {}
                reply => return Err(unexpected(reply)),
            }
        }
        Ok(())
    }

    /// Whether the server is one to which records can be given, and which life of it this is.
    fn suits(&self, info: &str) -> Result<String> {
        let value = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default()
        };
        let version = value("redis_version");
        if version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major < 7)
        {
            return Err(other(format!("{} is Redis \"{version}\": 7.0 or newer is needed", self.url)));
        }
        if value("cluster_enabled") == "1" {
            return Err(other(format!(
                "{} is a Redis Cluster: one primary with replicas is needed",
                self.url
            )));
        }
        if value("role") != "master" {
            return Err(StoreError::ReadOnly);
        }
        let policy = value("maxmemory_policy");
        if value("maxmemory") != "0" && policy != "noeviction" {
            return Err(other(format!(
                "{} throws records away when its memory is full (maxmemory-policy {policy}): set noeviction",
                self.url
            )));
        }
        Ok(format!("{}:{}", value("run_id"), value("master_replid")))
    }

    /// Runs a script on a connection of this way.
    pub(super) async fn run(
        &self,
        link: &mut Link,
        script: Script,
        arguments: &[&[u8]],
    ) -> std::io::Result<Answer> {
        let replicas = if script.may_be_lost() { 0 } else { self.url.replicas };
        link.run(&self.meta, script, arguments, replicas).await
    }

    pub(super) fn replicas(&self) -> u8 {
        self.url.replicas
    }

    pub(super) fn gone(&self, e: &std::io::Error) -> StoreError {
        StoreError::Unreachable(format!("{}: {e}", self.url))
    }
}

impl Link {
    /// Asks one command.
    async fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> std::io::Result<Reply> {
        let mut question =
            Vec::with_capacity(64 + words.iter().map(|w| w.as_ref().len() + 16).sum::<usize>());
        reply::command(&mut question, words);
        self.say(question).await?;
        Reply::read(&mut self.stream).await
    }

    /// Runs a script and, in the same breath, waits for so many replicas.
    async fn run(
        &mut self,
        meta: &str,
        script: Script,
        arguments: &[&[u8]],
        replicas: u8,
    ) -> std::io::Result<Answer> {
        let name = self.names.get(script as usize).map_or(&[][..], Vec::as_slice);
        let mut words: Vec<&[u8]> = vec![b"EVALSHA", name, b"1", meta.as_bytes(), self.life.as_bytes()];
        words.extend(arguments);
        let mut question = Vec::with_capacity(256 + words.iter().map(|w| w.len() + 16).sum::<usize>());
        reply::command(&mut question, &words);
        if replicas > 0 {
            reply::command(
                &mut question,
                &["WAIT", &replicas.to_string(), &REPLICATED_WITHIN_MS.to_string()],
            );
        }
        self.say(question).await?;
        let reply = Reply::read(&mut self.stream).await?;
        let replicated = match replicas {
            0 => None,
            _ => Some(Reply::read(&mut self.stream).await?),
        };
        Ok(Answer { reply, replicated })
    }

    /// `question` may have a password, and is wiped.
    async fn say(&mut self, question: Vec<u8>) -> std::io::Result<()> {
        let question = SecretBytes::new(question);
        self.stream.get_mut().write_all(question.expose()).await?;
        self.stream.get_mut().flush().await
    }

    /// Whether nothing says that the server has hung up. Asks nobody.
    pub(super) fn seems_alive(&mut self) -> bool {
        Pin::new(&mut self.stream).poll_fill_buf(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}

/// What an answer means that is not what was asked for.
pub(super) fn unexpected(reply: Reply) -> StoreError {
    let Reply::Error(text) = reply else {
        return StoreError::Corrupt("the hot store answers something else than was asked".to_owned());
    };
    match text.split(' ').next().unwrap_or_default() {
        "READONLY" => StoreError::ReadOnly,
        "OOM" => StoreError::DiskFull,
        "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" => StoreError::Busy,
        "NOREPLICAS" => StoreError::NotReplicated,
        _ => other(text),
    }
}

pub(super) fn other(text: String) -> StoreError {
    StoreError::Other(format!("hot store: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_refuses_has_the_same_names_as_elsewhere() {
        for (text, error) in [
            ("READONLY You can't write against a read only replica.", StoreError::ReadOnly),
            ("OOM command not allowed when used memory > 'maxmemory'.", StoreError::DiskFull),
            ("LOADING Redis is loading the dataset in memory", StoreError::Busy),
            ("NOREPLICAS Not enough good replicas to write.", StoreError::NotReplicated),
            ("NOPERM no", StoreError::Other("hot store: NOPERM no".into())),
        ] {
            assert_eq!(unexpected(Reply::Error(text.into())), error);
        }
        assert!(matches!(unexpected(Reply::Nothing), StoreError::Corrupt(_)));
    }

    #[test]
    fn a_server_that_would_lose_records_is_not_given_any() {
        let way = Way::new(&"redis://localhost".parse().unwrap(), Vec::new()).unwrap();
        let good = "redis_version:7.0.15\r\nrun_id:a\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n\
                    role:master\r\nmaster_replid:b\r\ncluster_enabled:0\r\n";
        assert_eq!(way.suits(good).as_deref(), Ok("a:b"));
        assert_eq!(way.suits(&good.replace("role:master", "role:slave")), Err(StoreError::ReadOnly));
        for (is, instead) in
            [("noeviction", "allkeys-lru"), ("cluster_enabled:0", "cluster_enabled:1"), (":7.0.15", ":6.2.7")]
        {
            let refused = way.suits(&good.replace(is, instead));
            assert!(matches!(refused, Err(StoreError::Other(_))), "{instead}: {refused:?}");
        }
    }
}
