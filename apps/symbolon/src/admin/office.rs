//! What the gateway trusts: its issuer, and the lists of other authorities.

use serde::Serialize;
use serde_json::Value;

use super::listing::cell;
use crate::output::{Page, Report, Table};

const HEADS: [&str; 6] = ["LIST OF", "NUMBER", "THIS UPDATE", "NEXT UPDATE", "AGE", "PROBLEM"];

/// The state of the certificate office.
pub(super) struct Office(pub(super) Value);

impl Serialize for Office {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Report for Office {
    fn write(&self, page: &mut Page) {
        let fields = self.0.as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| !["schema", "lists"].contains(&name.as_str()));
        page.pairs(fields.map(|(name, value)| (name.as_str(), cell(value))));
        let Some(lists) = self.0["lists"].as_array().filter(|lists| !lists.is_empty()) else { return };
        let mut table = Table::new(HEADS);
        for list in lists {
            let age = list["age_secs"].as_u64().map(age).unwrap_or_default();
            let field = |name: &str| cell(&list[name]);
            let (from, until) = (field("this_update"), field("next_update"));
            table.row([field("authority"), field("number"), from, until, age, field("problem")]);
        }
        page.gap();
        page.table(&table, "");
    }
}

/// In the largest unit of which there are two.
fn age(secs: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let (size, unit) = units.into_iter().find(|(size, _)| secs >= 2 * size).unwrap_or((1, "s"));
    format!("{} {unit}", secs / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_stand_below_the_issuer_with_their_age() {
        let list = json!({ "authority": "partner", "file": "/etc/partner.crl", "number": "0a",
            "this_update": "2026-11-21T10:00:00Z", "next_update": "2026-11-28T10:00:00Z", "age_secs": 7300,
            "problem": null });
        let office = Office(json!({ "issuer": "ab cd", "lists": [list] }));
        let mut page = Page::new(false);
        office.write(&mut page);
        let text = page.text();
        assert!(text.starts_with("issuer  ab cd\n\nLIST OF"), "{text}");
        assert!(text.contains("partner  0a") && text.contains("2 h"), "{text}");
        assert_eq!(serde_json::to_value(&office).unwrap()["lists"][0]["age_secs"], 7300);
        assert_eq!([0, 119, 120, 7_199, 172_800].map(age), ["0 s", "119 s", "2 min", "119 min", "2 d"]);
    }
}
