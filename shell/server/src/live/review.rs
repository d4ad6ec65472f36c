//! What a session may reach, decided anew whenever something changes.

use super::{Inner, LiveSession};
use crate::desk::Snapshot;
use std::borrow::Cow;
use std::sync::MutexGuard;
use symbolon_policy::{AccessRequest, GroupName, PathPermitted, Standing, Subject};
use symbolon_session::EndReason;
use symbolon_store::{App, RegistrationId};
use symbolon_token::Destination;
use symbolon_wire::Time;

impl LiveSession {
    /// Decides anew what the session may reach; tells its client when that changed, and cuts the
    /// streams that are not permitted any more.
    pub(crate) fn review(&self, snapshot: &Snapshot, now: Time) {
        let Some(user) = snapshot.users.get(&self.user) else {
            return self.end(EndReason::EndedByAdministrator);
        };
        if user.subject.standing == Standing::Locked {
            return self.end(EndReason::UserLocked);
        }
        let registration = self.registration().map(|r| RegistrationId(r.0));
        if registration.is_some_and(|r| !snapshot.registrations.contains(&r)) {
            return self.end(EndReason::TokenRevoked);
        }
        let mut inner = self.inner();
        // Two reviews may overlap; what is older does not undo what is newer.
        if snapshot.revision < inner.reviewed {
            return;
        }
        inner.reviewed = snapshot.revision;
        let permitted: Vec<PathPermitted> = {
            // The application of the request does not count, see `SubjectView::permitted`.
            let Some(any) = snapshot.apps.keys().next() else {
                return self.apply(inner, Vec::new(), Vec::new(), now);
            };
            let subject = with_groups(&user.subject, &inner.state.groups);
            let request = AccessRequest {
                subject: &subject,
                app: any,
                now,
                source: inner.source,
                token_class: self.class,
                machine: inner.state.report.machine.as_str(),
                place: inner.state.report.place.as_str(),
            };
            let mut all = snapshot.policy.for_subject(&subject).permitted(&request);
            all.retain(|p| snapshot.apps.contains_key(p.app()));
            all
        };
        let shown =
            permitted.iter().filter_map(|p| Some(destination(p, snapshot.apps.get(p.app())?))).collect();
        inner.state.user_name = user.subject.name.clone();
        self.apply(inner, permitted, shown, now);
    }

    fn apply(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        permitted: Vec<PathPermitted>,
        shown: Vec<Destination>,
        now: Time,
    ) {
        inner.permitted = permitted;
        if inner.version == 0 || inner.shown != shown {
            inner.shown = shown;
            inner.renumber(now);
        }
        let permitted = std::mem::take(&mut inner.permitted);
        inner.cut(EndReason::EntitlementWithdrawn, |app| !permitted.iter().any(|p| p.app() == app));
        inner.permitted = permitted;
        drop(inner);
        self.wake.notify_one();
    }
}

/// The user with the groups in which they are for this session besides.
fn with_groups<'a>(subject: &'a Subject, besides: &[GroupName]) -> Cow<'a, Subject> {
    let mut subject = Cow::Borrowed(subject);
    for group in besides {
        if !subject.groups.contains(group) {
            subject.to_mut().groups.push(group.clone());
        }
    }
    subject
}

fn destination(path: &PathPermitted, app: &App) -> Destination {
    Destination {
        app: path.app().clone(),
        protocol: app.protocol.as_str().to_owned(),
        description: app.description.clone(),
        until: path.until(),
    }
}
