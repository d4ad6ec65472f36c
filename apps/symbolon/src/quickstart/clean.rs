//! What quickstart made is written in a marker file before it is made, and nothing else is ever removed.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Layout, make_dir};
use crate::exit::{AtPath as _, Complaint, Outcome};
use crate::output::{Output, Page, Report};
use crate::{place, private};

/// Lists what was made, one name a line; the last line is `.` when the directory itself was.
const MARKER: &str = "made-by-quickstart";

/// The whole directory.
const ITSELF: &str = ".";

/// What a quickstart makes in its directory.
const MADE: [&str; 3] = ["node", "home", "pin"];

/// Makes the directory, and writes down what will be made in it.
pub(super) fn mark(layout: &Layout) -> Outcome {
    let marker = layout.dir.join(MARKER);
    if marker.try_exists().at(&marker)? {
        return Ok(());
    }
    for name in MADE {
        let path = layout.dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Complaint::usage(format!(
                "{} is there already, and not from a quickstart",
                path.display()
            ))
            .code("not-ours")
            .fix("name another directory, which need not exist: --dir DIR"));
        }
    }
    let ours = !layout.dir.exists();
    make_dir(&layout.dir)?;
    let mut lines = MADE.join("\n");
    if ours {
        lines.push_str(&format!("\n{ITSELF}"));
    }
    private::replace(&marker, format!("{lines}\n").as_bytes())
}

#[derive(Serialize)]
struct Cleaned {
    removed: Vec<PathBuf>,
    /// What is left in the directory, which others put there.
    left: Vec<PathBuf>,
    #[serde(skip)]
    dir: PathBuf,
}

impl Report for Cleaned {
    fn write(&self, page: &mut Page) {
        if self.removed.is_empty() {
            page.line(format!("There is no quickstart in {}: nothing was removed.", self.dir.display()));
        }
        self.removed.iter().for_each(|path| page.line(format!("removed {}", path.display())));
        self.left
            .iter()
            .for_each(|path| page.line(format!("left    {} (not made by quickstart)", path.display())));
    }
}

/// Removes what the marker lists.
pub(super) fn run(output: Output, layout: &Layout) -> Outcome {
    let marker = layout.dir.join(MARKER);
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    if marker.try_exists().at(&marker)? {
        refuse_running(layout)?;
        let text = fs::read_to_string(&marker).at(&marker)?;
        let listed: Vec<&str> = text.lines().collect();
        for name in MADE.iter().filter(|name| listed.contains(name)) {
            let path = layout.dir.join(name);
            if remove(&path).at(&path)? {
                removed.push(path);
            }
        }
        fs::remove_file(&marker).at(&marker)?;
        removed.push(marker);
        left = others(&layout.dir)?;
        if listed.contains(&ITSELF) && left.is_empty() {
            fs::remove_dir(&layout.dir).at(&layout.dir)?;
            removed.push(layout.dir.clone());
        }
    }
    output.report(&Cleaned { removed, left, dir: layout.dir.clone() });
    Ok(())
}

/// Two cannot run in one directory, and one that runs would write on into what is removed.
pub(super) fn refuse_running(layout: &Layout) -> Outcome {
    let sockets = [place::admin_socket(&layout.node), layout.home.join("agent.sock")];
    if sockets.iter().all(|socket| UnixStream::connect(socket).is_err()) {
        return Ok(());
    }
    Err(Complaint::failure(format!("a quickstart is running in {}", layout.dir.display()))
        .code("running")
        .fix("end it with ^C in its terminal, or name another directory with --dir"))
}

/// Removes a file or a directory, never what a link leads to; says whether it was there.
fn remove(path: &Path) -> io::Result<bool> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn others(dir: &Path) -> Outcome<Vec<PathBuf>> {
    fs::read_dir(dir).at(dir)?.map(|entry| Ok(entry.at(dir)?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(Layout);

    impl Place {
        fn new(name: &str) -> Self {
            Self(Layout::new(
                std::env::temp_dir().join(format!("symbolon-clean-{}-{name}", std::process::id())),
            ))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.dir);
        }
    }

    const QUIET: Output = Output { json: false, quiet: true };

    fn make_parts(layout: &Layout) {
        fs::create_dir_all(layout.node.join("store")).unwrap();
        fs::create_dir_all(&layout.home).unwrap();
        fs::write(&layout.pin, "1").unwrap();
    }

    #[test]
    fn what_was_made_is_removed_with_the_directory() {
        let place = Place::new("all");
        mark(&place.0).unwrap();
        make_parts(&place.0);
        mark(&place.0).unwrap();
        run(QUIET, &place.0).unwrap();
        assert!(!place.0.dir.exists());
        run(QUIET, &place.0).unwrap();
    }

    #[test]
    fn what_others_put_there_is_left() {
        let place = Place::new("others");
        let dir = &place.0.dir;
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("diary"), "mine").unwrap();
        mark(&place.0).unwrap();
        make_parts(&place.0);
        run(QUIET, &place.0).unwrap();
        assert_eq!(others(dir).unwrap(), [dir.join("diary")]);
    }

    #[test]
    fn a_directory_with_parts_of_another_origin_is_not_touched() {
        let place = Place::new("foreign");
        make_parts(&place.0);
        assert_eq!(mark(&place.0).unwrap_err().code, "not-ours");
        run(QUIET, &place.0).unwrap();
        assert!(place.0.node.join("store").exists());
    }

    #[test]
    fn a_link_is_removed_and_what_it_leads_to_stays() {
        let place = Place::new("link");
        mark(&place.0).unwrap();
        let elsewhere = place.0.dir.join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &place.0.node).unwrap();
        run(QUIET, &place.0).unwrap();
        assert!(elsewhere.exists() && !place.0.node.exists());
    }
}
