//! The decision, and the proof of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use cedar_policy::PolicySet;
use serde::{Deserialize, Serialize};
use symbolon_wire::Time;

use crate::cedar::{self, Principal};
use crate::{AccessRequest, AppName, CanonName, Entitlement, EntitlementId, Standing, Subject};

/// All entitlements, compiled. Immutable: a change of entitlements makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub(crate) apps: BTreeMap<AppName, AppPolicy>,
}

/// The entitlements to one application.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppPolicy {
    /// One Cedar policy for each entitlement.
    grants: PolicySet,
    /// The same without the conditions, which tells a stranger from somebody who comes too late.
    grantees: PolicySet,
    pub(crate) entitlements: BTreeMap<EntitlementId, Entitlement>,
}

/// Why entitlements do not make a policy. Our caller erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Two entitlements have one id.
    #[error("two entitlements have the id {0}")]
    DuplicateId(EntitlementId),
    /// Cedar does not take the policy.
    #[error("entitlement {id} cannot be compiled: {reason}")]
    NotCompiled {
        /// Which one.
        id: EntitlementId,
        /// Cedar's words.
        reason: String,
    },
}

/// What [`Policy::decide`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The application may be reached.
    Permitted(PathPermitted),
    /// It may not.
    Denied(Denial),
}

/// Proof that a subject may reach an application, made by a decision only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "a permission that is not used was not needed"]
pub struct PathPermitted {
    subject: CanonName,
    app: AppName,
    entitlement: EntitlementId,
    until: Option<Time>,
}

/// Why an application may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// The subject was not approved yet.
    #[error("the registration awaits approval")]
    Pending,
    /// The subject is shut out.
    #[error("the user is locked")]
    Locked,
    /// No entitlement gives the application to the subject.
    #[error("no entitlement to this application")]
    NotEntitled,
    /// An entitlement does, but not now, from here, or with this token.
    #[error("entitled, but not under the present conditions")]
    Conditions,
}

impl Policy {
    /// Compiles entitlements, each to one policy.
    ///
    /// # Errors
    /// [`PolicyError`] names the entitlement that is at fault.
    pub fn new(entitlements: &[Entitlement]) -> Result<Self, PolicyError> {
        let mut apps = BTreeMap::<AppName, AppPolicy>::new();
        let mut ids = std::collections::HashSet::new();
        for entitlement in entitlements {
            let id = entitlement.id;
            if !ids.insert(id) {
                return Err(PolicyError::DuplicateId(id));
            }
            let app = apps.entry(entitlement.app.clone()).or_default();
            app.add(entitlement).map_err(|reason| PolicyError::NotCompiled { id, reason })?;
        }
        Ok(Self { apps })
    }

    /// Decides one request.
    ///
    /// Where several entitlements permit, the proof names the one that lasts longest.
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        self.for_subject(request.subject).decide(request.app, request)
    }

    /// Prepares decisions about one subject, so that several share the work on its groups and path.
    #[must_use]
    pub fn for_subject(&self, subject: &Subject) -> SubjectView<'_> {
        SubjectView {
            policy: self,
            name: subject.name.clone(),
            standing: subject.standing,
            principal: Principal::of(subject).ok(),
        }
    }

    /// The applications that at least one entitlement names, in order.
    pub fn apps(&self) -> impl Iterator<Item = &AppName> {
        self.apps.keys()
    }

    /// The next instant after `now` at which a condition on time begins or ceases to hold for
    /// anybody: decide again then. `None` if that never happens.
    #[must_use]
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let all = self.apps.values().flat_map(|app| app.entitlements.values());
        all.filter_map(|entitlement| entitlement.conditions.next_change(now)).min()
    }
}

impl AppPolicy {
    fn add(&mut self, entitlement: &Entitlement) -> Result<(), String> {
        self.grants.add(cedar::policy(entitlement)?).map_err(|e| e.to_string())?;
        self.grantees.add(cedar::grantee_policy(entitlement)?).map_err(|e| e.to_string())?;
        self.entitlements.insert(entitlement.id, entitlement.clone());
        Ok(())
    }
}

/// One subject before a [`Policy`]; made by [`Policy::for_subject`].
#[derive(Clone, Debug)]
pub struct SubjectView<'p> {
    policy: &'p Policy,
    name: CanonName,
    standing: Standing,
    /// `None` when Cedar does not take the subject, who is then entitled to nothing.
    principal: Option<Principal>,
}

impl SubjectView<'_> {
    /// Decides about `app` under the circumstances of `request`, whose own subject and application
    /// do not count.
    pub fn decide(&self, app: &AppName, request: &AccessRequest<'_>) -> Decision {
        match self.standing {
            Standing::Pending => return Decision::Denied(Denial::Pending),
            Standing::Locked => return Decision::Denied(Denial::Locked),
            Standing::Active => {}
        }
        match (self.policy.apps.get_key_value(app), &self.principal, cedar::request_context(request)) {
            (Some((app, policy)), Some(principal), Ok(context)) => {
                self.decide_app(app, policy, principal, &context, request.now)
            }
            _ => Decision::Denied(Denial::NotEntitled),
        }
    }

    /// Everything that the subject may reach under the circumstances of `request`, in the order of
    /// the applications' names; the request's own subject and application do not count.
    pub fn permitted(&self, request: &AccessRequest<'_>) -> Vec<PathPermitted> {
        let (Standing::Active, Some(principal), Ok(context)) =
            (self.standing, &self.principal, cedar::request_context(request))
        else {
            return Vec::new();
        };
        let decisions = self
            .policy
            .apps
            .iter()
            .map(|(app, policy)| self.decide_app(app, policy, principal, &context, request.now));
        decisions.filter_map(Decision::permitted).collect()
    }

    fn decide_app(
        &self,
        app: &AppName,
        policy: &AppPolicy,
        principal: &Principal,
        context: &cedar_policy::Context,
        now: Time,
    ) -> Decision {
        let granting = principal.permitting(app, context, &policy.grants);
        let lasting = granting
            .iter()
            .filter_map(|id| policy.entitlements.get(&AsRef::<str>::as_ref(id).parse().ok()?))
            .map(|entitlement| (entitlement.id, entitlement.conditions.next_change(now)))
            .max_by_key(|&(id, until)| (until.is_none(), until, Reverse(id)));
        match lasting {
            Some((entitlement, until)) => Decision::Permitted(PathPermitted {
                subject: self.name.clone(),
                app: app.clone(),
                entitlement,
                until,
            }),
            None if principal.permitting(app, context, &policy.grantees).is_empty() => {
                Decision::Denied(Denial::NotEntitled)
            }
            None => Decision::Denied(Denial::Conditions),
        }
    }
}

impl Decision {
    /// The proof, if there is one.
    #[must_use]
    pub fn permitted(self) -> Option<PathPermitted> {
        match self {
            Self::Permitted(proof) => Some(proof),
            Self::Denied(_) => None,
        }
    }
}

impl PathPermitted {
    /// Who may.
    #[must_use]
    pub fn subject(&self) -> &CanonName {
        &self.subject
    }

    /// What may be reached.
    #[must_use]
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// The entitlement that permits it.
    #[must_use]
    pub fn entitlement(&self) -> EntitlementId {
        self.entitlement
    }

    /// The instant at which the entitlement's conditions on time cease to hold; `None` if never.
    #[must_use]
    pub fn until(&self) -> Option<Time> {
        self.until
    }
}
