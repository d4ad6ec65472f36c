//! A node's configuration: file < environment (`SYMBOLON_…`) < flags.
//!
//! Every key of the file has a variable: `listen` is `SYMBOLON_LISTEN`, `limits.dial_secs` is
//! `SYMBOLON_LIMITS_DIAL_SECS`. Which keys there are, and of what type, is read off the defaults, so that a new one
//! cannot be forgotten here. `log` is this program's own: which log lines are written.

use symbolon_server::{Node, NodeConfig};
use toml::{Table, Value};

use crate::cli::Global;
use crate::exit::{Complaint, Outcome};
use crate::place::{self, config_error};

/// Keys that the defaults leave out.
const OPTIONAL: [&str; 7] = ["name", "public_address", "publish_key_sets", "with", "store", "hot", "log"];

/// The configuration, and which log lines to write.
pub(crate) fn load(global: &Global, flags: Table) -> Outcome<(NodeConfig, Option<String>)> {
    let dir = place::node_dir(global)?;
    let file = place::config_table(global)?.unwrap_or_default();
    let mut table = merge(file, |name| std::env::var(name).ok(), flags)?;
    table.insert("dir".to_owned(), dir.display().to_string().into());
    let log = match table.remove("log") {
        None => None,
        Some(Value::String(log)) => Some(log),
        Some(_) => return Err(config_error("log", "it must be a text such as \"info\"")),
    };
    let config = Value::Table(table).try_into().map_err(|e| config_error("configuration", &e.to_string()))?;
    Ok((config, log))
}

fn merge(mut table: Table, variable: impl Fn(&str) -> Option<String>, flags: Table) -> Outcome<Table> {
    let defaults = Table::try_from(NodeConfig::in_dir("/"))
        .map_err(|e| Complaint::failure(format!("the defaults cannot be written: {e}")))?;
    from_environment(&mut table, &defaults, "SYMBOLON_", &variable)?;
    for name in OPTIONAL {
        if let Some(text) = variable(&variable_name("SYMBOLON_", name)).filter(|t| !t.is_empty()) {
            table.insert(name.to_owned(), text.into());
        }
    }
    table.extend(flags);
    Ok(table)
}

fn from_environment(
    table: &mut Table,
    defaults: &Table,
    prefix: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Outcome {
    for (key, default) in defaults.iter().filter(|(key, _)| *key != "dir") {
        let name = variable_name(prefix, key);
        if let Value::Table(defaults) = default {
            let inner = table.entry(key.clone()).or_insert_with(|| Table::new().into());
            if let Value::Table(inner) = inner {
                from_environment(inner, defaults, &format!("{name}_"), variable)?;
            }
        } else if let Some(text) = variable(&name).filter(|t| !t.is_empty()) {
            table.insert(key.clone(), typed(&name, &text, default)?);
        }
    }
    Ok(())
}

fn variable_name(prefix: &str, key: &str) -> String {
    format!("{prefix}{}", key.to_ascii_uppercase())
}

/// The text of a variable, of the type that the key has.
fn typed(name: &str, text: &str, like: &Value) -> Outcome<Value> {
    let wrong = |what: &str| config_error(name, &format!("\"{text}\" is not {what}"));
    match like {
        Value::Boolean(_) => match text {
            "true" | "1" | "yes" => Ok(true.into()),
            "false" | "0" | "no" => Ok(false.into()),
            _ => Err(wrong("true or false")),
        },
        Value::Integer(_) => text.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number")),
        _ => Ok(text.into()),
    }
}

/// Has new workers take in what has changed, and says what they cannot: the ports are open, and without being carried
/// on, connections would end with the old ones.
pub(super) fn take_in_changes(node: &Node, running: &NodeConfig, new: &NodeConfig) {
    let tls_port = |config: &NodeConfig| config.tls.as_ref().map(|tls| tls.listen);
    let has_ports = (running.listen, tls_port(running)) == (new.listen, tls_port(new));
    let keys = changed_keys(running, new);
    if keys.is_empty() {
        tracing::info!("configuration read again");
    } else if !running.carry_on {
        tracing::warn!(keys, "changed in the configuration: restart the node for these");
    } else {
        if !has_ports {
            tracing::warn!("the ports stay as they are: restart the node for others");
        }
        match node.replace() {
            Ok(()) => tracing::info!(keys, "changed in the configuration: new workers take over"),
            Err(e) => tracing::error!(keys, "changed in the configuration, and nobody takes over: {e}"),
        }
    }
}

fn changed_keys(running: &NodeConfig, new: &NodeConfig) -> String {
    let (running, new) = (Table::try_from(running), Table::try_from(new));
    let (running, new) = (running.unwrap_or_default(), new.unwrap_or_default());
    let keys = running.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>();
    let changed = keys.into_iter().filter(|k| running.get(*k) != new.get(*k)).map(String::as_str);
    changed.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, environment: &[(&str, &str)], flags: &str) -> Outcome<Table> {
        let variable =
            |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        merge(file.parse().unwrap(), variable, flags.parse().unwrap())
    }

    #[test]
    fn flags_are_stronger_than_the_environment_and_that_than_the_file() {
        let file = "listen = \"1.1.1.1:1\"\ntemplate = \"a\"\nname = \"file\"";
        let environment = [("SYMBOLON_TEMPLATE", "b"), ("SYMBOLON_NAME", "env"), ("SYMBOLON_LOG", "debug")];
        let table = merged(file, &environment, "name = \"flag\"").unwrap();
        let text = |key: &str| table[key].as_str().unwrap().to_owned();
        assert_eq!(
            [text("listen"), text("template"), text("name"), text("log")],
            ["1.1.1.1:1", "b", "flag", "debug"]
        );
    }

    #[test]
    fn every_key_has_a_variable_of_its_type() {
        let environment = [("SYMBOLON_LIMITS_DIAL_SECS", "3"), ("SYMBOLON_OPEN_REGISTRATION", "yes")];
        let table = merged("", &environment, "").unwrap();
        assert_eq!(table["limits"]["dial_secs"].as_integer(), Some(3));
        assert_eq!(table["open_registration"].as_bool(), Some(true));
        let wrong = merged("", &[("SYMBOLON_SESSION_LIFETIME_SECS", "long")], "").unwrap_err();
        assert!(wrong.message.contains("SYMBOLON_SESSION_LIFETIME_SECS"), "{wrong}");
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let mut table = merged("lisen = \"x\"", &[], "").unwrap();
        table.insert("dir".to_owned(), "/".into());
        let config: Result<NodeConfig, _> = Value::Table(table).try_into();
        assert!(config.unwrap_err().to_string().contains("lisen"));
    }
}
