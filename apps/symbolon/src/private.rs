//! Files that only their owner reads, and the question who reads our standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};

use crate::exit::{AtPath as _, Complaint, Outcome};
use crate::interrupt::{self, Interruptible};
use crate::paste::quote;

/// A new file that only its owner reads. It is gone again unless it was finished: half of it would be taken for the
/// whole, and stand in the way of the next try.
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
    unfinished: Option<Interruptible>,
}

impl NewFile {
    /// Makes it where no file is.
    pub(crate) fn create(path: &Path) -> Outcome<Self> {
        let file = create(path)?;
        let path = path.to_owned();
        let half = path.clone();
        let undo = interrupt::undo(move || {
            let _ = std::fs::remove_file(half);
        });
        Ok(Self { file, path, unfinished: Some(undo) })
    }

    /// Adds to it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.file.write_all(bytes).at(&self.path)
    }

    /// Makes it durable: from now on it stays.
    pub(crate) fn finish(mut self) -> Outcome {
        self.file.sync_all().at(&self.path)?;
        self.unfinished = None;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.unfinished.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn create(path: &Path) -> Outcome<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let name = path.display().to_string();
            Err(Complaint::failure(format!("{name} is there already"))
                .code("exists")
                .fix(format!("choose another name, or remove it: rm {}", quote(&name))))
        }
        made => made.at(path),
    }
}

/// Writes a file that only its owner reads, whole or not at all, over one that may be there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Outcome {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut file = NewFile::create(&temporary)?;
    file.write(bytes)?;
    file.finish()?;
    std::fs::rename(&temporary, path).at(path).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Who can read what we print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whoever sits at the terminal.
    Terminal,
    /// The program or file of the same user, such as `$(…)`.
    Owner,
    /// A journal, or a file that others may read.
    Others,
}

impl Audience {
    /// Of standard output.
    pub(crate) fn of_stdout() -> Self {
        let stdout = io::stdout();
        let journal = std::env::var("JOURNAL_STREAM").ok();
        if stdout.is_terminal() { Self::Terminal } else { Self::of(stdout, journal.as_deref()) }
    }

    /// `journal` is the variable `JOURNAL_STREAM` of systemd.exec(5): device and inode of the journal's socket.
    fn of(stream: impl AsFd, journal: Option<&str>) -> Self {
        let Ok(status) = fstat(stream) else { return Self::Others };
        let here = format!("{}:{}", status.st_dev, status.st_ino);
        match FileType::from_raw_mode(status.st_mode) {
            _ if journal == Some(&here) => Self::Others,
            FileType::RegularFile if status.st_mode & 0o077 != 0 => Self::Others,
            _ => Self::Owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn place(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("symbolon-private-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_new_file_belongs_to_its_owner_alone_and_replaces_nothing() {
        let path = place("new");
        drop(NewFile::create(&path).unwrap());
        assert!(!path.exists(), "half a file does not stay");
        let mut file = NewFile::create(&path).unwrap();
        file.write(b"x").unwrap();
        file.finish().unwrap();
        let again = create(&path);
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
        replace(&path, b"y").unwrap();
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((mode, content.as_slice()), (0o600, b"y".as_slice()));
        assert_eq!(again.unwrap_err().code, "exists");
    }

    #[test]
    fn a_journal_and_a_public_file_are_read_by_others() {
        let path = place("audience");
        let file = File::create(&path).unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Audience::of(&file, None)
        };
        assert_eq!((with_mode(0o644), with_mode(0o600)), (Audience::Others, Audience::Owner));
        std::fs::remove_file(&path).unwrap();

        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let status = fstat(&socket).unwrap();
        let journal = format!("{}:{}", status.st_dev, status.st_ino);
        assert_eq!(Audience::of(&socket, Some(&journal)), Audience::Others);
        assert_eq!(Audience::of(&socket, Some("1:2")), Audience::Owner);
    }
}
