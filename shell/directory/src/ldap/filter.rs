//! Search filters with places for a user's name (RFC 4511 §4.5.1.7, text form of RFC 4515).

use super::LdapTextError;
use super::ber::{Node, OCTETS};

/// How deep a filter may be nested, and how long its text may be.
const MAX_DEPTH: usize = 8;
const MAX_TEXT: usize = 2048;

/// A filter in which `{user}` stands for the user's name and `{dn}` for the user's entry, as in
/// `(&(objectClass=person)(uid={user}))`. It has equality, presence, "and", "or" and "not".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterTemplate(Filter);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equal(String, Vec<Part>),
    Present(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    User,
    Dn,
}

/// What is put into the places.
pub(super) struct Values<'a> {
    pub(super) user: &'a str,
    pub(super) dn: &'a str,
}

impl FilterTemplate {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`LdapTextError`] when it is none, or has a kind of match that is not supported here.
    pub fn parse(text: &str) -> Result<Self, LdapTextError> {
        let wrong = |why| LdapTextError::new("search filter", why);
        if text.len() > MAX_TEXT {
            return Err(wrong("it is too long"));
        }
        let mut parser = Parser { rest: text };
        let filter = parser.filter(0).map_err(wrong)?;
        if !parser.rest.is_empty() {
            return Err(wrong("there is something after its end"));
        }
        Ok(Self(filter))
    }

    pub(super) fn names_user(&self) -> bool {
        self.0.has(&Part::User)
    }

    pub(super) fn names_dn(&self) -> bool {
        self.0.has(&Part::Dn)
    }

    /// The filter with the values in their places: bytes beside bytes, so that no character of a
    /// name has a meaning.
    pub(super) fn with(&self, values: &Values<'_>) -> Filled {
        self.0.with(values)
    }
}

impl Filter {
    fn has(&self, part: &Part) -> bool {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().any(|f| f.has(part)),
            Self::Not(inner) => inner.has(part),
            Self::Equal(_, parts) => parts.contains(part),
            Self::Present(_) => false,
        }
    }

    fn with(&self, values: &Values<'_>) -> Filled {
        let all = |list: &[Self]| list.iter().map(|f| f.with(values)).collect();
        match self {
            Self::And(list) => Filled::List(0xa0, all(list)),
            Self::Or(list) => Filled::List(0xa1, all(list)),
            Self::Not(inner) => Filled::List(0xa2, vec![inner.with(values)]),
            Self::Present(attribute) => Filled::Present(attribute.clone()),
            Self::Equal(attribute, parts) => {
                let value = parts.iter().map(|part| match part {
                    Part::Bytes(bytes) => bytes.as_slice(),
                    Part::User => values.user.as_bytes(),
                    Part::Dn => values.dn.as_bytes(),
                });
                Filled::Equal(attribute.clone(), value.collect::<Vec<_>>().concat())
            }
        }
    }
}

/// A filter ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    List(u8, Vec<Self>),
    Equal(String, Vec<u8>),
    Present(String),
}

impl Filled {
    pub(super) fn node(&self) -> Node<'_> {
        match self {
            Self::List(tag, list) => Node::List(*tag, list.iter().map(Self::node).collect()),
            Self::Equal(attribute, value) => {
                Node::List(0xa3, vec![Node::Bytes(OCTETS, attribute.as_bytes()), Node::Bytes(OCTETS, value)])
            }
            Self::Present(attribute) => Node::Bytes(0x87, attribute.as_bytes()),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn filter(&mut self, depth: usize) -> Result<Filter, &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        self.take("(")?;
        let filter = match self.rest.as_bytes().first() {
            Some(b'&') => Filter::And(self.list(depth)?),
            Some(b'|') => Filter::Or(self.list(depth)?),
            Some(b'!') => {
                self.take("!")?;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.take(")")?;
        Ok(filter)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, &'static str> {
        self.rest = &self.rest[1..];
        let mut list = Vec::new();
        while self.rest.starts_with('(') {
            list.push(self.filter(depth + 1)?);
        }
        // An empty list would be true or false for everybody (RFC 4526).
        if list.is_empty() { Err("a list in it is empty") } else { Ok(list) }
    }

    fn item(&mut self) -> Result<Filter, &'static str> {
        let (attribute, rest) = self.rest.split_once('=').ok_or("expected attribute=value")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == ';';
        if attribute.is_empty() || !attribute.chars().all(plain) {
            return Err("expected attribute=value; other matches are not supported");
        }
        let end = rest.find(')').ok_or("a bracket is not closed")?;
        let (value, rest) = rest.split_at(end);
        self.rest = rest;
        if value == "*" {
            return Ok(Filter::Present(attribute.to_owned()));
        }
        Ok(Filter::Equal(attribute.to_owned(), parts(value)?))
    }

    fn take(&mut self, what: &str) -> Result<(), &'static str> {
        self.rest = self.rest.strip_prefix(what).ok_or("brackets are missing")?;
        Ok(())
    }
}

fn parts(mut value: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut bytes = Vec::new();
    let flush = |bytes: &mut Vec<u8>, parts: &mut Vec<Part>| {
        if !bytes.is_empty() {
            parts.push(Part::Bytes(std::mem::take(bytes)));
        }
    };
    while let Some(c) = value.chars().next() {
        let place = [("{user}", Part::User), ("{dn}", Part::Dn)];
        if let Some((name, part)) = place.into_iter().find(|(name, _)| value.starts_with(name)) {
            flush(&mut bytes, &mut parts);
            parts.push(part);
            value = &value[name.len()..];
            continue;
        }
        match c {
            '\\' => {
                let digits = value.get(1..3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                bytes.push(byte.ok_or("a backslash is followed by two hexadecimal digits")?);
                value = &value[3..];
            }
            '*' => return Err("a match of parts of a value is not supported"),
            '(' | '\0' | '{' | '}' => return Err("a character in it must be escaped"),
            c => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                value = &value[c.len_utf8()..];
            }
        }
    }
    flush(&mut bytes, &mut parts);
    if parts.is_empty() { Err("a value in it is empty") } else { Ok(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str, user: &str, dn: &str) -> Filled {
        FilterTemplate::parse(template).unwrap().with(&Values { user, dn })
    }

    fn equal(attribute: &str, value: &str) -> Filled {
        Filled::Equal(attribute.to_owned(), value.as_bytes().to_vec())
    }

    #[test]
    fn values_are_put_into_their_places() {
        let filter =
            filled("(&(objectClass=person)(|(uid={user})(mail={user}@x.org))(!(locked=*)))", "alice", "");
        let either = Filled::List(0xa1, vec![equal("uid", "alice"), equal("mail", "alice@x.org")]);
        let unlocked = Filled::List(0xa2, vec![Filled::Present("locked".to_owned())]);
        assert_eq!(filter, Filled::List(0xa0, vec![equal("objectClass", "person"), either, unlocked]));
    }

    #[test]
    fn no_character_of_a_value_has_a_meaning() {
        for hostile in ["*", "*)(uid=*", "a)(|(uid=*))", "\\2a", "\0", "{dn}", "&", "(", "al*ce"] {
            assert_eq!(filled("(uid={user})", hostile, "dn"), equal("uid", hostile));
            assert_eq!(filled("(member={dn})", "user", hostile), equal("member", hostile));
        }
    }

    #[test]
    fn escapes_of_the_template_are_understood() {
        assert_eq!(filled(r"(cn=a\2ab\28\29\5c\c3\a9)", "", ""), equal("cn", "a*b()\\é"));
    }

    #[test]
    fn a_filter_that_is_none_or_matches_loosely_is_refused() {
        for odd in [
            "",
            "uid={user}",
            "(uid={user}",
            "(uid={user}))",
            "()",
            "(&)",
            "(|)",
            "(!)",
            "(uid=)",
            "(=x)",
            "(uid=a*)",
            "(uid=*{user}*)",
            "(uid~=x)",
            "(uid>=x)",
            "(uid:dn:=x)",
            "(uid=\\2)",
            "(uid=\\zz)",
            "(uid={name})",
            "(uid=a(b)",
            "(&(uid={user})x)",
            "(u id=x)",
            "(uid=\\+1)",
        ] {
            assert!(FilterTemplate::parse(odd).is_err(), "{odd}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(20), ")".repeat(20));
        assert!(FilterTemplate::parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[()&|!=*a-z{}\\\\0-9é]{0,40}") {
            let _ = FilterTemplate::parse(&text);
        }
    }
}
