//! TLS connections that another worker carried: each has its place again, and is looked at anew.

use super::Shared;
use super::admit::{Shown, Verdicts};
use super::live::{Returning, TlsPlace};
use crate::live::Adoption;
use crate::pipe::{Note, Owner};
use symbolon_store::UserId;

impl Shared {
    /// Gives a connection its place. One whose right is gone is cut by the next review: at once, unless this process
    /// does not know yet what has changed since it was prepared.
    pub(crate) fn readmit_tls(&self, note: &Note, adopted: Adoption) -> Option<TlsPlace> {
        let known = self.desk.present();
        let name = |user: &UserId| known.users.get(user).map(|u| u.subject.name.to_string());
        let (number, who) = match &note.owner {
            Owner::Stream { .. } => return None,
            Owner::Anyone { number } => (*number, None),
            Owner::Entitled { number, user, chain } => {
                (*number, Some((*user, name(user), Shown::to_another(chain))))
            }
        };
        let returning =
            Returning { number, app: note.app.clone(), source: note.source, since: note.since, who, adopted };
        let place = self.tls.readmit(returning);
        if *self.informed.borrow() {
            let snapshot = self.desk.present();
            let mut verdicts = Verdicts::by(&snapshot);
            self.tls.review_one(place.number(), |connection| self.still_admitted(connection, &mut verdicts));
        }
        Some(place)
    }
}
