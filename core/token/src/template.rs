//! Registration templates (B3): which questions a gateway asks of whoever registers, as data.
//!
//! ```text
//! TOML file ──from_toml──► RegistrationTemplate ──wire (Offer)──► client asks the questions
//!                                   │                                     │ Answers
//!                                   └── validate(answers) ◄──── wire ─────┘
//!                                             └──► ValidAnswers (proof), or one error per field
//! ```
//! Client and gateway call the same [`RegistrationTemplate::validate`]: the client to tell a person
//! at once, the gateway because it believes no client. A template can come from a hostile gateway,
//! so whatever a person will read is bounded and holds no control characters.

mod answers;
mod field;
mod wire;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use symbolon_policy::{AccessPath, TemplateName, free_text};

pub use answers::{AnswerError, AnswerProblem, Answers, MAX_ANSWER, MAX_ANSWERS, ValidAnswers};
pub use field::{Charset, Field, FieldKind};

/// The most fields of a template: more would be filled in by nobody.
pub const MAX_FIELDS: usize = 64;

/// The most characters of a title, a field's label and an option.
const MAX_LABEL: usize = 200;

/// The most characters of an introduction or of a field's help.
const MAX_PROSE: usize = 2000;

/// The most options of a choice.
const MAX_OPTIONS: usize = 64;

/// The most segments of a path prefix: one less than a path has, for the user's name.
const MAX_PREFIX: usize = 15;

/// What a gateway asks of whoever registers, and where it files the answer.
///
/// Every value of this type kept the bounds of [`RegistrationTemplate::from_toml`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationTemplate {
    name: TemplateName,
    title: String,
    intro: String,
    name_field: String,
    path_prefix: AccessPath,
    fields: Vec<Field>,
}

/// Why a text is no template. Whoever wrote the template erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not TOML, or not the tables and keys of a template.
    #[error("{0}")]
    Toml(String),
    /// A text of the template itself.
    #[error("{key}: {problem}")]
    Text {
        /// Its key in the file.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// One of the fields.
    #[error("field {field:?}: {problem}")]
    Field {
        /// The field's id.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// No field, or too many.
    #[error("a template has 1 to {MAX_FIELDS} fields")]
    FieldCount,
    /// The user's name would come from nowhere.
    #[error("name_field must be the id of a required field of kind \"user-name\"")]
    NameField,
    /// The user's name would have no room below the prefix.
    #[error("path_prefix has at most {MAX_PREFIX} segments")]
    PathPrefix,
}

impl RegistrationTemplate {
    /// Reads a template as people write it; see the shipped ones for examples.
    ///
    /// # Errors
    /// [`TemplateError`] names the key or field that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, TemplateError> {
        written::read(text)?.try_into()
    }

    /// The template as a TOML file that [`RegistrationTemplate::from_toml`] reads.
    #[must_use]
    pub fn to_toml(&self) -> String {
        written::write(self)
    }

    /// The templates that come with the product: `person`, `device` and `bank-customer`.
    #[must_use]
    pub fn shipped() -> [Self; 3] {
        [
            include_str!("../templates/person.toml"),
            include_str!("../templates/device.toml"),
            include_str!("../templates/bank-customer.toml"),
        ]
        .map(|text| Self::from_toml(text).expect("the shipped templates are read by a test"))
    }

    /// Its name, as in `admin templates`.
    #[must_use]
    pub fn name(&self) -> &TemplateName {
        &self.name
    }

    /// One line that a person reads.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What a person should know before answering; lines end with `\n`. May be empty.
    #[must_use]
    pub fn intro(&self) -> &str {
        &self.intro
    }

    /// The id of the field that is the user's name.
    #[must_use]
    pub fn name_field(&self) -> &str {
        &self.name_field
    }

    /// The user's access control path is this prefix and the user's name (B6).
    #[must_use]
    pub fn path_prefix(&self) -> &AccessPath {
        &self.path_prefix
    }

    /// The questions, in the order in which to ask them.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The question of this id.
    #[must_use]
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// Brings one answer into its canonical spelling, so that a person can be told while typing.
    ///
    /// # Errors
    /// [`AnswerError`] names the field and says what to do.
    pub fn check(&self, id: &str, answer: &str) -> Result<String, AnswerError> {
        match self.field(id) {
            Some(field) => field.check(answer),
            None => Err(AnswerError::unknown(id)),
        }
    }

    /// Brings answers (field id to text) into their canonical spelling.
    ///
    /// # Errors
    /// One [`AnswerError`] for each field that is missing, unknown or wrong, in the order of the
    /// template.
    pub fn validate(&self, answers: &BTreeMap<String, String>) -> Result<ValidAnswers, Vec<AnswerError>> {
        answers::validate(self, answers)
    }

    /// The invariants of the type, whatever the parts came from.
    fn checked(self) -> Result<Self, TemplateError> {
        check_line("title", &self.title, 1..=MAX_LABEL)?;
        check_prose(&self.intro).map_err(|problem| TemplateError::Text { key: "intro", problem })?;
        if self.fields.is_empty() || self.fields.len() > MAX_FIELDS {
            return Err(TemplateError::FieldCount);
        }
        let mut ids = BTreeSet::new();
        for field in &self.fields {
            let known = !ids.insert(&field.id);
            let problem =
                if known { Err("has the id of another field".to_owned()) } else { field.check_self() };
            problem.map_err(|problem| TemplateError::Field { field: field.id.clone(), problem })?;
        }
        match self.field(&self.name_field) {
            Some(Field { kind: FieldKind::UserName, required: true, .. }) => {}
            _ => return Err(TemplateError::NameField),
        }
        if self.path_prefix.segments().count() > MAX_PREFIX {
            return Err(TemplateError::PathPrefix);
        }
        Ok(self)
    }
}

fn check_line(
    key: &'static str,
    text: &str,
    length: std::ops::RangeInclusive<usize>,
) -> Result<(), TemplateError> {
    line(text, length).map_err(|problem| TemplateError::Text { key, problem })
}

/// Whether `text` is one line in canonical spelling.
fn line(text: &str, length: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    let characters = text.chars().count();
    if !length.contains(&characters) {
        return Err(format!("must have {} to {} characters", length.start(), length.end()));
    }
    match free_text(text) {
        Ok(canonical) if canonical == text => Ok(()),
        Ok(_) => Err("must be in Unicode's composed form (NFC) with plain spaces".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// Whether `text` is some lines in canonical spelling, of [`MAX_PROSE`] characters in all.
fn check_prose(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_PROSE {
        return Err(format!("must have at most {MAX_PROSE} characters"));
    }
    text.split('\n').try_for_each(|text| line(text, 0..=MAX_PROSE))
}

#[cfg(test)]
mod tests;
