//! Distinguished names with a user's name in them (RFC 4514).

use super::LdapTextError;

const PLACE: &str = "{user}";

/// Where users are, as in `uid={user},ou=people,dc=example,dc=org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnTemplate {
    before: String,
    after: String,
}

impl DnTemplate {
    /// Reads a template; the name must be the value of its first attribute, whole.
    ///
    /// # Errors
    /// [`LdapTextError`] when `{user}` is missing, doubled, or somewhere else.
    pub fn parse(text: &str) -> Result<Self, LdapTextError> {
        let wrong = |why| LdapTextError::new("template of a distinguished name", why);
        let (before, after) = text.split_once(PLACE).ok_or(wrong("it lacks {user}"))?;
        if after.contains(PLACE) {
            return Err(wrong("it has {user} twice"));
        }
        let attribute = before.strip_suffix('=').unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let follows = after.len() > 1 && after.starts_with(',');
        if attribute.is_empty() || !attribute.chars().all(plain) || !follows {
            return Err(wrong("expected attribute={user},where"));
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The name of one user.
    pub(super) fn with(&self, user: &str) -> String {
        format!("{}{}{}", self.before, escaped(user), self.after)
    }
}

/// An attribute's value as it stands in a distinguished name (RFC 4514 §2.4).
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => text.extend(['\\', c]),
            '#' if i == 0 => text.push_str("\\#"),
            ' ' if i == 0 || i == last => text.push_str("\\ "),
            // Null must be, other control characters may be.
            c if c.is_ascii_control() => text.push_str(&format!("\\{:02X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_put_where_the_template_says() {
        let template = DnTemplate::parse("uid={user},ou=people,dc=example,dc=org").unwrap();
        assert_eq!(template.with("alice"), "uid=alice,ou=people,dc=example,dc=org");
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let template = DnTemplate::parse("uid={user},ou=people").unwrap();
        assert_eq!(template.with("a,ou=admins"), "uid=a\\,ou\\=admins,ou=people");
        assert_eq!(template.with("a+cn=root"), "uid=a\\+cn\\=root,ou=people");
        assert_eq!(template.with("{user}"), "uid={user},ou=people");
    }

    #[test]
    fn the_examples_of_rfc_4514_are_written_so() {
        assert_eq!(escaped("James \"Jim\" Smith, III"), "James \\\"Jim\\\" Smith\\, III");
        assert_eq!(escaped("Before\rAfter"), "Before\\0DAfter");
        assert_eq!(escaped("# one "), "\\# one\\ ");
        assert_eq!(escaped(" "), "\\ ");
        assert_eq!(escaped("a\0b\\c<>;"), "a\\00b\\\\c\\<\\>\\;");
        assert_eq!(escaped("Lučić"), "Lučić");
    }

    #[test]
    fn a_template_that_would_mix_the_name_with_other_text_is_refused() {
        for odd in [
            "",
            "uid=alice,dc=x",
            "{user}",
            "uid={user}",
            "uid={user},",
            "uid=x{user},dc=x",
            "uid={user}x,dc=x",
            "={user},dc=x",
            "uid={user},cn={user}",
            "ou=a,uid={user},dc=x",
        ] {
            assert!(DnTemplate::parse(odd).is_err(), "{odd}");
        }
    }
}
