//! The dashboard and the alerts that we hand out, against what a node tells.

use super::Metrics;
use serde_json::Value;
use std::collections::BTreeSet;

const DASHBOARD: &str = include_str!("../../../../packaging/grafana/symbolon.json");
const RULES: &str = include_str!("../../../../packaging/prometheus/symbolon.rules.yml");
const DOCUMENTATION: &str = include_str!("../../../../docs/operations.md");

/// Words of an expression that are neither metrics nor functions.
const WORDS: [&str; 8] = ["and", "or", "unless", "by", "on", "offset", "without", "bool"];

/// What Prometheus itself knows of a node.
const OF_PROMETHEUS: &str = "up";

fn told() -> BTreeSet<String> {
    let metrics = Metrics::new();
    metrics.signed_in("token");
    let text = metrics.to_text(|_| {}).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

/// Everything under `key`, at any depth.
fn all<'a>(key: &str, within: &'a Value, found: &mut Vec<&'a str>) {
    if let Some(text) = within.get(key).and_then(Value::as_str) {
        found.push(text);
    }
    let list = within.as_array().into_iter().flatten();
    list.chain(within.as_object().into_iter().flat_map(|o| o.values())).for_each(|v| all(key, v, found));
}

/// An expression without what stands between brackets of a kind.
fn without(expression: &str, open: char, close: char) -> String {
    let mut inside = false;
    let kept = expression.chars().filter(|&letter| {
        inside |= letter == open;
        let keep = !inside;
        inside &= letter != close;
        keep
    });
    kept.collect()
}

/// The metrics that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let mut plain = without(&without(expression, '{', '}'), '[', ']');
    for grouping in ["by (", "on (", "without (", "ignoring ("] {
        while let Some((before, behind)) = plain.split_once(grouping) {
            plain = format!("{before} {}", behind.split_once(')').unwrap_or_default().1);
        }
    }
    let ends = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    let mut names = BTreeSet::new();
    let mut rest = plain.as_str();
    while let Some(at) = rest.find(|letter: char| !ends(letter)) {
        let word = rest[at..].split(ends).next().unwrap_or_default();
        rest = &rest[at + word.len()..];
        let is_name = word.starts_with(|letter: char| letter.is_ascii_alphabetic());
        if is_name && !rest.trim_start().starts_with('(') && !WORDS.contains(&word) {
            names.insert(word.to_owned());
        }
    }
    names
}

fn names_of(expressions: &[&str]) -> BTreeSet<String> {
    expressions.iter().flat_map(|expression| named(expression)).collect()
}

fn dashboard() -> BTreeSet<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    all("expr", &dashboard, &mut expressions);
    all("definition", &dashboard, &mut expressions);
    let instances = "label_values(symbolon_build_info, instance)";
    assert!(expressions.contains(&instances), "{expressions:?}");
    expressions.retain(|expression| *expression != instances);
    names_of(&expressions)
}

#[test]
fn the_names_of_an_expression_are_its_metrics() {
    let names =
        named("sum by (method) (rate(a_total{b=~\"$c\"}[5m])) / d > 0.8 and on (job, e) f_g unless up");
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["a_total", "d", "f_g", "up"]);
}

#[test]
fn the_dashboard_shows_what_a_node_tells_all_of_it_and_nothing_else() {
    assert_eq!(dashboard(), told());
}

#[test]
fn the_alerts_are_about_what_a_node_tells() {
    let expressions: Vec<&str> =
        RULES.lines().filter_map(|line| line.trim_start().strip_prefix("expr: ")).collect();
    assert_eq!(expressions.len(), RULES.matches("- alert: ").count(), "{expressions:?}");
    let told = told();
    for expression in expressions {
        let names = named(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(told.contains(&name) || name == OF_PROMETHEUS, "{name} in {expression}");
        }
    }
}

#[test]
fn what_a_node_tells_is_documented() {
    let words: BTreeSet<&str> =
        DOCUMENTATION.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    for name in told() {
        assert!(words.contains(name.as_str()), "{name}");
    }
}
