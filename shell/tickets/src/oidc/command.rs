use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use symbolon_crypto::SecretBytes;
use tokio::io::AsyncReadExt as _;

use super::apart::apart;
use super::jws::MAX_TOKEN;
use super::{IdTokenSource, SourceError};

/// The variable in which the program finds the nonce: an argument could be taken for an option.
const NONCE_VARIABLE: &str = "SYMBOLON_NONCE";

/// ID tokens from a program of the user's choice, as credential helpers of other tools are: it finds
/// the nonce in `SYMBOLON_NONCE`, prints one ID token and ends with status 0. Its standard error is
/// the user's, so that it can say where to sign in.
#[derive(Clone, Debug)]
pub struct CommandSource {
    program: OsString,
    arguments: Vec<OsString>,
    limit: Duration,
}

impl CommandSource {
    /// Runs `program` with `arguments`, and ends it after `limit`. No shell is involved.
    #[must_use]
    pub fn new(program: OsString, arguments: Vec<OsString>, limit: Duration) -> Self {
        Self { program, arguments, limit }
    }

    async fn run(&self, nonce: &str) -> Result<SecretBytes, SourceError> {
        let failed = |e: &dyn std::fmt::Display| SourceError::Failed(e.to_string());
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .env(NONCE_VARIABLE, nonce)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(&e))?;
        let output = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
        // Room for all of it from the start: a buffer that grows leaves copies behind.
        let mut said = Vec::with_capacity(MAX_TOKEN + 3);
        output.take(MAX_TOKEN as u64 + 3).read_to_end(&mut said).await.map_err(|e| failed(&e))?;
        let said = SecretBytes::new(said);
        let token = said.expose().trim_ascii_end();
        if token.len() > MAX_TOKEN {
            return Err(SourceError::Malformed);
        }
        let status = child.wait().await.map_err(|e| failed(&e))?;
        if !status.success() {
            return Err(failed(&status));
        }
        Ok(SecretBytes::new(token.to_vec()))
    }
}

impl IdTokenSource for CommandSource {
    fn fetch(&mut self, nonce: &str) -> Result<SecretBytes, SourceError> {
        apart(self.limit, self.run(nonce))
    }
}
