//! A decision in words that an administrator reads.

use std::fmt;

use cedar_policy::{Context, Policy as CedarPolicy, PolicySet};
use serde::Serialize;
use symbolon_wire::Time;

use crate::cedar::{self, Principal, Topic};
use crate::{
    AccessRequest, AppName, Assurance, CanonName, DailyWindow, Decision, Entitlement, EntitlementId, Grantee,
    Policy, Standing, Weekday, format_time,
};

/// Why a request is decided as it is: every entitlement that names the application, and for each
/// condition whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who asks.
    pub subject: CanonName,
    /// Whether it may do anything at all.
    pub standing: Standing,
    /// For what.
    pub app: AppName,
    /// What [`Policy::decide`] says.
    pub permitted: bool,
    /// The verdict in words.
    pub verdict: String,
    /// In the order of their ids; empty when nobody was given the application.
    pub entitlements: Vec<ExplainedEntitlement>,
}

/// One entitlement before one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedEntitlement {
    /// Which one.
    pub id: EntitlementId,
    /// Whether it permits: grantee and conditions all hold.
    pub permits: bool,
    /// Whether it is given to the subject.
    pub grantee: Finding,
    /// One for each condition that it names.
    pub conditions: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it speaks for the permission.
    pub holds: bool,
    /// What was asked for and what was found.
    pub text: String,
}

impl Policy {
    /// Explains the decision that [`Policy::decide`] makes about the same request.
    ///
    /// Each line is the answer of the engine that decides, to the same expression asked alone, so
    /// that explanation and decision cannot drift apart.
    #[must_use]
    pub fn explain(&self, request: &AccessRequest<'_>) -> Explanation {
        let decision = self.decide(request);
        let mut entitlements = Vec::new();
        if let (Ok(principal), Ok(context)) =
            (Principal::of(request.subject), cedar::request_context(request))
        {
            let ask = Questioner { principal, context, request };
            let app = self.apps.get(request.app);
            entitlements.extend(app.iter().flat_map(|a| a.entitlements.values()).map(|e| ask.explain(e)));
        }
        Explanation {
            subject: request.subject.name.clone(),
            standing: request.subject.standing,
            app: request.app.clone(),
            verdict: verdict(&decision),
            permitted: matches!(decision, Decision::Permitted(_)),
            entitlements,
        }
    }
}

fn verdict(decision: &Decision) -> String {
    match decision {
        Decision::Permitted(proof) => match proof.until() {
            None => format!("permitted by entitlement {}", proof.entitlement()),
            Some(until) => {
                format!("permitted by entitlement {} until {}", proof.entitlement(), format_time(until))
            }
        },
        Decision::Denied(denial) => format!("denied: {denial}"),
    }
}

/// Asks Cedar one thing at a time.
struct Questioner<'a> {
    principal: Principal,
    context: Context,
    request: &'a AccessRequest<'a>,
}

impl Questioner<'_> {
    fn explain(&self, entitlement: &Entitlement) -> ExplainedEntitlement {
        let grantee = Finding {
            holds: self.holds(cedar::grantee_policy(entitlement)),
            text: self.grantee(&entitlement.grantee),
        };
        let conditions: Vec<Finding> = cedar::clauses(&entitlement.conditions)
            .into_iter()
            .map(|(topic, clause)| Finding {
                holds: self.holds(cedar::clause_policy(entitlement, clause)),
                text: self.condition(topic, entitlement),
            })
            .collect();
        let active = self.request.subject.standing == Standing::Active;
        let permits = active && grantee.holds && conditions.iter().all(|c| c.holds);
        ExplainedEntitlement { id: entitlement.id, permits, grantee, conditions }
    }

    fn holds(&self, question: Result<CedarPolicy, String>) -> bool {
        let set = question.ok().and_then(|policy| PolicySet::from_policies([policy]).ok());
        set.is_some_and(|set| !self.principal.permitting(self.request.app, &self.context, &set).is_empty())
    }

    fn grantee(&self, grantee: &Grantee) -> String {
        let subject = self.request.subject;
        match grantee {
            Grantee::User(_) => format!("given to {grantee}: this is {}", subject.name),
            Grantee::Group(_) => {
                let groups: Vec<&str> = subject.groups.iter().map(AsRef::as_ref).collect();
                format!("given to {grantee}: {} is in {}", subject.name, listed(&groups, "no group"))
            }
            Grantee::Path(_) => format!("given to {grantee}: {} is at {}", subject.name, subject.path),
        }
    }

    fn condition(&self, topic: Topic, entitlement: &Entitlement) -> String {
        let conditions = &entitlement.conditions;
        let now = self.request.now;
        let time = |wanted: Option<Time>| wanted.map(format_time).unwrap_or_default();
        match topic {
            Topic::Hours => format!(
                "hours {} UTC: it is {} {}",
                conditions.hours.as_ref().map(DailyWindow::to_string).unwrap_or_default(),
                Weekday::of(now).as_str(),
                format_time(now)
            ),
            Topic::NotBefore => format!("from {}: it is {}", time(conditions.not_before), format_time(now)),
            Topic::NotAfter => format!("until {}: it is {}", time(conditions.not_after), format_time(now)),
            Topic::Networks => format!(
                "network {}: the client is at {}",
                listed(&texts(&conditions.networks), ""),
                self.request.source.to_canonical()
            ),
            Topic::TokenClasses => format!(
                "token {}: the sign-in used {}",
                listed(&texts(&conditions.token_classes), ""),
                self.request.token_class
            ),
            Topic::Assurance => format!(
                "assurance {} or more: the sign-in by {} gives {}",
                conditions.assurance.map(Assurance::as_str).unwrap_or_default(),
                self.request.token_class,
                self.request.token_class.assurance()
            ),
            Topic::Machines => reported("machine", &conditions.machines, self.request.machine),
            Topic::Places => reported("place", &conditions.places, self.request.place),
        }
    }
}

fn reported(what: &str, wanted: &[String], found: &str) -> String {
    // the client chose its label: {:?} keeps it from driving the administrator's terminal
    match found {
        "" => format!("{what} {}: the client reports none", listed(wanted, "")),
        found => format!("{what} {}: the client reports {found:?}", listed(wanted, "")),
    }
}

fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn listed(values: &[impl AsRef<str>], none: &str) -> String {
    match values {
        [] => none.to_owned(),
        values => values.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
    }
}

/// The verdict on the first line, then each entitlement with `+` and `-` for what holds and fails.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} → {}: {}", self.subject, self.app, self.verdict)?;
        if self.standing != Standing::Active {
            writeln!(f, "  - the user is {}", self.standing)?;
        }
        if self.entitlements.is_empty() {
            writeln!(f, "  nobody is entitled to {}", self.app)?;
        }
        for entitlement in &self.entitlements {
            writeln!(f, "  entitlement {}", entitlement.id)?;
            for finding in std::iter::once(&entitlement.grantee).chain(&entitlement.conditions) {
                writeln!(f, "    {} {}", if finding.holds { '+' } else { '-' }, finding.text)?;
            }
        }
        Ok(())
    }
}
