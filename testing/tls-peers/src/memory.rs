//! A peer in memory: rustls, unaware of who carries the other side on.

use crate::handover::KeptSecrets;
use crate::handshake::Setup;
use anyhow::Result;
use rustls::Connection;
use std::collections::VecDeque;
use std::io::{Error, Read, Write};
use std::sync::Arc;
use symbolon_record::TlsRole;

/// The other side of a [`Setup`]. What we write it processes at once; what we read it has said.
#[derive(Debug)]
pub struct RustlsPeer {
    /// Its connection, to write to and read from as an application does.
    pub tls: Connection,
    /// The fault that it found with us.
    pub fault: Option<rustls::Error>,
    heard: Vec<u8>,
    to_us: VecDeque<u8>,
}

impl RustlsPeer {
    /// Before its handshake.
    ///
    /// # Errors
    /// When rustls does not like the set-up.
    pub fn new(setup: &Setup) -> Result<Self> {
        let role = match setup.role {
            TlsRole::Server => TlsRole::Client,
            TlsRole::Client => TlsRole::Server,
        };
        let mut tls = setup.connection(role, &Arc::new(KeptSecrets::default()))?;
        // It keeps what it says until somebody reads it.
        tls.set_buffer_limit(None);
        Ok(Self { tls, fault: None, heard: Vec::new(), to_us: VecDeque::new() })
    }

    /// Lets its application say something.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn say(&mut self, payload: &[u8]) -> Result<()> {
        self.tls.writer().write_all(payload)?;
        Ok(())
    }

    /// What its application has heard since the last time.
    pub fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heard)
    }
}

impl Read for RustlsPeer {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.to_us)?;
        }
        self.to_us.read(buffer)
    }
}

impl Write for RustlsPeer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.fault.is_some() {
            return Err(Error::from(std::io::ErrorKind::BrokenPipe));
        }
        let taken = self.tls.read_tls(&mut &*bytes)?;
        if let Err(fault) = self.tls.process_new_packets() {
            self.fault = Some(fault);
        }
        // At a pause that is an error, and what came before is kept.
        let _ = self.tls.reader().read_to_end(&mut self.heard);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
