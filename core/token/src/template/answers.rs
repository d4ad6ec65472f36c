//! Answers to a template: as they come, and after they passed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use symbolon_policy::{AccessPath, CanonName, NameError, TemplateName, TextError};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

use super::{Charset, FieldKind, MAX_FIELDS, RegistrationTemplate};

/// The most characters of an answer.
pub const MAX_ANSWER: usize = 1000;

/// The most bytes of all answers together, encoded: they travel in one registration request, which
/// a gateway reads before it knows who sends it.
pub const MAX_ANSWERS: usize = 8 * 1024;

/// Answers as they came over the wire, checked by no template yet: field id to text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers(pub BTreeMap<String, String>);

/// Proof that answers passed a template, in their canonical spelling; made by
/// [`RegistrationTemplate::validate`] only. Encodes like [`Answers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidAnswers {
    template: TemplateName,
    name: CanonName,
    path: AccessPath,
    answers: Answers,
}

/// What is wrong with one answer. Whoever answered erred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerError {
    /// The field's id.
    pub field: String,
    /// The field's label; empty for a field that the template does not have.
    pub label: String,
    /// What is wrong with it.
    pub problem: AnswerProblem,
}

/// What can be wrong with an answer; its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerProblem {
    /// A required field has none.
    #[error("an answer is required")]
    Missing,
    /// The template has no such field.
    #[error("the template has no such field: leave it out")]
    UnknownField,
    /// Control characters and the like.
    #[error("{0}: remove it")]
    Text(TextError),
    /// Fewer characters than the least.
    #[error("use at least {0} characters")]
    TooShort(usize),
    /// More characters than allowed.
    #[error("use at most {0} characters")]
    TooLong(usize),
    /// The longest of answers that are more than [`MAX_ANSWERS`] together.
    #[error("all answers together are too long: shorten this one first")]
    TooMuchTogether,
    /// A character outside of the set.
    #[error("{1:?} cannot stand here: use {set} only", set = match .0 {
        Charset::Letters => "letters",
        Charset::Digits => "digits",
        Charset::Alnum => "letters and digits",
        Charset::Any => "printable characters",
    })]
    Charset(Charset, char),
    /// No mailbox.
    #[error("write an e-mail address such as alice@example.org")]
    Email,
    /// No telephone number.
    #[error("write the number with + and the country code, such as +44 20 7946 0123")]
    Phone,
    /// No day of the calendar.
    #[error("write the date as year-month-day, such as 1985-04-23")]
    Date,
    /// No number, or outside of the range.
    #[error("write a whole number from {start} to {end}", start = .0.start(), end = .0.end())]
    Integer(RangeInclusive<i64>),
    /// None of the options.
    #[error("choose one of: {options}", options = .0.join(", "))]
    Choice(Vec<String>),
    /// Not some of the options.
    #[error("choose, separated by commas, from: {options}", options = .0.join(", "))]
    Choices(Vec<String>),
    /// Neither yes nor no.
    #[error("answer yes or no")]
    Boolean,
    /// No user name.
    #[error("this user name {0}")]
    Name(NameError),
}

impl AnswerError {
    pub(super) fn unknown(id: &str) -> Self {
        // an id that somebody made up is repeated to them, but not all of it
        let field = id.chars().take(32).collect();
        Self { field, label: String::new(), problem: AnswerProblem::UnknownField }
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label.as_str() {
            "" => write!(f, "{:?}: {}", self.field, self.problem),
            label => write!(f, "{label} ({}): {}", self.field, self.problem),
        }
    }
}

impl std::error::Error for AnswerError {}

pub(super) fn validate(
    template: &RegistrationTemplate,
    given: &BTreeMap<String, String>,
) -> Result<ValidAnswers, Vec<AnswerError>> {
    let mut errors = Vec::new();
    let mut answers = BTreeMap::new();
    let mut name = None;
    for field in &template.fields {
        let answer = given.get(&field.id).map(|a| a.trim()).filter(|a| !a.is_empty());
        match answer.map(|a| field.check(a)) {
            Some(Ok(answer)) => {
                if field.id == template.name_field && field.kind == FieldKind::UserName {
                    name = CanonName::parse(&answer).ok();
                }
                answers.insert(field.id.clone(), answer);
            }
            Some(Err(e)) => errors.push(e),
            None if field.required => errors.push(field.error(AnswerProblem::Missing)),
            None => {}
        }
    }
    let unknown = given.keys().filter(|id| template.field(id).is_none());
    errors.extend(unknown.take(MAX_FIELDS).map(|id| AnswerError::unknown(id)));
    let answers = Answers(answers);
    if answers.to_bytes().len() > MAX_ANSWERS {
        let longest = template.fields.iter().max_by_key(|f| answers.0.get(&f.id).map_or(0, String::len));
        errors.extend(longest.map(|field| field.error(AnswerProblem::TooMuchTogether)));
    }
    let path = name.as_ref().and_then(|name| template.path_prefix.join(name).ok());
    match (name, path) {
        (Some(name), Some(path)) if errors.is_empty() => {
            Ok(ValidAnswers { template: template.name.clone(), name, path, answers })
        }
        // the name field is required, so its absence is among the errors already
        _ => Err(errors),
    }
}

impl ValidAnswers {
    /// The template that they passed.
    #[must_use]
    pub fn template(&self) -> &TemplateName {
        &self.template
    }

    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &CanonName {
        &self.name
    }

    /// The user's access control path: the template's prefix and the name (B6).
    #[must_use]
    pub fn path(&self) -> &AccessPath {
        &self.path
    }

    /// The canonical answer to a field; `None` where an optional field was left out.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&str> {
        self.answers.0.get(id).map(String::as_str)
    }

    /// All answers, by field id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.answers.0.iter().map(|(id, answer)| (id.as_str(), answer.as_str()))
    }
}

impl Encode for Answers {
    fn encode(&self, w: &mut Writer) {
        let answers: Vec<_> = self.0.iter().collect();
        w.list16(&answers, |w, (id, answer)| {
            w.text8(id);
            w.text16(answer);
        });
    }
}

impl Encode for ValidAnswers {
    fn encode(&self, w: &mut Writer) {
        self.answers.encode(w);
    }
}

impl Decode for Answers {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let list = r.list16("answers", MAX_FIELDS, |r| {
            let id = r.text8("answer id")?;
            let answer = r.text16("answer")?;
            if answer.len() > MAX_ANSWER * 4 {
                return Err(WireError::TooLong("answer"));
            }
            Ok((id.to_owned(), answer.to_owned()))
        })?;
        // one order, no id twice: a set of answers has one encoding
        if !list.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(WireError::BadValue("order of answers"));
        }
        Ok(Self(list.into_iter().collect()))
    }
}
