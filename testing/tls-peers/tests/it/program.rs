//! `openssl s_client` and `openssl s_server` as processes of their own.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a program may take to say what is waited for: far more than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program, what it is told and what it says on both of its outputs.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    says: Receiver<Vec<u8>>,
    said: Vec<u8>,
    /// How much of `said` was waited for.
    seen: usize,
}

impl Program {
    pub(crate) fn openssl(args: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, says) = channel();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for mut output in [Box::new(stdout) as Box<dyn Read + Send>, Box::new(stderr)] {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 16384];
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    if tell.send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Self { child, stdin, says, said: Vec::new(), seen: 0 }
    }

    pub(crate) fn type_in(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// A second hand at its keyboard.
    pub(crate) fn keyboard(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    /// Waits until it says `text` after what was waited for before, and returns the rest of that line.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = String::from_utf8_lossy(&self.said[self.seen..]).into_owned();
            if let Some(at) = said.find(text)
                && let Some(end) = said[at + text.len()..].find('\n')
            {
                let line_end = at + text.len() + end;
                self.seen += line_end;
                return said[at + text.len()..line_end].to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.says.recv_timeout(left) {
                Ok(more) => self.said.extend(more),
                Err(_) => panic!("no `{text}` in:\n{}", String::from_utf8_lossy(&self.said)),
            }
        }
    }

    /// Waits until it says nothing more, and returns everything.
    pub(crate) fn wait_for_end(mut self) -> Vec<u8> {
        drop(self.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while let Ok(more) = self.says.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.extend(more);
        }
        std::mem::take(&mut self.said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
