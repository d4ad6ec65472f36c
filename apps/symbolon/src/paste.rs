//! Commands that we print for people to paste: with the path of this very binary, the directories that the present
//! command was given, and quoted for a shell.

use std::path::{Path, PathBuf};

use crate::cli::Global;

/// How this program is called again, with the same directories.
#[derive(Clone, Debug)]
pub(crate) struct Paste {
    binary: String,
    home: Option<PathBuf>,
    dir: Option<PathBuf>,
}

impl Paste {
    /// As the present command was called.
    pub(crate) fn new(global: &Global) -> Self {
        let absolute = |p: &PathBuf| std::path::absolute(p).unwrap_or_else(|_| p.clone());
        Self {
            binary: binary(),
            home: global.home.as_ref().map(absolute),
            dir: global.dir.as_ref().map(absolute),
        }
    }

    /// As anybody calls it, anywhere.
    pub(crate) fn plain() -> Self {
        Self { binary: binary(), home: None, dir: None }
    }

    /// The same about the node in `dir`, whatever named it.
    pub(crate) fn about(self, dir: &Path) -> Self {
        Self { dir: Some(dir.to_owned()), ..self }
    }

    /// For the directories of a system of its own.
    pub(crate) fn at(home: &Path, dir: &Path) -> Self {
        Self { binary: binary(), home: Some(home.to_owned()), dir: Some(dir.to_owned()) }
    }

    /// A command of a person.
    pub(crate) fn user<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> String {
        self.command(words, "--home", self.home.as_deref())
    }

    /// A command about a node.
    pub(crate) fn node<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> String {
        self.command(words, "--dir", self.dir.as_deref())
    }

    /// Completes the commands in a sentence that a library wrote: `symbolon login` becomes one that works.
    pub(crate) fn complete(&self, sentence: &str) -> String {
        let mut completed = String::new();
        let mut rest = sentence;
        while let Some(at) = rest.find("symbolon ") {
            let (before, command) = rest.split_at(at);
            let after = &command["symbolon ".len()..];
            let word: String = after.chars().take_while(char::is_ascii_lowercase).collect();
            completed.push_str(before);
            let free = !before.ends_with(|c: char| c.is_alphanumeric() || c == '/');
            match word.as_str() {
                "admin" | "serve" if free => completed.push_str(&self.prefix("--dir", self.dir.as_deref())),
                "enrol" | "login" | "agent" | "status" | "ls" | "connect" | "logout" | "doctor" | "token"
                    if free =>
                {
                    completed.push_str(&self.prefix("--home", self.home.as_deref()));
                }
                _ => completed.push_str("symbolon"),
            }
            completed.push(' ');
            rest = after;
        }
        completed.push_str(rest);
        completed
    }

    /// The binary and the directory that it is about.
    fn prefix(&self, flag: &str, dir: Option<&Path>) -> String {
        match dir {
            Some(dir) => format!("{} {flag} {}", quote(&self.binary), quote(&dir.display().to_string())),
            None => quote(&self.binary),
        }
    }

    fn command<S: AsRef<str>>(
        &self,
        words: impl IntoIterator<Item = S>,
        flag: &str,
        dir: Option<&Path>,
    ) -> String {
        let words = words.into_iter().map(|word| quote(word.as_ref()));
        std::iter::once(self.prefix(flag, dir)).chain(words).collect::<Vec<_>>().join(" ")
    }
}

fn binary() -> String {
    match std::env::current_exe() {
        // Linux says so when an upgrade put another file in its place
        Ok(path) => path.display().to_string().trim_end_matches(" (deleted)").to_owned(),
        Err(_) => "symbolon".to_owned(),
    }
}

/// A word as a POSIX shell reads it back.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_from_the_shell_as_it_was() {
        for word in
            ["ls", "", "two words", "it's", "$HOME", "a;b", "https://gw:7843/i#k=x&c=y", "ü", "a\"b\\c"]
        {
            let output =
                std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(word))).output();
            assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_command_carries_the_binary_and_the_directory() {
        let paste = Paste::at(Path::new("/h h"), Path::new("/d"));
        let command = paste.user(["connect", "db"]);
        assert!(command.starts_with('/') && command.ends_with(" --home '/h h' connect db"), "{command}");
        assert!(paste.node(["admin", "users", "list"]).ends_with(" --dir /d admin users list"));
    }

    #[test]
    fn a_command_in_a_sentence_is_completed_and_the_name_alone_is_not() {
        let paste = Paste::at(Path::new("/h"), Path::new("/d"));
        let binary = binary();
        let completed =
            paste.complete("use a newer symbolon of today; symbolon login (symbolon admin users list)");
        let expected = format!(
            "use a newer symbolon of today; {binary} --home /h login ({binary} --dir /d admin users list)"
        );
        assert_eq!(completed, expected);
        assert_eq!(paste.complete(&expected), expected);
    }
}
