//! Access control paths: where a subject's entitlements hang.

use crate::name::canonical_spelling;
use crate::text::text_type;
use crate::{CanonName, NameError};

/// The most segments in a path: deeper than any organisation chart, and Cedar walks them all.
const MAX_SEGMENTS: usize = 16;

/// The shape that an error names.
const FORM: &str = "/people/alice";

/// An access control path (B6): `/people/alice`. Each segment is spelt by the rules of a
/// [`CanonName`]; `/` is the root, under which everybody is. At most 16 segments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessPath(String);
text_type!(AccessPath, "access control path");

impl AccessPath {
    /// Reads a path and brings its segments into their canonical spelling.
    ///
    /// # Errors
    /// [`NameError`] when it does not start with `/`, has an empty segment, or one that is no name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let inner = text.strip_prefix('/').ok_or(NameError::Form(FORM))?;
        if inner.is_empty() {
            return Ok(Self::root());
        }
        let mut path = String::new();
        for (n, segment) in inner.split('/').enumerate() {
            if n == MAX_SEGMENTS {
                return Err(NameError::TooLong(MAX_SEGMENTS));
            }
            if segment.is_empty() {
                return Err(NameError::Form(FORM));
            }
            path.push('/');
            path.push_str(&canonical_spelling(segment)?);
        }
        Ok(Self(path))
    }

    /// `/`, which every path starts with.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path one step below, as in `/people` and `alice`.
    ///
    /// # Errors
    /// [`NameError::TooLong`] when the path already has 16 segments.
    pub fn join(&self, name: &CanonName) -> Result<Self, NameError> {
        if self.segments().count() == MAX_SEGMENTS {
            return Err(NameError::TooLong(MAX_SEGMENTS));
        }
        Ok(Self(format!("{}/{name}", self.0.trim_end_matches('/'))))
    }

    /// From the top down; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|s| !s.is_empty())
    }

    /// This path, the one above it, and so on up to the root.
    #[must_use]
    pub fn ancestors(&self) -> Ancestors {
        Ancestors(Some(self.clone()))
    }

    /// The path one step above; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (above, _) = self.0.rsplit_once('/').filter(|_| self.0 != "/")?;
        Some(if above.is_empty() { Self::root() } else { Self(above.to_owned()) })
    }

    /// Whether this path is `above` or hangs below it, by whole segments.
    #[must_use]
    pub fn starts_with(&self, above: &Self) -> bool {
        let mut mine = self.segments();
        above.segments().all(|s| mine.next() == Some(s))
    }
}

/// What [`AccessPath::ancestors`] walks.
#[derive(Clone, Debug)]
pub struct Ancestors(Option<AccessPath>);

impl Iterator for Ancestors {
    type Item = AccessPath;

    fn next(&mut self) -> Option<AccessPath> {
        let current = self.0.take()?;
        self.0 = current.parent();
        Some(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AccessPath {
        AccessPath::parse(text).unwrap()
    }

    #[test]
    fn a_path_is_canonical_and_walks_up_to_the_root() {
        let alice = path("/People/ALICE");
        assert_eq!(alice.as_str(), "/people/alice");
        let up: Vec<_> = alice.ancestors().map(|p| p.to_string()).collect();
        assert_eq!(up, ["/people/alice", "/people", "/"]);
    }

    #[test]
    fn starting_with_counts_whole_segments() {
        assert!(path("/people/alice").starts_with(&path("/people")));
        assert!(path("/people").starts_with(&path("/people")));
        assert!(path("/people").starts_with(&AccessPath::root()));
        assert!(!path("/peoples").starts_with(&path("/people")));
        assert!(!path("/people").starts_with(&path("/people/alice")));
    }

    #[test]
    fn joining_a_name_hangs_it_below() {
        let alice = CanonName::parse("Alice").unwrap();
        assert_eq!(AccessPath::root().join(&alice).unwrap().as_str(), "/alice");
        assert_eq!(path("/people").join(&alice).unwrap(), path("/people/alice"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", "people", "//", "/people/", "/people//alice", "/..", "/people/../root", "/a b", "/a\0"]
        {
            assert!(AccessPath::parse(text).is_err(), "{text:?}");
        }
        assert!(AccessPath::parse(&"/a".repeat(16)).is_ok());
        assert_eq!(AccessPath::parse(&"/a".repeat(17)), Err(NameError::TooLong(16)));
    }
}
