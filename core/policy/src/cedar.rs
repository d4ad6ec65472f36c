//! The only place that speaks to Cedar: entitlements become policies, subjects entities, and the
//! circumstances of a request its context.
//!
//! Policies are built in Cedar's JSON form from typed values, so no name or label is ever parsed as
//! policy text. There are only `permit` policies, and Cedar skips a policy that fails to evaluate:
//! every mistake denies.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    Request, RestrictedExpression,
};
use serde_json::{Value, json};
use symbolon_wire::Time;

use crate::window::minute_of_day;
use crate::{
    AccessRequest, AppName, Assurance, Conditions, DailyWindow, Entitlement, Grantee, Subject, Weekday,
};

const USER: &str = "User";
const GROUP: &str = "Group";
const PATH: &str = "Path";
const APP: &str = "App";
const ACTION: &str = "Action";
const REACH: &str = "reach";

/// What one clause of a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Hours,
    NotBefore,
    NotAfter,
    Networks,
    TokenClasses,
    Assurance,
    Machines,
    Places,
}

/// The policy of an entitlement, under its id.
pub(crate) fn policy(entitlement: &Entitlement) -> Result<Policy, String> {
    let clauses = clauses(&entitlement.conditions).into_iter().map(|(_, clause)| clause).collect();
    permit(entitlement, grantee(&entitlement.grantee), clauses)
}

/// The policy that asks only whether the grantee matches.
pub(crate) fn grantee_policy(entitlement: &Entitlement) -> Result<Policy, String> {
    permit(entitlement, grantee(&entitlement.grantee), Vec::new())
}

/// The policy that asks only for one clause of the conditions.
pub(crate) fn clause_policy(entitlement: &Entitlement, clause: Value) -> Result<Policy, String> {
    permit(entitlement, json!({ "op": "All" }), vec![clause])
}

fn permit(entitlement: &Entitlement, principal: Value, clauses: Vec<Value>) -> Result<Policy, String> {
    let conditions: Vec<Value> =
        clauses.into_iter().map(|body| json!({ "kind": "when", "body": body })).collect();
    let policy = json!({
        "effect": "permit",
        "principal": principal,
        "action": { "op": "==", "entity": { "type": ACTION, "id": REACH } },
        "resource": { "op": "==", "entity": { "type": APP, "id": entitlement.app.as_str() } },
        "conditions": conditions,
    });
    Policy::from_json(Some(PolicyId::new(entitlement.id.to_string())), policy).map_err(|e| e.to_string())
}

fn grantee(grantee: &Grantee) -> Value {
    let (op, kind, id) = match grantee {
        Grantee::User(name) => ("==", USER, name.as_str()),
        Grantee::Group(name) => ("in", GROUP, name.as_str()),
        Grantee::Path(path) => ("in", PATH, path.as_str()),
    };
    json!({ "op": op, "entity": { "type": kind, "id": id } })
}

/// One expression for each condition that is named; the policy demands all of them.
pub(crate) fn clauses(conditions: &Conditions) -> Vec<(Topic, Value)> {
    let mut clauses = Vec::new();
    clauses.extend(conditions.hours.map(|h| (Topic::Hours, hours(&h))));
    clauses.extend(
        conditions.not_before.map(|t| (Topic::NotBefore, binary(">=", context("now"), long(micros(t))))),
    );
    clauses.extend(
        conditions.not_after.map(|t| (Topic::NotAfter, binary("<", context("now"), long(micros(t))))),
    );
    let networks = conditions.networks.iter().map(
        |network| json!({ "isInRange": [context("source"), { "ip": [{ "Value": network.to_string() }] }] }),
    );
    clauses.extend(networks.reduce(|a, b| binary("||", a, b)).map(|any| (Topic::Networks, any)));
    let tokens = conditions.token_classes.iter().map(|c| c.as_str());
    clauses.extend(one_of(tokens, "token").map(|any| (Topic::TokenClasses, any)));
    let enough =
        conditions.assurance.map(|least| Assurance::ALL.map(Assurance::as_str)[least as usize..].to_vec());
    let enough = enough.and_then(|levels| one_of(levels.into_iter(), "assurance"));
    clauses.extend(enough.map(|any| (Topic::Assurance, any)));
    let machines = conditions.machines.iter().map(String::as_str);
    clauses.extend(one_of(machines, "machine").map(|any| (Topic::Machines, any)));
    let places = conditions.places.iter().map(String::as_str);
    clauses.extend(one_of(places, "place").map(|any| (Topic::Places, any)));
    clauses
}

fn hours(window: &DailyWindow) -> Value {
    let days: Vec<Value> = window.days().map(|d| long(d as i64)).collect();
    let on = |day: &str| binary("contains", json!({ "Set": days }), context(day));
    let after = binary(">=", context("minute"), long(window.from_minute().into()));
    let before = binary("<", context("minute"), long(window.to_minute().into()));
    if window.wraps() {
        binary("||", binary("&&", after, on("today")), binary("&&", before, on("yesterday")))
    } else {
        binary("&&", on("today"), binary("&&", after, before))
    }
}

fn one_of<'a>(values: impl ExactSizeIterator<Item = &'a str>, attribute: &str) -> Option<Value> {
    if values.len() == 0 {
        return None;
    }
    let set: Vec<Value> = values.map(|v| json!({ "Value": v })).collect();
    Some(binary("contains", json!({ "Set": set }), context(attribute)))
}

fn binary(operator: &str, left: Value, right: Value) -> Value {
    json!({ operator: { "left": left, "right": right } })
}

fn context(attribute: &str) -> Value {
    json!({ ".": { "left": { "Var": "context" }, "attr": attribute } })
}

fn long(n: i64) -> Value {
    json!({ "Value": n })
}

/// Cedar counts in `i64`; later times than it holds are all the last one.
fn micros(time: Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// A subject as Cedar sees it: one entity that is in each of its groups and in each path above it.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    uid: EntityUid,
    entities: Entities,
}

impl Principal {
    pub(crate) fn of(subject: &Subject) -> Result<Self, String> {
        let uid = uid(USER, subject.name.as_str());
        let groups = subject.groups.iter().map(|g| self::uid(GROUP, g.as_str()));
        let paths = subject.path.ancestors().map(|p| self::uid(PATH, p.as_str()));
        let above: HashSet<EntityUid> = groups.chain(paths).collect();
        let entity = Entity::new_no_attrs(uid.clone(), above);
        let entities = Entities::from_entities([entity], None).map_err(|e| e.to_string())?;
        Ok(Self { uid, entities })
    }

    /// The ids of the policies that permit.
    pub(crate) fn permitting(&self, app: &AppName, context: &Context, policies: &PolicySet) -> Vec<PolicyId> {
        let request =
            Request::new(self.uid.clone(), uid(ACTION, REACH), uid(APP, app.as_str()), context.clone(), None);
        let Ok(request) = request else { return Vec::new() };
        let response = Authorizer::new().is_authorized(&request, policies, &self.entities);
        debug_assert_eq!(response.diagnostics().errors().count(), 0, "a policy of ours failed to evaluate");
        match response.decision() {
            cedar_policy::Decision::Allow => response.diagnostics().reason().cloned().collect(),
            cedar_policy::Decision::Deny => Vec::new(),
        }
    }
}

/// What a request brings along, as the context of Cedar's request.
pub(crate) fn request_context(request: &AccessRequest<'_>) -> Result<Context, String> {
    let today = Weekday::of(request.now);
    let source: IpAddr = request.source.to_canonical();
    let text = |t: &str| RestrictedExpression::new_string(t.to_owned());
    let pairs = [
        ("now", RestrictedExpression::new_long(micros(request.now))),
        ("minute", RestrictedExpression::new_long(minute_of_day(request.now).into())),
        ("today", RestrictedExpression::new_long(today as i64)),
        ("yesterday", RestrictedExpression::new_long(today.yesterday() as i64)),
        ("source", RestrictedExpression::new_ip(source.to_string())),
        ("token", text(request.token_class.as_str())),
        ("assurance", text(request.token_class.assurance().as_str())),
        ("machine", text(request.machine)),
        ("place", text(request.place)),
    ];
    Context::from_pairs(pairs.map(|(k, v)| (k.to_owned(), v))).map_err(|e| e.to_string())
}

fn uid(kind: &'static str, id: &str) -> EntityUid {
    static TYPES: LazyLock<[(&str, EntityTypeName); 5]> = LazyLock::new(|| {
        [USER, GROUP, PATH, APP, ACTION]
            .map(|kind| (kind, kind.parse().expect("the five names are identifiers of Cedar's grammar")))
    });
    let (_, kind) = TYPES.iter().find(|(k, _)| *k == kind).expect("callers pass one of the five constants");
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
