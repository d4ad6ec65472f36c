//! One question, and what counts as an answer to it.

use std::ops::RangeInclusive;

use symbolon_policy::{CanonName, free_text};

use super::answers::{AnswerError, AnswerProblem, MAX_ANSWER};
use super::{MAX_LABEL, MAX_OPTIONS, check_prose, line};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What answers call it: 1 to 32 of `a`–`z`, `0`–`9` and `-`, a letter first.
    pub id: String,
    /// The question in a few words.
    pub label: String,
    /// More about it; may be empty.
    pub help: String,
    /// What counts as an answer.
    pub kind: FieldKind,
    /// Whether it must be answered.
    pub required: bool,
}

/// What counts as an answer, and which of its spellings is the canonical one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A line of text; canonical: RFC 8265 §4.2 (NFC, plain spaces), without spaces around it.
    Text {
        /// How many characters.
        length: RangeInclusive<u16>,
        /// Which ones.
        charset: Charset,
    },
    /// A mailbox (RFC 5321 §4.1.2, ASCII, without quoting); canonical: the domain in lower case.
    Email,
    /// A telephone number; canonical: E.164 with `+`, without separators.
    Phone,
    /// A day; canonical: ISO 8601, `1985-04-23`.
    Date,
    /// A whole number in a range; canonical: decimal digits.
    Integer {
        /// From which to which.
        range: RangeInclusive<i64>,
    },
    /// One of the options, letter by letter.
    Choice {
        /// At least one; none holds a comma.
        options: Vec<String>,
    },
    /// Some of the options; canonical: in the template's order, joined by `, `.
    MultiChoice {
        /// At least one; none holds a comma.
        options: Vec<String>,
    },
    /// Yes or no; canonical: `true` or `false`.
    Boolean,
    /// A user's name; canonical: [`CanonName`].
    UserName,
}

/// Which characters a text answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Letters of any script.
    Letters,
    /// `0` to `9`.
    Digits,
    /// Letters of any script and `0` to `9`.
    Alnum,
    /// Whatever [`free_text`] lets pass.
    Any,
}

impl Field {
    /// Brings an answer into its canonical spelling.
    ///
    /// # Errors
    /// [`AnswerError`] says what to do.
    pub(super) fn check(&self, answer: &str) -> Result<String, AnswerError> {
        self.kind.check(answer.trim()).map_err(|problem| self.error(problem))
    }

    pub(super) fn error(&self, problem: AnswerProblem) -> AnswerError {
        AnswerError { field: self.id.clone(), label: self.label.clone(), problem }
    }

    /// The invariants of a template's field.
    pub(super) fn check_self(&self) -> Result<(), String> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let id = self.id.as_str();
        if !(1..=32).contains(&id.len())
            || !id.chars().all(letters)
            || !id.starts_with(|c: char| c.is_ascii_lowercase())
        {
            return Err("the id must be 1 to 32 of a-z, 0-9 and '-', a letter first".to_owned());
        }
        line(&self.label, 1..=MAX_LABEL).map_err(|e| format!("label {e}"))?;
        check_prose(&self.help).map_err(|e| format!("help {e}"))?;
        match &self.kind {
            FieldKind::Text { length, .. }
                if length.is_empty() || usize::from(*length.end()) > MAX_ANSWER =>
            {
                Err(format!("min and max must be in order and at most {MAX_ANSWER}"))
            }
            FieldKind::Integer { range } if range.is_empty() => Err("min must not be above max".to_owned()),
            FieldKind::Choice { options } | FieldKind::MultiChoice { options } => check_options(options),
            _ => Ok(()),
        }
    }
}

fn check_options(options: &[String]) -> Result<(), String> {
    if options.is_empty() || options.len() > MAX_OPTIONS {
        return Err(format!("needs 1 to {MAX_OPTIONS} options"));
    }
    for (n, option) in options.iter().enumerate() {
        line(option, 1..=MAX_LABEL).map_err(|e| format!("option {option:?} {e}"))?;
        if option.contains(',') || option.trim() != option {
            return Err(format!("option {option:?} must have no comma and no space around it"));
        }
        if options[..n].contains(option) {
            return Err(format!("option {option:?} stands twice"));
        }
    }
    // all of them chosen at once must still be an answer
    match options.iter().map(|o| o.chars().count() + 2).sum::<usize>() {
        0..=MAX_ANSWER => Ok(()),
        _ => Err(format!("all options together must have at most {MAX_ANSWER} characters")),
    }
}

impl FieldKind {
    fn check(&self, answer: &str) -> Result<String, AnswerProblem> {
        if answer.chars().take(MAX_ANSWER + 1).count() > MAX_ANSWER {
            return Err(AnswerProblem::TooLong(MAX_ANSWER));
        }
        let answer = free_text(answer).map_err(AnswerProblem::Text)?;
        // free_text makes plain spaces of others, and those around the answer go too
        let answer = answer.trim_matches(' ');
        match self {
            Self::Text { length, charset } => text(answer, length, *charset),
            Self::Email => email(answer).ok_or(AnswerProblem::Email),
            Self::Phone => phone(answer).ok_or(AnswerProblem::Phone),
            Self::Date => date(answer).ok_or(AnswerProblem::Date),
            Self::Integer { range } => match answer.parse::<i64>() {
                Ok(n) if range.contains(&n) => Ok(n.to_string()),
                _ => Err(AnswerProblem::Integer(range.clone())),
            },
            Self::Choice { options } => match options.iter().find(|o| *o == answer) {
                Some(option) => Ok(option.clone()),
                None => Err(AnswerProblem::Choice(options.clone())),
            },
            Self::MultiChoice { options } => several(answer, options),
            Self::Boolean => match answer.to_ascii_lowercase().as_str() {
                "true" | "yes" => Ok("true".to_owned()),
                "false" | "no" => Ok("false".to_owned()),
                _ => Err(AnswerProblem::Boolean),
            },
            Self::UserName => CanonName::parse(answer).map(|n| n.to_string()).map_err(AnswerProblem::Name),
        }
    }
}

impl Charset {
    /// `letters`, `digits`, `alnum` or `any`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Letters => "letters",
            Self::Digits => "digits",
            Self::Alnum => "alnum",
            Self::Any => "any",
        }
    }

    fn has(self, c: char) -> bool {
        match self {
            Self::Letters => c.is_alphabetic(),
            Self::Digits => c.is_ascii_digit(),
            Self::Alnum => c.is_alphabetic() || c.is_ascii_digit(),
            Self::Any => true,
        }
    }
}

fn text(answer: &str, length: &RangeInclusive<u16>, charset: Charset) -> Result<String, AnswerProblem> {
    let characters = answer.chars().count();
    if characters > usize::from(*length.end()) {
        return Err(AnswerProblem::TooLong((*length.end()).into()));
    }
    if characters < usize::from(*length.start()) {
        return Err(AnswerProblem::TooShort((*length.start()).into()));
    }
    match answer.chars().find(|&c| !charset.has(c)) {
        Some(c) => Err(AnswerProblem::Charset(charset, c)),
        None => Ok(answer.to_owned()),
    }
}

fn email(answer: &str) -> Option<String> {
    let (local, domain) = answer.rsplit_once('@')?;
    // RFC 5321 §4.5.3.1
    if local.len() > 64 || answer.len() > 254 {
        return None;
    }
    let atom = |a: &str| {
        !a.is_empty() && a.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    (local.split('.').all(atom) && domain.contains('.') && domain.split('.').all(label))
        .then(|| format!("{local}@{}", domain.to_ascii_lowercase()))
}

fn phone(answer: &str) -> Option<String> {
    let digits: String = answer.strip_prefix('+')?.chars().filter(|c| !" -.()/".contains(*c)).collect();
    // a country code does not start with 0, and no number in use is shorter than 7 digits
    let plausible = (7..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0');
    plausible.then(|| format!("+{digits}"))
}

fn date(answer: &str) -> Option<String> {
    let bytes = answer.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
    };
    let (year, month, day) = (number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    (year > 0 && (1..=last).contains(&day)).then(|| answer.to_owned())
}

fn several(answer: &str, options: &[String]) -> Result<String, AnswerProblem> {
    let problem = || AnswerProblem::Choices(options.to_vec());
    let chosen: Vec<&str> = answer.split(',').map(str::trim).collect();
    let known = |c: &&str| options.iter().any(|o| o == c);
    let repeated = (1..chosen.len()).any(|n| chosen[..n].contains(&chosen[n]));
    if repeated || !chosen.iter().all(known) {
        return Err(problem());
    }
    let ordered: Vec<&str> = options.iter().map(String::as_str).filter(|o| chosen.contains(o)).collect();
    Ok(ordered.join(", "))
}
