//! A template as people write it: TOML, one table for each field.

use serde::{Deserialize, Serialize};
use symbolon_policy::{AccessPath, TemplateName};

use super::{Charset, Field, FieldKind, MAX_ANSWER, RegistrationTemplate, TemplateError};

/// The most bytes of a template file: 64 fields with all their texts in full are smaller.
const MAX_FILE: usize = 1 << 20;

/// The keys of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTemplate {
    name: TemplateName,
    title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    intro: String,
    name_field: String,
    path_prefix: AccessPath,
    fields: Vec<WrittenField>,
}

/// The keys of a `[[fields]]` table; which of the last five may stand depends on the kind.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenField {
    id: String,
    label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    help: String,
    kind: String,
    #[serde(default)]
    required: bool,
    min: Option<i64>,
    max: Option<i64>,
    charset: Option<String>,
    options: Option<Vec<String>>,
}

pub(super) fn read(text: &str) -> Result<WrittenTemplate, TemplateError> {
    if text.len() > MAX_FILE {
        return Err(TemplateError::Toml(format!("the file is larger than {MAX_FILE} bytes")));
    }
    toml::from_str(text).map_err(|e| TemplateError::Toml(e.to_string().trim_end().to_owned()))
}

pub(super) fn write(template: &RegistrationTemplate) -> String {
    let written = WrittenTemplate {
        name: template.name.clone(),
        title: template.title.clone(),
        intro: template.intro.clone(),
        name_field: template.name_field.clone(),
        path_prefix: template.path_prefix.clone(),
        fields: template.fields.iter().map(WrittenField::from).collect(),
    };
    toml::to_string(&written).expect("texts, numbers and lists of them have a TOML form")
}

impl TryFrom<WrittenTemplate> for RegistrationTemplate {
    type Error = TemplateError;

    fn try_from(written: WrittenTemplate) -> Result<Self, TemplateError> {
        let fields = written.fields.into_iter().map(|field| {
            let id = field.id.clone();
            Field::try_from(field).map_err(|problem| TemplateError::Field { field: id, problem })
        });
        Self {
            name: written.name,
            title: written.title,
            // a multi-line text in TOML ends with a newline
            intro: written.intro.trim_end().to_owned(),
            name_field: written.name_field,
            path_prefix: written.path_prefix,
            fields: fields.collect::<Result<_, _>>()?,
        }
        .checked()
    }
}

impl TryFrom<WrittenField> for Field {
    type Error = String;

    fn try_from(mut written: WrittenField) -> Result<Self, String> {
        let kind = match written.kind.as_str() {
            "text" => FieldKind::Text {
                length: bound(written.min.take(), 1)?..=bound(written.max.take(), MAX_ANSWER as u16)?,
                charset: charset(written.charset.take().as_deref())?,
            },
            "email" => FieldKind::Email,
            "phone" => FieldKind::Phone,
            "date" => FieldKind::Date,
            "integer" => FieldKind::Integer {
                range: written.min.take().unwrap_or(i64::MIN)..=written.max.take().unwrap_or(i64::MAX),
            },
            "choice" => FieldKind::Choice { options: written.options.take().unwrap_or_default() },
            "multi-choice" => FieldKind::MultiChoice { options: written.options.take().unwrap_or_default() },
            "boolean" => FieldKind::Boolean,
            "user-name" => FieldKind::UserName,
            other => {
                return Err(format!(
                    "unknown kind {other:?}: use text, email, phone, date, integer, choice, multi-choice, \
                     boolean or user-name"
                ));
            }
        };
        // whatever was not taken has no meaning for this kind, and its writer believed it had one
        let left = [
            ("min", written.min.is_some()),
            ("max", written.max.is_some()),
            ("charset", written.charset.is_some()),
            ("options", written.options.is_some()),
        ];
        match left.into_iter().find(|(_, stands)| *stands) {
            Some((key, _)) => Err(format!("{key} has no meaning for kind {:?}: remove it", written.kind)),
            None => Ok(Self {
                id: written.id,
                label: written.label,
                help: written.help.trim_end().to_owned(),
                kind,
                required: written.required,
            }),
        }
    }
}

fn bound(written: Option<i64>, default: u16) -> Result<u16, String> {
    match written {
        None => Ok(default),
        Some(n) => u16::try_from(n).map_err(|_| format!("min and max must be 0 to {MAX_ANSWER}")),
    }
}

fn charset(written: Option<&str>) -> Result<Charset, String> {
    match written {
        None => Ok(Charset::Any),
        Some(name) => [Charset::Letters, Charset::Digits, Charset::Alnum, Charset::Any]
            .into_iter()
            .find(|c| c.as_str() == name)
            .ok_or_else(|| format!("unknown charset {name:?}: use letters, digits, alnum or any")),
    }
}

impl From<&Field> for WrittenField {
    fn from(field: &Field) -> Self {
        let written = Self {
            id: field.id.clone(),
            label: field.label.clone(),
            help: field.help.clone(),
            required: field.required,
            ..Self::default()
        };
        let kind = |kind: &str| kind.to_owned();
        match &field.kind {
            FieldKind::Text { length, charset } => Self {
                kind: kind("text"),
                min: Some((*length.start()).into()),
                max: Some((*length.end()).into()),
                charset: Some(charset.as_str().to_owned()),
                ..written
            },
            FieldKind::Email => Self { kind: kind("email"), ..written },
            FieldKind::Phone => Self { kind: kind("phone"), ..written },
            FieldKind::Date => Self { kind: kind("date"), ..written },
            FieldKind::Integer { range } => {
                Self { kind: kind("integer"), min: Some(*range.start()), max: Some(*range.end()), ..written }
            }
            FieldKind::Choice { options } => {
                Self { kind: kind("choice"), options: Some(options.clone()), ..written }
            }
            FieldKind::MultiChoice { options } => {
                Self { kind: kind("multi-choice"), options: Some(options.clone()), ..written }
            }
            FieldKind::Boolean => Self { kind: kind("boolean"), ..written },
            FieldKind::UserName => Self { kind: kind("user-name"), ..written },
        }
    }
}
