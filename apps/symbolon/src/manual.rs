//! Completions, manual pages, the version.

use clap_complete::Shell;
use serde::Serialize;

use crate::cli::{self, Global};
use crate::exit::{AtPath as _, Complaint, Outcome, plain};
use crate::output::{Output, Page, Report};
use crate::place;

/// A text that is printed as it is, and for programs under its name.
struct Text {
    name: &'static str,
    text: String,
}

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, &self.text)])
    }
}

impl Report for Text {
    fn write(&self, page: &mut Page) {
        page.line(self.text.trim_end());
    }
}

/// Prints a shell's completion script.
pub(crate) fn completion(output: Output, shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "symbolon", &mut script);
    output.report(&Text { name: "script", text: String::from_utf8_lossy(&script).into_owned() });
}

/// Prints the help that was asked for.
pub(crate) fn help(output: Output, text: &str) {
    output.report(&Text { name: "help", text: text.to_owned() });
}

#[derive(Serialize)]
struct Pages {
    pages: Vec<String>,
    dir: std::path::PathBuf,
}

impl Report for Pages {
    fn write(&self, page: &mut Page) {
        page.line(format!("{} manual pages are in {}.", self.pages.len(), self.dir.display()));
    }
}

/// Prints the manual page of the whole, or writes that of every command into a directory.
pub(crate) fn man(global: &Global) -> Outcome {
    let mut command = cli::command();
    command.build();
    let Some(dir) = &global.dir else {
        let text = String::from_utf8_lossy(&render(command)?).into_owned();
        global.output().report(&Text { name: "page", text });
        return Ok(());
    };
    let dir = place::absolute(dir)?;
    std::fs::create_dir_all(&dir).at(&dir)?;
    let mut pages = Vec::new();
    write_pages(command, "symbolon".to_owned(), &dir, &mut pages)?;
    global.output().report(&Pages { pages, dir });
    Ok(())
}

fn write_pages(
    command: clap::Command,
    name: String,
    dir: &std::path::Path,
    pages: &mut Vec<String>,
) -> Outcome {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned() {
        let name = format!("{name}-{}", sub.get_name());
        write_pages(sub, name, dir, pages)?;
    }
    let file = dir.join(format!("{name}.1"));
    let page = render(command)?;
    std::fs::write(&file, page).at(&file)?;
    pages.push(format!("{name}.1"));
    Ok(())
}

fn render(command: clap::Command) -> Outcome<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|e| Complaint::failure(format!("the manual page cannot be made: {}", plain(&e))))?;
    Ok(page)
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

impl Report for Version {
    fn write(&self, page: &mut Page) {
        page.line(format!("{} {}", self.name, self.version));
    }
}

/// Prints the version.
pub(crate) fn version(output: Output) {
    output.report(&Version { name: "symbolon", version: env!("CARGO_PKG_VERSION") });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_manual_page() {
        let dir = std::env::temp_dir().join(format!("symbolon-man-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut pages = Vec::new();
        let mut command = cli::command();
        command.build();
        write_pages(command, "symbolon".to_owned(), &dir, &mut pages).unwrap();
        let page = std::fs::read_to_string(dir.join("symbolon-admin-tokens-invite.1")).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(page.contains("\\-\\-expires"), "{page}");
        assert!(pages.len() > 40, "{pages:?}");
    }

    #[test]
    fn every_shell_has_a_completion_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::command(), "symbolon", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("quickstart"), "{shell}");
        }
    }
}
